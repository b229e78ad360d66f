//! What is kept how long. A step deletes a small batch of each, so that nobody waits for it.

use sqlx::Executor;

use super::{Db, leaving};
use crate::clock::{Micros, from_micros};
use crate::ids::first_id_at;
use crate::limits::Limits;
use crate::on_write;

/// Rows that one statement deletes.
const STEP: i64 = 500;
/// How long an answer is kept for its Idempotency-Key.
const IDEMPOTENCY: Micros = 24 * 3_600 * 1_000_000;

const RUNS: &str = "DELETE FROM runs WHERE id IN
    (SELECT id FROM runs WHERE id < $1 AND ended_at IS NOT NULL ORDER BY id LIMIT $2)";
/// An AREA may be deleted at the moment in which a run of it is born.
const ORPHANS: &str = "DELETE FROM runs WHERE id IN (SELECT r.id FROM runs r WHERE r.ended_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM areas a WHERE a.no = r.area_no) LIMIT $1)";
const OLDEST_OPEN: &str = "SELECT MIN(event_id) FROM runs WHERE ended_at IS NULL";
const EVENTS: &str = "DELETE FROM events WHERE id IN
    (SELECT id FROM events WHERE id < $1 AND undecided IS NULL ORDER BY id LIMIT $2)";
const SOURCES: &str = "DELETE FROM sources WHERE id IN (SELECT s.id FROM sources s WHERE s.every_us IS NULL
    AND NOT EXISTS (SELECT 1 FROM areas a WHERE a.source_id = s.id)
    AND NOT EXISTS (SELECT 1 FROM events e WHERE e.source_id = s.id) LIMIT $1)";
const REVISIONS: &str =
    "DELETE FROM area_revisions WHERE EXISTS (SELECT 1 FROM areas a WHERE a.no = area_revisions.area_no
    AND area_revisions.revision <= a.revision - $1) AND created_at < $2";
const KEYS: &str = "DELETE FROM idempotency_keys WHERE created_at < $1";

/// Deletes a little of what is too old and says how many rows it was: 0 when nothing is left to delete.
pub async fn step(db: &Db, now: Micros, limits: &Limits) -> sqlx::Result<u64> {
    let kept = |age: std::time::Duration| first_id_at(now - i64::try_from(age.as_micros()).unwrap_or(now));
    let mut gone = execute(db, RUNS, &[kept(limits.keep_runs), STEP]).await?;
    gone += execute(db, ORPHANS, &[STEP]).await?;
    let (oldest,): (Option<i64>,) = crate::on!(db, pool => sqlx::query_as(OLDEST_OPEN).fetch_one(pool).await)?;
    let before = kept(limits.keep_events).min(oldest.unwrap_or(i64::MAX));
    gone += execute(db, EVENTS, &[before, STEP]).await?;
    gone += execute(db, SOURCES, &[STEP]).await?;
    let old = now - i64::try_from(limits.keep_runs.as_micros()).unwrap_or(now);
    gone += execute(db, REVISIONS, &[limits.keep_revisions, old]).await?;
    gone += execute(db, KEYS, &[now - IDEMPOTENCY]).await?;
    gone += leaving::step(db).await?;
    let audit_before = from_micros(now) - limits.keep_audit;
    Ok(gone + leaving::forget_expired(db, from_micros(now), audit_before).await?)
}

async fn execute(db: &Db, sql: &'static str, binds: &[i64]) -> sqlx::Result<u64> {
    on_write!(db, pool => {
        let mut query = sqlx::query(sql);
        for bind in binds {
            query = query.bind(*bind);
        }
        pool.execute(query).await.map(|done| done.rows_affected())
    })
}
