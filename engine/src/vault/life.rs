//! How long a token is good, and when the next one is fetched: pure.

use crate::clock::Micros;
use crate::ids::AccountId;

use super::provider::Habits;

/// Of a token's life: when it is refreshed ahead of time, at the earliest.
const AHEAD: f64 = 0.7;
/// Of a token's life: how far the refreshes of many that began together are spread.
const SPREAD: f64 = 0.2;
/// A short-lived token is good for a margin of this part of its life: a longer one would leave nothing.
const LARGEST_MARGIN: i64 = 4;
/// After a refresh that came to nothing, the first wait; each further one is twice as long.
const FIRST_WAIT: Micros = 2_000_000;
/// The longest wait.
const LONGEST_WAIT: Micros = 15 * 60 * 1_000_000;
/// The longest wait that a provider may ask for.
const LONGEST_ASKED: Micros = 24 * 3_600 * 1_000_000;
const SECOND: Micros = 1_000_000;

/// When a token dies that was asked for at `asked_at`; `None`: not by itself. In whole seconds, as the column has it.
pub fn dies_at(expires_in: Option<std::time::Duration>, habits: &Habits, asked_at: Micros) -> Option<Micros> {
    let said = expires_in.map(|span| Micros::try_from(span.as_micros()).unwrap_or(Micros::MAX));
    let life = said.or(habits.lifetime)?;
    Some(asked_at.saturating_add(life) / SECOND * SECOND)
}

/// Until when a token is handed out without a further look.
pub fn good_until(dies_at: Option<Micros>, refreshed_at: Option<Micros>, habits: &Habits) -> Micros {
    let Some(dies_at) = dies_at else { return Micros::MAX };
    let life = refreshed_at.map_or(Micros::MAX, |at| (dies_at - at).max(0));
    dies_at - habits.margin.min(life / LARGEST_MARGIN)
}

/// When a token that was fetched at `from` is refreshed ahead of time; before `good_until` ends, and not with all the others.
pub fn refresh_at(dies_at: Option<Micros>, from: Micros, account: AccountId, version: i64) -> Option<Micros> {
    let life = (dies_at? - from).max(0) as f64;
    Some(from + (life * (AHEAD + SPREAD * jitter(account, version))) as Micros)
}

/// When a refresh is tried again after `failures` in a row, this one among them; never sooner than the provider asked.
pub fn again_at(failures: i64, asked: Option<Micros>, account: AccountId, now: Micros) -> Micros {
    let doubled = FIRST_WAIT.saturating_mul(1 << (failures - 1).clamp(0, 20)).min(LONGEST_WAIT);
    let wait = (doubled as f64 * (0.5 + jitter(account, failures) / 2.0)) as Micros;
    (now + wait).max(asked.unwrap_or(now).min(now + LONGEST_ASKED))
}

/// A number in 0..1 that follows from its parts: spread without chance, so that a simulation repeats.
fn jitter(account: AccountId, number: i64) -> f64 {
    let (high, low) = account.0.as_u64_pair();
    let mixed =
        (high ^ low.rotate_left(17) ^ number.unsigned_abs().rotate_left(40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const NOW: Micros = 1_800_000_000_000_000;

    fn habits(margin_s: i64, lifetime_s: Option<i64>) -> Habits {
        let lifetime = lifetime_s.map(|s| s * SECOND);
        Habits { rotates: false, margin: margin_s * SECOND, lifetime, ends_after: None, dead: Vec::new() }
    }

    #[test]
    fn a_token_dies_when_the_answer_says_else_as_its_provider_does_else_never() {
        let check = |said: Option<u64>, habit, want: Option<i64>| {
            let got = dies_at(said.map(Duration::from_secs), &habits(60, habit), NOW);
            assert_eq!(got, want.map(|s| NOW + s * SECOND));
        };
        check(Some(3600), Some(60), Some(3600));
        check(None, Some(60), Some(60));
        check(None, None, None);
        assert_eq!(dies_at(Some(Duration::MAX), &habits(60, None), NOW), Some(Micros::MAX / SECOND * SECOND));
    }

    #[test]
    fn what_is_handed_out_is_good_for_the_margin_but_a_short_life_is_not_all_margin() {
        let check = |life_s: i64, want_s: i64| {
            let got = good_until(Some(NOW + life_s * SECOND), Some(NOW), &habits(60, None));
            assert_eq!(got, NOW + want_s * SECOND);
        };
        check(3600, 3540);
        check(240, 180);
        check(4, 3);
        assert_eq!(good_until(None, Some(NOW), &habits(60, None)), Micros::MAX);
        assert_eq!(good_until(Some(NOW), None, &habits(60, None)), NOW - 60 * SECOND);
    }

    #[test]
    fn waits_double_up_to_the_longest_and_obey_the_provider() {
        let wait = |failures, asked: Option<i64>| {
            let asked = asked.map(|s| NOW + s * SECOND);
            again_at(failures, asked, AccountId(uuid::Uuid::nil()), NOW) - NOW
        };
        for (failures, longest) in [(1, 2), (2, 4), (5, 32), (60, 900)] {
            let got = wait(failures, None);
            assert!(got > 0 && got >= longest * SECOND / 2 && got <= longest * SECOND, "{failures}: {got}");
        }
        assert_eq!(wait(1, Some(120)), 120 * SECOND);
        assert_eq!(wait(1, Some(10_000_000)), LONGEST_ASKED);
    }

    proptest! {
        #[test]
        fn a_refresh_ahead_of_time_lies_within_the_tokens_good_life(life in 1..10_000_000_i64, version: i64, id: u128) {
            let account = AccountId(uuid::Uuid::from_u128(id));
            let dies = NOW + life * SECOND;
            let at = refresh_at(Some(dies), NOW, account, version).unwrap();
            prop_assert!(at >= NOW && at <= good_until(Some(dies), Some(NOW), &habits(60, None)) + life * SECOND / 4);
            prop_assert!((0.0..1.0).contains(&jitter(account, version)));
        }
    }
}
