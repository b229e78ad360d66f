//! Instants as events carry them.

use chrono::{DateTime, Offset, SecondsFormat, Utc};
use serde_json::{Value, json};

/// Writes `NAME_local` beside an event's instant `NAME`: as clocks in the `zone` of an AREA's `data` show it.
pub fn localize(data: &Value, event: &mut Value, name: &str) {
    let at = event.get(name).and_then(Value::as_str).and_then(|at| at.parse::<DateTime<Utc>>().ok());
    if let (Some(at), Some(event)) = (at, event.as_object_mut()) {
        let zone = data["zone"].as_str().unwrap_or("UTC");
        event.insert(format!("{name}_local"), json!(times(at, zone, SecondsFormat::AutoSi).1));
    }
}

/// An instant in UTC, and as clocks in `zone` show it; in UTC too where there is no such zone, or no date any more for its clocks.
pub fn times(at: DateTime<Utc>, zone: &str, seconds: SecondsFormat) -> (String, String) {
    let utc = at.to_rfc3339_opts(seconds, true);
    let local = engine::zone::zone(zone).ok().map(|zone| at.with_timezone(&zone));
    let local = local.filter(|local| local.naive_utc().checked_add_offset(local.offset().fix()).is_some());
    (utc.clone(), local.map_or(utc, |local| local.to_rfc3339_opts(seconds, false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_told_in_utc_and_by_the_clocks_of_a_zone() {
        let check = |at: &str, zone: &str, seconds: SecondsFormat, utc: &str, local: &str| {
            let told = times(at.parse().unwrap(), zone, seconds);
            assert_eq!(told, (utc.to_owned(), local.to_owned()), "{at} {zone}");
        };
        let (at, whole) = ("2026-11-06T08:49:37.250Z", "2026-11-06T08:49:37Z");
        check(at, "Asia/Kathmandu", SecondsFormat::Secs, whole, "2026-11-06T14:34:37+05:45");
        check(at, "Asia/Kathmandu", SecondsFormat::AutoSi, at, "2026-11-06T14:34:37.250+05:45");
        check(whole, "utc", SecondsFormat::AutoSi, whole, "2026-11-06T08:49:37+00:00");
        check(at, "Nowhere/At_All", SecondsFormat::Secs, whole, whole);
        let last = "+262142-12-31T23:59:59Z";
        check(last, "Europe/Paris", SecondsFormat::Secs, last, last);
        check(last, "America/New_York", SecondsFormat::Secs, last, "+262142-12-31T18:59:59-05:00");

        let seen = |mut event: Value, data: Value| {
            localize(&data, &mut event, "at");
            event
        };
        let paris = json!({"zone": "Europe/Paris"});
        assert_eq!(
            seen(json!({"at": at}), paris.clone()),
            json!({"at": at, "at_local": "2026-11-06T09:49:37.250+01:00"})
        );
        assert_eq!(seen(json!({"at": whole, "at_local": 1}), json!({}))["at_local"], "2026-11-06T08:49:37+00:00");
        for other in [json!({"at": null}), json!({"at": "soon"}), json!({}), json!([1]), json!("x")] {
            assert_eq!(seen(other.clone(), paris.clone()), other);
        }
    }
}
