//! The action `timer.every`.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use engine::duration::Span;
use engine::fault::Fault;
use engine::port::{About, ActionSpec, Cadence, FeedKind, FeedSpec, Invalid, Page, Verdict, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::misfire::{self, GRACE, Misfire, Policy};
use super::ticks::Interval;
use super::{Asked, Cursor};

/// No timer ticks faster.
const FLOOR: Duration = Duration::from_secs(1);

/// A steady tick.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Every {
    /// The time from one tick to the next, at least `1s`: `5s`, `10m`, `1h`. Counted from when the timer was made.
    every: Span,
    /// What becomes of ticks that were missed while the daemon was down or the clock jumped.
    #[serde(default)]
    misfire: Misfire,
    /// Ticks missed longer ago than this stay missed.
    #[serde(default = "misfire::catch_up")]
    catch_up: Span,
}

/// See the module.
pub static SPEC: ActionSpec = ActionSpec {
    name: "every",
    title: "Time passes",
    description: "Fires again and again, at a steady interval.",
    params: params::<Every>,
    sample_params: r#"{"every": "5s"}"#,
    sample_event: r#"{"at": "2026-11-20T09:00:05.012Z", "scheduled_at": "2026-11-20T09:00:05Z", "tick": 3, "late_by": 0.012, "missed": 0}"#,
    scopes: &[],
    about: About::NONE,
    feed: &FEED,
    feed_params: |data| Every::deserialize(data).map_or_else(|_| data.clone(), |every| json!(every)),
    select: |_, _, _| Verdict::Take,
    view: None,
    check,
};

static FEED: FeedSpec = FeedSpec {
    name: "every",
    kind: FeedKind::Polled {
        floor: FLOOR,
        default: FLOOR,
        cadence: Cadence::At(next),
        poll: |cx| Box::pin(std::future::ready(poll(Asked::of(&cx)))),
    },
};

fn check(data: &Value) -> Vec<Invalid> {
    match Every::deserialize(data) {
        Ok(every) if every.every.duration() < FLOOR => vec![Invalid::new("/every", "must be at least `1s`")],
        Ok(_) => Vec::new(),
        Err(e) => vec![Invalid::new("", e.to_string())],
    }
}

fn next(params: &Value, cursor: Option<&Value>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let every = step(&Every::deserialize(params).ok()?)?;
    match Cursor::read(cursor) {
        Some(cursor) if !went_back(cursor, every, now) => cursor.from.checked_add_signed(every),
        _ => Some(now),
    }
}

/// One poll: see the module `timer`.
pub fn poll(cx: Asked<'_>) -> Result<Page, Fault> {
    let params = Every::deserialize(cx.params).map_err(|e| Fault::rejected(format!("timer.every: {e}")))?;
    let Some(every) = step(&params) else { return Err(Fault::rejected("timer.every: the interval is too long")) };
    let Some(cursor) = Cursor::read(cx.cursor) else {
        let start = Cursor { from: cx.since.unwrap_or(cx.now), tick: 0 };
        return Ok(Page { cursor: Some(start.to_value()), answer: "started".into(), ..Page::default() });
    };
    if went_back(cursor, every, cx.now) {
        // New instants, so that the time which comes a second time ticks too.
        let start = Cursor { from: cx.now, tick: cursor.tick };
        let answer = "the clock went back: counting from now".into();
        return Ok(Page { cursor: Some(start.to_value()), answer, ..Page::default() });
    }
    let ticks = Interval::new(cursor.from, params.every.duration());
    let policy = Policy { misfire: params.misfire, catch_up: params.catch_up.duration() };
    Ok(misfire::page(&ticks, cursor, cx.now, policy, |_| Value::Null))
}

/// The interval; `None` where chrono cannot hold it. Never under the floor, whatever was stored.
fn step(params: &Every) -> Option<TimeDelta> {
    TimeDelta::from_std(params.every.duration().max(FLOOR)).ok()
}

/// Whether the clock was set back: the next tick lies further ahead than one can. A small step back is waited out.
fn went_back(cursor: Cursor, every: TimeDelta, now: DateTime<Utc>) -> bool {
    let slack = every.min(TimeDelta::from_std(GRACE).unwrap_or(TimeDelta::MAX));
    cursor.from.signed_duration_since(now) > slack
}
