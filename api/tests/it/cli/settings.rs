//! Settings, help and `area check`, as they are met at the command line.

use crate::kit::Area;

#[test]
fn in_an_empty_folder_everything_is_well_and_nothing_is_made_by_looking() {
    let area = Area::new();
    let found = area.run(&["check", "--json"]).json();
    let items = found["items"].as_array().unwrap();
    assert!(items.len() >= 3 && items.iter().all(|f| f["state"] == "ok"), "{found}");
    assert_eq!(std::fs::read_dir(area.folder()).unwrap().count(), 0);
}

#[test]
fn an_unknown_setting_is_told_the_nearest_and_ends_with_code_2() {
    let area = Area::new();
    area.run_with(&[("AREA_LISEN", "x")], &["check"]).fails(2, &["AREA_LISEN", "AREA_LISTEN"]);
    area.run(&["check", "--set", "net.alow=10.0.0.0/8"]).fails(2, &["net.alow", "`net.allow`"]);
    std::fs::write(area.file("mine.toml"), "[net]\ntimout = \"5s\"").unwrap();
    area.run(&["check", "--config", "mine.toml"]).fails(2, &["mine.toml", "`net.timout`", "`net.timeout`"]);
    area.run_with(&[("AREA_CONFIG", "none.toml")], &["check"]).fails(2, &["none.toml"]);
}

#[test]
fn the_file_of_the_folder_is_read_and_a_flag_beats_it() {
    let area = Area::new();
    std::fs::create_dir(area.file("config")).unwrap();
    std::fs::write(area.file("config/area.toml"), "listen = \"127.0.0.1:1234\"").unwrap();
    let said = |args: &[&str]| area.run(args).ok();
    assert!(said(&["check"]).contains("http://127.0.0.1:1234/"));
    assert!(said(&["check", "--listen", "127.0.0.1:4321"]).contains("http://127.0.0.1:4321/"));
}

#[tokio::test]
async fn check_says_what_is_wrong_and_how_to_mend_it() {
    let area = Area::new();
    area.run(&["migrate"]).ok();
    let db = area.db().await;
    engine::on_write!(&db, p => sqlx::query("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1")
        .execute(p).await.map(drop))
    .unwrap();
    db.close().await;
    let ran = area.run(&["check"]);
    assert_eq!(ran.code, 1);
    for part in ["9999", "use a newer `area`", "wrong"] {
        assert!(ran.out.contains(part), "no `{part}` in {ran:?}");
    }
    area.run_with(&[("AREA_DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/d")], &["migrate"]).fails(4, &["u:***@"]);
}

#[tokio::test]
async fn check_looks_at_both_engines() {
    for area in Area::all().await {
        area.run(&["migrate"]).ok();
        area.db().await.close().await;
        let said = area.run(&["check"]).ok();
        assert!(said.contains("is at version") && !said.contains("wrong"), "{}: {said}", area.label);
    }
}

#[test]
fn help_teaches_by_example_and_wrong_use_ends_with_code_2() {
    let area = Area::new();
    for command in ["serve", "migrate", "check", "backup", "restore", "completions"] {
        assert!(area.run(&[command, "--help"]).ok().contains("Example"), "{command}");
    }
    assert!(area.run(&["--help"]).ok().contains("Exit codes"));
    assert_eq!(area.run(&["surve"]).code, 2);
    assert_eq!(area.run(&["restore"]).code, 2);
}

#[test]
fn completions_know_the_commands() {
    let script = Area::new().run(&["completions", "bash"]).ok();
    assert!(script.contains("area__subcmd__backup") || script.contains("area__backup"), "{script}");
}

#[test]
fn config_prints_a_file_to_start_from_and_what_is_in_effect_without_secrets() {
    let area = Area::new();
    std::fs::write(area.file("mine.toml"), area.run(&["config"]).ok()).unwrap();
    let plain = area.run(&["config", "--current"]).ok();
    assert_eq!(area.run(&["config", "--current", "--config", "mine.toml"]).ok(), plain);
    let env =
        [("AREA_DATABASE_URL", "postgres://u:hunter2@h/d"), ("AREA_KEYS", "hunter2"), ("AREA_NET__TIMEOUT", "5s")];
    let ran = area.run_with(&env, &["config", "--current", "--json"]);
    assert!(!ran.out.contains("hunter2"), "{ran:?}");
    let current = ran.json();
    assert_eq!((&current["net.timeout"], &current["keys"]), (&"5s".into(), &"[REDACTED]".into()));
}

#[tokio::test]
async fn keys_that_are_not_the_databases_are_refused_instead_of_made_anew() {
    for area in Area::all().await {
        let mut daemon = area.serve(&[]);
        daemon.signal("TERM");
        daemon.end();
        let keys = area.file("data/keys.json");
        let text = std::fs::read_to_string(&keys).unwrap();
        std::fs::remove_file(&keys).unwrap();
        area.run(&["serve", "--listen", "127.0.0.1:0"]).fails(2, &["data/keys.json is missing", "AREA_KEYS"]);
        let check = area.run(&["check"]);
        assert!(check.code == 1 && check.out.contains("data/keys.json is missing"), "{check:?}");
        assert!(!keys.exists(), "{}", area.label);
        let mut daemon = area.command(&["serve", "--listen", "127.0.0.1:0"]);
        let other = Area::new();
        other.serve(&[]).signal("TERM");
        daemon.env("AREA_KEYS_FILE", other.file("data/keys.json"));
        crate::kit::ran(&mut daemon).fails(2, &["other keys than the database's"]);
        let ran = area.run_with(&[("AREA_KEYS", &text)], &["check"]);
        assert!(ran.code == 0 && ran.out.contains("can run"), "{ran:?}");
    }
}

#[tokio::test]
async fn check_names_stored_areas_that_cannot_run() {
    for area in Area::all().await {
        area.run(&["user", "create", "--email", "me@b"]).ok();
        area.run(&["apply", concat!(env!("CARGO_MANIFEST_DIR"), "/../config/areas")]).ok();
        assert!(area.run(&["check"]).ok().contains("can run"), "{}", area.label);
        let db = area.db().await;
        let sql = "UPDATE areas SET body = replace(body, '\"cron\":\"0 9', '\"cron\":\"99 9')";
        engine::on_write!(&db, p => sqlx::query(sql).execute(p).await.map(drop)).unwrap();
        db.close().await;
        let check = area.run(&["check"]);
        assert!(check.code == 1 && check.out.contains("/action/data/cron") && check.out.contains("1 of "), "{check:?}");
    }
}
