//! Time zones by name, with an error that names the nearest one.

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
}
