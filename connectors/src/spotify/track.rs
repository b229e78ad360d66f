//! A track as events carry it.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// What people map of a track.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Track {
    /// Its URI, which reactions take: `spotify:track:…`.
    pub uri: String,
    /// Its id; null for a file of one's own.
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// The names of its artists, in one text.
    pub artist: String,
    /// The names of its artists, one by one.
    pub artists: Vec<String>,
    /// The name of its album.
    pub album: String,
    /// The album's URI.
    pub album_uri: Option<String>,
    /// When the album came out: a year, a month or a day.
    pub released: Option<String>,
    /// Its page at Spotify.
    pub link: Option<String>,
    /// The album's picture, the largest that there is.
    pub image: Option<String>,
    /// How long it is, in milliseconds.
    pub duration_ms: u64,
    /// How long it is, as `3:05`.
    pub duration: String,
    /// Whether its words are marked as explicit.
    pub explicit: bool,
    /// What identifies the recording everywhere (ISRC), where Spotify says it.
    pub isrc: Option<String>,
}

/// A track as Spotify sends it: what we read of it. Whatever it does not know of one comes as null, or not at all.
#[derive(Debug, Deserialize)]
pub struct Sent {
    uri: String,
    id: Option<String>,
    #[serde(default, deserialize_with = "or_none")]
    name: String,
    #[serde(default, deserialize_with = "or_none")]
    artists: Vec<Option<Named>>,
    #[serde(default, deserialize_with = "or_none")]
    album: Album,
    #[serde(default)]
    external_urls: Value,
    #[serde(default)]
    external_ids: Value,
    #[serde(default, deserialize_with = "or_none")]
    duration_ms: u64,
    #[serde(default, deserialize_with = "or_none")]
    explicit: bool,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Album {
    #[serde(deserialize_with = "or_none")]
    name: String,
    uri: Option<String>,
    release_date: Option<String>,
    #[serde(deserialize_with = "or_none")]
    images: Vec<Option<Image>>,
}

#[derive(Debug, Deserialize)]
struct Image {
    url: Option<String>,
    width: Option<u64>,
}

/// Null as nothing: an empty text, zero.
fn or_none<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

impl Sent {
    /// Identifies it, also where it has no id.
    pub fn uri(&self) -> &str {
        &self.uri
    }
}

impl From<Sent> for Track {
    fn from(sent: Sent) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let artists: Vec<String> = sent.artists.into_iter().flatten().filter_map(|artist| artist.name).collect();
        let seconds = sent.duration_ms / 1000;
        Self {
            artist: artists.join(", "),
            artists,
            image: sent.album.images.into_iter().flatten().max_by_key(|image| image.width).and_then(|image| image.url),
            album: sent.album.name,
            album_uri: sent.album.uri,
            released: sent.album.release_date,
            link: text(&sent.external_urls["spotify"]),
            isrc: text(&sent.external_ids["isrc"]),
            duration: format!("{}:{:02}", seconds / 60, seconds % 60),
            duration_ms: sent.duration_ms,
            explicit: sent.explicit,
            uri: sent.uri,
            id: sent.id,
            name: sent.name,
        }
    }
}

/// Whether one of the event's artists is called so, whatever the case; an empty name is everybody's.
pub fn is_by(event: &Value, artist: &str) -> Result<(), String> {
    let wanted = artist.trim().to_lowercase();
    let named = event["artists"].as_array().into_iter().flatten().filter_map(Value::as_str);
    match wanted.is_empty() || named.into_iter().any(|name| name.to_lowercase().contains(&wanted)) {
        true => Ok(()),
        false => Err(format!("artist is {}, not `{artist}`", event["artist"])),
    }
}
