//! The reaction `spotify.add_to_playlist`. A repetition reads before it writes: an entry of a track that was added after the run's
//! birth is taken for its own, and is not added again. The first attempt looks for none: what is liked or played twice is added twice.
//! With `no_duplicates` any entry counts.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use engine::net::Answer;
use engine::port::{About, Guarantee, Invalid, ReactCx, Reacted, ReactionSpec, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::older::either;
use super::uri::Uri;
use super::{TRIED, WEB};
use crate::call::{ApiCall, Ask, Caller, Paging, Refused};

static READ: ApiCall = ApiCall::get(&WEB, "get-playlists-items", "playlists/{id}/items").scopes(SPEC.scopes);
static READ_OLDER: ApiCall = ApiCall::get(&WEB, "get-playlists-tracks", "playlists/{id}/tracks").scopes(SPEC.scopes);
static ADD: ApiCall = ApiCall::post(&WEB, "add-items-to-playlist", "playlists/{id}/items").scopes(SPEC.scopes);
static ADD_OLDER: ApiCall = ApiCall::post(&WEB, "add-tracks-to-playlist", "playlists/{id}/tracks").scopes(SPEC.scopes);

/// Tracks that Spotify takes at once.
const BATCH: usize = 100;
/// Entries that Spotify gives at once.
const LIMIT: usize = 50;
/// Entries at the place of writing that are read for what an earlier attempt may have added.
const NEAR: usize = 100;
/// By how much Spotify's clock may be behind ours: an entry that is older than the run by no more than this may be its own.
const BEHIND: TimeDelta = TimeDelta::minutes(2);
/// Tracks of one call of this reaction.
const MOST: usize = 1000;
/// What is read of an entry.
const FIELDS: &str = "items(added_at,item(uri),track(uri)),next,total";
/// What is remembered under this: which endpoints the app has.
const WHAT: &str = "playlist_items";
/// What may be in a playlist.
const KINDS: &[&str] = &["track", "episode"];

/// What goes where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Add {
    /// The playlist: its id, its URI or its link. It must be your own, or one that you may change.
    #[schemars(extend("x-options" = "playlist"), example = "3cEYpjA9oz9GiPac4AsH4n")]
    playlist: String,
    /// What to add: one track or a list of them, each by its URI, its link or its id; episodes by their URI or link.
    #[schemars(example = "{{ event.uri }}")]
    tracks: Tracks,
    /// Where to put it: 0 is the beginning; at the end where it is left out.
    #[serde(default)]
    #[schemars(example = 0)]
    position: Option<u32>,
    /// Whether what is in the playlist already is left out. The whole playlist is read for it.
    #[serde(default)]
    no_duplicates: bool,
}

/// One or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(super) enum Tracks {
    One(#[schemars(length(min = 1))] String),
    Many(#[schemars(length(max = 1000))] Vec<String>),
}

impl Tracks {
    /// Each once, in order.
    ///
    /// # Errors
    /// What is none.
    pub fn read(self, kinds: &[&str]) -> Result<Vec<Uri>, Fault> {
        let all = match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        };
        if all.len() > MOST {
            return Err(Fault::rejected(format!("{} are more than the {MOST} that one step may name", all.len())));
        }
        let mut seen = HashSet::new();
        let uris: Result<Vec<Uri>, String> = all.iter().map(|text| Uri::read(text, kinds)).collect();
        Ok(uris.map_err(Fault::rejected)?.into_iter().filter(|uri| seen.insert(uri.to_string())).collect())
    }
}

/// What was done.
#[derive(Debug, Serialize, JsonSchema)]
struct Output {
    /// The playlist's URI.
    playlist: String,
    /// The URIs that were added, or were by an earlier attempt.
    added: Vec<String>,
    /// The URIs that were there already.
    skipped: Vec<String>,
    /// The playlist's version after it; null where nothing had to be added.
    snapshot_id: Option<String>,
}

/// See the module.
pub static SPEC: ReactionSpec = ReactionSpec {
    name: "add_to_playlist",
    title: "Add to a playlist",
    description: "Puts tracks or episodes into one of your playlists.",
    params: params::<Add>,
    sample_params: r#"{"playlist": "3cEYpjA9oz9GiPac4AsH4n", "tracks": "spotify:track:4iV5W9uYEdYUVa79Axb7Rh", "no_duplicates": true}"#,
    sample_output: r#"{"playlist": "spotify:playlist:3cEYpjA9oz9GiPac4AsH4n", "added": ["spotify:track:4iV5W9uYEdYUVa79Axb7Rh"],
        "skipped": [], "snapshot_id": "AAAAB8C+GjVHq8v4vzStbL6AUYzo1cDV"}"#,
    scopes: &["playlist-modify-public", "playlist-modify-private", "playlist-read-private"],
    about: About {
        cost: "1 call for each 100 tracks, up to 3 more for each where it is repeated; with `no_duplicates` 1 more for each 50 entries of the playlist",
        tried: TRIED,
        gives: Some(params::<Output>),
        large: &[],
    },
    guarantee: Guarantee::Checked,
    check,
    react: |cx| Box::pin(react(cx)),
};

