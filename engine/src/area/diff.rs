//! What differs between two documents, as RFC 6902 operations that lead from one to the other.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::pointer::join;
use super::secrets::is_shown_secret;

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Op {
    /// A member or element that is new.
    Add {
        /// Where.
        path: String,
        /// What.
        value: Value,
    },
    /// A member or element that is gone.
    Remove {
        /// Where.
        path: String,
        /// What was there.
        old: Value,
    },
    /// A value that is another.
    Replace {
        /// Where.
        path: String,
        /// What is there.
        value: Value,
        /// What was there.
        old: Value,
    },
}

/// The operations that lead from `old` to `new`: applied in order they give `new`. Both are compared as they are (`opened`) and
/// told as they are `shown`, so that a secret that changed is told without being shown.
pub fn diff(old: Sides<'_>, new: Sides<'_>) -> Vec<Op> {
    let mut ops = Vec::new();
    go("", Some(old), Some(new), &mut ops);
    ops
}

/// One document twice: secrets in the clear, and as it is shown.
#[derive(Clone, Copy)]
pub struct Sides<'a> {
    /// To compare.
    pub opened: &'a Value,
    /// To tell.
    pub shown: &'a Value,
}

impl<'a> Sides<'a> {
    fn member(self, name: &str) -> Option<Self> {
        Some(Self { opened: self.opened.get(name)?, shown: self.shown.get(name)? })
    }

    fn element(self, at: usize) -> Option<Self> {
        Some(Self { opened: self.opened.get(at)?, shown: self.shown.get(at)? })
    }

    fn whole(self) -> bool {
        is_shown_secret(self.shown)
    }
}

fn go(path: &str, old: Option<Sides<'_>>, new: Option<Sides<'_>>, ops: &mut Vec<Op>) {
    let path = || path.to_owned();
    match (old, new) {
        (None, None) => {}
        (None, Some(new)) => ops.push(Op::Add { path: path(), value: new.shown.clone() }),
        (Some(old), None) => ops.push(Op::Remove { path: path(), old: old.shown.clone() }),
        (Some(old), Some(new)) => match (old.opened, new.opened) {
            (a, b) if a == b && old.whole() == new.whole() => {}
            (Value::Object(_), Value::Object(_)) if !old.whole() && !new.whole() => members(&path(), old, new, ops),
            (Value::Array(_), Value::Array(_)) if !old.whole() && !new.whole() => elements(&path(), old, new, ops),
            _ => ops.push(Op::Replace { path: path(), value: new.shown.clone(), old: old.shown.clone() }),
        },
    }
}

fn members(path: &str, old: Sides<'_>, new: Sides<'_>, ops: &mut Vec<Op>) {
    let names =
        |side: Sides<'_>| side.opened.as_object().into_iter().flat_map(|m| m.keys().cloned()).collect::<Vec<_>>();
    let mut all = [names(old), names(new)].concat();
    all.sort();
    all.dedup();
    for name in all {
        go(&join(path, &name), old.member(&name), new.member(&name), ops);
    }
}

/// Element by element; what is too much goes from the end, so that the indexes hold while the operations are applied.
fn elements(path: &str, old: Sides<'_>, new: Sides<'_>, ops: &mut Vec<Op>) {
    let length = |side: Sides<'_>| side.opened.as_array().map_or(0, Vec::len);
    let (before, after) = (length(old), length(new));
    for i in (0..before.max(after)).filter(|i| *i < before.min(after) || after > before) {
        go(&format!("{path}/{i}"), old.element(i), new.element(i), ops);
    }
    for i in (after..before).rev() {
        go(&format!("{path}/{i}"), old.element(i), None, ops);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(old: Value, new: Value, want: Value) {
        let side = |value| Sides { opened: value, shown: value };
        let ops = diff(side(&old), side(&new));
        assert_eq!(serde_json::to_value(&ops).unwrap(), want, "{old} -> {new}");
        let mut applied = old;
        ops.iter().for_each(|op| apply(&mut applied, op));
        assert_eq!(applied, new);
    }

    fn apply(document: &mut Value, op: &Op) {
        let (path, value) = match op {
            Op::Add { path, value } | Op::Replace { path, value, .. } => (path, Some(value.clone())),
            Op::Remove { path, .. } => (path, None),
        };
        let Some((parent, name)) = path.rsplit_once('/') else {
            *document = value.unwrap();
            return;
        };
        let name = name.replace("~1", "/").replace("~0", "~");
        match (document.pointer_mut(parent).unwrap(), value) {
            (Value::Object(members), Some(value)) => drop(members.insert(name, value)),
            (Value::Object(members), None) => drop(members.remove(&name)),
            (Value::Array(items), Some(value)) => match name.parse::<usize>().unwrap() {
                at if at < items.len() => items[at] = value,
                _ => items.push(value),
            },
            (Value::Array(items), None) => drop(items.remove(name.parse().unwrap())),
            _ => panic!("{parent} is neither"),
        }
    }

    #[test]
    fn differences_lead_from_one_to_the_other() {
        check(json!({"a": 1}), json!({"a": 1}), json!([]));
        check(
            json!({"a": 1, "b": {"c": [1, 2]}, "x/y": 0}),
            json!({"b": {"c": [1, 3], "d": null}, "e": 5, "x/y": 1}),
            json!([
                {"op": "remove", "path": "/a", "old": 1},
                {"op": "replace", "path": "/b/c/1", "value": 3, "old": 2},
                {"op": "add", "path": "/b/d", "value": null},
                {"op": "add", "path": "/e", "value": 5},
                {"op": "replace", "path": "/x~1y", "value": 1, "old": 0},
            ]),
        );
        check(
            json!([1, 2, 3]),
            json!([4]),
            json!([
                {"op": "replace", "path": "/0", "value": 4, "old": 1},
                {"op": "remove", "path": "/2", "old": 3},
                {"op": "remove", "path": "/1", "old": 2},
            ]),
        );
        check(
            json!([]),
            json!([1, 2]),
            json!([{"op": "add", "path": "/0", "value": 1}, {"op": "add", "path": "/1", "value": 2}]),
        );
        check(json!({"a": []}), json!({"a": {}}), json!([{"op": "replace", "path": "/a", "value": {}, "old": []}]));
    }

    #[test]
    fn a_secret_that_changed_is_told_without_being_shown() {
        let (one, two) = (json!({"h": {"k": "one"}}), json!({"h": {"k": "two"}}));
        let shown = json!({"h": {"$secret": true}});
        let ops = diff(Sides { opened: &one, shown: &shown }, Sides { opened: &two, shown: &shown });
        let secret = json!({"$secret": true});
        assert_eq!(ops, [Op::Replace { path: "/h".into(), value: secret.clone(), old: secret }]);
        assert_eq!(diff(Sides { opened: &one, shown: &shown }, Sides { opened: &one, shown: &shown }), []);
    }
}
