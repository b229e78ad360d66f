//! Why an AREA did or did not fire. Nothing is written down for it beyond what the ledger keeps: the last poll lives in the owner's
//! memory, and a condition that did not hold is judged again from the event and that time's revision.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::area::plan::Plan;
use crate::clock::{Micros, from_micros};
use crate::history::{self, EventView, RunView};
use crate::ids::{AreaId, AreaNo, EventId, RunId, SourceId, UserId, born_at};
use crate::intake::is_before;
use crate::node::{Engine, Gap, Standing};
use crate::on;
use crate::port::Verdict;
use crate::store::areas::{self, AreaRow, AreaState};

const REVISION_THEN: &str =
    "SELECT COALESCE(MAX(revision), 1) FROM area_revisions WHERE area_no = $1 AND created_at <= $2";

/// The whole answer.
#[derive(Debug, Serialize)]
pub struct Why {
    /// Whether it fires.
    pub state: AreaState,
    /// Why not, if not.
    pub reason: Option<String>,
    /// Since when it watches; `None`: its baseline is open.
    pub joined_at: Option<DateTime<Utc>>,
    /// Its source, where it is polled.
    pub poll: Option<Poll>,
    /// The fault that stands on its source.
    pub fault: Option<Standing>,
    /// What a search after a resync could not reach, the last time that there was such a gap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// Failed runs in a row.
    pub failed_runs: i64,
    /// The recent events of its source, the newest first.
    pub events: Vec<Explained>,
}

/// What the owner of a source saw of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The last and the next poll; `None`: it is not polled, or not here.
    pub poll: Option<Poll>,
    /// The fault that stands.
    pub fault: Option<Standing>,
    /// The last gap in its items.
    #[serde(default)]
    pub gap: Option<Gap>,
}

/// The last and the next poll.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Poll {
    /// When the last one began; `None`: none since this node owns the source.
    pub last_at: Option<DateTime<Utc>>,
    /// What the provider answered.
    pub answer: Option<String>,
    /// How many items it returned.
    pub items: u32,
    /// How long it took, in milliseconds.
    pub took_ms: u16,
    /// When it is polled next; `None`: right now, or never by itself.
    pub next_at: Option<DateTime<Utc>>,
    /// Polls that failed in a row.
    pub faults: u16,
}

/// What became of one event.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// The event.
    pub event: EventId,
    /// Its key.
    pub key: String,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
    /// `fired`, `held`, `dropped`, `failed`, `filtered`, `undecided`, `before it watched`.
    pub verdict: &'static str,
    /// In a sentence.
    pub why: String,
    /// The values that the condition looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<(String, Value)>,
    /// The run, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

/// Explains an AREA of `user` by its last `events` events and what the owner of its source saw; `None`: the user has no such AREA.
pub async fn why(
    engine: &Arc<Engine>,
    user: UserId,
    area: AreaId,
    events: i64,
    seen: impl AsyncFnOnce(SourceId) -> Option<Seen>,
) -> sqlx::Result<Option<Why>> {
    let Some(row) = areas::get(&engine.db, user, area).await? else { return Ok(None) };
    let recent = history::events_of(&engine.db, user, row.source_id, None, events).await?;
    let mut explained = Vec::with_capacity(recent.len());
    for event in recent.into_iter().filter(|e| e.only_area.is_none_or(|only| only == row.no)) {
        let runs = history::runs_of_event(&engine.db, user, row.no, event.id).await?;
        explained.push(match runs.last() {
            Some(run) => by_run(&event, run),
            None => without_run(engine, &row, &event).await?,
        });
    }
    let seen = seen(row.source_id).await.unwrap_or_default();
    Ok(Some(Why {
        state: row.state,
        reason: row.reason.clone(),
        joined_at: row.joined_at.map(from_micros),
        poll: seen.poll,
        fault: seen.fault,
        gap: seen.gap,
        failed_runs: row.failures,
        events: explained,
    }))
}

