//! What went wrong, said as what to do next. Connectors, the HTTP client and the engine speak of failures in this type alone.

use chrono::{DateTime, Utc};

/// Why a poll or a reaction did not succeed, and what follows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Slow or broken far side: try again, no sooner than `not_before`.
    #[error("{why}")]
    Later {
        /// What the far side asked for (`Retry-After`), if it did.
        not_before: Option<DateTime<Utc>>,
        /// One sentence for the owner, without secrets.
        why: String,
        /// The request may have taken effect (a time-out or a reset after sending): an `at_most_once` run is then uncertain.
        maybe_done: bool,
    },
    /// Nothing was done: a pause that the provider asked for, a quota that it said is used up, or our own share of one holds it back. Of
    /// a reaction this is no attempt; one that has written something before says `Later`.
    #[error("{why}")]
    Held {
        /// When it may go.
        until: DateTime<Utc>,
        /// One sentence for the owner, without secrets.
        why: String,
    },
    /// The user must link the account again.
    #[error("{why}")]
    Reconnect {
        /// Whose account: `google`, `spotify` …
        provider: String,
        /// One sentence for the owner, without secrets.
        why: String,
    },
    /// The cursor is no longer valid: new cursor first, then a bounded search from the last item's time; keys dedupe; one commit.
    /// What could not be searched is a gap, and its owner is told.
    #[error("{why}")]
    Resync {
        /// One sentence for the owner, without secrets.
        why: String,
    },
    /// These params can never work.
    #[error("{why}")]
    Rejected {
        /// One sentence for the owner, without secrets.
        why: String,
    },
}

impl Fault {
    /// A passing failure that surely had no effect.
    pub fn later(why: impl Into<String>) -> Self {
        Self::Later { not_before: None, why: why.into(), maybe_done: false }
    }

    /// A passing failure after the request may have taken effect.
    pub fn maybe(why: impl Into<String>) -> Self {
        Self::Later { not_before: None, why: why.into(), maybe_done: true }
    }

    /// A failure that no repetition can mend.
    pub fn rejected(why: impl Into<String>) -> Self {
        Self::Rejected { why: why.into() }
    }

    /// The cursor is dead.
    pub fn resync(why: impl Into<String>) -> Self {
        Self::Resync { why: why.into() }
    }

    /// The sentence for the owner.
    pub fn why(&self) -> &str {
        match self {
            Self::Later { why, .. }
            | Self::Held { why, .. }
            | Self::Reconnect { why, .. }
            | Self::Resync { why }
            | Self::Rejected { why } => why,
        }
    }

    /// No sooner than then, where that is known.
    pub fn not_before(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Later { not_before, .. } => *not_before,
            Self::Held { until, .. } => Some(*until),
            _ => None,
        }
    }
}
