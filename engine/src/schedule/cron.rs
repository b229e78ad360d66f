//! Schedules that follow a calendar: cron expressions in a time zone.
//!
//! The fields are Unix cron's: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday), with seconds before
//! them where there are six. Where both day fields are restricted, either is enough; where one begins with `*`, both must hold.
//! The `cron` crate finds the next local time (it is given one list of values a field, in its own numbering); the zone is ours:
//!
//! - An expression whose hour begins with `*` is an *interval*: it fires at every instant whose local time matches. Of a gap in
//!   spring nothing is made up, and in autumn the repeated hour fires in both passes, so that `*/5 * * * *` keeps its pace.
//! - Every other expression names *fixed times*: one that falls into a gap fires once, at the first instant after the gap; one in
//!   the repeated hour fires once, in the first pass. So `30 2 * * *` fires exactly once on every day.
//!
//! The calendar ends with the year 2100, as the `cron` crate's does.

use std::str::FromStr;

use ::cron::Schedule;
use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::field::{DAY, Field, HOUR, MINUTE, MONTH, SECOND, Unit, WEEKDAY};
use crate::zone::{gap_end, zone};

/// Bytes of an expression.
const LONGEST: usize = 500;
/// The `cron` crate knows no later one.
const LAST_YEAR: i32 = 2100;

/// The short names that are known, and what they stand for.
const ALIASES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A cron expression in its zone.
#[derive(Clone, Debug)]
pub struct Cron {
    /// One, or two where either day field is enough.
    schedules: Vec<Schedule>,
    zone: Tz,
    interval: bool,
}

impl Cron {
    /// Reads five or six fields, or an alias such as `@daily`; without a zone it is UTC.
    ///
    /// # Errors
    /// One sentence: which field is wrong and what would be right, a zone that is unknown (with the nearest), an expression that
    /// never fires.
    pub fn parse(expr: &str, tz: Option<&str>) -> Result<Self, String> {
        let zone = tz.map_or(Ok(Tz::UTC), zone)?;
        if expr.len() > LONGEST {
            return Err(format!("a cron expression has at most {LONGEST} bytes"));
        }
        let fields: Vec<&str> = alias(expr)?.split_whitespace().collect();
        let (second, rest) = match fields.len() {
            5 => ("0", fields.as_slice()),
            6 => (fields[0], &fields[1..]),
            n => {
                return Err(format!(
                    "`{}` has {n} fields: 5 are needed (minute hour day month weekday), or 6 with seconds first",
                    expr.trim()
                ));
            }
        };
        let read = |place: usize, unit: &Unit| Field::parse(rest[place], unit);
        let time = [Field::parse(second, &SECOND)?, read(0, &MINUTE)?, read(1, &HOUR)?];
        let (day, month, weekday) = (read(2, &DAY)?, read(3, &MONTH)?, read(4, &WEEKDAY)?);
        let cron = Self { interval: time[2].star, schedules: schedules(&time, &day, &month, &weekday)?, zone };
        if cron.next_local(DateTime::UNIX_EPOCH.naive_utc()).is_none() {
            return Err(format!("`{}` never fires: no such date exists", expr.trim()));
        }
        Ok(cron)
    }

    /// The first instant after `after`; `None` when the calendar has ended.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if after.year() > LAST_YEAR {
            return None;
        }
        let after = after.max(DateTime::UNIX_EPOCH - TimeDelta::days(2)).with_nanosecond(0)?;
        let local = after.with_timezone(&self.zone).naive_local();
        let ahead = self.first_mapped(local, after);
        let again = self.interval.then(|| self.second_pass(local, after)).flatten();
        [ahead, again].into_iter().flatten().min()
    }

    /// The zone that it is read in.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The next local time that matches, whether it exists or not.
    fn next_local(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let next = |schedule: &Schedule| schedule.after(&after.and_utc()).next().map(|at| at.naive_utc());
        self.schedules.iter().filter_map(next).min()
    }

    /// The instant of the first matching local time after `local` that gives one after `after`.
    fn first_mapped(&self, mut local: NaiveDateTime, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        loop {
            local = self.next_local(local)?;
            let at = match self.zone.from_local_datetime(&local) {
                MappedLocalTime::Single(at) => Some(at),
                MappedLocalTime::Ambiguous(first, second) if self.interval && first <= after => Some(second),
                MappedLocalTime::Ambiguous(first, _) => Some(first),
                MappedLocalTime::None if self.interval => None,
                MappedLocalTime::None => gap_end(self.zone, local),
            };
            if let Some(at) = at.map(|at| at.to_utc()).filter(|at| *at > after) {
                return Some(at);
            }
        }
    }

    /// While `after` is in the first pass of a repeated hour: the first instant of the second pass that matches.
    fn second_pass(&self, local: NaiveDateTime, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let MappedLocalTime::Ambiguous(first, second) = self.zone.from_local_datetime(&local) else { return None };
        if first != after {
            return None;
        }
        let start = self.change(first.to_utc(), second.to_utc());
        let local_start = start.with_timezone(&self.zone).naive_local();
        let next = self.next_local(local_start - TimeDelta::seconds(1))?;
        match self.zone.from_local_datetime(&next) {
            MappedLocalTime::Ambiguous(_, second) => Some(second.to_utc()),
            MappedLocalTime::Single(at) => Some(at.to_utc()),
            MappedLocalTime::None => None,
        }
    }

    /// The first instant of the offset that holds at `after`, where another one holds at `before`.
    fn change(&self, before: DateTime<Utc>, after: DateTime<Utc>) -> DateTime<Utc> {
        let local = |at: DateTime<Utc>| at.with_timezone(&self.zone).naive_local() - at.naive_utc();
        let (mut low, mut high) = (before, after);
        while high - low > TimeDelta::seconds(1) {
            let middle = low + TimeDelta::seconds((high - low).num_seconds() / 2);
            if local(middle) == local(before) { low = middle } else { high = middle }
        }
        high
    }
}

/// The expression behind an alias, or `expr` itself.
fn alias(expr: &str) -> Result<&str, String> {
    let expr = expr.trim();
    if !expr.starts_with('@') {
        return Ok(expr);
    }
    let known = ALIASES.iter().find(|(name, _)| name.eq_ignore_ascii_case(expr));
    known.map(|(_, fields)| *fields).ok_or_else(|| {
        let names: Vec<&str> = ALIASES.iter().map(|(name, _)| *name).collect();
        format!("`{expr}` is not known: {} are", names.join(", "))
    })
}

/// What the `cron` crate is asked. It wants both day fields to hold: where Unix cron takes either, there are two schedules.
fn schedules(time: &[Field; 3], day: &Field, month: &Field, weekday: &Field) -> Result<Vec<Schedule>, String> {
    let number = |value: u32| value.to_string();
    // The crate counts weekdays from 1, Sunday: names leave no doubt.
    let name = |value: u32| WEEKDAY.names[value as usize][..3].to_uppercase();
    let [second, minute, hour] = time;
    let clock = format!("{} {} {}", second.list(number), minute.list(number), hour.list(number));
    let (days, months, weekdays) = (day.list(number), month.list(number), weekday.list(name));
    let wanted = match (day.star, weekday.star) {
        (false, false) => vec![format!("{clock} {days} {months} *"), format!("{clock} * {months} {weekdays}")],
        _ => vec![format!("{clock} {days} {months} {weekdays}")],
    };
    wanted.iter().map(|fields| Schedule::from_str(fields).map_err(|e| e.to_string())).collect()
}

#[cfg(test)]
mod tests;
