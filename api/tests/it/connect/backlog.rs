//! A backlog of ten thousand mails, by the real daemon at a large mailbox: each is reacted to once and in order, as fast as the quota
//! lets it and no faster.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::World;
use crate::daemon::{Receiver, until};
use crate::kit::Area;
use crate::peers::Gmail;

const MAILS: usize = 10_000;
/// What the account may spend, in units, and the time in which it may. A sixth of it is given at once, the rest evenly.
const QUOTA: (u32, Duration) = (90_000, Duration::from_secs(30));
/// Later than it was counted a call may reach Gmail by so much, on a machine that does much else.
const LATE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(240);

#[tokio::test]
async fn a_backlog_of_ten_thousand_mails_is_reacted_to_once_each_in_order_within_the_quota() {
    let (gmail, receiver, area) = (Gmail::start().await, Receiver::start().await, Area::new());
    let quota = format!("{}/{}s", QUOTA.0, QUOTA.1.as_secs());
    let google =
        [("apis.gmail", &*gmail.url), ("account_quota.gmail", &quota), ("client_id", "a"), ("client_secret", "b")];
    let google = google.map(|(key, value)| (format!("providers.google.{key}"), value.to_owned()));
    // One poll goes on until the quota stops it.
    let rest = [("net.allow", "127.0.0.0/8"), ("limits.pages_per_poll", "1000")];
    let rest = rest.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let w = World::with(area, &[&google[..], &rest].concat());
    let account = w.area.linked("google", "https://www.googleapis.com/auth/gmail.readonly").await;
    let document = json!({
        "name": "Each mail",
        "action": {"service": "google", "name": "new_mail", "account": account, "every": "15s"},
        "reactions": [{"service": "http", "name": "request", "data": {
            "method": "POST", "url": format!("{}/{{{{ event.id }}}}", receiver.url), "json": {"subject": "{{ event.subject }}"}}}],
        "policy": {"order": "queued"},
    });
    let (status, made) = w.call("POST", "/v1/areas", Some(&w.ann), Some(document)).await;
    assert_eq!(status, 201, "{made}");
    let path = format!("/v1/areas/{}", made["id"].as_str().unwrap());
    let get = async |more: &str| w.call("GET", &format!("{path}{more}"), Some(&w.ann), None).await.1;
    let joined = until(PATIENCE, async || get("").await["source"]["joined_at"].is_string()).await;
    assert!(joined, "{}", get("/why").await);

    gmail.holds(MAILS);
    let came = until(PATIENCE, async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let why = get("/why").await;
        assert_eq!(why["fault"], Value::Null, "a quota that is used up for the moment is no fault");
        receiver.count() >= MAILS
    })
    .await;
    assert!(came, "only {} came\n{}", receiver.count(), get("/why").await);
    let expected: Vec<String> = (1..=MAILS).map(|mail| format!("m{mail}")).collect();
    let came: Vec<String> = receiver.requests().into_iter().map(|request| request.path).collect();
    assert!(came == expected, "{:?}", came.iter().zip(&expected).find(|(came, expected)| came != expected));
    let done = until(PATIENCE, async || get("/why").await["poll"]["answer"] == "200").await;
    assert!(done && receiver.count() == MAILS, "it does not end: {}", get("/why").await);
    let peak = peak(&gmail.spent());
    assert!(
        peak <= QUOTA.0 && peak > QUOTA.0 / 2,
        "{peak} units in {:?}: within the quota, and held back by it",
        QUOTA.1
    );
}

/// The most that was spent in any one of the quota's times.
fn peak(spent: &[(Instant, u32)]) -> u32 {
    let from = |begin: usize| {
        let within = spent[begin..].iter().take_while(|(at, _)| *at - spent[begin].0 < QUOTA.1 - LATE);
        within.map(|(_, units)| units).sum()
    };
    (0..spent.len()).map(from).max().unwrap_or(0)
}
