//! What people must not reach of each other, and what strangers may try.

use engine::store::people::Role;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::{PASSWORD, person, send, sign_in};
use crate::rest::{Api, Said, area, said, settings};

/// Every id that a person has, with the routes that name it.
async fn routes_of(api: &Api, token: &str) -> Vec<(&'static str, String)> {
    let made = async |path: &str, body: Option<Value>| {
        send(api, token, "POST", path, body.as_ref()).await.ok(201)["id"].as_str().unwrap().to_owned()
    };
    let area_id = made("/v1/areas", Some(area("mine"))).await;
    let token_id = made("/v1/tokens", Some(json!({"name": "t", "scopes": ["read"]}))).await;
    let avatar = made("/v1/avatars", None).await;
    let sessions = send(api, token, "GET", "/v1/auth/sessions", None).await.ok(200);
    let session = sessions["items"][0]["id"].as_str().unwrap().to_owned();
    let mut all = vec![
        ("DELETE", format!("/v1/tokens/{token_id}")),
        ("DELETE", format!("/v1/auth/sessions/{session}")),
        ("GET", format!("/v1/avatars/{avatar}")),
        ("POST", format!("/v1/avatars/{avatar}/activate")),
        ("DELETE", format!("/v1/avatars/{avatar}")),
    ];
    for (method, rest) in [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/poll"),
        ("GET", "/runs"),
        ("GET", "/why"),
        ("GET", "/revisions"),
        ("GET", "/revisions/1"),
        ("GET", "/revisions/1/diff/1"),
        ("POST", "/revisions/1/rollback"),
    ] {
        all.push((method, format!("/v1/areas/{area_id}{rest}")));
    }
    for (method, rest) in [("PUT", ""), ("PATCH", ""), ("POST", "/backtest"), ("POST", "/dry-run"), ("POST", "/test")] {
        all.push((method, format!("/v1/areas/{area_id}{rest}")));
    }
    all.push(("GET", format!("/v1/events?area={area_id}")));
    all
}

#[tokio::test]
async fn two_people_who_try_every_id_of_each_other_find_nothing() {
    for api in Api::all().await {
        let ann = person(&api, "ann@b.example", Role::Editor).await;
        let bob = person(&api, "bob@b.example", Role::SuperAdmin).await;
        let (of_ann, of_bob) = (routes_of(&api, &ann).await, routes_of(&api, &bob).await);
        for (thief, routes) in [(&bob, &of_ann), (&ann, &of_bob)] {
            for (method, path) in routes {
                let takes_body =
                    ["PUT", "PATCH"].contains(method) || path.ends_with("/backtest") || path.ends_with("-run");
                let body = (takes_body || path.ends_with("/test")).then(|| match *method {
                    "PUT" => area("stolen"),
                    _ => json!({}),
                });
                let answer = send(&api, thief, method, path, body.as_ref()).await;
                assert_eq!(answer.status, 404, "{}: {method} {path}: {answer:?}", api.label);
                answer.problem(404, "not-found", &[]);
            }
        }
        for (owner, routes) in [(&ann, &of_ann), (&bob, &of_bob)] {
            for (_, path) in routes.iter().filter(|(method, _)| *method == "GET") {
                assert_eq!(send(&api, owner, "GET", path, None).await.status, 200, "{}: {path}", api.label);
            }
        }
    }
}

#[tokio::test]
async fn a_sign_in_is_throttled_by_address_and_by_person_and_told_when_to_come_back() {
    let mut settings = settings();
    settings.throttle.sign_in_per_address = 7;
    settings.throttle.sign_in_per_user = 3;
    settings.throttle.sign_up_per_address = 2;
    settings.trusted_proxies = serde_json::from_value(json!(["127.0.0.1"])).unwrap();
    for api in Api::all_set(settings).await {
        person(&api, "ann@b.example", Role::Editor).await;
        let try_in = async |email: &str, from: &str| {
            let ask = api.bare("POST", "/v1/auth/login").header("x-forwarded-for", from);
            said(ask.json(&json!({"email": email, "password": "x"}))).await
        };
        for n in 0..2 {
            try_in("ann@b.example", &format!("192.0.2.{n}")).await.problem(401, "unauthorized", &[]);
        }
        let held = try_in("ANN@b.example", "192.0.2.9").await;
        held.problem(429, "too-many", &[]);
        assert!(held.header("retry-after").parse::<u64>().unwrap() >= 1);
        for n in 0..7 {
            try_in(&format!("{n}@b.example"), "198.51.100.1").await.problem(401, "unauthorized", &[]);
        }
        try_in("8@b.example", "198.51.100.1").await.problem(429, "too-many", &[]);
        for n in 0..3 {
            let ask = api.bare("POST", "/v1/auth/password/forgot").header("x-forwarded-for", "2001:db8::1");
            let status = said(ask.json(&json!({"email": format!("{n}@b.example")}))).await.status;
            assert_eq!(status, if n < 2 { 202 } else { 429 }, "{}", api.label);
        }
    }
}

