//! The actions `account.needs_reconnect` and `account.expires_soon`: two selections on one native feed.
//!
//! The engine makes an item once for each loss and each known end:
//! `{"kind", "account": {"id", "provider", "who"}, "reason" or "ends_at", "at"}`.

use engine::port::{About, ActionSpec, FeedKind, FeedSpec, Invalid, Verdict, params};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

static FEED: FeedSpec = FeedSpec { name: "changes", kind: FeedKind::Native };

/// Which accounts are watched.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Watched {
    /// Only accounts of this provider, as in `google`; all of yours where it is left out.
    #[serde(default)]
    provider: Option<String>,
}

/// A trigger on the items of one kind, which is also its name.
macro_rules! change {
    ($(#[$doc:meta])* $id:ident, $name:literal, $title:literal, $description:literal, $event:literal) => {
        $(#[$doc])*
        pub static $id: ActionSpec = ActionSpec {
            name: $name,
            title: $title,
            description: $description,
            params: params::<Watched>,
            sample_params: "{}",
            sample_event: $event,
            scopes: &[],
            about: About::NONE,
            feed: &FEED,
            feed_params: |_| json!({}),
            select: |data, item, _| select($name, data, item),
            check,
        };
    };
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

fn select(kind: &str, data: &Value, item: &Value) -> Verdict {
    let found = item["kind"].as_str().unwrap_or_default();
    if found != kind {
        return Verdict::Leave(format!("kind is `{found}`, not `{kind}`"));
    }
    let provider = item["account"]["provider"].as_str().unwrap_or_default();
    match Watched::deserialize(data).ok().and_then(|watched| watched.provider) {
        Some(wanted) if wanted != provider => Verdict::Leave(format!("provider is `{provider}`, not `{wanted}`")),
        _ => Verdict::Take,
    }
}

fn check(data: &Value) -> Vec<Invalid> {
    match Watched::deserialize(data) {
        Ok(_) => Vec::new(),
        Err(e) => vec![Invalid::new("/provider", format!("must be the name of a provider: {e}"))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(spec: &ActionSpec, data: Value, item: Value, left: Option<&str>) {
        match ((spec.select)(&data, &item, None), left) {
            (Verdict::Take, None) => {}
            (Verdict::Leave(why), Some(part)) => assert!(why.contains(part), "{why}"),
            (verdict, _) => panic!("{}: {verdict:?} for {data} on {item}", spec.name),
        }
    }

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
