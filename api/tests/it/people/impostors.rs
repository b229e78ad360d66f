//! Who is not let in by a provider: forged and foreign id tokens, answers that are replayed, late, mixed up, or in another browser.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::store::people;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::idp::{Browser, CLIENT_SECRET, Idp, Key, address};
use super::strangers::{check, hostile};
use super::{person, send};
use crate::rest::{Api, said, settings};

async fn apis(idp: &Idp) -> Vec<Api> {
    let mut settings = settings();
    settings.throttle.sign_in_per_address = 0;
    settings.throttle.sign_in_per_user = 0;
    settings.throttle.sign_up_per_address = 0;
    Api::all_with(settings, vec![idp.provider("google"), idp.provider("other")]).await
}

/// An id token and userinfo by how they are wrong.
fn wrong(idp: &Idp, nonce: &str, now: i64) -> Vec<(&'static str, Option<String>, Value)> {
    let info = json!({"sub": "ada", "email": "ada@b.example", "email_verified": true});
    let good = idp.claims("ada", nonce, now);
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        Some(idp.signed(&claims))
    };
    let by = |alg: Algorithm, kid: &str, key: &EncodingKey| {
        Some(encode(&Header { kid: Some(kid.to_owned()), ..Header::new(alg) }, &good, key).unwrap())
    };
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let mut forged = idp.signed(&good);
    let at = forged.rfind('.').unwrap() + 3;
    let other = if forged.as_bytes()[at] == b'A' { "B" } else { "A" };
    forged.replace_range(at..=at, other);
    vec![
        ("no id token", None, info.clone()),
        ("alg none", Some(format!("{}.{}.", part(&json!({"alg": "none", "kid": "k1"})), part(&good))), info.clone()),
        (
            "HS256 by our own secret",
            by(Algorithm::HS256, "k1", &EncodingKey::from_secret(CLIENT_SECRET.as_bytes())),
            info.clone(),
        ),
        (
            "HS256 by the public key",
            by(Algorithm::HS256, "k1", &EncodingKey::from_secret(&idp.key.public)),
            info.clone(),
        ),
        ("another's key under its name", by(Algorithm::ES256, "k1", &Key::new().private), info.clone()),
        ("a key that is not published", by(Algorithm::ES256, "k2", &idp.key.private), info.clone()),
        ("a changed signature", Some(forged), info.clone()),
        ("another issuer", with("iss", json!("https://evil.example")), info.clone()),
        ("another client's", with("aud", json!("someone-else")), info.clone()),
        ("made out to several", with("aud", json!(["area", "someone-else"])), info.clone()),
        ("another nonce", with("nonce", json!("another")), info.clone()),
        ("no nonce", with("nonce", Value::Null), info.clone()),
        ("over", with("exp", json!(now - 120)), info.clone()),
        ("from the future", with("iat", json!(now + 600)), info.clone()),
        ("text", Some("no.id.token".to_owned()), info.clone()),
        (
            "userinfo of another",
            Some(idp.signed(&good)),
            json!({"sub": "eve", "email": "eve@b.example", "email_verified": true}),
        ),
        ("userinfo of nobody", Some(idp.signed(&good)), json!({"email": "eve@b.example", "email_verified": true})),
    ]
}

#[tokio::test]
async fn nobody_comes_in_by_an_id_token_that_is_not_the_providers_for_us_and_now() {
    let idp = Idp::start().await;
    for api in apis(&idp).await {
        let before = people::count(api.db()).await.unwrap();
        let now = api.clock.now().timestamp();
        for n in 0..wrong(&idp, "", now).len() {
            let mut browser = Browser::default();
            let (state, nonce) = browser.begin(&api, "google", None).await;
            let (what, token, info) = wrong(&idp, &nonce, now).remove(n);
            idp.say(token, info);
            let answer = browser.back(&api, "google", &state).await;
            assert_eq!(answer.status, 400, "{}: {what}: {answer:?}", api.label);
            answer.problem(400, "malformed", &[]);
            assert!(browser.session().is_none(), "{}: {what}", api.label);
        }
        assert_eq!(people::count(api.db()).await.unwrap(), before, "{}", api.label);
        let good = Browser::default().arrive(&api, &idp, ("ada", address("ada@b.example", true)), None).await;
        assert_eq!(
            good.ok(201)["did"],
            "signed_up",
            "{}: the test's tokens are right but for what is wrong",
            api.label
        );
    }
}

