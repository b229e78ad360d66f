//! AREAs from birth to death.

use serde_json::{Value, json};

use super::{Api, area, path, said};

#[tokio::test]
async fn an_area_is_made_read_changed_paused_and_deleted() {
    for api in Api::all().await {
        let made = api.send("POST", "/v1/areas", &area("News")).await;
        let shown = made.ok(201);
        let at = path(&shown);
        assert_eq!((made.header("location"), made.header("etag")), (at.as_str(), "\"1\""), "{}", api.label);
        for (name, want) in [
            ("name", json!("News")),
            ("state", json!("active")),
            ("revision", json!(1)),
            ("reason", Value::Null),
            ("hook_url", Value::Null),
            ("created_at", json!("2027-01-15T08:00:00Z")),
            ("when", json!("event.id > 3")),
            ("reactions", area("")["reactions"].clone()),
        ] {
            assert_eq!(shown[name], want, "{} {name}", api.label);
        }
        assert_eq!(
            (&shown["source"]["feed"], &shown["source"]["every_s"]),
            (&json!("items"), &json!(300.0)),
            "{shown}"
        );
        assert!(shown["source"]["id"].is_string() && shown["source"]["joined_at"].is_null(), "{shown}");
        let read = api.call("GET", &at).await;
        assert_eq!((read.ok(200), read.header("etag")), (shown.clone(), "\"1\""), "{}", api.label);

        let same = api.send("PUT", &at, &shown).await;
        assert_eq!((same.ok(200), same.header("etag")), (shown, "\"1\""), "{}: what it shows, sent back", api.label);
        let put = api.send("PUT", &at, &area("Newer")).await;
        assert_eq!((&put.ok(200)["name"], put.header("etag")), (&json!("Newer"), "\"2\""), "{}", api.label);
        let patched = api.send("PATCH", &at, &json!({"when": null, "action": {"every": "1m"}})).await.ok(200);
        assert_eq!((&patched["when"], &patched["revision"]), (&Value::Null, &json!(3)), "{}", api.label);
        assert_eq!(patched["action"]["data"]["url"], "https://example.com/items", "{}: the rest stands", api.label);

        let paused = api.call("POST", &format!("{at}/pause")).await.ok(200);
        assert_eq!((&paused["state"], &paused["source"]["every_s"]), (&json!("paused"), &Value::Null), "{}", api.label);
        assert_eq!(api.call("POST", &format!("{at}/pause")).await.ok(200), paused, "{}: again", api.label);
        assert_eq!(api.call("POST", &format!("{at}/resume")).await.ok(200)["state"], "active", "{}", api.label);

        assert_eq!(api.call("DELETE", &at).await.ok(204), Value::Null, "{}", api.label);
        api.call("GET", &at).await.problem(404, "not-found", &[]);
        api.call("DELETE", &at).await.problem(404, "not-found", &[]);
    }
}

#[tokio::test]
async fn a_single_reaction_is_a_list_of_one() {
    for api in Api::all().await {
        let mut single = area("One");
        let step = single["reactions"][0].clone();
        single.as_object_mut().unwrap().remove("reactions");
        single["reaction"] = step.clone();
        let shown = api.made(&single).await;
        assert_eq!((&shown["reactions"], shown.get("reaction")), (&json!([step]), None), "{}", api.label);
        let other = json!({"reaction": {"service": "log", "name": "write", "data": {"text": "b"}}});
        let patched = api.send("PATCH", &path(&shown), &other).await.ok(200);
        assert_eq!(patched["reactions"], json!([other["reaction"]]), "{}", api.label);
    }
}

#[tokio::test]
async fn a_change_stands_on_the_version_that_it_names() {
    for api in Api::all().await {
        let at = path(&api.made(&area("News")).await);
        let change = json!({"name": "b"});
        let patch = async |etag: &str| said(api.ask("PATCH", &at).header("if-match", etag).json(&change)).await;
        for stale in ["\"9\"", "W/\"1\"", "\"other\"", "\"8\", \"9\""] {
            patch(stale).await.problem(412, "stale", &[]);
        }
        patch("1").await.problem(400, "malformed", &[]);
        assert_eq!(patch("\"7\", \"1\"").await.header("etag"), "\"2\"", "{}", api.label);
        patch("\"1\"").await.problem(412, "stale", &[]);
        assert_eq!(patch("*").await.status, 200, "{}", api.label);
        for (method, path) in [
            ("POST", format!("{at}/pause")),
            ("POST", format!("{at}/resume")),
            ("POST", format!("{at}/revisions/1/rollback")),
            ("DELETE", at.clone()),
        ] {
            said(api.ask(method, &path).header("if-match", "\"1\"")).await.problem(412, "stale", &[]);
        }
        let put = api.ask("PUT", &at).header("if-match", "\"1\"").json(&area("c"));
        said(put).await.problem(412, "stale", &[]);
        assert_eq!(said(api.ask("DELETE", &at).header("if-match", "\"2\"")).await.status, 204, "{}", api.label);
    }
}

#[tokio::test]
async fn revisions_are_kept_compared_and_brought_back() {
    for api in Api::all().await {
        let at = path(&api.made(&area("one")).await);
        api.send("PATCH", &at, &json!({"name": "two", "when": null})).await.ok(200);
        let list = api.call("GET", &format!("{at}/revisions?limit=1")).await.ok(200);
        assert_eq!((&list["items"][0]["revision"], &list["items"][0]["current"]), (&json!(2), &json!(true)), "{list}");
        let next = list["next"].as_str().unwrap();
        let rest = api.call("GET", &format!("{at}/revisions?limit=1&cursor={next}")).await.ok(200);
        assert_eq!((&rest["items"][0]["revision"], &rest["items"][0]["current"]), (&json!(1), &json!(false)), "{rest}");
        assert_eq!(rest["next"], Value::Null, "{}", api.label);
        let first = api.call("GET", &format!("{at}/revisions/1")).await.ok(200);
        assert_eq!(first["document"], area("one"), "{}", api.label);
        let diff = api.call("GET", &format!("{at}/revisions/1/diff/2")).await.ok(200);
        assert_eq!(
            diff["changes"],
            json!([
                {"op": "replace", "path": "/name", "value": "two", "old": "one"},
                {"op": "remove", "path": "/when", "old": "event.id > 3"},
            ]),
            "{}",
            api.label
        );
        let back = api.call("POST", &format!("{at}/revisions/1/rollback")).await.ok(200);
        assert_eq!((&back["name"], &back["revision"]), (&json!("one"), &json!(3)), "{}", api.label);
        for missing in ["revisions/9", "revisions/x", "revisions/1/diff/9", "revisions/9/diff/1"] {
            api.call("GET", &format!("{at}/{missing}")).await.problem(404, "not-found", &[]);
        }
        api.call("POST", &format!("{at}/revisions/9/rollback")).await.problem(404, "not-found", &[]);
    }
}

#[tokio::test]
async fn a_webhook_shows_its_url() {
    for api in Api::all().await {
        let mut hook = area("Hook");
        hook["action"] = json!({"service": "webhook", "name": "received", "data": {"verify": {"kind": "none"}}});
        let shown = api.made(&hook).await;
        let url = shown["hook_url"].as_str().unwrap();
        let key = url.strip_prefix("https://area.example/base/hooks/").unwrap();
        assert_eq!(key.len(), 43, "{url}");
        assert_eq!(shown["source"]["joined_at"], "2027-01-15T08:00:00Z", "{}: it listens at once", api.label);
        assert_ne!(api.made(&hook).await["hook_url"], shown["hook_url"], "{}", api.label);
    }
}
