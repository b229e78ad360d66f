//! Spotify's error bodies: `{"error": {"status", "message", "reason"}}` (developer.spotify.com/documentation/web-api/concepts/api-calls).
//! A missing scope is a 403 `Insufficient client scope`, once also a 401 `Permissions missing`; a quota that is used up is a 429 with
//! the reason `QUOTA_EXCEEDED` (…/references/changes/july-2026), any other 429 the rate limit of 30 seconds.

use engine::net::Answer;
use engine::port::Share;
use serde_json::Value;

use crate::call::{Reason, Said};

/// Reads one; `None` where the body is none.
pub fn said(answer: &Answer) -> Option<Said> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
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
