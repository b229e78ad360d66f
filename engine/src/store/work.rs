//! What the owner of a partition reads: its sources, its open runs, its undecided events, and the bodies of what is about to go.

use std::sync::Arc;

use serde_json::Value;
use sqlx::FromRow;

use super::Db;
use super::batch::Batch;
use crate::clock::Micros;
use crate::ids::{AccountId, AreaNo, EventId, RunId, SourceId, UserId};
use crate::{batch, on};

/// Rows that one page of a take-over reads.
pub const PAGE: i64 = 10_000;

/// A watched source, as narrow as the schedule needs it.
#[derive(Clone, Debug, FromRow)]
pub struct Watched {
    /// Its id.
    pub id: SourceId,
    /// Its partition.
    pub part: i64,
    /// Its service.
    pub service: String,
    /// Its feed.
    pub feed: String,
    /// Its interval in microseconds.
    pub every_us: i64,
    /// JSON of the fault that stands.
    pub health: Option<String>,
}

/// Everything a poll needs of a source.
#[derive(Clone, Debug, FromRow)]
pub struct SourceRow {
    /// Its id.
    pub id: SourceId,
    /// Whose it is.
    pub user_id: UserId,
    /// Its service.
    pub service: String,
    /// Its feed.
    pub feed: String,
    /// The account that it is asked with.
    pub account_id: Option<AccountId>,
    /// Its partition.
    pub part: i64,
    /// Feed params, secrets sealed.
    pub params: String,
    /// Its interval in microseconds; `None`: nobody watches.
    pub every_us: Option<i64>,
    /// What the connector remembers, JSON.
    pub cursor: Option<String>,
    /// Grows with every move of the cursor.
    pub version: i64,
}

/// An open run, as narrow as the queue needs it.
#[derive(Clone, Debug, FromRow)]
pub struct OpenRun {
    /// Its id.
    pub id: RunId,
    /// Its AREA.
    pub area_no: AreaNo,
    /// The AREA's owner.
    pub user_id: UserId,
    /// When it may go on.
    pub due_at: Micros,
    /// Its state.
    pub state: String,
    /// Its partition.
    pub part: i64,
}

/// Everything a run needs to go on.
#[derive(Clone, Debug, FromRow)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// Its AREA.
    pub area_no: AreaNo,
    /// The revision that it is pinned to.
    pub revision: i64,
    /// Its partition.
    pub part: i64,
    /// Its event.
    pub event_id: EventId,
    /// 0, or the number of a repetition.
    pub replay: i64,
    /// Its state.
    pub state: String,
    /// Why it stands there.
    pub reason: Option<String>,
    /// Steps and attempts, JSON.
    pub detail: Option<String>,
    /// The event's body; `None` when retention has taken it.
    pub body: Option<String>,
    /// How many AREAs stand before the event in the chain of causes.
    pub depth: Option<i64>,
    /// The event's body where it was not read back: the run was just born here.
    #[sqlx(skip)]
    pub event: Option<Arc<Value>>,
}

/// An event whose decision is open.
#[derive(Clone, Debug, FromRow)]
pub struct Undecided {
    /// Its id.
    pub id: EventId,
    /// Its source.
    pub source_id: SourceId,
    /// Its body.
    pub body: String,
    /// The last AREA that was decided.
    pub mark: Option<AreaNo>,
    /// The AREA that it is meant for alone.
    pub only_area: Option<AreaNo>,
}

const WATCHED: &str = "SELECT id, part, service, feed, every_us, health FROM sources
    WHERE part = $1 AND every_us IS NOT NULL AND id > $2 ORDER BY id LIMIT $3";
const WATCHED_ALL: &str = "SELECT id, part, service, feed, every_us, health FROM sources
    WHERE every_us IS NOT NULL AND id > $1 ORDER BY id LIMIT $2";