#[tokio::test]
async fn an_answer_is_good_once_for_ten_minutes_in_the_browser_that_began_and_from_the_provider_asked() {
    let idp = Idp::start().await;
    for api in apis(&idp).await {
        let ada = address("ada@b.example", true);
        let say = |nonce: &str| {
            let mut info = ada.clone();
            info["sub"] = json!("ada");
            idp.say(Some(idp.signed(&idp.claims("ada", nonce, api.clock.now().timestamp()))), info);
        };
        // The attacker's own answer in the victim's browser, which began nothing, or something else.
        for begun in [false, true] {
            let (mut attacker, mut victim) = (Browser::default(), Browser::default());
            let (state, nonce) = attacker.begin(&api, "google", None).await;
            if begun {
                victim.begin(&api, "google", None).await;
            }
            say(&nonce);
            victim.back(&api, "google", &state).await.problem(403, "forbidden", &[]);
            assert!(victim.session().is_none(), "{}", api.label);
            // It was used up by that.
            attacker.back(&api, "google", &state).await.problem(409, "conflict", &[]);
        }
        let mut browser = Browser::default();
        let (state, nonce) = browser.begin(&api, "google", None).await;
        say(&nonce);
        let other = browser.back(&api, "other", &state).await;
        other.problem(400, "malformed", &[]);
        let (state, nonce) = browser.begin(&api, "google", None).await;
        say(&nonce);
        let path = format!("/v1/connect/google/callback?state={state}&code=c&iss=https://evil.example");
        browser.ask(&api, "GET", &path, None).await.problem(400, "malformed", &[]);
        let (state, nonce) = browser.begin(&api, "google", None).await;
        say(&nonce);
        let denied = format!("/v1/connect/google/callback?state={state}&error=access_denied");
        browser.ask(&api, "GET", &denied, None).await.problem(403, "forbidden", &[]);
        let (state, nonce) = browser.begin(&api, "google", None).await;
        api.clock.set(api.clock.micros() + 600_000_000);
        say(&nonce);
        browser.back(&api, "google", &state).await.problem(410, "gone", &[]);

        let (state, nonce) = browser.begin(&api, "google", None).await;
        say(&nonce);
        assert_eq!(browser.back(&api, "google", &state).await.ok(201)["did"], "signed_up", "{}", api.label);
        browser.back(&api, "google", &state).await.problem(409, "conflict", &[]);
        // Who kept the cookie of the attempt gains nothing either.
        let (state, nonce) = browser.begin(&api, "google", None).await;
        let mut kept = browser.clone();
        say(&nonce);
        assert_eq!(browser.back(&api, "google", &state).await.ok(200)["did"], "signed_in", "{}", api.label);
        kept.back(&api, "google", &state).await.problem(409, "conflict", &[]);
    }
}

#[tokio::test]
async fn a_page_of_another_site_begins_no_sign_in_and_not_every_provider_has_one() {
    let idp = Idp::start().await;
    for api in apis(&idp).await {
        for (method, site) in [("POST", "cross-site"), ("GET", "cross-site"), ("GET", "same-site")] {
            let ask = api.bare(method, "/v1/auth/google").header("sec-fetch-site", site);
            said(ask).await.problem(403, "forbidden", &[]);
        }
        // A browser that does not say where a request comes from does nothing with a session.
        let ann = person(&api, "ann@b.example", people::Role::Editor).await;
        let ask = api.bare("POST", "/v1/auth/google").header("cookie", format!("__Host-area_session={ann}"));
        said(ask).await.problem(403, "forbidden", &[]);
        for name in ["nobody", "github", "google%00", "..", "%F0%9F%A6%80"] {
            let answer = said(api.bare("POST", &format!("/v1/auth/{name}"))).await;
            assert!([404, 405].contains(&answer.status), "{name}: {answer:?}");
        }
        let all = send(&api, &ann, "GET", "/v1/providers", None).await.ok(200);
        assert_eq!(all["items"][0]["signs_in"], true, "{all}");
        let cookie = said(api.bare("POST", "/v1/auth/google")).await.header("set-cookie").to_owned();
        for part in ["__Host-area_sign_in=", "Path=/;", "Max-Age=600;", "HttpOnly", "SameSite=Lax", "Secure"] {
            assert!(cookie.contains(part), "{cookie}");
        }
    }
}

#[tokio::test]
async fn sign_ins_at_a_provider_are_throttled() {
    let idp = Idp::start().await;
    let mut settings = settings();
    settings.throttle.sign_in_per_address = 3;
    for api in Api::all_with(settings, vec![idp.provider("google")]).await {
        for _ in 0..3 {
            said(api.bare("POST", "/v1/auth/google")).await.ok(201);
        }
        let held = said(api.bare("POST", "/v1/auth/google")).await;
        held.problem(429, "too-many", &[]);
        assert!(held.header("retry-after").parse::<u64>().unwrap() >= 1);
    }
}

