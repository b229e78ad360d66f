//! Which of the ticks that have passed become items. Several have passed when the daemon was down, the clock jumped or a poll came
//! late; the policy says what they are worth. Pure.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use engine::duration::Span;
use engine::port::{Item, Page};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ticks::Ticks;
use super::{Cursor, written};

/// A tick that is late by no more than this is on time under every policy.
pub const GRACE: Duration = Duration::from_secs(60);

/// Items a page: the rest comes with the pages behind it.
pub const PAGE_ITEMS: usize = 100;

/// Ticks that did not fire are counted this far.
const COUNTED: u64 = 1000;

/// What becomes of ticks that were missed while the daemon was down or the clock jumped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// Nothing: only a tick that is at most a minute late fires.
    Skip,
    /// However many were missed, one fires: the last.
    #[default]
    Once,
    /// Each fires, oldest first.
    All,
}

/// A week: longer than a weekend, shorter than an archive.
pub fn catch_up() -> Span {
    Span::from_secs(7 * 24 * 3600)
}

/// What is done about missed ticks.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The rule.
    pub misfire: Misfire,
    /// Ticks missed longer ago than this stay missed.
    pub catch_up: Duration,
}

/// The page of a poll at `now`; `event` adds what the action knows of a tick.
pub fn page(
    ticks: &impl Ticks,
    cursor: Cursor,
    now: DateTime<Utc>,
    policy: Policy,
    event: impl Fn(DateTime<Utc>) -> Value,
) -> Page {
    let Some(last) = ticks.last_until(cursor.from, now) else {
        return Page { answer: "not yet".into(), ..Page::default() };
    };
    let start = window_start(cursor, now, policy);
    let mut firing = Vec::new();
    match policy.misfire {
        Misfire::Skip | Misfire::Once => firing.extend(Some(last).filter(|last| *last > start)),
        Misfire::All => {
            let mut next = ticks.next_after(start);
            while let Some(tick) = next.filter(|tick| *tick <= last && firing.len() < PAGE_ITEMS) {
                firing.push(tick);
                next = ticks.next_after(tick);
            }
        }
    }
    let done = firing.last().copied().unwrap_or(last);
    let passed = ticks.count(cursor.from, done, COUNTED + firing.len() as u64);
    let missed = passed.saturating_sub(firing.len() as u64);
    let item = |(i, tick): (usize, &DateTime<Utc>)| {
        let skipped = if i == 0 { missed } else { 0 };
        item(*tick, cursor.tick + missed + i as u64 + 1, skipped, now, event(*tick))
    };
    Page {
        items: firing.iter().enumerate().map(item).collect(),
        cursor: Some(Cursor { from: done, tick: cursor.tick + passed }.to_value()),
        more: done < last,
        answer: answer(firing.len(), missed),
        gap: None,
    }
}

/// Ticks up to here are too old to fire, however they were missed.
fn window_start(cursor: Cursor, now: DateTime<Utc>, policy: Policy) -> DateTime<Utc> {
    let window = match policy.misfire {
        Misfire::Skip => GRACE,
        Misfire::Once | Misfire::All => policy.catch_up.max(GRACE),
    };
    // A tick exactly as late as the window is long still fires.
    let window = TimeDelta::from_std(window).ok().and_then(|w| w.checked_add(&TimeDelta::microseconds(1)));
    window.and_then(|w| now.checked_sub_signed(w)).map_or(cursor.from, |start| start.max(cursor.from))
}

fn item(at: DateTime<Utc>, tick: u64, missed: u64, now: DateTime<Utc>, more: Value) -> Item {
    let late = now.signed_duration_since(at).num_milliseconds().max(0);
    let mut body = json!({
        "at": written(now),
        "scheduled_at": written(at),
        "tick": tick,
        "late_by": late as f64 / 1000.0,
        "missed": missed,
    });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    Item { key: written(at), body, at: Some(at) }
}

fn answer(fired: usize, missed: u64) -> String {
    let missed = match missed {
        0 => String::new(),
        COUNTED.. => format!(", {COUNTED} or more missed"),
        n => format!(", {n} missed"),
    };
    format!("{fired} due{missed}")
}

