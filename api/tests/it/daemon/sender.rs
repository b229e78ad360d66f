//! A sender of webhooks as services are: signed by the library of Standard Webhooks, and sent again, under the same id with the same
//! body, until somebody takes it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::clock::Clock;
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::time::Instant;

use super::process::client;

/// The secret that both sides know.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(25);

/// A sender to one or more URLs of the same hook, taken in turn.
#[derive(Clone)]
pub struct Sender {
    urls: Vec<String>,
    http: reqwest::Client,
    answers: Arc<Mutex<BTreeMap<u16, u64>>>,
}

impl Sender {
    /// A sender that nobody has answered yet.
    pub fn new(urls: Vec<String>) -> Self {
        Self { urls, http: client(), answers: Arc::default() }
    }

    /// The same, to the node at `other` as well as to that at `url`.
    pub fn also_at(&self, url: &str, other: &str) -> Self {
        Self::new(vec![self.urls[0].clone(), self.urls[0].replace(url, other)])
    }

    /// The same, to the first URL alone.
    pub fn first_alone(&self) -> Self {
        Self::new(vec![self.urls[0].clone()])
    }

    /// Sends until it is accepted; false when it was not within `within`.
    pub async fn send(&self, id: &str, body: &Value, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let text = body.to_string();
        let mut tries = id.len();
        while Instant::now() < deadline {
            tries += 1;
            let status = self.once(&self.urls[tries % self.urls.len()], id, &text).await;
            *self.answers.lock().unwrap_or_else(PoisonError::into_inner).entry(status).or_default() += 1;
            match status {
                202 => return true,
                0 | 429 | 503 => tokio::time::sleep(AGAIN).await,
                status => panic!("a hook was answered {status}"),
            }
        }
        false
    }

    /// One try: the status, 0 where there was no answer.
    pub async fn once(&self, url: &str, id: &str, text: &str) -> u16 {
        let at = Clock::system().now().timestamp();
        let signature = Webhook::new(SECRET).unwrap().sign(id, at, text.as_bytes()).unwrap();
        let request = self.http.post(url).header("content-type", "application/json");
        let request = request.header("webhook-id", id).header("webhook-timestamp", at.to_string());
        let answer = request.header("webhook-signature", signature).body(text.to_owned()).send().await;
        answer.map_or(0, |answer| answer.status().as_u16())
    }

    /// How often each status was the answer; 0: none at all.
    pub fn answers(&self) -> BTreeMap<u16, u64> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
