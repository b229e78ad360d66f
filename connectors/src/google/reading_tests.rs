//! What stands in the way of one mail, and that those behind it come all the same.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use engine::port::{FeedKind, Page, PollCx};
use serde_json::{Value, json};
use wiremock::matchers::{path, path_regex};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::new_mail;
use super::tests::{ok, plain, sent};
use crate::testing::{Account, http, now};

/// What Gmail answers to a mail, whole or (`true`) in parts.
type Gets = fn(&str, bool) -> (u16, String);

/// A Gmail with these mails, in batches and one by one.
async fn gmail(get: Gets) -> MockServer {
    let server = MockServer::start().await;
    let batch = move |request: &Request| {
        let body = String::from_utf8_lossy(&request.body);
        let lines = body.split("\r\nGET /gmail/v1/users/me/").skip(1).map(|rest| rest.split("\r\n").next().unwrap());
        let part = |(n, line): (usize, &str)| {
            let id = line.strip_prefix("messages/").and_then(|rest| rest.split(['?', ' ']).next());
            let (status, body) = id.map_or((200, "{}".to_owned()), |id| get(id, line.contains("fields=")));
            format!(
                "--b\r\nContent-Type: application/http\r\nContent-ID: <response-item-{n}>\r\n\r\nHTTP/1.1 {status} X\r\n\r\n{body}\r\n"
            )
        };
        let body = lines.enumerate().map(part).collect::<String>() + "--b--\r\n";
        ResponseTemplate::new(200).set_body_raw(body, "multipart/mixed; boundary=b")
    };
    Mock::given(path("/batch/gmail/v1")).respond_with(batch).mount(&server).await;
    let one = move |request: &Request| {
        let is_part = request.url.query().is_some_and(|query| query.contains("fields="));
        let (status, body) = get(request.url.path_segments().unwrap().next_back().unwrap(), is_part);
        ResponseTemplate::new(status).set_body_raw(body, "application/json")
    };
    Mock::given(path_regex("/gmail/v1/users/me/messages/[^/]+$")).respond_with(one).mount(&server).await;
    Mock::given(path("/gmail/v1/users/me/labels")).respond_with(ok(json!({}))).mount(&server).await;
    server
}

fn left(ids: &[&str]) -> Option<Value> {
    Some(json!({ "history": "1", "left": ids }))
}

async fn poll(server: &MockServer, cursor: &mut Option<Value>, now: DateTime<Utc>) -> Result<Page, Fault> {
    let FeedKind::Polled { poll, .. } = new_mail::SPEC.feed.kind else { panic!("polled") };
    let (account, http, params) = (Account::at(&server.uri()), http(), json!({}));
    let page = poll(PollCx { now, ..account.poll(&http, &params, cursor.as_ref()) }).await?;
    *cursor = page.cursor.clone().or(cursor.take());
    Ok(page)
}

/// Polls to the last page: what came, as `id` or `id!` where its text was cut, and what did not.
async fn all(server: &MockServer, cursor: &mut Option<Value>) -> (String, Vec<String>) {
    let (mut came, mut gaps) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let page = poll(server, cursor, now()).await.unwrap();
        let shown =
            |body: &Value| body["id"].as_str().unwrap().to_owned() + if body["truncated"] == true { "!" } else { "" };
        came.extend(page.items.iter().map(|item| shown(&item.body)));
        gaps.extend(page.gap);
        if !page.more {
            return (came.join(" "), gaps);
        }
    }
    panic!("it asks for more without end: {came:?}")
}

fn mail(id: &str) -> (u16, String) {
    (200, sent(id, plain(b"Hi", "text/plain")).to_string())
}

/// A mail of so many MiB.
fn large(id: &str, size: usize) -> (u16, String) {
    let mut mail = sent(id, plain(b"Hi", "text/plain"));
    mail["filler"] = json!("x".repeat(size << 20));
    (200, mail.to_string())
}

#[tokio::test]
async fn too_large_an_answer_is_asked_for_in_smaller_ones_and_one_mail_that_is_too_large_comes_as_its_outline() {
    let get: Gets = |id, is_part| match id {
        "m5" if !is_part => large(id, 33),
        "m6" | "m7" => mail(id),
        _ if is_part => mail(id),
        _ => large(id, 5),
    };
    let server = gmail(get).await;
    let mut cursor = left(&["m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8"]);
    assert_eq!(all(&server, &mut cursor).await, ("m1 m2 m3 m4 m5! m6 m7 m8".to_owned(), vec![]));
    assert_eq!(cursor, Some(json!({"history": "1"})));
}

