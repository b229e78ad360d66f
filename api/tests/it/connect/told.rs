//! Owners of accounts hear by mail, once, what becomes of them: through a real mail server, whichever node does it and dies of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::World;
use super::google::world;
use crate::daemon::{free_port, until};
use crate::kit::Area;
use crate::peers::Google;
use crate::people::post::Post;

const ANN: &str = "ann@example.org";
const ADA: &str = "ada@example.com";
const SOON: Duration = Duration::from_secs(60);
/// 170 of 180 days have passed.
const AGED: &str =
    "UPDATE account_state SET linked_at = linked_at - 14688000000000, ends_at = ends_at - 14688000000000";
const DUE: &str = "UPDATE account_letters SET due_at = 0";

/// What a world of mail is told beside its provider.
fn settings(smtp: &str) -> Vec<(String, String)> {
    let all = [("mail.smtp", smtp), ("limits.scan", "300ms"), ("node.name", "one"), ("node.lease", "2s")];
    all.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
}

impl World {
    /// Ann's consent is taken back, and somebody notices. Whether the daemon lives to answer is another thing.
    async fn loses(&self, google: &Google, account: &Value) {
        google.expire().await;
        google.drop_refresh().await;
        let url = format!("{}/v1/accounts/{}/check", self.daemon.url, account.as_str().unwrap());
        let _ = self.http.post(url).bearer_auth(&self.ann).send().await;
    }

    /// Waits until no letter waits.
    async fn all_sent(&self) {
        let none = until(SOON, async || self.area.count("SELECT COUNT(*) FROM account_letters").await == 0).await;
        assert!(none, "{}: letters wait", self.area.label);
    }
}

fn ids(mails: &[String]) -> Vec<&str> {
    mails.iter().map(|mail| mail.lines().find(|line| line.starts_with("Message-ID: ")).unwrap()).collect()
}

#[tokio::test]
async fn the_owner_of_a_lost_account_gets_one_mail_a_loss_that_says_what_pauses_and_where_to_go() {
    let Some(post) = Post::start().await else { return };
    for area in Area::all().await {
        let Some(google) = Google::start().await else { return };
        let mut w = world(area, &google, &settings(&post.url));
        let label = w.area.label;
        let account = w.linked(&google, ADA).await["account"].clone();
        w.needs(&account).await;
        let watch = json!({ "service": "account", "name": "needs_reconnect", "data": { "provider": "google" } });
        let log = json!({ "service": "log", "name": "write", "data": { "text": "{{ event.reason }}" } });
        let watch = json!({ "name": "Watches", "action": watch, "reactions": [log] });
        let watch = w.call("POST", "/v1/areas", Some(&w.ann), Some(watch)).await.1;

        w.loses(&google, &account).await;
        let mail = post.mail(ANN).await;
        for part in ["Google account ada@example.com again", "invalid_grant", "- Needs it", "/account#connect=google"] {
            assert!(mail.contains(part), "{label}: no `{part}` in {mail}");
        }
        assert!(!mail.contains("Watches"), "{label}: {mail}");
        w.all_sent().await;
        // What is over is over, after a crash too; a second loss is told again, so whatever else was sent lies there with it.
        w.again(&[]);
        assert_eq!(w.linked(&google, ADA).await["account"], account, "{label}");
        w.loses(&google, &account).await;
        let mail = post.mail(ANN).await;
        assert!(mail.contains("- Needs it"), "{label}: {mail}");
        w.all_sent().await;
        assert_eq!(post.all(ANN), [""; 0], "{label}");
        let path = format!("/v1/areas/{}/runs?state=done", watch["id"].as_str().unwrap());
        let told = until(SOON, async || {
            let runs = w.call("GET", &path, Some(&w.ann), None).await.1;
            runs["items"].as_array().is_some_and(|runs| runs.len() == 2)
        });
        assert!(told.await, "{label}: service `account` tells each loss once too");
    }
}