fn check(data: &Value) -> Vec<Invalid> {
    let text = |at: &str, kinds: &[&str]| {
        let text = data.pointer(at)?.as_str().filter(|text| !text.contains("{{"))?;
        Uri::read(text, kinds).err().map(|why| Invalid::new(at, why))
    };
    let many = data["tracks"].as_array().map_or(0, Vec::len);
    let places = (0..many).map(|n| format!("/tracks/{n}"));
    let wrong = places.filter_map(|at| text(&at, KINDS));
    text("/playlist", &["playlist"]).into_iter().chain(text("/tracks", KINDS)).chain(wrong).collect()
}

async fn react(cx: ReactCx<'_>) -> Result<Reacted, Fault> {
    let add = Add::deserialize(cx.params).map_err(|e| Fault::rejected(format!("spotify.add_to_playlist: {e}")))?;
    let playlist = Uri::read(&add.playlist, &["playlist"]).map_err(Fault::rejected)?;
    let wanted = add.tracks.read(KINDS)?;
    let at = Playlist { caller: Caller::react(&cx)?, id: &playlist.id };
    let there = match (add.no_duplicates, cx.repeated) {
        (true, _) => at.all().await?,
        (false, true) => at.near(add.position, wanted.len()).await?,
        (false, false) => Vec::new(),
    };
    let is_ours = |entry: &&Entry| cx.repeated && entry.added_at >= Some(cx.born - BEHIND);
    let ours: HashSet<&str> = there.iter().filter(is_ours).filter_map(Entry::uri).collect();
    let known: HashSet<&str> = match add.no_duplicates {
        true => there.iter().filter_map(Entry::uri).collect(),
        false => HashSet::new(),
    };
    let mut output =
        Output { playlist: playlist.to_string(), added: Vec::new(), skipped: Vec::new(), snapshot_id: None };
    let (mut missing, mut done) = (Vec::new(), 0);
    for uri in wanted.iter().map(ToString::to_string) {
        match (ours.contains(uri.as_str()), known.contains(uri.as_str())) {
            (true, _) => {
                done += 1;
                output.added.push(uri);
            }
            (false, true) => output.skipped.push(uri),
            (false, false) => missing.push(uri),
        }
    }
    for (number, some) in missing.chunks(BATCH).enumerate() {
        let position = add.position.map(|position| position as usize + done + number * BATCH);
        output.snapshot_id = Some(at.add(some, position).await?);
    }
    output.added.extend(missing);
    Ok(Reacted::Done(json!(output)))
}

struct Playlist<'a> {
    caller: Caller<'a>,
    id: &'a str,
}

#[derive(Deserialize)]
struct Entry {
    added_at: Option<DateTime<Utc>>,
    item: Option<Named>,
    track: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    uri: String,
}

impl Entry {
    fn uri(&self) -> Option<&str> {
        self.item.as_ref().or(self.track.as_ref()).map(|named| named.uri.as_str())
    }
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    items: Vec<Entry>,
    total: usize,
}

impl Playlist<'_> {
    /// Every entry.
    async fn all(&self) -> Result<Vec<Entry>, Fault> {
        let (ask, first) = self.page(0).await?;
        let all = self.caller.rest::<Entry>(ask, &first, "/items", Paging::Link { at: "/next" }).await?;
        match all.cut {
            false => Ok(all.items),
            true => Err(Fault::rejected("the playlist is too long to be searched for duplicates")),
        }
    }

    /// The entries about the place where we write.
    async fn near(&self, position: Option<u32>, wanted: usize) -> Result<Vec<Entry>, Fault> {
        let near = NEAR.max(wanted);
        let mut from = position.map_or(0, |position| position as usize);
        let mut list = self.list(from).await?;
        if position.is_none() && list.total > near {
            from = list.total - near;
            list = self.list(from).await?;
        }
        let (mut entries, to) = (list.items, (from + near).min(list.total));
        while from + LIMIT < to {
            from += LIMIT;
            entries.extend(self.list(from).await?.items);
        }
        Ok(entries)
    }

    async fn list(&self, from: usize) -> Result<List, Refused> {
        let (ask, answer) = self.page(from).await?;
        self.caller.read(&ask, &answer)
    }

    async fn page(&self, from: usize) -> Result<(Ask, Answer), Refused> {
        either(&self.caller, WHAT, self.read(&READ, from), Some(self.read(&READ_OLDER, from))).await
    }

    fn read(&self, call: &'static ApiCall, from: usize) -> Ask {
        let ask = call.ask().at("id", self.id).query("fields", FIELDS).query("limit", LIMIT);
        // Without it episodes would come as tracks.
        ask.query("additional_types", "track,episode").maybe("offset", (from > 0).then_some(from))
    }

    async fn add(&self, uris: &[String], position: Option<usize>) -> Result<String, Refused> {
        let mut body = json!({ "uris": uris });
        if let Some(position) = position {
            body["position"] = json!(position);
        }
        let ask = |call: &'static ApiCall| call.ask().at("id", self.id).json(&body);
        let (ask, answer) = either(&self.caller, WHAT, ask(&ADD), Some(ask(&ADD_OLDER))).await?;
        let answer: Value = self.caller.read(&ask, &answer)?;
        Ok(answer["snapshot_id"].as_str().unwrap_or_default().to_owned())
    }
}