#[tokio::test]
async fn fuzzed_callbacks_cookies_and_bodies_of_accounts_are_told_what_is_wrong() {
    let idp = Idp::start().await;
    let mut runner = TestRunner::deterministic();
    for api in apis(&idp).await {
        let ann = person(&api, "ann@b.example", people::Role::SuperAdmin).await;
        let mut text = || -> String { hostile().new_tree(&mut runner).unwrap().current() };
        let quoted = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        for round in 0..40 {
            let (a, b, c) = (text(), text(), text());
            let (x, y, z) = (quoted(&a), quoted(&b), quoted(&c));
            let mut browser = Browser::default();
            let (state, nonce) = browser.begin(&api, "google", None).await;
            idp.say(Some(a.clone()), json!({"sub": b}));
            if round % 2 == 0 {
                let mut claims = idp.claims("ada", &nonce, api.clock.now().timestamp());
                claims["sub"] = json!([a]);
                idp.say(Some(idp.signed(&claims)), json!(b));
            }
            for query in [
                format!("state={x}&code={y}&iss={z}"),
                format!("state={x}&error={y}&error_description={z}"),
                format!("{x}={y}&{z}"),
                format!("state={state}&code={x}&iss={y}x"),
                format!("state={state}&code={x}"),
            ] {
                let path = format!("/v1/connect/google/callback?{query}");
                let cookies: Vec<String> = browser.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
                let answer = said(api.bare("GET", &path).header("cookie", cookies.join("; "))).await;
                check(&answer, &path);
                let page = said(api.bare("GET", &path).header("accept", "text/html")).await;
                assert!((400..500).contains(&page.status), "{path}: {page:?}");
                assert!(!page.text.contains("<script"), "{path}: {page:?}");
            }
            for value in
                [format!("__Host-area_sign_in={a}"), format!("__Host-area_sign_in={a}; __Host-area_session={b}")]
            {
                let (state, _) = Browser::default().begin(&api, "google", None).await;
                let Ok(value) = http::HeaderValue::from_str(&value) else { continue };
                let path = format!("/v1/connect/google/callback?state={state}&code={x}");
                check(&said(api.bare("GET", &path).header("cookie", value)).await, &path);
            }
            if let Ok(value) = http::HeaderValue::from_str(&format!("Bearer {a}")) {
                for (method, path) in
                    [("POST", "/v1/connect/google"), ("GET", "/v1/accounts"), ("DELETE", "/v1/accounts/x")]
                {
                    check(&said(api.bare(method, path).header("authorization", value.clone())).await, path);
                }
            }
            for (path, body) in [
                ("/v1/auth/google", json!({"password": [a], "return_to": b})),
                ("/v1/auth/google", json!({"return_to": format!("https://evil.example/{a}")})),
                ("/v1/auth/google", json!({ format!("x{a}"): b })),
                ("/v1/auth/google", json!([a])),
            ] {
                check(&said(api.bare("POST", path).json(&body)).await, path);
            }
            check(&said(api.bare("POST", "/v1/auth/google").body(format!("{{{a}"))).await, "no JSON");
            check(&said(api.bare("GET", &format!("/v1/auth/google?{x}x={y}"))).await, "query");
            check(&said(api.bare("POST", &format!("/v1/auth/{x}x"))).await, "provider");
            for (method, path, body) in [
                ("POST", "/v1/connect/google".to_owned(), json!({"scopes": [format!("{a} \""), 7]})),
                ("POST", "/v1/connect/google".to_owned(), json!({"for": [a], "return_to": b})),
                ("POST", "/v1/connect/google/confirm".to_owned(), json!({"confirm": a})),
                ("POST", "/v1/connect/google/confirm".to_owned(), json!({ "confirm": [a] })),
                ("POST", "/v1/accounts".to_owned(), json!({"provider": a, "key": b, "who": c})),
                ("POST", "/v1/accounts".to_owned(), json!({"provider": [a], "key": {"x": b}})),
                ("POST", format!("/v1/accounts/{x}x/check"), json!({})),
                ("DELETE", format!("/v1/accounts/{x}x"), json!({})),
            ] {
                check(&send(&api, &ann, method, &path, Some(&body)).await, &path);
            }
        }
        let large = "x".repeat(api::rest::BODY_BYTES + 1);
        for path in ["/v1/auth/google", "/v1/connect/google", "/v1/connect/google/confirm"] {
            let answer = said(api.bare("POST", path).bearer_auth(&ann).body(large.clone())).await;
            answer.problem(413, "too-large", &[]);
        }
    }
}
