//! What must be done to a database that was put back from a backup, before a daemon starts on it. The world went on while the
//! backup stood still: what happened since may have fired already. So every source takes a new baseline, and nothing that was
//! open then is done again: open runs become `uncertain`, events that nobody had decided are left so.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Db;
use crate::in_tx;

/// The row of `meta` that tells when.
pub const META_KEY: &str = "restored_at";
/// What an open run says as its reason.
const REASON: &str = "the database was restored from a backup: whether this run ended is not known";

const SOURCES: &str = "UPDATE sources SET cursor = NULL, version = version + 1 WHERE cursor IS NOT NULL";
const AREAS: &str = "UPDATE areas SET joined_at = NULL WHERE joined_at IS NOT NULL";
const RUNS: &str = "UPDATE runs SET state = 'uncertain', reason = $2, ended_at = $1 WHERE ended_at IS NULL";
const EVENTS: &str = "UPDATE events SET undecided = NULL, mark = NULL WHERE undecided IS NOT NULL";
const META: &str =
    "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const ALIVE: &str = "SELECT COUNT(*) FROM nodes
    WHERE until_at > CAST(extract(epoch from clock_timestamp()) * 1000000 AS BIGINT)";

/// How much was marked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Marked {
    /// Sources that take a new baseline.
    pub sources: u64,
    /// Runs that were open and are `uncertain` now.
    pub runs: u64,
    /// Events that nobody had decided, and nobody will.
    pub events: u64,
}

/// Marks a database as restored, in one transaction. No daemon may be running on it.
pub async fn mark(db: &Db, now: DateTime<Utc>) -> sqlx::Result<Marked> {
    let at = now.timestamp_micros();
    in_tx!(db, tx => {
        let sources = sqlx::query(SOURCES).execute(&mut *tx).await?.rows_affected();
        sqlx::query(AREAS).execute(&mut *tx).await?;
        let runs = sqlx::query(RUNS).bind(at).bind(REASON).execute(&mut *tx).await?.rows_affected();
        let events = sqlx::query(EVENTS).execute(&mut *tx).await?.rows_affected();
        sqlx::query(META).bind(META_KEY).bind(now.to_rfc3339()).execute(&mut *tx).await?;
        Ok(Marked { sources, runs, events })
    })
}

/// How many nodes are alive on this database. Always 0 on SQLite, where the data folder's lock tells.
pub async fn nodes_alive(db: &Db) -> sqlx::Result<i64> {
    match db {
        Db::Sqlite { .. } => Ok(0),
        Db::Postgres(pool) => sqlx::query_scalar(ALIVE).fetch_one(pool).await,
    }
}

/// When this database was put back from a backup, as RFC 3339; `None`: never.
pub async fn restored_at(db: &Db) -> sqlx::Result<Option<String>> {
    super::meta::get(db, META_KEY).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_micros;
    use crate::ids::UserId;
    use crate::store::people::{self, NewUser};
    use crate::testkit::databases;
    use crate::{on, on_write};

    const SOURCE: &str =
        "INSERT INTO sources (id, user_id, service, feed, identity, part, params, cursor, version, created_at)
        VALUES (1, $1, 's', 'f', $2, 0, '{}', '{\"x\":1}', 4, 0)";
    const AREA: &str = "INSERT INTO areas (no, id, user_id, name, state, revision, version, body, source_id, joined_at,
        created_at, updated_at) VALUES (2, $1, $2, 'a', 'active', 1, 1, '{}', 1, 99, 0, 0)";
    const EVENT: &str =
        "INSERT INTO events (id, source_id, key, body, undecided, mark) VALUES ($1, 1, $2, '{}', $3, $3)";
    const RUN: &str = "INSERT INTO runs (id, area_no, event_id, revision, part, state, due_at, ended_at)
        VALUES ($1, 2, $1, 1, 0, $2, 0, $3)";

    async fn fill(db: &Db) -> sqlx::Result<()> {
        let user =
            people::create(db, &NewUser { email: "a@b", ..Default::default() }, from_micros(0)).await.unwrap().id;
        in_tx!(db, tx => {
            sqlx::query(SOURCE).bind(user).bind(vec![1_u8]).execute(&mut *tx).await?;
            sqlx::query(AREA).bind(UserId::new()).bind(user).execute(&mut *tx).await?;
            for (id, undecided) in [(10_i64, Some(7_i64)), (11, None)] {
                sqlx::query(EVENT).bind(id).bind(id.to_string()).bind(undecided).execute(&mut *tx).await?;
            }
            for (id, state, ended) in [(20_i64, "waiting", None), (21, "done", Some(5_i64)), (22, "ready", None)] {
                sqlx::query(RUN).bind(id).bind(state).bind(ended).execute(&mut *tx).await?;
            }
            Ok(())
        })
    }

    #[tokio::test]
    async fn a_restored_database_takes_new_baselines_and_repeats_nothing() {
        for t in databases().await {
            fill(&t.db).await.unwrap();
            let now = from_micros(1_800_000_000_000_000);
            assert_eq!(mark(&t.db, now).await.unwrap(), Marked { sources: 1, runs: 2, events: 1 }, "{}", t.label);
            let source: (Option<String>, i64) =
                on!(&t.db, p => sqlx::query_as("SELECT cursor, version FROM sources").fetch_one(p).await).unwrap();
            assert_eq!(source, (None, 5), "{}: a poll that was under way cannot move the cursor back", t.label);
            let joined: Option<i64> =
                on!(&t.db, p => sqlx::query_scalar("SELECT joined_at FROM areas").fetch_one(p).await).unwrap();
            assert_eq!(joined, None);
            let sql = "SELECT id, state, ended_at FROM runs ORDER BY id";
            let runs: Vec<(i64, String, i64)> = on!(&t.db, p => sqlx::query_as(sql).fetch_all(p).await).unwrap();
            let at = now.timestamp_micros();
            let want = [(20, "uncertain", at), (21, "done", 5), (22, "uncertain", at)];
            assert_eq!(runs, want.map(|(id, s, e)| (id, s.to_owned(), e)), "{}", t.label);
            assert_eq!(restored_at(&t.db).await.unwrap().unwrap(), "2027-01-15T08:00:00+00:00");
            assert_eq!(mark(&t.db, now).await.unwrap(), Marked::default(), "{}: twice is once", t.label);
        }
    }

    #[tokio::test]
    async fn a_node_that_lives_by_the_databases_own_clock_is_counted() {
        for t in databases().await {
            assert_eq!(nodes_alive(&t.db).await.unwrap(), 0);
            let sql = "INSERT INTO nodes (no, name, until_at) VALUES (1, 'dead', 5), (2, 'alive', 9000000000000000)";
            on_write!(&t.db, p => sqlx::query(sql).execute(p).await.map(drop)).unwrap();
            let want = if t.label == "postgres" { 1 } else { 0 };
            assert_eq!(nodes_alive(&t.db).await.unwrap(), want, "{}", t.label);
        }
    }
}
