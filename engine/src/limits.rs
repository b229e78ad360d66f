//! Every limit has a name and a default (law 6).

use std::time::Duration;

/// Characters of an AREA's name.
pub const AREA_NAME_CHARS: usize = 200;
/// Bytes of an AREA as JSON text, secrets in the clear.
pub const AREA_BYTES: usize = 256 * 1024;
/// Steps of an AREA.
pub const AREA_STEPS: usize = 32;
/// Characters of a step's id.
pub const STEP_ID_CHARS: usize = 40;
/// The longest interval that an AREA may ask for.
pub const EVERY_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// How deep a schema is followed into a value: what nests deeper is not looked at for defaults and marks.
pub const SCHEMA_DEPTH: usize = 64;
/// Items of a list when `limit` is absent.
pub const LIST_DEFAULT: i64 = 50;
/// Items of a list at most.
pub const LIST_MAX: i64 = 500;
/// How often a change of an AREA is decided again because the row moved meanwhile, or the database asked for it.
pub const CHANGE_TRIES: u32 = 5;
/// AREAs that `area apply` reads or stores in one transaction.
pub const APPLY_BATCH: usize = 500;

/// The limits that an operator may change, as the engine is handed them: the keys of `[limits]` in `config/area.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Pages that one poll asks for; a longer backlog goes on at the next due time.
    pub pages_per_poll: u32,
    /// Polls under way at once on a node.
    pub polls_at_once: usize,
    /// How long one page of a poll may take.
    pub poll_timeout: Duration,
    /// Bytes of one item as JSON text.
    pub item_bytes: usize,
    /// Polls in a row that are rejected before the AREAs on the source pause.
    pub rejected_polls: u32,
    /// Runs under way at once on a node.
    pub runs_at_once: usize,
    /// Runs under way at once of one user.
    pub runs_per_user: u32,
    /// How long one call of a reaction may take.
    pub react_timeout: Duration,
    /// Bytes of a step's output as JSON text.
    pub output_bytes: usize,
    /// Characters of a text in what is shown of a call.
    pub shown_chars: usize,
    /// Items of a `for_each`.
    pub for_each: usize,
    /// Failed runs in a row before an AREA pauses.
    pub failed_runs: u32,
    /// How long runs or polls may fail before an AREA pauses.
    pub failing_for: Duration,
    /// Open runs on a node past which polls wait and hooks answer 429.
    pub backlog: usize,
    /// Runs that one commit of a hook's event may give birth to; the rest follows by a mark.
    pub fan_out: usize,
    /// AREAs in a chain of AREAs that trigger AREAs.
    pub depth: i64,
    /// Events that are decided after a fault's pause.
    pub catch_up: i64,
    /// Sources whose compiled AREAs are kept in memory.
    pub plans_cached: u64,
    /// How long to wait for a database that does not answer.
    pub away: Duration,
    /// How often a node looks for what a lost wake left behind.
    pub scan: Duration,
    /// How long events are kept.
    pub keep_events: Duration,
    /// How long runs that ended are kept.
    pub keep_runs: Duration,
    /// Revisions of an AREA that are kept whatever their age.
    pub keep_revisions: i64,
    /// How long the audit log is kept: a year at the least.
    pub keep_audit: Duration,
    /// Between two small steps of retention.
    pub retention_nap: Duration,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Default for Limits {
    fn default() -> Self {
        Self {
            pages_per_poll: 10,
            polls_at_once: 256,
            poll_timeout: Duration::from_secs(60),
            item_bytes: 1024 * 1024,
            rejected_polls: 5,
            runs_at_once: 512,
            runs_per_user: 64,
            react_timeout: Duration::from_secs(60),
            output_bytes: 256 * 1024,
            shown_chars: 2_000,
            for_each: 1_000,
            failed_runs: 20,
            failing_for: DAY * 3,
            backlog: 1_000_000,
            fan_out: 1_000,
            depth: 8,
            catch_up: 1_000,
            plans_cached: 20_000,
            away: Duration::from_millis(500),
            scan: Duration::from_secs(30),
            keep_events: DAY * 30,
            keep_runs: DAY * 30,
            keep_revisions: 100,
            keep_audit: Duration::from_secs(400 * 24 * 3_600),
            retention_nap: Duration::from_millis(50),
        }
    }
}

impl Limits {
    /// How long to wait for a database that does not answer, in microseconds.
    pub fn away_micros(&self) -> i64 {
        i64::try_from(self.away.as_micros()).unwrap_or(500_000)
    }
}