const SOURCES: Batch = batch!([0 id bigint]
    "SELECT s.id, s.user_id, s.service, s.feed, s.account_id, s.part, s.params, s.every_us, s.cursor, s.version
     FROM v CROSS JOIN sources s WHERE s.id = v.id");
const OPEN: &str =
    "SELECT r.id, r.area_no, a.user_id, r.due_at, r.state, r.part FROM runs r JOIN areas a ON a.no = r.area_no
    WHERE r.part = $1 AND r.ended_at IS NULL AND (r.due_at > $2 OR (r.due_at = $2 AND r.id > $3))
    ORDER BY r.due_at, r.id LIMIT $4";
const OVERDUE: &str =
    "SELECT r.id, r.area_no, a.user_id, r.due_at, r.state, r.part FROM runs r JOIN areas a ON a.no = r.area_no
    WHERE r.ended_at IS NULL AND (r.part > $1 OR (r.part = $1 AND (r.due_at > $2 OR (r.due_at = $2 AND r.id > $3))))
    AND r.due_at <= $4 ORDER BY r.part, r.due_at, r.id LIMIT $5";
const OPEN_ONE: &str =
    "SELECT r.id, r.area_no, a.user_id, r.due_at, r.state, r.part FROM runs r JOIN areas a ON a.no = r.area_no
    WHERE r.id = $1 AND r.ended_at IS NULL";
const RUNS: Batch = batch!([0 id bigint]
    "SELECT r.id, r.area_no, r.revision, r.part, r.event_id, r.replay, r.state, r.reason, r.detail, e.body, e.depth
     FROM v CROSS JOIN runs r LEFT JOIN events e ON e.id = r.event_id WHERE r.id = v.id AND r.ended_at IS NULL");
const BODIES: Batch =
    batch!([0 id bigint] "SELECT e.id, e.body FROM v CROSS JOIN events e WHERE e.id = v.id ORDER BY e.id");
const UNDECIDED: &str =
    "SELECT id, source_id, body, mark, only_area FROM events WHERE undecided = $1 AND id > $2 ORDER BY id LIMIT $3";
const WAITS: &str = "SELECT EXISTS (SELECT 1 FROM events WHERE undecided = $1 AND source_id = $2)";
const UNDECIDED_PARTS: &str = "SELECT DISTINCT undecided FROM events WHERE undecided IS NOT NULL";
const RECORDED: Batch = batch!([0 source bigint, 1 key text]
    "SELECT e.key FROM v CROSS JOIN events e WHERE e.source_id = v.source AND e.key = v.key");

/// A page of the watched sources of one partition, after `after`.
pub async fn watched(db: &Db, part: i64, after: SourceId) -> sqlx::Result<Vec<Watched>> {
    on!(db, pool => sqlx::query_as(WATCHED).bind(part).bind(after).bind(PAGE).fetch_all(pool).await)
}

/// A page of all watched sources, after `after`: for a node that took many partitions at once.
pub async fn watched_all(db: &Db, after: SourceId) -> sqlx::Result<Vec<Watched>> {
    on!(db, pool => sqlx::query_as(WATCHED_ALL).bind(after).bind(PAGE).fetch_all(pool).await)
}

/// What polls need of these sources, in any order; a source that is gone is left out.
pub async fn sources(db: &Db, ids: &[SourceId]) -> sqlx::Result<Vec<SourceRow>> {
    SOURCES.read(db, &rows(ids.iter().map(|id| id.0))).await
}

/// A page of a partition's open runs in the order of their instants, after `(due_at, id)`.
pub async fn open_runs(db: &Db, part: i64, after: (Micros, RunId), most: i64) -> sqlx::Result<Vec<OpenRun>> {
    on!(db, pool => sqlx::query_as(OPEN).bind(part).bind(after.0).bind(after.1).bind(most).fetch_all(pool).await)
}

/// A page of the open runs of every partition that were due by `by`, after `(part, due_at, id)`.
pub async fn overdue(db: &Db, after: (i64, Micros, RunId), by: Micros, most: i64) -> sqlx::Result<Vec<OpenRun>> {
    let (part, due, id) = after;
    on!(db, pool => {
        sqlx::query_as(OVERDUE).bind(part).bind(due).bind(id).bind(by).bind(most).fetch_all(pool).await
    })
}

/// One open run; `None` when it has ended.
pub async fn open_run(db: &Db, run: RunId) -> sqlx::Result<Option<OpenRun>> {
    on!(db, pool => sqlx::query_as(OPEN_ONE).bind(run).fetch_optional(pool).await)
}

/// What these runs need to go on; one that has ended is left out.
pub async fn runs(db: &Db, ids: &[RunId]) -> sqlx::Result<Vec<RunRow>> {
    RUNS.read(db, &rows(ids.iter().map(|id| id.0))).await
}

/// The bodies of these events, the oldest first; one that retention has taken is left out.
pub async fn bodies(db: &Db, ids: &[EventId]) -> sqlx::Result<Vec<(EventId, String)>> {
    BODIES.read(db, &rows(ids.iter().map(|id| id.0))).await
}

/// A page of a partition's undecided events, the oldest first, after `after`.
pub async fn undecided(db: &Db, part: i64, after: EventId, most: i64) -> sqlx::Result<Vec<Undecided>> {
    on!(db, pool => sqlx::query_as(UNDECIDED).bind(part).bind(after).bind(most).fetch_all(pool).await)
}

/// Whether an event of this source waits for its decision.
pub async fn waits(db: &Db, part: i64, source: SourceId) -> sqlx::Result<bool> {
    on!(db, pool => sqlx::query_scalar(WAITS).bind(part).bind(source).fetch_one(pool).await)
}

/// The partitions in which somebody waits for a decision.
pub async fn undecided_parts(db: &Db) -> sqlx::Result<Vec<i64>> {
    let rows: Vec<(i64,)> = on!(db, pool => sqlx::query_as(UNDECIDED_PARTS).fetch_all(pool).await)?;
    Ok(rows.into_iter().map(|(part,)| part).collect())
}

/// Which of these keys a source has recorded.
pub async fn recorded(db: &Db, source: SourceId, keys: &[&str]) -> sqlx::Result<Vec<String>> {
    let json = serde_json::to_string(&keys.iter().map(|k| (source.0, k)).collect::<Vec<_>>())
        .map_err(|e| sqlx::Error::Encode(Box::new(e)))?;
    let rows: Vec<(String,)> = RECORDED.read(db, &json).await?;
    Ok(rows.into_iter().map(|(key,)| key).collect())
}

/// `[[1],[2]]`
fn rows(ids: impl Iterator<Item = i64>) -> String {
    let mut text = String::from("[");
    for id in ids {
        if text.len() > 1 {
            text.push(',');
        }
        text.push('[');
        text.push_str(&id.to_string());
        text.push(']');
    }
    text.push(']');
    text
}
