//! What happened, for its owner: runs and events, the newest first. Every statement carries the owner.

use sqlx::FromRow;

use crate::clock::Micros;
use crate::ids::{AreaId, AreaNo, EventId, RunId, SourceId, UserId};
use crate::on;
use crate::store::Db;

/// A run as its owner sees it; `detail` is JSON.
#[derive(Clone, Debug, FromRow)]
pub struct RunView {
    /// Its id.
    pub id: RunId,
    /// Its AREA.
    pub area: AreaId,
    /// Its AREA inside the ledger.
    pub area_no: AreaNo,
    /// The AREA's name.
    pub area_name: String,
    /// Its event.
    pub event_id: EventId,
    /// 0, or the number of a repetition.
    pub replay: i64,
    /// The revision that it is pinned to.
    pub revision: i64,
    /// Its partition.
    pub part: i64,
    /// Where it stands.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
    /// When it may go on.
    pub due_at: Micros,
    /// When it ended.
    pub ended_at: Option<Micros>,
    /// Steps and attempts.
    pub detail: Option<String>,
}

/// An event as its owner sees it.
#[derive(Clone, Debug, FromRow)]
pub struct EventView {
    /// Its id.
    pub id: EventId,
    /// Its source.
    pub source_id: SourceId,
    /// The source's service.
    pub service: String,
    /// The source's feed.
    pub feed: String,
    /// Its key within the source.
    pub key: String,
    /// JSON.
    pub body: String,
    /// When it happened, by the provider's account.
    pub at: Option<Micros>,
    /// The partition whose owner has yet to decide.
    pub undecided: Option<i64>,
    /// The AREA that it is meant for alone.
    pub only_area: Option<AreaNo>,
}

macro_rules! run_columns {
    () => {
        "r.id, a.id AS area, r.area_no, a.name AS area_name, r.event_id, r.replay, r.revision, r.part, r.state, r.reason, \
         r.due_at, r.ended_at, r.detail FROM runs r JOIN areas a ON a.no = r.area_no "
    };
}
macro_rules! event_columns {
    () => {
        "e.id, e.source_id, s.service, s.feed, e.key, e.body, e.at, e.undecided, e.only_area \
         FROM events e JOIN sources s ON s.id = e.source_id "
    };
}

const RUNS: &str = concat!(
    "SELECT ",
    run_columns!(),
    "WHERE a.user_id = $1 AND a.id = $2 AND (r.event_id < $3 OR (r.event_id = $3 AND r.replay < $4))
     AND ($5 IS NULL OR r.state = $5) ORDER BY r.event_id DESC, r.replay DESC LIMIT $6"
);
const RUN: &str = concat!("SELECT ", run_columns!(), "WHERE a.user_id = $1 AND r.id = $2");
const OF_EVENT: &str =
    concat!("SELECT ", run_columns!(), "WHERE a.user_id = $1 AND r.area_no = $2 AND r.event_id = $3 ORDER BY r.replay");
const EVENTS: &str = concat!(
    "SELECT ",
    event_columns!(),
    "WHERE s.user_id = $1 AND e.source_id = $2 AND e.id < $3 ORDER BY e.id DESC LIMIT $4"
);
const EVENT: &str = concat!("SELECT ", event_columns!(), "WHERE s.user_id = $1 AND e.id = $2");
const STATES: &str = "SELECT r.event_id, r.state FROM runs r JOIN areas a ON a.no = r.area_no
    WHERE a.user_id = $1 AND r.area_no = $2 AND r.event_id >= $3 AND r.replay = 0";
const SOURCES: &str = "SELECT id FROM sources WHERE user_id = $1";

/// Where a list of runs goes on: the event and the number of the last one shown.
pub type RunCursor = (EventId, i64);

/// Up to `limit` runs of an AREA, the newest event first, from below `before`.
pub async fn runs(
    db: &Db,
    user: UserId,
    area: AreaId,
    before: Option<RunCursor>,
    state: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<RunView>> {
    let (event, replay) = before.unwrap_or((EventId(i64::MAX), i64::MAX));
    on!(db, pool => {
        let query = sqlx::query_as(RUNS).bind(user).bind(area).bind(event).bind(replay);
        query.bind(state).bind(limit).fetch_all(pool).await
    })
}

/// One run of `user`.
pub async fn run(db: &Db, user: UserId, run: RunId) -> sqlx::Result<Option<RunView>> {
    on!(db, pool => sqlx::query_as(RUN).bind(user).bind(run).fetch_optional(pool).await)
}

/// The runs of an AREA for one event, the first one first.
pub async fn runs_of_event(db: &Db, user: UserId, area: AreaNo, event: EventId) -> sqlx::Result<Vec<RunView>> {
    on!(db, pool => sqlx::query_as(OF_EVENT).bind(user).bind(area).bind(event).fetch_all(pool).await)
}

/// What became of an AREA's events from `first` on: the state of each event's own run.
pub async fn states_of(db: &Db, user: UserId, area: AreaNo, first: EventId) -> sqlx::Result<Vec<(EventId, String)>> {
    on!(db, pool => sqlx::query_as(STATES).bind(user).bind(area).bind(first).fetch_all(pool).await)
}

/// Up to `limit` events of one source, the newest first, from below `before`.
pub async fn events_of(
    db: &Db,
    user: UserId,
    source: SourceId,
    before: Option<EventId>,
    limit: i64,
) -> sqlx::Result<Vec<EventView>> {
    let before = before.unwrap_or(EventId(i64::MAX));
    on!(db, pool => {
        sqlx::query_as(EVENTS).bind(user).bind(source).bind(before).bind(limit).fetch_all(pool).await
    })
}

/// Up to `limit` events of all of a user's sources, the newest first, from below `before`.
pub async fn events(db: &Db, user: UserId, before: Option<EventId>, limit: i64) -> sqlx::Result<Vec<EventView>> {
    let sources: Vec<(SourceId,)> = on!(db, pool => sqlx::query_as(SOURCES).bind(user).fetch_all(pool).await)?;
    let mut all = Vec::new();
    for (source,) in sources {
        all.extend(events_of(db, user, source, before, limit).await?);
        all.sort_unstable_by_key(|event| std::cmp::Reverse(event.id));
        all.truncate(usize::try_from(limit).unwrap_or(0));
    }
    Ok(all)
}

/// One event of `user`.
pub async fn event(db: &Db, user: UserId, event: EventId) -> sqlx::Result<Option<EventView>> {
    on!(db, pool => sqlx::query_as(EVENT).bind(user).bind(event).fetch_optional(pool).await)
}
