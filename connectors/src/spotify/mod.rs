//! The service `spotify`: what is saved and played, playlists and the library. For the Web API as it is after February 2026; where an
//! app still has only the older endpoints, these are used, and that is remembered (`older`).

mod add_to_playlist;
mod errors;
#[cfg(test)]
mod feed_tests;
mod known;
mod new_saved_track;
mod older;
mod options;
mod save;
#[cfg(test)]
mod tests;
mod track;
mod track_played;
mod uri;
mod window;

use engine::port::Service;

use crate::call::ApiSpec;

/// The whole service.
pub static SPOTIFY: Service = Service {
    name: "spotify",
    title: "Spotify",
    description: "Watches what you save and play, and fills playlists and your library.",
    provider: Some("spotify"),
    options: &[&options::PLAYLIST, &options::DEVICE],
    actions: &[&new_saved_track::SPEC, &track_played::SPEC],
    reactions: &[&add_to_playlist::SPEC, &save::SPEC],
};

/// The Web API. Its quota is one of the app's, its numbers are not published: the pauses that it asks for are kept.
static WEB: ApiSpec = ApiSpec { name: "web", title: "Spotify", said: errors::said, batch: None };

/// What the parts were run against.
const TRIED: &str = "a stateful fake, with the newer endpoints and with the older ones alone, behind Prism, which checks every \
    request with Spotify's description of February 2026";
