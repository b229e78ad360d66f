//! One user with a thousand AREAs on one mailbox: what they cost of Gmail's quota beside a poll for each AREA, which is counted and
//! not measured; and what a thousand mails cost the daemon, each of which is for one of the AREAs. The mailbox is served here: what is
//! measured is the daemon's own CPU.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use engine::clock::Clock;
use engine::ids::{AccountId, UserId};
use engine::store::people;
use engine::{on, on_write};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::daemon::{Daemon, Install};
use crate::table::{Aim, Table};
use crate::{Kit, machine};

const AREAS: usize = 1_000;
const MAILS: usize = 1_000;
/// Between two polls, in seconds: the floor of the action.
const EVERY: usize = 15;
/// Of `history.list`, by Google's table.
const UNITS: usize = 2;
const WATCHED: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(300);
/// Entries of the history in one answer.
const PAGE: usize = 100;
const EMAIL: &str = "ann@example.org";

const LINK: &str =
    "INSERT INTO next_auth_accounts (id, type, provider, \"providerAccountId\", \"userId\", access_token,
    expires_at, scope) VALUES ($1, 'oauth', 'google', 'ann', $2, 'plain', $3, 'https://www.googleapis.com/auth/gmail.readonly')";
const DONE: &str = "SELECT COUNT(*) FROM runs WHERE state = 'done'";

/// How many mails came in so far.
type Mails = Arc<AtomicUsize>;

pub fn run(kit: &mut Kit, table: &mut Table) {
    let mails = Mails::default();
    let url = kit.runtime.block_on(serve(Arc::clone(&mails)));
    for install in kit.installs() {
        mails.store(0, Ordering::SeqCst);
        let token = token(&install);
        let account = kit.runtime.block_on(link(&install));
        let daemon = install.start_with(&[
            ("AREA_SAMPLES__LOAD", "false"),
            ("AREA_LOG__FILTER", "error"),
            ("AREA_PROVIDERS__GOOGLE__APIS__GMAIL", &url),
            ("AREA_PROVIDERS__GOOGLE__CLIENT_ID", "area"),
            ("AREA_PROVIDERS__GOOGLE__CLIENT_SECRET", "secret"),
            // What a mail costs is asked here, not how many a minute Google allows.
            ("AREA_PROVIDERS__GOOGLE__ACCOUNT_QUOTA__GMAIL", "100000000/1m"),
            ("AREA_PROVIDERS__GOOGLE__APP_QUOTA__GMAIL", "100000000/1m"),
        ]);
        kit.runtime.block_on(make(&daemon, &token, account));
        let what = |figure: &str| format!("{}: {AREAS} AREAs on one mailbox, {figure}", install.label);
        kit.sleep(Duration::from_secs(2 * EVERY as u64));
        let began = units(&daemon);
        kit.sleep(WATCHED);
        let an_hour = (units(&daemon) - began) * 3_600.0 / WATCHED.as_secs_f64();
        let apart = (AREAS * UNITS * 3_600 / EVERY) as f64;
        table.ratio(&what("quota"), "units/h", an_hour, apart, Aim::AtMost(0.01));
        let (cpu, took) = kit.runtime.block_on(arrived(&install, &daemon, &mails));
        table.figure(&what("CPU of 1,000 mails"), "s", cpu, "");
        table.figure(&what("1,000 mails reacted to after"), "s", took, "");
    }
}

fn units(daemon: &Daemon) -> f64 {
    daemon.metric("area_api_units_total{provider=\"google\",api=\"gmail\"}").unwrap()
}

/// A token of the user, by the command line.
fn token(install: &Install) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_area"));
    command.args(["token", "create", "--email", EMAIL]).current_dir(install.folder.path()).env_clear();
    let ran = command.env("AREA_DATABASE_URL", &install.url).output().unwrap();
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

async fn link(install: &Install) -> AccountId {
    let (db, id) = (install.db().await, AccountId::new());
    let user: UserId = people::by_email(&db, EMAIL).await.unwrap().unwrap().id;
    let expires = Clock::system().now().timestamp() + 36_000;
    on_write!(&db, pool => sqlx::query(LINK).bind(id).bind(user).bind(expires).execute(pool).await.map(drop)).unwrap();
    db.close().await;
    id
}

