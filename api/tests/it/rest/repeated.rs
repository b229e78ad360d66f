//! `Idempotency-Key`.

use engine::store::people::Role;
use engine::store::tokens::Scopes;
use serde_json::json;

use super::{Api, START, area, path, said};

#[tokio::test]
async fn the_same_key_with_the_same_request_gives_the_same_answer() {
    for api in Api::all().await {
        let post =
            |key: &str, name: &str| api.ask("POST", "/v1/areas").header("idempotency-key", key).json(&area(name));
        let first = said(post("k1", "a")).await;
        let again = said(post("k1", "a")).await;
        assert_eq!((first.ok(201), &first.text), (again.ok(201), &again.text), "{}", api.label);
        for header in ["etag", "location", "content-type"] {
            assert_eq!(first.header(header), again.header(header), "{}", api.label);
        }
        assert!(first.headers.get("idempotency-replayed").is_none());
        assert_eq!(again.header("idempotency-replayed"), "true", "{}", api.label);
        said(post("k1", "b")).await.problem(422, "key-reused", &[]);
        let pause = format!("{}/pause", path(&first.json()));
        said(api.ask("POST", &pause).header("idempotency-key", "k1")).await.problem(422, "key-reused", &[]);
        assert_eq!(said(post("k2", "a")).await.status, 201, "{}", api.label);
        let bob = api.user("bob@example.org", Role::Editor, Scopes::default()).await;
        let his = api.bare("POST", "/v1/areas").bearer_auth(&bob).header("idempotency-key", "k1").json(&area("b"));
        assert_eq!(said(his).await.status, 201, "{}: keys are their user's own", api.label);
        let list = api.call("GET", "/v1/areas").await.ok(200);
        assert_eq!(list["items"].as_array().unwrap().len(), 2, "{}", api.label);
    }
}

#[tokio::test]
async fn of_many_at_once_one_is_made() {
    for api in Api::all().await {
        let post = || said(api.ask("POST", "/v1/areas").header("idempotency-key", "k").json(&area("a")));
        let all = futures::future::join_all((0..8).map(|_| post())).await;
        assert!(all.iter().all(|said| [201, 409].contains(&said.status)), "{all:?}");
        let made: Vec<_> = all.iter().filter(|said| said.status == 201).map(|said| said.json()["id"].clone()).collect();
        assert!(!made.is_empty() && made.iter().all(|id| *id == made[0]), "{}: {made:?}", api.label);
        let list = api.call("GET", "/v1/areas").await.ok(200);
        assert_eq!(list["items"].as_array().unwrap().len(), 1, "{}", api.label);
    }
}

#[tokio::test]
async fn a_refusal_is_repeated_too_and_a_bad_key_is_none() {
    let api = Api::one().await;
    let post = |key: &str, body| said(api.ask("POST", "/v1/areas").header("idempotency-key", key).json(&body));
    let first = post("k", json!({})).await;
    first.problem(422, "invalid", &["/action", "/name", "/reactions"]);
    let again = post("k", json!({})).await;
    assert_eq!((&first.text, again.header("idempotency-replayed")), (&again.text, "true"));
    assert_eq!(again.header("content-type"), "application/problem+json");
    for key in ["", " ", "a b", &"x".repeat(256)] {
        post(key, area("a")).await.problem(400, "malformed", &[]);
    }
    let two = api.ask("POST", "/v1/areas").header("idempotency-key", "a").header("idempotency-key", "b");
    said(two.json(&area("a"))).await.problem(400, "malformed", &[]);
    let nobody = api.bare("POST", "/v1/areas").header("idempotency-key", "k").json(&area("a"));
    said(nobody).await.problem(401, "unauthorized", &[]);
    api.clock.set(START + 86_400_000_000);
    assert_eq!(post("k", json!({})).await.header("idempotency-replayed"), "true", "kept for a day at least");
}
