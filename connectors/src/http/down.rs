//! The action `http.down`: a selection on the feed `health`.

use engine::port::{About, ActionSpec, params};

use super::health::{self, Health};

/// See the module.
pub static SPEC: ActionSpec = ActionSpec {
    name: "down",
    title: "An address goes down",
    description: "Fires when an address does not answer, or answers with a failure, several times in a row.",
    params: params::<Health>,
    sample_params: r#"{"url": "https://example.com/health", "failures": 3}"#,
    sample_event: r#"{
        "state": "down", "url": "https://example.com/health", "at": "2026-11-06T08:49:37Z", "since": "2026-11-06T08:47:37Z",
        "status": 503, "why": "it answered 503 Service Unavailable"
    }"#,
    scopes: &[],
    about: About::NONE,
    feed: &health::FEED,
    feed_params: health::feed_params,
    select: |_, item, _| health::select(item, "down"),
    view: None,
    check: health::check,
};
