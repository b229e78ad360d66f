//! `area keys`, on both engines, beside a running daemon where that matters.

use engine::store::Db;
use engine::vault::KeyRing;
use engine::{on, on_write};

use crate::kit::Area;

const SECRETIVE: &str = r#"{"name": "Hook", "action": {"service": "webhook", "name": "received", "data":
    {"verify": {"kind": "token", "token": "CANARY-hook", "header": "x-token"}}},
    "reactions": [{"service": "log", "name": "write", "data": {"text": "x"}}]}"#;

async fn sealed_with(db: &Db) -> Vec<String> {
    let sql = "SELECT body FROM areas WHERE body LIKE '%$sealed%'";
    let bodies: Vec<String> = on!(db, pool => sqlx::query_scalar(sql).fetch_all(pool).await).unwrap();
    let key = |body: &String| body.split("\"s1.").nth(1).unwrap().split('.').next().unwrap().to_owned();
    bodies.iter().map(key).collect()
}

#[tokio::test]
async fn keys_are_rotated_and_everything_is_sealed_anew_while_the_daemon_runs() {
    for area in Area::all().await {
        std::fs::write(area.file("a.json"), SECRETIVE).unwrap();
        area.run(&["token", "create", "--email", "a@b"]).ok();
        area.run(&["apply", "a.json", "--user", "a@b"]).ok();
        let daemon = area.serve(&[]);
        let db = area.db().await;
        let old = sealed_with(&db).await;
        let new = area.run(&["keys", "rotate"]).ok();
        assert_ne!(old, std::slice::from_ref(&new), "{}", area.label);
        let listed = area.run(&["keys", "list", "--json"]).json();
        assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["active"]), (&new.as_str().into(), &true.into()));
        assert_eq!(listed["items"][1]["id"], old[0].as_str(), "{}: {listed}", area.label);
        area.run(&["keys", "reseal"]).ok();
        assert_eq!(sealed_with(&db).await, std::slice::from_ref(&new), "{}", area.label);
        let listed = area.run(&["keys", "list", "--json"]).json();
        assert_eq!(listed["items"][1]["values"], 0, "{}: {listed}", area.label);
        drop(daemon);
        // The old key may go now; the new one may not.
        let ring = KeyRing::load_or_create(&area.file("data/keys.json")).unwrap();
        let text: serde_json::Value = serde_json::from_str(&ring.text()).unwrap();
        let only = |kept: &str| {
            let mut text = text.clone();
            text["keys"].as_object_mut().unwrap().retain(|id, _| id == kept);
            text["active"] = kept.into();
            std::fs::write(area.file("data/keys.json"), text.to_string()).unwrap();
        };
        only(&new);
        area.run(&["keys", "list"]).ok();
        only(&old[0]);
        area.run(&["keys", "list"]).fails(2, &[&format!("the keys lack {new}"), "put back the copy"]);
        let checked = area.run(&["check"]);
        assert!(checked.code == 1 && checked.out.contains(&format!("the keys lack {new}")), "{checked:?}");
        db.close().await;
    }
}

#[tokio::test]
async fn a_row_that_does_not_open_is_told_and_nothing_is_forgotten() {
    let area = Area::new();
    std::fs::write(area.file("a.json"), SECRETIVE).unwrap();
    area.run(&["token", "create", "--email", "a@b"]).ok();
    area.run(&["apply", "a.json", "--user", "a@b"]).ok();
    area.run(&["keys", "rotate"]).ok();
    let db = area.db().await;
    let break_it = "UPDATE areas SET body = replace(body, '\"s1.', '\"s1.k0000')";
    on_write!(&db, pool => sqlx::query(break_it).execute(pool).await.map(drop)).unwrap();
    db.close().await;
    let ran = area.run(&["keys", "reseal"]);
    assert!(ran.code == 1 && ran.err.contains("do not open; the first: the AREA "), "{ran:?}");
}

#[test]
fn keys_come_from_a_command_too_and_what_it_does_wrong_is_told() {
    let area = Area::new();
    area.run(&["token", "create", "--email", "a@b"]).ok();
    area.run(&["keys", "list"]).ok();
    let (file, elsewhere) = (area.file("data/keys.json"), area.file("elsewhere"));
    std::fs::rename(&file, &elsewhere).unwrap();
    area.run(&["keys", "list"]).fails(2, &["keys.json is missing"]);
    let with = |command: &str, args: &[&str]| area.run_with(&[("AREA_KEYS_COMMAND", command)], args);
    let print = format!("cat {}", elsewhere.display());
    with(&print, &["keys", "list"]).ok();
    let rotated = with(&print, &["keys", "rotate"]);
    assert!(rotated.err.contains("keys_command") && KeyRing::parse(&rotated.ok()).unwrap().ids().len() == 2);
    assert!(!file.exists() && KeyRing::parse(&std::fs::read_to_string(&elsewhere).unwrap()).unwrap().ids().len() == 1);
    with("exit 3", &["keys", "list"])
        .fails(2, &["keys_command `exit 3` failed (exit status: 3)", "must print the keys"]);
    with("echo hunter2", &["keys", "list"]).fails(2, &["the keys cannot be read: line 1, column 1"]);
    let both = area.run_with(&[("AREA_KEYS_COMMAND", &print), ("AREA_KEYS", "{}")], &["keys", "list"]);
    both.fails(2, &["keys_command: is set beside `keys`"]);
}
