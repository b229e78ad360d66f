//! The timers as the engine drives them: asked when their cadence says, their cursor kept, by a clock that is moved by hand.

use chrono::{DateTime, Utc};
use engine::port::{ActionSpec, Cadence, FeedKind, Page};
use serde_json::{Value, json};

use super::{Asked, at, every, once};

/// One source: what the engine keeps of it.
pub struct Source {
    spec: &'static ActionSpec,
    params: Value,
    cursor: Option<Value>,
    /// How late the engine is, in milliseconds.
    late: i64,
}

impl Source {
    pub fn new(spec: &'static ActionSpec, data: Value) -> Self {
        assert_eq!((spec.check)(&data), [], "{data}");
        Self { spec, params: (spec.feed_params)(&data), cursor: None, late: 0 }
    }

    pub fn next(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let FeedKind::Polled { cadence: Cadence::At(next), .. } = self.spec.feed.kind else { panic!("a timer") };
        next(&self.params, self.cursor.as_ref(), now)
    }

    pub fn poll(&mut self, now: DateTime<Utc>) -> Page {
        let asked = Asked { params: &self.params, cursor: self.cursor.as_ref(), since: None, now };
        let page = match self.spec.name {
            "every" => every::poll(asked),
            "at" => at::poll(asked),
            _ => once::poll(asked),
        };
        let page = page.unwrap();
        if page.cursor.is_some() {
            self.cursor.clone_from(&page.cursor);
        }
        page
    }

    /// Polls at every due instant from `from` to `to`; gives what fired.
    pub fn run(&mut self, from: &str, to: &str) -> Vec<Value> {
        let (mut now, to) = (utc(from), utc(to));
        let mut fired = Vec::new();
        for _ in 0..100_000 {
            match self.next(now) {
                Some(due) if due <= to => now = now.max(due + chrono::TimeDelta::milliseconds(self.late)),
                _ => return fired,
            }
            let page = self.poll(now);
            assert!(page.items.iter().all(|item| item.body["scheduled_at"] == item.key));
            fired.extend(page.items.into_iter().map(|item| item.body));
        }
        panic!("the timer does not come to rest");
    }
}

