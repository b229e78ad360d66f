//! The rules as a table, and agreement with `croner` over zones and changes of the clock.

use croner::Cron as Oracle;
use proptest::prelude::*;

use super::super::field::Field;
use super::*;

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// The first firings after `from`, as local times with their offset.
#[track_caller]
fn check(expr: &str, zone: &str, from: &str, expected: &[&str]) {
    let cron = Cron::parse(expr, Some(zone)).unwrap();
    let mut now = at(from);
    for firing in expected {
        now = cron.next_after(now).unwrap();
        let local = now.with_timezone(&cron.zone()).format("%Y-%m-%dT%H:%M:%S%:z").to_string();
        assert_eq!(local, *firing, "{expr} in {zone} after {from}");
    }
}

#[test]
fn fields_are_unix_crons() {
    check("0 9 * * 1-5", "UTC", "2026-11-20T09:00:00Z", &["2026-11-23T09:00:00+00:00", "2026-11-24T09:00:00+00:00"]);
    check("0 9 * * 7", "UTC", "2026-11-20T00:00:00Z", &["2026-11-22T09:00:00+00:00"]);
    check("0 9 * * 0", "UTC", "2026-11-20T00:00:00Z", &["2026-11-22T09:00:00+00:00"]);
    check(
        "0 9 * * 5-7",
        "UTC",
        "2026-11-20T00:00:00Z",
        &[
            "2026-11-20T09:00:00+00:00",
            "2026-11-21T09:00:00+00:00",
            "2026-11-22T09:00:00+00:00",
            "2026-11-27T09:00:00+00:00",
        ],
    );
    check(
        "0 9 * * Fri-mon",
        "UTC",
        "2026-11-20T10:00:00Z",
        &[
            "2026-11-21T09:00:00+00:00",
            "2026-11-22T09:00:00+00:00",
            "2026-11-23T09:00:00+00:00",
            "2026-11-27T09:00:00+00:00",
        ],
    );
    check(
        "0 0 1 jan,july *",
        "UTC",
        "2026-11-20T00:00:00Z",
        &["2027-01-01T00:00:00+00:00", "2027-07-01T00:00:00+00:00"],
    );
    check(
        "*/20 30 12 * * *",
        "UTC",
        "2026-11-20T12:30:20Z",
        &["2026-11-20T12:30:40+00:00", "2026-11-21T12:30:00+00:00"],
    );
    check("5/20 * * * *", "UTC", "2026-11-20T12:30:20.5Z", &["2026-11-20T12:45:00+00:00", "2026-11-20T13:05:00+00:00"]);
    check("@weekly", "UTC", "2026-11-20T00:00:00Z", &["2026-11-22T00:00:00+00:00"]);
    check("@Hourly", "UTC", "2026-11-20T00:00:00Z", &["2026-11-20T01:00:00+00:00"]);
    check("0 0 29 2 *", "UTC", "2026-11-20T00:00:00Z", &["2028-02-29T00:00:00+00:00", "2032-02-29T00:00:00+00:00"]);
    // Either day field is enough where both are restricted; both must hold where one begins with a star.
    check(
        "0 0 13 * 5",
        "UTC",
        "2026-11-12T00:00:00Z",
        &[
            "2026-11-13T00:00:00+00:00",
            "2026-11-20T00:00:00+00:00",
            "2026-11-27T00:00:00+00:00",
            "2026-12-04T00:00:00+00:00",
            "2026-12-11T00:00:00+00:00",
            "2026-12-13T00:00:00+00:00",
        ],
    );
    check("0 0 */2 * 5", "UTC", "2026-11-12T00:00:00Z", &["2026-11-13T00:00:00+00:00", "2026-11-27T00:00:00+00:00"]);
    check("0 0 13 * ?", "UTC", "2026-11-12T00:00:00Z", &["2026-11-13T00:00:00+00:00", "2026-12-13T00:00:00+00:00"]);
}

