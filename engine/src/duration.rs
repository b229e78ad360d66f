//! Lengths of time as people write them: `"5s"`, `"1m30s"`, `"2h"`, `"2d"`. The one parser for the configuration, AREAs and
//! templates. A day is 24 hours and a week seven days; what must follow a calendar belongs to `schedule::cron`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Micros;

/// The longest span that is accepted: ten years.
pub const LONGEST: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// The units, longest first, in milliseconds. A span names each at most once, in this order.
const UNITS: [(&str, u64); 6] = [
    ("w", 7 * 24 * 60 * 60 * 1000),
    ("d", 24 * 60 * 60 * 1000),
    ("h", 60 * 60 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// What a message shows as right.
const EXAMPLES: &str = "write a length of time such as \"5s\", \"1m30s\", \"2h\" or \"2d\"";

/// A length of time of whole milliseconds, from zero to ten years; in JSON and TOML a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span(Duration);

impl Span {
    /// `seconds` long, at most ten years.
    pub const fn from_secs(seconds: u64) -> Self {
        let longest = LONGEST.as_secs();
        Self(Duration::from_secs(if seconds < longest { seconds } else { longest }))
    }

    /// `milliseconds` long, at most ten years.
    pub const fn from_millis(milliseconds: u64) -> Self {
        let longest = LONGEST.as_secs() * 1000;
        Self(Duration::from_millis(if milliseconds < longest { milliseconds } else { longest }))
    }

    /// As the standard library's duration.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// In microseconds, as the engine stores time.
    pub const fn micros(self) -> Micros {
        // At most ten years: 3.2e14 microseconds.
        self.0.as_micros() as Micros
    }

    /// Whether it is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

/// Why a text is no [`Span`]; says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotASpan(String);

impl FromStr for Span {
    type Err = NotASpan;

    fn from_str(text: &str) -> Result<Self, NotASpan> {
        let wrong = |why: String| NotASpan(format!("`{}` {why}: {EXAMPLES}", shown(text)));
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(wrong("is empty".to_owned()));
        }
        let (mut total, mut units) = (0_u64, UNITS.as_slice());
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (number, behind) = rest.split_at(digits);
            let unit = &behind[..behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len())];
            if number.is_empty() {
                return Err(wrong("is not a whole number with a unit".to_owned()));
            }
            if unit.is_empty() {
                let why =
                    if behind.is_empty() { "has a number without a unit" } else { "is not a whole number with a unit" };
                return Err(wrong(why.to_owned()));
            }
            let Some(place) = units.iter().position(|(name, _)| *name == unit) else {
                return Err(wrong(match UNITS.iter().any(|(name, _)| *name == unit) {
                    true => format!("has `{unit}` out of order"),
                    false => format!("has the unknown unit `{}` (w, d, h, m, s and ms are known)", shown(unit)),
                }));
            };
            let part = number.parse::<u64>().ok().and_then(|n| n.checked_mul(units[place].1));
            total = part
                .and_then(|part| total.checked_add(part))
                .filter(|total| u128::from(*total) <= LONGEST.as_millis())
                .ok_or_else(|| NotASpan(format!("`{}` is longer than ten years", shown(text))))?;
            units = &units[place + 1..];
            rest = &behind[unit.len()..];
        }
        Ok(Self(Duration::from_millis(total)))
    }
}

/// The first characters of what a user wrote.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_millis();
        if left == 0 {
            return f.write_str("0s");
        }
        for (unit, length) in &UNITS[1..] {
            let count = left / u128::from(*length);
            left %= u128::from(*length);
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Span;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time such as \"5s\", \"1m30s\", \"2h\" or \"2d\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }
        }
        d.deserialize_str(Text)
    }
}

impl schemars::JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A length of time: `5s`, `1m30s`, `2h`, `2d`.",
            "pattern": "^([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
            "minLength": 2,
            "maxLength": 40,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(u64, &str), &str>) {
        match (text.parse::<Span>(), expected) {
            (Ok(span), Ok((millis, canonical))) => {
                assert_eq!((span.0.as_millis(), span.to_string().as_str()), (u128::from(millis), canonical), "{text}");
                assert_eq!(canonical.parse::<Span>().unwrap(), span, "{text} does not come back");
            }
            (Err(wrong), Err(part)) => assert!(wrong.to_string().contains(part), "{text}: {wrong}"),
            (got, expected) => panic!("{text}: {got:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_span_reads_as_people_write_it() {
        check("5s", Ok((5_000, "5s")));
        check("1m30s", Ok((90_000, "1m30s")));
        check("90m", Ok((5_400_000, "1h30m")));
        check("2d", Ok((172_800_000, "2d")));
        check("1w", Ok((604_800_000, "7d")));
        check(" 1h500ms ", Ok((3_600_500, "1h500ms")));
        check("0s", Ok((0, "0s")));
        check("3650d", Ok((315_360_000_000, "3650d")));
    }

    #[test]
    fn a_wrong_span_says_what_is_right() {
        check("", Err("is empty"));
        check("60", Err("without a unit: write a length of time such as \"5s\""));
        check("1.5h", Err("not a whole number with a unit"));
        check("s", Err("not a whole number"));
        check("5 s", Err("not a whole number with a unit"));
        check("-5s", Err("not a whole number with a unit"));
        check("5y", Err("unknown unit `y`"));
        check("5s1m", Err("`m` out of order"));
        check("5s5s", Err("`s` out of order"));
        check("3651d", Err("longer than ten years"));
        check("99999999999999999999w", Err("longer than ten years"));
        check("٣s", Err("not a whole number"));
    }

    #[test]
    fn json_holds_a_string_and_nothing_else() {
        assert_eq!(serde_json::to_string(&Span::from_secs(90)).unwrap(), "\"1m30s\"");
        let wrong = serde_json::from_str::<Span>("90").unwrap_err().to_string();
        assert!(wrong.contains("expected a length of time such as \"5s\""), "{wrong}");
    }
}
