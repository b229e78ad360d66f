//! `google.*`: what came, counted: a history id is how much came before. The credential is the account's token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use chrono::DateTime;
use serde_json::{Value, json};

use super::{Case, Gives, Thing, broken, json_bytes};
use crate::server::{Api, Reply, Stage};

/// 2027-01-15T08:00:00Z.
const START: i64 = 1_800_000_000;

pub static NEW_MAIL: Case = Case {
    action: "google.new_mail",
    data: |_| json!({}),
    serve: |things| {
        let added =
            |thing: &Thing| json!({ "id": "1", "messagesAdded": [{ "message": { "id": thing.id.to_string() } }] });
        let main = json!({ "history": things.iter().map(added).collect::<Vec<_>>(), "historyId": "1" });
        Reply::Api(Api { things: things.to_vec(), answer: gmail, main: json_bytes(&main) })
    },
    gives: Gives::List,
};

pub static NEW_EVENT: Case = Case {
    action: "google.new_event",
    data: |_| json!({}),
    serve: |things| {
        Reply::Api(Api { things: things.to_vec(), answer: changes, main: json_bytes(&events(things.iter())) })
    },
    gives: Gives::List,
};

pub static EVENT_STARTS: Case = Case {
    action: "google.event_starts",
    data: |_| json!({ "minutes": 60 }),
    serve: |things| Reply::ok("application/json", json_bytes(&events(things.iter()))),
    gives: Gives::List,
};

pub static NEW_FILE: Case = Case {
    action: "google.new_file",
    data: |_| json!({}),
    serve: |things| {
        let files: Vec<Value> = things.iter().map(|thing| json!({ "file": file(thing) })).collect();
        let main = json!({ "changes": files, "newStartPageToken": "1" });
        Reply::Api(Api { things: things.to_vec(), answer: drive, main: json_bytes(&main) })
    },
    gives: Gives::List,
};

fn file(thing: &Thing) -> Value {
    let at = DateTime::from_timestamp(START + thing.at, 0).unwrap().to_rfc3339();
    json!({ "id": format!("f{}", thing.id), "name": thing.text, "mimeType": "text/plain", "createdTime": at })
}

fn drive(stage: &Stage<'_>) -> Reply {
    let count = stage.came.len().to_string();
    if stage.asks("/changes/startPageToken") {
        return ok(&json!({ "startPageToken": count }));
    }
    if stage.asks("/changes") {
        let from = stage.param("pageToken").and_then(|token| token.parse().ok()).unwrap_or(usize::MAX);
        let files: Vec<Value> = stage.behind(from).into_iter().map(|thing| json!({ "file": file(thing) })).collect();
        return ok(&json!({ "changes": files, "newStartPageToken": count }));
    }
    ok(&json!({ "files": stage.things.iter().rev().map(file).collect::<Vec<_>>() }))
}

fn events<'a>(things: impl Iterator<Item = &'a Thing>) -> Value {
    let event = |thing: &Thing| {
        let at = DateTime::from_timestamp(START + thing.at, 0).unwrap().to_rfc3339();
        json!({ "id": format!("e{}", thing.id), "summary": thing.text, "status": "confirmed", "created": at,
            "start": { "dateTime": at }, "end": { "dateTime": at } })
    };
    json!({ "summary": "Ann", "timeZone": "Europe/Paris", "items": things.map(event).collect::<Vec<_>>() })
}

fn changes(stage: &Stage<'_>) -> Reply {
    let from = stage.param("syncToken").and_then(|token| token.parse().ok()).unwrap_or(0);
    let mut list = events(stage.behind(from).into_iter());
    list["nextSyncToken"] = json!(stage.came.len().to_string());
    ok(&list)
}

fn ok(body: &Value) -> Reply {
    Reply::ok("application/json", json_bytes(body))
}

fn gmail(stage: &Stage<'_>) -> Reply {
    let count = stage.came.len().to_string();
    let stub = |thing: &&Thing| json!({ "id": thing.id.to_string(), "threadId": "t", "labelIds": ["INBOX"] });
    if stage.asks("/users/me/profile") {
        return ok(&json!({ "emailAddress": "ann@example.org", "historyId": count }));
    }
    if stage.asks("/users/me/history") {
        let from = stage.param("startHistoryId").and_then(|id| id.parse().ok()).unwrap_or(usize::MAX);
        let added = |thing: &&Thing| json!({ "id": count, "messagesAdded": [{ "message": stub(thing) }] });
        let entries: Vec<Value> = stage.behind(from).iter().map(added).collect();
        return ok(&json!({ "history": entries, "historyId": count }));
    }
    if stage.asks("POST /batch/gmail/v1") {
        return batch(stage);
    }
    let line = stage.head.lines().next().unwrap_or_default();
    if let Some(id) = line.split("/users/me/messages/").nth(1) {
        let id = id.split(['?', ' ']).next().unwrap_or_default();
        return match stage.things.iter().find(|thing| thing.id.to_string() == id) {
            Some(thing) => Reply::ok("application/json", mail(thing)),
            None => Reply::status(404),
        };
    }
    let newest: Vec<Value> = stage.things.iter().rev().map(|thing| stub(&thing)).collect();
    ok(&json!({ "messages": newest }))
}

fn batch(stage: &Stage<'_>) -> Reply {
    let mut body = Vec::new();
    for part in stage.body.split("Content-ID: <item-").skip(1) {
        let number = part.split('>').next().unwrap_or_default();
        let id = part.split("/users/me/messages/").nth(1).and_then(|rest| rest.split('?').next()).unwrap_or_default();
        let found = stage.things.iter().find(|thing| thing.id.to_string() == id).map(mail);
        let labels = || part.contains("/users/me/labels").then(|| json_bytes(&json!({ "labels": [] })));
        let (status, answer) = found.or_else(labels).map_or((404, b"{}".to_vec()), |answer| (200, answer));
        let head = format!(
            "--b\r\nContent-Type: application/http\r\nContent-ID: <response-item-{number}>\r\n\r\nHTTP/1.1 {status} Said\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&answer);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    Reply::ok("multipart/mixed; boundary=b", body)
}

fn mail(thing: &Thing) -> Vec<u8> {
    let headers =
        json!([{ "name": "From", "value": "Ann <ann@example.org>" }, { "name": "Subject", "value": thing.text }]);
    json_bytes(&json!({
        "id": thing.id.to_string(), "threadId": "t", "labelIds": ["INBOX"], "snippet": thing.text,
        "internalDate": ((START + thing.at) * 1000).to_string(),
        "payload": { "mimeType": "text/plain", "headers": headers, "body": { "data": URL_SAFE.encode(broken(&thing.text)) } },
    }))
}
