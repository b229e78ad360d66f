//! The process: started, signalled, killed. Its log goes to a file that outlives it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::until;

/// How long a daemon may take to answer, on a machine that does much else.
const READY: Duration = Duration::from_secs(60);

/// Lines of a log that a failure shows.
const TAIL: usize = 40;

/// Which build of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// What is released.
    Released,
    /// The same with named crash points.
    CrashPoints,
}

impl Binary {
    /// Where it is. `.ci/test` builds both; what is about the released one is skipped without it.
    pub fn path(self) -> PathBuf {
        if std::env::var_os(self.variable()).is_none() {
            let name = self.variable();
            engine::testkit::skip(&format!("{name} is not set: `.ci/test` builds the released binary and sets it"));
        }
        self.path_or_own()
    }

    /// The same, where the build of the tests, which has the crash points too, may stand in.
    pub fn path_or_own(self) -> PathBuf {
        std::env::var_os(self.variable()).map_or_else(|| env!("CARGO_BIN_EXE_area").into(), PathBuf::from)
    }

    fn variable(self) -> &'static str {
        match self {
            Self::Released => "AREA_TEST_BIN",
            Self::CrashPoints => "AREA_TEST_BIN_CRASHPOINTS",
        }
    }
}

/// A daemon. Dropped: killed.
pub struct Daemon {
    child: Child,
    log: PathBuf,
    /// Where it is: `http://127.0.0.1:PORT`.
    pub url: String,
}

impl Daemon {
    /// Starts `command`, whose output is appended to `log`.
    pub fn start(mut command: Command, url: String, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Self { child, log: log.to_owned(), url }
    }

    /// Waits until it answers.
    pub async fn ready(mut self) -> Self {
        let (http, url) = (client(), format!("{}/readyz", self.url));
        let answered = until(READY, async || {
            assert!(self.runs(), "the daemon ended\n{}", self.tail());
            http.get(&url).send().await.is_ok_and(|answer| answer.status() == 200)
        });
        let answered = answered.await;
        assert!(answered, "the daemon does not answer\n{}", self.tail());
        self
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Kills it as nothing can prevent.
    pub fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it a signal: `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Waits for its end.
    pub async fn end(&mut self, within: Duration) -> Option<ExitStatus> {
        until(within, async || !self.runs()).await.then(|| self.child.wait().unwrap())
    }

    /// Tells it to stop and waits until it has.
    pub async fn stop(mut self) {
        self.signal("TERM");
        let status = self.end(Duration::from_secs(40)).await;
        assert_eq!(status.and_then(|s| s.code()), Some(0), "{}", self.tail());
    }

    /// All that it and those before it wrote.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    /// The end of it.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client of loopback servers.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap()
}
