//! The actions `account.needs_reconnect` and `account.expires_soon`: two selections on one native feed.
//!
//! The engine makes an item once for each loss and each known end:
//! `{"kind", "account": {"id", "provider", "who"}, "reason" or "ends_at", "at"}`.

use engine::port::{FeedKind, FeedSpec};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::changes::{self, change};

static FEED: FeedSpec = FeedSpec { name: "changes", kind: FeedKind::Native };

/// Which accounts are watched.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Watched {
    /// Only accounts of this provider, as in `google`; all of yours where it is left out.
    #[serde(default)]
    provider: Option<String>,
}

impl changes::Watched for Watched {
    const PARAM: &'static str = "/provider";
    const IS: &'static str = "the name of a provider";

    fn leaves(&self, item: &Value) -> Option<String> {
        let provider = item["account"]["provider"].as_str().unwrap_or_default();
        let wanted = self.provider.as_deref().filter(|wanted| *wanted != provider)?;
        Some(format!("provider is `{provider}`, not `{wanted}`"))
    }
}

change!(
    /// An account must be linked again.
    NEEDS_RECONNECT,
    "needs_reconnect",
    "An account must be linked again",
    "The provider no longer takes what one of your accounts holds: its AREAs are paused until you link it again.",
    r#"{
        "kind": "needs_reconnect",
        "account": {"id": "019a9f3e-7c1b-7cc2-9d0e-3a1f6f1f7a10", "provider": "google", "who": "ann@example.org"},
        "reason": "https://oauth2.googleapis.com/token answered invalid_grant", "at": "2026-11-20T09:00:00Z"
    }"#
);
change!(
    /// An account ends soon.
    EXPIRES_SOON,
    "expires_soon",
    "An account ends soon",
    "The provider lets one of your accounts end in 14 days or less, whatever is done: link it again before.",
    r#"{
        "kind": "expires_soon",
        "account": {"id": "019a9f3e-7c1b-7cc2-9d0e-3a1f6f1f7a10", "provider": "spotify", "who": "ann"},
        "ends_at": "2026-12-04T09:00:00Z", "at": "2026-11-20T09:00:00Z"
    }"#
);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::changes::tests::check;

    #[test]
    fn a_selection_takes_its_kind_and_its_provider() {
        let lost = json!({"kind": "needs_reconnect", "account": {"provider": "google"}});
        check(&NEEDS_RECONNECT, json!({}), lost.clone(), None);
        check(&NEEDS_RECONNECT, json!({"provider": "google"}), lost.clone(), None);
        check(&NEEDS_RECONNECT, json!({"provider": "spotify"}), lost.clone(), Some("provider is `google`"));
        check(&EXPIRES_SOON, json!({}), lost, Some("kind is `needs_reconnect`, not `expires_soon`"));
        check(&EXPIRES_SOON, json!({}), json!({}), Some("kind is"));
    }

    #[test]
    fn a_provider_that_is_no_text_is_found() {
        assert_eq!((EXPIRES_SOON.check)(&json!({"provider": 5}))[0].pointer, "/provider");
    }
}
