//! Ids as types, so that none is taken for another. People, AREAs and accounts: UUID v7. Sources, events and runs:
//! ordered 64-bit integers from [`IdGen`]; in JSON every id is a string.

use std::sync::Mutex;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::clock::Clock;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type, schemars::JsonSchema)]
        #[sqlx(transparent)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                s.parse().map(Self)
            }
        }
        impl $name {
            /// A new id, ordered by the time it was made.
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }
        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }
    };
}

macro_rules! int_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, sqlx::Type)]
        #[sqlx(transparent)]
        pub struct $name(pub i64);
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                s.parse().map(Self)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

uuid_id!(
    /// A person.
    UserId
);
uuid_id!(
    /// An AREA, as people and URLs name it.
    AreaId
);
uuid_id!(
    /// A linked provider account.
    AccountId
);
int_id!(
    /// An AREA inside the ledger's narrow rows; never shown.
    AreaNo
);
int_id!(
    /// One feed that one user watches.
    SourceId
);
int_id!(
    /// A recorded item.
    EventId
);
int_id!(
    /// One execution of an AREA.
    RunId
);

/// Bits of an id below the milliseconds: the node's number, then a count within the millisecond.
const NODE_BITS: u32 = 10;
const COUNT_BITS: u32 = 12;
/// 2025-01-01T00:00:00Z in milliseconds: the ids' own zero, good until the year 2094.
const ZERO_MS: i64 = 1_735_689_600_000;

/// Makes ids that are unique across live nodes and grow with time. It never goes back, even when the clock does: at
/// start it is raised above everything that is stored.
#[derive(Debug)]
pub struct IdGen {
    clock: Clock,
    node: i64,
    last: Mutex<i64>,
}

impl IdGen {
    /// A generator for node number `node` (taken modulo 1024) that starts above `floor`, the largest id stored.
    pub fn new(clock: Clock, node: i64, floor: i64) -> Self {
        let node = node.rem_euclid(1 << NODE_BITS);
        Self {
            clock,
            node,
            last: Mutex::new(floor >> (NODE_BITS + COUNT_BITS) << COUNT_BITS | ((1 << COUNT_BITS) - 1)),
        }
    }

    /// The next id.
    pub fn next(&self) -> i64 {
        let now = (self.clock.micros() / 1000 - ZERO_MS).max(0) << COUNT_BITS;
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *last = now.max(*last + 1);
        let (ms, count) = (*last >> COUNT_BITS, *last & ((1 << COUNT_BITS) - 1));
        ms << (NODE_BITS + COUNT_BITS) | self.node << COUNT_BITS | count
    }
}

impl IdGen {
    /// An instant (UTC microseconds) between the ids: every id that was made is born before it, and every further one at it or later,
    /// also when the clock was set back.
    pub fn between(&self) -> crate::clock::Micros {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = (self.clock.micros() / 1000 - ZERO_MS).max(0);
        let ms = now.max(*last >> COUNT_BITS) + 1;
        *last = (ms << COUNT_BITS) - 1;
        (ms + ZERO_MS) * 1000
    }
}

/// The smallest id that could have been made at `at` (UTC microseconds): what retention compares with.
pub fn first_id_at(at: crate::clock::Micros) -> i64 {
    (at / 1000 - ZERO_MS).max(0) << (NODE_BITS + COUNT_BITS)
}

/// When an id was made (UTC microseconds, to the millisecond): a run's birth follows from its id.
pub fn born_at(id: i64) -> crate::clock::Micros {
    ((id >> (NODE_BITS + COUNT_BITS)) + ZERO_MS) * 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_micros;

    #[test]
    fn ids_grow_even_when_the_clock_goes_back() {
        let clock = Clock::manual(from_micros(1_800_000_000_000_000));
        let ids = IdGen::new(clock.clone(), 3, 0);
        let first = ids.next();
        clock.set(1_700_000_000_000_000);
        let second = ids.next();
        assert!(second > first);
        let restarted = IdGen::new(clock, 4, second);
        assert!(restarted.next() > second);
    }

    #[test]
    fn an_instant_between_ids_parts_them_also_when_the_clock_was_set_back() {
        let clock = Clock::manual(from_micros(1_800_000_000_000_000));
        let ids = IdGen::new(clock.clone(), 3, 0);
        for back in [0, 0, 100_000_000] {
            clock.set(clock.micros() - back);
            let before = ids.next();
            let at = ids.between();
            assert!(born_at(before) < at && born_at(ids.next()) >= at);
        }
    }

    #[test]
    fn two_nodes_never_make_the_same_id() {
        let clock = Clock::manual(from_micros(1_800_000_000_000_000));
        let (a, b) = (IdGen::new(clock.clone(), 1, 0), IdGen::new(clock, 2, 0));
        let mut all: Vec<i64> = (0..10_000).flat_map(|_| [a.next(), b.next()]).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 20_000);
    }
}
