//! The Google emulator of others, strict: what it did not issue, or no longer stands, is refused.

use serde_json::{Value, json};
use url::Url;

use super::Peer;
use super::browser::{Browser, to};
use crate::daemon::free_port;

/// Its client, as `google-seed.json` says.
pub const CLIENT: (&str, &str) = ("area-google.apps.googleusercontent.com", "GOCSPX-area-secret");

/// The running emulator.
pub struct Google {
    peer: Peer,
    http: reqwest::Client,
}

impl Google {
    /// Starts it.
    pub async fn start() -> Option<Self> {
        let peer = Peer::start_on(free_port(), "google-strict.mjs", &[("SEED", "google-seed.json")]).await?;
        Some(Self { peer, http: reqwest::Client::builder().no_proxy().build().unwrap() })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.peer.url
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

    /// What it answered to a path, the oldest first.
    pub async fn answered(&self, path: &str) -> Vec<u64> {
        let log: Value = self.http.get(format!("{}/__ctl/log", self.url())).send().await.unwrap().json().await.unwrap();
        let there = |entry: &&Value| entry["path"].as_str().unwrap().split('?').next() == Some(path);
        log.as_array().unwrap().iter().filter(there).map(|entry| entry["status"].as_u64().unwrap()).collect()
    }

    async fn told(&self, what: &str, body: Value) {
        let answer = self.http.post(format!("{}/__ctl/{what}", self.url())).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
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
