//! Time zones by name, with an error that names the nearest one; and from a zone's local time to an instant.

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

/// The zone called `name` (`Europe/Paris`, `UTC`), in whatever case.
///
/// # Errors
/// One sentence that names the nearest zone.
pub fn zone(name: &str) -> Result<Tz, String> {
    if let Ok(zone) = name.parse() {
        return Ok(zone);
    }
    if let Some(zone) = TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name)) {
        return Ok(*zone);
    }
    let shown: String = name.chars().take(40).collect();
    let near = nearest(&shown).map_or_else(
        || "write a name such as `Europe/Paris`, or `UTC`".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    Err(format!("there is no time zone `{shown}`: {near}"))
}

/// The zone whose whole name or last part looks most like `wrong`, if one looks like it at all.
fn nearest(wrong: &str) -> Option<&'static str> {
    const NEAR: f64 = 0.85;
    let wrong = wrong.to_lowercase().replace(' ', "_");
    let likeness = |zone: &Tz| {
        let name = zone.name().to_lowercase();
        let city = name.rsplit('/').next().unwrap_or(&name);
        strsim::jaro_winkler(&wrong, &name).max(strsim::jaro_winkler(&wrong, city))
    };
    TZ_VARIANTS
        .iter()
        .map(|zone| (likeness(zone), zone.name()))
        .filter(|(near, _)| *near >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// No gap is longer: the day that a zone lost when it moved over the date line.
const LONGEST_GAP_MINUTES: i64 = 26 * 60;

/// The instant at which `zone` shows `local`: in a fold the first, in a gap the first one after it; `None` beyond the calendar.
pub fn instant(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    zone.from_local_datetime(&local).earliest().or_else(|| gap_end(zone, local)).map(|at| at.to_utc())
}

/// The first instant after the gap that `local` falls into.
pub fn gap_end(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Tz>> {
    let minute = local.with_second(0)?.with_nanosecond(0)?;
    let exists = |local: NaiveDateTime| zone.from_local_datetime(&local).earliest();
    let behind = (1..=LONGEST_GAP_MINUTES)
        .filter_map(|minutes| minute.checked_add_signed(TimeDelta::minutes(minutes)))
        .find(|local| exists(*local).is_some())?;
    // Old gaps do not end on a whole minute.
    (0..60).rev().find_map(|seconds| exists(behind.checked_sub_signed(TimeDelta::seconds(seconds))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_found_in_any_case() {
        assert_eq!(zone("Europe/Paris"), Ok(Tz::Europe__Paris));
        assert_eq!(zone("europe/paris"), Ok(Tz::Europe__Paris));
        assert_eq!(zone("UTC"), Ok(Tz::UTC));
    }

    #[test]
    fn an_unknown_zone_names_the_nearest() {
        for (wrong, near) in
            [("Europe/Pariss", "`Europe/Paris`"), ("Paris", "`Europe/Paris`"), ("New York", "America/New_York")]
        {
            let told = zone(wrong).unwrap_err();
            assert!(told.contains(near), "{wrong}: {told}");
        }
        assert!(zone("qqq").unwrap_err().contains("write a name such as `Europe/Paris`"));
        assert!(zone(&"x".repeat(10_000)).unwrap_err().len() < 200);
    }

    #[test]
    fn a_local_time_that_is_not_there_is_the_first_after_the_gap() {
        for (name, local, expected) in [
            ("Europe/Paris", "2026-03-29T02:30:00", "2026-03-29T01:00:00Z"),
            ("Europe/Paris", "2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
            ("Europe/Paris", "2026-07-01T12:00:00", "2026-07-01T10:00:00Z"),
            ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T10:00:00Z"),
            // Liberia's clocks went forward by 44 minutes and 30 seconds.
            ("Africa/Monrovia", "1972-01-07T00:10:00", "1972-01-07T00:44:30Z"),
        ] {
            let at = instant(zone(name).unwrap(), local.parse().unwrap()).unwrap();
            assert_eq!(at, expected.parse::<DateTime<Utc>>().unwrap(), "{local} in {name}");
        }
    }
}
