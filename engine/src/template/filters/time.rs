//! Filters on instants. What they read: RFC 3339, RFC 2822, `2026-11-20`, `2026-11-20 09:30` (UTC where no zone is written), and
//! numbers of seconds, milliseconds or microseconds since 1970, told apart by their size.

use std::fmt::Write;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use minijinja::Value;

use super::{Call, Filter, filter};
use crate::duration::Span;
use crate::template::ops;
use crate::zone::zone;

/// Bytes of a format.
const LONGEST_FORMAT: usize = 200;
/// Numbers from here on are milliseconds (before it: seconds, up to the year 5138).
const MILLIS_FROM: f64 = 1e11;
/// Numbers from here on are microseconds.
const MICROS_FROM: f64 = 1e14;

pub(super) static FILTERS: [Filter; 4] = [
    filter(
        "date",
        &["format", "zone"],
        0,
        date,
        "An instant as text: `date('%d.%m.%Y %H:%M', 'Europe/Paris')`. Without a format RFC 3339, without a zone UTC.",
    ),
    filter("plus", &["span"], 1, |c| moved(c, 1), "The instant later by a span such as `2d` or `1h30m`."),
    filter("minus", &["span"], 1, |c| moved(c, -1), "The instant earlier by a span such as `2d` or `1h30m`."),
    filter("timestamp", &[], 0, timestamp, "Seconds since 1970: to subtract one instant from another."),
];

fn instant(call: &Call<'_>) -> Result<DateTime<Utc>, String> {
    if call.value.is_number() {
        return from_number(call.number()?);
    }
    let Some(text) = call.value.as_str() else {
        return Err(format!("`{}` needs an instant, not {}", call.filter.name, ops::a(&call.value)));
    };
    from_text(text.trim()).ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        format!(
            "`{shown}` is not an instant: 2026-11-20T09:30:00Z (RFC 3339), RFC 2822 and seconds since 1970 are read"
        )
    })
}

fn from_number(number: f64) -> Result<DateTime<Utc>, String> {
    let micros = match number.abs() {
        n if n < MILLIS_FROM => number * 1e6,
        n if n < MICROS_FROM => number * 1e3,
        _ => number,
    };
    // Beyond i64 the cast saturates, and chrono refuses it.
    DateTime::from_timestamp_micros(micros.round() as i64).ok_or_else(|| format!("{number} is not an instant"))
}

fn from_text(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc2822(text)) {
        return Some(at.to_utc());
    }
    let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0));
    if let Some(naive) = naive {
        return Some(naive.and_utc());
    }
    from_number(text.parse::<f64>().ok().filter(|n| n.is_finite())?).ok()
}

fn date(call: &mut Call<'_>) -> Result<Value, String> {
    let at = instant(call)?;
    let zone = call.arg_text(1)?.map_or(Ok(chrono_tz::UTC), |name| zone(&name))?;
    let local = at.with_timezone(&zone);
    let Some(format) = call.arg_text(0)? else {
        return call.made(local.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    };
    if format.len() > LONGEST_FORMAT {
        return Err(format!("a date format has at most {LONGEST_FORMAT} bytes"));
    }
    let items: Vec<Item<'_>> = StrftimeItems::new(&format).collect();
    if items.contains(&Item::Error) {
        return Err(format!("`{format}` is not a date format: write for example `%Y-%m-%d %H:%M`"));
    }
    let mut out = String::new();
    write!(out, "{}", local.format_with_items(items.into_iter()))
        .map_err(|_| format!("`{format}` cannot print an instant"))?;
    call.made(out)
}

fn moved(call: &mut Call<'_>, sign: i64) -> Result<Value, String> {
    let at = instant(call)?;
    let span: Span = call.need_text(0)?.parse().map_err(|e: crate::duration::NotASpan| e.to_string())?;
    let by = chrono::TimeDelta::microseconds(sign * span.micros());
    let moved = at.checked_add_signed(by).ok_or_else(|| "the instant is too far away".to_owned())?;
    call.made(moved.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn timestamp(call: &mut Call<'_>) -> Result<Value, String> {
    let at = instant(call)?;
    let (seconds, micros) = (at.timestamp(), at.timestamp_subsec_micros());
    Ok(if micros == 0 { Value::from(seconds) } else { Value::from(at.timestamp_micros() as f64 / 1e6) })
}
