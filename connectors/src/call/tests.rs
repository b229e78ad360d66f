//! The layer against servers on loopback: what each answer comes to, and what is sent.

use std::time::Duration;

use chrono::TimeDelta;
use engine::fault::Fault;
use engine::port::{Auth, OptionsCx, Share};
use serde_json::{Value, json};
use wiremock::matchers::{any, header, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::walk::{All, PAGES};
use super::*;
use crate::google::GMAIL;
use crate::testing::{Account, http, now, raw, serve};

static ACME: ApiSpec = ApiSpec { name: "acme", title: "Acme", said: |_| None, batch: None };
static LIST: ApiCall = ApiCall::get(&ACME, "things.list", "v1/boxes/{box}/things").units(2);
static MAKE: ApiCall = ApiCall::post(&ACME, "things.make", "v1/things");
static SYNC: ApiCall = ApiCall::get(&ACME, "things.sync", "v1/sync").dead(&[404, 410]);
static GONE: ApiCall =
    ApiCall::get(&ApiSpec { name: "absent", title: "Absent", said: |_| None, batch: None }, "gone", "v1/gone");
static MESSAGE: ApiCall =
    ApiCall::get(&GMAIL, "messages.get", "gmail/v1/users/me/messages/{id}").units(20).scopes(&["gmail.readonly"]);

fn caller<'a>(account: &'a Account, http: &'a engine::net::Http) -> Caller<'a> {
    Caller::options(&account.options(http, "")).unwrap()
}

fn list() -> Ask {
    LIST.ask().at("box", "b1")
}

/// What the server's answer to a call comes to.
async fn came_to(ask: Ask, answer: ResponseTemplate) -> Result<Value, Refused> {
    let (server, http) = (MockServer::start().await, http());
    serve(&server, answer).await;
    caller(&Account::at(&server.uri()), &http).json(&ask).await
}

fn google(status: u16, reason: &str, more: Value) -> ResponseTemplate {
    let mut error = json!({ "code": status, "message": "Google's words", "errors": [{ "reason": reason }] });
    error.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ResponseTemplate::new(status).set_body_json(json!({ "error": error }))
}

#[tokio::test]
async fn a_call_goes_below_the_base_with_its_values_and_its_bearer() {
    let (server, http) = (MockServer::start().await, http());
    serve(&server, ResponseTemplate::new(200).set_body_json(json!({"a": 1}))).await;
    let account = Account::at(&format!("{}/deep/", server.uri()));
    let ask = LIST.ask().at("box", "a/../b?c").query("q", "x&y").maybe("after", Some(7)).maybe("none", None::<u8>);
    let got: Value = caller(&account, &http).json(&ask).await.unwrap();
    assert_eq!(got, json!({"a": 1}));
    let sent = &server.received_requests().await.unwrap()[0];
    assert_eq!(sent.url.path(), "/deep/v1/boxes/a%2F..%2Fb%3Fc/things");
    assert_eq!(sent.url.query(), Some("q=x%26y&after=7"));
    assert_eq!(sent.headers["authorization"], "Bearer token-0");
}

#[tokio::test]
async fn what_would_climb_out_of_a_path_is_refused_unsent() {
    let (server, http) = (MockServer::start().await, http());
    let account = Account::at(&server.uri());
    for value in ["", ".", ".."] {
        let refused = caller(&account, &http).send(&LIST.ask().at("box", value)).await.unwrap_err();
        assert_eq!(refused.reason, Reason::Wrong, "{value}");
    }
    let refused = caller(&account, &http).send(&GONE.ask()).await.unwrap_err();
    assert!(refused.fault.why().contains("`apis` must name `absent`"), "{refused:?}");
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn without_an_account_nothing_is_called() {
    let http = http();
    let cx = OptionsCx { q: "", within: None, auth: None, http: &http, now: now() };
    assert!(matches!(Caller::options(&cx).err(), Some(Fault::Rejected { .. })));
}

#[tokio::test]
async fn a_token_that_is_refused_is_refreshed_once_and_the_call_repeated_once() {
    let (server, http) = (MockServer::start().await, http());
    Mock::given(header("authorization", "Bearer token-1"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({})))
        .mount(&server)
        .await;
    Mock::given(any()).respond_with(ResponseTemplate::new(401)).with_priority(9).mount(&server).await;
    let account = Account::at(&server.uri());
    caller(&account, &http).send(&MAKE.ask().json(&json!({"n": 1}))).await.unwrap();
    assert_eq!(account.refreshes(), 1);
    let sent = server.received_requests().await.unwrap();
    assert_eq!((sent.len(), &sent[0].body, &sent[1].body), (2, &br#"{"n":1}"#.to_vec(), &br#"{"n":1}"#.to_vec()));

    serve(&server, ResponseTemplate::new(401)).await;
    let refused = caller(&account, &http).send(&list()).await.unwrap_err();
    assert_eq!((refused.reason, server.received_requests().await.unwrap().len()), (Reason::Unauthorized, 2));
    assert!(matches!(refused.fault, Fault::Later { maybe_done: false, .. }), "{refused:?}");

    let lost = Fault::Reconnect { provider: "acme".into(), why: "revoked".into() };
    *account.lost.lock().unwrap() = Some(lost.clone());
    assert_eq!(caller(&account, &http).send(&list()).await.unwrap_err().fault, lost);
}

#[tokio::test]
async fn a_status_alone_comes_to_this() {
    let check = async |ask: Ask, status: u16, reason: Reason, maybe: Option<bool>| {
        let refused = came_to(ask, ResponseTemplate::new(status)).await.unwrap_err();
        let kind = match refused.fault {
            Fault::Later { maybe_done, .. } => Some(maybe_done),
            _ => None,
        };
        assert_eq!((refused.reason, kind), (reason, maybe), "{status}");
    };
    check(list(), 400, Reason::Wrong, None).await;
    check(list(), 403, Reason::Forbidden, None).await;
    check(list(), 404, Reason::Missing, None).await;
    check(list(), 429, Reason::Busy(Share::App), Some(false)).await;
    check(list(), 500, Reason::Broken, Some(false)).await;
    check(MAKE.ask(), 500, Reason::Broken, Some(true)).await;
    check(MAKE.ask(), 503, Reason::Broken, Some(false)).await;
    for status in [404, 410] {
        let refused = came_to(SYNC.ask(), ResponseTemplate::new(status)).await.unwrap_err();
        assert!(refused.reason == Reason::Dead && matches!(refused.fault, Fault::Resync { .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn a_way_that_breaks_has_done_nothing_where_only_reading_was_asked() {
    let url = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{").await;
    let (account, http) = (Account::at(&url), http());
    for (ask, maybe) in [(list(), false), (MAKE.ask(), true)] {
        let refused = caller(&account, &http).send(&ask).await.unwrap_err();
        assert!(matches!(refused.fault, Fault::Later { maybe_done, .. } if maybe_done == maybe), "{refused:?}");
    }
}

#[tokio::test]
async fn an_answer_over_its_cap_or_of_another_shape_is_no_answer() {
    static SMALL: ApiCall = ApiCall::get(&ACME, "small", "v1/small").max_body(100);
    let refused = came_to(SMALL.ask(), ResponseTemplate::new(200).set_body_string("x".repeat(101))).await.unwrap_err();
    assert!(refused.fault.why().contains("more than 100 bytes"), "{refused:?}");
    let (server, http) = (MockServer::start().await, http());
    serve(&server, ResponseTemplate::new(200).set_body_json(json!({"n": "many"}))).await;
    #[derive(Debug, serde::Deserialize)]
    struct Counted {
        #[expect(dead_code, reason = "its type is what matters")]
        n: u32,
    }
    let refused = caller(&Account::at(&server.uri()), &http).json::<Counted>(&list()).await.unwrap_err();
    assert!(refused.fault.why().starts_with("Acme answered things.list with another shape"), "{refused:?}");
}

#[tokio::test]
async fn a_pause_that_is_asked_for_holds_the_next_call_back() {
    let (server, http) = (MockServer::start().await, http());
    // Counted from the answer, and not from when it was asked for.
    let slow = ResponseTemplate::new(429).insert_header("retry-after", "7200").set_delay(Duration::from_millis(1500));
    serve(&server, slow).await;
    let account = Account::at(&server.uri());
    let first = caller(&account, &http).send(&list()).await.unwrap_err();
    assert!(first.fault.why().contains("a long pause, until 2026-11-06 10:49 UTC"), "{first:?}");
    let second = caller(&account, &http).send(&list()).await.unwrap_err();
    let asked = first.fault.not_before().unwrap();
    assert!(asked > now() + TimeDelta::seconds(7201) && asked < now() + TimeDelta::seconds(7230), "{asked}");
    assert_eq!(second.fault, Fault::Held { until: asked, why: first.fault.why().to_owned() });
    assert_eq!(server.received_requests().await.unwrap().len(), 1, "the second was not sent");
}

#[tokio::test]
async fn a_time_that_is_named_in_words_alone_is_obeyed() {
    let words = "User-rate limit exceeded.  Retry after 2026-11-06T09:04:42.247Z (Mail sending)";
    let busy = json!({"error": {"code": 429, "message": words, "errors": [{"reason": "rateLimitExceeded"}]}});
    let refused =
        came_to(MESSAGE.ask().at("id", "m1"), ResponseTemplate::new(429).set_body_json(busy)).await.unwrap_err();
    assert_eq!(refused.fault.not_before(), "2026-11-06T09:04:42.247Z".parse().ok(), "{refused:?}");
    assert_eq!(refused.reason, Reason::Busy(Share::Account));
}

#[tokio::test]
async fn the_share_of_an_account_is_not_overdrawn() {
    let (server, http) = (MockServer::start().await, http());
    serve(&server, ResponseTemplate::new(200).set_body_json(json!({}))).await;
    let mut account = Account::at(&server.uri());
    account.usage.limit("acme", &[("acme".to_owned(), "60/1m".parse().unwrap())].into(), &Default::default());
    let mut sent = 0;
    let refused = loop {
        match caller(&account, &http).send(&list()).await {
            Ok(_) => sent += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!((sent, server.received_requests().await.unwrap().len()), (5, 5), "a sixth of 60 units, 2 each");
    assert!(matches!(refused.fault, Fault::Held { until, .. } if until > now()), "{refused:?}");
}

#[tokio::test]
async fn who_has_written_is_held_back_in_the_middle_and_may_have_done_something() {
    static MAKE: ApiCall = ApiCall::post(&ACME, "things.make", "v1/things");
    static SEE: ApiCall = ApiCall::get(&ACME, "things.see", "v1/things");
    let (server, http) = (MockServer::start().await, http());
    serve(&server, ResponseTemplate::new(200).set_body_json(json!({}))).await;
    // A burst of one call: the next one waits for longer than a reaction does.
    let allowance = [("acme".to_owned(), "6/1m".parse().unwrap())];
    for (first, written) in [(MAKE.ask(), true), (SEE.ask(), false)] {
        let mut account = Account::at(&server.uri());
        account.usage.limit("acme", &allowance.clone().into(), &Default::default());
        let caller = caller(&account, &http);
        caller.send(&first).await.unwrap();
        let fault = caller.send(&MAKE.ask()).await.unwrap_err().fault;
        match written {
            true => assert!(matches!(fault, Fault::Later { not_before: Some(_), maybe_done: true, .. }), "{fault:?}"),
            false => assert!(matches!(fault, Fault::Held { .. }), "{fault:?}"),
        }
    }
    // What was written, and answered in a way that nobody can read, was written.
    let account = Account::at(&server.uri());
    let odd = caller(&account, &http).json::<u32>(&MAKE.ask()).await.unwrap_err().fault;
    assert!(matches!(odd, Fault::Later { maybe_done: true, .. }), "{odd:?}");
}

#[tokio::test]
async fn google_says_in_its_body_what_a_403_means() {
    let check = async |status, reason, more, want: Reason, words: &str| {
        let refused = came_to(MESSAGE.ask().at("id", "m1"), google(status, reason, more)).await.unwrap_err();
        assert_eq!(refused.reason, want, "{reason}");
        assert!(refused.fault.why().contains(words) && refused.fault.why().contains("Google's words"), "{refused:?}");
    };
    let none = json!({});
    check(403, "userRateLimitExceeded", none.clone(), Reason::Busy(Share::Account), "Gmail answered 403").await;
    check(403, "rateLimitExceeded", none.clone(), Reason::Busy(Share::App), "messages.get").await;
    let per_user = json!({"status": "RESOURCE_EXHAUSTED", "errors": [], "details": [
        {"reason": "RATE_LIMIT_EXCEEDED", "metadata": {"quota_limit": "QueriesPerMinutePerUser"}}]});
    check(429, "", per_user, Reason::Busy(Share::Account), "429").await;
    check(
        403,
        "dailyLimitExceeded",
        none.clone(),
        Reason::Quota(Share::App),
        "the quota of this installation is used up",
    )
    .await;
    check(
        403,
        "insufficientPermissions",
        none.clone(),
        Reason::Scope,
        "has not granted gmail.readonly; POST /v1/connect/acme",
    )
    .await;
    check(
        403,
        "",
        json!({"details": [{"reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]}),
        Reason::Scope,
        "gmail.readonly",
    )
    .await;
    check(403, "accessNotConfigured", none.clone(), Reason::Forbidden, "403").await;
    check(410, "fullSyncRequired", none.clone(), Reason::Dead, "410").await;
    check(403, "somethingNew", none, Reason::Forbidden, "403").await;
}

#[tokio::test]
async fn pages_are_walked_by_token_or_by_the_parameters_of_a_link_within_bounds() {
    let (server, http) = (MockServer::start().await, http());
    let page =
        |items: Value, next: &str| ResponseTemplate::new(200).set_body_json(json!({"items": items, "next": next}));
    Mock::given(query_param("page", "2")).respond_with(page(json!([3]), "")).mount(&server).await;
    Mock::given(query_param("page", "far")).respond_with(page(json!([]), "again")).mount(&server).await;
    // A link to another host: its parameters are taken, and the token stays here.
    let link = "https://evil.example/v1/other?page=2&limit=50";
    Mock::given(any()).respond_with(page(json!([1, 2]), link)).with_priority(9).mount(&server).await;
    let account = Account::at(&server.uri());
    let all: All<u32> = caller(&account, &http).all(list(), "/items", Paging::Link { at: "/next" }).await.unwrap();
    assert_eq!((all.items, all.cut), (vec![1, 2, 3], false));
    let sent = server.received_requests().await.unwrap();
    assert_eq!((sent.len(), sent[1].url.path()), (2, "/v1/boxes/b1/things"));

    let token = Paging::Token { at: "/next", param: "page" };
    let all: All<u32> = caller(&account, &http).all(list().query("page", "far"), "/items", token).await.unwrap();
    assert_eq!((all.items.len(), all.cut), (PAGES.saturating_sub(1) * 2, true), "without end: cut");
}

#[tokio::test]
async fn a_link_to_the_same_page_ends_the_walk() {
    let next = json!({"items": [1], "next": "https://a.example/x?page=1"});
    let (server, http) = (MockServer::start().await, http());
    serve(&server, ResponseTemplate::new(200).set_body_json(next)).await;
    let all: All<u32> = caller(&Account::at(&server.uri()), &http)
        .all(list().query("page", 1), "/items", Paging::Link { at: "/next" })
        .await
        .unwrap();
    assert_eq!((all.items, all.cut), (vec![1], false));
}

/// The answer to a batch: each part as Google writes it, in any order.
fn multipart(parts: &[(&str, &str)]) -> ResponseTemplate {
    let mut body = String::new();
    for (id, inner) in parts {
        let id = if id.is_empty() { String::new() } else { format!("Content-ID: <response-{id}>\r\n") };
        body.push_str(&format!("--batch_X\r\nContent-Type: application/http\r\n{id}\r\n{inner}\r\n"));
    }
    body.push_str("--batch_X--\r\n");
    ResponseTemplate::new(200).set_body_raw(body, "multipart/mixed; boundary=batch_X")
}

fn inner(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn messages(count: usize) -> Vec<Ask> {
    (0..count).map(|n| MESSAGE.ask().at("id", format!("m{n}")).query("format", "full")).collect()
}

#[tokio::test]
async fn a_batch_has_an_answer_or_a_refusal_for_each_of_its_calls() {
    let (server, http) = (MockServer::start().await, http());
    let limited =
        json!({"error": {"message": "slow down", "errors": [{"reason": "userRateLimitExceeded"}]}}).to_string();
    let (two, zero, one) = (inner(200, r#"{"id":"m2"}"#), inner(200, r#"{"id":"m0"}"#), inner(429, &limited));
    serve(&server, multipart(&[("item-2", &two), ("item-0", &zero), ("item-1", &one)])).await;
    let account = Account::at(&format!("{}/prefix", server.uri()));
    let got = caller(&account, &http).batch(&messages(4)).await.unwrap();
    let ids: Vec<Option<Value>> = got.iter().map(|one| Some(one.as_ref().ok()?.json().ok()?["id"].take())).collect();
    assert_eq!(ids, [Some(json!("m0")), None, Some(json!("m2")), None]);
    let refused = |n: usize| got[n].as_ref().unwrap_err();
    assert_eq!(refused(1).reason, Reason::Busy(Share::Account));
    assert!(refused(3).fault.why().contains("left messages.get out"), "{:?}", refused(3));
    let sent = &server.received_requests().await.unwrap()[0];
    assert_eq!((sent.url.path(), sent.method.as_str()), ("/batch/gmail/v1", "POST"));
    assert_eq!(sent.headers["authorization"], "Bearer token-0");
    let body = String::from_utf8(sent.body.clone()).unwrap();
    let head = "Content-ID: <item-1>\r\n\r\nGET /prefix/gmail/v1/users/me/messages/m1?format=full HTTP/1.1\r\n\r\n";
    assert!(body.contains(head), "{body}");
    assert!(!body.contains("token"), "the bearer is the whole's");
}

#[tokio::test]
async fn a_batch_without_ids_is_read_in_order_and_one_that_is_torn_is_no_answer() {
    let (server, http) = (MockServer::start().await, http());
    let account = Account::at(&server.uri());
    let (zero, one) = (inner(200, r#"{"id":"m0"}"#), inner(404, "{}"));
    serve(&server, multipart(&[("", &zero), ("", &one)])).await;
    let got = caller(&account, &http).batch(&messages(2)).await.unwrap();
    assert_eq!(got[0].as_ref().unwrap().json().unwrap()["id"], "m0");
    assert_eq!(got[1].as_ref().unwrap_err().reason, Reason::Missing);

    let torn = "--batch_X\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{";
    for answer in [
        ResponseTemplate::new(200).set_body_raw(torn, "multipart/mixed; boundary=batch_X"),
        ResponseTemplate::new(200).set_body_json(json!({})),
    ] {
        serve(&server, answer).await;
        let got = caller(&account, &http).batch(&messages(2)).await.unwrap();
        assert!(
            got.iter().all(|one| matches!(&one.as_ref().unwrap_err().fault, Fault::Later { maybe_done: false, .. }))
        );
    }
}

#[tokio::test]
async fn a_batch_is_refreshed_once_split_by_its_limits_and_ends_at_the_first_refusal_of_a_whole() {
    let (server, http) = (MockServer::start().await, http());
    let unauthorized = inner(401, "{}");
    Mock::given(header("authorization", "Bearer token-0"))
        .respond_with(multipart(&[("item-0", &unauthorized), ("item-1", &unauthorized)]))
        .mount(&server)
        .await;
    let fine = |request: &Request| {
        let count = String::from_utf8_lossy(&request.body).matches("Content-ID").count();
        let parts: Vec<(String, String)> = (0..count).map(|n| (format!("item-{n}"), inner(200, "{}"))).collect();
        multipart(&parts.iter().map(|(id, inner)| (id.as_str(), inner.as_str())).collect::<Vec<_>>())
    };
    Mock::given(method("POST")).and(path("/batch/gmail/v1")).respond_with(fine).with_priority(9).mount(&server).await;
    let mut account = Account::at(&server.uri());
    let got = caller(&account, &http).batch(&messages(2)).await.unwrap();
    assert!(got.iter().all(Result::is_ok) && account.refreshes() == 1, "{got:?}");

    // 2,000 units a minute: a burst of 334, which is 16 messages.
    account.usage.limit("acme", &[("gmail".to_owned(), "2000/1m".parse().unwrap())].into(), &Default::default());
    let before = server.received_requests().await.unwrap().len();
    let got = caller(&account, &http).batch(&messages(40)).await.unwrap();
    assert_eq!((got.len(), got.iter().filter(|one| one.is_ok()).count()), (40, 16));
    assert!(matches!(&got[39].as_ref().unwrap_err().fault, Fault::Held { .. }));
    assert_eq!(server.received_requests().await.unwrap().len() - before, 1);
    assert!(caller(&account, &http).batch(&[]).await.unwrap().is_empty());
    assert_eq!(caller(&account, &http).batch(&[list()]).await.unwrap_err().reason, Reason::Wrong);
}

#[tokio::test]
async fn what_is_said_shows_no_credential_and_stays_one_line() {
    let words = format!("a\nb {}", "x".repeat(500));
    let answer = ResponseTemplate::new(400).set_body_json(json!({"error": {"message": words}}));
    let refused = came_to(MESSAGE.ask().at("id", "m1").query("q", "SECRET"), answer).await.unwrap_err();
    let why = refused.fault.why();
    assert!(!why.contains('\n') && !why.contains("SECRET") && !why.contains("token-") && why.len() < 400, "{why}");
    let _: &dyn Auth = &Account::at("http://127.0.0.1");
}