#[cfg(test)]
mod tests {
    use super::super::ticks::Interval;
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    /// Seconds, number and ticks missed before it.
    type Fired = (i64, u64, u64);

    fn read(page: &Page) -> (Vec<Fired>, Option<(i64, u64)>, bool) {
        let items = page.items.iter().map(|item| {
            let seconds = (item.at.unwrap() - at(0)).num_seconds();
            (seconds, item.body["tick"].as_u64().unwrap(), item.body["missed"].as_u64().unwrap())
        });
        let cursor = Cursor::read(page.cursor.as_ref()).map(|c| ((c.from - at(0)).num_seconds(), c.tick));
        (items.collect(), cursor, page.more)
    }

    /// A timer of ten minutes, made at 0, asked for the first time after tick 2 (at 1200).
    #[track_caller]
    fn check(misfire: Misfire, catch_up: u64, now: i64, items: &[Fired], cursor: Option<(i64, u64)>) {
        let ticks = Interval::new(at(0), Duration::from_secs(600));
        let policy = Policy { misfire, catch_up: Duration::from_secs(catch_up) };
        let page = page(&ticks, Cursor { from: at(1200), tick: 2 }, at(now), policy, |_| Value::Null);
        assert_eq!(read(&page), (items.to_vec(), cursor, false));
    }

    #[test]
    fn nothing_is_due_before_the_next_tick() {
        for misfire in [Misfire::Skip, Misfire::Once, Misfire::All] {
            check(misfire, 86_400, 1200, &[], None);
            check(misfire, 86_400, 1799, &[], None);
            check(misfire, 86_400, 0, &[], None);
        }
    }

    #[test]
    fn a_tick_on_time_fires_under_every_policy() {
        for misfire in [Misfire::Skip, Misfire::Once, Misfire::All] {
            for catch_up in [0, 86_400] {
                check(misfire, catch_up, 1800, &[(1800, 3, 0)], Some((1800, 3)));
                check(misfire, catch_up, 1860, &[(1800, 3, 0)], Some((1800, 3)));
            }
        }
    }

    #[test]
    fn skip_leaves_out_what_is_more_than_a_minute_late() {
        check(Misfire::Skip, 86_400, 1861, &[], Some((1800, 3)));
        check(Misfire::Skip, 86_400, 6000 + 61, &[], Some((6000, 10)));
        check(Misfire::Skip, 86_400, 6000 + 9, &[(6000, 10, 7)], Some((6000, 10)));
    }

    #[test]
    fn once_fires_the_last_of_those_missed() {
        check(Misfire::Once, 86_400, 6061, &[(6000, 10, 7)], Some((6000, 10)));
        check(Misfire::Once, 120, 6300, &[], Some((6000, 10)));
    }

    #[test]
    fn all_fires_each_within_the_window() {
        check(Misfire::All, 86_400, 3700, &[(1800, 3, 0), (2400, 4, 0), (3000, 5, 0), (3600, 6, 0)], Some((3600, 6)));
        check(Misfire::All, 1300, 3700, &[(2400, 4, 1), (3000, 5, 0), (3600, 6, 0)], Some((3600, 6)));
        check(Misfire::All, 120, 3900, &[], Some((3600, 6)));
    }

    #[test]
    fn many_come_in_pages_each_once() {
        let ticks = Interval::new(at(0), Duration::from_secs(1));
        let policy = Policy { misfire: Misfire::All, catch_up: Duration::from_secs(250) };
        let mut cursor = Cursor { from: at(0), tick: 0 };
        let (mut seen, mut pages) = (Vec::new(), 0);
        loop {
            let page = page(&ticks, cursor, at(1000), policy, |_| Value::Null);
            pages += 1;
            seen.extend(read(&page).0.iter().map(|(seconds, tick, _)| (*seconds, *tick)));
            cursor = Cursor::read(page.cursor.as_ref()).unwrap();
            if !page.more {
                break;
            }
        }
        assert_eq!(pages, 3);
        assert_eq!(seen, (750..=1000).map(|s| (s, s as u64)).collect::<Vec<_>>());
    }
}
