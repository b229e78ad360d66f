//! The port: what a connector is. Data first (specs), then one function a feed or reaction. The context that a function is
//! handed is the list of what it may touch; it never sees a refresh token, another user's row or the clock.
//!
//! A [`Service`] offers actions and reactions. An [`ActionSpec`] names its [`FeedSpec`] (what is fetched, with which params)
//! and a selection (which of the items it is about). All of one user's AREAs on one feed share one poll.

mod context;
mod spec;

pub use crate::usage::{Api, Share};
pub use context::{AreaPort, Auth, HookCx, HookItem, HookRefusal, OptionsCx, PollCx, ReactCx, Reacted, Started, Wants};
pub use spec::{
    About, ActionSpec, Cadence, Choice, Choices, FeedKind, FeedSpec, Grant, Guarantee, Invalid, List, NextDue,
    OptionsSpec, ReactionSpec, Service, Services, Verdict, params,
};

use std::future::Future;
use std::pin::Pin;

use chrono::{DateTime, Utc};
use serde_json::Value;

/// A boxed future: what an async function in a spec returns.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One thing that a poll returned.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Identifies the item for ever within its source. Two items with one key are one item.
    pub key: String,
    /// What templates and conditions see as `event`.
    pub body: Value,
    /// When it happened, by the provider's account.
    pub at: Option<DateTime<Utc>>,
}

/// What one call of a feed's `poll` brought. The engine asks again at once while `more` is set, up to its page limit,
/// and commits each page with its cursor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// What may be new, oldest first. The engine drops what was seen: a feed may return an item twice.
    pub items: Vec<Item>,
    /// What to remember; `None` keeps the cursor as it is.
    pub cursor: Option<Value>,
    /// There is another page behind this one.
    pub more: bool,
    /// What the provider answered, in a few words for `why`: `200`, `304 not modified`.
    pub answer: String,
    /// What could not be searched after a resync, for the owner.
    pub gap: Option<String>,
}
