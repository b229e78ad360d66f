//! What the parts make of what Google answers. Each call against Google's own descriptions, and the whole against an emulator, are in
//! the daemon's tests.

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use engine::port::{Boxed, FeedKind, Page, PollCx, Verdict, Wants};
use mail_parser::{MessageParser, MimeHeaders};
use serde_json::{Value, json};
use wiremock::matchers::{any, method, path, path_regex, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::mail::Sent;
use super::query::{has_words, simple};
use super::{add_label, new_mail, send_mail};
use crate::testing::{Account, http, now, react_as, serve};

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// A mail as Gmail gives it.
fn sent(id: &str, payload: Value) -> Value {
    json!({"id": id, "threadId": "t1", "labelIds": ["INBOX"], "internalDate": "1800000000000", "payload": payload})
}

fn headers(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

fn event(payload: Value) -> Value {
    let sent: Sent = serde_json::from_value(sent("m1", payload)).unwrap();
    json!(sent.event(&[], true))
}

fn plain(data: &[u8], content_type: &str) -> Value {
    let headers = headers(&[("Content-Type", content_type)]);
    json!({"mimeType": "text/plain", "headers": headers, "body": {"data": URL_SAFE.encode(data), "size": data.len()}})
}

#[test]
fn headers_are_read_whoever_encoded_them() {
    let check = |name: &str, value: &str, field: &str, expected: &str| {
        let event = event(json!({"mimeType": "text/plain", "headers": headers(&[(name, value)])}));
        assert_eq!(event[field], expected, "{name}: {value}");
    };
    check("Subject", "=?UTF-8?B?8J+OiSBQYXJ0eQ==?=", "subject", "🎉 Party");
    check("Subject", "=?utf-8?Q?Gr=C3=BC=C3=9Fe?= =?utf-8?Q?_aus_K=C3=B6ln?=", "subject", "Grüße aus Köln");
    check("subject", "=?ISO-8859-1?Q?caf=E9?=", "subject", "café");
    check("Subject", "=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=", "subject", "日本");
    check("Subject", "Grüße 🎉", "subject", "Grüße 🎉");
    check("Subject", "مرحبا \u{202e}abc", "subject", "مرحبا \u{202e}abc");
    check("Subject", "a\r\n b\u{7}c", "subject", "a   bc");
    check("From", "=?UTF-8?Q?J=C3=BCrgen?= <j@example.org>", "from", "Jürgen <j@example.org>");
    check("From", "\"Smith, Ann\" <ann@example.org>", "from", "\"Smith, Ann\" <ann@example.org>");
    check("From", "\"Smith, Ann\" <ann@example.org>", "from_name", "Smith, Ann");
    check("From", "ann@example.org", "from_name", "ann@example.org");
    check("From", "דנה <dana@example.org>", "from_name", "דנה");
    check("To", "A <a@example.org>, b@example.org", "to", "A <a@example.org>, b@example.org");
    check("Message-ID", "<x@example.org>", "message_id", "x@example.org");
    check("In-Reply-To", "<y@example.org>", "in_reply_to", "y@example.org");
    check("Date", "Fri, 06 Nov 2026 09:49:30 +0100", "sent_at", "2026-11-06T09:49:30+01:00");
    check("From", "", "from", "");
}

#[test]
fn a_mail_without_anything_is_an_event_and_one_that_breaks_the_rules_too() {
    let empty: Sent = serde_json::from_value(json!({"id": "m1"})).unwrap();
    let event_of_empty = json!(empty.event(&[], true));
    let fields = |event: &Value| event.as_object().unwrap().len();
    let sample: Value = serde_json::from_str(new_mail::SPEC.sample_event).unwrap();
    assert_eq!(fields(&event_of_empty), fields(&sample));
    assert_eq!((&event_of_empty["subject"], &event_of_empty["message_id"]), (&json!(""), &Value::Null));

    let odd = json!({"mimeType": "text/plain", "headers": headers(&[
        ("", "x"), ("A: B", "x"), ("Date", "yesterday"), ("Subject", "=?x?Q?=ZZ"), ("From", "<<>,;\"")]),
        "body": {"data": "!!! no base64", "size": 4}});
    let odd = event(odd);
    assert_eq!((&odd["sent_at"], &odd["text"]), (&Value::Null, &json!("")));
    assert_eq!(odd["received_at_local"], "2027-01-15T08:00:00+00:00");
}

#[test]
fn bodies_are_read_in_whatever_they_are_encoded() {
    let check = |data: &[u8], content_type: &str, text: &str| {
        assert_eq!(event(plain(data, content_type))["text"], text, "{content_type}");
    };
    check("Grüße\r\n🎉".as_bytes(), "text/plain; charset=utf-8", "Grüße\n🎉");
    // Gmail says what the mail said, also where it has made UTF-8 of it.
    check("Grüße".as_bytes(), "text/plain; charset=\"iso-8859-1\"", "Grüße");
    check(b"Gr\xfc\xdfe", "text/plain; charset=\"iso-8859-1\"", "Grüße");
    check(b"\x1b$BF|K\\\x1b(B", "text/plain; charset=iso-2022-jp", "日本");
    check(b"a\xffb", "text/plain", "a\u{fffd}b");
    check(b"a\0b\x1bc", "text/plain; charset=us-ascii", "abc");
    check(b"", "text/plain", "");
    let mut unpadded = plain(b"ab", "text/plain");
    unpadded["body"]["data"] = json!(URL_SAFE_NO_PAD.encode("ab"));
    assert_eq!(event(unpadded)["text"], "ab");
    let long = event(plain("ü".repeat(100_000).as_bytes(), "text/plain"));
    assert_eq!((long["text"].as_str().unwrap().len(), &long["truncated"]), (128 * 1024, &json!(true)));
}

#[test]
fn text_html_and_files_are_told_apart() {
    let html = json!({"mimeType": "text/html", "partId": "0.1", "body": {"data": URL_SAFE.encode("<p>Hi<br>Bob</p>")}});
    let file = |part: &str, name: &str, kind: &str| json!({"partId": part, "mimeType": kind, "filename": name, "body": {"attachmentId": "a", "size": 3}});
    let forwarded = json!({"partId": "3", "mimeType": "message/rfc822", "parts": [plain(b"inner", "text/plain")]});
    let mail = event(json!({"mimeType": "multipart/mixed", "parts": [
        {"mimeType": "multipart/alternative", "parts": [plain(b"Hi Bob", "text/plain"), html.clone()]},
        file("1", "=?UTF-8?B?8J+TiC5wZGY=?=", "application/pdf"), file("2", "notes.txt", "text/plain"), forwarded]}));
    assert_eq!((&mail["text"], &mail["html"]), (&json!("Hi Bob"), &json!("<p>Hi<br>Bob</p>")));
    let names: Vec<_> = mail["attachments"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["📈.pdf", "notes.txt", "mail.eml"]);
    assert_eq!((&mail["has_attachment"], &mail["attachments"][0]["part"]), (&json!(true), &json!("1")));

    let only_html = event(json!({"mimeType": "multipart/alternative", "parts": [html]}));
    assert_eq!(only_html["text"], "Hi\nBob");
    let only_file = event(file("", "", "application/pdf"));
    assert_eq!(only_file["attachments"].as_array().unwrap().len(), 1);
    let deep =
        (0..60).fold(plain(b"x", "text/plain"), |inner, _| json!({"mimeType": "multipart/mixed", "parts": [inner]}));
    assert_eq!(event(deep)["text"], "");
}

/// Nobody uses what is large.
struct Spared;

impl Wants for Spared {
    fn large(&self) -> Boxed<'_, bool> {
        Box::pin(async { false })
    }
}

#[tokio::test]
async fn a_mail_whose_text_nobody_uses_is_read_without_it_and_its_files_are_known() {
    // What Gmail leaves of a mail for the mask that it is asked with.
    fn masked(mask: &str, value: &Value) -> Value {
        let mut left = serde_json::Map::new();
        let (mut depth, mut start) = (0, 0);
        for (i, c) in mask.char_indices().chain([(mask.len(), ',')]) {
            depth += i32::from(c == '(') - i32::from(c == ')');
            if c != ',' || depth > 0 {
                continue;
            }
            let (name, inner) = mask[start..i].split_once('(').unwrap_or((&mask[start..i], ""));
            start = i + 1;
            let Some(found) = value.get(name) else { continue };
            let inner = inner.strip_suffix(')').unwrap_or_default();
            let kept = match (inner, found) {
                ("", found) => found.clone(),
                (inner, Value::Array(list)) => list.iter().map(|one| masked(inner, one)).collect(),
                (inner, found) => masked(inner, found),
            };
            left.insert(name.to_owned(), kept);
        }
        Value::Object(left)
    }
    let html = json!({"mimeType": "text/html", "body": {"data": URL_SAFE.encode("<p>Hi"), "size": 5}});
    let text = plain(b"Hi", "text/plain");
    let either = json!({"mimeType": "multipart/alternative", "parts": [text, html]});
    let file = json!({"mimeType": "image/png", "partId": "1.2", "body": {"attachmentId": "a", "size": 3}});
    let inline =
        json!({"mimeType": "application/ics", "partId": "1.3", "filename": "a.ics", "body": {"data": "eA", "size": 1}});
    let all = json!({"mimeType": "multipart/mixed", "headers": headers(&[("Subject", "S")]), "parts": [either, file, inline]});
    let server = MockServer::start().await;
    let mail = sent("m1", all);
    let get = move |request: &Request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let url = body
            .lines()
            .find_map(|line| line.strip_prefix("GET ").filter(|line| line.contains("messages/m1")))
            .unwrap();
        let url = url::Url::parse(&format!("http://x{}", url.split(' ').next().unwrap())).unwrap();
        let mask = url.query_pairs().find(|(name, _)| name == "fields").map(|(_, mask)| mask.into_owned());
        let mail = mask.map_or_else(|| mail.clone(), |mask| masked(&mask, &mail));
        let part = |n: usize, body: &Value| {
            format!(
                "--b\r\nContent-Type: application/http\r\nContent-ID: <response-item-{n}>\r\n\r\nHTTP/1.1 200 X\r\n\r\n{body}\r\n"
            )
        };
        let body = part(0, &json!({})) + &part(1, &mail) + "--b--\r\n";
        ResponseTemplate::new(200).set_body_raw(body, "multipart/mixed; boundary=b")
    };
    Mock::given(path("/batch/gmail/v1")).respond_with(get).mount(&server).await;
    let (account, http, params) = (Account::at(&server.uri()), http(), json!({}));
    let cursor = json!({"history": "1", "left": ["m1"]});
    let cx = account.poll(&http, &params, Some(&cursor));
    let FeedKind::Polled { poll, .. } = new_mail::SPEC.feed.kind else { panic!("polled") };
    let mut whole = poll(cx).await.unwrap().items.remove(0).body;
    let spared = poll(PollCx { wants: Some(&Spared), ..cx }).await.unwrap().items.remove(0).body;
    let fields = whole.as_object_mut().unwrap();
    let large: Vec<Value> = ["text", "html", "truncated"].iter().filter_map(|name| fields.remove(*name)).collect();
    assert_eq!(large, [json!("Hi"), json!("<p>Hi"), json!(false)]);
    assert_eq!((&spared, &spared["attachments"][1]["name"]), (&whole, &json!("a.ics")));
    let requests = server.received_requests().await.unwrap();
    let answers =
        [&requests[0], &requests[1]].map(|request| String::from_utf8_lossy(&request.body).contains("fields="));
    assert_eq!(answers, [false, true]);
}

