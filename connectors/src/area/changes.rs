//! The actions `area.paused`, `area.run_failed` and `area.silent`: three selections on one native feed.
//!
//! The engine makes an item where it commits what the item is about: `{"kind", "area": {"id", "name"}, "reason", "run"?, "at"}`.

use engine::ids::AreaId;
use engine::port::{FeedKind, FeedSpec};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::changes::{self, change};

static FEED: FeedSpec = FeedSpec { name: "changes", kind: FeedKind::Native };

/// Which AREAs are watched.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Watched {
    /// The AREA to watch; all of yours where it is left out.
    #[serde(default)]
    area: Option<AreaId>,
}

impl changes::Watched for Watched {
    const PARAM: &'static str = "/area";
    const IS: &'static str = "the id of an AREA";

    fn leaves(&self, item: &Value) -> Option<String> {
        let id = item["area"]["id"].as_str().unwrap_or_default();
        let area = self.area.filter(|area| id.parse().ok() != Some(*area))?;
        Some(format!("area is `{id}`, not `{area}`"))
    }
}

change!(
    /// An AREA was paused.
    PAUSED,
    "paused",
    "An AREA is paused",
    "One of your AREAs was paused, by its user or because it kept failing.",
    r#"{
        "kind": "paused", "area": {"id": "019a9f3e-7c1b-7cc2-9d0e-3a1f6f1f7a10", "name": "Mail to note"},
        "reason": "8 runs in a row failed: 404 not found", "at": "2026-11-20T09:00:00Z"
    }"#
);
change!(
    /// A run failed for good.
    RUN_FAILED,
    "run_failed",
    "A run fails",
    "A run of one of your AREAs failed and is not tried again.",
    r#"{
        "kind": "run_failed", "area": {"id": "019a9f3e-7c1b-7cc2-9d0e-3a1f6f1f7a10", "name": "Mail to note"},
        "reason": "404 not found", "run": "247160815681536", "at": "2026-11-20T09:00:00Z"
    }"#
);
change!(
    /// An AREA saw no event for as long as its policy names.
    SILENT,
    "silent",
    "An AREA is silent",
    "One of your AREAs saw no event for as long as its `silence` policy names.",
    r#"{
        "kind": "silent", "area": {"id": "019a9f3e-7c1b-7cc2-9d0e-3a1f6f1f7a10", "name": "Mail to note"},
        "reason": "no event for 2d", "at": "2026-11-20T09:00:00Z"
    }"#
);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::changes::tests::check;

    const ONE: &str = "019a9f3e-7c1b-7cc2-9d0e-3a1f6f1f7a10";

    #[test]
    fn a_selection_takes_its_kind_and_its_area() {
        let paused = json!({"kind": "paused", "area": {"id": ONE, "name": "x"}});
        check(&PAUSED, json!({}), paused.clone(), None);
        check(&PAUSED, json!({"area": null}), paused.clone(), None);
        check(&PAUSED, json!({"area": ONE}), paused.clone(), None);
        check(&PAUSED, json!({"area": ONE.to_uppercase()}), paused.clone(), None);
        check(&PAUSED, json!({"area": ONE.replace("10", "11")}), paused.clone(), Some("area is"));
        check(&SILENT, json!({}), paused.clone(), Some("kind is `paused`, not `silent`"));
        check(&RUN_FAILED, json!({"area": ONE}), paused, Some("kind is"));
        check(&PAUSED, json!({}), json!({}), Some("kind is"));
        check(&PAUSED, json!({"area": ONE}), json!({"kind": "paused"}), Some("area is"));
    }

    #[test]
    fn an_id_that_is_none_is_found() {
        assert_eq!((PAUSED.check)(&json!({"area": "x"}))[0].pointer, "/area");
        assert_eq!((PAUSED.check)(&json!({})), []);
    }
}
