//! The Google emulator of others, strict: what it did not issue, or no longer stands, is refused. What it has not is a fake of ours; both
//! may stand behind Prism, which holds each request and each answer of the APIs to Google's own description.

use std::path::Path;

use serde_json::{Value, json};
use url::Url;

use super::Peer;
use super::browser::{Browser, to};
use super::discovery::Discovery;
use crate::daemon::free_port;

/// Its client, as `google-seed.json` says.
pub const CLIENT: (&str, &str) = ("area-google.apps.googleusercontent.com", "GOCSPX-area-secret");

const SEED: (&str, &str) = ("SEED", "google-seed.json");

/// The running emulator.
pub struct Google {
    peer: Peer,
    prism: Option<Peer>,
    discovery: Option<Discovery>,
    http: reqwest::Client,
}

impl Google {
    /// Starts it.
    pub async fn start() -> Option<Self> {
        let peer = Peer::start("google-strict.mjs", &[SEED]).await?;
        Some(Self { peer, prism: None, discovery: None, http: reqwest::Client::builder().no_proxy().build().unwrap() })
    }

    /// Starts it with Prism before its APIs.
    pub async fn checked() -> Option<Self> {
        let discovery = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../google-discovery");
        if !discovery.join("version").exists() {
            engine::testkit::skip("Google's discovery documents are not installed: `.ci/test` does that");
            return None;
        }
        // Each knows where the other is: the parts of a batch are checked one by one.
        let port = free_port();
        let checked = ("CHECKED", &*format!("http://127.0.0.1:{port}"));
        let peer = Peer::start("google-strict.mjs", &[SEED, checked]).await?;
        let env = [("DISCOVERY", discovery.to_str()?), ("UPSTREAM", &peer.url)];
        let prism = Some(Peer::start_on(port, "google-prism.mjs", &env).await?);
        let discovery = Some(Discovery::read(&discovery));
        Some(Self { peer, prism, discovery, http: reqwest::Client::builder().no_proxy().build().unwrap() })
    }

    /// Where its APIs are, as the daemon is told.
    pub fn apis(&self) -> [(String, String); 4] {
        let url = self.prism.as_ref().map_or(self.url(), |prism| &prism.url);
        let apis = [("gmail", ""), ("calendar", "/calendar/v3"), ("drive", "/drive/v3"), ("sheets", "")];
        apis.map(|(api, path)| (format!("providers.google.apis.{api}"), format!("{url}{path}")))
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.peer.url
    }

    /// What does not follow Google's description, of requests and of answers.
    pub async fn refused(&self) -> Vec<String> {
        let (Some(prism), Some(discovery)) = (&self.prism, &self.discovery) else { return Vec::new() };
        let mut refused = prism.refused();
        for entry in self.log().await {
            let path = entry["path"].as_str().unwrap();
            if ["/gmail/", "/upload/", "/calendar/", "/drive/", "/v4/"].iter().any(|api| path.starts_with(api)) {
                refused.extend(discovery.unknown(entry["method"].as_str().unwrap(), path));
            }
        }
        refused
    }

    /// The person with this address chooses their account and consents: where the browser goes then.
    pub async fn consented(&self, authorize_url: &Url, email: &str) -> Url {
        let mut browser = Browser::default();
        let page = browser.get(authorize_url.as_str()).await.text().await.unwrap();
        let forms = page.split("<form").skip(1).map(|form| form.split("</form>").next().unwrap());
        let form = forms.map(hidden).find(|form| form.iter().any(|(name, value)| name == "email" && value == email));
        let form = form.unwrap_or_else(|| panic!("no {email} in {page}"));
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = browser.post(&format!("{}/o/oauth2/v2/auth/callback", self.url()), &form).await;
        Url::parse(to(&answer)).unwrap()
    }

    /// Every access token dies.
    pub async fn expire(&self) {
        self.told("expire", json!({})).await;
    }

    /// Every refresh token dies.
    pub async fn drop_refresh(&self) {
        self.told("drop-refresh", json!({})).await;
    }

    /// The next answer of a path is this status.
    pub async fn fails(&self, path: &str, status: u16) {
        self.told("fault", json!({ "match": path, "status": status, "body": "down" })).await;
    }

    /// The next request of this method to a path is done, and its answer lost: this status is in its place.
    pub async fn loses(&self, method: &str, path: &str, status: u16) {
        let fault = json!({ "match": path, "method": method, "status": status, "body": "down", "after": true });
        self.told("fault", fault).await;
    }

    /// Does something as a person would, without any token: the answer.
    pub async fn acts(&self, email: &str, method: &str, path: &str, body: Option<Value>) -> Value {
        let what = json!({ "email": email, "method": method, "path": path, "body": body });
        let answer = self.http.post(format!("{}/__ctl/as", self.url())).json(&what).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{method} {path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The next `times` answers of this method to a path are this status.
    pub async fn refuses(&self, method: &str, path: &str, status: u16, times: u32) {
        let fault = json!({ "match": path, "method": method, "status": status, "times": times, "body": "down" });
        self.told("fault", fault).await;
    }

    /// No answer is a fault any more.
    pub async fn heals(&self) {
        self.told("heal", json!({})).await;
    }

    /// Somebody does something in a calendar, a Drive or a sheet: how it all stands then. See `google-fake.mjs`.
    pub async fn put(&self, what: Value) -> Value {
        self.told("put", what).await
    }

    /// Every place in a list that was given until now is dead.
    pub async fn forgets(&self) {
        self.told("forget", json!({})).await;
    }

    /// What it answered to a path, the oldest first.
    pub async fn answered(&self, path: &str) -> Vec<u64> {
        let there = |entry: &&Value| entry["path"].as_str().unwrap().split('?').next() == Some(path);
        self.log().await.iter().filter(there).map(|entry| entry["status"].as_u64().unwrap()).collect()
    }

    async fn log(&self) -> Vec<Value> {
        self.http.get(format!("{}/__ctl/log", self.url())).send().await.unwrap().json().await.unwrap()
    }

    async fn told(&self, what: &str, body: Value) -> Value {
        let answer = self.http.post(format!("{}/__ctl/{what}", self.url())).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }
}

/// The fields of a form that nobody sees.
fn hidden(form: &str) -> Vec<(String, String)> {
    let attribute = |input: &str, name: &str| {
        let value = input.split(&format!("{name}=\"")).nth(1)?.split('"').next()?;
        Some(value.replace("&amp;", "&").replace("&quot;", "\"").replace("&#39;", "'"))
    };
    let inputs = form.split("<input").skip(1).map(|input| input.split('>').next().unwrap_or_default());
    inputs
        .filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value").unwrap_or_default())))
        .collect()
}
