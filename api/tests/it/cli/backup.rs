//! `area backup`: online, whole or not there.

use std::os::unix::fs::PermissionsExt;

use engine::on_write;
use engine::store::{Db, DbConfig};

use crate::kit::Area;

async fn count(file: &std::path::Path) -> i64 {
    let url = format!("sqlite:{}", file.display());
    let db = Db::open(&DbConfig { url, connections: 1 }).await.unwrap();
    let n = engine::on!(&db, p => sqlx::query_scalar("SELECT count(*) FROM meta").fetch_one(p).await).unwrap();
    db.close().await;
    n
}

#[tokio::test]
async fn a_backup_under_writes_is_sound_private_and_holds_all_that_was_committed_before_it() {
    let area = Area::new();
    area.run(&["migrate"]).ok();
    let db = area.db().await;
    let put = async |i: u32| {
        let sql = "INSERT INTO meta (key, value) VALUES ($1, 'x')";
        on_write!(&db, p => sqlx::query(sql).bind(format!("k{i}")).execute(p).await.map(drop)).unwrap();
    };
    for i in 0..100 {
        put(i).await;
    }
    let mut backup =
        area.command(&["backup", "copy.db", "--json"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut i = 100;
    while backup.try_wait().unwrap().is_none() {
        put(i).await;
        i += 1;
    }
    db.close().await;
    let file = area.file("copy.db");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!((100..=i64::from(i)).contains(&count(&file).await));
    let left = std::fs::read_dir(area.folder())
        .unwrap()
        .filter(|f| f.as_ref().unwrap().file_name().to_string_lossy().contains("part"));
    assert_eq!(left.count(), 0);
}

#[test]
fn a_backup_replaces_a_file_only_when_told_to() {
    let area = Area::new();
    area.run(&["backup", "copy.db"]).fails(3, &["data/area.db"]);
    area.run(&["migrate"]).ok();
    std::fs::write(area.file("copy.db"), "precious").unwrap();
    area.run(&["backup", "copy.db"]).fails(1, &["copy.db", "--force"]);
    assert_eq!(std::fs::read_to_string(area.file("copy.db")).unwrap(), "precious");
    let said = area.run(&["backup", "copy.db", "--force", "--json"]).json();
    assert_eq!(said["bytes"], area.file("copy.db").metadata().unwrap().len());
    area.run(&["backup", "no/such/folder/copy.db"]).fails(3, &["no/such/folder"]);
}

#[tokio::test]
async fn on_postgres_it_says_what_to_use_instead() {
    let Some(area) = Area::all().await.into_iter().find(|a| a.label == "postgres") else { return };
    area.run(&["backup", "copy.db"]).fails(2, &["pg_dump", "restore --mark-only"]);
    area.run(&["restore", "copy.db"]).fails(2, &["pg_restore", "restore --mark-only"]);
}
