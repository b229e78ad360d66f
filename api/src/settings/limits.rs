//! `[limits]` and `[retention]`: the engine's own limits under their names, with their defaults.

use std::time::Duration;

use engine::duration::Span;
use serde::{Deserialize, Serialize};

/// The database itself keeps the audit log so long.
const AUDIT_YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

/// One section: its fields are those of `engine::limits::Limits`, lengths of time as [`Span`].
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $kind,)+
        }

        impl Default for $name {
            fn default() -> Self {
                let limits = engine::limits::Limits::default();
                Self { $($field: <$kind as Setting<_>>::of(limits.$field),)+ }
            }
        }

        impl $name {
            fn put(&self, limits: &mut engine::limits::Limits) {
                $(limits.$field = <$kind as Setting<_>>::get(&self.$field);)+
            }

            /// The fields whose value is 0.
            fn zeros(&self) -> Vec<&'static str> {
                let all = [$((stringify!($field), self.$field == <$kind>::default()),)+];
                all.into_iter().filter(|(_, zero)| *zero).map(|(name, _)| name).collect()
            }
        }
    };
}

section!(
    /// `[limits]`
    Limits {
        /// Pages that one poll asks for.
        pages_per_poll: u32,
        /// Polls under way at once on a node.
        polls_at_once: usize,
        /// How long one page of a poll may take.
        poll_timeout: Span,
        /// Bytes of one item as JSON text.
        item_bytes: usize,
        /// Polls in a row that are rejected before the AREAs on the source pause.
        rejected_polls: u32,
        /// Runs under way at once on a node.
        runs_at_once: usize,
        /// Runs under way at once of one user.
        runs_per_user: u32,
        /// How long one call of a reaction may take.
        react_timeout: Span,
        /// Bytes of a step's output as JSON text.
        output_bytes: usize,
        /// Characters of a text in what is shown of a call.
        shown_chars: usize,
        /// Items of a `for_each`.
        for_each: usize,
        /// Failed runs in a row before an AREA pauses.
        failed_runs: u32,
        /// How long runs or polls may fail before an AREA pauses.
        failing_for: Span,
        /// Open runs on a node past which polls wait and hooks answer 429.
        backlog: usize,
        /// Runs that one commit of a hook's event may give birth to.
        fan_out: usize,
        /// AREAs in a chain of AREAs that trigger AREAs.
        depth: i64,
        /// Events that are decided after a fault's pause.
        catch_up: i64,
        /// Sources whose compiled AREAs are kept in memory.
        plans_cached: u64,
        /// How long to wait before a database that does not answer is asked again.
        away: Span,
        /// How often a node looks for what a lost wake left behind.
        scan: Span,
    }
);

section!(
    /// `[retention]`
    Retention {
        /// How long events are kept.
        keep_events: Span,
        /// How long runs that ended are kept.
        keep_runs: Span,
        /// Revisions of an AREA that are kept whatever their age.
        keep_revisions: i64,
        /// How long the audit log is kept: a year at the least.
        keep_audit: Span,
        /// Between two small steps of retention.
        retention_nap: Span,
    }
);

/// A limit as it is written in the file.
trait Setting<T> {
    fn of(value: T) -> Self;
    fn get(&self) -> T;
}

macro_rules! plain {
    ($($kind:ty)+) => {
        $(impl Setting<$kind> for $kind {
            fn of(value: $kind) -> Self {
                value
            }
            fn get(&self) -> $kind {
                *self
            }
        })+
    };
}

plain!(u32 u64 usize i64);

impl Setting<Duration> for Span {
    fn of(value: Duration) -> Self {
        Self::from_millis(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }
    fn get(&self) -> Duration {
        self.duration()
    }
}

/// The engine's limits, of both sections.
pub(super) fn engine(limits: &Limits, retention: &Retention) -> engine::limits::Limits {
    let mut all = engine::limits::Limits::default();
    limits.put(&mut all);
    retention.put(&mut all);
    all
}

/// No limit may be 0 or less: nothing would work any more.
pub(super) fn check(limits: &Limits, retention: &Retention) -> Result<(), String> {
    let zeros = limits.zeros().into_iter().map(|name| ("limits", name));
    if let Some((section, name)) = zeros.chain(retention.zeros().into_iter().map(|name| ("retention", name))).next() {
        return Err(format!("{section}.{name}: must not be 0"));
    }
    if retention.keep_audit.duration() < AUDIT_YEAR {
        return Err(format!("retention.keep_audit = {}: must be 365d or more", retention.keep_audit));
    }
    let signed = [
        ("limits.depth", limits.depth),
        ("limits.catch_up", limits.catch_up),
        ("retention.keep_revisions", retention.keep_revisions),
    ];
    match signed.into_iter().find(|(_, value)| *value < 0) {
        Some((key, value)) => Err(format!("{key} = {value}: must be 1 or more")),
        None => Ok(()),
    }
}