#[test]
fn only_what_a_mail_answers_by_itself_is_a_selection() {
    let own = |query: &str| (new_mail::SPEC.feed_params)(&json!({ "query": query })).get("query").is_some();
    for query in ["", "from:ann", "-from:ann subject:\"big bill\"", "label:work-x is:unread", "has:attachment in:inbox"]
    {
        assert!(simple(query).is_some() && !own(query), "{query}");
    }
    for query in [
        "invoice",
        "from:ann OR from:bob",
        "{from:a from:b}",
        "subject:(a b)",
        "older_than:2d",
        "from:me",
        "\"a b\"",
        "subject:\"a",
        "has:drive",
        "filename:pdf",
        "subject:",
        "in:anywhere",
        "+unicorn",
        "from:(a)",
        "-",
        ":",
    ] {
        assert!(simple(query).is_none() && own(query), "{query}");
    }
}

#[test]
fn a_selection_says_what_it_left_out_and_why() {
    let mail = json!({"from": "Ann Smith <ann@shop.example.org>", "subject": "Your Invoice №7", "to": "bob@example.com", "cc": "",
        "labels": ["INBOX", "UNREAD", "Work/New Things"], "label_ids": ["INBOX", "UNREAD", "Label_7"], "has_attachment": false});
    let check =
        |data: Value, event: &Value, left: Option<&str>| match ((new_mail::SPEC.select)(&data, event, None), left) {
            (Verdict::Take, None) => {}
            (Verdict::Leave(why), Some(words)) if why.contains(words) => {}
            (other, _) => panic!("{data}: {other:?}, not {left:?}"),
        };
    check(json!({}), &mail, None);
    check(json!({"query": "subject:invoice from:example.org"}), &mail, None);
    check(json!({"query": "from:annie"}), &mail, Some("`from:annie` does not hold: from is `Ann Smith"));
    check(json!({"query": "-is:unread"}), &mail, Some("`-is:unread` does not hold"));
    check(json!({"query": "is:read"}), &mail, Some("its labels are"));
    check(json!({"query": "label:work-new-things"}), &mail, None);
    check(json!({"query": "to:bob@example.com"}), &mail, None);
    check(json!({"label": "work/new things"}), &mail, None);
    check(json!({"label": "Label_7"}), &mail, None);
    check(json!({"label": "Label_8"}), &mail, Some("without `Label_8`"));
    check(json!({"from": "ann@shop.example.org"}), &mail, None);
    check(json!({"from": "nn@shop"}), &mail, Some("not `nn@shop`"));
    check(json!({"has_attachment": true}), &mail, Some("has_attachment is false"));
    let with = |labels: Value| {
        let mut mail = mail.clone();
        (mail["labels"], mail["label_ids"]) = (labels.clone(), labels);
        mail
    };
    check(json!({}), &with(json!(["SPAM"])), Some("it is in spam"));
    check(json!({}), &with(json!(["SENT"])), Some("sent mail"));
    check(json!({}), &with(json!(["SENT", "INBOX"])), None);
    check(json!({"query": "in:sent"}), &with(json!(["SENT"])), None);
    check(json!({"label": "TRASH"}), &with(json!(["TRASH"])), None);
    // Who asks for a place gets what is in that one, and nobody gets it who asks for what is not in it.
    check(json!({"label": "UNREAD"}), &with(json!(["SPAM", "UNREAD"])), Some("it is in spam"));
    check(json!({"query": "-label:noted"}), &with(json!(["SENT"])), Some("sent mail"));
    check(json!({"query": "in:sent"}), &with(json!(["SENT", "TRASH"])), Some("the trash"));
    check(json!({"query": "in:spam"}), &with(json!(["SPAM"])), None);
    for (query, place, is_named) in [
        ("invoice OR in:sent", "SENT", true),
        ("invoice {from:me from:ann}", "SENT", true),
        ("invoice -from:me", "SENT", false),
        ("invoice in:anywhere", "SPAM", true),
        ("invoice in:anywhere", "TRASH", true),
        ("invoice in:anywhere", "SENT", false),
        ("invoice in:(spam trash)", "TRASH", true),
        ("invoice -(in:spam in:sent)", "SENT", false),
        ("invoice -{a -in:sent}", "SENT", true),
        ("invoice -in:(spam sent)", "SENT", false),
        ("invoice \"or in:sent\"", "SENT", false),
        ("invoice label:\"sent\"", "SENT", true),
        ("login:sent x", "SENT", false),
        ("LABEL:Trash x", "TRASH", true),
    ] {
        let left = if is_named { None } else { Some("which neither") };
        check(json!({ "query": query }), &with(json!([place])), left);
    }
    let mut mail = with(json!(["SPAM"]));
    mail["subject"] = json!("check-in: x");
    check(json!({"query": "subject:\"check-in: x\""}), &mail, Some("it is in spam"));
}

