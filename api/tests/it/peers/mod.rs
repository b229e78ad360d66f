//! Servers that others wrote, run by node from `api/tests/peers`; `.ci/test` installs them.

mod browser;
mod chromium;
mod discovery;
mod gmail;
pub mod google;
mod oidc;
mod site;

pub use chromium::Chromium;
pub use gmail::Gmail;
pub use google::Google;
pub use oidc::{Oidc, provider};
pub use site::Site;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::daemon::{free_port, until};

/// How long node may take to start, on a machine that does much else.
const READY: Duration = Duration::from_secs(60);

/// The folder with descriptions of APIs that are not ours to pass on; without it the tests that need one are skipped.
const DESCRIPTIONS: &str = "TEST_PEERS";

/// Prism before `upstream`: it checks each request and each answer with the provider's own description.
pub async fn checked(description: &str, upstream: &str) -> Option<Peer> {
    let Some(folder) = std::env::var_os(DESCRIPTIONS) else {
        engine::testkit::skip(&format!("{DESCRIPTIONS} is not set: it names the folder that holds {description}"));
        return None;
    };
    let spec = Path::new(&folder).join(description).display().to_string();
    Peer::start("prism.mjs", &[("SPEC", &spec), ("UPSTREAM", upstream)]).await
}

/// What it prints goes there.
const LOG: &str = "log";

/// A server under node. Dropped: killed.
pub struct Peer {
    child: Child,
    folder: tempfile::TempDir,
    /// Where it is: `http://127.0.0.1:PORT`.
    pub url: String,
}

impl Peer {
    /// Starts `script` with more in its environment; `None` where node or the packages are not there (a failure in CI).
    pub async fn start(script: &str, env: &[(&str, &str)]) -> Option<Self> {
        Self::start_on(free_port(), script, env).await
    }

    /// The same on a port that others were told before.
    pub async fn start_on(port: u16, script: &str, env: &[(&str, &str)]) -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
        if !folder.join("node_modules").is_dir() || Command::new("node").arg("--version").output().is_err() {
            engine::testkit::skip("the peers are not installed: `npm ci` in api/tests/peers needs node");
            return None;
        }
        let out = tempfile::tempdir().unwrap();
        let log: PathBuf = out.path().join(LOG);
        let file = File::create(&log).unwrap();
        let mut command = Command::new("node");
        command.arg(script).current_dir(&folder).env("PORT", port.to_string()).env("TMPDIR", out.path());
        command.envs(env.iter().copied());
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap();
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        assert!(until(READY, async || said().contains("ready ")).await, "{script} does not start:\n{}", said());
        Some(Self { child, folder: out, url: format!("http://127.0.0.1:{port}") })
    }
}

impl Peer {
    /// Of Prism: the requests that it refused, and the answers that do not follow the description.
    pub fn refused(&self) -> Vec<String> {
        let said = std::fs::read_to_string(self.folder.path().join(LOG)).unwrap();
        said.lines().filter(|line| line.contains("Request terminated with error")).map(str::to_owned).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