/// The AREAs, each for the mails with its word in the subject.
async fn make(daemon: &Daemon, token: &str, account: AccountId) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for number in 0..AREAS {
        let area = json!({
            "name": format!("Mail {number}"),
            "action": {"service": "google", "name": "new_mail", "account": account, "every": format!("{EVERY}s"),
                "data": {"query": format!("subject:nr{number}x")}},
            "reactions": [{"service": "log", "name": "write", "data": {"text": "{{ event.subject }}"}}],
        });
        let request = http.post(format!("http://127.0.0.1:{}/v1/areas", daemon.port)).bearer_auth(token).json(&area);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    }
}

/// The mails come in at once: the daemon's CPU until all of them are reacted to, and how long that took, in seconds.
async fn arrived(install: &Install, daemon: &Daemon, mails: &Mails) -> (f64, f64) {
    let db = install.db().await;
    let (cpu, began) = (machine::cpu(daemon.pid()), Instant::now());
    mails.store(MAILS, Ordering::SeqCst);
    loop {
        let (done,): (i64,) = on!(&db, pool => sqlx::query_as(DONE).fetch_one(pool).await).unwrap();
        if done >= MAILS as i64 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "only {done} of {MAILS} mails were reacted to");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    db.close().await;
    (machine::cpu(daemon.pid()) - cpu, began.elapsed().as_secs_f64())
}

/// A Gmail with one mailbox.
async fn serve(mails: Mails) -> String {
    let routes = Router::new()
        .route(
            "/gmail/v1/users/me/profile",
            get(async |State(mails): State<Mails>| Json(json!({ "historyId": newest(&mails) }))),
        )
        .route("/gmail/v1/users/me/messages", get(async || Json(json!({}))))
        .route("/gmail/v1/users/me/labels", get(async || Json(json!({ "labels": [{"id": "INBOX", "name": "INBOX"}] }))))
        .route("/gmail/v1/users/me/history", get(history))
        .route("/batch/gmail/v1", post(batch))
        .with_state(mails);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

/// The history's newest id: the number of mails, from 1.
fn newest(mails: &Mails) -> String {
    (mails.load(Ordering::SeqCst) + 1).to_string()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Since {
    start_history_id: usize,
}

async fn history(State(mails): State<Mails>, Query(since): Query<Since>) -> Json<Value> {
    let (from, to) = (since.start_history_id, mails.load(Ordering::SeqCst) + 1);
    let entry = |id: usize| {
        let message = json!({ "id": format!("m{id}"), "threadId": format!("m{id}"), "labelIds": ["INBOX"] });
        json!({ "id": id.to_string(), "messagesAdded": [{ "message": message }] })
    };
    let page: Vec<Value> = (from + 1..=to.min(from + PAGE)).map(entry).collect();
    let more = (from + PAGE < to).then_some("more");
    Json(json!({ "history": page, "historyId": newest(&mails), "nextPageToken": more }))
}

/// The mails that are asked for, each a part.
async fn batch(body: String) -> impl IntoResponse {
    let ids = body.split("/messages/").skip(1).map(|rest| rest.split(['?', ' ']).next().unwrap());
    let parts = ids.enumerate().map(|(number, id)| {
        format!(
            "--b\r\nContent-Type: application/http\r\nContent-ID: <response-item-{number}>\r\n\r\nHTTP/1.1 200 OK\r\n\
             Content-Type: application/json\r\n\r\n{}\r\n",
            mail(id)
        )
    });
    ([(CONTENT_TYPE, "multipart/mixed; boundary=b")], format!("{}--b--\r\n", parts.collect::<String>()))
}

fn mail(id: &str) -> Value {
    let number: usize = id.trim_start_matches('m').parse().unwrap();
    let header = |name: &str, value: String| json!({ "name": name, "value": value });
    let text = format!("Dear Ann,\nthis is mail {number}.\n{}", "All of it is text. ".repeat(100));
    json!({
        "id": id, "threadId": id, "labelIds": ["INBOX", "UNREAD"], "snippet": "Dear Ann", "sizeEstimate": 2_500,
        "internalDate": Clock::system().now().timestamp_millis().to_string(), "historyId": number.to_string(),
        "payload": {
            "mimeType": "text/plain", "partId": "", "filename": "",
            "headers": [
                header("From", "Shop <shop@example.org>".into()), header("To", EMAIL.into()),
                header("Subject", format!("Invoice nr{}x", number % AREAS)), header("Message-ID", format!("<{number}@example.org>")),
                header("Content-Type", "text/plain; charset=utf-8".into()),
            ],
            "body": { "size": text.len(), "data": URL_SAFE.encode(&text) },
        },
    })
}
