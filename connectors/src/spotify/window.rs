//! Lists that Spotify gives newest first, each thing with its time: what is new since the newest that is known, looked for a while
//! further back, because things come late (a phone that was offline). Shared by the feeds.

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use engine::port::Item;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::seen::Seen;

/// What is remembered between polls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cursor<'a> {
    /// The time of the newest thing that was ever met; what is older by the lag is known.
    pub top: Option<DateTime<Utc>>,
    /// A backlog is being read: where it goes on, and the newest of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub walk: Option<(u64, DateTime<Utc>)>,
    /// Keys of what was met. See [`Seen`].
    #[serde(borrow, default)]
    pub seen: Cow<'a, str>,
}

/// One thing of such a list.
pub struct Thing {
    /// Identifies it.
    pub key: String,
    /// Its time.
    pub at: DateTime<Utc>,
    /// The event.
    pub body: Value,
}

/// What a poll knows at its start.
pub struct Window<'a> {
    /// From this instant on things may be new.
    pub floor: Option<DateTime<Utc>>,
    /// The cursor.
    pub cursor: Option<Cursor<'a>>,
    /// Nothing is known yet: all that is there is old.
    baseline: bool,
    old: Seen,
    met: Seen,
    new: Vec<Item>,
    newest: Option<DateTime<Utc>>,
}

impl<'a> Window<'a> {
    /// Reads the cursor; `since` is where a search after a resync begins.
    ///
    /// # Errors
    /// `Resync` where it cannot be read.
    pub fn open(cursor: Option<&'a Value>, since: Option<DateTime<Utc>>, lag: TimeDelta) -> Result<Self, Fault> {
        let cursor = cursor.map(Cursor::deserialize).transpose();
        let cursor = cursor.map_err(|_| Fault::resync("the cursor cannot be read"))?;
        let old = Seen::read(cursor.as_ref().map_or("", |cursor| &cursor.seen))?;
        let known = cursor.as_ref().and_then(|cursor| cursor.top).map(|top| top - lag);
        let newest = cursor.as_ref().and_then(|cursor| cursor.walk).map(|(_, newest)| newest);
        let baseline = cursor.is_none() && since.is_none();
        Ok(Self { floor: known.or(since), baseline, cursor, old, met: Seen::default(), new: Vec::new(), newest })
    }

    /// Takes a page, newest first. True: it reaches back to what is known.
    pub fn take(&mut self, things: Vec<Thing>, lag: TimeDelta) -> bool {
        self.newest = things.iter().map(|thing| thing.at).chain(self.newest).max();
        if self.baseline && self.floor.is_none() {
            // A baseline: no further back than what may still be taken for late.
            self.floor = self.newest.map(|newest| newest - lag);
        }
        let reaches = things.iter().any(|thing| self.floor.is_some_and(|floor| thing.at < floor));
        for thing in things {
            let late = self.baseline || self.floor.is_none_or(|floor| thing.at >= floor);
            if self.met.add(&thing.key) && late && !self.old.has(&thing.key) {
                self.new.push(Item { key: thing.key, body: thing.body, at: Some(thing.at) });
            }
        }
        reaches
    }

    /// What is new, oldest first, and the cursor behind it if it moved; `goes_on`: where the backlog goes on.
    pub fn close(mut self, goes_on: Option<u64>) -> (Vec<Item>, Option<Value>) {
        let top = self.cursor.as_ref().and_then(|cursor| cursor.top);
        let known = self.met.len() == 0 || self.new.is_empty();
        let seen: Cow<'_, str> = match &self.cursor {
            Some(cursor) if known => Cow::Borrowed(&*cursor.seen),
            _ => self.old.after(std::mem::take(&mut self.met)).text().into(),
        };
        let after = match (goes_on, self.newest) {
            (Some(place), Some(newest)) => Cursor { top, walk: Some((place, newest)), seen },
            _ => Cursor { top: self.newest.max(top), walk: None, seen },
        };
        let moved = self.cursor.as_ref() != Some(&after);
        let cursor = moved.then(|| serde_json::json!(after));
        // What has one time came newest first too.
        self.new.reverse();
        self.new.sort_by_key(|item| item.at);
        (self.new, cursor)
    }
}
