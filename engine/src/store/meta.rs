//! Small facts of an installation, by name.

use super::Db;
use crate::{on, on_write};

const GET: &str = "SELECT value FROM meta WHERE key = $1";
const CLAIM: &str = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING";
const SET: &str =
    "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";

const NAMED: &str = "SELECT key FROM meta WHERE key LIKE $1 ORDER BY key";
const FORGET: &str = "DELETE FROM meta WHERE key = $1";

/// The fact `key`.
pub async fn get(db: &Db, key: &str) -> sqlx::Result<Option<String>> {
    on!(db, pool => sqlx::query_scalar(GET).bind(key).fetch_optional(pool).await)
}

/// Notes a fact that is noted once: false where it is already. Of two that do so at once one is told true.
pub async fn claim(db: &Db, key: &str, value: &str) -> sqlx::Result<bool> {
    on_write!(db, pool => Ok(sqlx::query(CLAIM).bind(key).bind(value).execute(pool).await?.rows_affected() == 1))
}

/// The names of the facts that begin with `prefix`, which has no `%` or `_`, without it.
pub async fn named(db: &Db, prefix: &str) -> sqlx::Result<Vec<String>> {
    let like = format!("{prefix}%");
    let all: Vec<String> = on!(db, pool => sqlx::query_scalar(NAMED).bind(like).fetch_all(pool).await)?;
    Ok(all.into_iter().filter_map(|key| key.strip_prefix(prefix).map(str::to_owned)).collect())
}

/// Forgets a fact.
pub async fn forget(db: &Db, key: &str) -> sqlx::Result<()> {
    on_write!(db, pool => sqlx::query(FORGET).bind(key).execute(pool).await.map(drop))
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
            set(&t.db, "key:b", "").await.unwrap();
            set(&t.db, "key:a", "").await.unwrap();
            assert_eq!(named(&t.db, "key:").await.unwrap(), ["a", "b"], "{}", t.label);
            forget(&t.db, "key:a").await.unwrap();
            assert_eq!(named(&t.db, "key:").await.unwrap(), ["b"], "{}", t.label);
        }
    }
}
