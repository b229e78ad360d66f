//! Secrets from the client to the row and back.

use serde_json::{Value, json};

use super::{SERVICES, area, put};
use crate::area::secrets::{export, from_env, keep, open, seal, show};
use crate::ids::AreaId;
use crate::vault::KeyRing;

/// One secret in the action, one secret object in a step.
pub(super) fn secretive() -> Value {
    let action = json!({"url": "https://example.com/a", "verify": {"kind": "token", "token": "hunter2"}});
    let step = json!({"id": "s", "service": "http", "name": "request", "data":
        {"url": "https://example.com/b", "headers": {"authorization": "hunter2"}, "json": {"plain": "text"}}});
    put(put(area(), "/action/data", action), "/reactions/0", step)
}

const TOKEN: &str = "/action/data/verify/token";
const HEADERS: &str = "/reactions/0/data/headers";

fn shown() -> Value {
    put(put(secretive(), TOKEN, json!({"$secret": true})), HEADERS, json!({"$secret": true}))
}

#[test]
fn what_is_sealed_hides_opens_and_shows_as_secret() {
    let (ring, id) = (KeyRing::generate().unwrap(), AreaId::new());
    let mut stored = secretive();
    seal(&mut stored, id, SERVICES, &ring);
    assert!(!stored.to_string().contains("hunter2"));
    assert!(stored.to_string().contains("\"plain\":\"text\""));
    let mut opened = stored.clone();
    open(&mut opened, id, &ring).unwrap();
    assert_eq!(opened, secretive());
    show(&mut stored);
    assert_eq!(stored, shown());
}

#[test]
fn what_is_copied_elsewhere_does_not_open() {
    let (ring, id) = (KeyRing::generate().unwrap(), AreaId::new());
    let mut stored = secretive();
    seal(&mut stored, id, SERVICES, &ring);
    let places = |mut document: Value, id, ring: &KeyRing| {
        open(&mut document, id, ring).err().unwrap_or_default().into_iter().map(|w| w.pointer).collect::<Vec<_>>()
    };
    assert_eq!(places(stored.clone(), AreaId::new(), &ring), [TOKEN, HEADERS]);
    assert_eq!(places(stored.clone(), id, &KeyRing::generate().unwrap()), [TOKEN, HEADERS]);
    let moved = put(stored.clone(), HEADERS, stored.pointer(TOKEN).unwrap().clone());
    assert_eq!(places(moved, id, &ring), [HEADERS]);
}

#[track_caller]
fn kept(mut incoming: Value, stored: Option<&Value>, want: Result<Value, &[&str]>) {
    let got = keep(&mut incoming, stored, SERVICES);
    let got = got.map(|()| incoming).map_err(|wrong| wrong.into_iter().map(|w| w.pointer).collect::<Vec<_>>());
    assert_eq!(got, want.map_err(|places| places.iter().map(|p| (*p).to_owned()).collect()));
}

#[test]
fn a_secret_that_is_sent_back_as_shown_is_kept() {
    kept(shown(), Some(&secretive()), Ok(secretive()));
    kept(put(shown(), TOKEN, json!("new")), Some(&secretive()), Ok(put(secretive(), TOKEN, json!("new"))));
    kept(
        put(shown(), "/action/data/url", json!("https://example.com/z?q")),
        Some(&secretive()),
        Ok(put(secretive(), "/action/data/url", json!("https://example.com/z?q"))),
    );
}

#[test]
fn nothing_is_kept_where_nothing_is_stored() {
    kept(shown(), None, Err(&[TOKEN, HEADERS]));
    kept(
        put(secretive(), "/action/data/items", json!({"$secret": true})),
        Some(&secretive()),
        Err(&["/action/data/items"]),
    );
    let plain = put(secretive(), "/reactions/0/data/json/plain", json!({"$secret": true}));
    kept(plain, Some(&secretive()), Err(&["/reactions/0/data/json/plain"]));
}

#[test]
fn a_step_that_moved_keeps_its_secrets_by_its_id() {
    let mut moved = shown();
    let first = json!({"id": "new", "service": "http", "name": "write", "data": {"text": "x"}});
    moved["reactions"].as_array_mut().unwrap().insert(0, first.clone());
    let mut want = secretive();
    want["reactions"].as_array_mut().unwrap().insert(0, first);
    kept(moved, Some(&secretive()), Ok(want));
    let renamed = put(shown(), "/reactions/0/id", json!("other"));
    kept(renamed, Some(&secretive()), Ok(put(secretive(), "/reactions/0/id", json!("other"))));
}

#[test]
fn a_secret_is_not_kept_for_another_origin_or_another_reaction() {
    for url in ["https://evil.example/b", "http://example.com/b", "https://example.com:8443/b", "{{ event.url }}"] {
        kept(put(shown(), "/reactions/0/data/url", json!(url)), Some(&secretive()), Err(&[HEADERS]));
    }
    let other = json!({"id": "s", "service": "http", "name": "write", "data": {"text": {"$secret": true}}});
    kept(put(shown(), "/reactions/0", other), Some(&secretive()), Err(&["/reactions/0/data/text"]));
    let action = put(shown(), "/action/name", json!("received"));
    kept(action, Some(&secretive()), Err(&[TOKEN]));
}

#[test]
fn an_export_names_variables_and_apply_reads_them() {
    let (ring, id) = (KeyRing::generate().unwrap(), AreaId::new());
    let mut document = secretive();
    seal(&mut document, id, SERVICES, &ring);
    let names = export(&mut document, "NEWS");
    assert_eq!(names, ["NEWS_ACTION_DATA_VERIFY_TOKEN", "NEWS_REACTIONS_0_DATA_HEADERS"]);
    let env = |name: &str| match name {
        "NEWS_ACTION_DATA_VERIFY_TOKEN" => Some("hunter2".to_owned()),
        "NEWS_REACTIONS_0_DATA_HEADERS" => Some(r#"{"authorization": "hunter2"}"#.to_owned()),
        _ => None,
    };
    let mut read = document.clone();
    from_env(&mut read, SERVICES, env).unwrap();
    assert_eq!(read, secretive());
    let wrong = from_env(&mut document, SERVICES, |_| None).unwrap_err();
    assert_eq!(wrong.iter().map(|w| w.pointer.as_str()).collect::<Vec<_>>(), [TOKEN, HEADERS]);
}

#[test]
fn a_variable_of_digits_stays_a_string_where_the_schema_wants_one() {
    let mut document = put(secretive(), TOKEN, json!({"$env": "PIN"}));
    from_env(&mut document, SERVICES, |_| Some("123456".into())).unwrap();
    assert_eq!(document.pointer(TOKEN), Some(&json!("123456")));
}
