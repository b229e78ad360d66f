//! A real browser: Chromium without a window, driven by its own WebDriver server.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use thirtyfour::prelude::*;

use crate::daemon::process::client;
use crate::daemon::{free_port, until};

/// How long a page may take on a machine that does much else.
const SOON: Duration = Duration::from_secs(60);
/// Tests may run as root, where Chromium's own sandbox does not; nothing is asked of the network.
const FLAGS: [&str; 7] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
];

/// The browser with one page. Dropped: killed with all its processes.
pub struct Chromium {
    driver: Child,
    page: WebDriver,
    _profile: TempDir,
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-s", "KILL", "--", &format!("-{}", self.driver.id())]).status();
        let _ = self.driver.wait();
    }
}

impl Chromium {
    /// Starts it with a profile of its own; `None` where it is not installed (a failure in CI).
    pub async fn start() -> Option<Self> {
        let port = free_port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(driver) = command.process_group(0).spawn() else {
            engine::testkit::skip("there is no chromedriver: `.ci/test` installs chromium-driver");
            return None;
        };
        let url = format!("http://127.0.0.1:{port}");
        assert!(
            until(SOON, async || client().get(format!("{url}/status")).send().await.is_ok()).await,
            "no chromedriver"
        );
        let profile = tempfile::tempdir().unwrap();
        let mut wanted = DesiredCapabilities::chrome();
        for flag in FLAGS {
            wanted.add_arg(flag).unwrap();
        }
        wanted.add_arg(&format!("--user-data-dir={}", profile.path().display())).unwrap();
        let page = WebDriver::new(&url, wanted).await.unwrap();
        Some(Self { driver, page, _profile: profile })
    }

    /// Opens an address, as if it was typed.
    pub async fn open(&self, url: &str) {
        // The same page with another fragment would not be loaded anew.
        self.page.goto("about:blank").await.unwrap();
        self.page.goto(url).await.unwrap();
    }

    /// Types into the field with this id.
    pub async fn types(&self, id: &str, text: &str) {
        let field = self.page.find(By::Id(id)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Presses the one button that is seen.
    pub async fn presses(&self) {
        self.page.find(By::Tag("button")).await.unwrap().click().await.unwrap();
    }

    /// Waits until the page shows this text; what is hidden does not count.
    pub async fn shows(&self, text: &str) {
        let mut seen = String::new();
        let there = until(SOON, async || {
            seen = self.text().await;
            seen.contains(text)
        });
        assert!(there.await, "`{text}` is not shown at {}: {seen}", self.at().await);
    }

    /// What the page shows.
    pub async fn text(&self) -> String {
        match self.page.find(By::Tag("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Where it is.
    pub async fn at(&self) -> String {
        self.page.current_url().await.unwrap().to_string()
    }

    /// Whether the field with this id is to be seen.
    pub async fn sees(&self, id: &str) -> bool {
        self.page.find(By::Id(id)).await.unwrap().is_displayed().await.unwrap()
    }

    /// The colour behind the page's text: whether its style was let in.
    pub async fn style(&self, property: &str) -> String {
        self.page.find(By::Tag("main")).await.unwrap().css_value(property).await.unwrap()
    }

    /// Follows the one link, which opens a page of its own.
    pub async fn follows(&self) {
        let before = self.page.windows().await.unwrap();
        self.page.find(By::Tag("a")).await.unwrap().click().await.unwrap();
        assert!(until(SOON, async || self.page.windows().await.unwrap().len() > before.len()).await, "no page opens");
        let new = self.page.windows().await.unwrap().into_iter().find(|page| !before.contains(page));
        self.page.switch_to_window(new.unwrap()).await.unwrap();
    }

    /// Closes this page and goes back to the one that it was opened from.
    pub async fn closes(&self) {
        self.page.close_window().await.unwrap();
        let left = self.page.windows().await.unwrap().remove(0);
        self.page.switch_to_window(left).await.unwrap();
    }

    /// Loads the page again, with what was sent for it.
    pub async fn loads_again(&self) {
        self.page.refresh().await.unwrap();
    }

    /// Forgets every cookie of the page's origin: as another browser would be.
    pub async fn forgets(&self) {
        self.page.delete_all_cookies().await.unwrap();
    }
}
