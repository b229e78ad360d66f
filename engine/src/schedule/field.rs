//! One field of a cron expression: `*`, `*/5`, `7`, `1-5`, `1-5/2`, `10/5`, names, and lists of these.

/// What a field is about.
pub(super) struct Unit {
    pub name: &'static str,
    pub min: u32,
    pub max: u32,
    /// Names of the values from `min` on; three letters or the whole word.
    pub names: &'static [&'static str],
}

pub(super) const SECOND: Unit = Unit { name: "second", min: 0, max: 59, names: &[] };
pub(super) const MINUTE: Unit = Unit { name: "minute", min: 0, max: 59, names: &[] };
pub(super) const HOUR: Unit = Unit { name: "hour", min: 0, max: 23, names: &[] };
pub(super) const DAY: Unit = Unit { name: "day of the month", min: 1, max: 31, names: &[] };
pub(super) const MONTH: Unit = Unit {
    name: "month",
    min: 1,
    max: 12,
    names: &[
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ],
};
/// 0 is Sunday; 7 is read as Sunday too.
pub(super) const WEEKDAY: Unit = Unit {
    name: "day of the week",
    min: 0,
    max: 6,
    names: &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"],
};

/// The values that a field allows.
#[derive(Debug)]
pub(super) struct Field {
    /// In order.
    pub values: Vec<u32>,
    /// It begins with `*`: Unix cron then lets the other of the two day fields decide alone.
    pub star: bool,
}

impl Field {
    /// Reads `text` as a field of `unit`.
    pub fn parse(text: &str, unit: &Unit) -> Result<Self, String> {
        let mut set = 0_u64;
        for part in text.split(',') {
            set |= unit.part(part).map_err(|why| format!("{}: {why}", unit.name))?;
        }
        let values = (unit.min..=unit.max).filter(|value| set & (1 << value) != 0).collect();
        Ok(Self { values, star: text.starts_with(['*', '?']) })
    }

    /// As a list for the `cron` crate; `say` is how it calls a value.
    pub fn list(&self, say: impl Fn(u32) -> String) -> String {
        self.values.iter().map(|value| say(*value)).collect::<Vec<_>>().join(",")
    }
}

impl Unit {
    /// The values of one part of a list, as bits.
    fn part(&self, part: &str) -> Result<u64, String> {
        let shown: String = part.chars().take(20).collect();
        if part.is_empty() {
            return Err("a value is missing between two commas".to_owned());
        }
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                let step = step.parse().ok().filter(|step| (1..=self.max).contains(step));
                (range, Some(step.ok_or_else(|| format!("the step of `{shown}` must be 1 to {}", self.max))?))
            }
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (self.min, self.max),
            Some((from, to)) => (self.value(from, &shown)?, self.value(to, &shown)?),
            None => {
                let from = self.value(range, &shown)?;
                (from, if step.is_some() { self.max.max(from) } else { from })
            }
        };
        self.bits(from, to, step.unwrap_or(1), &shown)
    }

    /// Every `step`th value from `from` to `to`. Weekdays may go over the week's end (`FRI-MON`); 7 is 0.
    fn bits(&self, from: u32, to: u32, step: u32, shown: &str) -> Result<u64, String> {
        let week = self.max + 1 - self.min;
        let to = match from <= to {
            true => to,
            false if self.min == 0 && self.max == WEEKDAY.max => to + week,
            false => return Err(format!("`{shown}` goes backwards")),
        };
        let step = usize::try_from(step).unwrap_or(1);
        Ok((from..=to)
            .step_by(step)
            .fold(0, |set, value| set | 1 << if value > self.max { value - week } else { value }))
    }

    fn value(&self, text: &str, part: &str) -> Result<u32, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let most = if self.max == WEEKDAY.max { 7 } else { self.max };
            let value = text.parse().ok().filter(|value| (self.min..=most).contains(value));
            return value.ok_or_else(|| format!("`{part}` is not within {} to {most}", self.min));
        }
        let small = text.to_ascii_lowercase();
        let named = self.names.iter().position(|name| *name == small || name.get(..3) == Some(small.as_str()));
        let named = named.and_then(|place| u32::try_from(place).ok()).map(|place| place + self.min);
        named.ok_or_else(|| {
            let names = if self.names.is_empty() {
                String::new()
            } else {
                format!(" or a name such as `{}`", &self.names[1][..3].to_uppercase())
            };
            format!("`{part}` is not understood: write `*`, `*/2`, a number, a range, a list{names}")
        })
    }
}