#[test]
fn words_are_whole_but_where_nobody_writes_spaces() {
    let check =
        |text: &str, words: &str, expected: bool| assert_eq!(has_words(text, words), expected, "{words} in {text}");
    check("Your Invoice №7", "invoice", true);
    check("Your Invoices", "invoice", false);
    check("big red bill", "big bill", false);
    check("Big, bill!", "big bill", true);
    check("請求書が届きました", "請求書", true);
    check("見積書が届きました", "請求書", false);
    check("ขอใบแจ้งหนี้ด่วน", "ใบแจ้งหนี้", true);
    check("រូបថតវិក្កយបត្រ", "វិក្កយបត្រ", true);
    check("New ノート2", "ノート", true);
    check("새 청구서 도착", "청구서", true);
    check("새 청구서를", "청구서", false);
    check("🎉 Party", "🎉", true);
    check("Party", "🎉", false);
    check("100% off!!", "!!", true);
    check("Re\u{301}sume\u{301}.pdf", "résumé", true);
    check("RÉSUMÉ", "re\u{301}sume\u{301}", true);
    check("Résumé", "resume", false);
    check("", "x", false);
    check("x", "", false);
    check("x", " ", false);
}

#[test]
fn a_query_whose_quotes_or_brackets_do_not_close_is_told_when_it_is_saved() {
    let check = |query: &str, words: Option<&str>| {
        let wrong = (new_mail::SPEC.check)(&json!({ "query": query }));
        let told = wrong.first().map(|wrong| (wrong.pointer.as_str(), wrong.detail.as_str()));
        match (told, words) {
            (None, None) => {}
            (Some(("/query", why)), Some(words)) if why.contains(words) => {}
            other => panic!("{query}: {other:?}"),
        }
    };
    for query in ["", "a (b {c \"d)\"}) e", "subject:\":)\" x", "\"(\""] {
        check(query, None);
    }
    check("invoice subject:\"due", Some("a quote is not closed"));
    check("(a OR b", Some("a `(` is not closed"));
    check("a) OR (b", Some("nothing before this `)` opens it"));
    check("{a (b} c)", Some("nothing before this `}` opens it"));
    check("a }", Some("nothing before this `}`"));
}

