//! The action `spotify.track_played`: what was played, newest first. Spotify holds the last fifty plays alone: where they do not reach
//! back to what is known, some may be lost, and their owner is told.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use engine::fault::Fault;
use engine::port::{About, ActionSpec, Cadence, FeedKind, FeedSpec, Page, PollCx, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::new_saved_track::{Filter, check, select};
use super::track::{Sent, Track};
use super::window::{Thing, Window};
use super::{TRIED, WEB};
use crate::call::{ApiCall, Caller};
use crate::when::{localize, times};

static PLAYED: ApiCall = ApiCall::get(&WEB, "get-recently-played", "me/player/recently-played").scopes(SPEC.scopes);

/// The most that Spotify gives, and about all that it holds.
const LIMIT: usize = 50;
/// How late a play may appear: a device that was offline tells when it is back.
const LAG: TimeDelta = TimeDelta::hours(1);

/// A track that was played.
#[derive(Debug, Serialize, JsonSchema)]
struct Event {
    #[serde(flatten)]
    track: Track,
    /// When it was played, in UTC.
    played_at: String,
    /// The same as clocks in `zone` show it.
    played_at_local: String,
    /// What it was played from: `playlist`, `album`, `artist`; null where Spotify does not say.
    context: Option<String>,
    /// The URI of that.
    context_uri: Option<String>,
}

/// See the module.
pub static SPEC: ActionSpec = ActionSpec {
    name: "track_played",
    title: "You play a track",
    description: "Fires for each track that you have played (podcasts are not told), oldest first.",
    params: params::<Filter>,
    sample_params: r#"{"zone": "Europe/Paris"}"#,
    sample_event: r#"{
        "uri": "spotify:track:4iV5W9uYEdYUVa79Axb7Rh", "id": "4iV5W9uYEdYUVa79Axb7Rh", "name": "Sinnerman",
        "artist": "Nina Simone", "artists": ["Nina Simone"], "album": "Pastel Blues",
        "album_uri": "spotify:album:2up3OPMp9Tb4dAKM2erWXQ", "released": "1965-10",
        "link": "https://open.spotify.com/track/4iV5W9uYEdYUVa79Axb7Rh", "image": "https://i.scdn.co/image/ab67616d",
        "duration_ms": 622000, "duration": "10:22", "explicit": false, "isrc": null,
        "played_at": "2026-11-06T08:49:37.250Z", "played_at_local": "2026-11-06T09:49:37.250+01:00",
        "context": "playlist", "context_uri": "spotify:playlist:3cEYpjA9oz9GiPac4AsH4n"
    }"#,
    scopes: &["user-read-recently-played"],
    about: About { cost: "1 call a poll", tried: TRIED, gives: Some(params::<Event>), large: &[] },
    feed: &FEED,
    feed_params: |_| json!({}),
    select: |data, event, _| select(data, event),
    view: Some(|data, event| localize(data, event, "played_at")),
    check,
};

static FEED: FeedSpec = FeedSpec {
    name: "plays",
    kind: FeedKind::Polled {
        floor: Duration::from_secs(30),
        // Fifty plays are no less than 25 minutes: a track counts from its thirtieth second on.
        default: Duration::from_secs(300),
        cadence: Cadence::Interval,
        poll: |cx| Box::pin(poll(cx)),
    },
};

#[derive(Deserialize)]
struct List {
    items: Vec<Value>,
}

#[derive(Deserialize)]
struct Entry {
    played_at: DateTime<Utc>,
    track: Option<Sent>,
    context: Option<Value>,
}

async fn poll(cx: PollCx<'_>) -> Result<Page, Fault> {
    let mut window = Window::open(&cx, LAG)?;
    // Exclusive, so that what was played at that very millisecond comes too.
    let after = window.floor.map(|floor| floor.timestamp_millis() - 1);
    let ask = PLAYED.ask().query("limit", LIMIT).maybe("after", after);
    let list: List = Caller::poll(&cx)?.json(&ask).await?;
    let count = list.items.len();
    let things = window.read(&PLAYED, list.items, thing)?;
    let oldest = things.iter().map(|thing| thing.at).min();
    let top = window.cursor.as_ref().and_then(|cursor| cursor.top).or(cx.since);
    let gap = match (top, oldest) {
        (Some(top), Some(oldest)) if count >= LIMIT && oldest > top => {
            Some(format!("Spotify holds the last {count} plays: those from {top} to {oldest} may be missing"))
        }
        _ => None,
    };
    window.take(things);
    Ok(Page { gap, ..window.close(None) })
}

fn thing(entry: Entry) -> Option<Thing> {
    let (track, at) = (entry.track?, entry.played_at);
    let (played_at, played_at_local) = times(at, "UTC", SecondsFormat::AutoSi);
    let key = format!("{}@{}", track.uri(), at.timestamp_millis());
    let context = |name: &str| entry.context.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let (kind, uri) = (context("type"), context("uri"));
    let event = Event { track: track.into(), played_at, played_at_local, context: kind, context_uri: uri };
    Some(Thing { key, at, body: json!(event) })
}
