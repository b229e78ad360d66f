//! What is sent: the bytes of a mail, its files, and how a repetition knows it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use chrono::TimeDelta;
use engine::fault::Fault;
use mail_parser::{MessageParser, MimeHeaders};
use serde_json::{Value, json};
use wiremock::matchers::{method, path, path_regex, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::send_mail;
use super::tests::{headers, ok, sent};
use crate::testing::{Account, now, react_again, react_as};

/// What was sent: the mail's bytes.
fn raw(request: &Request) -> Vec<u8> {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    URL_SAFE.decode(body["raw"].as_str().unwrap()).unwrap()
}

/// A Gmail that sends, and finds nothing.
async fn gmail() -> MockServer {
    let server = MockServer::start().await;
    let none = ok(json!({"resultSizeEstimate": 0}));
    Mock::given(method("GET")).and(path("/gmail/v1/users/me/messages")).respond_with(none).mount(&server).await;
    let done = ok(json!({"id": "s1", "threadId": "t1", "labelIds": ["SENT"]}));
    Mock::given(method("POST"))
        .and(path("/gmail/v1/users/me/messages/send"))
        .respond_with(done.clone())
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path("/upload/gmail/v1/users/me/messages/send"))
        .respond_with(done)
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn a_mail_is_the_same_bytes_again_and_says_what_was_asked() {
    let server = gmail().await;
    let account = Account::at(&server.uri());
    let file = sent(
        "m9",
        json!({"mimeType": "multipart/mixed", "parts": [
        {"partId": "1", "mimeType": "application/pdf", "filename": "räport\u{202e}.pdf", "body": {"attachmentId": "a1", "size": 3}},
        {"partId": "2", "mimeType": "text/plain", "filename": "no.txt", "body": {"data": "bm8="}}]}),
    );
    Mock::given(path("/gmail/v1/users/me/messages/m9")).respond_with(ok(file)).mount(&server).await;
    let bytes = ok(json!({"data": URL_SAFE.encode([1, 2, 255]), "size": 3}));
    Mock::given(path("/gmail/v1/users/me/messages/m9/attachments/a1")).respond_with(bytes).mount(&server).await;
    Mock::given(path("/web/pic.png"))
        .respond_with(ResponseTemplate::new(200).set_body_raw("png", "image/png"))
        .mount(&server)
        .await;
    let data = json!({"to": "\"Smith, Ann\" <ann@example.org>, bob@example.org", "cc": ["דנה <d@example.org>", ""],
        "bcc": "secret@example.org", "reply_to": "me@example.org", "subject": "Grüße 🎉\r\nBcc: evil@example.org",
        "text": "Line\nمرحبا", "html": "<b>Line</b>", "attachments": [
            {"message": "m9", "part": "1", "size": 3, "type": "application/pdf", "name": "räport\u{202e}.pdf"},
            {"url": format!("{}/web/pic.png", server.uri())}]});
    for _ in 0..2 {
        let done = react_as(&send_mail::SPEC, data.clone(), Some(&account)).await.unwrap();
        assert_eq!((&done["id"], &done["repeated"]), (&json!("s1"), &json!(false)));
    }
    let calls = server.received_requests().await.unwrap();
    let sent: Vec<_> = calls.iter().filter(|call| call.url.path().ends_with("/send")).map(raw).collect();
    assert_eq!((sent.len(), sent[0] == sent[1]), (2, true));
    assert!(calls.iter().any(|call| call.url.path() == "/web/pic.png" && !call.headers.contains_key("authorization")));

    let mail = MessageParser::default().parse(&sent[0]).unwrap();
    let list = |people: &mail_parser::Address<'_>| {
        people
            .iter()
            .map(|one| format!("{}|{}", one.name().unwrap_or_default(), one.address().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(list(mail.to().unwrap()), ["Smith, Ann|ann@example.org", "|bob@example.org"]);
    assert_eq!(list(mail.cc().unwrap()), ["דנה|d@example.org"]);
    assert_eq!(list(mail.bcc().unwrap()), ["|secret@example.org"], "no header was smuggled in");
    assert_eq!(list(mail.reply_to().unwrap()), ["|me@example.org"]);
    assert!(mail.from().is_none(), "Gmail writes it");
    assert_eq!(mail.subject(), Some("Grüße 🎉 Bcc: evil@example.org"));
    assert_eq!(mail.date().unwrap().to_timestamp(), now().timestamp());
    assert!(mail.message_id().unwrap().ends_with("@area.invalid"));
    assert_eq!(mail.body_text(0).unwrap().replace('\r', ""), "Line\nمرحبا");
    assert_eq!(mail.body_html(0).unwrap(), "<b>Line</b>");
    let files: Vec<_> =
        mail.attachments().map(|file| (file.attachment_name().unwrap().to_owned(), file.contents().to_vec())).collect();
    assert_eq!(files, [("räport\u{202e}.pdf".to_owned(), vec![1, 2, 255]), ("pic.png".to_owned(), b"png".to_vec())]);
}

#[tokio::test]
async fn a_large_mail_is_uploaded_and_one_that_is_too_large_is_refused() {
    let server = gmail().await;
    let account = Account::at(&server.uri());
    let size = |bytes: usize| ResponseTemplate::new(200).set_body_raw(vec![b'x'; bytes], "text/plain");
    Mock::given(path("/web/4")).respond_with(size(4 << 20)).mount(&server).await;
    Mock::given(path("/web/19")).respond_with(size(19 << 20)).mount(&server).await;
    let data =
        |file: &str| json!({"to": "a@example.org", "attachments": [{"url": format!("{}/web/{file}", server.uri())}]});
    react_as(&send_mail::SPEC, data("4"), Some(&account)).await.unwrap();
    let calls = server.received_requests().await.unwrap();
    let last = calls.last().unwrap();
    assert_eq!(last.url.query(), Some("uploadType=media"));
    assert_eq!((last.headers["content-type"].to_str().unwrap(), last.body.len() > 4 << 20), ("message/rfc822", true));
    let fault = react_as(&send_mail::SPEC, data("19"), Some(&account)).await.unwrap_err();
    assert!(matches!(fault, Fault::Rejected { .. }), "{fault:?}");
}

/// Gmail's list of what was sent: `old0` the newest, a second between two, the one at `at` with this mark, `count` in all.
async fn mount_sent(server: &MockServer, count: usize, at: usize, mark: &str) {
    let list = move |request: &Request| {
        let param = |name: &str| request.url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value);
        let from: usize = param("pageToken").map_or(0, |token| token.parse().unwrap());
        let to = count.min(from + param("maxResults").unwrap().parse::<usize>().unwrap());
        let page: Vec<_> = (from..to).map(|n| json!({"id": format!("old{n}"), "threadId": "t"})).collect();
        ok(json!({"messages": page, "nextPageToken": (to < count).then(|| to.to_string())}))
    };
    let listed = Mock::given(path("/gmail/v1/users/me/messages")).and(query_param("labelIds", "SENT"));
    listed.respond_with(list).with_priority(1).mount(server).await;
    let mark = mark.to_owned();
    let get = move |request: &Request| {
        let id = request.url.path_segments().unwrap().next_back().unwrap();
        let n: usize = id.trim_start_matches("old").parse().unwrap();
        let mark = if n == at { &mark } else { "another" };
        let headers = headers(&[("X-Area-Run", mark), ("Message-ID", "<gmails-own@mail.example.org>")]);
        let mut mail = sent(id, json!({ "headers": headers }));
        let sent_at = now() + TimeDelta::minutes(5) - TimeDelta::seconds(i64::try_from(n).unwrap());
        mail["internalDate"] = json!(sent_at.timestamp_millis().to_string());
        ok(mail)
    };
    Mock::given(path_regex("/gmail/v1/users/me/messages/old.+")).respond_with(get).mount(server).await;
}

#[tokio::test]
async fn a_mail_that_was_sent_is_found_by_its_id_or_by_its_mark_and_only_a_repetition_looks_for_it() {
    let server = gmail().await;
    let account = Account::at(&server.uri());
    let data = json!({"to": "a@example.org", "text": "x"});
    react_as(&send_mail::SPEC, data.clone(), Some(&account)).await.unwrap();
    let calls = server.received_requests().await.unwrap();
    assert_eq!(calls.len(), 1, "nothing is looked for");
    let mail = raw(calls.last().unwrap());
    let mail = MessageParser::default().parse(&mail).unwrap();
    let (id, mark) =
        (mail.message_id().unwrap().to_owned(), mail.header("X-Area-Run").unwrap().as_text().unwrap().to_owned());
    let again = async || react_again(&send_mail::SPEC, data.clone(), Some(&account), true).await;
    let gets = async || {
        let calls = server.received_requests().await.unwrap();
        calls.iter().filter(|call| call.url.path().contains("/messages/old")).count()
    };

    let by_id = query_param("q", format!("rfc822msgid:{id}"));
    let found = ok(json!({"messages": [{"id": "found", "threadId": "t"}]}));
    Mock::given(by_id).respond_with(found).with_priority(1).up_to_n_times(1).mount(&server).await;
    let done = again().await.unwrap();
    assert_eq!((&done["id"], &done["message_id"], &done["repeated"]), (&json!("found"), &json!(id), &json!(true)));

    // Gmail gave it another Message-ID, and it is not among the newest ones.
    mount_sent(&server, 1_000, 23, &mark).await;
    let done = again().await.unwrap();
    assert_eq!((&done["id"], &done["repeated"], gets().await), (&json!("old23"), &json!(true), 30));
    assert_eq!(done["message_id"], "gmails-own@mail.example.org");
}

#[tokio::test]
async fn a_mail_is_sent_again_where_it_is_not_among_those_since_the_run_began_and_not_where_nobody_can_tell() {
    let data = json!({"to": "a@example.org", "text": "x"});
    let check = async |count: usize, sent: Result<(), &str>| {
        let server = gmail().await;
        mount_sent(&server, count, usize::MAX, "").await;
        let account = Account::at(&server.uri());
        let done = react_again(&send_mail::SPEC, data.clone(), Some(&account), true).await;
        match (done, sent) {
            (Ok(done), Ok(())) => assert_eq!((&done["id"], &done["repeated"]), (&json!("s1"), &json!(false))),
            (Err(Fault::Rejected { why }), Err(words)) => assert!(why.contains(words), "{why}"),
            (done, _) => panic!("{count}: {done:?}"),
        }
    };
    check(0, Ok(())).await;
    check(35, Ok(())).await;
    check(99, Ok(())).await;
    check(101, Err("more than 100 were sent since the run began")).await;
}

#[tokio::test]
async fn a_file_arrives_as_the_bytes_that_it_is_under_the_name_that_it_has() {
    let server = gmail().await;
    let account = Account::at(&server.uri());
    let bytes: &[u8] = b"a\nb\0";
    let file = ResponseTemplate::new(200).set_body_raw(bytes, "text/csv");
    Mock::given(path_regex("/web/.*")).respond_with(file).mount(&server).await;
    let check = async |url: &str, name: &str| {
        let data = json!({"to": "a@example.org", "attachments": [{"url": format!("{}/web/{url}", server.uri())}]});
        react_as(&send_mail::SPEC, data, Some(&account)).await.unwrap();
        let mail = raw(server.received_requests().await.unwrap().last().unwrap());
        // What a mail may not hold is changed on the way (RFC 5322, 2.3): lines that end otherwise, and zeros.
        let lines = mail.split(|byte| *byte == b'\n').rev().skip(1);
        assert!(lines.into_iter().all(|line| line.ends_with(b"\r")) && !mail.contains(&0), "{url}");
        let mail = MessageParser::default().parse(&mail).unwrap();
        let file = mail.attachments().next().unwrap();
        assert_eq!((file.attachment_name(), file.contents()), (Some(name), bytes), "{url}");
    };
    check("a.csv", "a.csv").await;
    check("Q1%20r%C3%A4port.csv?x=1", "Q1 räport.csv").await;
    check("a%2F..%2Fb.csv", "b.csv").await;
    check("", "file").await;
}

#[tokio::test]
async fn a_part_of_which_gmail_gives_no_bytes_is_no_empty_file() {
    let check = async |part: Value, sent: bool| {
        let server = gmail().await;
        let mail = super::tests::sent("m9", json!({"mimeType": "multipart/mixed", "parts": [part]}));
        Mock::given(path("/gmail/v1/users/me/messages/m9")).respond_with(ok(mail)).mount(&server).await;
        let data = json!({"to": "a@example.org", "attachments": [{"message": "m9", "part": "1"}]});
        match react_as(&send_mail::SPEC, data, Some(&Account::at(&server.uri()))).await {
            Ok(_) => assert!(sent, "{part}"),
            Err(Fault::Rejected { why }) => assert!(!sent && why.contains("does not give `"), "{why}"),
            other => panic!("{other:?}"),
        }
    };
    let forwarded = json!({"partId": "1", "mimeType": "message/rfc822", "parts": [{"mimeType": "text/plain"}]});
    check(forwarded, false).await;
    check(json!({"partId": "1", "filename": "a.pdf", "body": {"size": 7}}), false).await;
    check(json!({"partId": "1", "filename": "empty.txt", "body": {"size": 0}}), true).await;
}

#[tokio::test]
async fn a_mail_that_nobody_would_get_is_told_when_it_is_saved_and_when_it_is_sent() {
    let check = |data: Value| (send_mail::SPEC.check)(&data).into_iter().map(|wrong| wrong.pointer).collect::<Vec<_>>();
    assert_eq!(check(json!({})), ["/to"]);
    assert_eq!(check(json!({"to": "", "cc": []})), ["/to"]);
    assert_eq!(check(json!({"to": "no address", "cc": ["a@example.org", "b@"]})), ["/to", "/cc/1"]);
    assert_eq!(check(json!({"to": "{{ event.from }}", "attachments": [{"name": "x"}]})), ["/attachments/0"]);
    assert_eq!(check(json!({"bcc": "a@example.org", "attachments": "{{ event.attachments }}"})), [""; 0]);
    let server = gmail().await;
    let sent = react_as(
        &send_mail::SPEC,
        json!({"to": [" ", "a@example.org"], "html": "<p>A<br>B</p>"}),
        Some(&Account::at(&server.uri())),
    )
    .await;
    assert!(sent.is_ok());
    let calls = server.received_requests().await.unwrap();
    let mail = raw(calls.last().unwrap());
    assert_eq!(MessageParser::default().parse(&mail).unwrap().body_text(0).unwrap().replace('\r', "").trim(), "A\nB");
}