#[test]
fn a_time_in_a_spring_gap_fires_once_after_it() {
    let paris = "2026-03-28T23:00:00Z";
    check("30 2 * * *", "Europe/Paris", paris, &["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]);
    check("0,30 2 * * *", "Europe/Paris", paris, &["2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"]);
    check("0 2,3 * * *", "Europe/Paris", paris, &["2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"]);
    check("* 2 * * *", "Europe/Paris", paris, &["2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"]);
    check(
        "*/30 * * * *",
        "Europe/Paris",
        "2026-03-29T00:10:00Z",
        &["2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"],
    );
    check(
        "15 2 * * *",
        "Australia/Lord_Howe",
        "2026-10-03T12:00:00Z",
        &["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"],
    );
    check(
        "0 0 * * *",
        "America/Sao_Paulo",
        "2017-10-14T12:00:00Z",
        &["2017-10-15T01:00:00-02:00", "2017-10-16T00:00:00-02:00"],
    );
    // The zone moved over the date line: the 30th did not exist.
    check(
        "0 12 * * *",
        "Pacific/Apia",
        "2011-12-29T12:00:00Z",
        &["2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"],
    );
}

#[test]
fn in_an_autumn_fold_fixed_times_fire_once_and_intervals_twice() {
    check(
        "30 2 * * *",
        "Europe/Paris",
        "2026-10-24T23:00:00Z",
        &["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"],
    );
    check("30 2 * * *", "Europe/Paris", "2026-10-25T01:10:00Z", &["2026-10-26T02:30:00+01:00"]);
    check(
        "*/30 2 * * *",
        "Europe/Paris",
        "2026-10-24T23:50:00Z",
        &["2026-10-25T02:00:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-26T02:00:00+01:00"],
    );
    check(
        "*/30 * * * *",
        "Europe/Paris",
        "2026-10-24T23:50:00Z",
        &[
            "2026-10-25T02:00:00+02:00",
            "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:00:00+01:00",
            "2026-10-25T02:30:00+01:00",
            "2026-10-25T03:00:00+01:00",
        ],
    );
    check(
        "@hourly",
        "America/New_York",
        "2026-11-01T04:10:00Z",
        &["2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00", "2026-11-01T02:00:00-05:00"],
    );
    check(
        "45 * * * *",
        "Australia/Lord_Howe",
        "2026-04-04T14:00:00Z",
        &["2026-04-05T01:45:00+11:00", "2026-04-05T01:45:00+10:30", "2026-04-05T02:45:00+10:30"],
    );
}

#[test]
fn a_wrong_expression_says_what_is_right() {
    for (expr, zone, expected) in [
        ("0 0 30 2 *", None, "`0 0 30 2 *` never fires"),
        ("0 0 31 4,6 *", None, "never fires"),
        ("0 9 * *", None, "has 4 fields: 5 are needed (minute hour day month weekday), or 6 with seconds first"),
        ("0 0 0 1 1 * 2026", None, "has 7 fields"),
        ("", None, "has 0 fields"),
        ("60 * * * *", None, "minute: `60` is not within 0 to 59"),
        ("0 9-8 * * *", None, "hour: `9-8` goes backwards"),
        ("0 9 0 * *", None, "day of the month: `0` is not within 1 to 31"),
        ("0 9 L * *", None, "day of the month: `L` is not understood"),
        (
            "0 9 * foo *",
            None,
            "month: `foo` is not understood: write `*`, `*/2`, a number, a range, a list or a name such as `FEB`",
        ),
        ("0 9 * * 8", None, "day of the week: `8` is not within 0 to 7"),
        ("0 9 * * 5#2", None, "day of the week: `5#2` is not understood"),
        ("*/0 * * * *", None, "minute: the step of `*/0` must be 1 to 59"),
        ("1,,2 * * * *", None, "a value is missing between two commas"),
        ("@reboot", None, "`@reboot` is not known: @yearly"),
        ("0 9 * * *", Some("Europe/Pris"), "did you mean `Europe/Paris`?"),
    ] {
        let told = Cron::parse(expr, zone).unwrap_err();
        assert!(told.contains(expected), "{expr}: {told}");
    }
    assert!(Cron::parse(&"1,".repeat(1000), None).unwrap_err().contains("at most 500 bytes"));
}

#[test]
fn the_calendar_ends_without_a_panic() {
    let cron = Cron::parse("0 0 1 1 *", None).unwrap();
    assert_eq!(cron.next_after(at("2099-06-01T00:00:00Z")), Some(at("2100-01-01T00:00:00Z")));
    assert_eq!(cron.next_after(at("2100-01-01T00:00:00Z")), None);
    assert_eq!(cron.next_after(DateTime::<Utc>::MAX_UTC), None);
    assert_eq!(cron.next_after(at("1900-06-01T00:00:00Z")), Some(at("1970-01-01T00:00:00Z")));
}

/// `croner` calls fixed only what names a single time of day: of `0 2,14 * * *` it would lose the 2 in a spring gap and fire it
/// twice in autumn. Our fixed times each fire once a day, so the oracle is asked for every single time, and the first answer counts.
fn oracle(expr: &str, interval: bool, now: DateTime<Tz>) -> DateTime<Tz> {
    let next = |expr: &str| expr.parse::<Oracle>().unwrap().find_next_occurrence(&now, false).unwrap();
    if interval {
        return next(expr);
    }
    let fields: Vec<&str> = expr.split(' ').collect();
    let values = |place: usize, unit| Field::parse(fields[place], unit).unwrap().values;
    let mut times = Vec::new();
    for hour in values(2, &HOUR) {
        for minute in values(1, &MINUTE) {
            times.extend(values(0, &SECOND).into_iter().map(|second| format!("{second} {minute} {hour}")));
        }
    }
    times.iter().map(|time| next(&format!("{time} {}", fields[3..].join(" ")))).min().unwrap()
}

/// Zones with the instants of two changes each (for those without, any).
const ZONES: [(&str, [i64; 2]); 8] = [
    ("Europe/Paris", [1_774_746_000, 1_792_890_000]),
    ("America/New_York", [1_772_953_200, 1_793_512_800]),
    ("Australia/Lord_Howe", [1_775_314_800, 1_791_041_400]),
    ("America/Sao_Paulo", [1_508_036_400, 1_518_919_200]),
    ("Africa/Casablanca", [1_771_120_800, 1_774_144_800]),
    ("Asia/Kolkata", [1_774_746_000, 1_792_890_000]),
    ("Pacific/Auckland", [1_775_311_200, 1_790_431_200]),
    ("UTC", [1_774_746_000, 1_792_890_000]),
];

fn clock_field(max: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0..=max).prop_map(|n| n.to_string()),
        2 => (0..=max, 0..=max).prop_map(|(a, b)| format!("{a},{b}")),
        1 => (0..=max, 0..4_u32).prop_map(move |(a, more)| format!("{a}-{}", (a + more).min(max))),
    ]
}

