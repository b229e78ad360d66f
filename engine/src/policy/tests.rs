//! The policies as tables, and what holds for every policy and every stream of events.

use std::collections::BTreeMap;

use chrono::DateTime;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::clock::Micros;
use crate::duration::Span;

const SECOND: Micros = 1_000_000;

fn policy(json: Value) -> Policy {
    let policy: Policy = serde_json::from_value(json).unwrap();
    assert_eq!(policy.check(), vec![]);
    policy
}

fn at(text: &str) -> Micros {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
}

/// One arrival after another; what is stored is read back between them, as after a restart.
fn arrive(policy: &Policy, state: &mut PolicyState, event: i64, now: Micros, going: bool) -> Vec<Birth> {
    let births = decide(policy, state, Arrival { event, now, going });
    let stored = serde_json::to_string(&state).unwrap();
    assert_eq!(PolicyState::parse(Some(&stored)), *state);
    births
}

/// Births as words; instants in seconds after `start`.
fn told(births: &[Birth], start: Micros) -> String {
    let seconds = |at: Micros| (at - start) / SECOND;
    let words = births.iter().map(|birth| match birth {
        Birth::Run { event } => format!("run {event}"),
        Birth::Hold { event, until, reason } => format!("hold {event} to {} {}", seconds(*until), reason.as_str()),
        Birth::Drop { event, reason } => format!("drop {event} {}", reason.as_str()),
        Birth::Collect { event, into, until } => format!("collect {event} into {into} to {}", seconds(*until)),
        Birth::Replace { event } => format!("replace {event}"),
        Birth::Restart => "restart".to_owned(),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Events numbered from 1 come so many seconds after `start`.
#[track_caller]
fn check(json: Value, start: &str, arrivals: &[(i64, &str)]) {
    let (policy, start) = (policy(json), at(start));
    let mut state = PolicyState::default();
    for (event, (seconds, expected)) in (1..).zip(arrivals) {
        let births = arrive(&policy, &mut state, event, start + seconds * SECOND, false);
        assert_eq!(told(&births, start), *expected, "event {event} after {seconds} s under {policy:?}");
    }
}

const NOON: &str = "2026-11-20T12:00:00Z";

#[test]
fn without_a_policy_every_event_runs_at_once() {
    check(json!({}), NOON, &[(0, "run 1"), (0, "run 2"), (1, "run 3")]);
}

#[test]
fn a_throttle_holds_in_order_until_the_window_has_slid() {
    check(
        json!({"throttle": {"max": 2, "per": "60s"}}),
        NOON,
        &[
            (0, "run 1"),
            (10, "run 2"),
            (20, "hold 3 to 60 throttle"),
            (30, "hold 4 to 70 throttle"),
            (65, "hold 5 to 120 throttle"),
            (200, "run 6"),
        ],
    );
}

#[test]
fn a_throttle_that_drops_counts_what_ran() {
    check(
        json!({"throttle": {"max": 2, "per": "60s", "over": "drop"}}),
        NOON,
        &[
            (0, "run 1"),
            (10, "run 2"),
            (20, "drop 3 throttle"),
            (59, "drop 4 throttle"),
            (60, "run 5"),
            (65, "drop 6 throttle"),
            (70, "run 7"),
        ],
    );
}

#[test]
fn a_throttle_drops_what_it_would_hold_for_a_month() {
    check(
        json!({"throttle": {"max": 1, "per": "20d"}}),
        NOON,
        &[(0, "run 1"), (0, "hold 2 to 1728000 throttle"), (0, "drop 3 throttle")],
    );
}

#[test]
fn a_debounce_runs_once_for_the_newest_of_a_burst() {
    check(
        json!({"debounce": "30s"}),
        NOON,
        &[
            (0, "hold 1 to 30 debounce"),
            (10, "replace 1, hold 2 to 40 debounce"),
            (39, "replace 2, hold 3 to 69 debounce"),
            (69, "hold 4 to 99 debounce"),
        ],
    );
}

#[test]
fn a_debounced_burst_takes_one_place_of_the_throttle() {
    let throttled = json!({"debounce": "10s", "throttle": {"max": 1, "per": "100s"}});
    check(
        throttled,
        NOON,
        &[
            (0, "hold 1 to 10 debounce"),
            (5, "replace 1, hold 2 to 15 debounce"),
            (20, "hold 3 to 115 throttle"),
            (25, "replace 3, hold 4 to 115 throttle"),
            (50, "hold 5 to 215 throttle"),
            (300, "hold 6 to 315 throttle"),
        ],
    );
}

#[test]
fn a_digest_collects_and_fires_at_its_time_or_count() {
    check(
        json!({"digest": {"every": "60s", "max": 3}}),
        NOON,
        &[
            (0, "hold 1 to 60 digest"),
            (10, "collect 2 into 1 to 60"),
            (20, "collect 3 into 1 to 20"),
            (25, "hold 4 to 85 digest"),
            (85, "hold 5 to 145 digest"),
        ],
    );
    check(
        json!({"digest": {"at": {"cron": "0 9 * * 1-5", "tz": "Europe/Paris"}}}),
        // A Friday; 9:00 in Paris is 8:00 UTC.
        "2026-11-20T07:59:00Z",
        &[(0, "hold 1 to 60 digest"), (59, "collect 2 into 1 to 60"), (60, "hold 3 to 259260 digest")],
    );
    check(json!({"digest": {"every": "60s", "max": 1}}), NOON, &[(0, "run 1"), (1, "run 2")]);
    // A full digest waits its turn, and the next one after it.
    check(
        json!({"digest": {"every": "60s", "max": 2}, "throttle": {"max": 1, "per": "100s"}}),
        NOON,
        &[
            (0, "hold 1 to 60 digest"),
            (1, "collect 2 into 1 to 1"),
            (2, "hold 3 to 101 throttle"),
            (3, "collect 4 into 3 to 101"),
            (4, "hold 5 to 201 throttle"),
        ],
    );
}

#[test]
fn quiet_hours_hold_to_their_end_in_the_zone() {
    let night = json!({"quiet_hours": {"from": "22:00", "to": "07:00", "tz": "Europe/Paris"}});
    // 20:59:59 UTC is 21:59:59 in Paris in winter; the night ends at 6:00 UTC.
    check(
        night.clone(),
        "2026-11-20T20:59:59Z",
        &[(0, "run 1"), (1, "hold 2 to 32401 quiet_hours"), (32_400, "hold 3 to 32401 quiet_hours"), (32_401, "run 4")],
    );
    // The night in which the clock goes forward is an hour shorter, the other one an hour longer.
    check(night.clone(), "2026-03-28T21:00:00Z", &[(0, "hold 1 to 28800 quiet_hours")]);
    check(night, "2026-10-24T20:00:00Z", &[(0, "hold 1 to 36000 quiet_hours")]);
    // An end that the clock leaps over is the leap itself.
    check(
        json!({"quiet_hours": {"from": "01:00", "to": "02:30", "tz": "Europe/Paris"}}),
        "2026-03-29T00:30:00Z",
        &[(0, "hold 1 to 1800 quiet_hours"), (1800, "run 2")],
    );
    let weekend = json!({"quiet_hours": {"from": "20:00", "to": "08:00", "days": ["fri", "sat"]}});
    check(weekend.clone(), "2026-11-20T23:00:00Z", &[(0, "hold 1 to 32400 quiet_hours")]);
    check(weekend.clone(), "2026-11-22T07:00:00Z", &[(0, "hold 1 to 3600 quiet_hours")]);
    check(weekend, "2026-11-22T23:00:00Z", &[(0, "run 1")]);
    check(
        json!({"quiet_hours": {"from": "09:00", "to": "17:00"}}),
        NOON,
        &[(0, "hold 1 to 18000 quiet_hours"), (18_000, "run 2")],
    );
}

#[test]
fn quiet_hours_that_drop_look_at_when_the_event_came() {
    let night = json!({"quiet_hours": {"from": "22:00", "to": "07:00", "over": "drop"}, "debounce": "5m"});
    check(night, "2026-11-20T21:56:00Z", &[(0, "hold 1 to 32640 quiet_hours"), (240, "drop 2 quiet_hours")]);
}

#[test]
fn what_the_night_held_goes_out_at_the_throttles_pace() {
    let both = json!({"quiet_hours": {"from": "22:00", "to": "07:00"}, "throttle": {"max": 2, "per": "10m"}});
    check(
        both,
        "2026-11-21T05:00:00Z",
        &[
            (0, "hold 1 to 7200 quiet_hours"),
            (1, "hold 2 to 7200 quiet_hours"),
            (2, "hold 3 to 7800 throttle"),
            (3, "hold 4 to 7800 throttle"),
            (7300, "hold 5 to 8400 throttle"),
        ],
    );
    // An instant that the throttle finds in the night moves to its end.
    let evening = json!({"quiet_hours": {"from": "22:00", "to": "07:00"}, "throttle": {"max": 1, "per": "1h"}});
    check(
        evening,
        "2026-11-20T21:30:00Z",
        &[(0, "run 1"), (0, "hold 2 to 34200 quiet_hours"), (0, "hold 3 to 37800 throttle")],
    );
}

#[test]
fn an_area_that_is_over_drops_what_comes_and_what_would_run_later() {
    check(json!({"expires_at": "2026-11-20T12:01:00Z"}), NOON, &[(59, "run 1"), (60, "drop 2 expired")]);
    let debounced = json!({"expires_at": "2026-11-20T12:01:00Z", "debounce": "30s"});
    // The newer event would be too late: the older one runs.
    check(debounced, NOON, &[(20, "hold 1 to 50 debounce"), (40, "drop 2 expired"), (45, "drop 3 expired")]);
}

#[test]
fn single_drops_and_restart_cancels_while_a_run_goes() {
    for (order, going, expected) in [
        ("single", false, "run 1"),
        ("single", true, "drop 1 single"),
        ("restart", false, "run 1"),
        ("restart", true, "restart, run 1"),
        ("queued", true, "run 1"),
    ] {
        let births = arrive(&policy(json!({"order": order})), &mut PolicyState::default(), 1, at(NOON), going);
        assert_eq!(told(&births, at(NOON)), expected, "{order} {going}");
    }
}

#[test]
fn a_digest_that_is_full_does_not_overtake_the_one_before_it() {
    // Event 3 fills its digest while the throttle is taken, so that it keeps its instant; event 5 fills the next one when there
    // would be a free instant before that.
    check(
        json!({"digest": {"every": "100s", "max": 2}, "throttle": {"max": 1, "per": "50s", "over": "drop"}}),
        NOON,
        &[
            (0, "hold 1 to 100 digest"),
            (0, "collect 2 into 1 to 0"),
            (10, "hold 3 to 110 digest"),
            (20, "collect 4 into 3 to 110"),
            (60, "hold 5 to 160 digest"),
            (61, "collect 6 into 5 to 160"),
        ],
    );
}

#[test]
fn a_clock_that_was_far_ahead_does_not_stop_an_area() {
    let policy = policy(json!({"throttle": {"max": 1, "per": "60s"}}));
    let mut state = PolicyState::default();
    arrive(&policy, &mut state, 1, at("2036-11-20T12:00:00Z"), false);
    assert_eq!(arrive(&policy, &mut state, 2, at(NOON), false), [Birth::Run { event: 2 }]);
}

#[test]
fn an_edited_policy_forgets_what_it_no_longer_asks_for() {
    let mut state = PolicyState::default();
    let before = policy(json!({"debounce": "60s", "throttle": {"max": 3, "per": "60s"}}));
    arrive(&before, &mut state, 1, at(NOON), false);
    assert!(!state.is_empty());
    assert_eq!(arrive(&Policy::default(), &mut state, 2, at(NOON) + 1, false), [Birth::Run { event: 2 }]);
    assert!(state.is_empty());
}

#[test]
fn silence_is_due_after_the_last_event() {
    assert_eq!(silence_due(&policy(json!({"silence": "2d"})), at(NOON)), Some(at("2026-11-22T12:00:00Z")));
    assert_eq!(silence_due(&Policy::default(), at(NOON)), None);
}

#[test]
fn a_wrong_policy_is_told_with_its_place() {
    for (json, pointer, detail) in [
        (json!({"order": {"parallel": 0}}), "/order/parallel", "0 is not within 1 to 100"),
        (json!({"throttle": {"max": 1001, "per": "1h"}}), "/throttle/max", "1001 is not within 1 to 1000"),
        (json!({"throttle": {"max": 1, "per": "0s"}}), "/throttle/per", "longer than no time"),
        (json!({"debounce": "0s"}), "/debounce", "longer than no time"),
        (json!({"silence": "0s"}), "/silence", "longer than no time"),
        (json!({"digest": {}}), "/digest", "exactly one of `every` and `at`"),
        (json!({"digest": {"every": "1h", "at": {"cron": "@daily"}}}), "/digest", "exactly one of `every` and `at`"),
        (json!({"digest": {"at": {"cron": "0 25 * * *"}}}), "/digest/at/cron", "hour: `25` is not within 0 to 23"),
        (
            json!({"digest": {"at": {"cron": "@daily", "tz": "Europe/Pari"}}}),
            "/digest/at/tz",
            "did you mean `Europe/Paris`?",
        ),
        (json!({"digest": {"every": "1h", "max": 0}}), "/digest/max", "0 is not within 1 to 1000"),
        (json!({"digest": {"every": "1h"}, "debounce": "5s"}), "/digest", "either `digest` or `debounce`"),
        (json!({"quiet_hours": {"from": "22:00", "to": "22:00"}}), "/quiet_hours/to", "are the same"),
        (
            json!({"quiet_hours": {"from": "22:00", "to": "07:00", "tz": "Moon"}}),
            "/quiet_hours/tz",
            "there is no time zone `Moon`",
        ),
        (json!({"quiet_hours": {"from": "22:00", "to": "07:00", "days": []}}), "/quiet_hours/days", "at least one day"),
        (json!({"retry": {"attempts": 51}}), "/retry/attempts", "51 is not within 1 to 50"),
        (json!({"retry": {"base": "2m", "max": "1m"}}), "/retry/max", "`1m` is shorter than the first wait, `2m`"),
    ] {
        let faults = serde_json::from_value::<Policy>(json.clone()).unwrap().check();
        assert!(
            faults.len() == 1 && faults[0].pointer == pointer && faults[0].detail.contains(detail),
            "{json}: {faults:?}"
        );
    }
    for (json, expected) in [
        (json!({"ordr": "queued"}), "unknown field `ordr`"),
        (json!({"throttle": {"max": 1, "per": "1h", "ovr": "drop"}}), "unknown field `ovr`"),
        (json!({"quiet_hours": {"from": "24:00", "to": "07:00"}}), "`24:00` is not a time of day: write \"07:30\""),
        (json!({"quiet_hours": {"from": "7:00", "to": "07:00"}}), "`7:00` is not a time of day"),
        (json!({"throttle": {"max": 1, "per": 60}}), "a length of time such as"),
    ] {
        let told = serde_json::from_value::<Policy>(json.clone()).unwrap_err().to_string();
        assert!(told.contains(expected), "{json}: {told}");
    }
}

#[test]
fn the_schema_is_strict_and_accepts_the_whole_policy() {
    let schema = crate::port::params::<Policy>();
    let whole = json!({
        "order": {"parallel": 4}, "throttle": {"max": 5, "per": "1h", "over": "hold"}, "debounce": "1m30s",
        "digest": {"at": {"cron": "0 9 * * 1-5", "tz": "Europe/Paris"}, "max": 50},
        "quiet_hours": {"from": "22:00", "to": "07:00", "tz": "Europe/Paris", "days": ["mon"], "over": "drop"},
        "expires_at": "2027-01-01T00:00:00Z", "silence": "2d", "retry": {"attempts": 3, "base": "10s", "max": "1h"}, "delivery": "at_most_once",
    });
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(
        validator.is_valid(&whole),
        "{:?}",
        validator.iter_errors(&whole).map(|e| e.to_string()).collect::<Vec<_>>()
    );
    assert!(validator.is_valid(&json!({})) && !validator.is_valid(&json!({"nope": 1})));
    assert!(!validator.is_valid(&json!({"debounce": "5 minutes"})));
    let policy: Policy = serde_json::from_value(whole.clone()).unwrap();
    assert_eq!(serde_json::to_value(&policy).unwrap(), whole);
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let over = || prop_oneof![Just(Over::Hold), Just(Over::Drop)];
    let span = |most: u64| (1..most).prop_map(Span::from_secs);
    let throttle = (1..5_u32, span(7200), over()).prop_map(|(max, per, over)| Throttle { max, per, over });
    let wait = prop_oneof![
        2 => Just((None, None)),
        2 => span(3600).prop_map(|span| (Some(span), None)),
        1 => (span(7200), prop::option::of(1..6_u32)).prop_map(|(every, max)| (None, Some(Digest { every: Some(every), at: None, max }))),
        1 => prop::option::of(1..6_u32).prop_map(|max| {
            let at = At { cron: "*/20 * * * *".to_owned(), tz: Some("Europe/Paris".to_owned()) };
            (None, Some(Digest { every: None, at: Some(at), max }))
        }),
    ];
    let quiet = (0..24_u32, 1..23_u32, over(), any::<bool>()).prop_map(|(from, length, over, some_days)| QuietHours {
        from: format!("{from:02}:30").parse().unwrap(),
        to: format!("{:02}:30", (from + length) % 24).parse().unwrap(),
        tz: Some("Europe/Paris".to_owned()),
        days: some_days.then(|| vec![Weekday::Sat, Weekday::Sun, Weekday::Mon]),
        over,
    });
    let expires = prop::option::weighted(0.3, 0..300_000_i64);
    (prop::option::of(throttle), wait, prop::option::of(quiet), expires).prop_map(
        |(throttle, (debounce, digest), quiet_hours, expires)| {
            let expires_at = expires.map(|seconds| crate::clock::from_micros(START + seconds * SECOND));
            Policy { throttle, debounce, digest, quiet_hours, expires_at, ..Policy::default() }
        },
    )
}

/// The evening before the clock goes forward in Paris.
const START: Micros = 1_774_720_800 * SECOND;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn every_event_has_one_fate_and_every_run_keeps_every_policy(
        policy in any_policy(),
        pauses in prop::collection::vec(prop_oneof![3 => 0..20_i64, 2 => 0..1200_i64, 1 => 0..40_000_i64], 1..60),
    ) {
        let mut state = PolicyState::default();
        let mut runs: BTreeMap<i64, Micros> = BTreeMap::new();
        let mut came: BTreeMap<i64, Micros> = BTreeMap::new();
        let mut now = START;
        for (event, pause) in (1..).zip(&pauses) {
            now += pause * SECOND;
            came.insert(event, now);
            let births = arrive(&policy, &mut state, event, now, false);
            let (last, before) = births.split_last().unwrap();
            for birth in before {
                let Birth::Replace { event } = birth else { panic!("{birth:?}") };
                prop_assert!(runs.remove(event).unwrap() > now, "a run that went was replaced");
            }
            match last {
                Birth::Run { event: own } => { prop_assert_eq!(*own, event); runs.insert(event, now); }
                Birth::Hold { event: own, until, .. } => {
                    prop_assert_eq!(*own, event);
                    prop_assert!(*until > now);
                    runs.insert(event, *until);
                }
                Birth::Drop { event: own, .. } => {
                    prop_assert_eq!(*own, event);
                    prop_assert!(policy != Policy::default());
                }
                Birth::Collect { event: own, into, until } => {
                    prop_assert_eq!(*own, event);
                    let carrier = runs.get_mut(into).unwrap();
                    prop_assert!(*carrier > now && *until <= *carrier && *until >= now);
                    *carrier = *until;
                }
                other => panic!("{other:?}"),
            }
        }
        let dues: Vec<Micros> = runs.values().copied().collect();
        prop_assert!(dues.is_sorted(), "the order of events is kept: {:?}", dues);
        if let Some(throttle) = &policy.throttle {
            let max = throttle.max as usize;
            prop_assert!(dues.windows(max + 1).all(|w| w[max] - w[0] >= throttle.per.micros()), "{:?}", dues);
            prop_assert!(serde_json::to_string(&state).unwrap().len() < 300 + 20 * max);
        }
        for (event, due) in &runs {
            prop_assert!(policy.quiet_hours.as_ref().is_none_or(|quiet| quiet.end(*due).is_none()), "{} runs in quiet hours", event);
            prop_assert!(policy.expires_at.is_none_or(|at| *due < at.timestamp_micros()));
            if let Some(debounce) = policy.debounce {
                prop_assert!(*due >= came[event] + debounce.micros());
            }
        }
    }
}
