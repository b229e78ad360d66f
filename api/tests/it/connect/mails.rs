//! A mail makes an event and an answer, by the real daemon at the Google emulator behind Prism: each once, whatever expires, dies or is
//! refused.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::World;
use super::google::world;
use crate::daemon::until;
use crate::kit::Area;
use crate::peers::Google;

const PATIENCE: Duration = Duration::from_secs(90);
const ADA: &str = "ada@example.com";
const SCOPES: [&str; 4] = ["gmail.readonly", "gmail.send", "gmail.modify", "calendar.events"];

/// Ann's daemon, her Google account of Ada, and an AREA on her mailbox.
struct Mailbox {
    w: World,
    google: Google,
    account: Value,
    path: String,
}

impl Mailbox {
    async fn new(area: Area) -> Option<Self> {
        let google = Google::checked().await?;
        let w = world(area, &google, &google.apis());
        let account = w.granted(&google, ADA, &SCOPES).await["account"].clone();
        let mut this = Self { w, google, account, path: String::new() };
        let label = json!({"message": "{{ event.id }}", "label": "Noted/Ünö", "create": true});
        let event = json!({"title": "{{ event.subject }}", "start": "{{ event.received_at }}", "description": "{{ event.text }}",
            "location": "{{ event.received_at_local }}", "attendees": ["{{ event.from_address }}"], "notify": true, "reminders": [{"minutes": 5}]});
        let answer = json!({"to": "{{ event.from }}", "subject": "Re: {{ event.subject }}",
            "text": "Noted as {{ steps.event.id }}.", "attachments": "{{ event.attachments }}"});
        let reactions = [("create_event", event), ("send_mail", answer), ("add_label", label)];
        this.path = this.watch("subject:invoice", reactions.as_slice()).await;
        Some(this)
    }

    /// An AREA on the mails that this finds; it has joined.
    async fn watch(&self, query: &str, reactions: &[(&str, Value)]) -> String {
        let of = |name: &str, data: &Value| json!({"service": "google", "name": name, "account": self.account, "data": data});
        let mut reactions: Vec<Value> = reactions.iter().map(|(name, data)| of(name, data)).collect();
        reactions[0]["id"] = json!("event");
        let policy = json!({"order": "queued", "retry": {"attempts": 20, "base": "1s", "max": "2s"}});
        let action = of("new_mail", &json!({ "query": query, "zone": "Asia/Kathmandu" }));
        let document = json!({"name": query, "action": action, "reactions": reactions, "policy": policy});
        let (status, made) = self.w.call("POST", "/v1/areas", Some(&self.w.ann), Some(document)).await;
        assert_eq!(status, 201, "{made}");
        let path = format!("/v1/areas/{}", made["id"].as_str().unwrap());
        let read = async || self.w.call("GET", &path, Some(&self.w.ann), None).await.1;
        self.until("joined", async || read().await["source"]["joined_at"].is_string()).await;
        path
    }

    async fn get(&self, more: &str) -> Value {
        self.w.call("GET", &format!("{}{more}", self.path), Some(&self.w.ann), None).await.1
    }

    async fn until(&self, what: &str, holds: impl AsyncFnMut() -> bool) {
        if !until(PATIENCE, holds).await {
            panic!("in vain: {what}\n{}\n{}", self.get("/runs").await, self.get("/why").await);
        }
    }

