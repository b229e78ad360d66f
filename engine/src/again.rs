//! What an owner does to runs: repeat one, try an AREA out, end one. A repetition is a run of its own with idempotency keys of its
//! own; it is inserted here and worked by the owner of its partition.

use std::sync::Arc;

use serde_json::Value;

use crate::history::{self, RunView};
use crate::ids::{AreaId, EventId, RunId, UserId};
use crate::intake::stored;
use crate::ledger::{NewEvent, NewRun, Refused, RunState, Unit};
use crate::node::{Engine, Wake};
use crate::react::detail::{Detail, Kind, StepState};
use crate::store::areas;
use crate::{on, on_write};

const PART: &str = "SELECT part FROM sources WHERE id = $1";
const CANCEL: &str =
    "UPDATE runs SET state = 'cancelled', reason = $2, ended_at = $3 WHERE id = $1 AND ended_at IS NULL";
const REASON: &str = "cancelled by its user";

/// Where a repetition begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// At the step that failed; what succeeded is not repeated.
    #[default]
    Failed,
    /// At the first step.
    Start,
}

/// Which revision of the AREA a repetition runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// The one that the run had.
    #[default]
    Original,
    /// The newest.
    Current,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum AgainError {
    /// The user has no such run, AREA or event.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The run is not where this can be done.
    #[error("{0}")]
    NotNow(String),
    /// The body is not an event.
    #[error("{0}")]
    Event(String),
    /// The ledger refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The database said no.
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
}

/// Repeats a run of `user` that has ended; gives the new run.
pub async fn replay(engine: &Arc<Engine>, user: UserId, run: RunId, from: From, at: At) -> Result<RunId, AgainError> {
    let old = history::run(&engine.db, user, run).await?.ok_or(AgainError::NotFound("run"))?;
    if old.ended_at.is_none() {
        return Err(AgainError::NotNow(format!("the run is {}: it can be replayed when it has ended", old.state)));
    }
    let area = areas::get(&engine.db, user, old.area).await?.ok_or(AgainError::NotFound("AREA"))?;
    let mut detail = Detail::parse(old.detail.as_deref());
    match from {
        From::Start => detail.steps.clear(),
        From::Failed => {
            let done =
                detail.steps.iter().take_while(|s| matches!(s.state, StepState::Done | StepState::Skipped)).count();
            detail.steps.truncate(done);
        }
    }
    (detail.kind, detail.of) = (Kind::Replay, Some(run));
    let revision = if at == At::Current { area.revision } else { old.revision };
    insert(engine, &old, revision, detail).await
}

async fn insert(engine: &Arc<Engine>, old: &RunView, revision: i64, detail: Detail) -> Result<RunId, AgainError> {
    let id = RunId(engine.ids.next());
    let run = NewRun {
        id,
        area: old.area_no,
        event: old.event_id,
        replay: id.0,
        revision,
        part: old.part,
        state: RunState::Ready,
        reason: None,
        due_at: engine.clock.micros(),
        ended_at: None,
        detail: detail.text(),
    };
    engine.ledger.commit(Unit { runs: vec![run], ..Unit::default() }).await?;
    engine.wake(Wake::Run { part: old.part, run: id }).await;
    Ok(id)
}

/// What an AREA is tried out with.
#[derive(Clone, Debug)]
pub enum With {
    /// The last event of its source; the action's sample where there is none.
    Last,
    /// The action's sample.
    Sample,
    /// This body.
    Event(Value),
}

/// Runs an AREA of `user` now, really, marked as a test; its `when` and policies are not asked. Gives the run.
pub async fn test(engine: &Arc<Engine>, user: UserId, area: AreaId, with: With) -> Result<RunId, AgainError> {
    let row = areas::get(&engine.db, user, area).await?.ok_or(AgainError::NotFound("AREA"))?;
    let plan = engine.plans.current(row.no).await?.ok_or(AgainError::NotFound("AREA that can run"))?;
    let (part,): (i64,) = on!(&engine.db, pool => sqlx::query_as(PART).bind(row.source_id).fetch_one(pool).await)?;
    let last = match with {
        With::Last => history::events_of(&engine.db, user, row.source_id, None, 1).await?.into_iter().next(),
        With::Sample | With::Event(_) => None,
    };
    let body = match with {
        With::Event(body) => body,
        With::Last | With::Sample => serde_json::from_str(plan.action.sample_event).unwrap_or_default(),
    };
    let id = RunId(engine.ids.next());
    let mut unit = Unit::default();
    let event = match last {
        Some(event) => event.id,
        None => {
            let event = EventId(engine.ids.next());
            unit.events.push(NewEvent {
                id: event,
                source: row.source_id,
                key: format!("test:{event}"),
                body: stored(body, engine.limits.item_bytes).map_err(AgainError::Event)?.1,
                at: Some(engine.clock.micros()),
                fresh: true,
                undecided: None,
                mark: None,
                only_area: Some(row.no),
                depth: 0,
            });
            event
        }
    };
    let events = plan.policy.digest.iter().map(|_| event).collect();
    let detail = Detail { kind: Kind::Test, events, ..Detail::default() };
    unit.runs.push(NewRun {
        id,
        area: row.no,
        event,
        replay: id.0,
        revision: row.revision,
        part,
        state: RunState::Ready,
        reason: None,
        due_at: engine.clock.micros(),
        ended_at: None,
        detail: detail.text(),
    });
    engine.ledger.commit(unit).await?;
    engine.wake(Wake::Run { part, run: id }).await;
    Ok(id)
}

/// Ends an open run of `user`. A call that is under way is not awaited; what it did stays done.
pub async fn cancel(engine: &Arc<Engine>, user: UserId, run: RunId) -> Result<(), AgainError> {
    let old = history::run(&engine.db, user, run).await?.ok_or(AgainError::NotFound("run"))?;
    let now = engine.clock.micros();
    let ended = on_write!(&engine.db, pool => {
        sqlx::query(CANCEL).bind(run).bind(REASON).bind(now).execute(pool).await.map(|done| done.rows_affected())
    })?;
    if ended == 0 {
        return Err(AgainError::NotNow(format!("the run is {}: only an open run can be cancelled", old.state)));
    }
    engine.wake(Wake::Ended { part: old.part, run }).await;
    Ok(())
}
