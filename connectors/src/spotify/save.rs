//! The reaction `spotify.save`. It asks first what is in the library already: saving again would move it to the top.

use engine::fault::Fault;
use engine::port::{About, Guarantee, Invalid, ReactCx, Reacted, ReactionSpec, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::add_to_playlist::Tracks;
use super::older::either;
use super::uri::Uri;
use super::{TRIED, WEB};
use crate::call::{ApiCall, Ask, Caller};

static HAS: ApiCall = ApiCall::get(&WEB, "check-library-contains", "me/library/contains").scopes(SPEC.scopes);
static HAS_OLDER: ApiCall = ApiCall::get(&WEB, "check-users-saved-tracks", "me/tracks/contains").scopes(SPEC.scopes);
static SAVE: ApiCall = ApiCall::put(&WEB, "save-library-items", "me/library").scopes(SPEC.scopes);
static SAVE_OLDER: ApiCall = ApiCall::put(&WEB, "save-tracks-user", "me/tracks").scopes(SPEC.scopes);

/// What Spotify takes at once.
const BATCH: usize = 40;
/// What is remembered under this: which endpoints the app has.
const WHAT: &str = "library";
/// What may be saved.
const KINDS: &[&str] = &["track", "album", "episode", "show", "audiobook"];

/// What to save.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Save {
    /// One thing or a list of them, each by its URI or its link: tracks, albums, episodes, shows, audiobooks. A bare id is a track's.
    #[schemars(example = "{{ event.uri }}")]
    items: Tracks,
}

/// What was done.
#[derive(Debug, Serialize, JsonSchema)]
struct Output {
    /// The URIs that were saved.
    saved: Vec<String>,
    /// The URIs that were in the library already.
    skipped: Vec<String>,
}

/// See the module.
pub static SPEC: ReactionSpec = ReactionSpec {
    name: "save",
    title: "Save to your library",
    description: "Saves tracks, albums, episodes, shows or audiobooks to your library.",
    params: params::<Save>,
    sample_params: r#"{"items": ["spotify:track:4iV5W9uYEdYUVa79Axb7Rh", "https://open.spotify.com/album/2up3OPMp9Tb4dAKM2erWXQ"]}"#,
    sample_output: r#"{"saved": ["spotify:track:4iV5W9uYEdYUVa79Axb7Rh"], "skipped": ["spotify:album:2up3OPMp9Tb4dAKM2erWXQ"]}"#,
    scopes: &["user-library-modify", "user-library-read"],
    about: About { cost: "2 calls for up to 40 things", tried: TRIED, gives: Some(params::<Output>), large: &[] },
    guarantee: Guarantee::Checked,
    check,
    react: |cx| Box::pin(react(cx)),
};

fn check(data: &Value) -> Vec<Invalid> {
    let many = data["items"].as_array().map_or(0, Vec::len);
    let places = std::iter::once("/items".to_owned()).chain((0..many).map(|n| format!("/items/{n}")));
    let wrong = places.filter_map(|at| {
        let text = data.pointer(&at)?.as_str().filter(|text| !text.contains("{{"))?;
        Uri::read(text, KINDS).err().map(|why| Invalid::new(at, why))
    });
    wrong.collect()
}

async fn react(cx: ReactCx<'_>) -> Result<Reacted, Fault> {
    let save = Save::deserialize(cx.params).map_err(|e| Fault::rejected(format!("spotify.save: {e}")))?;
    let (caller, wanted) = (Caller::react(&cx)?, save.items.read(KINDS)?);
    let mut output = Output { saved: Vec::new(), skipped: Vec::new() };
    for some in wanted.chunks(BATCH) {
        let (ask, answer) = either(&caller, WHAT, newer(&HAS, some), older(&HAS_OLDER, some)).await?;
        let has: Vec<bool> = caller.read(&ask, &answer)?;
        if has.len() != some.len() {
            return Err(Fault::later("Spotify told of another number of things than it was asked about"));
        }
        let (there, missing): (Vec<_>, Vec<_>) = some.iter().zip(has).partition(|(_, has)| *has);
        output.skipped.extend(there.into_iter().map(|(uri, _)| uri.to_string()));
        let missing: Vec<Uri> = missing.into_iter().map(|(uri, _)| uri.clone()).collect();
        if !missing.is_empty() {
            either(&caller, WHAT, newer(&SAVE, &missing), older(&SAVE_OLDER, &missing)).await?;
            output.saved.extend(missing.iter().map(ToString::to_string));
        }
    }
    Ok(Reacted::Done(json!(output)))
}

fn newer(call: &'static ApiCall, uris: &[Uri]) -> Ask {
    let uris: Vec<String> = uris.iter().map(ToString::to_string).collect();
    call.ask().query("uris", uris.join(","))
}

/// The older endpoints are one a kind; of them only the tracks' are spoken.
fn older(call: &'static ApiCall, uris: &[Uri]) -> Option<Ask> {
    let ids: Vec<&str> = uris.iter().filter(|uri| uri.kind == "track").map(|uri| uri.id.as_str()).collect();
    let ask = || match std::ptr::eq(call, &SAVE_OLDER) {
        true => call.ask().json(&json!({ "ids": ids })),
        false => call.ask().query("ids", ids.join(",")),
    };
    (ids.len() == uris.len()).then(ask)
}
