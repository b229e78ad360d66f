//! Where a page of a list ended, as text that means something to us alone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The text for `at` in the list `list`.
pub fn write(list: &str, at: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list}:{at}"))
}

/// What [`write()`] wrote for the same list.
pub fn read(list: &str, text: &str) -> Option<i64> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    text.strip_prefix(list)?.strip_prefix(':')?.parse().ok()
}

/// As [`write()`], for a list whose place is two numbers.
pub fn write_pair(list: &str, at: (i64, i64)) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list}:{}:{}", at.0, at.1))
}

/// What [`write_pair`] wrote for the same list.
pub fn read_pair(list: &str, text: &str) -> Option<(i64, i64)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (first, second) = text.strip_prefix(list)?.strip_prefix(':')?.split_once(':')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

/// A page: up to `limit` of `rows`, of which one more was asked for to know whether there are more. `at` is where a row stands.
pub fn page<R>(list: &str, mut rows: Vec<R>, limit: i64, at: impl Fn(&R) -> i64) -> (Vec<R>, Option<String>) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|last| write(list, at(last)));
    (rows, next)
}

/// `{"items": […], "next": cursor|null}`
pub fn list(items: Vec<Value>, next: Option<String>) -> Value {
    json!({"items": items, "next": next})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_of_one_list() {
        assert_eq!(read("areas", &write("areas", -7)), Some(-7));
        assert_eq!(read("runs", &write("areas", 7)), None);
        assert_eq!(read("areas", "x"), None);
        assert_eq!(read("areas", ""), None);
    }

    #[test]
    fn a_page_has_a_next_only_where_there_is_more() {
        let of = |rows: Vec<i64>| page("l", rows, 2, |row| *row);
        assert_eq!(of(vec![9, 8, 7]), (vec![9, 8], Some(write("l", 8))));
        assert_eq!(of(vec![9, 8]), (vec![9, 8], None));
        assert_eq!(of(vec![]), (vec![], None));
    }
}
