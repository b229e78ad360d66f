//! A mail server that nobody here wrote: aiosmtpd, which `.ci/test` installs, keeping what it takes in a folder.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

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
        let python = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../aiosmtpd/bin/python");
        if !python.exists() {
            engine::testkit::skip("aiosmtpd is not installed: `.ci/test` does that");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
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
        for _ in 0..500 {
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
        let rest = mail.split(&format!("/base/account#{name}=")).nth(1).unwrap_or_else(|| panic!("no link in {mail}"));
        rest.split_whitespace().next().unwrap().to_owned()
    }

    fn taken(&self, to: &str) -> Option<String> {
        let mut files: Vec<_> = std::fs::read_dir(self.folder.path().join("box/new")).ok()?.flatten().collect();
        files.sort_by_key(|file| file.metadata().and_then(|m| m.modified()).ok());
        for file in files {
            let text = std::fs::read_to_string(file.path()).unwrap();
            if text.lines().any(|line| line == format!("To: {to}") || line == format!("X-RcptTo: {to}")) {
                std::fs::remove_file(file.path()).unwrap();
                return Some(unfolded(&text));
            }
        }
        None
    }
}

/// The text, with quoted-printable's soft breaks and `=3D` undone.
fn unfolded(text: &str) -> String {
    text.replace("\r\n", "\n").replace("=\n", "").replace("=3D", "=")
}
