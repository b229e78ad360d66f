//! What a person picks by name: playlists, devices.

use engine::fault::Fault;
use engine::port::{Choice, Choices, OptionsCx, OptionsSpec};
use serde::Deserialize;
use serde_json::Value;

use super::WEB;
use crate::call::{ApiCall, Caller, Paging};

static ME: ApiCall = ApiCall::get(&WEB, "get-current-users-profile", "me");
static PLAYLISTS: ApiCall =
    ApiCall::get(&WEB, "get-a-list-of-current-users-playlists", "me/playlists").scopes(PLAYLIST.scopes);
static DEVICES: ApiCall =
    ApiCall::get(&WEB, "get-a-users-available-devices", "me/player/devices").scopes(DEVICE.scopes);

/// Offered at once.
const MOST: usize = 100;
/// Pages that are looked through for them, of 50 playlists each: nobody has many more than 11,000.
const PAGES: usize = 250;

/// The playlists of an account that it may change. The collaborative ones of others are there where `playlist-read-collaborative` was
/// granted too, and no list fails for that.
pub static PLAYLIST: OptionsSpec =
    OptionsSpec { name: "playlist", scopes: &["playlist-read-private"], list: |cx| Box::pin(playlists(cx)) };
/// What an account can play on just now.
pub static DEVICE: OptionsSpec =
    OptionsSpec { name: "device", scopes: &["user-read-playback-state"], list: |cx| Box::pin(devices(cx)) };

#[derive(Deserialize)]
struct Me {
    id: String,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    name: Option<String>,
    owner: Option<Owner>,
    collaborative: Option<bool>,
}

#[derive(Deserialize)]
struct Owner {
    id: Option<String>,
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
    let caller = Caller::options(&cx)?;
    let me: Me = caller.json(&ME.ask()).await?;
    let (mut ask, mut fit) = (Some(PLAYLISTS.ask().query("limit", 50)), Vec::new());
    for _ in 0..PAGES {
        let Some(page_of) = ask.take() else { break };
        let mut page: Value = caller.json(&page_of).await?;
        // Spotify sends null for what it no longer shows.
        let listed = page["items"].as_array_mut().into_iter().flatten();
        let listed = listed.filter_map(|listed| Listed::deserialize(listed.take()).ok());
        fit.extend(Choices::of(listed.filter_map(|listed| choice(listed, &me)), cx.q, usize::MAX, false).items);
        if fit.len() > MOST {
            break;
        }
        ask = Paging::Link { at: "/next" }.next(&page_of, &page);
    }
    Ok(Choices::of(fit, cx.q, MOST, ask.is_some()))
}

/// One that can be added to: one's own, or one that its owner lets others change. Those that are merely followed cannot.
fn choice(listed: Listed, me: &Me) -> Option<Choice> {
    let owner = listed.owner.unwrap_or(Owner { id: None, display_name: None });
    let may_change = owner.id.as_ref() == Some(&me.id) || listed.collaborative == Some(true);
    let title = listed.name.unwrap_or_default();
    may_change.then_some(Choice { value: listed.id, title, detail: owner.display_name })
}

async fn devices(cx: OptionsCx<'_>) -> Result<Choices, Fault> {
    let found: Devices = Caller::options(&cx)?.json(&DEVICES.ask()).await?;
    let choices = found.devices.into_iter().filter_map(|device| {
        Some(Choice { value: device.id?, title: device.name, detail: Some(device.r#type.to_lowercase()) })
    });
    Ok(Choices::of(choices, cx.q, MOST, false))
}
