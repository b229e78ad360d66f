//! Administrators: roles, suspension, the audit log; the first of them; profiles and pictures.

use engine::store::people::Role;
use engine::store::tokens::Scopes;
use serde_json::{Value, json};

use super::{PASSWORD, person, send, sign_in};
use crate::kit::Area;
use crate::rest::{Api, area, path, said};

async fn id(api: &Api, token: &str) -> String {
    send(api, token, "GET", "/v1/auth/me", None).await.ok(200)["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn who_is_suspended_may_do_nothing_their_areas_pause_and_all_is_written_down() {
    for api in Api::all().await {
        let (boss, ann) =
            (person(&api, "boss@b.example", Role::Admin).await, person(&api, "ann@b.example", Role::Editor).await);
        let new = json!({"name": "t", "scopes": ["read", "areas"]});
        let token =
            send(&api, &ann, "POST", "/v1/tokens", Some(&new)).await.ok(201)["token"].as_str().unwrap().to_owned();
        let at = path(&send(&api, &ann, "POST", "/v1/areas", Some(&area("a"))).await.ok(201));
        let place = format!("/v1/admin/users/{}", id(&api, &ann).await);
        let patch = async |body: Value| send(&api, &boss, "PATCH", &place, Some(&body)).await;
        assert!(patch(json!({"suspended": true})).await.ok(200)["suspended_at"].is_string(), "{}", api.label);
        for gone in [&ann, &token] {
            send(&api, gone, "GET", "/v1/auth/me", None).await.problem(401, "unauthorized", &[]);
        }
        sign_in(&api, "ann@b.example", PASSWORD).await.problem(403, "forbidden", &[]);
        sign_in(&api, "ann@b.example", "wrong").await.problem(401, "unauthorized", &[]);
        patch(json!({"suspended": false})).await.ok(200);
        let shown = send(&api, &token, "GET", &at, None).await.ok(200);
        assert_eq!(shown["state"], "active", "{}", api.label);
        patch(json!({"suspended": true})).await.ok(200);
        patch(json!({"role": "VIEWER", "suspended": false})).await.ok(200);
        send(&api, &token, "POST", &format!("{at}/pause"), None).await.problem(403, "forbidden", &[]);

        let audit = send(&api, &boss, "GET", &format!("/v1/admin/audit?user={}", id(&api, &token).await), None).await;
        let audit = audit.ok(200);
        let actions: Vec<&str> =
            audit["items"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
        let want = [
            "let_in",
            "role_given",
            "suspended",
            "let_in",
            "sign_in_failed",
            "sign_in_refused",
            "suspended",
            "token_made",
            "signed_in",
        ];
        assert_eq!(actions, want, "{}", api.label);
        assert_eq!(audit["items"][1]["detail"], "EDITOR → VIEWER");
        assert!(!audit.to_string().contains(&token) && audit["items"][0]["at"].is_string());
    }
}

#[tokio::test]
async fn an_admin_has_no_power_over_admins_and_nobody_over_themselves() {
    let api = Api::one().await;
    let (root, boss) =
        (person(&api, "root@b.example", Role::SuperAdmin).await, person(&api, "boss@b.example", Role::Admin).await);
    let ann = person(&api, "ann@b.example", Role::Editor).await;
    let patch = async |by: &str, whom: &str, body: Value| {
        let place = format!("/v1/admin/users/{}", id(&api, whom).await);
        send(&api, by, "PATCH", &place, Some(&body)).await.status
    };
    assert_eq!(patch(&boss, &ann, json!({"role": "ADMIN"})).await, 403);
    assert_eq!(patch(&boss, &root, json!({"suspended": true})).await, 403);
    assert_eq!(patch(&boss, &boss, json!({"role": "SUPER-ADMIN"})).await, 403);
    assert_eq!(patch(&root, &root, json!({"role": "EDITOR"})).await, 403);
    assert_eq!(patch(&root, &boss, json!({"role": "KING"})).await, 422);
    assert_eq!(patch(&boss, &ann, json!({"role": "VIEWER"})).await, 200);
    assert_eq!(patch(&root, &ann, json!({"role": "ADMIN"})).await, 200);
    let last = send(&api, &root, "POST", "/v1/auth/delete", Some(&json!({"password": PASSWORD}))).await;
    last.problem(409, "conflict", &[]);
    let found = send(&api, &root, "GET", "/v1/admin/users?email=BOSS&limit=1", None).await.ok(200);
    assert_eq!((found["items"].as_array().unwrap().len(), &found["next"]), (1, &Value::Null), "{found}");
    let page = send(&api, &root, "GET", "/v1/admin/users?limit=2", None).await.ok(200);
    let rest = format!("/v1/admin/users?limit=9&cursor={}", page["next"].as_str().unwrap());
    let rest = send(&api, &root, "GET", &rest, None).await.ok(200);
    assert_eq!(rest["items"].as_array().unwrap().len(), 2, "with the harness's own user there are four");
}

#[tokio::test]
async fn the_code_that_the_first_start_prints_makes_a_super_admin_once() {
    for area in Area::all().await {
        let mut daemon = area.serve(&[]);
        let line = daemon.line("#first=");
        let code = line.split("#first=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        let client = reqwest::Client::builder().build().unwrap();
        let first = async |code: &str| {
            let body = json!({"code": code, "email": "root@example.net", "password": PASSWORD});
            client.post(format!("{}/v1/auth/first", daemon.url)).json(&body).send().await.unwrap().status().as_u16()
        };
        assert_eq!(first("guessed").await, 403, "{}", area.label);
        assert_eq!(first(&code).await, 201, "{}", area.label);
        assert_eq!(first(&code).await, 403, "{}", area.label);
        let body = json!({"email": "root@example.net", "password": PASSWORD});
        let login = client.post(format!("{}/v1/auth/login", daemon.url)).json(&body).send().await.unwrap();
        let token = login.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned();
        let users = client.get(format!("{}/v1/admin/users", daemon.url)).bearer_auth(token).send().await.unwrap();
        assert_eq!(users.status().as_u16(), 200, "{}", area.label);
        daemon.signal("TERM");
        daemon.end();
        let again = area.serve(&["--set", "log.format=text"]);
        drop(again);
    }
}

#[tokio::test]
async fn a_profile_and_its_pictures_are_changed_shown_and_checked() {
    for api in Api::all().await {
        let ann = person(&api, "ann@b.example", Role::Viewer).await;
        let patch =
            json!({"display_name": " Ann ", "username": "ann", "phone": "+33 1", "city": null, "description": "a\nb"});
        let shown = send(&api, &ann, "PATCH", "/v1/profile", Some(&patch)).await.ok(200);
        assert_eq!((&shown["display_name"], &shown["description"]), (&json!("Ann"), &json!("a\nb")), "{}", api.label);
        assert!(shown["last_login"].is_string() && shown.get("password").is_none(), "{}", api.label);
        let wrong = json!({"role": "ADMIN", "city": 5, "display_name": "x".repeat(101), "username": ""});
        let refused = send(&api, &ann, "PATCH", "/v1/profile", Some(&wrong)).await;
        refused.problem(422, "invalid", &["/role", "/city", "/display_name", "/username"]);
        let bob = person(&api, "bob@b.example", Role::Editor).await;
        let taken = send(&api, &bob, "PATCH", "/v1/profile", Some(&json!({"username": "ANN"}))).await;
        taken.problem(422, "invalid", &["/username"]);

        let drawn = send(&api, &ann, "GET", "/v1/avatars/active", None).await;
        assert_eq!(drawn.header("content-type"), "image/svg+xml", "{}", api.label);
        let png = include_bytes!("../../../../engine/src/lib.rs");
        let broken = said(api.bare("POST", "/v1/avatars").bearer_auth(&ann).body(png.to_vec())).await;
        broken.problem(415, "media-type", &[]);
        let made = send(&api, &ann, "POST", "/v1/avatars", None).await;
        let place = made.header("location").to_owned();
        send(&api, &ann, "POST", &format!("{place}/activate"), None).await.ok(204);
        let active = send(&api, &ann, "GET", "/v1/avatars/active", None).await;
        assert_eq!(active.text, send(&api, &ann, "GET", &place, None).await.text, "{}", api.label);
        assert_ne!(active.text, drawn.text, "{}", api.label);
        assert_eq!(send(&api, &ann, "GET", "/v1/profile", None).await.ok(200)["image"], place, "{}", api.label);
        let list = send(&api, &ann, "GET", "/v1/avatars", None).await.ok(200);
        assert_eq!((&list["items"][0]["is_active"], &list["items"][0]["is_random"]), (&json!(true), &json!(true)));
        send(&api, &ann, "DELETE", &place, None).await.ok(204);
        send(&api, &ann, "GET", &place, None).await.problem(404, "not-found", &[]);
    }
}

#[tokio::test]
async fn a_token_names_what_is_wrong_with_it_is_shown_once_and_ends_when_it_says() {
    let api = Api::one().await;
    let ann = person(&api, "ann@b.example", Role::Editor).await;
    let wrong = json!({"name": " ", "scopes": ["read", "all"], "expires_at": "2020-01-01T00:00:00Z"});
    let refused = send(&api, &ann, "POST", "/v1/tokens", Some(&wrong)).await;
    refused.problem(422, "invalid", &["/name", "/scopes/1", "/expires_at"]);
    let end = api.clock.now() + std::time::Duration::from_secs(60);
    let right = json!({"name": "ci", "scopes": ["read"], "expires_at": end});
    let made = send(&api, &ann, "POST", "/v1/tokens", Some(&right)).await.ok(201);
    let token = made["token"].as_str().unwrap();
    let list = send(&api, &ann, "GET", "/v1/tokens", None).await;
    assert!(!list.text.contains(token) && list.json()["items"][0]["name"] == "ci", "{list:?}");
    send(&api, token, "GET", "/v1/areas", None).await.ok(200);
    api.clock.set(api.clock.micros() + 60_000_000);
    send(&api, token, "GET", "/v1/areas", None).await.problem(401, "unauthorized", &[]);
    let other = api.user("x@b.example", Role::Editor, Scopes::default()).await;
    send(&api, &other, "POST", "/v1/tokens", Some(&right)).await.problem(403, "forbidden", &[]);
}
