//! The action `timer.at`.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use engine::duration::Span;
use engine::fault::Fault;
use engine::port::{About, ActionSpec, Cadence, FeedKind, FeedSpec, Invalid, Page, Verdict, params};
use engine::schedule::cron::Cron;
use engine::zone::zone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::misfire::{self, GRACE, Misfire, Policy};
use super::{Asked, Cursor};

/// A cron expression ticks at most once a second.
const FLOOR: Duration = Duration::from_secs(1);

/// Times of the calendar.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct At {
    /// Minute, hour, day of the month, month, day of the week; six fields begin with the second. Names (`MON`, `JAN`), lists, ranges
    /// and steps: `0 9 * * 1-5` is nine o'clock on working days.
    cron: String,
    /// The time zone that the expression speaks of, for example `Europe/Paris`.
    #[serde(default = "utc")]
    tz: String,
    /// What becomes of times that were missed while the daemon was down or the clock jumped.
    #[serde(default)]
    misfire: Misfire,
    /// Times missed longer ago than this stay missed.
    #[serde(default = "misfire::catch_up")]
    catch_up: Span,
}

fn utc() -> String {
    "UTC".into()
}

impl At {
    fn read(params: &Value) -> Result<(Self, Cron), Fault> {
        let at = Self::deserialize(params).map_err(|e| Fault::rejected(format!("timer.at: {e}")))?;
        let cron = Cron::parse(&at.cron, Some(&at.tz)).map_err(|e| Fault::rejected(format!("timer.at: {e}")))?;
        Ok((at, cron))
    }

    /// Written in one way, so that AREAs that mean the same share a source.
    fn canonical(mut self) -> Value {
        self.cron = self.cron.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Ok(tz) = zone(&self.tz) {
            self.tz = tz.name().into();
        }
        json!(self)
    }
}

/// See the module.
pub static SPEC: ActionSpec = ActionSpec {
    name: "at",
    title: "A time of the calendar comes",
    description: "Fires at the times of a cron expression, in a time zone. A fixed time that the change to summer time leaves out \
        fires at the first instant after it; one that comes twice fires once.",
    params: params::<At>,
    sample_params: r#"{"cron": "0 9 * * 1-5", "tz": "Europe/Paris"}"#,
    sample_event: r#"{
        "at": "2026-11-20T08:00:00.004Z", "scheduled_at": "2026-11-20T08:00:00Z", "tick": 12, "late_by": 0.004, "missed": 0,
        "local": "2026-11-20T09:00:00+01:00", "tz": "Europe/Paris"
    }"#,
    scopes: &[],
    about: About::NONE,
    feed: &FEED,
    feed_params: |data| At::deserialize(data).map_or_else(|_| data.clone(), At::canonical),
    select: |_, _, _| Verdict::Take,
    view: None,
    check,
};

static FEED: FeedSpec = FeedSpec {
    name: "at",
    kind: FeedKind::Polled {
        floor: FLOOR,
        default: FLOOR,
        cadence: Cadence::At(next),
        poll: |cx| Box::pin(std::future::ready(poll(Asked::of(&cx)))),
    },
};

fn check(data: &Value) -> Vec<Invalid> {
    let at = match At::deserialize(data) {
        Ok(at) => at,
        Err(e) => return vec![Invalid::new("", e.to_string())],
    };
    if let Err(e) = zone(&at.tz) {
        return vec![Invalid::new("/tz", e)];
    }
    Cron::parse(&at.cron, Some(&at.tz)).err().map(|e| Invalid::new("/cron", e)).into_iter().collect()
}

fn next(params: &Value, cursor: Option<&Value>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match Cursor::read(cursor) {
        Some(cursor) if !went_back(cursor, now) => At::read(params).ok()?.1.next_after(cursor.from),
        _ => Some(now),
    }
}

/// One poll: see the module `timer`.
pub fn poll(cx: Asked<'_>) -> Result<Page, Fault> {
    let (at, cron) = At::read(cx.params)?;
    let Some(cursor) = Cursor::read(cx.cursor) else {
        let start = Cursor { from: cx.since.unwrap_or(cx.now), tick: 0 };
        return Ok(Page { cursor: Some(start.to_value()), answer: "started".into(), ..Page::default() });
    };
    if went_back(cursor, cx.now) {
        // What fired already is known by its key; what was left out when the clock was ahead comes.
        let start = Cursor { from: cx.now, tick: cursor.tick };
        let answer = "the clock went back: looking from now".into();
        return Ok(Page { cursor: Some(start.to_value()), answer, ..Page::default() });
    }
    let policy = Policy { misfire: at.misfire, catch_up: at.catch_up.duration() };
    let local = |tick: DateTime<Utc>| {
        let local = tick.with_timezone(&cron.zone()).to_rfc3339_opts(SecondsFormat::AutoSi, false);
        json!({ "local": local, "tz": cron.zone().name() })
    };
    Ok(misfire::page(&cron, cursor, cx.now, policy, local))
}

/// Whether the clock was set back behind what is dealt with.
fn went_back(cursor: Cursor, now: DateTime<Utc>) -> bool {
    cursor.from.signed_duration_since(now) > TimeDelta::from_std(GRACE).unwrap_or(TimeDelta::MAX)
}
