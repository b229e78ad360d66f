//! Newer and older endpoints: since February 2026 new apps have `/playlists/{id}/items` and `/me/library`, and are refused the older
//! ones; older apps with an extended quota may know only those. Which an app has is told by what Spotify answers, and remembered.

use engine::net::Answer;

use super::WEB;
use crate::call::{Ask, Caller, Reason, Refused};

/// The value that is remembered where an app has the older endpoints.
const OLDER: &str = "older";

/// Sends the newer call, or the older one where the app has that; where the one is refused as not there or not allowed, the other is
/// tried, and what worked is remembered. A refusal of both is the first one's: then it is about something else. Gives what worked.
///
/// # Errors
/// The refusal.
pub async fn either(
    caller: &Caller<'_>,
    what: &'static str,
    newer: Ask,
    older: Option<Ask>,
) -> Result<(Ask, Answer), Refused> {
    let api = caller.api(&WEB)?;
    let has_older = api.recall(what, caller.now).as_deref() == Some(OLDER);
    let (first, second) = match (has_older, older) {
        (true, Some(older)) => (older, Some(newer)),
        (_, older) => (newer, older),
    };
    let refused = match caller.send(&first).await {
        Ok(answer) => return Ok((first, answer)),
        Err(refused) => refused,
    };
    let Some(second) = second.filter(|_| is_about_the_endpoint(&refused)) else { return Err(refused) };
    match caller.send(&second).await {
        Ok(answer) => {
            api.remember(what, if has_older { "newer" } else { OLDER }, caller.now);
            Ok((second, answer))
        }
        Err(again) if is_about_the_endpoint(&again) => Err(refused),
        Err(again) => Err(again),
    }
}

fn is_about_the_endpoint(refused: &Refused) -> bool {
    matches!(refused.reason, Reason::Missing | Reason::Forbidden)
}
