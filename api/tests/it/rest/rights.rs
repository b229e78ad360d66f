//! Who may do what.

use engine::store::people::Role;
use engine::store::tokens::{Scope, Scopes};
use serde_json::{Value, json};

use super::{Api, Said, area, path, said};

/// Every request that needs a token, on an AREA at `at`.
fn requests(at: &str) -> Vec<(&'static str, String, Option<Value>)> {
    let of = |rest: &str| format!("{at}{rest}");
    vec![
        ("GET", of(""), None),
        ("GET", of("/revisions"), None),
        ("GET", of("/revisions/1"), None),
        ("GET", of("/revisions/1/diff/1"), None),
        ("PUT", of(""), Some(area("b"))),
        ("PATCH", of(""), Some(json!({"name": "b"}))),
        ("POST", of("/pause"), None),
        ("POST", of("/resume"), None),
        ("POST", of("/revisions/1/rollback"), None),
        ("DELETE", of(""), None),
    ]
}

async fn send(api: &Api, token: &str, request: &(&'static str, String, Option<Value>)) -> Said {
    let (method, path, body) = request;
    let ask = api.bare(method, path).bearer_auth(token);
    said(match body {
        Some(body) => ask.json(body),
        None => ask,
    })
    .await
}

#[tokio::test]
async fn another_users_area_is_not_there() {
    for api in Api::all().await {
        let at = path(&api.made(&area("mine")).await);
        let bob = api.user("bob@example.org", Role::SuperAdmin, Scopes::default()).await;
        for request in requests(&at) {
            send(&api, &bob, &request).await.problem(404, "not-found", &[]);
        }
        let list = said(api.bare("GET", "/v1/areas").bearer_auth(&bob)).await.ok(200);
        assert_eq!(list["items"], json!([]), "{}", api.label);
        assert_eq!(api.call("GET", &at).await.header("etag"), "\"1\"", "{}: untouched", api.label);
    }
}

#[tokio::test]
async fn nobody_is_asked_for_a_token() {
    let api = Api::one().await;
    let at = path(&api.made(&area("mine")).await);
    let mut all = requests(&at);
    all.extend([
        ("GET", "/v1/areas".to_owned(), None),
        ("POST", "/v1/areas".to_owned(), Some(area("a"))),
        ("GET", "/v1/services".to_owned(), None),
        ("GET", "/v1/services/http".to_owned(), None),
    ]);
    for request in &all {
        let refused = send(&api, "area_nobody", request).await;
        refused.problem(401, "unauthorized", &[]);
        assert!(refused.header("www-authenticate").contains("invalid_token"), "{refused:?}");
    }
    for header in ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "bearer"] {
        let refused = said(api.bare("GET", "/v1/areas").header("authorization", header)).await;
        refused.problem(401, "unauthorized", &[]);
        assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"area\"");
    }
    said(api.bare("GET", "/v1/areas")).await.problem(401, "unauthorized", &[]);
    let small = said(api.bare("GET", "/v1/areas").header("authorization", format!("bearer {}", api.token))).await;
    assert_eq!(small.status, 200, "the scheme's case does not matter");
}

#[tokio::test]
async fn a_viewer_and_a_token_that_may_only_read_change_nothing() {
    for api in Api::all().await {
        let read = Scopes::from_iter([Scope::Read]);
        let viewer = api.user("viewer@example.org", Role::Viewer, Scopes::default()).await;
        let reader = api.user("reader@example.org", Role::Admin, read).await;
        let writer = api.user("writer@example.org", Role::Editor, Scopes::from_iter([Scope::Areas])).await;
        let made = |token: &str| api.bare("POST", "/v1/areas").bearer_auth(token).json(&area("a"));
        let at = path(&said(made(&writer)).await.ok(201));
        for token in [&viewer, &reader] {
            said(made(token)).await.problem(403, "forbidden", &[]);
            for request in requests(&at).iter().filter(|(method, ..)| *method != "GET") {
                send(&api, token, request).await.problem(403, "forbidden", &[]);
            }
            assert_eq!(said(api.bare("GET", "/v1/areas").bearer_auth(token)).await.status, 200, "{}", api.label);
        }
        said(api.bare("GET", &at).bearer_auth(&writer)).await.problem(403, "forbidden", &[]);
    }
}
