//! Filters on regular expressions (the `regex` crate: no look-around, no back-references, linear time).

use std::sync::LazyLock;

use minijinja::Value;
use moka::sync::Cache;
use regex::{Captures, Regex, RegexBuilder};

use super::{Call, Filter, filter};
use crate::template::budget::Bounded;

/// Bytes of a pattern.
const PATTERN_BYTES: usize = 1000;
/// Bytes of a compiled pattern, and what searching one byte with it is charged in bytes of work. A hostile pattern costs a
/// step per byte and state, so a larger one may search less: 1 MiB, 256 KiB, 64 KiB, 16 KiB of text for one document.
const SIZES: [(usize, usize); 4] = [(16 << 10, 32), (64 << 10, 128), (256 << 10, 512), (1 << 20, 2048)];
/// Bytes of the states that one search keeps.
const DFA_BYTES: usize = 512 * 1024;
/// Bytes of a text that is searched.
const TEXT_BYTES: usize = 256 * 1024;
/// Patterns kept compiled, for all AREAs together.
const KEPT: u64 = 64;
/// What compiling a pattern is charged, in bytes of work.
const COMPILE_COST: usize = 1024 * 1024;

/// Compiled patterns with what searching one byte costs.
static PATTERNS: LazyLock<Cache<String, (Regex, usize)>> = LazyLock::new(|| Cache::new(KEPT));

pub(super) static FILTERS: [Filter; 4] = [
    filter(
        "regex_match",
        &["pattern"],
        1,
        matches,
        "Whether `pattern` is found anywhere in the text; `^` and `$` bind it to the ends.",
    ),
    filter(
        "regex_find",
        &["pattern", "group"],
        1,
        find,
        "What `pattern` found first, or its group (by number or name; default: group 1 if there is one); null if nothing.",
    ),
    filter("regex_findall", &["pattern", "group"], 1, find_all, "Everything that `pattern` found, as a list."),
    filter(
        "regex_replace",
        &["pattern", "new"],
        2,
        replace,
        "Every match becomes `new`, in which `$1` or `${name}` is a group.",
    ),
];

fn compiled(call: &mut Call<'_>) -> Result<(Regex, usize), String> {
    let pattern = call.need_text(0)?.into_owned();
    if let Some(known) = PATTERNS.get(&pattern) {
        return Ok(known);
    }
    if pattern.len() > PATTERN_BYTES {
        return Err(format!("a pattern has at most {PATTERN_BYTES} bytes"));
    }
    call.budget.work(COMPILE_COST)?;
    for (size, cost) in SIZES {
        match RegexBuilder::new(&pattern).size_limit(size).dfa_size_limit(DFA_BYTES).build() {
            Ok(regex) => {
                PATTERNS.insert(pattern, (regex.clone(), cost));
                return Ok((regex, cost));
            }
            Err(regex::Error::CompiledTooBig(_)) => {}
            Err(e) => {
                return Err(format!(
                    "the pattern cannot be read: {}",
                    e.to_string().lines().last().unwrap_or_default()
                ));
            }
        }
    }
    Err("the pattern is too large: use smaller repetitions".to_owned())
}

/// The pattern and the text to search, paid for.
fn search(call: &mut Call<'_>) -> Result<(Regex, String), String> {
    let text = call.text()?.into_owned();
    if text.len() > TEXT_BYTES {
        return Err(format!("a text of at most {TEXT_BYTES} bytes can be searched (`|truncate` makes it shorter)"));
    }
    let (regex, cost) = compiled(call)?;
    call.budget.work(text.len().saturating_mul(cost)).map_err(|_| {
        "too much is searched with too large a pattern: make the text shorter (`|truncate`) or the pattern smaller"
            .to_owned()
    })?;
    Ok((regex, text))
}

fn matches(call: &mut Call<'_>) -> Result<Value, String> {
    let (regex, text) = search(call)?;
    Ok(Value::from(regex.is_match(&text)))
}

/// Which part of a match is meant.
fn group(call: &Call<'_>, regex: &Regex) -> Result<usize, String> {
    let Some(group) = call.arg(1) else {
        return Ok(usize::from(regex.captures_len() > 1));
    };
    let place = match group.as_str() {
        Some(name) => regex.capture_names().position(|known| known == Some(name)),
        None => group.as_usize().filter(|place| *place < regex.captures_len()),
    };
    place.ok_or_else(|| format!("the pattern has no group {group}"))
}

fn find(call: &mut Call<'_>) -> Result<Value, String> {
    let (regex, text) = search(call)?;
    let group = group(call, &regex)?;
    match regex.captures(&text).and_then(|found| found.get(group)) {
        Some(found) => call.made(found.as_str()),
        None => Ok(Value::from(())),
    }
}

fn find_all(call: &mut Call<'_>) -> Result<Value, String> {
    let (regex, text) = search(call)?;
    let group = group(call, &regex)?;
    let mut found = Vec::new();
    for captures in regex.captures_iter(&text) {
        call.budget.lengthen(found.len(), 1)?;
        found.push(captures.get(group).map_or_else(|| Value::from(()), |part| Value::from(part.as_str())));
    }
    Ok(Value::from(found))
}

fn replace(call: &mut Call<'_>) -> Result<Value, String> {
    let new = call.arg_text(1)?.unwrap_or_default().into_owned();
    let (regex, text) = search(call)?;
    let longest_part =
        |found: &Captures<'_>| found.get(0).map_or(0, |all| all.len()).saturating_mul(new.matches('$').count());
    let mut out = Bounded::new(call.budget);
    let mut behind = 0;
    for found in regex.captures_iter(&text) {
        let Some(all) = found.get(0) else { continue };
        out.push(&text[behind..all.start()])?;
        out.room(new.len().saturating_add(longest_part(&found)))?;
        let mut part = String::new();
        found.expand(&new, &mut part);
        out.push(&part)?;
        behind = all.end();
    }
    out.push(&text[behind..])?;
    out.finish().map(Value::from)
}