pub fn utc(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

pub fn instants(fired: &[Value]) -> Vec<&str> {
    fired.iter().map(|event| event["scheduled_at"].as_str().unwrap()).collect()
}

#[test]
fn every_counts_from_when_it_was_made_and_never_drifts() {
    let mut source = Source::new(&every::SPEC, json!({"every": "5s"}));
    source.late = 40;
    assert_eq!(source.poll(utc("2027-01-15T08:00:03.5Z")).items, [], "the first poll is the baseline");
    let fired = source.run("2027-01-15T08:00:03.5Z", "2027-01-15T08:00:20Z");
    assert_eq!(instants(&fired), ["2027-01-15T08:00:08.500Z", "2027-01-15T08:00:13.500Z", "2027-01-15T08:00:18.500Z"]);
    assert_eq!(
        fired[2],
        json!({
            "at": "2027-01-15T08:00:18.540Z", "scheduled_at": "2027-01-15T08:00:18.500Z", "tick": 3,
            "late_by": 0.04, "missed": 0
        })
    );
}

#[test]
fn a_poll_that_comes_early_finds_nothing_and_moves_nothing() {
    let mut source = Source::new(&every::SPEC, json!({"every": "1h"}));
    source.poll(utc("2027-01-15T08:00:00Z"));
    let before = source.cursor.clone();
    let page = source.poll(utc("2027-01-15T08:30:00Z"));
    assert_eq!((page.items.len(), page.cursor, page.more), (0, None, false));
    assert_eq!(source.cursor, before);
    assert_eq!(source.next(utc("2027-01-15T08:30:00Z")), Some(utc("2027-01-15T09:00:00Z")));
}

#[test]
fn a_clock_set_forward_costs_one_tick_and_a_clock_set_back_stops_nothing() {
    let mut source = Source::new(&every::SPEC, json!({"every": "10s"}));
    source.poll(utc("2027-01-15T08:00:00Z"));
    let ahead = source.run("2031-01-15T08:00:03Z", "2031-01-15T08:00:21Z");
    assert_eq!(instants(&ahead), ["2031-01-15T08:00:00Z", "2031-01-15T08:00:10Z", "2031-01-15T08:00:20Z"]);
    assert_eq!(ahead[0]["missed"], 1000, "counted to a bound");
    let back = source.run("2027-01-15T08:05:04Z", "2027-01-15T08:05:30Z");
    assert_eq!(instants(&back), ["2027-01-15T08:05:14Z", "2027-01-15T08:05:24Z"]);
    assert!(back[0]["tick"].as_u64() > ahead[2]["tick"].as_u64());
}

#[test]
fn a_small_step_back_is_waited_out() {
    let mut source = Source::new(&every::SPEC, json!({"every": "10s"}));
    source.poll(utc("2027-01-15T08:00:00Z"));
    let fired = source.run("2027-01-15T07:59:55Z", "2027-01-15T08:00:20Z");
    assert_eq!(instants(&fired), ["2027-01-15T08:00:10Z", "2027-01-15T08:00:20Z"]);
}

#[test]
fn once_fires_one_time_even_late_and_never_again() {
    let data = json!({"at": "2027-01-15T10:00:00+01:00"});
    for woke in ["2027-01-15T09:00:00Z", "2027-09-01T00:00:00Z"] {
        let mut source = Source::new(&once::SPEC, data.clone());
        source.poll(utc("2027-01-15T08:00:00Z"));
        assert_eq!(source.next(utc("2027-01-15T08:00:01Z")), Some(utc("2027-01-15T09:00:00Z")));
        assert_eq!(instants(&source.run(woke, woke)), ["2027-01-15T09:00:00Z"]);
        assert_eq!(source.next(utc("2030-01-01T00:00:00Z")), None);
    }
    let mut passed = Source::new(&once::SPEC, data);
    assert_eq!(passed.run("2027-01-15T09:02:00Z", "2030-01-01T00:00:00Z"), [] as [Value; 0]);
}

#[test]
fn an_instant_that_comes_while_the_area_is_made_still_fires() {
    let mut source = Source::new(&once::SPEC, json!({"at": "2027-01-15T09:00:00Z"}));
    let fired = source.run("2027-01-15T09:00:00.2Z", "2027-01-15T09:00:01Z");
    assert_eq!(instants(&fired), ["2027-01-15T09:00:00Z"]);
}

#[test]
fn areas_that_mean_the_same_share_a_source() {
    let same = [
        (&every::SPEC, json!({"every": "60s"}), json!({"every": "1m", "misfire": "once", "catch_up": "7d"})),
        (&once::SPEC, json!({"at": "2027-01-15T10:00:00+01:00"}), json!({"at": "2027-01-15T09:00:00Z"})),
    ];
    for (spec, a, b) in same {
        assert_eq!((spec.feed_params)(&a), (spec.feed_params)(&b), "{}", spec.name);
    }
}

#[test]
fn what_can_never_tick_is_found_when_it_is_saved() {
    let cases: [(&ActionSpec, Value, &str); 4] = [
        (&every::SPEC, json!({"every": "999ms"}), "/every"),
        (&every::SPEC, json!({"every": 5}), ""),
        (&once::SPEC, json!({"at": "tomorrow"}), "/at"),
        (&once::SPEC, json!({"at": "2027-01-15T10:00:00"}), "/at"),
    ];
    for (spec, data, pointer) in cases {
        let found = (spec.check)(&data);
        assert_eq!(found.iter().map(|i| i.pointer.as_str()).collect::<Vec<_>>(), [pointer], "{data}: {found:?}");
    }
}

#[test]
fn a_cursor_that_cannot_be_read_is_a_new_baseline() {
    let mut source = Source::new(&every::SPEC, json!({"every": "5s"}));
    source.cursor = Some(json!({"from": "yesterday"}));
    let page = source.poll(utc("2027-01-15T08:00:00Z"));
    assert_eq!((page.items.len(), page.cursor), (0, Some(json!({"from": "2027-01-15T08:00:00Z", "tick": 0}))));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// However long the daemon sleeps and however often the commit of a page is lost, under `all` every tick up to the last poll is
    /// recorded, and under `once` each waking records the last one.
    #[test]
    fn no_tick_is_lost_and_none_comes_twice(
        cron in proptest::bool::ANY,
        all in proptest::bool::ANY,
        every in 1_i64..500,
        wakings in proptest::collection::vec((0_i64..40_000, proptest::bool::ANY), 1..12),
    ) {
        let (every, misfire) = (if cron { 60 } else { every }, if all { "all" } else { "once" });
        let data = match cron {
            true => json!({"cron": "* * * * *", "misfire": misfire}),
            false => json!({"every": format!("{every}s"), "misfire": misfire}),
        };
        let mut source = Source::new(if cron { &at::SPEC } else { &every::SPEC }, data);
        let start = utc("2027-01-15T08:00:00Z");
        source.poll(start);
        let (mut now, mut recorded, mut expected) = (start, Vec::new(), Vec::new());
        for (slept, lost) in wakings {
            let before = source.cursor.clone();
            now += chrono::TimeDelta::seconds(slept);
            loop {
                let kept = source.cursor.clone();
                let page = source.poll(now);
                if lost && source.cursor != kept && kept == before {
                    // The commit of this page never came about: the poll is repeated.
                    source.cursor = kept;
                    let again = source.poll(now);
                    proptest::prop_assert_eq!(&again, &page);
                }
                recorded.extend(page.items.iter().map(|item| item.at.unwrap()));
                if !page.more {
                    break;
                }
            }
            let ticks = |n: i64| start + chrono::TimeDelta::seconds(n * every);
            let (done, last) = (expected.last().map_or(0, |(n, _)| *n), (now - start).num_seconds() / every);
            let from = if all { done + 1 } else { last.max(done + 1) };
            expected.extend((from..=last).map(|n| (n, ticks(n))));
        }
        let expected: Vec<_> = expected.into_iter().map(|(_, at)| at).collect();
        proptest::prop_assert_eq!(recorded, expected);
    }
}