impl Engine {
    /// What this node saw of a source; nothing of one that it does not own.
    pub fn seen(&self, source: SourceId) -> Seen {
        let poll = self.schedule_of(source).map(|(slot, next)| Poll {
            last_at: (slot.polled_s > 0).then(|| from_micros(i64::from(slot.polled_s) * 1_000_000)),
            answer: self.answer_of(source).map(|a| a.to_string()),
            items: slot.items,
            took_ms: slot.took_ms,
            next_at: next.map(from_micros),
            faults: slot.faults,
        });
        Seen { poll, fault: self.standing(source), gap: self.gap(source) }
    }
}

fn explained(event: &EventView, verdict: &'static str, why: impl Into<String>) -> Explained {
    let recorded_at = from_micros(born_at(event.id.0));
    Explained {
        event: event.id,
        key: event.key.clone(),
        recorded_at,
        verdict,
        why: why.into(),
        values: vec![],
        run: None,
    }
}

fn by_run(event: &EventView, run: &RunView) -> Explained {
    let reason = run.reason.clone().unwrap_or_default();
    let (verdict, why) = match run.state.as_str() {
        "done" => ("fired", "every step is done".to_owned()),
        "ready" => ("fired", "the run is under way".to_owned()),
        "waiting" => ("fired", format!("the run goes on at {}: {reason}", from_micros(run.due_at).format("%F %T UTC"))),
        "held" => ("held", format!("{reason}, until {}", from_micros(run.due_at).format("%F %T UTC"))),
        "dropped" => ("dropped", reason),
        "cancelled" => ("dropped", reason),
        "uncertain" => ("failed", format!("it may have happened: {reason}")),
        _ => ("failed", reason),
    };
    Explained { run: Some(run.id), ..explained(event, verdict, why) }
}

/// No run was born: judged again, by the revision of that time.
async fn without_run(engine: &Engine, row: &AreaRow, event: &EventView) -> sqlx::Result<Explained> {
    if event.undecided.is_some() {
        return Ok(explained(event, "undecided", "the owner of its partition has yet to decide"));
    }
    let recorded = born_at(event.id.0);
    if row.joined_at.is_none_or(|joined| joined > recorded) {
        return Ok(explained(event, "before it watched", "the event came before the AREA joined its source"));
    }
    let revision = revision_then(engine, row.no, recorded).await?;
    let Some(plan) = engine.plans.pinned(row.no, revision).await? else {
        return Ok(explained(event, "filtered", format!("revision {revision} is no longer kept")));
    };
    let body: Value = serde_json::from_str(&event.body).unwrap_or_default();
    Ok(judged(&plan, event, &body, row.joined_at))
}

/// Selection and condition held, and no run was born all the same.
fn not_decided(event: &EventView, joined: Option<Micros>) -> Explained {
    match is_before(event.at, joined) {
        true => explained(event, "before it watched", "it happened before the AREA joined, and was found by a search"),
        false => explained(event, "filtered", "the AREA was not active when the event was decided"),
    }
}

fn judged(plan: &Plan, event: &EventView, body: &Value, joined: Option<Micros>) -> Explained {
    if let Verdict::Leave(why) = (plan.action.select)(&plan.data, body, None) {
        return explained(event, "filtered", why);
    }
    let Some(when) = &plan.when else {
        return not_decided(event, joined);
    };
    match when.judge(&plan.scope(body, born_at(event.id.0))) {
        Ok(judged) if judged.holds => not_decided(event, joined),
        Ok(judged) => Explained {
            values: judged.values,
            ..explained(event, "filtered", format!("`{}` does not hold", when.source()))
        },
        Err(why) => explained(event, "filtered", format!("`{}` cannot be judged: {why}", when.source())),
    }
}

async fn revision_then(engine: &Engine, area: AreaNo, at: Micros) -> sqlx::Result<i64> {
    let (revision,): (i64,) =
        on!(&engine.db, pool => sqlx::query_as(REVISION_THEN).bind(area).bind(at).fetch_one(pool).await)?;
    Ok(revision)
}