/// Polls with a cursor; the page. The cursor moves with it.
async fn poll(
    account: &Account,
    params: &Value,
    cursor: &mut Option<Value>,
    since: Option<DateTime<Utc>>,
) -> Result<Page, Fault> {
    let FeedKind::Polled { poll, .. } = new_mail::SPEC.feed.kind else { panic!("polled") };
    let http = http();
    let cx = account.poll(&http, params, cursor.as_ref());
    let page = poll(PollCx { since, ..cx }).await?;
    *cursor = page.cursor.clone().or(cursor.take());
    Ok(page)
}

/// A mailbox of `count` mails, `m1` the oldest; history ids are larger than numbers are. `gone` are deleted.
struct Mailbox {
    count: usize,
    gone: &'static [usize],
}

impl Mailbox {
    const BIG: &str = "99999999999999999999";

    fn history_id(n: usize) -> String {
        format!("{}{n:05}", Self::BIG)
    }

    async fn mount(self, server: &MockServer) {
        server.reset().await;
        let Self { count, gone } = self;
        let param = |request: &Request, name: &str| {
            request.url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
        };
        let profile = ok(json!({"historyId": Self::history_id(count)}));
        Mock::given(path("/gmail/v1/users/me/labels")).respond_with(ok(json!({}))).mount(server).await;
        Mock::given(path("/gmail/v1/users/me/profile")).respond_with(profile).mount(server).await;
        let history = move |request: &Request| {
            let from: usize =
                param(request, "startHistoryId").unwrap().strip_prefix(Self::BIG).unwrap().parse().unwrap();
            let most: usize = param(request, "maxResults").unwrap().parse().unwrap();
            let entry =
                |n: usize| json!({"id": Self::history_id(n), "messagesAdded": [{"message": {"id": format!("m{n}")}}]});
            let entries: Vec<Value> = (from + 1..=count).take(most).map(entry).collect();
            let more = (from + most < count).then_some("token");
            ok(json!({"history": entries, "historyId": Self::history_id(count), "nextPageToken": more}))
        };
        Mock::given(path("/gmail/v1/users/me/history")).respond_with(history).mount(server).await;
        let list = move |request: &Request| {
            let most: usize = param(request, "maxResults").unwrap().parse().unwrap();
            let from: usize = param(request, "pageToken").map_or(0, |token| token.parse().unwrap());
            let page: Vec<Value> =
                (1..=count).rev().skip(from).take(most).map(|n| json!({"id": format!("m{n}")})).collect();
            let next = (from + most < count).then(|| (from + most).to_string());
            ok(json!({"messages": page, "nextPageToken": next}))
        };
        Mock::given(path("/gmail/v1/users/me/messages")).respond_with(list).mount(server).await;
        let one = move |id: &str| {
            let n: usize = id.trim_start_matches('m').parse().unwrap();
            let mut mail = sent(id, json!({"headers": headers(&[("Subject", id)])}));
            mail["internalDate"] = json!((now().timestamp_millis() + n as i64 * 1000).to_string());
            (!gone.contains(&n)).then_some(mail)
        };
        let get = move |request: &Request| match one(request.url.path_segments().unwrap().next_back().unwrap()) {
            Some(mail) => ok(mail),
            None => ResponseTemplate::new(404).set_body_json(json!({"error": {"message": "Not Found"}})),
        };
        Mock::given(path_regex("/gmail/v1/users/me/messages/.+")).respond_with(get).mount(server).await;
        let batch = move |request: &Request| {
            let body = String::from_utf8_lossy(&request.body);
            let paths =
                body.split("\r\nGET /gmail/v1/users/me/").skip(1).map(|rest| rest.split(['?', ' ']).next().unwrap());
            let part = |(n, path): (usize, &str)| {
                let body = path.strip_prefix("messages/").map_or_else(|| Some(json!({})), one);
                let (status, body) = body.map_or((404, json!({})), |body| (200, body));
                format!(
                    "--b\r\nContent-Type: application/http\r\nContent-ID: <response-item-{n}>\r\n\r\nHTTP/1.1 {status} X\r\n\r\n{body}\r\n"
                )
            };
            let body = paths.enumerate().map(part).collect::<String>() + "--b--\r\n";
            ResponseTemplate::new(200).set_body_raw(body, "multipart/mixed; boundary=b")
        };
        Mock::given(path("/batch/gmail/v1")).respond_with(batch).mount(server).await;
    }
}

