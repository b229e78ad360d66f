//! A time of day and a day of the week, as people write them.

use std::fmt;

use chrono::NaiveTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A local time of day, to the minute: `"07:30"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(NaiveTime);

impl TimeOfDay {
    /// As chrono's.
    pub fn time(self) -> NaiveTime {
        self.0
    }
}

impl std::str::FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        let parts = text.split_once(':').filter(|(hour, minute)| digits(hour) && digits(minute));
        let time =
            parts.and_then(|(hour, minute)| NaiveTime::from_hms_opt(hour.parse().ok()?, minute.parse().ok()?, 0));
        time.map(Self).ok_or_else(|| {
            let shown: String = text.chars().take(20).collect();
            format!("`{shown}` is not a time of day: write \"07:30\", from \"00:00\" to \"23:59\"")
        })
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%H:%M"))
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for TimeOfDay {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimeOfDay".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A time of day: `07:30`.",
            "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        })
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Weekday {
    /// Whether it is chrono's `day`.
    pub fn is(self, day: chrono::Weekday) -> bool {
        use chrono::Weekday as Day;
        let own = match self {
            Self::Mon => Day::Mon,
            Self::Tue => Day::Tue,
            Self::Wed => Day::Wed,
            Self::Thu => Day::Thu,
            Self::Fri => Day::Fri,
            Self::Sat => Day::Sat,
            Self::Sun => Day::Sun,
        };
        own == day
    }
}
