//! A secret goes in and never comes out.

use serde_json::{Value, json};

use super::{Api, area, path};

const SECRET: &str = "hunter2-and-more";

fn secretive() -> Value {
    let mut document = area("Secret");
    document["action"] = json!({"service": "webhook", "name": "received", "data":
        {"verify": {"kind": "token", "token": SECRET, "header": "x-token"}}});
    document["reactions"] = json!([{"id": "send", "service": "http", "name": "request", "data":
        {"url": "https://example.com/a?b={{ event.method }}", "headers": {"authorization": format!("Bearer {SECRET}")}}}]);
    document
}

#[tokio::test]
async fn a_secret_is_write_only() {
    for api in Api::all().await {
        let made = api.send("POST", "/v1/areas", &secretive()).await;
        let shown = made.ok(201);
        let at = path(&shown);
        let secret = json!({"$secret": true});
        assert_eq!(shown["action"]["data"]["verify"]["token"], secret, "{}", api.label);
        assert_eq!(shown["reactions"][0]["data"]["headers"]["authorization"], secret, "{}", api.label);
        let same = api.send("PUT", &at, &shown).await;
        assert_eq!((same.ok(200)["revision"].clone(), same.header("etag")), (json!(1), "\"1\""), "{}: kept", api.label);
        let named = api.send("PATCH", &at, &json!({"name": "other"})).await;
        let fresh = json!({"action": {"data": {"verify": {"token": "another-secret"}}}});
        let changed = api.send("PATCH", &at, &fresh).await;
        assert_eq!((&named.ok(200)["revision"], &changed.ok(200)["revision"]), (&json!(2), &json!(3)), "{}", api.label);
        let diff = api.call("GET", &format!("{at}/revisions/2/diff/3")).await;
        assert_eq!(
            diff.ok(200)["changes"],
            json!([
                {"op": "replace", "path": "/action/data/verify/token", "value": secret, "old": secret},
            ]),
            "{}: told, not shown",
            api.label
        );
        let mut all = vec![made, same, named, changed, diff];
        for rest in ["", "/revisions", "/revisions/1", "/revisions/3"] {
            all.push(api.call("GET", &format!("{at}{rest}")).await);
        }
        all.push(api.call("POST", &format!("{at}/revisions/1/rollback")).await);
        all.push(api.call("GET", "/v1/areas").await);
        let text: String = all.into_iter().map(|said| said.text).collect::<Vec<_>>().join("\n") + &api.stored().await;
        assert!(!text.contains(SECRET) && !text.contains("another-secret"), "{}", api.label);
    }
}

#[tokio::test]
async fn a_secret_that_is_not_there_cannot_be_kept() {
    let api = Api::one().await;
    let mut hidden = secretive();
    hidden["action"]["data"]["verify"]["token"] = json!({"$secret": true});
    api.send("POST", "/v1/areas", &hidden).await.problem(422, "invalid", &["/action/data/verify/token"]);
    let at = path(&api.made(&area("plain")).await);
    let patch =
        json!({"reactions": [{"id": "note", "service": "log", "name": "write", "data": {"text": {"$secret": true}}}]});
    api.send("PATCH", &at, &patch).await.problem(422, "invalid", &["/reactions/0/data/text"]);
}

#[tokio::test]
async fn a_secret_does_not_follow_a_request_to_another_origin() {
    let api = Api::one().await;
    let shown = api.made(&secretive()).await;
    let mut moved = shown.clone();
    moved["reactions"][0]["data"]["url"] = json!("https://evil.example/");
    let place = "/reactions/0/data/headers/authorization";
    api.send("PUT", &path(&shown), &moved).await.problem(422, "invalid", &[place]);
    moved["reactions"][0]["data"]["url"] = json!("https://example.com/elsewhere");
    assert_eq!(api.send("PUT", &path(&shown), &moved).await.ok(200)["revision"], 2);
    moved["reactions"][0]["data"]["url"] = json!("https://{{ event.query.host }}/");
    moved["reactions"][0]["data"]["headers"]["authorization"] = json!("Bearer new");
    let refused = api.send("PUT", &path(&shown), &moved).await;
    assert!(refused.ok(422)["errors"][0]["pointer"] == "/reactions/0/data/url", "{refused:?}");
}
