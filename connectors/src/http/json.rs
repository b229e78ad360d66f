//! Pointers into an answer: a list, an item's key, a value; and a word for what was found in their place.

use engine::port::Invalid;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Bytes of a key; a longer one is known by its hash.
const MAX_KEY: usize = 200;
/// Members of an object that a sentence names.
const MEMBERS: usize = 8;

/// What is wrong with a JSON pointer in `field`.
pub fn check_pointer(field: &str, pointer: &str) -> Option<Invalid> {
    let why = if !pointer.is_empty() && !pointer.starts_with('/') {
        format!("`{pointer}` is not a JSON pointer: it is empty (the whole) or begins with `/`, like `/data/items`")
    } else if pointer.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1'])) {
        format!("`{pointer}` is not a JSON pointer: `~` is written `~0` and `/` in a name `~1`")
    } else {
        return None;
    };
    Some(Invalid::new(field, why))
}

/// Takes the list at `pointer` out of an answer.
///
/// # Errors
/// Says what was found instead.
pub fn take_list(mut answer: Value, pointer: &str) -> Result<Vec<Value>, String> {
    match answer.pointer_mut(pointer).map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        Some(other) => Err(format!("{} is {}, not a list", place(pointer), found(&other))),
        None => Err(format!("there is nothing at `{pointer}` in the answer, which is {}", found(&answer))),
    }
}

/// The key of the item at `index`.
///
/// # Errors
/// Says what was found instead.
pub fn key_of(item: &Value, pointer: &str, index: usize) -> Result<String, String> {
    let text = match item.pointer(pointer) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(other) => {
            return Err(format!("the key of item {index} at `{pointer}` is {}, not text or a number", found(other)));
        }
        None => return Err(format!("item {index} has no key at `{pointer}`; it is {}", found(item))),
    };
    Ok(if text.len() > MAX_KEY { format!("sha256:{}", hex::encode(Sha256::digest(text))) } else { text })
}

/// What `value` is, in a few words.
pub fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(s) if s.is_empty() => "an empty text".to_owned(),
        Value::String(_) => "a text".to_owned(),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(members) if members.is_empty() => "an empty object".to_owned(),
        Value::Object(members) => {
            let names: Vec<_> =
                members.keys().take(MEMBERS).map(|name| format!("`{}`", engine::net::printable(name, 40))).collect();
            let more = if members.len() > MEMBERS { " …" } else { "" };
            format!("an object with {}{more}", names.join(", "))
        }
    }
}

fn place(pointer: &str) -> String {
    if pointer.is_empty() { "the answer".to_owned() } else { format!("`{pointer}` in the answer") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_is_taken_or_what_is_there_is_said() {
        let check = |pointer: &str, want: Result<usize, &str>| {
            let answer = json!({"data": {"items": [1, 2], "a/b": [], "n": 7, "e": {}}});
            assert_eq!(take_list(answer, pointer).map(|items| items.len()), want.map_err(str::to_owned));
        };
        check("/data/items", Ok(2));
        check("/data/a~1b", Ok(0));
        check("/data/n", Err("`/data/n` in the answer is a number, not a list"));
        check("/data/e", Err("`/data/e` in the answer is an empty object, not a list"));
        check("", Err("the answer is an object with `data`, not a list"));
        check("/no", Err("there is nothing at `/no` in the answer, which is an object with `data`"));
    }

    #[test]
    fn keys_are_text_or_numbers() {
        let check = |item: Value, want: Result<&str, &str>| match (key_of(&item, "/id", 3), want) {
            (Ok(key), Ok(want)) => assert_eq!(key, want),
            (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
            (got, _) => panic!("{item}: {got:?}"),
        };
        check(json!({"id": "a b"}), Ok("a b"));
        check(json!({"id": 18_446_744_073_709_551_615_u64}), Ok("18446744073709551615"));
        check(json!({"id": -1}), Ok("-1"));
        check(json!({"id": null}), Err("item 3 at `/id` is null"));
        check(json!({"id": ""}), Err("an empty text"));
        check(json!({"id": ["a"]}), Err("a list of 1"));
        check(json!({"ID": 1}), Err("item 3 has no key at `/id`; it is an object with `ID`"));
        check(json!("x"), Err("it is a text"));
        assert_eq!(key_of(&json!("x"), "", 0), Ok("x".to_owned()));
        let long = key_of(&json!({"id": "x".repeat(300)}), "/id", 0).unwrap();
        assert!(long.starts_with("sha256:") && long.len() == 71);
    }

    #[test]
    fn pointers_are_checked() {
        let check = |pointer: &str, fine: bool| assert_eq!(check_pointer("/key", pointer).is_none(), fine, "{pointer}");
        ["", "/", "/a/b", "/a~0b", "/a~1b/0"].iter().for_each(|p| check(p, true));
        ["a", "a/b", "$.a", "/a~", "/a~2", "#/a"].iter().for_each(|p| check(p, false));
    }
}
