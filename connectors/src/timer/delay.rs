//! The reaction `timer.delay`: the run sleeps as a row with its instant; no task is held.

use chrono::{DateTime, TimeDelta, Utc};
use engine::duration::Span;
use engine::fault::Fault;
use engine::port::{Guarantee, Invalid, Reacted, ReactionSpec, params};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::written;

/// How long the run waits before its next step. Give one of the two.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Delay {
    /// For this long after the run was born: `10m`, `1h30m`.
    #[serde(default, rename = "for")]
    span: Option<Span>,
    /// Until this instant, with its offset: `2026-12-24T18:00:00+01:00`. One that has passed is not waited for.
    #[serde(default)]
    until: Option<DateTime<Utc>>,
}

/// See the module.
pub static SPEC: ReactionSpec = ReactionSpec {
    name: "delay",
    title: "Wait",
    description: "Lets the run sleep before its next step. It wakes at the same instant however often the daemon was restarted.",
    params: params::<Delay>,
    sample_params: r#"{"for": "10m"}"#,
    sample_output: r#"{"until": "2026-11-20T09:10:00Z"}"#,
    scopes: &[],
    guarantee: Guarantee::Idempotent,
    check,
    react: |cx| Box::pin(std::future::ready(react(cx.params, cx.born, cx.now))),
};

fn check(data: &Value) -> Vec<Invalid> {
    let given = ["for", "until"].iter().filter(|name| data.get(name).is_some_and(|value| !value.is_null())).count();
    match given {
        1 => Vec::new(),
        _ => vec![Invalid::new("", "give either `for` (how long) or `until` (an instant)")],
    }
}

fn react(params: &Value, born: DateTime<Utc>, now: DateTime<Utc>) -> Result<Reacted, Fault> {
    let delay = Delay::deserialize(params).map_err(|e| Fault::rejected(format!("timer.delay: {e}")))?;
    let until = match (delay.span, delay.until) {
        (Some(span), None) => after(born, span).ok_or_else(|| Fault::rejected("timer.delay: `for` is too long"))?,
        (None, Some(until)) => until,
        _ => return Err(Fault::rejected("timer.delay: give either `for` or `until`")),
    };
    match now < until {
        true => Ok(Reacted::WakeAt(until)),
        false => Ok(Reacted::Done(json!({ "until": written(until) }))),
    }
}

fn after(born: DateTime<Utc>, span: Span) -> Option<DateTime<Utc>> {
    born.checked_add_signed(TimeDelta::from_std(span.duration()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(params: Value, now: i64, expected: Result<i64, i64>) {
        let at = |seconds: i64| DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap();
        let expected = match expected {
            Ok(until) => Reacted::Done(json!({ "until": written(at(until)) })),
            Err(until) => Reacted::WakeAt(at(until)),
        };
        assert_eq!(react(&params, at(0), at(now)), Ok(expected), "{params} at {now}");
    }

    #[test]
    fn a_run_sleeps_until_the_same_instant_however_often_it_is_asked() {
        for now in [0, 1, 599] {
            check(json!({"for": "10m"}), now, Err(600));
            check(json!({"until": "2027-01-15T08:10:00Z"}), now, Err(600));
            check(json!({"until": "2027-01-15T09:10:00+01:00", "for": null}), now, Err(600));
        }
        for now in [600, 601, 1_000_000] {
            check(json!({"for": "10m"}), now, Ok(600));
            check(json!({"until": "2027-01-15T08:10:00Z"}), now, Ok(600));
        }
        check(json!({"for": "0s"}), 0, Ok(0));
        check(json!({"until": "1999-01-01T00:00:00Z"}), 0, Ok(915_148_800 - 1_800_000_000));
    }

    #[test]
    fn what_says_no_instant_is_rejected() {
        let wrong = [
            json!({}),
            json!({"for": "10m", "until": "2027-01-15T08:10:00Z"}),
            json!({"for": "soon"}),
            json!({"until": "soon"}),
        ];
        for params in wrong {
            let answer = react(&params, DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH);
            assert!(matches!(answer, Err(Fault::Rejected { .. })), "{params}: {answer:?}");
        }
        let end = DateTime::<Utc>::MAX_UTC;
        assert!(matches!(react(&json!({"for": "10m"}), end, end), Err(Fault::Rejected { .. })));
    }

    #[test]
    fn check_wants_one_of_the_two_and_reads_no_template() {
        assert_eq!(check_of(json!({"for": "{{ event.minutes }}m"})), 0);
        assert_eq!(check_of(json!({"until": "{{ event.start }}"})), 0);
        assert_eq!(check_of(json!({})), 1);
        assert_eq!(check_of(json!({"for": "1m", "until": "{{ event.start }}"})), 1);
    }

    fn check_of(data: Value) -> usize {
        (SPEC.check)(&data).len()
    }
}
