//! Where a daemon lives: a folder, a database, a port that it comes back to.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use engine::store::{Db, DbConfig};
use engine::testkit::postgres::{self, Options, Server};
use tempfile::TempDir;

use super::free_port;
use super::process::{Binary, Daemon};

/// A place for one daemon.
pub struct Place {
    /// `sqlite` or `postgres`, for messages.
    pub label: &'static str,
    folder: TempDir,
    port: u16,
    env: Vec<(String, String)>,
    /// PostgreSQL of its own, where the test breaks it.
    pub server: Option<Arc<Server>>,
}

impl Place {
    /// On the embedded database of its own folder.
    pub fn sqlite() -> Self {
        Self::new("sqlite", &[])
    }

    /// On PostgreSQL; `None` where it is not installed.
    pub async fn postgres() -> Option<Self> {
        let url = postgres::url().await?;
        Some(Self::new("postgres", &[("AREA_DATABASE_URL", &url)]))
    }

    /// On a PostgreSQL of its own that keeps what it says it kept.
    pub async fn own_postgres() -> Option<Self> {
        let started = tokio::task::spawn_blocking(|| Server::start(Options { durable: true })).await.unwrap();
        let server = started.map_err(|why| engine::testkit::skip(&why)).ok()?;
        let url = server.create_database().await.unwrap();
        Some(Self { server: Some(Arc::new(server)), ..Self::new("postgres", &[("AREA_DATABASE_URL", &url)]) })
    }

    fn new(label: &'static str, env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let place = Self { label, folder, port, env: Vec::new(), server: None };
        let listen = format!("127.0.0.1:{port}");
        let common = [("AREA_LISTEN", &*listen), ("AREA_NET__ALLOW", "127.0.0.0/8"), ("AREA_SAMPLES__LOAD", "false")];
        place.with(&common).with(env)
    }

    /// The same with more settings.
    pub fn with(mut self, env: &[(&str, &str)]) -> Self {
        for (name, value) in env {
            self.env.retain(|(known, _)| known != name);
            self.env.push(((*name).to_owned(), (*value).to_owned()));
        }
        self
    }

    /// The same, its PostgreSQL reached at another port.
    pub fn through(self, port: u16) -> Self {
        let at = format!(":{}/", self.server.as_ref().unwrap().port());
        let url = self.setting("AREA_DATABASE_URL").unwrap().replace(&at, &format!(":{port}/"));
        self.with(&[("AREA_DATABASE_URL", &url)])
    }

    /// The same, its data in another folder.
    pub fn storing_in(self, folder: &Path) -> Self {
        self.with(&[("AREA_DATA_DIR", folder.to_str().unwrap())])
    }

    /// A place for another node on the same database.
    pub fn beside(&self) -> Self {
        let keys = self.file("data/keys.json");
        let url = self.setting("AREA_DATABASE_URL").unwrap().to_owned();
        let more = [("AREA_DATABASE_URL", &*url), ("AREA_KEYS_FILE", keys.to_str().unwrap())];
        let lease = self.setting("AREA_NODE__LEASE").map(|lease| ("AREA_NODE__LEASE", lease));
        Self::new(self.label, &more).with(lease.as_slice())
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where its daemon is: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The binary with `args`, in the folder, with nothing of our own environment.
    pub fn command(&self, binary: Binary, args: &[&str]) -> Command {
        let mut command = Command::new(binary.path());
        command.args(args).current_dir(self.folder()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the daemon without waiting for it.
    pub fn launch(&self, binary: Binary, env: &[(&str, &str)]) -> Daemon {
        let mut command = self.command(binary, &["serve"]);
        command.envs(env.iter().copied());
        Daemon::start(command, self.url(), &self.file("log"))
    }

    /// Starts the released daemon and waits until it answers.
    pub async fn start(&self) -> Daemon {
        self.launch(Binary::Released, &[]).ready().await
    }

    /// A token of a user.
    pub fn token(&self) -> String {
        let args = ["token", "create", "--email", "ann@example.org"];
        let made = self.command(Binary::Released, &args).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }

    /// Its database, as it is.
    pub async fn db(&self) -> Db {
        let data = self.setting("AREA_DATA_DIR").map_or_else(|| self.file("data"), PathBuf::from);
        let file = format!("sqlite:{}", data.join("area.db").display());
        let url = self.setting("AREA_DATABASE_URL").map_or(file, str::to_owned);
        Db::open(&DbConfig { url, connections: 2 }).await.unwrap()
    }
}
