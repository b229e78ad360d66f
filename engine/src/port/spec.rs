//! Specs: everything that a form, the API check, the docs and the engine need of an action or reaction, in one place.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Boxed, HookCx, HookItem, HookRefusal, Page, PollCx, ReactCx, Reacted};
use crate::fault::Fault;

/// A service: what a connector speaks to.
#[derive(Debug)]
pub struct Service {
    /// The stable name: `http`, `rss`, `google`.
    pub name: &'static str,
    /// For people: `HTTP`, `RSS and Atom`.
    pub title: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// Who issues the account's tokens; `None` where no account is needed.
    pub provider: Option<&'static str>,
    /// Its triggers, in the order they are shown.
    pub actions: &'static [&'static ActionSpec],
    /// What it can do, in the order they are shown.
    pub reactions: &'static [&'static ReactionSpec],
}

/// Every service, in order; written out by the `connectors` crate.
pub type Services = &'static [&'static Service];

/// A trigger.
#[derive(Debug)]
pub struct ActionSpec {
    /// The stable name within the service: `new_item`.
    pub name: &'static str,
    /// For people: `A new item appears`.
    pub title: &'static str,
    /// One or two sentences.
    pub description: &'static str,
    /// The JSON Schema of `data`, from the params struct's doc comments. Secrets are marked `"writeOnly": true`.
    pub params: fn() -> Value,
    /// A `data` that the schema accepts, as JSON text.
    pub sample_params: &'static str,
    /// An event as templates see it, as JSON text.
    pub sample_event: &'static str,
    /// The narrowest scopes that it needs.
    pub scopes: &'static [&'static str],
    /// What it fetches.
    pub feed: &'static FeedSpec,
    /// The part of `data` that says what is fetched: AREAs that agree on it share a source. Defaults filled in.
    pub feed_params: fn(&Value) -> Value,
    /// Whether the action is about this item; `previous` is the item before it, where the feed hands it on.
    pub select: fn(data: &Value, item: &Value, previous: Option<&Value>) -> Verdict,
    /// What the schema cannot say about `data`: cron expressions, zones, pointers.
    pub check: fn(&Value) -> Vec<Invalid>,
}

/// Whether a selection took an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The action is about it.
    Take,
    /// It is not; says which clause with which value, for `why`.
    Leave(String),
}

/// What is fetched. One feed may serve several actions.
#[derive(Debug)]
pub struct FeedSpec {
    /// The stable name within the service, part of a source's identity.
    pub name: &'static str,
    /// How its items come.
    pub kind: FeedKind,
}

/// How a feed's items come.
pub enum FeedKind {
    /// The engine asks.
    Polled {
        /// No source is polled more often.
        floor: Duration,
        /// The interval where an AREA asks for none.
        default: Duration,
        /// When to ask.
        cadence: Cadence,
        /// Fetches one page. Without a cursor it is a baseline: return what is there now (the engine fires nothing for
        /// it, unless an AREA asked for `backfill`) and a cursor.
        poll: for<'a> fn(PollCx<'a>) -> Boxed<'a, Result<Page, Fault>>,
    },
    /// Others call our hook URL; one source an AREA.
    Hook {
        /// Turns a request into an item, or says why not. Pure: no clock, no network.
        receive: fn(HookCx<'_>) -> Result<HookItem, HookRefusal>,
    },
    /// The engine itself makes the items (`area.paused`); one source a user.
    Native,
}

impl std::fmt::Debug for FeedKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Polled { .. } => "Polled",
            Self::Hook { .. } => "Hook",
            Self::Native => "Native",
        })
    }
}

/// The instant of the next poll, by params and cursor; `None` is never again.
pub type NextDue = fn(params: &Value, cursor: Option<&Value>, now: DateTime<Utc>) -> Option<DateTime<Utc>>;

/// When a polled feed is asked.
#[derive(Clone, Copy)]
pub enum Cadence {
    /// Every interval, at the source's own phase.
    Interval,
    /// At the instant that params and cursor name; never again on `None`. The poll at that instant makes the items without
    /// any network: timers.
    At(NextDue),
}

/// Something a service can do.
pub struct ReactionSpec {
    /// The stable name within the service: `request`.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// One or two sentences.
    pub description: &'static str,
    /// The JSON Schema of `data` after templates are rendered.
    pub params: fn() -> Value,
    /// A `data` that the schema accepts, as JSON text.
    pub sample_params: &'static str,
    /// What later steps see as `steps.ID`, as JSON text.
    pub sample_output: &'static str,
    /// The narrowest scopes that it needs.
    pub scopes: &'static [&'static str],
    /// What a repetition does.
    pub guarantee: Guarantee,
    /// What the schema cannot say about `data` as it is stored (templates unrendered).
    pub check: fn(&Value) -> Vec<Invalid>,
    /// Does it.
    pub react: for<'a> fn(ReactCx<'a>) -> Boxed<'a, Result<Reacted, Fault>>,
}

impl std::fmt::Debug for ReactionSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReactionSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What happens when a reaction is repeated after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Guarantee {
    /// The far side takes our key: a repetition has no further effect.
    Idempotent,
    /// We read before we write.
    Checked,
    /// A repetition may be seen, with the same idempotency key and the same bytes.
    AtLeastOnce,
}

/// One thing that is wrong with an input.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Invalid {
    /// Where: a JSON pointer into the value that was checked.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub detail: String,
}

impl Invalid {
    /// At `pointer`, `detail`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }

    /// The same under a longer pointer.
    pub fn under(mut self, prefix: &str) -> Self {
        self.pointer.insert_str(0, prefix);
        self
    }
}

/// The JSON Schema of a params struct; its doc comments are the words that a user sees.
pub fn params<T: schemars::JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}
