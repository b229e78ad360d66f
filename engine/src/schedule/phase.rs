//! The phase of a polled source: its instants are congruent to its hash modulo its interval. Nothing is stored, sources do not
//! bunch, and after a restart or a take-over the instants are the same.

use crate::clock::Micros;

/// The next instant strictly after `now` that is congruent to `source_hash` modulo `interval_micros`; an interval below one
/// microsecond counts as one.
pub fn next_due(source_hash: u64, interval_micros: i64, now: Micros) -> Micros {
    let interval = i128::from(interval_micros.max(1));
    let first = i128::from(now) + 1;
    let wait = (i128::from(source_hash) - first).rem_euclid(interval);
    Micros::try_from(first + wait).unwrap_or(Micros::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_instant_is_strictly_after_now_and_in_phase() {
        for (hash, interval, now, due) in [
            (0, 10, 0, 10),
            (3, 10, 0, 3),
            (3, 10, 3, 13),
            (13, 10, 2, 3),
            (3, 10, -8, -7),
            (3, 10, -7, 3),
            (7, 1, 5, 6),
            (7, 0, 5, 6),
            (7, -5, 5, 6),
            (0, 60_000_000, 1_800_000_000_000_001, 1_800_000_060_000_000),
            (0, i64::MAX, i64::MAX, i64::MAX),
        ] {
            assert_eq!(next_due(hash, interval, now), due, "{hash} {interval} {now}");
        }
    }

    proptest! {
        #[test]
        fn the_phase_outlives_a_restart(hash: u64, interval in 1..100_000_000_i64, now in -1_000_000_000_i64..4_000_000_000_000_000, pause in 0..1_000_000_000_i64) {
            let due = next_due(hash, interval, now);
            prop_assert!(due > now && due - now <= interval);
            prop_assert_eq!(i128::from(due).rem_euclid(i128::from(interval)), i128::from(hash).rem_euclid(i128::from(interval)));
            let later = next_due(hash, interval, now + pause);
            prop_assert_eq!((later - due).rem_euclid(interval), 0);
            prop_assert_eq!(later == due, now + pause < due);
        }
    }
}
