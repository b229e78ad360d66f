//! What follows a reaction or a poll. Pure: the same result, attempt, policy and instant give the same answer.

use std::time::Duration;

use crate::clock::{Micros, from_micros};
use crate::duration::Span;
use crate::fault::Fault;
use crate::policy::{Delivery, Retry};

/// The longest `Retry-After` that a reaction's retry obeys; a far side that asks for more is given up on, with its words.
pub const LONGEST_RETRY_AFTER: Span = Span::from_secs(24 * 60 * 60);
/// The longest that a failing source is left alone by its backoff (or its interval, where that is longer).
pub const LONGEST_POLL_BACKOFF: Span = Span::from_secs(60 * 60);
/// The longest `Retry-After` that a poll obeys: a provider's slip must not silence a source for a year.
pub const LONGEST_POLL_WAIT: Span = Span::from_secs(24 * 60 * 60);
/// The shortest backoff of a source whose interval is shorter.
pub const SHORTEST_POLL_BACKOFF: Span = Span::from_secs(5);

/// The longest that a run is held back, from its birth: then it counts what it meets as attempts.
pub const LONGEST_HELD: Span = Span::from_secs(3 * 24 * 60 * 60);

/// When a run that is held back until then tries again: the later, the longer it has waited, so that many that wait for one share
/// do not all come back each time that it has room.
pub fn held(until: Micros, born: Micros, now: Micros, jitter: f64) -> Option<Micros> {
    const RARELY: Micros = 5 * 60 * 1_000_000;
    let waited = now.saturating_sub(born).max(0);
    let more = (waited / 8).min(RARELY) as f64 * jitter.clamp(0.0, 1.0);
    (waited <= LONGEST_HELD.micros()).then(|| until.max(now).saturating_add(more as Micros))
}

/// What follows an attempt at a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is done.
    Done,
    /// It is tried again at this instant.
    RetryAt(Micros),
    /// It is not tried again.
    GiveUp {
        /// One sentence for the owner.
        why: String,
    },
    /// It may have taken effect, and its AREA asked not to repeat.
    Uncertain {
        /// One sentence for the owner.
        why: String,
    },
    /// The AREA pauses until the account is linked again.
    Reconnect {
        /// Whose account.
        provider: String,
        /// One sentence for the owner.
        why: String,
    },
}

/// What follows attempt number `attempt` (from 1), which ended at `now`; `jitter` is within 0 to 1.
pub fn decide(
    result: Result<(), &Fault>,
    attempt: u32,
    retry: &Retry,
    delivery: Delivery,
    now: Micros,
    jitter: f64,
) -> Next {
    let (not_before, why) = match result {
        Ok(()) => return Next::Done,
        Err(Fault::Rejected { why }) => return Next::GiveUp { why: why.clone() },
        Err(Fault::Reconnect { provider, why }) => {
            return Next::Reconnect { provider: provider.clone(), why: why.clone() };
        }
        Err(Fault::Later { maybe_done: true, why, .. }) if delivery == Delivery::AtMostOnce => {
            return Next::Uncertain { why: why.clone() };
        }
        Err(Fault::Later { not_before, why, .. }) => (not_before.map(|at| at.timestamp_micros()), why),
        Err(Fault::Held { until, why }) => (Some(until.timestamp_micros()), why),
        // A reaction has no cursor: the best reading of it is a passing failure.
        Err(Fault::Resync { why }) => (None, why),
    };
    if attempt >= retry.attempts {
        let attempts = if attempt == 1 { "1 attempt".to_owned() } else { format!("{attempt} attempts") };
        return Next::GiveUp { why: format!("given up after {attempts}: {why}") };
    }
    let asked = not_before.unwrap_or(now);
    if asked.saturating_sub(now) > LONGEST_RETRY_AFTER.micros() {
        let until = from_micros(asked).format("%Y-%m-%d %H:%M UTC");
        return Next::GiveUp {
            why: format!("{why}; it asks to wait until {until}, longer than {LONGEST_RETRY_AFTER}"),
        };
    }
    Next::RetryAt(now.saturating_add(backoff(retry, attempt, jitter)).max(asked))
}

