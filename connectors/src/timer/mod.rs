//! The service `timer`: no far side, only the clock.
//!
//! `every`, `at` and `once` are the actions, `delay` is the reaction. `ticks` says when, `misfire` which of the ticks that have
//! passed become items; both are pure. A timer counts from its cursor, which its first poll writes: nothing depends on when the
//! daemon was started, and a tick's instant is its key.

mod at;
mod cron;
mod delay;
mod every;
mod misfire;
mod once;
mod ticks;

use chrono::{DateTime, SecondsFormat, Utc};
use engine::port::{PollCx, Service};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// See the module.
pub static TIMER: Service = Service {
    name: "timer",
    title: "Timer",
    description: "Fires at times, and lets a run wait.",
    provider: None,
    options: &[],
    actions: &[&every::SPEC, &at::SPEC, &once::SPEC],
    reactions: &[&delay::SPEC],
};

/// The part of a poll's context that a timer asks for: it needs no network.
#[derive(Clone, Copy)]
struct Asked<'a> {
    params: &'a Value,
    cursor: Option<&'a Value>,
    since: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
}

impl<'a> Asked<'a> {
    fn of(cx: &PollCx<'a>) -> Self {
        Self { params: cx.params, cursor: cx.cursor, since: cx.since, now: cx.now }
    }
}

/// What a timer remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// Ticks up to here are dealt with.
    from: DateTime<Utc>,
    /// How many have fired or were left out.
    #[serde(default)]
    tick: u64,
}

impl Cursor {
    /// The cursor of a page, or of none where it cannot be read: a new baseline mends that.
    fn read(cursor: Option<&Value>) -> Option<Self> {
        Self::deserialize(cursor?).ok()
    }

    fn to_value(self) -> Value {
        serde_json::json!({ "from": self.from, "tick": self.tick })
    }
}

/// A tick's instant as its key and in its event.
fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod at_tests;
#[cfg(test)]
mod tests;
