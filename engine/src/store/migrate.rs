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

    /// The migrations that are out there, with the beginning of the SHA-256 of their text: a database that has them would refuse a
    /// program with others. What comes later is a migration of its own.
    const OUT: [(&str, &str, &str); 6] = [
        ("0001_people", "4de72ac470c88078", "52b5dc93f31dfc4e"),
        ("0002_engine", "63fe36ae90fd8c7c", "e07b3c6a5892cad5"),
        ("0003_vault", "0979a0f996b6d6ab", "9be1fec8b7a7ee66"),
        ("0004_identity", "5fadbdb78d6cb1e5", "d0c51198d3eee5be"),
        ("0005_letters", "49c00e7baf6704e1", "43676eb2f443a356"),
        ("0006_pauses", "05b4638af64e62d1", "70768414580e8803"),
    ];

    #[test]
    fn a_migration_that_is_out_there_never_changes() {
        use sha2::Digest;
        for (name, sqlite, postgres) in OUT {
            for (engine, want) in [("sqlite", sqlite), ("postgres", postgres)] {
                let path = format!("{}/../migrations/{engine}/{name}.sql", env!("CARGO_MANIFEST_DIR"));
                let got = hex::encode(sha2::Sha256::digest(std::fs::read(&path).unwrap()));
                assert_eq!(&got[..16], want, "{path}");
            }
        }
    }
}
