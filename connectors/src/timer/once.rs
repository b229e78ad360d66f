//! The action `timer.once`.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use engine::port::{About, ActionSpec, Cadence, FeedKind, FeedSpec, Invalid, Page, Verdict, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::misfire::{self, GRACE, Misfire, Policy};
use super::ticks::Ticks;
use super::{Asked, Cursor, written};

const FLOOR: Duration = Duration::from_secs(1);

/// One instant.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Once {
    /// The instant, with its offset: `2026-12-24T18:00:00+01:00`. One that has passed a minute before the AREA is made
    /// never fires; one that passed while the daemon was down fires late.
    at: DateTime<Utc>,
}

impl Ticks for Once {
    fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        Some(self.at).filter(|at| *at > after)
    }

    fn last_until(&self, after: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.next_after(after).filter(|at| *at <= now)
    }
}

/// See the module.
pub static SPEC: ActionSpec = ActionSpec {
    name: "once",
    title: "An instant comes",
    description: "Fires one time.",
    params: params::<Once>,
    sample_params: r#"{"at": "2030-12-24T18:00:00+01:00"}"#,
    sample_event: r#"{"at": "2030-12-24T17:00:00.003Z", "scheduled_at": "2030-12-24T17:00:00Z", "tick": 1, "late_by": 0.003, "missed": 0}"#,
    scopes: &[],
    about: About::NONE,
    feed: &FEED,
    feed_params: |data| Once::deserialize(data).map_or_else(|_| data.clone(), |once| json!({ "at": written(once.at) })),
    select: |_, _, _| Verdict::Take,
    view: None,
    check: |data| match Once::deserialize(data) {
        Ok(_) => Vec::new(),
        Err(e) => vec![Invalid::new("/at", format!("must be an instant like `2026-12-24T18:00:00+01:00`: {e}"))],
    },
};

static FEED: FeedSpec = FeedSpec {
    name: "once",
    kind: FeedKind::Polled {
        floor: FLOOR,
        default: FLOOR,
        cadence: Cadence::At(next),
        poll: |cx| Box::pin(std::future::ready(poll(Asked::of(&cx)))),
    },
};

fn next(params: &Value, cursor: Option<&Value>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match Cursor::read(cursor) {
        Some(cursor) => Once::deserialize(params).ok()?.next_after(cursor.from),
        None => Some(now),
    }
}

/// One poll: see the module `timer`.
pub fn poll(cx: Asked<'_>) -> Result<Page, Fault> {
    let once = Once::deserialize(cx.params).map_err(|e| Fault::rejected(format!("timer.once: {e}")))?;
    let Some(cursor) = Cursor::read(cx.cursor) else {
        // An instant that came between the making of the AREA and this poll still fires.
        let from = cx.since.unwrap_or(cx.now) - TimeDelta::from_std(GRACE).unwrap_or(TimeDelta::MAX);
        let answer = if once.at > from { "waiting" } else { "passed before it was made" };
        let start = Cursor { from, tick: 0 };
        return Ok(Page { cursor: Some(start.to_value()), answer: answer.into(), ..Page::default() });
    };
    let always = Policy { misfire: Misfire::Once, catch_up: Duration::MAX };
    Ok(misfire::page(&once, cursor, cx.now, always, |_| Value::Null))
}
