//! When a timer ticks: the same questions for an interval and, in `cron`, for an expression.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// A row of instants without end.
pub trait Ticks {
    /// The first tick strictly after `after`; `None` where there is none that a calendar can write.
    fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>>;

    /// The last tick after `after` and not after `now`.
    fn last_until(&self, after: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>>;

    /// How many ticks are after `after` and not after `until`, counted to `cap` at most.
    fn count(&self, after: DateTime<Utc>, until: DateTime<Utc>, cap: u64) -> u64 {
        let mut at = after;
        let mut counted = 0;
        while counted < cap {
            match self.next_after(at) {
                Some(next) if next <= until => (at, counted) = (next, counted + 1),
                _ => break,
            }
        }
        counted
    }
}

/// Every `step` from `anchor` on.
pub struct Interval {
    anchor: DateTime<Utc>,
    step: i64,
}

impl Interval {
    /// Ticks at `anchor` and every `every` after it; an interval under a microsecond is one.
    pub fn new(anchor: DateTime<Utc>, every: Duration) -> Self {
        Self { anchor, step: i64::try_from(every.as_micros()).unwrap_or(i64::MAX).max(1) }
    }

    /// How many steps after the anchor `at` lies, rounded down.
    fn steps(&self, at: DateTime<Utc>) -> i64 {
        at.timestamp_micros().saturating_sub(self.anchor.timestamp_micros()).div_euclid(self.step)
    }

    fn tick(&self, steps: i64) -> Option<DateTime<Utc>> {
        self.anchor.checked_add_signed(TimeDelta::microseconds(steps.checked_mul(self.step)?))
    }
}

impl Ticks for Interval {
    fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.tick(self.steps(after).checked_add(1)?)
    }

    fn last_until(&self, after: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.tick(self.steps(now)).filter(|last| *last > after)
    }

    fn count(&self, after: DateTime<Utc>, until: DateTime<Utc>, cap: u64) -> u64 {
        let counted = self.steps(until).saturating_sub(self.steps(after));
        u64::try_from(counted).unwrap_or(0).min(cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn an_interval_ticks_at_its_anchor_and_every_step_from_there() {
        let ticks = Interval::new(at(3), Duration::from_secs(5));
        for (after, next) in [(-7, -2), (-2, 3), (0, 3), (2, 3), (3, 8), (7, 8), (8, 13)] {
            assert_eq!(ticks.next_after(at(after)), Some(at(next)), "{after}");
        }
        for (after, now, last) in [(3, 7, None), (3, 8, Some(8)), (3, 30, Some(28)), (28, 30, None), (40, 30, None)] {
            assert_eq!(ticks.last_until(at(after), at(now)), last.map(at), "{after} {now}");
        }
        assert_eq!(ticks.count(at(3), at(30), 100), 5);
        assert_eq!(ticks.count(at(3), at(30), 3), 3);
        assert_eq!(ticks.count(at(30), at(3), 3), 0);
    }

    #[test]
    fn an_interval_at_the_end_of_the_calendar_ends() {
        let ticks = Interval::new(DateTime::<Utc>::MAX_UTC, Duration::from_secs(5));
        assert_eq!(ticks.next_after(DateTime::<Utc>::MAX_UTC), None);
        let ticks = Interval::new(at(0), Duration::MAX);
        assert_eq!(ticks.next_after(at(0)), None);
    }
}
