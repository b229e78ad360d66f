//! A mail server that nobody here wrote: aiosmtpd, which `.ci/test` installs, keeping what it takes in a folder.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::daemon::free_port;

/// The server. Dropped: killed.
pub struct Post {
    child: Child,
    folder: TempDir,
    /// What `[mail] smtp` is set to.
    pub url: String,
}

impl Drop for Post {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Post {
    /// Starts it; `None`, loudly: it is not installed.
    pub async fn start() -> Option<Self> {
        Self::start_on(free_port()).await
    }

    /// The same on a port that others were told before.
    pub async fn start_on(port: u16) -> Option<Self> {
        let python = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../aiosmtpd/bin/python");
        if !python.exists() {
            engine::testkit::skip("aiosmtpd is not installed: `.ci/test` does that");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(python);
        command.args(["-m", "aiosmtpd", "-n", "-l", &format!("127.0.0.1:{port}"), "-c", "aiosmtpd.handlers.Mailbox"]);
        let child = command.arg(folder.path().join("box")).stderr(Stdio::null()).spawn().unwrap();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(Self { child, folder, url: format!("smtp://127.0.0.1:{port}") })
    }

    /// Waits for a mail to this address and takes it out.
    pub async fn mail(&self, to: &str) -> String {
        for _ in 0..3_000 {
            if let Some(text) = self.taken(to) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no mail came to {to}");
    }

    /// The token of the link `name` in the next mail to this address.
    pub async fn token(&self, to: &str, name: &str) -> String {
        let mail = self.mail(to).await;
        let rest = mail.split(&format!("/account#{name}=")).nth(1).unwrap_or_else(|| panic!("no link in {mail}"));
        rest.split_whitespace().next().unwrap().to_owned()
    }

    /// Every mail to this address that nobody took out, the oldest first.
    pub fn all(&self, to: &str) -> Vec<String> {
        self.files(to).into_iter().map(|(_, text)| unfolded(&text)).collect()
    }

    fn files(&self, to: &str) -> Vec<(PathBuf, String)> {
        let entries = std::fs::read_dir(self.folder.path().join("box/new")).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries.collect();
        files.sort_by_key(|file| file.metadata().and_then(|m| m.modified()).ok());
        let texts = files.into_iter().map(|file| (file.path(), std::fs::read_to_string(file.path()).unwrap()));
        let is_to = |text: &str| text.lines().any(|l| l == format!("To: {to}") || l == format!("X-RcptTo: {to}"));
        texts.filter(|(_, text)| is_to(text)).collect()
    }

    fn taken(&self, to: &str) -> Option<String> {
        let (path, text) = self.files(to).into_iter().next()?;
        std::fs::remove_file(path).unwrap();
        Some(unfolded(&text))
    }
}

/// The text, with quoted-printable's soft breaks and `=3D` undone.
fn unfolded(text: &str) -> String {
    text.replace("\r\n", "\n").replace("=\n", "").replace("=3D", "=")
}
