//! The binary `area` in a folder of its own, and its database.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use engine::store::{Db, DbConfig, migrate};
use engine::vault::KeyRing;
use tempfile::TempDir;
use tokio::time::Instant;

/// How long a daemon may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// An installation.
pub struct Install {
    /// `SQLite` or `PostgreSQL`.
    pub label: &'static str,
    pub folder: TempDir,
    pub url: String,
}

/// A daemon that serves. Dropped: killed.
pub struct Daemon {
    child: Child,
    pub port: u16,
    /// From its start to its first answer that it is ready.
    pub ready: Duration,
    pub started: Instant,
}

impl Install {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("data/area.db").display());
        Self { label: "SQLite", folder, url }
    }

    pub fn postgres(url: String) -> Self {
        Self { label: "PostgreSQL", folder: tempfile::tempdir().unwrap(), url }
    }

    /// The embedded database's file.
    pub fn file(&self) -> Option<PathBuf> {
        self.url.strip_prefix("sqlite:").map(PathBuf::from)
    }

    /// Its database, migrated.
    pub async fn db(&self) -> Db {
        let db = Db::open(&DbConfig { url: self.url.clone(), connections: 4 }).await.unwrap();
        migrate::migrate(&db).await.unwrap();
        db
    }

    /// Its keys.
    pub fn ring(&self) -> KeyRing {
        let folder = self.folder.path().join("data");
        std::fs::create_dir_all(&folder).unwrap();
        KeyRing::load_or_create(&folder.join("keys.json")).unwrap()
    }

    /// Starts the daemon and waits until it is ready.
    pub fn start(&self) -> Daemon {
        self.start_with(&[
            ("AREA_SAMPLES__LOAD", "false"),
            ("AREA_NET__ALLOW", "127.0.0.0/8"),
            ("AREA_LOG__FILTER", "warn"),
        ])
    }

    /// The same with the environment that is given and no other.
    pub fn start_with(&self, env: &[(&str, &str)]) -> Daemon {
        let mut command = Command::new(env!("CARGO_BIN_EXE_area"));
        command.args(["serve", "--listen", "127.0.0.1:0"]).current_dir(self.folder.path()).env_clear();
        command.env("AREA_DATABASE_URL", &self.url).envs(env.iter().copied());
        let started = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let line = lines.find(|line| line.contains("http://")).expect("the daemon says where it is");
        let port = line.split("http://").nth(1).unwrap().trim_end_matches(|c: char| !c.is_ascii_digit());
        let port = port.rsplit(':').next().unwrap().parse().unwrap();
        std::thread::spawn(move || lines.for_each(|line| eprintln!("    {line}")));
        while !get(port, "/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            assert!(started.elapsed() < PATIENCE, "the daemon is not ready");
            std::thread::yield_now();
        }
        Daemon { child, port, ready: started.elapsed(), started }
    }
}

impl Daemon {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `STOP` and `CONT`: so that a baseline has the machine for itself.
    pub fn signal(&self, name: &str) {
        Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
    }

    /// A figure of `/metrics`.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let answer = get(self.port, "/metrics")?;
        answer.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One answer, whole.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
