//! The action `http.up`: a selection on the feed `health`.

use engine::port::{About, ActionSpec, params};

use super::health::{self, Health};

/// See the module.
pub static SPEC: ActionSpec = ActionSpec {
    name: "up",
    title: "An address is up again",
    description: "Fires when an address that was down answers again; `since` is when it went down.",
    params: params::<Health>,
    sample_params: r#"{"url": "https://example.com/health"}"#,
    sample_event: r#"{
        "state": "up", "url": "https://example.com/health", "at": "2026-11-06T08:52:37Z", "since": "2026-11-06T08:47:37Z",
        "status": 200, "why": "it answers"
    }"#,
    scopes: &[],
    about: About::NONE,
    feed: &health::FEED,
    feed_params: health::feed_params,
    select: |_, item, _| health::select(item, "up"),
    view: None,
    check: health::check,
};