#[tokio::test]
async fn a_mail_that_cannot_be_read_comes_as_its_outline_or_is_told_and_left_out() {
    // Multiparts within multiparts, deeper than JSON is read.
    let get: Gets = |id, is_part| match (id, is_part) {
        ("m2", false) => {
            let deep = (0..70).fold("{}".to_owned(), |inner, _| format!(r#"{{"parts": [{inner}]}}"#));
            (200, format!(r#"{{"id": "m2", "payload": {deep}}}"#))
        }
        ("m4", _) => (400, r#"{"error": {"message": "Precondition check failed."}}"#.to_owned()),
        ("m5", _) => (404, "{}".to_owned()),
        (id, _) => mail(id),
    };
    let server = gmail(get).await;
    let mut cursor = left(&["m1", "m2", "m3", "m4", "m5", "m6"]);
    let (came, gaps) = all(&server, &mut cursor).await;
    assert_eq!(came, "m1 m2! m3 m6");
    let told = "the mail m4 cannot be read and is left out: Gmail answered 400 Bad Request to messages.get: Precondition check failed.";
    assert_eq!((gaps, cursor), (vec![told.to_owned()], Some(json!({"history": "1"}))));
}

#[tokio::test]
async fn a_mail_for_which_gmail_is_broken_keeps_others_waiting_for_an_hour() {
    let server = gmail(|id, _| if id == "m1" { (500, "{}".to_owned()) } else { mail(id) }).await;
    let mut cursor = left(&["m1", "m2"]);
    let first = poll(&server, &mut cursor, now()).await.unwrap();
    assert_eq!((first.items.len(), first.more), (0, false));
    assert!(first.answer.contains("the rest waits: Gmail answered 500"), "{}", first.answer);
    let before = cursor.clone();
    for minutes in [1, 59] {
        let fault = poll(&server, &mut cursor, now() + TimeDelta::minutes(minutes)).await.unwrap_err();
        assert!(matches!(fault, Fault::Later { .. }) && cursor == before, "{fault:?}");
    }
    let (mut gaps, mut came) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let page = poll(&server, &mut cursor, now() + TimeDelta::minutes(60)).await.unwrap();
        came.extend(page.items.into_iter().map(|item| item.key));
        gaps.extend(page.gap);
    }
    assert_eq!((came, gaps.len(), cursor), (vec!["m2".to_owned()], 1, Some(json!({"history": "1"}))));
    assert!(gaps[0].starts_with("the mail m1 cannot be read and is left out: Gmail answered 500"), "{gaps:?}");

    // It was a passing trouble: nothing is missing, and nothing is remembered.
    let server = gmail(|id, _| mail(id)).await;
    let mut cursor = before;
    assert_eq!(all(&server, &mut cursor).await, ("m1 m2".to_owned(), vec![]));
    assert_eq!(cursor, Some(json!({"history": "1"})));
}

#[tokio::test]
async fn a_text_that_gmail_gives_apart_is_fetched() {
    let get: Gets = |id, _| {
        let (part, size) = (id.replace('m', "a"), if id == "m3" { 9 << 20 } else { 3 });
        let body = json!({"mimeType": "text/html", "body": {"attachmentId": part, "size": size}});
        let file = json!({"mimeType": "text/plain", "filename": "a.txt", "body": {"attachmentId": "file", "size": 3}});
        (200, sent(id, json!({"mimeType": "multipart/mixed", "parts": [body, file]})).to_string())
    };
    let server = gmail(get).await;
    let apart = |id: &str, answer: ResponseTemplate| {
        Mock::given(path_regex(format!("/messages/m./attachments/{id}$"))).respond_with(answer)
    };
    apart("a1", ok(json!({"size": 3, "data": URL_SAFE.encode("<p>Hi")}))).mount(&server).await;
    apart("a2", ResponseTemplate::new(404)).mount(&server).await;
    let mut cursor = left(&["m1", "m2", "m3"]);
    let page = poll(&server, &mut cursor, now()).await.unwrap();
    let texts: Vec<_> = page.items.iter().map(|item| (&item.body["text"], &item.body["truncated"])).collect();
    let (none, is_cut) = (json!(""), json!(true));
    assert_eq!(texts, [(&json!("Hi"), &json!(false)), (&none, &is_cut), (&none, &is_cut)]);
    let calls = server.received_requests().await.unwrap();
    assert_eq!(calls.iter().filter(|call| call.url.path().contains("/attachments/")).count(), 2);
}
