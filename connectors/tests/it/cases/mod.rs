//! How to serve items to each polled feed that uses HTTP. A connector with such a feed needs a `Case` in [`ALL`], and nothing else,
//! to be held to everything in `feeds`.

mod google;
mod http;
mod rss;
mod spotify;

use engine::port::{ActionSpec, Cadence, FeedKind};
use serde_json::Value;

use crate::server::Reply;

/// Written into every case's credentials: no fault and no log line may show it.
pub const SECRET: &str = "s3cr3t-that-nobody-may-see";

/// One thing of the outside world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// What identifies it.
    pub id: u32,
    /// When it happened: seconds since 2027-01-15T08:00:00Z.
    pub at: i64,
    /// Its text; U+E000 stands for a byte that is no UTF-8: see [`json_bytes`].
    pub text: String,
}

/// A JSON text in which each U+E000 is a byte that is no UTF-8.
pub fn json_bytes(value: &Value) -> Vec<u8> {
    broken(&value.to_string())
}

/// The text's bytes, with such a byte for each U+E000.
pub fn broken(text: &str) -> Vec<u8> {
    text.split('\u{e000}').map(str::as_bytes).collect::<Vec<_>>().join(&0xff)
}

/// How one action is served.
pub struct Case {
    /// `service.action`
    pub action: &'static str,
    /// Its `data`, for a server at this base URL, with [`SECRET`] wherever it takes a credential.
    pub data: fn(base: &str) -> Value,
    /// The answer that lists these things.
    pub serve: fn(things: &[Thing]) -> Reply,
    /// What the feed makes of an answer.
    pub gives: Gives,
}

/// What a feed makes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// An item for each thing in it.
    List,
    /// An item when the answer is another than before.
    Value,
    /// An item when it begins to fail and when that ends: what is a fault to others.
    Health,
}

impl Gives {
    /// The items of a baseline of so many things.
    pub fn at_baseline(self, things: usize) -> usize {
        if self == Self::List { things } else { 0 }
    }
}

/// Every case.
pub static ALL: &[&Case] = &[
    &crate::example::CASE,
    &http::NEW_ITEM,
    &http::CHANGED,
    &http::DOWN,
    &http::UP,
    &rss::NEW_ENTRY,
    &spotify::NEW_SAVED_TRACK,
    &spotify::TRACK_PLAYED,
    &google::NEW_MAIL,
    &google::NEW_EVENT,
    &google::EVENT_STARTS,
    &google::NEW_FILE,
];

/// The actions of `all()` that must have a case: polled, and not by the clock alone.
pub fn wanted() -> Vec<(String, &'static ActionSpec)> {
    let mut wanted = Vec::new();
    for service in connectors::all() {
        for action in service.actions {
            if matches!(action.feed.kind, FeedKind::Polled { cadence: Cadence::Interval, .. }) {
                wanted.push((format!("{}.{}", service.name, action.name), *action));
            }
        }
    }
    wanted
}

impl Case {
    /// Whether it acts with an account: its token is then [`SECRET`].
    pub fn has_account(&self) -> bool {
        let name = self.action.split('.').next().unwrap_or_default();
        connectors::all().iter().any(|service| service.name == name && service.provider.is_some())
    }

    /// The action that it serves.
    pub fn spec(&self) -> &'static ActionSpec {
        let services = connectors::all().iter().copied().chain([&crate::example::ENDOFLIFE]);
        let mut specs = services.flat_map(|s| s.actions.iter().map(|a| (format!("{}.{}", s.name, a.name), *a)));
        specs.find(|(path, _)| path == self.action).unwrap_or_else(|| panic!("no action `{}`", self.action)).1
    }
}
