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
    std::fs::write(area.file("data/keys.json"), "{}").unwrap();
    let ran = area.run(&["check"]);
    assert_eq!(ran.code, 1);
    for part in ["9999", "use a newer `area`", "wrong", "keys"] {
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
