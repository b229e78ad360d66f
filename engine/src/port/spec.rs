//! Specs: everything that a form, the API check, the docs and the engine need of an action or reaction, in one place.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Boxed, HookCx, HookItem, HookRefusal, OptionsCx, Page, PollCx, ReactCx, Reacted};
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
    /// What a person picks by name where `data` wants an id, by the `x-options` that properties of the schemas name.
    pub options: &'static [&'static OptionsSpec],
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
    /// What its author knows of the far side.
    pub about: About,
    /// What it fetches.
    pub feed: &'static FeedSpec,
    /// The part of `data` that says what is fetched: AREAs that agree on it share a source. Defaults filled in.
    pub feed_params: fn(&Value) -> Value,
    /// Whether the action is about this item; `previous` is the item before it, where the feed hands it on.
    pub select: fn(data: &Value, item: &Value, previous: Option<&Value>) -> Verdict,
    /// Writes what of an event follows from the AREA's own `data`, so that it is no matter of the feed: local times. What the AREA's
    /// expressions see; events are stored as the feed gave them. `None`: all see them so.
    pub view: Option<fn(data: &Value, event: &mut Value)>,
    /// What the schema cannot say about `data`: cron expressions, zones, pointers.
    pub check: fn(&Value) -> Vec<Invalid>,
}

/// What the author of an action or reaction knows of the far side, for who chooses it.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// What one use costs of the provider's quota: `1 call a poll`. Empty where there is none.
    pub cost: &'static str,
    /// What its tests ran it against: `Prism with Spotify's description`. Empty where nothing outside is called.
    pub tried: &'static str,
    /// The JSON Schema of the event or the output, every field explained; `None` where the far side decides what is in it.
    pub gives: Option<fn() -> Value>,
    /// Fields of the event that are large, and read only where an AREA of the source uses one of them: the feed asks
    /// ([`PollCx::wants_large`]), and leaves all of them out where nobody does. No `select` may look at them.
    pub large: &'static [&'static str],
}

impl About {
    /// Nothing to tell.
    pub const NONE: Self = Self { cost: "", tried: "", gives: None, large: &[] };
}

/// What a person picks by name: labels, calendars, playlists.
#[derive(Debug)]
pub struct OptionsSpec {
    /// As `x-options` names it: `playlist`.
    pub name: &'static str,
    /// The scopes that listing them needs.
    pub scopes: &'static [&'static str],
    /// Lists them.
    pub list: List,
}

/// How options are listed.
pub type List = for<'a> fn(OptionsCx<'a>) -> Boxed<'a, Result<Choices, Fault>>;

/// What can be picked.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Choices {
    /// In the order in which they are offered.
    pub items: Vec<Choice>,
    /// There are more: a longer `q` finds them.
    pub more: bool,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Choice {
    /// What `data` holds.
    pub value: String,
    /// What a person reads.
    pub title: String,
    /// What tells two of one title apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Choices {
    /// Those of `all` whose title or detail holds `q` (whatever its case), at most `most`; `cut`: the far side has others.
    pub fn of(all: impl IntoIterator<Item = Choice>, q: &str, most: usize, cut: bool) -> Self {
        let q = q.trim().to_lowercase();
        let fits = |choice: &Choice| {
            let detail = choice.detail.as_deref().unwrap_or_default();
            choice.title.to_lowercase().contains(&q) || detail.to_lowercase().contains(&q)
        };
        let mut items: Vec<Choice> = all.into_iter().filter(fits).take(most.saturating_add(1)).collect();
        let more = cut || items.len() > most;
        items.truncate(most);
        Self { items, more }
    }
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
    /// What its author knows of the far side.
    pub about: About,
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
    /// What would have to be granted, where that is what is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<Grant>,
}

/// Scopes that an account's owner has yet to grant.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Grant {
    /// At this provider.
    pub provider: String,
    /// As the provider writes them.
    pub scopes: Vec<String>,
}

impl Invalid {
    /// At `pointer`, `detail`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into(), grant: None }
    }

    /// With what would have to be granted.
    pub fn granting(self, grant: Grant) -> Self {
        Self { grant: Some(grant), ..self }
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
