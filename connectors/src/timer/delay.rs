//! The reaction `timer.delay`: the run sleeps as a row with its instant; no task is held.

use chrono::{DateTime, TimeDelta, Utc};
use engine::duration::Span;
use engine::fault::Fault;
use engine::port::{About, Guarantee, Invalid, Reacted, ReactionSpec, params};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::written;

/// How long the run waits before its next step. Give one of the two.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Delay {
    /// For this long from when the step began: `10m`, `1h30m`.
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
    about: About::NONE,
    guarantee: Guarantee::Idempotent,
    check,
    react: |cx| Box::pin(std::future::ready(react(cx.params, cx.slept_until, cx.now))),
};

fn check(data: &Value) -> Vec<Invalid> {
    let given = ["for", "until"].iter().filter(|name| data.get(name).is_some_and(|value| !value.is_null())).count();
    match given {
        1 => Vec::new(),
        _ => vec![Invalid::new("", "give either `for` (how long) or `until` (an instant)")],
    }
}

fn react(params: &Value, slept_until: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<Reacted, Fault> {
    let delay = Delay::deserialize(params).map_err(|e| Fault::rejected(format!("timer.delay: {e}")))?;
    let until = match (delay.span, delay.until) {
        (Some(span), None) => {
            slept_until.or_else(|| after(now, span)).ok_or_else(|| Fault::rejected("timer.delay: `for` is too long"))?
        }
        (None, Some(until)) => until,
        _ => return Err(Fault::rejected("timer.delay: give either `for` or `until`")),
    };
    match now < until {
        true => Ok(Reacted::WakeAt(until)),
        false => Ok(Reacted::Done(json!({ "until": written(until) }))),
    }
}

fn after(began: DateTime<Utc>, span: Span) -> Option<DateTime<Utc>> {
    began.checked_add_signed(TimeDelta::from_std(span.duration()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_800_000_000;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(START + seconds, 0).unwrap()
    }

    #[track_caller]
    fn check(params: Value, slept_until: Option<i64>, now: i64, expected: Result<i64, i64>) {
        let expected = match expected {
            Ok(until) => Reacted::Done(json!({ "until": written(at(until)) })),
            Err(until) => Reacted::WakeAt(at(until)),
        };
        assert_eq!(react(&params, slept_until.map(at), at(now)), Ok(expected), "{params} at {now}");
    }

    #[test]
    fn a_delay_counts_from_when_its_step_began_and_keeps_its_instant() {
        check(json!({"for": "10m"}), None, 0, Err(600));
        check(json!({"for": "10m"}), None, 700, Err(1300));
        for now in [1, 599] {
            check(json!({"for": "10m"}), Some(600), now, Err(600));
        }
        for now in [600, 601, 1_000_000] {
            check(json!({"for": "10m"}), Some(600), now, Ok(600));
        }
        check(json!({"for": "0s"}), None, 0, Ok(0));
    }

    #[test]
    fn an_instant_is_waited_for_whatever_its_offset_and_not_when_it_has_passed() {
        check(json!({"until": "2027-01-15T08:10:00Z"}), None, 0, Err(600));
        check(json!({"until": "2027-01-15T09:10:00+01:00", "for": null}), None, 599, Err(600));
        check(json!({"until": "2027-01-15T08:10:00Z"}), Some(600), 600, Ok(600));
        check(json!({"until": "1999-01-01T00:00:00Z"}), None, 0, Ok(915_148_800 - START));
    }

    #[test]
    fn neither_or_both_is_refused() {
        for params in [json!({}), json!({"for": "1s", "until": "2027-01-15T08:10:00Z"})] {
            assert_eq!(super::check(&params).len(), 1, "{params}");
            assert!(react(&params, None, at(0)).is_err(), "{params}");
        }
    }
}
