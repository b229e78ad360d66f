//! Fresh, migrated databases: a store test loops over [`databases`] and so speaks to both engines.

use crate::store::{Db, DbConfig, migrate};

use super::postgres;

/// Connections of a test to PostgreSQL: few, for many tests share one server.
const CONNECTIONS: u32 = 8;

/// A database that is gone when it is dropped.
#[derive(Debug)]
pub struct TestDb {
    /// `sqlite` or `postgres`, for the messages of assertions.
    pub label: &'static str,
    /// Open and migrated.
    pub db: Db,
    /// Where it is, for a second connection or a real process.
    pub url: String,
    _folder: Option<tempfile::TempDir>,
}

impl Drop for TestDb {
    fn drop(&mut self) {
        if self.label == "postgres" {
            postgres::forget(&self.url);
        }
    }
}

/// A fresh migrated database of every engine there is: always SQLite, and PostgreSQL where it is installed.
pub async fn databases() -> Vec<TestDb> {
    let mut all = vec![sqlite().await];
    if let Some(url) = postgres::url().await {
        all.push(open("postgres", url, None).await);
    }
    all
}

/// A fresh migrated SQLite file in a temporary folder.
pub async fn sqlite() -> TestDb {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite:{}", folder.path().join("area.db").display());
    open("sqlite", url, Some(folder)).await
}

/// A fresh migrated database on a server of the test's own, which it may stop.
pub async fn on(server: &postgres::Server) -> TestDb {
    let url = server.create_database().await.expect("CREATE DATABASE");
    open("a server of its own", url, None).await
}

async fn open(label: &'static str, url: String, folder: Option<tempfile::TempDir>) -> TestDb {
    let config = DbConfig { url: url.clone(), connections: CONNECTIONS };
    let db = Db::open(&config).await.unwrap_or_else(|e| panic!("{label}: cannot open: {e}"));
    migrate::migrate(&db).await.unwrap_or_else(|e| panic!("{label}: {e}"));
    TestDb { label, db, url, _folder: folder }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::on;

    const SQLITE_COLUMNS: &str = "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c \
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    const POSTGRES_COLUMNS: &str = "SELECT table_name::text, column_name::text FROM information_schema.columns \
         WHERE table_schema = 'public'";

    async fn columns(db: &Db) -> BTreeMap<String, Vec<String>> {
        let rows: Vec<(String, String)> = match db {
            Db::Sqlite { read, .. } => sqlx::query_as(SQLITE_COLUMNS).fetch_all(read).await,
            Db::Postgres(pool) => sqlx::query_as(POSTGRES_COLUMNS).fetch_all(pool).await,
        }
        .unwrap();
        let mut all = BTreeMap::<String, Vec<String>>::new();
        for (table, column) in rows {
            all.entry(table).or_default().push(column);
        }
        all.values_mut().for_each(|c| c.sort());
        all
    }

    #[tokio::test]
    async fn both_engines_have_the_same_tables_and_columns_after_all_migrations() {
        let all = databases().await;
        let first = columns(&all[0].db).await;
        assert!(first.contains_key("users") && first.contains_key("next_auth_accounts") && first.contains_key("runs"));
        for other in &all[1..] {
            assert_eq!(first, columns(&other.db).await, "{}", other.label);
        }
    }

    #[tokio::test]
    async fn migrating_twice_changes_nothing() {
        for t in databases().await {
            migrate::migrate(&t.db).await.unwrap();
            let count: i64 = on!(&t.db, pool => sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations")
                .fetch_one(pool).await)
            .unwrap();
            assert_eq!(count, migrate::known().count() as i64, "{}", t.label);
        }
    }

    #[tokio::test]
    async fn two_tests_never_share_a_database() {
        let (a, b) = (databases().await, databases().await);
        for (a, b) in a.iter().zip(&b) {
            let mark = "INSERT INTO meta (key, value) VALUES ('mark', 'a')";
            crate::on_write!(&a.db, pool => sqlx::query(mark).execute(pool).await.map(drop)).unwrap();
            let seen: i64 =
                on!(&b.db, pool => sqlx::query_scalar("SELECT count(*) FROM meta").fetch_one(pool).await).unwrap();
            assert_eq!(seen, 0, "{}", a.label);
        }
    }
}
