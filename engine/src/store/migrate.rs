//! Migrations: two folders with the same numbers, the one that fits is chosen at start and run on one connection.

use super::{Db, StoreError};

static SQLITE: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/sqlite");
static POSTGRES: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/postgres");

const OURS_SQLITE: &str = "SELECT COUNT(*) > 0 FROM sqlite_master WHERE name = '_sqlx_migrations'";
const OURS_POSTGRES: &str = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
const VERSION: &str = "SELECT MAX(version) FROM _sqlx_migrations WHERE success";

/// Brings the database to this program's version.
pub async fn migrate(db: &Db) -> Result<(), StoreError> {
    match db {
        Db::Sqlite { write, .. } => SQLITE.run(write).await?,
        Db::Postgres(pool) => POSTGRES.run(pool).await?,
    }
    Ok(())
}

/// The number of the last migration that this database has; `None`: it is not one of ours, or empty.
pub async fn version(db: &Db) -> sqlx::Result<Option<i64>> {
    let known: bool = match db {
        Db::Sqlite { read, .. } => sqlx::query_scalar(OURS_SQLITE).fetch_one(read).await?,
        Db::Postgres(pool) => sqlx::query_scalar(OURS_POSTGRES).fetch_one(pool).await?,
    };
    if !known {
        return Ok(None);
    }
    crate::on!(db, pool => sqlx::query_scalar(VERSION).fetch_one(pool).await)
}

/// The migrations that this program knows, by number, with their descriptions.
pub fn known() -> impl Iterator<Item = (i64, &'static str)> {
    SQLITE.iter().map(|m| (m.version, m.description.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_migrated_database_knows_its_version_and_an_empty_one_has_none() {
        assert_eq!(version(&Db::in_memory().await.unwrap()).await.unwrap(), None);
        for t in crate::testkit::databases().await {
            assert_eq!(version(&t.db).await.unwrap(), known().last().map(|m| m.0), "{}", t.label);
        }
    }

    #[test]
    fn both_engines_have_the_same_numbers() {
        let numbers = |m: &sqlx::migrate::Migrator| m.iter().map(|m| m.version).collect::<Vec<_>>();
        assert_eq!(numbers(&SQLITE), numbers(&POSTGRES));
    }
}