fn hour_field() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0..4_u32).prop_map(|n| n.to_string()),
        2 => clock_field(23),
        2 => Just("*".to_owned()),
        1 => (1..6_u32).prop_map(|n| format!("*/{n}")),
    ]
}

fn minute_field() -> impl Strategy<Value = String> {
    prop_oneof![3 => clock_field(59), 1 => prop::sample::select(vec!["*/15", "*/30", "0-59/20", "0"]).prop_map(str::to_owned)]
}

/// Unix cron and `croner` differ over `*/2` in one day field beside a restricted other one, which is not asked here; the table
/// above holds our rule.
fn days() -> impl Strategy<Value = String> {
    let months =
        prop_oneof![4 => Just("*".to_owned()), 1 => Just("3,4,10,11".to_owned()), 1 => Just("2-11".to_owned())];
    let days = prop_oneof![
        5 => Just(("*".to_owned(), "*".to_owned())),
        2 => clock_field(6).prop_map(|week| ("*".to_owned(), week)),
        1 => (1..=28_u32).prop_map(|day| (day.to_string(), "*".to_owned())),
        1 => (1..=31_u32, 0..=7_u32).prop_map(|(day, week)| (format!("{day}-31"), week.to_string())),
        1 => Just(("*/3".to_owned(), "*".to_owned())),
    ];
    (days, months).prop_map(|((day, week), month)| format!("{day} {month} {week}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn firings_agree_with_the_oracle(
        (name, changes) in prop::sample::select(ZONES.to_vec()),
        change in 0..2_usize,
        away in -100_000..100_000_i64,
        second in prop_oneof![6 => Just("0".to_owned()), 1 => clock_field(59)],
        (minute, hour, days) in (minute_field(), hour_field(), days()),
    ) {
        let expr = format!("{second} {minute} {hour} {days}");
        let cron = Cron::parse(&expr, Some(name)).unwrap();
        let mut now = DateTime::from_timestamp(changes[change] + away, 0).unwrap();
        for _ in 0..6 {
            let next = cron.next_after(now).unwrap();
            let expected = oracle(&expr, hour.starts_with('*'), now.with_timezone(&cron.zone()));
            prop_assert_eq!(next.with_timezone(&cron.zone()), expected, "{} in {} after {}", expr, name, now);
            prop_assert!(next > now);
            now = next;
        }
    }
}
