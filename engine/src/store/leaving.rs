//! A person leaves: one transaction ends their runs and takes every row that is theirs. What the ledger holds of them (events of
//! their sources, runs of their AREAs) may be millions of rows: it is written down in the same transaction and deleted in small
//! steps, whatever dies in between. The audit log keeps that somebody with this id was there.

use chrono::{DateTime, Utc};

use super::Db;
use super::audit::{self, Entry};
use super::sources::Touched;
use crate::ids::UserId;
use crate::{in_tx, on, on_write};

/// Rows that one statement deletes.
const STEP: i64 = 500;

const SOURCES: &str = "SELECT part, id AS source FROM sources WHERE user_id = $1";
const NOTE_EVENTS: &str = "INSERT INTO leftovers (kind, no) SELECT 'events', id FROM sources WHERE user_id = $1";
const NOTE_RUNS: &str = "INSERT INTO leftovers (kind, no) SELECT 'runs', no FROM areas WHERE user_id = $1";
const CANCEL: &str = "UPDATE runs SET state = 'cancelled', reason = 'the account was deleted', ended_at = $2
    WHERE ended_at IS NULL AND area_no IN (SELECT no FROM areas WHERE user_id = $1)";
const AREAS: &str = "DELETE FROM areas WHERE user_id = $1";
const TOKENS: &str = "DELETE FROM next_auth_verification_tokens WHERE identifier LIKE $1 OR identifier LIKE $2";
const SITE_USER: &str = "DELETE FROM next_auth_users WHERE id = $1";
const USER: &str = "DELETE FROM users WHERE id = $1";
const NEXT: &str = "SELECT kind, no FROM leftovers ORDER BY kind, no LIMIT 1";
const EVENTS: &str = "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE source_id = $1 ORDER BY id LIMIT $2)";
const RUNS: &str = "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE area_no = $1 LIMIT $2)";
const DONE: &str = "DELETE FROM leftovers WHERE kind = $1 AND no = $2";

/// Deletes a person with everything that is theirs, and gives the sources whose owners have to hear of it.
pub async fn leave(db: &Db, user: UserId, entry: &Entry<'_>, now: DateTime<Utc>) -> sqlx::Result<Vec<Touched>> {
    let (resets, emails) = (format!("area:reset:{user}%"), format!("area:email:{user}:%"));
    in_tx!(db, tx => {
        let touched: Vec<Touched> = sqlx::query_as(SOURCES).bind(user).fetch_all(&mut *tx).await?;
        sqlx::query(CANCEL).bind(user).bind(now.timestamp_micros()).execute(&mut *tx).await?;
        for sql in [NOTE_EVENTS, NOTE_RUNS, AREAS, SITE_USER, USER] {
            sqlx::query(sql).bind(user).execute(&mut *tx).await?;
        }
        sqlx::query(TOKENS).bind(&resets).bind(&emails).execute(&mut *tx).await?;
        audit::note!(tx, entry, now);
        Ok(touched)
    })
}

/// Deletes a little of what people who are gone left behind, and says how many rows it was: 0 when nothing is left.
pub async fn step(db: &Db) -> sqlx::Result<u64> {
    let next: Option<(String, i64)> = on!(db, pool => sqlx::query_as(NEXT).fetch_optional(pool).await)?;
    let Some((kind, no)) = next else { return Ok(0) };
    let sql = if kind == "events" { EVENTS } else { RUNS };
    let gone =
        on_write!(db, pool => sqlx::query(sql).bind(no).bind(STEP).execute(pool).await.map(|d| d.rows_affected()))?;
    if gone > 0 {
        return Ok(gone);
    }
    on_write!(db, pool => sqlx::query(DONE).bind(&kind).bind(no).execute(pool).await.map(|d| d.rows_affected()))
}

