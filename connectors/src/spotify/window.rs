//! Lists that Spotify gives newest first, each thing with its time: what is new since the newest that is known, looked for a while
//! further back, because things come late (a phone that was offline). Shared by the feeds.

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use engine::port::{Item, Page, PollCx};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::known::Known;
use crate::call::ApiCall;

/// What is remembered between polls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cursor<'a> {
    /// What is older than this by more than the lag is known. An earlier version wrote none where nothing had been there.
    pub top: Option<DateTime<Utc>>,
    /// A backlog is being read: where it goes on, and the newest of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub walk: Option<(u64, DateTime<Utc>)>,
    /// What is known of what is not older. See [`Known`].
    #[serde(borrow, default)]
    known: Cow<'a, str>,
    /// The same as an earlier version wrote it.
    #[serde(borrow, default, skip_serializing)]
    seen: Cow<'a, str>,
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

/// What a poll knows at its start, and what it meets.
pub struct Window<'a> {
    /// From this instant on things may be new.
    pub floor: Option<DateTime<Utc>>,
    /// The cursor.
    pub cursor: Option<Cursor<'a>>,
    lag: TimeDelta,
    now: DateTime<Utc>,
    /// Nothing is known yet: all that is there is old.
    baseline: bool,
    /// All below the newest that is known is known, and nothing can come late there any more.
    settled: bool,
    known: Known,
    new: Vec<Item>,
    left_out: usize,
    newest: Option<DateTime<Utc>>,
    oldest: Option<DateTime<Utc>>,
}

impl<'a> Window<'a> {
    /// Reads the cursor; things come late by no more than `lag`.
    ///
    /// # Errors
    /// `Resync` where it cannot be read.
    pub fn open(cx: &PollCx<'a>, lag: TimeDelta) -> Result<Self, Fault> {
        let cursor = cx.cursor.map(Cursor::deserialize).transpose();
        let cursor = cursor.map_err(|_| Fault::resync("the cursor cannot be read"))?;
        let (top, walk) = cursor.as_ref().map_or((None, None), |cursor| (cursor.top, cursor.walk));
        let newest = walk.map(|(_, newest)| newest);
        let known = match &cursor {
            Some(cursor) if !cursor.seen.is_empty() => {
                Known::read_undated(&cursor.seen, newest.max(top).unwrap_or_default())?
            }
            other => Known::read(other.as_ref().map_or("", |cursor| &cursor.known))?,
        };
        Ok(Self {
            floor: top.map(|top| top - lag).or(cx.since),
            lag,
            now: cx.now,
            baseline: cursor.is_none() && cx.since.is_none(),
            settled: walk.is_none() && top.is_some_and(|top| cx.now - top > lag),
            cursor,
            known,
            new: Vec::new(),
            left_out: 0,
            newest,
            oldest: None,
        })
    }

    /// Reads a page's entries one by one, for an odd one must not stop the feed; how many are left out is told. What is no track has
    /// no thing: Spotify sends null for what it no longer has.
    ///
    /// # Errors
    /// `Later` where none can be read: then it is another list than we know.
    pub fn read<E: DeserializeOwned>(
        &mut self,
        call: &ApiCall,
        entries: Vec<Value>,
        thing: impl Fn(E) -> Option<Thing>,
    ) -> Result<Vec<Thing>, Fault> {
        let (count, mut odd, mut things) = (entries.len(), None, Vec::new());
        for entry in entries {
            match E::deserialize(entry) {
                Ok(entry) => things.extend(thing(entry).filter(|thing| is_a_time(thing.at))),
                Err(error) => odd = Some(error),
            }
        }
        self.left_out += count - things.len();
        match odd {
            Some(error) if things.is_empty() => {
                Err(Fault::later(format!("{} answered {} with another shape: {error}", call.api.title, call.name)))
            }
            _ => Ok(things),
        }
    }

    /// Takes a page, newest first. True: it reaches back to what is known.
    pub fn take(&mut self, things: Vec<Thing>) -> bool {
        self.newest = things.iter().map(|thing| thing.at).chain(self.newest).max();
        self.oldest = things.iter().map(|thing| thing.at).chain(self.oldest).min();
        if self.baseline && self.floor.is_none() {
            // A baseline: no further back than what may still be taken for late.
            self.floor = self.newest.map(|newest| newest - self.lag);
        }
        let reaches = things.iter().any(|thing| self.floor.is_some_and(|floor| thing.at < floor));
        let (there, before) = (!things.is_empty(), self.new.len());
        for thing in things {
            let late = self.baseline || self.floor.is_none_or(|floor| thing.at >= floor);
            if late && self.known.add(&thing.key, thing.at) {
                self.new.push(Item { key: thing.key, body: thing.body, at: Some(thing.at) });
            }
        }
        reaches || self.settled && there && self.new.len() == before
    }

    /// What is new, oldest first, and the cursor behind it if it moved; `goes_on`: where the backlog goes on.
    pub fn close(mut self, goes_on: Option<u64>) -> Page {
        // Where nothing was there, what comes from now on is new, and not all that there is: an empty answer may be a mishap.
        let top = self.floor.unwrap_or(self.now - self.lag) + self.lag;
        let newest = self.newest.map_or(top, |newest| newest.max(top));
        let (top, walk) = match goes_on {
            Some(place) if !self.baseline => (top, Some((place, newest))),
            // What is there at a baseline is old, read or not: what it did not reach lies below the floor.
            Some(_) => (self.oldest.map_or(newest, |oldest| oldest + TimeDelta::seconds(1) + self.lag), None),
            None => (newest, None),
        };
        self.known.forget_before(top - self.lag);
        let after = Cursor { top: Some(top), walk, known: self.known.text().into(), seen: Cow::default() };
        let moved = self.cursor.as_ref() != Some(&after);
        // What has one time came newest first too.
        self.new.reverse();
        self.new.sort_by_key(|item| item.at);
        let cursor = moved.then(|| serde_json::json!(after));
        let answer = match self.left_out {
            0 => "200".to_owned(),
            count => format!("200; entries without a track that can be read, left out: {count}"),
        };
        Page { items: self.new, cursor, more: walk.is_some(), answer, gap: None }
    }
}

/// Whether something can have happened then, as Spotify is not older than we count: from 1970 to 2106.
fn is_a_time(at: DateTime<Utc>) -> bool {
    u32::try_from(at.timestamp()).is_ok()
}
