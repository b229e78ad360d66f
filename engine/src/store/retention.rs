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

/// The runs of an AREA that will catch up tell which events it has decided: an event that outlives its run would be fired again.
const RUNS: &str = "DELETE FROM runs WHERE id IN (SELECT id FROM runs r WHERE id < $1 AND ended_at IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM areas a WHERE a.no = r.area_no AND a.mark IS NOT NULL) ORDER BY id LIMIT $2)";
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

const PAUSES: &str = "DELETE FROM pauses WHERE until_at <= $1";

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
    gone += execute(db, PAUSES, &[now]).await?;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::people::{self, NewUser};
    use crate::testkit::databases;

    const NOW: Micros = 1_800_000_000_000_000;
    const DAY: Micros = 24 * 3_600 * 1_000_000;

    /// The id number `n` of those made `days` ago.
    fn ago(days: i64, n: i64) -> i64 {
        first_id_at(NOW - days * DAY) + n
    }

    async fn run(db: &Db, sql: String) {
        let sql = sqlx::AssertSqlSafe(sql);
        on_write!(db, pool => sqlx::query(sql).execute(pool).await.map(drop)).unwrap();
    }

    async fn ids(db: &Db, table: &str) -> Vec<i64> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT id FROM {table} ORDER BY id"));
        crate::on!(db, pool => sqlx::query_scalar(sql).fetch_all(pool).await).unwrap()
    }

    /// Two AREAs on a source each, of which the second has `mark`; a third source that nobody watches.
    async fn world(db: &Db, mark: i64) {
        let new = NewUser { email: "ann@b", ..Default::default() };
        let user = people::create(db, &new, from_micros(NOW)).await.unwrap().id.0;
        let is_sqlite = db.engine() == "sqlite";
        let id = |n: u128| {
            let id = uuid::Uuid::from_u128(user.as_u128() ^ n);
            if is_sqlite { format!("x'{}'", id.simple()) } else { format!("'{id}'") }
        };
        let owner = id(0);
        for no in 1..=3 {
            let every = if no < 3 { "1" } else { "NULL" };
            let bytes = if is_sqlite { format!("x'0{no}'") } else { format!("decode('0{no}', 'hex')") };
            run(
                db,
                format!(
                    "INSERT INTO sources (id, user_id, service, feed, identity, part, params, every_us, created_at)
                VALUES ({no}, {owner}, 's', 'f', {bytes}, 0, '{{}}', {every}, 0)"
                ),
            )
            .await;
            let mark = if no == 2 { mark.to_string() } else { "NULL".to_owned() };
            if no < 3 {
                run(db, format!("INSERT INTO areas (no, id, user_id, name, state, revision, version, body, source_id, mark, created_at,
                    updated_at) VALUES ({no}, {}, {owner}, 'a', 'faulted', 9, 9, '{{}}', {no}, {mark}, 0, 0)", id(no))).await;
            }
        }
        for revision in 1..=9 {
            run(
                db,
                format!(
                    "INSERT INTO area_revisions (area_no, revision, body, created_at)
                VALUES (1, {revision}, '{{}}', {})",
                    NOW - (9 - revision) * 10 * DAY
                ),
            )
            .await;
        }
    }

    async fn event(db: &Db, id: i64, source: i64, undecided: &str) {
        run(db, format!("INSERT INTO events (id, source_id, key, body, undecided) VALUES ({id}, {source}, '{id}', '{{}}', {undecided})"))
            .await;
    }

    async fn born(db: &Db, id: i64, area: i64, event: i64, ended: &str) {
        run(
            db,
            format!(
                "INSERT INTO runs (id, area_no, event_id, revision, part, state, due_at, ended_at)
            VALUES ({id}, {area}, {event}, 1, 0, 'x', 0, {ended})"
            ),
        )
        .await;
    }

    #[tokio::test]
    async fn what_is_too_old_goes_and_nothing_goes_that_is_still_needed() {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        let limits = Limits { keep_events: days(30), keep_runs: days(10), keep_revisions: 3, ..Limits::default() };
        for t in databases().await {
            let db = &t.db;
            world(db, ago(20, 0)).await;
            // Of the first AREA: too old and ended, too old and open, young.
            for (days, ended) in [(50, "1"), (15, "1"), (5, "1")] {
                event(db, ago(days, 1), 1, "NULL").await;
                born(db, ago(days, 2), 1, ago(days, 1), ended).await;
            }
            // Of the second, which will catch up from 20 days ago on: what it decided meanwhile must stay known.
            event(db, ago(15, 3), 2, "NULL").await;
            born(db, ago(15, 4), 2, ago(15, 3), "1").await;
            event(db, ago(40, 5), 2, "0").await;
            // Of an AREA that is gone: an open run.
            born(db, ago(5, 6), 77, ago(5, 1), "NULL").await;
            while step(db, NOW, &limits).await.unwrap() > 0 {}
            assert_eq!(ids(db, "runs").await, [ago(15, 4), ago(5, 2)], "{}", t.label);
            assert_eq!(ids(db, "events").await, [ago(40, 5), ago(15, 1), ago(15, 3), ago(5, 1)], "{}", t.label);
            assert_eq!(ids(db, "sources").await, [1, 2], "{}: the third has neither AREAs nor events", t.label);
            let kept = "SELECT revision FROM area_revisions ORDER BY revision";
            let kept: Vec<i64> = crate::on!(db, pool => sqlx::query_scalar(kept).fetch_all(pool).await).unwrap();
            assert_eq!(kept, [7, 8, 9], "{}", t.label);

            // An event whose run is open stays, however old, and so does what came after it.
            event(db, ago(60, 1), 1, "NULL").await;
            born(db, ago(60, 2), 1, ago(60, 1), "NULL").await;
            event(db, ago(50, 7), 1, "NULL").await;
            while step(db, NOW, &limits).await.unwrap() > 0 {}
            let all = ids(db, "events").await;
            assert!(all.contains(&ago(60, 1)) && all.contains(&ago(50, 7)), "{}: {all:?}", t.label);
            // It has caught up: nothing needs its old runs any more.
            run(db, "UPDATE areas SET mark = NULL".to_owned()).await;
            while step(db, NOW, &limits).await.unwrap() > 0 {}
            assert_eq!(ids(db, "runs").await, [ago(60, 2), ago(5, 2)], "{}", t.label);
        }
    }
}
