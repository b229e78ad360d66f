//! Spotify's error bodies: `{"error": {"status", "message", "reason"}}` (developer.spotify.com/documentation/web-api/concepts/api-calls).
//! A missing scope is a 403 `Insufficient client scope`, once also a 401 `Permissions missing`; a quota that is used up is a 429 with
//! the reason `QUOTA_EXCEEDED` (…/references/changes/july-2026), any other 429 the rate limit of 30 seconds. Some refusals are a line of
//! plain text: the 403 `User not registered in the Developer Dashboard` (github.com/jwilsson/spotify-web-api-php/issues/260).

use engine::net::Answer;
use engine::port::Share;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use crate::call::{Reason, Said};

/// Reads one; `None` where the body is none.
pub fn said(answer: &Answer) -> Option<Said> {
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else { return line(answer) };
    let error = body.get("error")?;
    let text = |name: &str| error[name].as_str().unwrap_or_default();
    let (message, reason) = (text("message"), text("reason"));
    let words = if reason.is_empty() { message.to_owned() } else { format!("{message} ({reason})") };
    let known = match (answer.status.as_u16(), message, reason) {
        (429, _, "QUOTA_EXCEEDED") => Some(Reason::Quota(Share::App)),
        (403, "Insufficient client scope", _) | (401, "Permissions missing", _) => Some(Reason::Scope),
        _ => None,
    };
    Some(Said { reason: known, words })
}

/// A body that is a text for people, and no page.
fn line(answer: &Answer) -> Option<Said> {
    let kind = answer.header(CONTENT_TYPE)?.to_ascii_lowercase();
    let words = answer.text().trim().to_owned();
    let is_page = kind.starts_with("text/html") || words.starts_with('<');
    (kind.starts_with("text/") && !is_page).then_some(Said { reason: None, words })
}
