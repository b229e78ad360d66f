//! Whatever is wrong is a problem with its place.

use serde_json::{Value, json};

use super::{Api, area, path, said};

/// `document` with `value` at `pointer`, whose parent is there.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = area("News");
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[member.parse::<usize>().unwrap()] = value,
        members => members[member] = value,
    }
    document
}

#[tokio::test]
async fn every_slip_in_a_document_is_told_at_its_place() {
    let api = Api::one().await;
    let account = "0192aaaa-0000-7000-8000-000000000000";
    for (document, places) in [
        (json!({}), vec!["/name", "/action", "/reactions"]),
        (json!([]), vec![""]),
        (json!("x"), vec![""]),
        (with("/name", json!("")), vec!["/name"]),
        (with("/name", json!(5)), vec!["/name"]),
        (with("/nmae", json!("x")), vec!["/nmae"]),
        (with("/id", json!("x")), vec!["/id"]),
        (with("/state", json!("paused")), vec!["/state"]),
        (with("/action/service", json!("htp")), vec!["/action/service"]),
        (with("/action/name", json!("new_itm")), vec!["/action/name"]),
        (with("/action/account", json!(account)), vec!["/action/account"]),
        (with("/action/every", json!("soon")), vec!["/action/every"]),
        (with("/action/every", json!("1ms")), vec!["/action/every"]),
        (with("/action/data", json!({})), vec!["/action/data/url"]),
        (with("/action/data/url", json!(7)), vec!["/action/data/url"]),
        (with("/action/data/url", json!("http://127.0.0.1/")), vec!["/action/data/url"]),
        (with("/action/data/url", json!("http://[::ffff:10.0.0.1]/")), vec!["/action/data/url"]),
        (with("/action/data/itms", json!("x")), vec!["/action/data/itms"]),
        (with("/action/data/order", json!("sideways")), vec!["/action/data/order"]),
        (with("/when", json!("event.")), vec!["/when"]),
        (with("/when", json!("item.x")), vec!["/when"]),
        (with("/reactions", json!([])), vec!["/reactions"]),
        (with("/reactions/0/id", json!("A B")), vec!["/reactions/0/id"]),
        (with("/reactions/0/data/text", json!("{{ steps.other }}")), vec!["/reactions/0/data/text"]),
        (with("/reactions/0/data/text", json!("{{ nobody }}")), vec!["/reactions/0/data/text"]),
        (with("/reactions/0/data/level", json!("loud")), vec!["/reactions/0/data/level"]),
        (with("/reactions/0/data/text", json!({"$env": "HOME"})), vec!["/reactions/0/data/text"]),
        (with("/policy", json!({"throttle": {"max": 0, "per": "1h"}})), vec!["/policy/throttle/max"]),
        (with("/policy", json!({"retry": {"atempts": 1}})), vec!["/policy/retry/atempts"]),
    ] {
        let said = api.send("POST", "/v1/areas", &document).await;
        assert_eq!(said.status, 422, "{document}: {said:?}");
        let body = said.json();
        let mut got: Vec<&str> =
            body["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
        got.sort_unstable();
        got.dedup();
        let mut want = places;
        want.sort_unstable();
        assert_eq!(got, want, "{document}: {said:?}");
    }
    let both = api.send("POST", "/v1/areas", &with("/reaction", json!([]))).await;
    both.problem(422, "invalid", &["/reaction"]);
    assert!(api.call("GET", "/v1/areas").await.ok(200)["items"].as_array().unwrap().is_empty(), "nothing was made");
}

#[tokio::test]
async fn a_patch_is_checked_as_a_whole_and_in_its_writers_spelling() {
    let api = Api::one().await;
    let at = path(&api.made(&area("News")).await);
    for (patch, place) in [
        (json!({"name": null}), "/name"),
        (json!({"action": {"data": {"url": null}}}), "/action/data/url"),
        (json!({"revision": 7}), "/revision"),
        (json!({"reactions": null}), "/reactions"),
        (json!({"action": {"name": "changed", "data": {"items": null, "itm": 1}}}), "/action/data/itm"),
    ] {
        api.send("PATCH", &at, &patch).await.problem(422, "invalid", &[place]);
    }
    api.send("PATCH", &at, &json!([])).await.problem(422, "invalid", &[""]);
    assert_eq!(api.call("GET", &at).await.header("etag"), "\"1\"", "nothing changed");
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_a_problem() {
    let api = Api::one().await;
    let post = || api.ask("POST", "/v1/areas");
    let json = |text: &str| post().header("content-type", "application/json").body(text.to_owned());
    for text in ["", "  ", "{", "{\"name\": }", "nonsense", "{} {}", "\u{feff}{}"] {
        said(json(text)).await.problem(400, "malformed", &[]);
    }
    let place = said(json("{\"name\":\n oops}")).await.json()["detail"].as_str().unwrap().to_owned();
    assert!(place.contains("line 2 column 2"), "{place}");
    said(post().header("content-type", "application/json").body(vec![b'"', 0xff, b'"'])).await.problem(
        400,
        "malformed",
        &[],
    );
    said(json(&"[".repeat(100_000))).await.problem(400, "malformed", &[]);
    for kind in ["text/plain", "application/xml", "application/jsonx", "multipart/form-data"] {
        said(post().header("content-type", kind).body("{}")).await.problem(415, "media-type", &[]);
    }
    said(post().body("{}")).await.problem(415, "media-type", &[]);
    let large = format!("\"{}\"", "x".repeat(api::rest::BODY_BYTES));
    said(json(&large)).await.problem(413, "too-large", &[]);
    let document = area("x").to_string();
    assert_eq!(said(post().header("content-type", "Application/JSON; charset=utf-8").body(document)).await.status, 201);
}

#[tokio::test]
async fn a_body_without_a_length_is_cut_off_at_the_limit() {
    let api = Api::one().await;
    let chunks = (0..=api::rest::BODY_BYTES / 65_536).map(|_| Ok::<_, std::io::Error>(vec![b' '; 65_536]));
    let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    let request = api.ask("POST", "/v1/areas").header("content-type", "application/json").body(body);
    said(request).await.problem(413, "too-large", &[]);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let api = Api::one().await;
    for (method, path) in
        [("GET", "/nothing"), ("GET", "/v1"), ("GET", "/v1/nothing"), ("POST", "/v2/areas"), ("GET", "/v1/areas/")]
    {
        api.call(method, path).await.problem(404, "not-found", &[]);
    }
    for id in ["x", "0", "0192aaaa-0000-7000-8000-000000000000", "%ff", "..%2f..", "%00"] {
        api.call("GET", &format!("/v1/areas/{id}")).await.problem(404, "not-found", &[]);
    }
    api.call("GET", "/v1/services/htp").await.problem(404, "not-found", &[]);
    let said = api.call("PUT", "/v1/areas").await;
    said.problem(405, "method", &[]);
    let mut allowed: Vec<&str> = said.header("allow").split(',').map(str::trim).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    api.call("GET", &format!("{}/pause", path(&api.made(&area("a")).await))).await.problem(405, "method", &[]);
}

#[tokio::test]
async fn a_database_that_is_away_is_worth_another_try() {
    let api = Api::one().await;
    assert_eq!(api.call("GET", "/readyz").await.ok(200), json!({"ready": true, "database": "sqlite"}));
    api.break_database().await;
    let ready = said(api.bare("GET", "/readyz")).await;
    ready.problem(503, "unavailable", &[]);
    assert_eq!(ready.header("retry-after"), "1");
    assert_eq!(said(api.bare("GET", "/healthz")).await.text, "ok");
}
