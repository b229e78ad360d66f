//! What a person picks by name: playlists, devices.

use engine::fault::Fault;
use engine::port::{Choice, Choices, OptionsCx, OptionsSpec};
use serde::Deserialize;

use super::WEB;
use crate::call::{ApiCall, Caller, Paging};

static PLAYLISTS: ApiCall =
    ApiCall::get(&WEB, "get-a-list-of-current-users-playlists", "me/playlists").scopes(PLAYLIST.scopes);
static DEVICES: ApiCall =
    ApiCall::get(&WEB, "get-a-users-available-devices", "me/player/devices").scopes(DEVICE.scopes);

/// Offered at once.
const MOST: usize = 100;

/// The playlists of an account.
pub static PLAYLIST: OptionsSpec =
    OptionsSpec { name: "playlist", scopes: &["playlist-read-private"], list: |cx| Box::pin(playlists(cx)) };
/// What an account can play on just now.
pub static DEVICE: OptionsSpec =
    OptionsSpec { name: "device", scopes: &["user-read-playback-state"], list: |cx| Box::pin(devices(cx)) };

#[derive(Deserialize)]
struct Listed {
    id: String,
    name: String,
    owner: Option<Owner>,
}

#[derive(Deserialize)]
struct Owner {
    display_name: Option<String>,
}

#[derive(Deserialize)]
struct Devices {
    devices: Vec<Device>,
}

#[derive(Deserialize)]
struct Device {
    id: Option<String>,
    name: String,
    r#type: String,
}

async fn playlists(cx: OptionsCx<'_>) -> Result<Choices, Fault> {
    let ask = PLAYLISTS.ask().query("limit", 50);
    // Spotify sends null for what it no longer shows.
    let all = Caller::options(&cx)?.all::<Option<Listed>>(ask, "/items", Paging::Link { at: "/next" }).await?;
    let choices = all.items.into_iter().flatten().map(|listed| Choice {
        value: listed.id,
        title: listed.name,
        detail: listed.owner.and_then(|owner| owner.display_name),
    });
    Ok(Choices::of(choices, cx.q, MOST, all.cut))
}

async fn devices(cx: OptionsCx<'_>) -> Result<Choices, Fault> {
    let found: Devices = Caller::options(&cx)?.json(&DEVICES.ask()).await?;
    let choices = found.devices.into_iter().filter_map(|device| {
        Some(Choice { value: device.id?, title: device.name, detail: Some(device.r#type.to_lowercase()) })
    });
    Ok(Choices::of(choices, cx.q, MOST, false))
}
