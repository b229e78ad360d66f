//! Sessions of an Auth.js site on the same database, and how long ours live.

use std::time::Duration;

use engine::ids::UserId;
use engine::on_write;
use engine::store::people::Role;
use serde_json::json;

use super::{person, send, sign_in};
use crate::rest::{Api, said, settings};

async fn site(api: &Api, email: Option<&str>, proved: bool, token: &str) -> UserId {
    let (id, now) = (UserId::new(), api.clock.now());
    let user = "INSERT INTO next_auth_users (id, name, email, \"emailVerified\") VALUES ($1, 'Site', $2, $3)";
    let proved = proved.then_some(now);
    let add = async || {
        on_write!(api.db(), pool => {
            sqlx::query(user).bind(id).bind(email).bind(proved).execute(pool).await.map(drop)
        })
    };
    add().await.unwrap();
    let session = "INSERT INTO next_auth_sessions (id, expires, \"sessionToken\", \"userId\") VALUES ($1, $2, $3, $1)";
    let expires = now + Duration::from_secs(3_600);
    let add = async || {
        on_write!(api.db(), pool => {
            sqlx::query(session).bind(id).bind(expires).bind(token).execute(pool).await.map(drop)
        })
    };
    add().await.unwrap();
    id
}

#[tokio::test]
async fn a_sites_session_is_taken_where_the_operator_says_so_and_its_person_by_id() {
    for allowed in [false, true] {
        let mut settings = settings();
        settings.sessions.authjs = allowed;
        for api in Api::all_set(settings).await {
            person(&api, "ann@b.example", Role::Admin).await;
            let proved = site(&api, Some("New@b.example"), true, "raw-1").await;
            let unproved = site(&api, Some("other@b.example"), false, "raw-2").await;
            site(&api, Some("ANN@b.example"), true, "raw-3").await;
            let me = async |cookie: &str| said(api.bare("GET", "/v1/auth/me").header("cookie", cookie)).await;
            if !allowed {
                me("authjs.session-token=raw-1").await.problem(401, "unauthorized", &[]);
                continue;
            }
            for name in ["authjs.session-token", "__Secure-authjs.session-token"] {
                let said = me(&format!("{name}=raw-1")).await.ok(200);
                assert_eq!((&said["id"], &said["email"]), (&json!(proved), &json!("new@b.example")), "{}", api.label);
                assert_eq!(said["role"], "EDITOR", "{}", api.label);
            }
            let said = me("authjs.session-token=raw-2").await.ok(200);
            assert_eq!(
                said["email"],
                format!("{unproved}@unproved.invalid"),
                "{}: nobody's address is taken",
                api.label
            );
            me("authjs.session-token=raw-3").await.problem(409, "conflict", &[]);
            me("authjs.session-token=raw-4").await.problem(401, "unauthorized", &[]);
            // As a program's token, or in our own cookie, it is nothing.
            send(&api, "raw-1", "GET", "/v1/auth/me", None).await.problem(401, "unauthorized", &[]);
            me("__Host-area_session=raw-1").await.problem(401, "unauthorized", &[]);
        }
    }
}

#[tokio::test]
async fn a_stolen_database_opens_no_session() {
    let mut settings = settings();
    settings.sessions.authjs = true;
    for api in Api::all_set(settings).await {
        person(&api, "ann@b.example", Role::Editor).await;
        let sql = "SELECT \"sessionToken\" FROM next_auth_sessions";
        let stored: String = engine::on!(api.db(), pool => sqlx::query_scalar(sql).fetch_one(pool).await).unwrap();
        for header in [format!("authjs.session-token={stored}"), format!("__Host-area_session={stored}")] {
            said(api.bare("GET", "/v1/auth/me").header("cookie", header)).await.problem(401, "unauthorized", &[]);
        }
        send(&api, &stored, "GET", "/v1/auth/me", None).await.problem(401, "unauthorized", &[]);
    }
}

#[tokio::test]
async fn a_session_lives_as_long_as_it_is_used_but_not_for_ever() {
    let hour = 3_600_000_000;
    let mut settings = settings();
    settings.sessions.idle = "2h".parse().unwrap();
    settings.sessions.absolute = "5h".parse().unwrap();
    for api in Api::all_set(settings).await {
        let used = person(&api, "ann@b.example", Role::Editor).await;
        let idle = sign_in(&api, "ann@b.example", super::PASSWORD).await.ok(200)["token"].as_str().unwrap().to_owned();
        let start = api.clock.micros();
        for n in 1..5 {
            api.clock.set(start + n * hour);
            send(&api, &used, "GET", "/v1/auth/me", None).await.ok(200);
        }
        send(&api, &idle, "GET", "/v1/auth/me", None).await.problem(401, "unauthorized", &[]);
        api.clock.set(start + 5 * hour);
        send(&api, &used, "GET", "/v1/auth/me", None).await.problem(401, "unauthorized", &[]);
    }
}