#[tokio::test]
async fn a_daemon_that_dies_anywhere_between_a_loss_and_its_mail_leaves_it_to_be_sent_once() {
    let Some(post) = Post::start().await else { return };
    for area in Area::all().await {
        let Some(google) = Google::start().await else { return };
        let mut w = world(area, &google, &settings(&post.url));
        let label = w.area.label;
        for (point, mails) in [("vault.lost", 1), ("account.told", 1), ("letter.claimed", 1), ("letter.sent", 2)] {
            w.again(&[("AREA_CRASH_POINT", point)]);
            let account = w.linked(&google, ADA).await["account"].clone();
            w.loses(&google, &account).await;
            assert_ne!(w.daemon.end(), Some(0), "{label}: {point}");
            w.again(&[]);
            let came = until(SOON, async || post.all(ANN).len() == mails).await;
            assert!(came, "{label}: {point}: {:?}", post.all(ANN));
            w.all_sent().await;
            let all = post.all(ANN);
            assert_eq!(all.len(), mails, "{label}: {point}: {all:?}");
            // Sent, and killed before that was written down: the same letter under the same id, so that mailboxes show it once.
            assert!(ids(&all).windows(2).all(|two| two[0] == two[1]), "{label}: {point}: {all:?}");
            for _ in 0..mails {
                post.mail(ANN).await;
            }
        }
    }
}

#[tokio::test]
async fn of_two_nodes_one_writes_and_the_other_takes_over_what_a_dead_one_had_begun() {
    let Some(post) = Post::start().await else { return };
    let Some(area) = Area::postgres().await else { return };
    let Some(google) = Google::start().await else { return };
    let mut w = world(area, &google, &settings(&post.url));
    let args = [w.args.clone(), vec!["--set".to_owned(), "node.name=two".to_owned()]].concat();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let account = w.linked(&google, ADA).await["account"].clone();
    let two = w.area.serve(&args);
    for round in 0..5 {
        w.loses(&google, &account).await;
        assert!(post.mail(ANN).await.contains("invalid_grant"), "{round}");
        w.all_sent().await;
        w.linked(&google, ADA).await;
    }
    assert_eq!(post.all(ANN), [""; 0]);
    // The second node is gone while the first dies with the letter in its hand, and comes back to send it.
    drop(two);
    w.again(&[("AREA_CRASH_POINT", "letter.claimed")]);
    w.loses(&google, &account).await;
    w.daemon.end();
    let two = w.area.serve(&args);
    assert!(post.mail(ANN).await.contains("invalid_grant"));
    w.all_sent().await;
    assert_eq!(post.all(ANN), [""; 0]);
    drop(two);
}

#[tokio::test]
async fn a_letter_waits_for_a_mail_server_that_is_away_unless_the_account_is_linked_again_meanwhile() {
    for area in Area::all().await {
        let port = free_port();
        let Some(google) = Google::start().await else { return };
        let mut w = world(area, &google, &settings(&format!("smtp://127.0.0.1:{port}")));
        let label = w.area.label;
        let tried = "SELECT COUNT(*) FROM account_letters WHERE tries > 0 AND node IS NULL";
        let account = w.linked(&google, ADA).await["account"].clone();
        w.loses(&google, &account).await;
        assert!(until(SOON, async || w.area.count(tried).await == 1).await, "{label}");
        w.linked(&google, ADA).await;
        w.sql(DUE).await;
        w.all_sent().await;
        w.loses(&google, &account).await;
        assert!(until(SOON, async || w.area.count(tried).await == 1).await, "{label}");
        w.again(&[]);
        let Some(post) = Post::start_on(port).await else { return };
        w.sql(DUE).await;
        assert!(post.mail(ANN).await.contains("invalid_grant"), "{label}");
        w.all_sent().await;
        assert_eq!(post.all(ANN), [""; 0], "{label}: the first loss was over before anybody could be told");
    }
}

#[tokio::test]
async fn an_account_whose_end_is_known_is_told_once_14_days_ahead() {
    let Some(post) = Post::start().await else { return };
    for area in Area::all().await {
        let Some(google) = Google::start().await else { return };
        let mut more = settings(&post.url);
        more.push(("providers.google.ends_after".to_owned(), "180d".to_owned()));
        let mut w = world(area, &google, &more);
        let label = w.area.label;
        let account = w.linked(&google, ADA).await["account"].clone();
        w.needs(&account).await;
        w.again(&[]);
        // Nothing is due: what is told now is told of the loss that follows.
        w.loses(&google, &account).await;
        assert!(post.mail(ANN).await.contains("invalid_grant"), "{label}");
        w.linked(&google, ADA).await;
        w.sql(AGED).await;
        let mail = post.mail(ANN).await;
        for part in ["Your Google account ada@example.com ends soon", "- Needs it", "/account#connect=google"] {
            assert!(mail.contains(part), "{label}: no `{part}` in {mail}");
        }
        w.all_sent().await;
        w.again(&[]);
        w.loses(&google, &account).await;
        assert!(post.mail(ANN).await.contains("invalid_grant"), "{label}");
        w.all_sent().await;
        assert_eq!(post.all(ANN), [""; 0], "{label}: no end was told twice");
    }
}
