//! What tests of several crates share. Never part of a released binary: it stands behind the feature `testkit`.
//!
//! `postgres` is a real server in a temporary folder, `database` hands a store test both engines, fresh and migrated,
//! `turns` lets a simulation say which task goes next.

mod database;
pub mod postgres;
#[cfg(feature = "testkit")]
pub mod turns;

pub use database::{TestDb, databases, on, sqlite};

/// Set to `1` (by `.ci/run`): what a test needs and does not find is a failure, never a skip.
pub const REQUIRE_ALL: &str = "AREA_TEST_REQUIRE_ALL";

/// Says that a part of a test cannot run here, and why; a failure where everything is required.
pub fn skip(why: &str) {
    assert!(std::env::var_os(REQUIRE_ALL).is_none_or(|v| v != "1"), "{REQUIRE_ALL}=1, but {why}");
    eprintln!("SKIPPED: {why}");
}