    /// Mails come in.
    async fn arrive(&self, subjects: &[&str]) {
        for subject in subjects {
            // What is large is uploaded by another path.
            let rows = "1,2\r\n".repeat(if *subject == "Invoice 3" { 1_000_000 } else { 1 });
            let raw = format!(
                "From: =?UTF-8?Q?J=C3=BCrgen?= <j@example.org>\r\nTo: {ADA}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\
                 Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nDear Ada\r\n\
                 --b\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=a.csv\r\n\r\n{rows}--b--\r\n"
            );
            let raw = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE, raw);
            let mail = json!({ "raw": raw, "labelIds": ["INBOX", "UNREAD"] });
            self.google.acts(ADA, "POST", "/gmail/v1/users/me/messages/import", Some(mail)).await;
        }
    }

    /// Polls until each of the subjects has one event and one answer; fails where one has two.
    async fn reacted(&self, what: &str, subjects: &[&str]) {
        let expected: BTreeMap<String, usize> = subjects.iter().map(|subject| ((*subject).to_owned(), 1)).collect();
        let (mut events, mut answers) = (BTreeMap::new(), BTreeMap::new());
        let round = async || {
            let _ = self.w.call("POST", &format!("{}/poll", self.path), Some(&self.w.ann), None).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            (events, answers) = (self.events().await, self.answers().await);
            (&events, &answers) == (&expected, &expected)
        };
        if !until(PATIENCE, round).await {
            let (runs, why) = (self.get("/runs").await, self.get("/why").await);
            panic!("in vain: {what}\n{}\n{}\n{runs}\n{why}", json!(self.events().await), json!(self.answers().await));
        }
    }

    async fn events(&self) -> BTreeMap<String, usize> {
        let list = self.google.acts(ADA, "GET", "/calendar/v3/calendars/primary/events?maxResults=250", None).await;
        let titles = list["items"].as_array().unwrap().iter().map(|event| event["summary"].as_str().unwrap());
        count(titles.filter(|title| title.starts_with("Invoice")))
    }

    async fn answers(&self) -> BTreeMap<String, usize> {
        let mut subjects = Vec::new();
        let list = self.google.acts(ADA, "GET", "/gmail/v1/users/me/messages?labelIds=SENT", None).await;
        for stub in list["messages"].as_array().unwrap() {
            let path = format!("/gmail/v1/users/me/messages/{}?format=full", stub["id"].as_str().unwrap());
            let mail = self.google.acts(ADA, "GET", &path, None).await;
            let headers = mail["payload"]["headers"].as_array().unwrap();
            let header = |name: &str| {
                headers.iter().find(|h| h["name"] == name).map(|h| h["value"].as_str().unwrap().to_owned())
            };
            subjects.extend(header("Subject").and_then(|subject| Some(subject.strip_prefix("Re: ")?.to_owned())));
        }
        count(subjects.iter().map(String::as_str))
    }

    async fn labelled(&self, name: &str) -> usize {
        let labels = self.google.acts(ADA, "GET", "/gmail/v1/users/me/labels", None).await;
        let label = labels["labels"].as_array().unwrap().iter().find(|label| label["name"] == name).cloned();
        let Some(label) = label else { return 0 };
        let path = format!("/gmail/v1/users/me/messages?labelIds={}", label["id"].as_str().unwrap());
        self.google.acts(ADA, "GET", &path, None).await["messages"].as_array().map_or(0, Vec::len)
    }
}

