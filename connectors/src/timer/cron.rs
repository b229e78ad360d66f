//! A cron expression as a row of ticks.

use chrono::{DateTime, TimeDelta, Utc};
use engine::schedule::cron::Cron;

use super::ticks::Ticks;

impl Ticks for Cron {
    fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        Cron::next_after(self, after)
    }

    /// Cron only knows the way forward: halves the span until the tick behind its start is the last one. About thirty questions,
    /// however long the daemon was away.
    fn last_until(&self, after: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let passed = |start: DateTime<Utc>| Cron::next_after(self, start).filter(|next| *next <= now);
        let mut last = passed(after)?;
        // `last` is a tick; between `high` and `now` there is none. Ticks lie a second apart at least.
        let mut high = now;
        while high - last >= TimeDelta::seconds(1) {
            let middle = last + (high - last) / 2;
            match passed(middle) {
                Some(later) => last = later,
                None => high = middle,
            }
        }
        Some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn the_last_tick_of_a_cron_is_the_one_that_counting_finds() {
        for expression in ["* * * * * *", "*/7 * 9 * * *", "0 9 * * 1-5", "0 0 29 2 *", "59 23 31 12 *"] {
            let cron = Cron::parse(expression, Some("Europe/Paris")).unwrap();
            for (from, length) in [(0, 0), (0, 1), (0, 59), (17, 3600), (0, 86_400), (5, 400_000)] {
                let (from, now) = (at(from), at(from + length));
                let mut counted = None;
                let mut start = from;
                while let Some(next) = Cron::next_after(&cron, start).filter(|next| *next <= now) {
                    (counted, start) = (Some(next), next);
                    if length > 100_000 && expression.starts_with('*') {
                        break;
                    }
                }
                if length <= 100_000 || !expression.starts_with('*') {
                    assert_eq!(cron.last_until(from, now), counted, "{expression} {from} {now}");
                }
            }
        }
    }

    #[test]
    fn ten_years_away_cost_few_questions() {
        let cron = Cron::parse("* * * * * *", None).unwrap();
        let now = at(10 * 365 * 86_400);
        assert_eq!(cron.last_until(at(0), now), Some(now));
    }
}
