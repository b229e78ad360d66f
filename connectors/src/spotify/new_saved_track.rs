//! The action `spotify.new_saved_track`: the library's tracks, newest first. A backlog is read to the end of what is new before the
//! mark moves, a part of it a poll.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use engine::fault::Fault;
use engine::port::{About, ActionSpec, Cadence, FeedKind, FeedSpec, Invalid, Page, PollCx, Verdict, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::track::{Sent, Track, is_by};
use super::window::{Thing, Window};
use super::{TRIED, WEB};
use crate::call::{ApiCall, Caller};
use crate::when::{localize, times};

static SAVED: ApiCall = ApiCall::get(&WEB, "get-users-saved-tracks", "me/tracks").scopes(SPEC.scopes);

/// The most that Spotify gives at once.
const LIMIT: u64 = 50;
/// Pages are read this much over one another: who takes a track away meanwhile moves the others up.
const OVERLAP: u64 = 5;
/// Pages read in one go, before they are recorded.
const PAGES: u64 = 10;
/// How late a track may appear in the list.
const LAG: TimeDelta = TimeDelta::minutes(15);

/// Which tracks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Only tracks of an artist whose name holds this: `Nina Simone`. All where it is left out.
    #[serde(default)]
    #[schemars(example = "Nina Simone")]
    artist: String,
    /// The time zone of the event's local times: `Europe/Paris`.
    #[serde(default = "utc")]
    #[schemars(example = "Europe/Paris")]
    zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// A track that was saved.
#[derive(Debug, Serialize, JsonSchema)]
struct Event {
    #[serde(flatten)]
    track: Track,
    /// When it was saved, in UTC.
    added_at: String,
    /// The same as clocks in `zone` show it.
    added_at_local: String,
}

/// See the module.
pub static SPEC: ActionSpec = ActionSpec {
    name: "new_saved_track",
    title: "You save a track",
    description: "Fires for each track that comes into your library (Liked Songs), oldest first. A large import comes in parts, its newest \
        part first. A track that is saved under an older date, as some importers do, is not told.",
    params: params::<Filter>,
    sample_params: r#"{"artist": "Nina Simone", "zone": "Europe/Paris"}"#,
    sample_event: r#"{
        "uri": "spotify:track:4iV5W9uYEdYUVa79Axb7Rh", "id": "4iV5W9uYEdYUVa79Axb7Rh", "name": "Sinnerman",
        "artist": "Nina Simone", "artists": ["Nina Simone"], "album": "Pastel Blues",
        "album_uri": "spotify:album:2up3OPMp9Tb4dAKM2erWXQ", "released": "1965-10",
        "link": "https://open.spotify.com/track/4iV5W9uYEdYUVa79Axb7Rh", "image": "https://i.scdn.co/image/ab67616d",
        "duration_ms": 622000, "duration": "10:22", "explicit": false, "isrc": "USPR36500052",
        "added_at": "2026-11-06T08:49:37Z", "added_at_local": "2026-11-06T09:49:37+01:00"
    }"#,
    scopes: &["user-library-read"],
    about: About {
        cost: "1 call a poll; 1 more for each 45 tracks that are new or came in the 15 minutes before",
        tried: TRIED,
        gives: Some(params::<Event>),
        large: &[],
    },
    feed: &FEED,
    feed_params: |_| json!({}),
    select: |data, event, _| select(data, event),
    view: Some(|data, event| localize(data, event, "added_at")),
    check,
};

static FEED: FeedSpec = FeedSpec {
    name: "saved_tracks",
    kind: FeedKind::Polled {
        floor: Duration::from_secs(30),
        default: Duration::from_secs(120),
        cadence: Cadence::Interval,
        poll: |cx| Box::pin(poll(cx)),
    },
};

pub(super) fn select(data: &Value, event: &Value) -> Verdict {
    let artist = Filter::deserialize(data).map(|filter| filter.artist).unwrap_or_default();
    match is_by(event, &artist) {
        Ok(()) => Verdict::Take,
        Err(why) => Verdict::Leave(why),
    }
}

pub(super) fn check(data: &Value) -> Vec<Invalid> {
    match Filter::deserialize(data) {
        Ok(filter) => {
            engine::zone::zone(&filter.zone).err().map(|why| Invalid::new("/zone", why)).into_iter().collect()
        }
        Err(wrong) => vec![Invalid::new("", wrong.to_string())],
    }
}

#[derive(Deserialize)]
struct List {
    items: Vec<Value>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    added_at: DateTime<Utc>,
    track: Option<Sent>,
}

async fn poll(cx: PollCx<'_>) -> Result<Page, Fault> {
    let caller = Caller::poll(&cx)?;
    let mut window = Window::open(&cx, LAG)?;
    let mut offset = window.cursor.as_ref().and_then(|cursor| cursor.walk).map_or(0, |(place, _)| place);
    let mut goes_on = None;
    for _ in 0..PAGES {
        let ask = SAVED.ask().query("limit", LIMIT).maybe("offset", (offset > 0).then_some(offset));
        let list = caller.json(&ask).await.map_err(Fault::from);
        let read = list.and_then(|List { items, next }| Ok((window.read(&SAVED, items, thing)?, next)));
        let (things, next) = match read {
            // What was read is recorded; it is asked again from here, and what comes of that is told.
            Err(_) if goes_on.is_some() => break,
            other => other?,
        };
        if window.take(things) || next.is_none() {
            goes_on = None;
            break;
        }
        offset += LIMIT - OVERLAP;
        goes_on = Some(offset);
    }
    Ok(window.close(goes_on))
}

fn thing(entry: Entry) -> Option<Thing> {
    let (track, at) = (entry.track?, entry.added_at);
    let (added_at, added_at_local) = times(at, "UTC", SecondsFormat::AutoSi);
    let key = format!("{}@{added_at}", track.uri());
    let event = Event { track: track.into(), added_at, added_at_local };
    Some(Thing { key, at, body: json!(event) })
}