fn count<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn each_mail_makes_one_event_and_one_answer_whatever_expires_dies_or_is_refused_meanwhile() {
    let Some(mut m) = Mailbox::new(Area::new()).await else { return };
    // The first word is Gmail's to judge: found by a search, not by the history.
    let label = json!({"message": "{{ event.id }}", "label": "Found", "create": true});
    let found = m.watch("dear subject:invoice", &[("add_label", label)]).await;
    m.arrive(&["Invoice 1", "Something else"]).await;
    m.reacted("two mails, one of them selected", &["Invoice 1"]).await;

    m.google.expire().await;
    m.arrive(&["Invoice 2", "Invoice 3"]).await;
    m.reacted("the token expires", &["Invoice 1", "Invoice 2", "Invoice 3"]).await;

    m.google.fails("/gmail/v1/users/me/history", 429).await;
    m.google.fails("/gmail/v1/users/me/messages/", 500).await;
    m.google.fails("/calendar/v3/", 429).await;
    m.arrive(&["Invoice 4"]).await;
    m.reacted("429 and 500", &["Invoice 1", "Invoice 2", "Invoice 3", "Invoice 4"]).await;

    // The history is gone: what came is found by a search, and nothing that was there fires again.
    m.arrive(&["Invoice 5", "Invoice 6"]).await;
    m.google.fails("/gmail/v1/users/me/history", 404).await;
    let six = ["Invoice 1", "Invoice 2", "Invoice 3", "Invoice 4", "Invoice 5", "Invoice 6"];
    m.reacted("404 to the history", &six).await;

    // The event is made and the mail sent, the answers say 500, and the daemon dies before it asks again.
    m.google.loses("POST", "/calendar/v3/", 500).await;
    m.google.loses("POST", "/messages/send", 500).await;
    m.arrive(&["Invoice 7"]).await;
    let seven = [&six[..], &["Invoice 7"]].concat();
    m.until("it is made", async || {
        let _ = m.w.call("POST", &format!("{}/poll", m.path), Some(&m.w.ann), None).await;
        m.events().await.contains_key("Invoice 7")
    })
    .await;
    m.w.again(&[]);
    m.reacted("answers are lost, and the daemon dies", &seven).await;

    m.arrive(&["Invoice 8"]).await;
    m.w.again(&[]);
    let eight = [&seven[..], &["Invoice 8"]].concat();
    m.reacted("it dies before it polls", &eight).await;
    m.until("all runs are done", async || {
        let runs = m.get("/runs?limit=50").await;
        let states: Vec<&Value> = runs["items"].as_array().unwrap().iter().map(|run| &run["state"]).collect();
        states.len() == 8 && states.iter().all(|state| **state == "done")
    })
    .await;
    let once: BTreeMap<String, usize> = eight.iter().map(|subject| ((*subject).to_owned(), 1)).collect();
    assert_eq!((m.events().await, m.answers().await), (once.clone(), once));

    assert_eq!(m.labelled("Noted/Ünö").await, 8);
    m.until("the search finds them", async || {
        let _ = m.w.call("POST", &format!("{found}/poll"), Some(&m.w.ann), None).await;
        m.labelled("Found").await == 8
    })
    .await;
    let list = m.google.acts(ADA, "GET", "/calendar/v3/calendars/primary/events?maxResults=250", None).await;
    let places = list["items"].as_array().unwrap().iter().filter_map(|event| event["location"].as_str());
    assert_eq!(places.filter(|place| place.ends_with("+05:45")).count(), 8, "{list}");
    // What is written in them was read for the AREA that uses it, and for the other one not.
    let texts = async |area: &str| {
        let path = format!("/v1/events?limit=8&area={}", area.rsplit('/').next().unwrap());
        let events = m.w.call("GET", &path, Some(&m.w.ann), None).await.1;
        let items = events["items"].as_array().unwrap();
        let local = |event: &Value| event["body"]["received_at_local"].as_str().unwrap().ends_with("+05:45");
        assert!(items.iter().all(local), "{events}");
        items.iter().map(|event| event["body"]["text"].is_string()).collect::<Vec<_>>()
    };
    assert_eq!((texts(&m.path).await, texts(&found).await), (vec![true; 8], vec![false; 8]));
    assert_eq!(m.google.answered("/upload/gmail/v1/users/me/messages/send").await, [200]);
    let sent = m.google.acts(ADA, "GET", "/gmail/v1/users/me/messages?labelIds=SENT&maxResults=1", None).await;
    let path = format!("/gmail/v1/users/me/messages/{}?format=full", sent["messages"][0]["id"].as_str().unwrap());
    let sent = m.google.acts(ADA, "GET", &path, None).await.to_string();
    assert!(sent.contains("a.csv") && sent.contains("@area.invalid"), "{sent}");
    assert_eq!(m.google.refused().await, [""; 0]);
}
