//! Filters on text.

use minijinja::Value;

use super::strip::strip_tags;
use super::{Call, Filter, filter};
use crate::template::budget::Bounded;
use crate::template::eval::is_null;
use crate::template::output;

pub(super) static FILTERS: [Filter; 15] = [
    filter(
        "default",
        &["other", "also_empty"],
        1,
        default,
        "`other` where the value is missing or null; with `also_empty` also where it is empty, 0 or false.",
    )
    .seeing_missing(),
    filter("d", &["other", "also_empty"], 1, default, "Short for `default`.").seeing_missing(),
    filter("string", &[], 0, string, "The value as text; a null is an empty text.").seeing_null(),
    filter(
        "lower",
        &[],
        0,
        |c| {
            let t = c.text()?;
            c.made(t.to_lowercase())
        },
        "In small letters.",
    ),
    filter(
        "upper",
        &[],
        0,
        |c| {
            let t = c.text()?;
            c.made(t.to_uppercase())
        },
        "In capital letters.",
    ),
    filter("capitalize", &[], 0, capitalize, "The first letter a capital, the others small."),
    filter("title", &[], 0, title, "The first letter of each word a capital."),
    filter("trim", &["chars"], 0, trim, "Without white space, or without `chars`, at both ends."),
    filter("replace", &["old", "new"], 2, replace, "Every `old` becomes `new`."),
    filter(
        "split",
        &["separator", "most"],
        0,
        split,
        "A list of the parts between `separator` (default: white space), at most `most`.",
    ),
    filter("lines", &[], 0, lines, "A list of the lines."),
    filter("truncate", &["length", "end"], 1, truncate, "At most `length` characters, `end` (default `…`) among them."),
    filter("slug", &[], 0, slug, "Small letters and digits, joined by single hyphens: for names in URLs."),
    filter(
        "strip_tags",
        &[],
        0,
        |c| {
            let t = c.text()?;
            c.made(strip_tags(&t))
        },
        "The text of an HTML fragment: paragraphs become lines, scripts and styles go.",
    ),
    filter("escape", &[], 0, escape, "For use inside HTML: `<`, `>`, `&`, `\"` and `'` become entities."),
];

fn default(call: &mut Call<'_>) -> Result<Value, String> {
    let empty = is_null(&call.value) || (call.arg_true(1) && !call.value.is_true());
    Ok(if empty { call.args[0].clone().unwrap_or_default() } else { call.value.clone() })
}

fn string(call: &mut Call<'_>) -> Result<Value, String> {
    let text = output::text(&call.value, call.budget)?.into_owned();
    call.made(text)
}

fn capitalize(call: &mut Call<'_>) -> Result<Value, String> {
    let text = call.text()?;
    let mut letters = text.chars();
    let first: String = letters.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    call.made(first + &letters.as_str().to_lowercase())
}

fn title(call: &mut Call<'_>) -> Result<Value, String> {
    let text = call.text()?;
    let (mut out, mut inside) = (String::with_capacity(text.len()), false);
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphanumeric() || c == '\'' || c == '’';
    }
    call.made(out)
}

fn trim(call: &mut Call<'_>) -> Result<Value, String> {
    let text = call.text()?;
    match call.arg_text(0)? {
        Some(chars) => call.made(text.trim_matches(|c| chars.contains(c))),
        None => call.made(text.trim()),
    }
}

fn replace(call: &mut Call<'_>) -> Result<Value, String> {
    let (text, old, new) = (call.text()?, call.need_text(0)?, call.arg_text(1)?.unwrap_or_default());
    if old.is_empty() {
        return Err("`replace` needs a text that is not empty for `old`".to_owned());
    }
    let found = text.matches(&*old).count();
    call.budget.text((text.len() - found * old.len()).saturating_add(found.saturating_mul(new.len())))?;
    Ok(Value::from(text.replace(&*old, &new)))
}

fn split(call: &mut Call<'_>) -> Result<Value, String> {
    let text = call.text()?;
    let most = call.arg_whole(1)?.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(1).max(1));
    let parts: Vec<&str> = match call.arg_text(0)? {
        Some(separator) if separator.is_empty() => return Err("`split` needs a separator that is not empty".to_owned()),
        Some(separator) => {
            call.budget.list(text.matches(&*separator).take(most.saturating_sub(1)).count() + 1)?;
            return Ok(Value::from(text.splitn(most, &*separator).map(Value::from).collect::<Vec<_>>()));
        }
        None if most == usize::MAX => text.split_whitespace().collect(),
        None => text.trim().splitn(most, char::is_whitespace).map(str::trim).collect(),
    };
    call.budget.list(parts.len())?;
    Ok(Value::from(parts.into_iter().map(Value::from).collect::<Vec<_>>()))
}

fn lines(call: &mut Call<'_>) -> Result<Value, String> {
    let text = call.text()?;
    call.budget.list(text.lines().count())?;
    Ok(Value::from(text.lines().map(Value::from).collect::<Vec<_>>()))
}

fn truncate(call: &mut Call<'_>) -> Result<Value, String> {
    let text = call.text()?;
    let length = call.arg_whole(0)?.and_then(|n| usize::try_from(n).ok());
    let length = length.ok_or_else(|| "`truncate` needs a length of 0 or more".to_owned())?;
    let end = call.arg_text(1)?.unwrap_or("…".into());
    if text.chars().nth(length).is_none() {
        return call.made(text);
    }
    let kept = length.saturating_sub(end.chars().count());
    let head: String = text.chars().take(kept).collect();
    call.made(head.trim_end().to_owned() + &end.chars().take(length).collect::<String>())
}

fn slug(call: &mut Call<'_>) -> Result<Value, String> {
    let text = call.text()?;
    let mut out = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') && c != '\'' && c != '’' {
            out.push('-');
        }
    }
    call.made(out.trim_end_matches('-'))
}

fn escape(call: &mut Call<'_>) -> Result<Value, String> {
    let text = call.text()?;
    let mut out = Bounded::new(call.budget);
    let mut rest = &*text;
    while let Some(at) = rest.find(['<', '>', '&', '"', '\'']) {
        out.push(&rest[..at])?;
        out.push(match rest.as_bytes()[at] {
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'&' => "&amp;",
            b'"' => "&quot;",
            _ => "&#39;",
        })?;
        rest = &rest[at + 1..];
    }
    out.push(rest)?;
    out.finish().map(Value::from)
}
