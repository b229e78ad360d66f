//! What the feed of a mailbox makes of what Gmail answers, also where it answers too much, nothing, or what nobody can read.

use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use engine::port::{FeedKind, Page, PollCx};
use serde_json::{Value, json};
use wiremock::matchers::{path, path_regex, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::new_mail;
use super::tests::{headers, ok, sent};
use crate::testing::{Account, http, now, serve};

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
    assert!(matches!(fault, Fault::Held { .. }), "{fault:?}");
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
async fn a_page_of_the_history_without_an_entry_is_not_its_end() {
    let server = MockServer::start().await;
    let history = |token: Option<&str>| {
        let mock = Mock::given(path("/gmail/v1/users/me/history"));
        match token {
            Some(token) => mock.and(query_param("pageToken", token)),
            None => mock.and(query_param_is_missing("pageToken")),
        }
    };
    let empty = |next: &str| ok(json!({"historyId": "9", "nextPageToken": next}));
    history(None).respond_with(empty("t1")).mount(&server).await;
    history(Some("t1")).respond_with(empty("t2")).mount(&server).await;
    let added = json!([{"id": "7", "messagesAdded": [{"message": {"id": "m1"}}]}]);
    let page = ok(json!({"history": added, "historyId": "9", "nextPageToken": "t3"}));
    history(Some("t2")).respond_with(page).mount(&server).await;
    Mock::given(path("/gmail/v1/users/me/labels")).respond_with(ok(json!({}))).mount(&server).await;
    Mock::given(path("/gmail/v1/users/me/messages/m1")).respond_with(ok(sent("m1", json!({})))).mount(&server).await;
    let (account, params, mut cursor) = (Account::at(&server.uri()), json!({}), Some(json!({"history": "6"})));
    let page = poll(&account, &params, &mut cursor, None).await.unwrap();
    assert_eq!((keys(&page), page.more), (vec!["m1".to_owned()], true));
    assert_eq!(cursor, Some(json!({"history": "7", "more": true})));

    serve(&server, empty("t1")).await;
    let fault = poll(&account, &params, &mut cursor, None).await.unwrap_err();
    assert!(matches!(&fault, Fault::Later { why, .. } if why.contains("without an entry")), "{fault:?}");
    assert_eq!(server.received_requests().await.unwrap().len(), 51);
}

#[tokio::test]
async fn a_mail_that_is_dated_ahead_does_not_silence_a_search() {
    let server = MockServer::start().await;
    let mut mail = sent("m1", json!({}));
    mail["internalDate"] = json!((now() + TimeDelta::days(900)).timestamp_millis().to_string());
    Mock::given(path("/gmail/v1/users/me/messages/m1")).respond_with(ok(mail)).mount(&server).await;
    Mock::given(path("/gmail/v1/users/me/labels")).respond_with(ok(json!({}))).mount(&server).await;
    let since = now() - TimeDelta::days(1);
    let mut cursor = Some(json!({"top": since, "left": ["m1"]}));
    let params = json!({"query": "invoice"});
    let page = poll(&Account::at(&server.uri()), &params, &mut cursor, None).await.unwrap();
    assert_eq!((keys(&page), cursor), (vec!["m1".to_owned()], Some(json!({"top": now()}))));
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
