//! `area user` and `area token`, on both engines.

use engine::store::people::{self, Role};
use engine::store::tokens;

use crate::kit::Area;

#[tokio::test]
async fn a_token_stands_alone_on_stdout_and_opens_the_api_for_the_user_it_created() {
    for area in Area::all().await {
        let ran = area.run(&["token", "create", "--email", "Ann@Example.org", "--name", "ci"]);
        assert!(ran.err.contains("created the user ann@example.org (EDITOR)"), "{ran:?}");
        let token = ran.ok();
        assert!(token.starts_with("area_") && !token.contains(char::is_whitespace), "{}", area.label);
        let db = area.db().await;
        let now = engine::clock::Clock::system().now();
        let caller = tokens::caller_by_token(&db, &tokens::hash(&token), now).await.unwrap().unwrap();
        assert_eq!((caller.email.as_str(), caller.role), ("ann@example.org", Role::Editor), "{}", area.label);
        assert_eq!(people::count(&db).await.unwrap(), 1);
        db.close().await;
    }
}

#[test]
fn a_second_token_keeps_the_user_and_a_role_that_is_given_becomes_theirs() {
    let area = Area::new();
    let first = area.run(&["token", "create", "--email", "a@b", "--json"]).json();
    let second = area.run(&["token", "create", "--email", "A@B", "--role", "admin", "--json"]);
    assert!(second.err.contains("from EDITOR to ADMIN"), "{second:?}");
    let second = second.json();
    assert_eq!((&first["user"], &second["role"]), (&second["user"], &"ADMIN".into()));
    assert_ne!(first["token"], second["token"]);
}

#[test]
fn tokens_are_listed_without_their_secret_and_revoked_by_id() {
    let area = Area::new();
    let made = area.run(&["token", "create", "--email", "a@b", "--scope", "read", "--expires", "30d", "--json"]).json();
    let listed = area.run(&["token", "list", "--email", "a@b", "--json"]);
    assert!(!listed.out.contains(made["token"].as_str().unwrap()));
    let listed = listed.json();
    assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["scopes"]), (&made["id"], &serde_json::json!(["read"])));
    assert!(listed["items"][0]["expires_at"].is_string());
    let id = made["id"].as_str().unwrap();
    area.run(&["token", "revoke", "--email", "a@b", id]).ok();
    area.run(&["token", "revoke", "--email", "a@b", id]).fails(3, &["a@b", id]);
    assert_eq!(area.run(&["token", "list", "--email", "a@b"]).ok(), "");
    area.run(&["token", "list", "--email", "nobody@b"]).fails(3, &["nobody@b"]);
}

#[test]
fn users_are_created_once_and_listed_by_address() {
    let area = Area::new();
    let id = area.run(&["user", "create", "--email", "b@b", "--role", "VIEWER", "--name", "Bob"]).ok();
    area.run(&["user", "create", "--email", "a@b"]).ok();
    area.run(&["user", "create", "--email", "B@B"]).fails(1, &["already", "b@b"]);
    area.run(&["user", "create", "--email", "nobody"]).fails(2, &["nobody", "@"]);
    assert_eq!(area.run(&["user", "create", "--email", "c@b", "--role", "KING"]).code, 2);
    let all = area.run(&["user", "list", "--json"]).json();
    let emails: Vec<_> = all["items"].as_array().unwrap().iter().map(|u| u["email"].as_str().unwrap()).collect();
    assert_eq!(emails, ["a@b", "b@b"]);
    assert_eq!((&all["items"][1]["id"], &all["items"][1]["role"]), (&id.into(), &"VIEWER".into()));
}