fn keys(page: &Page) -> Vec<String> {
    page.items.iter().map(|item| item.key.clone()).collect()
}

/// Polls to the last page.
async fn all(account: &Account, params: &Value, cursor: &mut Option<Value>) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..1000 {
        let page = poll(account, params, cursor, None).await.unwrap();
        all.extend(keys(&page));
        if !page.more {
            return all;
        }
    }
    panic!("it asks for more without end")
}

#[tokio::test]
async fn a_backlog_comes_whole_and_in_order_and_goes_on_without_page_tokens() {
    let (server, params) = (MockServer::start().await, json!({}));
    let account = Account::at(&server.uri());
    Mailbox { count: 3, gone: &[] }.mount(&server).await;
    let mut cursor = None;
    assert_eq!(all(&account, &params, &mut cursor).await, ["m1", "m2", "m3"]);
    Mailbox { count: 1_003, gone: &[7, 1_000] }.mount(&server).await;
    let expected: Vec<String> = (4..=1_003).filter(|n| ![7, 1_000].contains(n)).map(|n| format!("m{n}")).collect();
    assert_eq!(all(&account, &params, &mut cursor).await, expected);
    assert_eq!(cursor, Some(json!({"history": Mailbox::history_id(1_003)})));
    let quiet = poll(&account, &params, &mut cursor, None).await.unwrap();
    assert_eq!((quiet.items.len(), quiet.cursor), (0, None), "a poll that finds nothing writes nothing");
    let calls = server.received_requests().await.unwrap();
    assert!(calls.iter().all(|call| !call.url.as_str().contains("pageToken")));
}

