//! Triggers on what the engine itself tells, in a service's native feed `changes`: one trigger a kind of item, which is also its name.

use engine::port::{Invalid, Verdict};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The params of such a trigger: of whose changes it is told.
pub(crate) trait Watched: DeserializeOwned {
    /// JSON pointer to the one param.
    const PARAM: &'static str;
    /// What the param must be.
    const IS: &'static str;

    /// Why an item is none of those that are watched.
    fn leaves(&self, item: &Value) -> Option<String>;
}

/// A trigger on the items of one kind in `FEED`, which like its `Watched` stands beside it.
macro_rules! change {
    ($(#[$doc:meta])* $id:ident, $name:literal, $title:literal, $description:literal, $event:literal) => {
        $(#[$doc])*
        pub static $id: engine::port::ActionSpec = engine::port::ActionSpec {
            name: $name,
            title: $title,
            description: $description,
            params: engine::port::params::<Watched>,
            sample_params: "{}",
            sample_event: $event,
            scopes: &[],
            about: engine::port::About::NONE,
            feed: &FEED,
            feed_params: |_| serde_json::json!({}),
            select: |data, item, _| crate::changes::select::<Watched>($name, data, item),
            view: None,
            check: crate::changes::check::<Watched>,
        };
    };
}
pub(crate) use change;

pub(crate) fn select<W: Watched>(kind: &str, data: &Value, item: &Value) -> Verdict {
    let found = item["kind"].as_str().unwrap_or_default();
    if found != kind {
        return Verdict::Leave(format!("kind is `{found}`, not `{kind}`"));
    }
    W::deserialize(data).ok().and_then(|watched| watched.leaves(item)).map_or(Verdict::Take, Verdict::Leave)
}

pub(crate) fn check<W: Watched>(data: &Value) -> Vec<Invalid> {
    match W::deserialize(data) {
        Ok(_) => Vec::new(),
        Err(e) => vec![Invalid::new(W::PARAM, format!("must be {}: {e}", W::IS))],
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use engine::port::{ActionSpec, Verdict};
    use serde_json::Value;

    /// `left`: a part of the reason why an item is left.
    #[track_caller]
    pub(crate) fn check(spec: &ActionSpec, data: Value, item: Value, left: Option<&str>) {
        match ((spec.select)(&data, &item, None), left) {
            (Verdict::Take, None) => {}
            (Verdict::Leave(why), Some(part)) => assert!(why.contains(part), "{why}"),
            (verdict, _) => panic!("{}: {verdict:?} for {data} on {item}", spec.name),
        }
    }
}
