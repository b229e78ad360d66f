//! `http.changed`.

use engine::fault::Fault;
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use crate::http::changed::SPEC;
use crate::testing::{Source, serve};

fn body(value: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(value)
}

#[tokio::test]
async fn a_value_that_changes_is_told_with_both_values_each_time() {
    let server = MockServer::start().await;
    let mut source = Source::new(&SPEC, json!({"url": server.uri(), "watch": "/price"}));
    let mut told = Vec::new();
    for price in [json!(1), json!(1), json!(2), json!(1), json!(2), json!({"eur": 2}), json!(null)] {
        serve(&server, body(json!({"price": price, "other": told.len()}))).await;
        told.extend(source.poll().await.unwrap());
    }
    let values: Vec<_> = told.iter().map(|item| (&item.body["previous"], &item.body["current"])).collect();
    let (one, two, object, null) = (json!(1), json!(2), json!({"eur": 2}), json!(null));
    assert_eq!(values, [(&one, &two), (&two, &one), (&one, &two), (&two, &object), (&object, &null)]);
    let mut keys: Vec<_> = told.iter().map(|item| &item.key).collect();
    keys.dedup();
    assert_eq!(keys.len(), 5, "the same values again are another change");
    assert_eq!(told[0].body["url"], server.uri());
    assert_eq!(told[0].body["at"], json!(told[0].at.unwrap()));
}

#[tokio::test]
async fn a_repeated_poll_tells_the_same_change_under_the_same_key() {
    let server = MockServer::start().await;
    let mut source = Source::new(&SPEC, json!({"url": server.uri()}));
    serve(&server, body(json!(1))).await;
    source.poll().await.unwrap();
    serve(&server, body(json!(2))).await;
    let before = source.cursor.clone();
    let first = source.poll().await.unwrap();
    source.cursor = before;
    assert_eq!(source.poll().await.unwrap()[0].key, first[0].key);
    assert!(first[0].body["current"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(source.page().await.unwrap().cursor, None, "nothing changed, nothing moves");
}

#[tokio::test]
async fn a_status_is_a_value_and_no_fault_where_it_is_watched() {
    let server = MockServer::start().await;
    let mut watched = Source::new(&SPEC, json!({"url": server.uri(), "watch": "status"}));
    let mut told = Vec::new();
    for status in [200, 500, 500, 404] {
        serve(&server, ResponseTemplate::new(status).set_body_string(format!("{status}"))).await;
        told.extend(watched.poll().await.unwrap().into_iter().map(|item| item.body["current"].clone()));
    }
    assert_eq!(told, [500, 404]);
    let mut body = Source::new(&SPEC, json!({"url": server.uri()}));
    assert!(matches!(body.poll().await, Err(Fault::Rejected { .. })));
}

#[tokio::test]
async fn a_pointer_that_leads_nowhere_is_a_fault_at_first_and_null_later() {
    let server = MockServer::start().await;
    serve(&server, body(json!({"a": 1}))).await;
    let mut source = Source::new(&SPEC, json!({"url": server.uri(), "watch": "/b"}));
    let fault = source.poll().await.unwrap_err();
    assert!(
        matches!(&fault, Fault::Rejected { why } if why.contains("nothing at `/b`; the answer is an object with `a`"))
    );
    serve(&server, body(json!({"b": 1}))).await;
    source.poll().await.unwrap();
    serve(&server, body(json!({"a": 1}))).await;
    assert_eq!(source.poll().await.unwrap()[0].body["current"], Value::Null);
}

#[tokio::test]
async fn a_value_too_large_for_an_event_is_refused() {
    let server = MockServer::start().await;
    serve(&server, body(json!({"a": "x".repeat(70_000)}))).await;
    let fault = Source::new(&SPEC, json!({"url": server.uri(), "watch": "/a"})).poll().await.unwrap_err();
    assert!(matches!(&fault, Fault::Rejected { why } if why.contains("at most 65536")), "{fault:?}");
    assert_eq!((SPEC.check)(&json!({"url": "https://a.example", "watch": "price"}))[0].pointer, "/watch");
}
