//! Instants as events carry them.

use chrono::{DateTime, SecondsFormat, Utc};

/// An instant in UTC, and as clocks in `zone` show it; in UTC too where there is no such zone.
pub fn times(at: DateTime<Utc>, zone: &str, seconds: SecondsFormat) -> (String, String) {
    let utc = at.to_rfc3339_opts(seconds, true);
    let local = engine::zone::zone(zone).map(|zone| at.with_timezone(&zone).to_rfc3339_opts(seconds, false));
    (utc.clone(), local.unwrap_or(utc))
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
    }
}
