//! A real browser: Chromium without a window, driven through its own WebDriver server (https://www.w3.org/TR/webdriver2/). The crates
//! that speak WebDriver turn on features of serde_json that the product does not have.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

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

/// The member that holds an element's name.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The browser with one page. Dropped: killed with all its processes.
pub struct Chromium {
    driver: Child,
    http: reqwest::Client,
    /// Of its WebDriver session.
    url: String,
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
        let (http, root) = (client(), format!("http://127.0.0.1:{port}"));
        assert!(until(SOON, async || http.get(format!("{root}/status")).send().await.is_ok()).await, "no chromedriver");
        let profile = tempfile::tempdir().unwrap();
        let mut flags: Vec<String> = FLAGS.map(str::to_owned).into();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let mut this = Self { driver, http, url: root, _profile: profile };
        let wanted = json!({ "alwaysMatch": { "browserName": "chrome", "goog:chromeOptions": { "args": flags } } });
        let session = this.asks(Method::POST, "/session", json!({ "capabilities": wanted })).await;
        this.url += &format!("/session/{}", session["sessionId"].as_str().unwrap());
        Some(this)
    }

    /// Opens an address, as if it was typed.
    pub async fn open(&self, url: &str) {
        // The same page with another fragment would not be loaded anew.
        for url in ["about:blank", url] {
            self.does("/url", json!({ "url": url })).await;
        }
    }

    /// Types into the field with this id.
    pub async fn types(&self, id: &str, text: &str) {
        let field = self.one(&format!("#{id}")).await;
        self.does(&format!("{field}/clear"), json!({})).await;
        self.does(&format!("{field}/value"), json!({ "text": text })).await;
    }

    /// Presses the one button.
    pub async fn presses(&self) {
        let button = self.one("button").await;
        self.does(&format!("{button}/click"), json!({})).await;
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

    /// Where it is.
    pub async fn at(&self) -> String {
        text_of(self.gets("/url").await)
    }

    /// Whether the field with this id is to be seen.
    pub async fn sees(&self, id: &str) -> bool {
        let field = self.one(&format!("#{id}")).await;
        self.gets(&format!("{field}/displayed")).await == true
    }

    /// A property of the page's style: whether that was let in.
    pub async fn style(&self, property: &str) -> String {
        let main = self.one("main").await;
        text_of(self.gets(&format!("{main}/css/{property}")).await)
    }

    /// Follows the one link, which opens a page of its own.
    pub async fn follows(&self) {
        let before = self.pages().await;
        let link = self.one("a").await;
        self.does(&format!("{link}/click"), json!({})).await;
        assert!(until(SOON, async || self.pages().await.len() > before.len()).await, "no page opens");
        let new = self.pages().await.into_iter().find(|page| !before.contains(page));
        self.does("/window", json!({ "handle": new })).await;
    }

    /// Closes this page and goes back to the one that it was opened from.
    pub async fn closes(&self) {
        let left = self.asks(Method::DELETE, "/window", Value::Null).await;
        self.does("/window", json!({ "handle": left[0] })).await;
    }

    /// Loads the page again, with what was sent for it.
    pub async fn loads_again(&self) {
        self.does("/refresh", json!({})).await;
    }

    /// Forgets every cookie of the page's origin: as another browser would be.
    pub async fn forgets(&self) {
        self.asks(Method::DELETE, "/cookie", Value::Null).await;
    }

    /// What the page shows; nothing while it loads.
    async fn text(&self) -> String {
        let Ok(body) = self.found("body").await else { return String::new() };
        self.sends(Method::GET, &format!("{body}/text"), Value::Null).await.map(text_of).unwrap_or_default()
    }

    async fn pages(&self) -> Vec<Value> {
        self.gets("/window/handles").await.as_array().unwrap().clone()
    }

    /// The path of the first element that fits.
    async fn one(&self, selector: &str) -> String {
        self.found(selector).await.unwrap()
    }

    async fn found(&self, selector: &str) -> Result<String, Value> {
        let by = json!({ "using": "css selector", "value": selector });
        let found = self.sends(Method::POST, "/element", by).await?;
        Ok(format!("/element/{}", found[ELEMENT].as_str().unwrap()))
    }

    async fn gets(&self, path: &str) -> Value {
        self.asks(Method::GET, path, Value::Null).await
    }

    async fn does(&self, path: &str, body: Value) {
        self.asks(Method::POST, path, body).await;
    }

    async fn asks(&self, method: Method, path: &str, body: Value) -> Value {
        self.sends(method, path, body).await.unwrap()
    }

    /// What a command gives, or the error that it ends with.
    async fn sends(&self, method: Method, path: &str, body: Value) -> Result<Value, Value> {
        let request = self.http.request(method, format!("{}{path}", self.url)).timeout(SOON);
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        let answer = request.send().await.unwrap();
        let (fine, text) = (answer.status().is_success(), answer.text().await.unwrap());
        let mut said: Value = serde_json::from_str(&text).unwrap();
        let value = said["value"].take();
        if fine { Ok(value) } else { Err(value) }
    }
}

fn text_of(value: Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