#[tokio::test]
async fn a_backlog_goes_on_where_the_quota_stopped_it() {
    let (server, params) = (MockServer::start().await, json!({}));
    let account = Account::at(&server.uri());
    let mut cursor = Some(json!({"history": Mailbox::history_id(0)}));
    Mailbox { count: 40, gone: &[] }.mount(&server).await;
    let mut limited = Account::at(&server.uri());
    limited.usage.limit("acme", &[("gmail".to_owned(), "2000/1m".parse().unwrap())].into(), &Default::default());
    let page = poll(&limited, &params, &mut cursor, None).await.unwrap();
    let came = keys(&page);
    assert_eq!((came.len(), page.more), (15, true));
    let fault = poll(&limited, &params, &mut cursor, None).await.unwrap_err();
    assert!(matches!(fault, Fault::Later { not_before: Some(_), .. }), "{fault:?}");
    let expected: Vec<String> = (1..=40).map(|n| format!("m{n}")).collect();
    assert_eq!([came, all(&account, &params, &mut cursor).await].concat(), expected);
}

#[tokio::test]
async fn a_history_that_is_gone_is_searched_from_the_last_mail_with_the_new_id_first() {
    let (server, params) = (MockServer::start().await, json!({}));
    let account = Account::at(&server.uri());
    let gone = json!({"error": {"code": 404, "message": "Requested entity was not found.", "errors": [{"reason": "notFound"}]}});
    serve(&server, ResponseTemplate::new(404).set_body_json(gone)).await;
    let mut cursor = Some(json!({"history": "5"}));
    let fault = poll(&account, &params, &mut cursor, None).await.unwrap_err();
    assert!(matches!(fault, Fault::Resync { .. }), "{fault:?}");

    Mailbox { count: 120, gone: &[] }.mount(&server).await;
    let (mut cursor, since) = (None, now() - TimeDelta::days(1));
    let page = poll(&account, &params, &mut cursor, Some(since)).await.unwrap();
    assert_eq!((keys(&page)[0].as_str(), page.more, &page.gap), ("m1", true, &None), "oldest first");
    assert_eq!(cursor.as_ref().unwrap()["history"], Mailbox::history_id(120));
    assert_eq!(all(&account, &params, &mut cursor).await.len(), 95);
    let calls = server.received_requests().await.unwrap();
    assert!(calls[0].url.path().ends_with("/profile"), "the new id comes before the search");
    let after = format!("q=after%3A{}&includeSpamTrash=true", (since - TimeDelta::hours(1)).timestamp());
    assert!(calls[1].url.query().unwrap().starts_with(&after), "{}", calls[1].url);

    Mailbox { count: 1_200, gone: &[] }.mount(&server).await;
    let page = poll(&account, &params, &mut None, Some(since)).await.unwrap();
    assert_eq!(keys(&page)[0], "m201");
    assert!(page.gap.unwrap().contains("only the last 1000 mails since"));
    let mut unreadable = Some(json!({"left": 7}));
    assert!(matches!(poll(&account, &params, &mut unreadable, None).await, Err(Fault::Resync { .. })));
}

