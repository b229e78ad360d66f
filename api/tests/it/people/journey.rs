//! A person's life here, over HTTP, with mail through a real server.

use engine::store::people::Role;
use serde_json::{Value, json};

use super::post::Post;
use super::{PASSWORD, person, send, sign_in};
use crate::rest::{Api, area, said, settings};

const ANN: &str = "ann.miller@example.net";

async fn apis(post: &Post) -> Vec<Api> {
    let mut settings = settings();
    settings.mail.smtp = serde_json::from_value(json!(post.url)).unwrap();
    settings.throttle.mail_per_user = 0;
    settings.throttle.sign_in_per_user = 0;
    settings.throttle.sign_up_per_address = 0;
    Api::all_set(settings).await
}

async fn post_to(api: &Api, path: &str, body: Value) -> crate::rest::Said {
    said(api.bare("POST", path).json(&body)).await
}

#[tokio::test]
async fn a_person_signs_up_in_about_and_out_and_leaves_nothing() {
    let Some(post) = Post::start().await else { return };
    for api in apis(&post).await {
        let up = json!({"email": " Ann.Miller@Example.net", "password": PASSWORD, "name": "Ann", "info": "climbs"});
        let said_up = post_to(&api, "/v1/auth/register", up).await;
        said_up.ok(202);
        sign_in(&api, ANN, PASSWORD).await.problem(401, "unauthorized", &[]);
        let first = post.token(ANN, "verify").await;
        post_to(&api, "/v1/auth/resend", json!({"email": ANN})).await.ok(202);
        let link = post.token(ANN, "verify").await;
        for (token, password) in [(&first, PASSWORD), (&link, "not the password"), (&"x".to_owned(), PASSWORD)] {
            let refused = post_to(&api, "/v1/auth/verify", json!({"token": token, "password": password})).await;
            refused.problem(401, "unauthorized", &[]);
        }
        let in_one = post_to(&api, "/v1/auth/verify", json!({"token": link, "password": PASSWORD})).await.ok(201);
        let one = in_one["token"].as_str().unwrap();
        let again = post_to(&api, "/v1/auth/verify", json!({"token": link, "password": PASSWORD})).await;
        again.problem(401, "unauthorized", &[]);

        // In a second place; the first is seen, the password changed, and only this place is left.
        let two = sign_in(&api, "ANN.miller@example.net", PASSWORD).await.ok(200)["token"].as_str().unwrap().to_owned();
        let me = send(&api, &two, "GET", "/v1/auth/me", None).await.ok(200);
        assert_eq!((&me["email"], &me["role"], &me["by"]), (&json!(ANN), &json!("EDITOR"), &json!("session")));
        let all = send(&api, &two, "GET", "/v1/auth/sessions", None).await.ok(200);
        let current: Vec<&Value> = all["items"].as_array().unwrap().iter().map(|s| &s["current"]).collect();
        assert_eq!(current, [&json!(false), &json!(true)], "{}: {all}", api.label);
        assert_eq!(all["items"][0]["address"], "127.0.0.1", "{}", api.label);
        let weak = json!({"old": PASSWORD, "new": "annmiller"});
        send(&api, &two, "POST", "/v1/auth/password", Some(&weak)).await.problem(422, "invalid", &["/new"]);
        let new = "figs on the window sill";
        let change = |old: &str| json!({"old": old, "new": new});
        let wrong = send(&api, &two, "POST", "/v1/auth/password", Some(&change("wrong"))).await;
        wrong.problem(403, "forbidden", &[]);
        send(&api, &two, "POST", "/v1/auth/password", Some(&change(PASSWORD))).await.ok(204);
        assert!(post.mail(ANN).await.contains("Your password was changed"), "{}", api.label);
        send(&api, one, "GET", "/v1/auth/me", None).await.problem(401, "unauthorized", &[]);
        send(&api, &two, "GET", "/v1/auth/me", None).await.ok(200);
        sign_in(&api, ANN, PASSWORD).await.problem(401, "unauthorized", &[]);

        // A token for a program, everywhere out: the token stays till it is revoked.
        let wanted = json!({"name": "ci", "scopes": ["read", "areas"]});
        let token = send(&api, &two, "POST", "/v1/tokens", Some(&wanted)).await.ok(201);
        let program = token["token"].as_str().unwrap();
        let made = send(&api, program, "POST", "/v1/areas", Some(&area("mine"))).await.ok(201);
        send(&api, &two, "POST", "/v1/auth/logout/everywhere", None).await.ok(204);
        send(&api, &two, "GET", "/v1/auth/me", None).await.problem(401, "unauthorized", &[]);
        send(&api, program, "GET", "/v1/auth/me", None).await.ok(200);
        send(&api, program, "GET", "/v1/tokens", None).await.problem(403, "forbidden", &[]);
        let three = sign_in(&api, ANN, new).await.ok(200)["token"].as_str().unwrap().to_owned();

        // What is theirs, and then nothing any more.
        let export = send(&api, &three, "GET", "/v1/auth/export", None).await.ok(200);
        assert_eq!((&export["profile"]["email"], &export["areas"][0]["id"]), (&json!(ANN), &made["id"]), "{export}");
        assert_eq!(export["profile"]["info"], "climbs");
        assert!(!export.to_string().contains("argon2") && !export.to_string().contains(program), "{export}");
        for (password, status) in [("wrong", 403), (new, 204)] {
            let leave = json!({"password": password});
            assert_eq!(send(&api, &three, "POST", "/v1/auth/delete", Some(&leave)).await.status, status);
        }
        for gone in [&three, program] {
            send(&api, gone, "GET", "/v1/auth/me", None).await.problem(401, "unauthorized", &[]);
        }
        sign_in(&api, ANN, new).await.problem(401, "unauthorized", &[]);
        assert!(post.mail(ANN).await.contains("was deleted"), "{}", api.label);
        assert!(!api.stored().await.contains("mine"), "{}", api.label);
    }
}

