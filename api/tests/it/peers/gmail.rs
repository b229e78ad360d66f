//! A Gmail with one mailbox, as large as one likes: `m1` is its oldest mail. For what the emulator of others is too slow, here and in
//! the benchmark. It notes what each request costs by Google's table, and when it came.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use engine::clock::Clock;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

/// Mails until a subject comes again.
pub const SUBJECTS: usize = 1_000;

/// The server. It lives as long as its runtime.
pub struct Gmail {
    /// Where it is.
    pub url: String,
    mailbox: Arc<Mailbox>,
}

#[derive(Default)]
struct Mailbox {
    mails: AtomicUsize,
    spent: Mutex<Vec<(Instant, u32)>>,
}

impl Gmail {
    /// Starts it on a free port, with an empty mailbox.
    pub async fn start() -> Self {
        let mailbox = Arc::<Mailbox>::default();
        let routes = Router::new()
            .route("/gmail/v1/users/me/profile", get(profile))
            .route("/gmail/v1/users/me/messages", get(list))
            .route("/gmail/v1/users/me/history", get(history))
            .route("/batch/gmail/v1", post(batch))
            .with_state(Arc::clone(&mailbox));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, mailbox }
    }

    /// The mailbox holds so many mails from now on.
    pub fn holds(&self, mails: usize) {
        self.mailbox.mails.store(mails, Ordering::SeqCst);
    }

    /// What was spent so far, in order: when, and how many units.
    pub fn spent(&self) -> Vec<(Instant, u32)> {
        self.mailbox.spent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Mailbox {
    fn spend(&self, units: u32) {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), units));
    }

    fn mails(&self) -> usize {
        self.mails.load(Ordering::SeqCst)
    }

    /// The history's newest id: one above the number of mails, so that it is no zero.
    fn newest(&self) -> String {
        (self.mails() + 1).to_string()
    }
}

async fn profile(State(mailbox): State<Arc<Mailbox>>) -> Json<Value> {
    mailbox.spend(1);
    Json(json!({ "historyId": mailbox.newest() }))
}

/// What is searched for is never there: a mailbox is watched from its beginning.
async fn list(State(mailbox): State<Arc<Mailbox>>) -> Json<Value> {
    mailbox.spend(5);
    Json(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Since {
    start_history_id: usize,
    max_results: usize,
}

async fn history(State(mailbox): State<Arc<Mailbox>>, Query(since): Query<Since>) -> Json<Value> {
    mailbox.spend(2);
    let (known, mails) = (since.start_history_id - 1, mailbox.mails());
    let entry = |mail: usize| {
        let message = json!({ "id": format!("m{mail}"), "threadId": format!("m{mail}"), "labelIds": ["INBOX"] });
        json!({ "id": (mail + 1).to_string(), "messagesAdded": [{ "message": message }] })
    };
    let last = mails.min(known + since.max_results);
    let page: Vec<Value> = (known + 1..=last).map(entry).collect();
    Json(json!({ "history": page, "historyId": mailbox.newest(), "nextPageToken": (last < mails).then_some("more") }))
}

/// The labels, and the mails that are asked for, each a part.
async fn batch(State(mailbox): State<Arc<Mailbox>>, body: String) -> impl IntoResponse {
    let paths = body.split("\r\nGET /gmail/v1/users/me/").skip(1).map(|rest| rest.split(['?', ' ']).next().unwrap());
    let mut units = 0;
    let part = |(number, path): (usize, &str)| {
        let answer = match path.strip_prefix("messages/m") {
            Some(mail) => (20, mail_of(mail.parse().unwrap())),
            None => (1, json!({ "labels": [{"id": "INBOX", "name": "INBOX"}] })),
        };
        units += answer.0;
        format!(
            "--b\r\nContent-Type: application/http\r\nContent-ID: <response-item-{number}>\r\n\r\nHTTP/1.1 200 OK\r\n\
             Content-Type: application/json\r\n\r\n{}\r\n",
            answer.1
        )
    };
    let parts: String = paths.enumerate().map(part).collect();
    mailbox.spend(units);
    ([(CONTENT_TYPE, "multipart/mixed; boundary=b")], format!("{parts}--b--\r\n"))
}

fn mail_of(number: usize) -> Value {
    let header = |name: &str, value: String| json!({ "name": name, "value": value });
    let now = Clock::system().now().timestamp_millis().to_string();
    let text = format!("Dear Ann,\nthis is mail {number}.\n{}", "All of it is text. ".repeat(100));
    json!({
        "id": format!("m{number}"), "threadId": format!("m{number}"), "labelIds": ["INBOX", "UNREAD"],
        "snippet": "Dear Ann", "sizeEstimate": 2_500, "internalDate": now, "historyId": number.to_string(),
        "payload": {
            "mimeType": "text/plain", "partId": "", "filename": "",
            "headers": [
                header("From", "Shop <shop@example.org>".into()), header("To", "ann@example.org".into()),
                header("Subject", format!("Invoice nr{}x", number % SUBJECTS)), header("Message-ID", format!("<{number}@example.org>")),
                header("Content-Type", "text/plain; charset=utf-8".into()),
            ],
            "body": { "size": text.len(), "data": URL_SAFE.encode(&text) },
        },
    })
}
