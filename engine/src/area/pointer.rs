//! JSON pointers (RFC 6901), built and followed.

use serde_json::Value;

/// `base` and one more member: `join("/a", "b/c")` is `/a/b~1c`.
pub fn join(base: &str, member: &str) -> String {
    format!("{base}/{}", member.replace('~', "~0").replace('/', "~1"))
}

/// Whether `pointer` is `base` or lies below it.
pub fn within(pointer: &str, base: &str) -> bool {
    pointer.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Calls `visit` with every value inside `value`, `value` first, and its pointer; below a value for which `visit` answers
/// `false` it does not look.
pub fn walk<'a>(value: &'a Value, visit: &mut impl FnMut(&str, &'a Value) -> bool) {
    go(value, "", visit);
}

fn go<'a>(value: &'a Value, at: &str, visit: &mut impl FnMut(&str, &'a Value) -> bool) {
    if !visit(at, value) {
        return;
    }
    match value {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                go(item, &format!("{at}/{i}"), visit);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                go(member, &join(at, name), visit);
            }
        }
        _ => {}
    }
}
