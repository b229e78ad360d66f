//! What the parts make of what Google answers. Each call against Google's own descriptions, and the whole against an emulator, are in
//! the daemon's tests.

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use engine::fault::Fault;
use engine::port::{Boxed, FeedKind, PollCx, Verdict, Wants};
use serde_json::{Value, json};
use wiremock::matchers::{any, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::mail::Sent;
use super::query::{has_words, simple};
use super::{add_label, new_mail};
use crate::testing::{Account, http, react_as};

pub(super) fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// A mail as Gmail gives it.
pub(super) fn sent(id: &str, payload: Value) -> Value {
    json!({"id": id, "threadId": "t1", "labelIds": ["INBOX"], "internalDate": "1800000000000", "payload": payload})
}

pub(super) fn headers(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

pub(super) fn event(payload: Value) -> Value {
    let sent: Sent = serde_json::from_value(sent("m1", payload)).unwrap();
    json!(sent.event(&[], true))
}

pub(super) fn plain(data: &[u8], content_type: &str) -> Value {
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

#[test]
fn one_form_of_several_is_no_file_unless_it_is_named_and_a_file_without_a_name_gets_one() {
    let check = |payload: Value, names: &[&str]| {
        let event = event(payload.clone());
        let files: Vec<_> =
            event["attachments"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!((files.as_slice(), &event["has_attachment"]), (names, &json!(!names.is_empty())), "{payload}");
    };
    let part = |kind: &str, more: Value| {
        let mut part = json!({"mimeType": kind, "body": {"data": "eA==", "size": 1}});
        part.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        part
    };
    let of = |kind: &str, parts: &[Value]| json!({"mimeType": format!("multipart/{kind}"), "parts": parts});
    let (text, amp) = (plain(b"Hi", "text/plain"), part("text/x-amp-html", json!({})));
    let (invite, named) = (part("text/calendar", json!({})), part("text/calendar", json!({"filename": "a.ics"})));
    let apart = headers(&[("Content-Disposition", "attachment")]);
    check(of("alternative", &[text.clone(), amp, invite.clone()]), &[]);
    check(of("alternative", &[text.clone(), named]), &["a.ics"]);
    check(of("alternative", &[text.clone(), part("text/calendar", json!({ "headers": apart }))]), &["invite.ics"]);
    check(of("mixed", &[of("alternative", &[text.clone(), text.clone()]), invite]), &["invite.ics"]);
    let image = part("image/png", json!({}));
    check(of("alternative", &[text.clone(), of("related", &[text.clone(), image])]), &["image.png"]);
    let bounce = [text, part("message/delivery-status", json!({})), part("message/rfc822", json!({}))];
    check(of("report", &bounce), &["delivery-status.txt", "mail.eml"]);
    check(part("application/x-odd", json!({})), &["file"]);
}

#[test]
fn a_mail_of_which_everything_is_long_is_an_event_all_the_same() {
    let (quotes, long) = ("\"".repeat(500 * 1024), "\\".repeat(100_000));
    let people: Vec<String> = (0..9_999).map(|n| format!("\"A, {n}\" <a{n}@example.org>")).collect();
    let one = format!("\"{}\" <{}@example.org>", "a\\\\".repeat(5_000), "b".repeat(5_000));
    let headers = headers(&[
        ("Subject", &long),
        ("From", &one),
        ("Reply-To", &one),
        ("To", &people.join(", ")),
        ("Cc", &people.join(", ")),
        ("Message-ID", &format!("<{}@example.org>", "c".repeat(9_999))),
        ("In-Reply-To", &format!("<{}@example.org>", "c".repeat(9_999))),
    ]);
    let mut parts = vec![plain(quotes.as_bytes(), "text/plain"), plain(quotes.as_bytes(), "text/plain")];
    parts[1]["mimeType"] = json!("text/html");
    let kind = format!("application/{}", "\"".repeat(9_999));
    parts.extend(
        (0..200).map(|n| json!({"partId": n.to_string(), "filename": long, "mimeType": kind, "body": {"size": 9}})),
    );
    let event = event(json!({"mimeType": "multipart/mixed", "headers": headers, "parts": parts}));
    assert!(event.to_string().len() < 1 << 20, "{}", event.to_string().len());
    let length = |field: &str| event[field].as_str().unwrap().len();
    assert_eq!((length("subject"), length("from_name"), length("from_address")), (4096, 512, 512));
    let addresses = event["to_addresses"].as_array().unwrap();
    assert!(addresses.len() > 200 && (8_000..8_192).contains(&length("to")), "{}", length("to"));
    assert_eq!((&addresses[0], &event["cc"]), (&json!("a0@example.org"), &event["to"]), "the first ones, whole");
    assert_eq!(event["attachments"].as_array().unwrap().len(), 100);
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
