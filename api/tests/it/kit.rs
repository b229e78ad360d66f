//! Runs the real binary in an empty folder, with an environment of its own.

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use engine::clock::Clock;
use engine::ids::AccountId;
use engine::store::{Db, DbConfig, people};
use engine::{on, on_write};
use serde_json::Value;
use tempfile::TempDir;

use crate::daemon::process::Binary;

const LINK: &str =
    "INSERT INTO next_auth_accounts (id, type, provider, \"providerAccountId\", \"userId\", access_token,
    refresh_token, expires_at, scope) VALUES ($1, 'oauth', $2, 'ann', $3, 'access-1', 'refresh-1', $4, $5)";

/// An installation: a folder to start `area` in, and where its database is.
pub struct Area {
    /// `sqlite` or `postgres`, for messages.
    pub label: &'static str,
    folder: TempDir,
    database_url: Option<String>,
}

/// A daemon on a free port. Dropped: killed.
pub struct Daemon {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// Where it is: `http://127.0.0.1:PORT`.
    pub url: String,
}

impl Daemon {
    /// The next line of its log that holds `part`; fails at the end of the log.
    #[track_caller]
    pub fn line(&mut self, part: &str) -> String {
        let found = self.lines.by_ref().map(Result::unwrap).find(|line| line.contains(part));
        found.unwrap_or_else(|| panic!("the daemon ended without a line with `{part}`"))
    }

    /// Sends it a signal: `TERM`, `INT`, `KILL`.
    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Kills it, as `kill -9` does, if it lives.
    pub fn kill9(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Waits for its end and tells the exit code.
    pub fn end(&mut self) -> Option<i32> {
        self.lines.by_ref().for_each(drop);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// What it printed.
    pub out: String,
    /// What it said to people.
    pub err: String,
}

impl Ran {
    /// Fails unless it ended well; its output, trimmed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out.trim().to_owned()
    }

    /// Fails unless it ended well and printed JSON.
    #[track_caller]
    pub fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// Fails unless it ended with `code` and said `parts`, in one sentence on stderr.
    #[track_caller]
    pub fn fails(self, code: i32, parts: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{self:?}");
        for part in parts {
            assert!(self.err.contains(part), "no `{part}` in {self:?}");
        }
        assert_eq!(self.err.trim().lines().count(), 1, "{self:?}");
    }
}

impl Area {
    /// On the embedded database of its own folder.
    pub fn new() -> Self {
        Self { label: "sqlite", folder: tempfile::tempdir().unwrap(), database_url: None }
    }

    /// One on every engine there is.
    pub async fn all() -> Vec<Self> {
        let mut all = vec![Self::new()];
        if let Some(url) = engine::testkit::postgres::url().await {
            all.push(Self { label: "postgres", folder: tempfile::tempdir().unwrap(), database_url: Some(url) });
        }
        all
    }

    /// One on PostgreSQL; `None` where it is not installed.
    pub async fn postgres() -> Option<Self> {
        Self::all().await.into_iter().find(|area| area.database_url.is_some())
    }

    /// Where PostgreSQL is; `None`: the database is a file of its folder.
    pub fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref()
    }

    /// The folder that it runs in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// The binary with `args`, not started yet.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_of(Binary::Released, args)
    }

    fn command_of(&self, binary: Binary, args: &[&str]) -> Command {
        let mut command = Command::new(binary.path_or_own());
        command.args(args).current_dir(self.folder()).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        if let Some(url) = &self.database_url {
            command.env("AREA_DATABASE_URL", url);
        }
        command
    }

    /// Runs the binary with `args` to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        ran(&mut self.command(args))
    }

    /// The same with more in the environment.
    pub fn run_with(&self, env: &[(&str, &str)], args: &[&str]) -> Ran {
        ran(self.command(args).envs(env.iter().copied()))
    }

    /// Runs the binary with `args` to its end, with `input` on its standard input.
    pub fn run_fed(&self, input: &str, args: &[&str]) -> Ran {
        let file = self.file("stdin");
        std::fs::write(&file, input).unwrap();
        ran(self.command(args).stdin(std::fs::File::open(file).unwrap()))
    }

    /// Starts the daemon on a free port, and waits until it says where it is.
    pub fn serve(&self, args: &[&str]) -> Daemon {
        self.serve_with(&[], args)
    }

    /// The same with more in the environment.
    pub fn serve_with(&self, env: &[(&str, &str)], args: &[&str]) -> Daemon {
        self.serve_on(0, env, args)
    }

    /// The same on a port that others were told before.
    pub fn serve_on(&self, port: u16, env: &[(&str, &str)], args: &[&str]) -> Daemon {
        let crashes = env.iter().any(|(name, _)| name.starts_with("AREA_CRASH"));
        let binary = if crashes { Binary::CrashPoints } else { Binary::Released };
        let mut command = self.command_of(binary, &["serve", "--listen", &format!("127.0.0.1:{port}")]);
        let mut child = command.envs(env.iter().copied()).args(args).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut daemon = Daemon { child, lines, url: String::new() };
        // For people it says so in words, for programs in a member of JSON.
        let line = daemon.line("127.0.0.1:");
        let port: String = line.split("127.0.0.1:").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
        daemon.url = format!("http://127.0.0.1:{port}");
        daemon
    }

    /// Its database, migrated.
    pub async fn db(&self) -> Db {
        let file = || format!("sqlite:{}", self.file("data/area.db").display());
        let url = self.database_url.clone().unwrap_or_else(file);
        let db = Db::open(&DbConfig { url, connections: 4 }).await.unwrap();
        engine::store::migrate::migrate(&db).await.unwrap();
        db
    }

    /// What `sql` counts.
    pub async fn count(&self, sql: &'static str) -> i64 {
        let db = self.db().await;
        let count = on!(&db, pool => sqlx::query_scalar(sql).fetch_one(pool).await).unwrap();
        db.close().await;
        count
    }

    /// An account at `provider` of `ann@example.org`, as an Auth.js site would have linked it; its token is good for an hour.
    pub async fn linked(&self, provider: &str, scope: &str) -> AccountId {
        let (db, account) = (self.db().await, AccountId::new());
        let ann = people::by_email(&db, "ann@example.org").await.unwrap().unwrap();
        let expires = Clock::system().now().timestamp() + 3_600;
        on_write!(&db, pool => {
            let link = sqlx::query(LINK).bind(account).bind(provider).bind(ann.id).bind(expires).bind(scope);
            link.execute(pool).await.map(drop)
        })
        .unwrap();
        db.close().await;
        account
    }
}

/// Runs a command to its end.
pub fn ran(command: &mut Command) -> Ran {
    let done = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: done.status.code().unwrap_or(-1), out: text(done.stdout), err: text(done.stderr) }
}
