//! `http.new_item`.

use engine::fault::Fault;
use serde_json::{Value, json};
use wiremock::matchers::{any, header, header_exists, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::http::new_item::SPEC;
use crate::testing::{Source, raw, serve};

fn list(ids: impl IntoIterator<Item = i64>) -> ResponseTemplate {
    let items: Vec<_> = ids.into_iter().map(|id| json!({"id": id, "name": format!("n{id}")})).collect();
    ResponseTemplate::new(200).set_body_json(json!({ "items": items }))
}

fn source(url: &str, more: Value) -> Source {
    let mut data = json!({ "url": url, "items": "/items" });
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Source::new(&SPEC, data)
}

#[track_caller]
fn check_fault(fault: Fault, kind: &str, part: &str) {
    let got = match &fault {
        Fault::Later { .. } => "later",
        Fault::Held { .. } => "held",
        Fault::Rejected { .. } => "rejected",
        Fault::Resync { .. } => "resync",
        Fault::Reconnect { .. } => "reconnect",
    };
    assert!(got == kind && fault.why().contains(part), "{fault:?}, wanted {kind} with {part}");
}

#[tokio::test]
async fn new_items_come_oldest_first_and_once() {
    let server = MockServer::start().await;
    let mut source = source(&server.uri(), json!({}));
    serve(&server, list([3, 2, 1])).await;
    assert_eq!(source.keys().await, ["1", "2", "3"], "the baseline");
    assert_eq!(source.keys().await, [""; 0]);
    serve(&server, list([5, 4, 3, 2])).await;
    let items = source.poll().await.unwrap();
    assert_eq!(items.iter().map(|i| &*i.key).collect::<Vec<_>>(), ["4", "5"]);
    assert_eq!(items[0].body, json!({"id": 4, "name": "n4"}));
}

#[tokio::test]
async fn the_order_of_the_list_is_as_it_is_said() {
    let server = MockServer::start().await;
    serve(&server, list([1, 2, 3])).await;
    assert_eq!(source(&server.uri(), json!({"order": "oldest_first"})).keys().await, ["1", "2", "3"]);
    assert_eq!(source(&server.uri(), json!({"order": "newest_first"})).keys().await, ["3", "2", "1"]);
}

#[tokio::test]
async fn reordered_late_and_returning_items_are_told_apart_by_their_keys() {
    let server = MockServer::start().await;
    let mut source = source(&server.uri(), json!({}));
    serve(&server, list([3, 2, 1])).await;
    source.keys().await;
    serve(&server, list([1, 3, 2])).await;
    assert_eq!(source.keys().await, [""; 0], "reordered");
    serve(&server, list([3, 10, 1])).await;
    assert_eq!(source.keys().await, ["10"], "late, in the middle");
    serve(&server, list([11, 3, 2, 1])).await;
    assert_eq!(source.keys().await, ["11"], "2 vanished and came back");
}

#[tokio::test]
async fn an_empty_answer_keeps_what_is_known_and_a_baseline_may_be_empty() {
    let server = MockServer::start().await;
    let mut watched = source(&server.uri(), json!({}));
    serve(&server, list([2, 1])).await;
    watched.keys().await;
    let seen = watched.cursor.as_ref().unwrap()["seen"].clone();
    for empty in [list([]), ResponseTemplate::new(204)] {
        serve(&server, empty).await;
        assert_eq!(watched.keys().await, [""; 0]);
        assert_eq!(watched.cursor.as_ref().unwrap()["seen"], seen);
    }
    serve(&server, list([2, 1])).await;
    assert_eq!(watched.keys().await, [""; 0]);

    serve(&server, list([])).await;
    let mut fresh = source(&server.uri(), json!({}));
    assert_eq!(fresh.keys().await, [""; 0]);
    assert!(fresh.cursor.is_some(), "or the first item would be taken for the baseline");
    serve(&server, list([1])).await;
    assert_eq!(fresh.keys().await, ["1"]);
}

#[tokio::test]
async fn a_quiet_list_moves_no_cursor_with_validators_or_without() {
    let server = MockServer::start().await;
    let mut plain = source(&server.uri(), json!({}));
    serve(&server, list([1])).await;
    plain.keys().await;
    assert_eq!(plain.page().await.unwrap().cursor, None);

    server.reset().await;
    let not_modified = ResponseTemplate::new(304);
    Mock::given(header("if-none-match", "\"1\"")).respond_with(not_modified).mount(&server).await;
    Mock::given(any()).respond_with(list([1]).insert_header("etag", "\"1\"")).mount(&server).await;
    let mut tagged = source(&server.uri(), json!({}));
    tagged.keys().await;
    let page = tagged.page().await.unwrap();
    assert_eq!((page.cursor, &*page.answer), (None, "304 not modified"));
}

#[tokio::test]
async fn a_document_that_changes_within_the_second_of_its_date_is_not_missed() {
    let server = MockServer::start().await;
    let mut source = source(&server.uri(), json!({}));
    let young = "Fri, 06 Nov 2026 08:50:37 GMT";
    let dated = |ids: &[i64]| {
        let answer = list(ids.iter().copied()).insert_header("last-modified", young).insert_header("date", young);
        answer.insert_header("etag", "\"same\"")
    };
    Mock::given(header_exists("if-none-match")).respond_with(ResponseTemplate::new(304)).mount(&server).await;
    Mock::given(any()).respond_with(dated(&[1])).up_to_n_times(1).mount(&server).await;
    source.keys().await;
    Mock::given(any()).respond_with(dated(&[2, 1])).mount(&server).await;
    assert_eq!(source.keys().await, ["2"]);
}

#[tokio::test]
async fn pages_are_read_until_the_old_mark_or_the_end() {
    let server = MockServer::start().await;
    let pages = async |pages: &[&[i64]]| {
        server.reset().await;
        for (i, ids) in pages.iter().enumerate().rev() {
            let mut answer = list(ids.iter().copied());
            if i + 1 < pages.len() {
                answer = answer.insert_header("link", format!("<?page={}>; rel=\"next\"", i + 1).as_str());
            }
            let mock = Mock::given(method("GET"));
            let mock = if i > 0 { mock.and(query_param("page", i.to_string())) } else { mock };
            mock.respond_with(answer).with_priority(if i > 0 { 1 } else { 5 }).mount(&server).await;
        }
    };
    let mut newest = source(&server.uri(), json!({"next": "link"}));
    let mut unordered = source(&server.uri(), json!({"next": "link", "order": "unordered"}));
    pages(&[&[6, 5], &[4, 3], &[2, 1]]).await;
    assert_eq!(newest.keys().await, ["1", "2", "3", "4", "5", "6"]);
    unordered.keys().await;
    pages(&[&[8, 7], &[6, 5], &[4, 3], &[0, 1]]).await;
    assert_eq!(newest.keys().await, ["7", "8"]);
    assert_eq!(server.received_requests().await.unwrap().len(), 2, "the second page is all known");
    assert_eq!(unordered.keys().await, ["0", "7", "8"], "the last page too");
    pages(&[&[9, 8], &[8, 7], &[6, 5]]).await;
    assert_eq!(newest.keys().await, ["9"], "an item that slid to the next page between two requests");
}

#[tokio::test]
async fn a_long_list_is_read_in_several_calls_and_a_place_that_is_gone_is_found_again() {
    let server = MockServer::start().await;
    let page = async |page: i64, next: bool, status: u16| {
        let next = if next { json!(format!("/?page={}", page + 1)) } else { Value::Null };
        let body = json!({"items": [{"id": -page * 2 - 1}, {"id": -page * 2 - 2}], "next": next});
        let mock = Mock::given(path("/"));
        let mock = if page > 0 { mock.and(query_param("page", page.to_string())) } else { mock };
        let answer = ResponseTemplate::new(status).set_body_json(body);
        mock.respond_with(answer).with_priority(if page > 0 { 1 } else { 5 }).mount(&server).await;
    };
    for i in 0..12 {
        page(i, i < 11, if i == 5 { 410 } else { 200 }).await;
    }
    let mut source = source(&format!("{}/", server.uri()), json!({"next": "/next"}));
    let first = source.page().await.unwrap();
    assert_eq!((first.items.len(), first.more, first.items[0].key.as_str()), (10, true, "-10"));
    let again = source.page().await.unwrap();
    assert_eq!((again.items.len(), again.more), (0, true), "page 5 is gone: from the start, and nothing is told twice");
    server.reset().await;
    for i in 0..12 {
        page(i, i < 11, 200).await;
    }
    let rest: Vec<String> = source.keys().await;
    assert_eq!(rest.len(), 14);
    assert!(source.cursor.as_ref().unwrap().get("scan").is_none());
    assert_eq!(source.keys().await, [""; 0]);
}

#[tokio::test]
async fn a_token_asks_for_the_next_page_and_a_post_sends_its_body_each_time() {
    let server = MockServer::start().await;
    let first = ResponseTemplate::new(200).set_body_json(json!({"items": [{"id": 2}], "meta": {"next": "a/b"}}));
    let last = ResponseTemplate::new(200).set_body_json(json!({"items": [{"id": 1}], "meta": {}}));
    Mock::given(query_param("cursor", "a/b")).respond_with(last).with_priority(1).mount(&server).await;
    Mock::given(query_param("q", "x")).respond_with(first).mount(&server).await;
    let more = json!({
        "method": "POST", "body": "{\"a\":1}", "next": "/meta/next", "next_param": "cursor", "headers": {"X-Key": "k"}
    });
    assert_eq!(source(&format!("{}/?q=x", server.uri()), more).keys().await, ["1", "2"]);
    let seen = server.received_requests().await.unwrap();
    assert_eq!(seen.len(), 2);
    for request in &seen {
        assert_eq!(
            (request.method.as_str(), &*request.body, &request.headers["x-key"]),
            ("POST", &b"{\"a\":1}"[..], &"k".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn credentials_do_not_follow_the_next_link_to_another_origin() {
    let (here, there) = (MockServer::start().await, MockServer::start().await);
    let away = format!("<{}/2>; rel=next", there.uri());
    serve(&here, list([2]).insert_header("link", away.as_str())).await;
    serve(&there, list([1])).await;
    let more = json!({"next": "link", "headers": {"Authorization": "Bearer SECRET", "Cookie": "SECRET"}});
    assert_eq!(source(&here.uri(), more).keys().await, ["1", "2"]);
    assert!(here.received_requests().await.unwrap()[0].headers.contains_key("authorization"));
    let headers = format!("{:?}", there.received_requests().await.unwrap()[0].headers);
    assert!(!headers.contains("SECRET"), "{headers}");
}

#[tokio::test]
async fn an_answer_of_another_shape_says_what_was_found() {
    let server = MockServer::start().await;
    let check = async |body: Value, part: &str| {
        serve(&server, ResponseTemplate::new(200).set_body_json(body)).await;
        let mut fresh = source(&server.uri(), json!({}));
        check_fault(fresh.poll().await.unwrap_err(), "rejected", part);
        assert_eq!(fresh.cursor, None);
        let mut known = source(&server.uri(), json!({}));
        known.cursor = Some(json!({"seen": ""}));
        check_fault(known.poll().await.unwrap_err(), "later", part);
    };
    check(json!({"error": "SECRET"}), "nothing at `/items` in the answer, which is an object with `error`").await;
    check(json!({"items": {}}), "`/items` in the answer is an empty object, not a list").await;
    check(json!({"items": [{"id": 1}, {"no": 1}]}), "item 1 has no key at `/id`").await;
    check(json!({"items": [{"id": null}]}), "is null").await;
    check(json!({"items": [{"id": 7}, {"id": 8}, {"id": "7"}]}), "items 0 and 2 have the same key `7`").await;
}

#[tokio::test]
async fn statuses_and_broken_answers_are_faults_of_the_right_kind() {
    let server = MockServer::start().await;
    for (status, kind) in
        [(401, "rejected"), (403, "rejected"), (404, "rejected"), (410, "rejected"), (429, "later"), (500, "later")]
    {
        serve(&server, ResponseTemplate::new(status).insert_header("retry-after", "7")).await;
        let kind = if status == 429 || status == 500 { kind } else { "later" };
        check_fault(source(&server.uri(), json!({})).poll().await.unwrap_err(), kind, &status.to_string());
        serve(&server, ResponseTemplate::new(status)).await;
        let kind = if status >= 429 { "later" } else { "rejected" };
        check_fault(source(&server.uri(), json!({})).poll().await.unwrap_err(), kind, &status.to_string());
    }
    for (bytes, part) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n<html"[..], "did not answer with JSON"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "an empty body"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"items\":[", "cut off"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "304"),
        (b"\x00\x01\x02", "broke off"),
    ] {
        check_fault(source(&raw(bytes).await, json!({})).poll().await.unwrap_err(), "later", part);
    }
}

#[tokio::test]
async fn broken_utf8_and_zeroes_are_no_fault() {
    let url = raw(b"HTTP/1.1 200 OK\r\n\r\n{\"items\":[{\"id\":\"a\xff\",\"t\":\"x\\u0000y\"}]}").await;
    let items = source(&url, json!({})).poll().await.unwrap();
    assert_eq!((&*items[0].key, &items[0].body["t"]), ("a\u{FFFD}", &json!("x\u{0}y")));
}

#[tokio::test]
async fn a_list_that_is_too_long_to_be_remembered_is_refused_unless_it_is_newest_first() {
    let server = MockServer::start().await;
    serve(&server, list((0..10_050).rev())).await;
    let fault = source(&server.uri(), json!({"order": "unordered"})).poll().await.unwrap_err();
    check_fault(fault, "rejected", "over 10000 items");
    let mut newest = source(&server.uri(), json!({}));
    assert_eq!(newest.keys().await.len(), 10_050);
    serve(&server, list((0..10_051).rev())).await;
    assert_eq!(newest.keys().await, ["10050"]);
}

#[test]
fn data_is_checked_field_by_field() {
    let check = |data: Value, want: &[&str]| {
        let wrong = (SPEC.check)(&data);
        assert_eq!(wrong.iter().map(|w| &*w.pointer).collect::<Vec<_>>(), want, "{data}: {wrong:?}");
    };
    check(json!({"url": "https://a.example/"}), &[]);
    check(json!({"url": "ftp://a.example/"}), &["/url"]);
    check(json!({"url": "https://u:p@a.example/"}), &["/url"]);
    check(json!({"url": "https://a.example/", "items": "items", "key": "$.id"}), &["/items", "/key"]);
    check(json!({"url": "https://a.example/", "next": "next"}), &["/next"]);
    check(json!({"url": "https://a.example/", "next_param": "p"}), &["/next_param"]);
    check(json!({"url": "https://a.example/", "body": "{}"}), &["/body"]);
    check(json!({"url": "https://a.example/", "headers": {"Host": "x"}}), &["/headers/Host"]);
    check(json!({"url": "https://a.example/", "no": 1}), &[""]);
}