/// Twice as long after each attempt, from `base` to `max`; between half and the whole of that, so that many that failed
/// together do not come back together. In microseconds.
fn backoff(retry: &Retry, attempt: u32, jitter: f64) -> Micros {
    let whole = doubled(retry.base.micros(), attempt.saturating_sub(1), retry.max.micros().max(retry.base.micros()));
    let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.0 };
    // At most ten years of microseconds: exact in an f64.
    (whole as f64 * (0.5 + jitter / 2.0)) as Micros
}

/// `from * 2^times`, at most `most`.
fn doubled(from: Micros, times: u32, most: Micros) -> Micros {
    1_i64.checked_shl(times.min(62)).and_then(|factor| from.checked_mul(factor)).map_or(most, |long| long.min(most))
}

/// When a source is polled again after `faults` faults in a row (this one among them, from 1): twice its interval after each
/// further fault, up to [`LONGEST_POLL_BACKOFF`]; never sooner than the far side asked, within [`LONGEST_POLL_WAIT`]. A dead
/// cursor is searched again at once, the first time.
pub fn next_poll(faults: u32, interval: Duration, fault: &Fault, now: Micros) -> Micros {
    if matches!(fault, Fault::Resync { .. }) && faults <= 1 {
        return now;
    }
    let interval = Micros::try_from(interval.as_micros()).unwrap_or(Micros::MAX).max(SHORTEST_POLL_BACKOFF.micros());
    let delay = doubled(interval, faults.saturating_sub(1), LONGEST_POLL_BACKOFF.micros().max(interval));
    let asked = match fault.not_before() {
        Some(at) => at.timestamp_micros().min(now.saturating_add(LONGEST_POLL_WAIT.micros())),
        None => now,
    };
    now.saturating_add(delay).max(asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Micros = 1_800_000_000_000_000;
    const SECOND: Micros = 1_000_000;

    fn asked(seconds: i64) -> Fault {
        Fault::Later { not_before: Some(from_micros(NOW + seconds * SECOND)), why: "429".to_owned(), maybe_done: false }
    }

    fn check(result: Result<(), Fault>, attempt: u32, jitter: f64, expected: Next) {
        let next = decide(result.as_ref().copied(), attempt, &Retry::default(), Delivery::AtLeastOnce, NOW, jitter);
        assert_eq!(next, expected, "{result:?} at attempt {attempt}");
    }

    fn after(seconds: i64) -> Next {
        Next::RetryAt(NOW + seconds * SECOND)
    }

    fn gave_up(why: &str) -> Next {
        Next::GiveUp { why: why.to_owned() }
    }

    #[test]
    fn who_is_held_back_comes_again_the_later_the_longer_it_has_waited_and_not_for_ever() {
        let held = |until: i64, born: i64, jitter| held(NOW + until * SECOND, NOW - born * SECOND, NOW, jitter);
        let at = |seconds: i64| Some(NOW + seconds * SECOND);
        assert_eq!(held(30, 0, 1.0), at(30));
        assert_eq!(held(-5, 0, 1.0), at(0));
        assert_eq!((held(30, 80, 0.0), held(30, 80, 1.0)), (at(30), at(40)));
        assert_eq!(held(30, 86_400, 1.0), at(330));
        assert_eq!((held(900, 259_200, 0.0), held(900, 259_201, 0.0)), (at(900), None));
    }

    #[test]
    fn each_result_has_its_consequence() {
        check(Ok(()), 1, 0.0, Next::Done);
        check(Err(Fault::rejected("400")), 1, 0.0, gave_up("400"));
        let reconnect = Fault::Reconnect { provider: "google".to_owned(), why: "revoked".to_owned() };
        check(Err(reconnect), 9, 0.0, Next::Reconnect { provider: "google".to_owned(), why: "revoked".to_owned() });
        check(Err(Fault::resync("410")), 1, 1.0, after(5));
        check(Err(Fault::maybe("reset")), 1, 1.0, after(5));
    }

    #[test]
    fn waits_double_up_to_the_longest_and_attempts_end() {
        check(Err(Fault::later("503")), 1, 1.0, after(5));
        check(Err(Fault::later("503")), 2, 1.0, after(10));
        check(Err(Fault::later("503")), 2, 0.0, after(5));
        check(Err(Fault::later("503")), 7, 1.0, after(320));
        check(Err(Fault::later("503")), 8, 1.0, gave_up("given up after 8 attempts: 503"));
        let once = Retry { attempts: 1, ..Retry::default() };
        let next = decide(Err(&Fault::later("503")), 1, &once, Delivery::AtLeastOnce, NOW, 0.0);
        assert_eq!(next, gave_up("given up after 1 attempt: 503"));
        let long = Retry { attempts: 50, ..Retry::default() };
        assert_eq!(decide(Err(&Fault::later("503")), 49, &long, Delivery::AtLeastOnce, NOW, 1.0), after(3600));
    }

    #[test]
    fn retry_after_is_obeyed_up_to_a_day() {
        check(Err(asked(90)), 1, 0.0, after(90));
        check(Err(asked(1)), 3, 1.0, after(20));
        check(Err(asked(-50)), 1, 1.0, after(5));
        check(Err(asked(86_400)), 1, 0.0, after(86_400));
        check(Err(asked(86_401)), 1, 0.0, gave_up("429; it asks to wait until 2027-01-16 08:00 UTC, longer than 1d"));
    }

    #[test]
    fn what_may_have_happened_is_not_repeated_at_most_once() {
        let next = |fault| decide(Err(&fault), 1, &Retry::default(), Delivery::AtMostOnce, NOW, 1.0);
        assert_eq!(next(Fault::maybe("reset")), Next::Uncertain { why: "reset".to_owned() });
        assert_eq!(next(Fault::later("refused")), after(5));
    }

    #[test]
    fn a_failing_source_is_asked_less_often_but_never_forgotten() {
        let next = |faults, seconds, fault: &Fault| {
            (next_poll(faults, Duration::from_secs(seconds), fault, NOW) - NOW) / SECOND
        };
        let broken = Fault::later("500");
        assert_eq!([1, 2, 3, 4].map(|faults| next(faults, 60, &broken)), [60, 120, 240, 480]);
        assert_eq!([7, 70, u32::MAX].map(|faults| next(faults, 60, &broken)), [3600, 3600, 3600]);
        assert_eq!([1, 9].map(|faults| next(faults, 7200, &broken)), [7200, 7200]);
        assert_eq!([0, 1].map(|faults| next(faults, 1, &broken)), [5, 5]);
        assert_eq!(next(1, 60, &asked(600)), 600);
        assert_eq!(next(5, 60, &asked(600)), 960);
        assert_eq!(next(1, 60, &asked(10_000_000)), 86_400);
        assert_eq!(next(1, 60, &Fault::resync("410")), 0);
        assert_eq!(next(2, 60, &Fault::resync("410")), 120);
    }

    proptest! {
        #[test]
        fn a_retry_lies_ahead_and_within_bounds(attempt: u32, attempts: u32, base in 0..1_000_000_u64, max in 0..1_000_000_u64, jitter: f64, wait in -1_000_000_i64..1_000_000) {
            let retry = Retry { attempts, base: Span::from_secs(base), max: Span::from_secs(max) };
            if let Next::RetryAt(at) = decide(Err(&asked(wait)), attempt, &retry, Delivery::AtLeastOnce, NOW, jitter) {
                let longest = retry.max.max(retry.base).max(LONGEST_RETRY_AFTER).micros();
                prop_assert!(at >= NOW && at >= NOW + wait * SECOND && at - NOW <= longest);
                prop_assert!(attempt < attempts);
            }
        }

        #[test]
        fn a_poll_lies_ahead_and_within_bounds(faults: u32, interval in 0..u64::MAX, wait in -1_000_000_i64..1_000_000) {
            let at = next_poll(faults, Duration::from_secs(interval), &asked(wait), NOW);
            prop_assert!(at > NOW && at >= NOW + wait.min(86_400) * SECOND);
        }
    }
}
