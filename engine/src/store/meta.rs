//! Small facts of an installation, by name.

use super::Db;
use crate::{on, on_write};

const GET: &str = "SELECT value FROM meta WHERE key = $1";
const CLAIM: &str = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING";
const SET: &str =
    "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";

/// The fact `key`.
pub async fn get(db: &Db, key: &str) -> sqlx::Result<Option<String>> {
    on!(db, pool => sqlx::query_scalar(GET).bind(key).fetch_optional(pool).await)
}

/// Notes a fact that is noted once: false where it is already. Of two that do so at once one is told true.
pub async fn claim(db: &Db, key: &str, value: &str) -> sqlx::Result<bool> {
    on_write!(db, pool => Ok(sqlx::query(CLAIM).bind(key).bind(value).execute(pool).await?.rows_affected() == 1))
}

/// Notes a fact, in the place of what was noted before.
pub async fn set(db: &Db, key: &str, value: &str) -> sqlx::Result<()> {
    on_write!(db, pool => sqlx::query(SET).bind(key).bind(value).execute(pool).await.map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::databases;

    #[tokio::test]
    async fn a_fact_is_claimed_once_and_set_as_often_as_one_likes() {
        for t in databases().await {
            assert_eq!(get(&t.db, "k").await.unwrap(), None, "{}", t.label);
            assert!(claim(&t.db, "k", "1").await.unwrap(), "{}", t.label);
            assert!(!claim(&t.db, "k", "2").await.unwrap(), "{}", t.label);
            assert_eq!(get(&t.db, "k").await.unwrap().as_deref(), Some("1"), "{}", t.label);
            set(&t.db, "k", "3").await.unwrap();
            assert_eq!(get(&t.db, "k").await.unwrap().as_deref(), Some("3"), "{}", t.label);
        }
    }
}
