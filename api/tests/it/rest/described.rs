//! What the API says of itself.

use std::collections::BTreeSet;

use api::identity::rights::{self, Need};
use serde_json::{Value, json};

use super::{Api, said};

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_openapi_document_is_whole() {
    let api = Api::one().await;
    let document = said(api.bare("GET", "/openapi.json")).await.ok(200);
    assert_eq!(document["openapi"], "3.1.0");
    let mut all = BTreeSet::new();
    references(&document, &mut all);
    assert!(all.len() > 10, "{all:?}");
    for reference in &all {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads outside"));
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let mut ids = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{place}");
            assert!(operation["summary"].as_str().is_some_and(|s| !s.is_empty()), "{place}");
            assert!(operation["responses"]["default"].is_object(), "{place}");
            let need = rights::need(&method.to_uppercase(), path).unwrap_or_else(|| panic!("{place}: who may?"));
            assert_eq!(operation["security"].is_array(), need != Need::Anyone, "{place}");
            for variable in path.split('{').skip(1).map(|part| part.split('}').next().unwrap()) {
                let named = |p: &Value| p["name"] == *variable && p["in"] == "path";
                assert!(operation["parameters"].as_array().unwrap().iter().any(named), "{place}: {variable}");
            }
        }
    }
    assert!(ids.len() >= 18, "{ids:?}");
    let area = &document["components"]["schemas"]["Area"];
    for (name, member) in area["properties"].as_object().unwrap() {
        assert!(member["description"].is_string() || member["$ref"].is_string(), "{name} has no words");
    }
}

#[tokio::test]
async fn the_page_stands_alone() {
    let api = Api::one().await;
    let page = said(api.bare("GET", "/docs")).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let csp = page.header("content-security-policy");
    assert!(csp.starts_with("default-src 'none'; style-src 'sha256-") && !csp.contains("unsafe"), "{csp}");
    for never in ["<script", "<link", "<img", "src=", "http-equiv", "@import", "url("] {
        assert!(!page.text.contains(never), "{never}");
    }
    for part in
        ["POST /v1/areas", "http.new_item", "problem-invalid", "If-Match", "webhook.received", "schema-ShownArea"]
    {
        assert!(page.text.contains(part), "{part}");
    }
}

#[tokio::test]
async fn services_are_listed_and_read_with_their_schemas() {
    let api = Api::one().await;
    let list = api.call("GET", "/v1/services").await.ok(200);
    assert_eq!(list["next"], Value::Null);
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), connectors::all().len());
    for item in items {
        let name = item["name"].as_str().unwrap();
        let service = api.call("GET", &format!("/v1/services/{name}")).await.ok(200);
        assert_eq!((&service["name"], &service["title"]), (&item["name"], &item["title"]));
        for action in service["actions"].as_array().unwrap() {
            assert!(action["schema"]["properties"].is_object() || action["schema"]["type"] == "object", "{action}");
            assert!(action["description"].is_string() && !action["sample"].is_null(), "{action}");
        }
        for reaction in service["reactions"].as_array().unwrap() {
            assert!(reaction["guarantee"].is_string() && !reaction["sample"].is_null(), "{reaction}");
        }
    }
}

#[tokio::test]
async fn about_json_is_as_area_clients_expect_it() {
    let api = Api::one().await;
    let about = said(api.bare("GET", "/about.json")).await.ok(200);
    assert_eq!(about["client"], json!({"host": "127.0.0.1"}));
    assert_eq!(about["server"]["current_time"], 1_800_000_000, "Unix seconds");
    let services = about["server"]["services"].as_array().unwrap();
    assert_eq!(services.len(), connectors::all().len());
    for part in services.iter().flat_map(|s| [&s["actions"], &s["reactions"]]).flat_map(|p| p.as_array().unwrap()) {
        assert!(part["name"].is_string() && part["description"].is_string(), "{part}");
    }
    assert!(services.iter().any(|s| s["name"] == "timer" && !s["actions"].as_array().unwrap().is_empty()));
}

#[tokio::test]
async fn every_answer_is_dressed() {
    let api = Api::one().await;
    for path in ["/v1/areas", "/healthz", "/docs", "/nothing", "/metrics"] {
        let answer = api.call("GET", path).await;
        for (name, want) in
            [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "same-origin")]
        {
            assert_eq!(answer.header(name), want, "{path}");
        }
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert!(answer.header("x-request-id").len() >= 32, "{path}");
        let private = answer.headers.get("cache-control").is_some_and(|v| v == "no-store");
        assert_eq!(private, path.starts_with("/v1"), "{path}");
    }
    let ours = said(api.bare("GET", "/healthz").header("x-request-id", "abc-1.2_3")).await;
    assert_eq!(ours.header("x-request-id"), "abc-1.2_3");
    let forged = said(api.bare("GET", "/healthz").header("x-request-id", "a b\"c")).await;
    assert_ne!(forged.header("x-request-id"), "a b\"c");
    assert_eq!(said(api.bare("HEAD", "/healthz")).await.status, 200);
}
