//! An nginx that serves files which the test replaces while they are read.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::process::client;
use super::{free_port, until};

/// Only what is needed, everything inside the folder that nginx is started in.
const CONFIG: &str = "
daemon off; master_process off; pid nginx.pid; error_log error.log;
events { worker_connections 512; }
http {
  access_log off;
  types { application/json json; application/rss+xml xml; }
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  server { listen PORT; root www; }
}";

/// The server. Dropped: killed.
pub struct Feeder {
    /// Where it is.
    pub url: String,
    folder: TempDir,
    child: Child,
}

impl Feeder {
    /// Starts it; `None` where nginx is not installed.
    pub async fn start() -> Option<Self> {
        let Some(nginx) = find() else {
            engine::testkit::skip("nginx is not installed");
            return None;
        };
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        std::fs::create_dir(folder.path().join("www")).unwrap();
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        std::fs::write(folder.path().join("conf"), CONFIG.replace("PORT", &port.to_string())).unwrap();
        let mut command = Command::new(nginx);
        command.arg("-p").arg(folder.path()).arg("-c").arg(folder.path().join("conf"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let feeder = Self { url: format!("http://127.0.0.1:{port}"), folder, child };
        let (http, url) = (client(), format!("{}/", feeder.url));
        let up = until(Duration::from_secs(60), async || http.get(&url).send().await.is_ok()).await;
        let log = std::fs::read_to_string(feeder.folder.path().join("error.log")).unwrap_or_default();
        assert!(up, "nginx does not start\n{log}");
        Some(feeder)
    }

    /// Its files.
    pub fn www(&self) -> Www {
        Www(self.folder.path().to_owned())
    }
}

/// The files that it serves.
#[derive(Clone)]
pub struct Www(PathBuf);

impl Www {
    /// Replaces a file at once, as a site that is published anew does.
    pub fn put(&self, name: &str, text: &str) {
        let new = self.0.join(format!("{name}.new"));
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.0.join("www").join(name)).unwrap();
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps it where only root looks.
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("nginx")).find(|file| file.is_file())
}
