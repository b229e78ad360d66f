//! Instants as events carry them.

use chrono::{DateTime, SecondsFormat, Utc};

/// An instant in UTC, and as clocks in `zone` show it.
pub fn times(at: DateTime<Utc>, zone: &str) -> (String, String) {
    let utc = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let zone = engine::zone::zone(zone);
    let local = zone.map(|zone| at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, false));
    (utc.clone(), local.unwrap_or(utc))
}