/// Forgets sign-ups, mailed links, sessions and connect sessions that ended, and what the audit log kept its time.
pub async fn forget_expired(db: &Db, now: DateTime<Utc>, audit_before: DateTime<Utc>) -> sqlx::Result<u64> {
    let mut gone = super::pending::purge(db, now).await?;
    gone += super::credentials::purge(db, now).await?;
    gone += super::sessions::purge(db, now).await?;
    gone += super::connect::purge(db, now.timestamp_micros()).await?;
    Ok(gone + audit::purge(db, audit_before.timestamp_micros(), STEP).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_micros;
    use crate::store::people::{self, NewUser};
    use crate::testkit::databases;

    /// A person with one of everything under the number `n`.
    async fn live(db: &Db, email: &str, n: i64) -> UserId {
        let now = from_micros(1_800_000_000_000_000);
        let user = people::create(db, &NewUser { email, ..Default::default() }, now).await.unwrap().id;
        let id = user.0.simple();
        let hex = if db.engine() == "sqlite" { format!("x'{id}'") } else { format!("'{}'", user.0) };
        let bytes = if db.engine() == "sqlite" { format!("x'{id}'") } else { format!("decode('{id}', 'hex')") };
        for sql in [
            format!("INSERT INTO sources (id, user_id, service, feed, identity, part, params, created_at)
                VALUES ({n}, {hex}, 's', 'f', {bytes}, 0, '{{}}', 0)"),
            format!("INSERT INTO areas (no, id, user_id, name, state, revision, version, body, source_id, created_at, updated_at)
                VALUES ({n}, {hex}, {hex}, 'a', 'active', 1, 1, '{{}}', {n}, 0, 0)"),
            format!("INSERT INTO next_auth_accounts (id, type, provider, \"providerAccountId\", \"userId\")
                VALUES ({hex}, 'oauth', 'p', '{n}', {hex})"),
            format!("INSERT INTO next_auth_verification_tokens (identifier, token, expires)
                VALUES ('area:reset:{user}', '{n}', '2027-01-01T00:00:00Z')"),
            format!("INSERT INTO events (id, source_id, key, body) VALUES ({n}, {n}, 'k', '{{}}')"),
            format!("INSERT INTO runs (id, area_no, event_id, revision, part, state, due_at)
                VALUES ({n}, {n}, {n}, 1, 0, 'ready', 0)"),
        ] {
            let sql = sqlx::AssertSqlSafe(sql);
            on_write!(db, pool => sqlx::query(sql).execute(pool).await.map(drop)).unwrap();
        }
        user
    }

    async fn count(db: &Db, table: &str) -> i64 {
        let sql = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        on!(db, pool => sqlx::query_scalar(sql).fetch_one(pool).await).unwrap()
    }

    #[tokio::test]
    async fn connect_sessions_that_ended_are_forgotten_and_open_ones_are_not() {
        use crate::store::connect::{self, ConnectSession};
        for t in databases().await {
            let now = from_micros(1_800_000_000_000_000);
            let user = live(&t.db, "ann@b", 7).await;
            let micros = now.timestamp_micros();
            for expires_at in [micros - 1, micros, micros + 1] {
                let (endpoint, data) = ("https://p.example".to_owned(), "{}".to_owned());
                let id = uuid::Uuid::now_v7();
                let session = ConnectSession { id, user_id: Some(user), endpoint, data, expires_at, used_at: None };
                connect::add(&t.db, &session, micros - 10).await.unwrap();
            }
            // And the mailed link of `live`, which ended before.
            assert_eq!(forget_expired(&t.db, now, now - chrono::Duration::days(400)).await.unwrap(), 3, "{}", t.label);
            assert_eq!(connect::open(&t.db, user, micros).await.unwrap(), 1, "{}", t.label);
        }
    }

    #[tokio::test]
    async fn who_leaves_leaves_nothing_and_nobody_else_misses_anything() {
        const TABLES: [&str; 9] = [
            "users",
            "next_auth_users",
            "profile",
            "sources",
            "areas",
            "next_auth_accounts",
            "next_auth_verification_tokens",
            "events",
            "runs",
        ];
        for t in databases().await {
            let ann = live(&t.db, "ann@b", 7).await;
            live(&t.db, "bob@b", 8).await;
            for table in TABLES {
                assert_eq!(count(&t.db, table).await, 2, "{}: {table}", t.label);
            }
            let entry = Entry { actor: Some(ann), action: "left", ..Default::default() };
            let touched = leave(&t.db, ann, &entry, from_micros(1_800_000_000_000_000)).await.unwrap();
            assert_eq!(touched.len(), 1, "{}", t.label);
            while step(&t.db).await.unwrap() > 0 {}
            for table in TABLES {
                assert_eq!(count(&t.db, table).await, 1, "{}: {table}", t.label);
            }
            assert_eq!((count(&t.db, "leftovers").await, count(&t.db, "audit").await), (0, 1), "{}", t.label);
        }
    }
}