#[tokio::test]
async fn a_forgotten_password_is_set_by_mail_and_an_address_changes_by_mail() {
    let Some(post) = Post::start().await else { return };
    for api in apis(&post).await {
        let session = person(&api, ANN, Role::Editor).await;
        post_to(&api, "/v1/auth/password/forgot", json!({"email": ANN})).await.ok(202);
        let token = post.token(ANN, "reset").await;
        let reset = |token: &str, password: &str| json!({"token": token, "password": password});
        let path = "/v1/auth/password/reset";
        post_to(&api, path, reset(&token, "short")).await.problem(422, "invalid", &["/password"]);
        post_to(&api, path, reset("x", "figs on the window sill")).await.problem(422, "invalid", &["/token"]);
        post_to(&api, path, reset(&token, "figs on the window sill")).await.ok(204);
        post_to(&api, path, reset(&token, "figs on the window sill")).await.problem(422, "invalid", &["/token"]);
        assert!(post.mail(ANN).await.contains("Your password was changed"), "{}", api.label);
        send(&api, &session, "GET", "/v1/auth/me", None).await.problem(401, "unauthorized", &[]);
        let session = sign_in(&api, ANN, "figs on the window sill").await.ok(200);
        let session = session["token"].as_str().unwrap();

        let ask = |email: &str, password: &str| json!({"email": email, "password": password});
        let wrong = send(&api, session, "POST", "/v1/auth/email", Some(&ask("new@b.example", "wrong"))).await;
        wrong.problem(403, "forbidden", &[]);
        person(&api, "taken@b.example", Role::Editor).await;
        for (email, link) in [("taken@b.example", false), ("new@b.example", true)] {
            let asked = ask(email, "figs on the window sill");
            send(&api, session, "POST", "/v1/auth/email", Some(&asked)).await.ok(202);
            assert!(post.mail(ANN).await.contains("asked to move your account"), "{}", api.label);
            if !link {
                assert!(post.mail(email).await.contains("It is yours and stays yours"), "{}", api.label);
            }
        }
        let token = post.token("new@b.example", "email").await;
        let moved = post_to(&api, "/v1/auth/email/confirm", json!({"token": token})).await.ok(200);
        assert_eq!(moved["email"], "new@b.example");
        assert!(post.mail(ANN).await.contains("another e-mail address now"), "{}", api.label);
        sign_in(&api, ANN, "figs on the window sill").await.problem(401, "unauthorized", &[]);
        sign_in(&api, "new@b.example", "figs on the window sill").await.ok(200);
        let again = post_to(&api, "/v1/auth/email/confirm", json!({"token": token})).await;
        again.problem(422, "invalid", &["/token"]);
    }
}

#[tokio::test]
async fn whether_an_address_is_known_shows_in_no_answer_and_its_owner_is_told() {
    let Some(post) = Post::start().await else { return };
    for api in apis(&post).await {
        person(&api, ANN, Role::Editor).await;
        for path in ["/v1/auth/register", "/v1/auth/resend", "/v1/auth/password/forgot"] {
            let body = |email: &str| match path.ends_with("register") {
                true => json!({"email": email, "password": "figs on the window sill"}),
                false => json!({"email": email}),
            };
            let known = post_to(&api, path, body(ANN)).await;
            let unknown = post_to(&api, path, body("nobody@example.net")).await;
            assert_eq!((known.status, &known.text), (unknown.status, &unknown.text), "{}: {path}", api.label);
            post.mail(ANN).await;
        }
        let (known, unknown) = (sign_in(&api, ANN, "x").await, sign_in(&api, "nobody@example.net", "x").await);
        assert_eq!((known.status, known.text), (unknown.status, unknown.text), "{}", api.label);
    }
}

#[tokio::test]
async fn whoever_signs_up_somebody_elses_address_gains_nothing_by_its_owners_click() {
    let Some(post) = Post::start().await else { return };
    for api in apis(&post).await {
        let up = |password: &str| json!({"email": ANN, "password": password});
        post_to(&api, "/v1/auth/register", up("the thief's own words")).await.ok(202);
        let thief = post.token(ANN, "verify").await;
        post_to(&api, "/v1/auth/register", up(PASSWORD)).await.ok(202);
        let own = post.token(ANN, "verify").await;
        let verify = async |token: &str| {
            post_to(&api, "/v1/auth/verify", json!({"token": token, "password": PASSWORD})).await.status
        };
        assert_eq!((verify(&thief).await, verify(&own).await), (401, 201), "{}", api.label);
        sign_in(&api, ANN, "the thief's own words").await.problem(401, "unauthorized", &[]);
    }
}
