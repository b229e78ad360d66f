//! Migrations: two folders with the same numbers, the one that fits is chosen at start and run on one connection.

use super::{Db, StoreError};

static SQLITE: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/sqlite");
static POSTGRES: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/postgres");

/// Brings the database to this program's version.
pub async fn migrate(db: &Db) -> Result<(), StoreError> {
    match db {
        Db::Sqlite { write, .. } => SQLITE.run(write).await?,
        Db::Postgres(pool) => POSTGRES.run(pool).await?,
    }
    Ok(())
}

/// The migrations that this program knows, by number, with their descriptions.
pub fn known() -> impl Iterator<Item = (i64, &'static str)> {
    SQLITE.iter().map(|m| (m.version, m.description.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines_have_the_same_numbers() {
        let numbers = |m: &sqlx::migrate::Migrator| m.iter().map(|m| m.version).collect::<Vec<_>>();
        assert_eq!(numbers(&SQLITE), numbers(&POSTGRES));
    }
}
