//! `area restore`: the old database stays until the new one is whole, and a daemon is never pulled from under.

use engine::store::db::FolderLock;
use engine::store::people;
use engine::{on, on_write};

use crate::kit::Area;

const RUN: &str =
    "INSERT INTO runs (id, area_no, event_id, revision, part, state, due_at) VALUES (7, 1, 1, 1, 0, 'ready', 0)";

#[tokio::test]
async fn a_restored_database_is_the_backup_with_its_open_runs_uncertain_and_the_old_one_kept() {
    let area = Area::new();
    area.run(&["user", "create", "--email", "before@b"]).ok();
    let db = area.db().await;
    on_write!(&db, p => sqlx::query(RUN).execute(p).await.map(drop)).unwrap();
    db.close().await;
    area.run(&["backup", "copy.db"]).ok();
    let copy = std::fs::read(area.file("copy.db")).unwrap();
    area.run(&["user", "create", "--email", "after@b"]).ok();

    let said = area.run(&["restore", "copy.db", "--json"]).json();
    assert_eq!(said["runs"], 1);
    let db = area.db().await;
    assert!(people::by_email(&db, "before@b").await.unwrap().is_some());
    assert!(people::by_email(&db, "after@b").await.unwrap().is_none());
    let run: (String, Option<i64>) =
        on!(&db, p => sqlx::query_as("SELECT state, ended_at FROM runs").fetch_one(p).await).unwrap();
    assert!(run.0 == "uncertain" && run.1.is_some(), "{run:?}");
    db.close().await;
    assert_eq!(std::fs::read(area.file("copy.db")).unwrap(), copy, "the backup itself is not touched");

    let kept = area.file(said["kept"].as_str().unwrap());
    let listed = area.run(&["user", "list", "--database-url", &format!("sqlite:{}", kept.display())]).ok();
    assert!(listed.contains("after@b"), "{listed}");
}

#[tokio::test]
async fn a_log_that_the_old_database_left_is_not_played_into_the_new_one() {
    let area = Area::new();
    area.run(&["user", "create", "--email", "before@b"]).ok();
    area.run(&["backup", "copy.db"]).ok();
    // A daemon that was killed leaves its log: the database is copied while it is open.
    let db = area.db().await;
    let new = people::NewUser { email: "after@b", ..Default::default() };
    people::create(&db, &new, engine::clock::Clock::system().now()).await.unwrap();
    let saved = ["area.db", "area.db-wal"].map(|f| (f, std::fs::read(area.file("data").join(f)).unwrap()));
    db.close().await;
    for (file, bytes) in saved {
        std::fs::write(area.file("data").join(file), bytes).unwrap();
    }
    assert!(area.file("data/area.db-wal").metadata().unwrap().len() > 0);
    area.run(&["restore", "copy.db"]).ok();
    assert_eq!(area.run(&["check"]).code, 0);
    let listed = area.run(&["user", "list"]).ok();
    assert!(listed.contains("before@b") && !listed.contains("after@b"), "{listed}");
}

#[test]
fn a_daemon_that_holds_the_folder_is_not_disturbed() {
    let area = Area::new();
    area.run(&["migrate"]).ok();
    area.run(&["backup", "copy.db"]).ok();
    let lock = FolderLock::take(&area.file("data")).unwrap();
    area.run(&["restore", "copy.db"]).fails(5, &["data", "stop it first"]);
    area.run(&["restore", "--mark-only"]).fails(5, &["data"]);
    drop(lock);
    area.run(&["restore", "copy.db"]).ok();
}

#[tokio::test]
async fn what_is_no_backup_of_ours_is_refused_and_changes_nothing() {
    let area = Area::new();
    area.run(&["user", "create", "--email", "a@b"]).ok();
    area.run(&["backup", "good.db"]).ok();
    let good = std::fs::read(area.file("good.db")).unwrap();
    std::fs::write(area.file("garbage.db"), "not a database at all, but long enough to be read as one".repeat(50))
        .unwrap();
    std::fs::write(area.file("cut.db"), &good[..good.len() / 2]).unwrap();
    std::fs::write(area.file("empty.db"), "").unwrap();
    area.run(&["migrate", "--database-url", "sqlite:newer.db"]).ok();
    let newer = area.file("newer.db");
    let url = format!("sqlite:{}", newer.display());
    let db = engine::store::Db::open(&engine::store::DbConfig { url, connections: 1 }).await.unwrap();
    let sql = "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1";
    on_write!(&db, p => sqlx::query(sql).execute(p).await.map(drop)).unwrap();
    db.close().await;
    area.run(&["restore", "garbage.db"]).fails(6, &["garbage.db", "no sound SQLite database"]);
    area.run(&["restore", "cut.db"]).fails(6, &["cut.db", "no sound SQLite database"]);
    area.run(&["restore", "empty.db"]).fails(6, &["empty.db", "another program"]);
    area.run(&["restore", "newer.db"]).fails(6, &["newer.db", "9999"]);
    area.run(&["restore", "none.db"]).fails(3, &["none.db"]);
    assert!(area.run(&["user", "list"]).ok().contains("a@b"));
    let names = std::fs::read_dir(area.file("data")).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = names.filter(|n| n.contains("restor")).collect();
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn on_postgres_a_database_put_back_by_other_means_is_marked_unless_a_node_is_alive() {
    let Some(area) = Area::all().await.into_iter().find(|a| a.label == "postgres") else { return };
    let db = area.db().await;
    on_write!(&db, p => sqlx::query(RUN).execute(p).await.map(drop)).unwrap();
    let alive = "INSERT INTO nodes (no, name, until_at) VALUES (1, 'n', 9000000000000000)";
    on_write!(&db, p => sqlx::query(alive).execute(p).await.map(drop)).unwrap();
    area.run(&["restore", "--mark-only"]).fails(5, &["1 node"]);
    on_write!(&db, p => sqlx::query("DELETE FROM nodes").execute(p).await.map(drop)).unwrap();
    assert_eq!(area.run(&["restore", "--mark-only", "--json"]).json()["runs"], 1);
    db.close().await;
}

#[test]
fn after_a_restore_timers_begin_anew_and_nothing_is_caught_up() {
    let area = Area::new();
    let mut daemon = area.serve(&[]);
    daemon.line("Tick 1");
    area.run(&["backup", "copy.db"]).ok();
    daemon.line("Tick 2");
    daemon.signal("TERM");
    daemon.end();
    area.run(&["restore", "copy.db"]).ok();
    let mut daemon = area.serve(&[]);
    assert!(daemon.line("Tick ").contains("Tick 1,"));
}
