//! `timer.at` as the engine drives it: see `tests`.

use serde_json::json;

use super::at::SPEC;
use super::tests::{Source, instants, utc};

#[test]
fn a_cron_follows_the_clock_on_the_wall() {
    let mut source = Source::new(&SPEC, json!({"cron": "0 9 * * *", "tz": "Europe/Paris"}));
    let fired = source.run("2027-03-26T12:00:00Z", "2027-03-29T12:00:00Z");
    assert_eq!(instants(&fired), ["2027-03-27T08:00:00Z", "2027-03-28T07:00:00Z", "2027-03-29T07:00:00Z"]);
    assert_eq!(fired[0]["local"], "2027-03-27T09:00:00+01:00");
    assert_eq!(fired[1]["local"], "2027-03-28T09:00:00+02:00");
    assert_eq!((&fired[2]["tick"], &fired[2]["tz"]), (&json!(3), &json!("Europe/Paris")));
}

#[test]
fn a_cron_that_slept_fires_by_its_policy() {
    // Made on Friday at noon, asleep until Monday at 10:00:30; nine o'clock of Saturday, Sunday and Monday passed.
    let cases = [
        (json!("skip"), "2027-01-18T08:00:30Z", vec!["2027-01-18T08:00:00Z"]),
        (json!("skip"), "2027-01-18T09:00:30Z", vec![]),
        (json!("once"), "2027-01-18T09:00:30Z", vec!["2027-01-18T08:00:00Z"]),
        (
            json!("all"),
            "2027-01-18T09:00:30Z",
            vec!["2027-01-16T08:00:00Z", "2027-01-17T08:00:00Z", "2027-01-18T08:00:00Z"],
        ),
    ];
    for (misfire, woke, expected) in cases {
        let data = json!({"cron": "0 9 * * *", "tz": "Europe/Paris", "misfire": misfire});
        let mut source = Source::new(&SPEC, data);
        source.poll(utc("2027-01-15T11:00:00Z"));
        let fired = source.run(woke, woke);
        assert_eq!(instants(&fired), expected, "{misfire} at {woke}");
        assert_eq!(source.next(utc(woke)), Some(utc("2027-01-19T08:00:00Z")));
    }
}

#[test]
fn a_clock_that_was_far_ahead_does_not_silence_a_cron() {
    let mut source = Source::new(&SPEC, json!({"cron": "0 9 * * *"}));
    source.poll(utc("2027-01-15T11:00:00Z"));
    assert_eq!(source.run("2099-01-01T10:00:00Z", "2099-01-01T10:00:00Z").len(), 1);
    let fired = source.run("2027-01-15T12:00:00Z", "2027-01-17T12:00:00Z");
    assert_eq!(instants(&fired), ["2027-01-16T09:00:00Z", "2027-01-17T09:00:00Z"]);
}

#[test]
fn what_can_never_tick_is_found_when_it_is_saved() {
    let cases = [
        (json!({"cron": "61 * * * *"}), "/cron"),
        (json!({"cron": "* * *"}), "/cron"),
        (json!({"cron": ""}), "/cron"),
        (json!({"cron": "0 0 30 2 *"}), "/cron"),
        (json!({"cron": "0 9 * * *", "tz": "Europe/Atlantis"}), "/tz"),
        (json!({"cron": 5}), ""),
    ];
    for (data, pointer) in cases {
        let found = (SPEC.check)(&data);
        assert_eq!(found.iter().map(|i| i.pointer.as_str()).collect::<Vec<_>>(), [pointer], "{data}: {found:?}");
    }
}

#[test]
fn areas_that_mean_the_same_share_a_source() {
    let feed = |data| (SPEC.feed_params)(&data);
    assert_eq!(feed(json!({"cron": "0 9 * * *"})), feed(json!({"cron": " 0 9  * * *", "tz": "utc"})));
    assert_ne!(feed(json!({"cron": "0 9 * * *"})), feed(json!({"cron": "0 9 * * *", "tz": "Europe/Paris"})));
}