#[tokio::test]
async fn a_page_of_another_site_does_nothing_with_a_cookie_and_signs_nobody_in() {
    let api = Api::one().await;
    person(&api, "ann@b.example", Role::Editor).await;
    let login = |site: &str| {
        let body = json!({"email": "ann@b.example", "password": PASSWORD, "cookie": true});
        api.bare("POST", "/v1/auth/login").header("sec-fetch-site", site).json(&body)
    };
    said(login("cross-site")).await.problem(403, "forbidden", &[]);
    let signed_in = said(login("same-origin")).await;
    assert!(signed_in.ok(200).get("token").is_none(), "{signed_in:?}");
    let cookie = signed_in.header("set-cookie").to_owned();
    for part in ["__Host-area_session=area-session_", "Path=/;", "HttpOnly", "SameSite=Lax", "Secure"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let value = cookie.split(';').next().unwrap();
    let with = |method: &str, path: &str| api.bare(method, path).header("cookie", value);
    assert_eq!(said(with("GET", "/v1/auth/me")).await.ok(200)["by"], "cookie");
    for (name, value, status) in [
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("x-nothing", "x", 403),
        ("origin", "https://area.example", 201),
        ("sec-fetch-site", "same-origin", 201),
    ] {
        let answer = said(with("POST", "/v1/areas").header(name, value).json(&area("a"))).await;
        assert_eq!(answer.status, status, "{name}: {value}: {answer:?}");
    }
    let anew = json!({"email": "ann@b.example", "password": PASSWORD, "cookie": true});
    let anew = said(with("POST", "/v1/auth/login").header("sec-fetch-site", "same-origin").json(&anew)).await;
    said(with("GET", "/v1/auth/me")).await.problem(401, "unauthorized", &[]);
    let value = anew.header("set-cookie").split(';').next().unwrap();
    let with = |method: &str, path: &str| api.bare(method, path).header("cookie", value);
    let out = said(with("POST", "/v1/auth/logout").header("sec-fetch-site", "same-origin")).await;
    assert!(out.status == 204 && out.header("set-cookie").contains("Max-Age=0"), "{out:?}");
    said(with("GET", "/v1/auth/me")).await.problem(401, "unauthorized", &[]);
    assert!(signed_in.headers.get("strict-transport-security").is_some());
}

/// Text that somebody who means ill may send.
pub fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~]{0,80}",
        "area-session_[A-Za-z0-9_-]{0,50}",
        "area_[A-Za-z0-9_-]{0,50}",
        "area:sha256:[0-9a-f]{64}",
        Just("' OR 1=1 --".to_owned()),
        Just("\u{0}".to_owned()),
        Just("x".repeat(10_000)),
    ]
}

/// Fails unless the answer is a problem, and not our own mistake.
pub fn check(answer: &Said, what: &str) {
    assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
    let body = answer.json();
    assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
    assert_eq!(body["status"], answer.status, "{what}");
    assert!(body["type"].as_str().is_some_and(|t| t.starts_with("/docs#problem-")), "{what}");
}

#[tokio::test]
async fn fuzzed_cookies_tokens_and_bodies_are_told_what_is_wrong() {
    let mut settings = settings();
    for limit in [
        &mut settings.throttle.sign_in_per_address,
        &mut settings.throttle.sign_in_per_user,
        &mut settings.throttle.sign_up_per_address,
    ] {
        *limit = 0;
    }
    settings.sessions.authjs = true;
    let mut runner = TestRunner::deterministic();
    for api in Api::all_set(settings).await {
        let ann = person(&api, "ann@b.example", Role::SuperAdmin).await;
        let mut text = || -> String { hostile().new_tree(&mut runner).unwrap().current() };
        for _ in 0..40 {
            let (a, b) = (text(), text());
            for header in ["cookie", "authorization"] {
                for value in [
                    format!("__Host-area_session={a}"),
                    format!("authjs.session-token={a}"),
                    format!("Bearer {a}"),
                    a.clone(),
                ] {
                    let Ok(value) = http::HeaderValue::from_str(&value) else { continue };
                    check(&said(api.bare("GET", "/v1/auth/me").header(header, value)).await, header);
                }
            }
            for (path, body) in [
                ("/v1/auth/login", json!({"email": a, "password": b})),
                ("/v1/auth/verify", json!({"token": a, "password": b})),
                ("/v1/auth/password/reset", json!({"token": a, "password": b})),
                ("/v1/auth/email/confirm", json!({"token": a})),
                ("/v1/auth/first", json!({"code": a, "email": "x@b.example", "password": "figs on the window sill"})),
                ("/v1/auth/register", json!({"email": a, "password": b, "more": 1})),
                ("/v1/auth/login", json!(a)),
                ("/v1/auth/login", json!({"email": [a], "password": {"x": b}})),
            ] {
                check(&said(api.bare("POST", path).json(&body)).await, path);
            }
            for (method, path, body) in [
                ("PATCH", "/v1/profile", json!({ a.clone(): b })),
                ("PATCH", "/v1/profile", json!({"username": 7, "city": [a]})),
                ("POST", "/v1/tokens", json!({"name": a, "scopes": [b]})),
                ("POST", "/v1/auth/password", json!({"old": a, "new": b})),
                ("POST", "/v1/auth/delete", json!({"password": a})),
                ("PATCH", "/v1/admin/users/x", json!({"role": a})),
            ] {
                check(&send(&api, &ann, method, path, Some(&body)).await, path);
            }
            let query = url::form_urlencoded::byte_serialize(a.as_bytes()).collect::<String>();
            for path in ["/v1/admin/audit?cursor=", "/v1/admin/users?limit=", "/v1/admin/users/"] {
                check(&send(&api, &ann, "GET", &format!("{path}{query}x"), None).await, path);
            }
            let picture = api.bare("POST", "/v1/avatars").bearer_auth(&ann).body(format!("{a}x"));
            check(&said(picture).await, "avatars");
        }
        sign_in(&api, "ann@b.example", PASSWORD).await.ok(200);
    }
}