#[tokio::test]
async fn what_is_old_at_the_first_poll_stays_old_and_no_share_is_too_small_to_get_on() {
    let (server, params) = (MockServer::start().await, json!({}));
    let limited = || {
        let mut account = Account::at(&server.uri());
        account.usage.limit("acme", &[("gmail".to_owned(), "600/1m".parse().unwrap())].into(), &Default::default());
        account
    };
    Mailbox { count: 30, gone: &[] }.mount(&server).await;
    let mut cursor = None;
    let page = poll(&limited(), &params, &mut cursor, None).await.unwrap();
    assert!(page.items.len() < 25 && !page.more);
    assert_eq!(cursor.as_ref().unwrap().get("left"), None);

    Mailbox { count: 40, gone: &[] }.mount(&server).await;
    let mut came = Vec::new();
    for _ in 0..10 {
        // A minute later: the share is whole again.
        came.extend(keys(&poll(&limited(), &params, &mut cursor, None).await.unwrap()));
    }
    assert_eq!(came, (31..=40).map(|n| format!("m{n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn drafts_and_chats_are_no_mail_and_labels_come_by_name() {
    let server = MockServer::start().await;
    let entry =
        |id: &str, label: &str| json!({"id": "7", "messagesAdded": [{"message": {"id": id, "labelIds": [label]}}]});
    let history =
        ok(json!({"history": [entry("d", "DRAFT"), entry("c", "CHAT"), entry("m1", "Label_7")], "historyId": "7"}));
    Mock::given(path("/gmail/v1/users/me/history")).respond_with(history).mount(&server).await;
    let mut mail = sent("m1", json!({}));
    mail["labelIds"] = json!(["INBOX", "Label_7"]);
    Mock::given(path("/gmail/v1/users/me/messages/m1")).respond_with(ok(mail)).mount(&server).await;
    let labels = ok(json!({"labels": [{"id": "Label_7", "name": "Work/Ünö", "type": "user"}]}));
    Mock::given(path("/gmail/v1/users/me/labels")).respond_with(labels).mount(&server).await;
    let mut cursor = Some(json!({"history": "6"}));
    let page = poll(&Account::at(&server.uri()), &json!({}), &mut cursor, None).await.unwrap();
    assert_eq!((page.items.len(), &page.items[0].body["labels"]), (1, &json!(["INBOX", "Work/Ünö"])));
}

#[tokio::test]
async fn a_query_for_gmail_is_a_search_that_gives_each_mail_once() {
    let (server, params) = (MockServer::start().await, json!({"query": "invoice OR bill"}));
    let account = Account::at(&server.uri());
    Mailbox { count: 30, gone: &[] }.mount(&server).await;
    let mut cursor = None;
    assert_eq!(all(&account, &params, &mut cursor).await.len(), 25);
    assert_eq!(all(&account, &params, &mut cursor).await.len(), 0, "those beyond the baseline are old too");
    Mailbox { count: 33, gone: &[32] }.mount(&server).await;
    assert_eq!(all(&account, &params, &mut cursor).await, ["m31", "m33"]);
    let asked = server.received_requests().await.unwrap()[0].url.query_pairs().next().unwrap().1.into_owned();
    assert!(asked.starts_with("(invoice OR bill) after:"), "{asked}");
    serve(&server, ok(json!({"resultSizeEstimate": 0}))).await;
    assert_eq!(
        poll(&account, &params, &mut cursor, None).await.unwrap().cursor,
        None,
        "nothing found, nothing forgotten"
    );
    Mailbox { count: 34, gone: &[] }.mount(&server).await;
    assert_eq!(all(&account, &params, &mut cursor).await, ["m34"]);
}

#[tokio::test]
async fn gmail_says_in_its_body_what_a_refusal_means() {
    let check = async |status: u16, reason: &str, matches: fn(&Fault) -> bool| {
        let server = MockServer::start().await;
        let body = json!({"error": {"code": status, "message": "words", "errors": [{"reason": reason}]}});
        serve(&server, ResponseTemplate::new(status).set_body_json(body)).await;
        let mut cursor = Some(json!({"history": "5"}));
        let fault = poll(&Account::at(&server.uri()), &json!({}), &mut cursor, None).await.unwrap_err();
        assert!(matches(&fault), "{status} {reason}: {fault:?}");
    };
    check(403, "rateLimitExceeded", |fault| matches!(fault, Fault::Later { .. })).await;
    check(403, "insufficientPermissions", |fault| fault.why().contains("gmail.readonly")).await;
    check(403, "domainPolicy", |fault| matches!(fault, Fault::Rejected { .. })).await;
    check(500, "backendError", |fault| matches!(fault, Fault::Later { .. })).await;
    check(404, "notFound", |fault| matches!(fault, Fault::Resync { .. })).await;
}

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

#[tokio::test]
async fn a_mail_that_was_sent_is_found_by_its_id_or_by_its_mark() {
    let server = gmail().await;
    let account = Account::at(&server.uri());
    let data = json!({"to": "a@example.org", "text": "x"});
    react_as(&send_mail::SPEC, data.clone(), Some(&account)).await.unwrap();
    let calls = server.received_requests().await.unwrap();
    let mail = raw(calls.last().unwrap());
    let mail = MessageParser::default().parse(&mail).unwrap();
    let (id, mark) =
        (mail.message_id().unwrap().to_owned(), mail.header("X-Area-Run").unwrap().as_text().unwrap().to_owned());

    let by_id = query_param("q", format!("rfc822msgid:{id}"));
    let found = |id: &str| ok(json!({"messages": [{"id": id, "threadId": "t"}]}));
    Mock::given(by_id).respond_with(found("old1")).with_priority(1).up_to_n_times(1).mount(&server).await;
    let done = react_as(&send_mail::SPEC, data.clone(), Some(&account)).await.unwrap();
    assert_eq!((&done["id"], &done["repeated"]), (&json!("old1"), &json!(true)));

    // Gmail gave it another Message-ID.
    let recent = query_param("q", format!("in:sent after:{}", now().timestamp() - 1));
    Mock::given(recent).respond_with(found("old2")).with_priority(1).mount(&server).await;
    let part = |mark: &str| {
        format!(
            "--b\r\nContent-Type: application/http\r\nContent-ID: <response-item-0>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}\r\n--b--\r\n",
            sent("old2", json!({"headers": headers(&[("X-Area-Run", mark)])}))
        )
    };
    let answers = |mark: &str| ResponseTemplate::new(200).set_body_raw(part(mark), "multipart/mixed; boundary=b");
    Mock::given(path("/batch/gmail/v1")).respond_with(answers(&mark)).up_to_n_times(1).mount(&server).await;
    let done = react_as(&send_mail::SPEC, data.clone(), Some(&account)).await.unwrap();
    assert_eq!((&done["id"], &done["repeated"]), (&json!("old2"), &json!(true)));
    Mock::given(path("/batch/gmail/v1")).respond_with(answers("another")).mount(&server).await;
    let done = react_as(&send_mail::SPEC, data, Some(&account)).await.unwrap();
    assert_eq!((&done["id"], &done["repeated"]), (&json!("s1"), &json!(false)));
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

#[tokio::test]
async fn a_label_is_found_by_name_or_made_if_asked_and_adding_it_again_changes_nothing() {
    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    let labels = json!({"labels": [{"id": "INBOX", "name": "INBOX", "type": "system"}, {"id": "Label_7", "name": "Work/New Things"}]});
    Mock::given(method("GET")).and(path("/gmail/v1/users/me/labels")).respond_with(ok(labels)).mount(&server).await;
    let modified = ok(json!({"id": "m1"}));
    Mock::given(method("POST"))
        .and(path("/gmail/v1/users/me/messages/m1/modify"))
        .respond_with(modified)
        .mount(&server)
        .await;
    let made = ok(json!({"id": "Label_8", "name": "Brandneu 🎉"}));
    Mock::given(method("POST"))
        .and(path("/gmail/v1/users/me/labels"))
        .respond_with(made)
        .up_to_n_times(1)
        .mount(&server)
        .await;
    let add = async |label: &str, create: bool| {
        let data = json!({"message": "m1", "label": label, "create": create});
        react_as(&add_label::SPEC, data, Some(&account)).await
    };
    for label in ["Label_7", "Work/New Things", "work-new-things"] {
        let done = add(label, false).await.unwrap();
        assert_eq!((&done["label_id"], &done["created"]), (&json!("Label_7"), &json!(false)), "{label}");
    }
    assert!(add("Brandneu 🎉", false).await.unwrap_err().why().contains("with `create` it is made"));
    let done = add("Brandneu 🎉", true).await.unwrap();
    assert_eq!((&done["label_id"], &done["created"]), (&json!("Label_8"), &json!(true)));
    let sent: Value = serde_json::from_slice(&server.received_requests().await.unwrap().last().unwrap().body).unwrap();
    assert_eq!(sent, json!({"addLabelIds": ["Label_8"]}));

    // Another run made it meanwhile: it is there when it is looked for again.
    let exists =
        ResponseTemplate::new(409).set_body_json(json!({"error": {"message": "Label name exists or conflicts"}}));
    Mock::given(method("POST")).and(path("/gmail/v1/users/me/labels")).respond_with(exists).mount(&server).await;
    let fault = add("Other", true).await.unwrap_err();
    assert!(fault.why().contains("Label name exists"), "{fault:?}");
    let gone = ResponseTemplate::new(404).set_body_json(json!({"error": {"message": "Not Found"}}));
    server.reset().await;
    Mock::given(any()).respond_with(gone).mount(&server).await;
    assert!(matches!(add("Label_7", false).await, Err(Fault::Rejected { .. })));
}
