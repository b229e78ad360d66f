//! The `policy` object of an AREA as users write it.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::day::{TimeOfDay, Weekday};
use crate::duration::Span;
use crate::port::Invalid;
use crate::schedule::cron::Cron;
use crate::zone::zone;

/// The largest `max` of a throttle; also how many instants its state remembers.
pub const THROTTLE_RUNS: u32 = 1_000;
/// The most events that one digest collects, whatever its `max`.
pub const DIGEST_EVENTS: u32 = 1_000;
/// The most runs of one AREA that may go at once.
pub const PARALLEL_RUNS: u32 = 100;
/// The most attempts at one step.
pub const RETRY_ATTEMPTS: u32 = 50;
/// A throttle that would hold a run for longer drops it.
pub const LONGEST_HOLD: Span = Span::from_secs(30 * 24 * 60 * 60);

/// When and how often an AREA's runs may be born, and how they are tried again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// What happens when an event comes while an earlier run still goes.
    pub order: Order,
    /// At most so many runs in a sliding window of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle: Option<Throttle>,
    /// Waits until no event has come for this long, then runs once, for the newest; the earlier ones are dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debounce: Option<Span>,
    /// Collects events and runs once for all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The hours in which nothing runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// From this instant on events are dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Without an event for this long, `area.silent` is raised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence: Option<Span>,
    /// How a failed step is tried again.
    pub retry: Retry,
    /// What happens when nobody knows whether a reaction took effect.
    pub delivery: Delivery,
}

/// What happens when an event comes while an earlier run still goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Runs are born one after another, in the order of their events; later ones pass one that waits for a retry.
    #[default]
    Queued,
    /// So many runs go at once, in no order.
    Parallel(u32),
    /// An event that comes meanwhile is dropped.
    Single,
    /// The earlier run is cancelled.
    Restart,
}

/// What a policy does with what is too much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// It waits until it may run.
    #[default]
    Hold,
    /// It is dropped, with its reason.
    Drop,
}

/// At most `max` runs within any `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// How many runs: 1 to 1000.
    pub max: u32,
    /// The window, which slides: `1h`.
    pub per: Span,
    /// What happens to more: `hold` (in order, each at the first free moment) or `drop`.
    #[serde(default)]
    pub over: Over,
}

/// Collects events; exactly one of `every` and `at` says when it fires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    /// So long after the first event: `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// At the next instant of a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    /// At once when so many events are collected: 1 to 1000 (the default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

/// A schedule that follows a calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct At {
    /// A cron expression of 5 or 6 fields: `0 9 * * 1-5`.
    pub cron: String,
    /// Its time zone: `Europe/Paris`; without one UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tz: Option<String>,
}

/// Hours in which nothing runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// They begin: `22:00`.
    pub from: TimeOfDay,
    /// They end: `07:00`; where that is earlier than `from`, on the next day.
    pub to: TimeOfDay,
    /// The time zone of both: `Europe/Paris`; without one UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tz: Option<String>,
    /// The days on which they begin: `["sat", "sun"]`; without it every day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<Vec<Weekday>>,
    /// What happens to events that come in them: `hold` (to their end) or `drop`.
    #[serde(default)]
    pub over: Over,
}

/// How a failed step is tried again: after `base`, then twice as long each time, up to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts in all, the first among them: 1 to 50.
    pub attempts: u32,
    /// The wait after the first attempt.
    pub base: Span,
    /// The longest wait.
    pub max: Span,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 8, base: Span::from_secs(5), max: Span::from_secs(60 * 60) }
    }
}

/// What happens when nobody knows whether a reaction took effect (a crash, a time-out, a reset after sending).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// It is sent again, with the same key and the same bytes.
    #[default]
    AtLeastOnce,
    /// It is not: the run is `uncertain`.
    AtMostOnce,
}

impl Policy {
    /// What the schema cannot say: each fault with its pointer within the policy.
    pub fn check(&self) -> Vec<Invalid> {
        let mut faults = Vec::new();
        if let Order::Parallel(runs) = self.order {
            within(&mut faults, "/order/parallel", runs, 1, PARALLEL_RUNS);
        }
        if let Some(throttle) = &self.throttle {
            within(&mut faults, "/throttle/max", throttle.max, 1, THROTTLE_RUNS);
            some_time(&mut faults, "/throttle/per", throttle.per);
        }
        for (pointer, span) in [("/debounce", self.debounce), ("/silence", self.silence)] {
            span.into_iter().for_each(|span| some_time(&mut faults, pointer, span));
        }
        if let Some(digest) = &self.digest {
            digest.check(&mut faults);
            if self.debounce.is_some() {
                faults
                    .push(Invalid::new("/digest", "a digest waits by itself: leave out either `digest` or `debounce`"));
            }
        }
        if let Some(quiet) = &self.quiet_hours {
            quiet.check(&mut faults);
        }
        within(&mut faults, "/retry/attempts", self.retry.attempts, 1, RETRY_ATTEMPTS);
        some_time(&mut faults, "/retry/base", self.retry.base);
        if self.retry.base > self.retry.max {
            let (base, max) = (self.retry.base, self.retry.max);
            faults.push(Invalid::new("/retry/max", format!("`{max}` is shorter than the first wait, `{base}`")));
        }
        faults
    }
}

impl Digest {
    fn check(&self, faults: &mut Vec<Invalid>) {
        match (&self.every, &self.at) {
            (Some(every), None) => some_time(faults, "/digest/every", *every),
            (None, Some(at)) => {
                if let Some(Err(why)) = at.tz.as_deref().map(zone) {
                    faults.push(Invalid::new("/digest/at/tz", why));
                } else if let Err(why) = Cron::parse(&at.cron, at.tz.as_deref()) {
                    faults.push(Invalid::new("/digest/at/cron", why));
                }
            }
            _ => faults.push(Invalid::new("/digest", "exactly one of `every` and `at` says when it fires")),
        }
        if let Some(max) = self.max {
            within(faults, "/digest/max", max, 1, DIGEST_EVENTS);
        }
    }
}

impl QuietHours {
    fn check(&self, faults: &mut Vec<Invalid>) {
        if let Some(Err(why)) = self.tz.as_deref().map(zone) {
            faults.push(Invalid::new("/quiet_hours/tz", why));
        }
        if self.from == self.to {
            faults
                .push(Invalid::new("/quiet_hours/to", "`from` and `to` are the same: pause the AREA to keep it quiet"));
        }
        if self.days.as_ref().is_some_and(Vec::is_empty) {
            faults.push(Invalid::new("/quiet_hours/days", "name at least one day, or leave it out for every day"));
        }
    }
}

fn within(faults: &mut Vec<Invalid>, pointer: &str, value: u32, least: u32, most: u32) {
    if !(least..=most).contains(&value) {
        faults.push(Invalid::new(pointer, format!("{value} is not within {least} to {most}")));
    }
}

fn some_time(faults: &mut Vec<Invalid>, pointer: &str, span: Span) {
    if span.is_zero() {
        faults.push(Invalid::new(pointer, "must be longer than no time at all: write for example \"30s\""));
    }
}
