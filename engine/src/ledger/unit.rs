//! What one commit carries. A unit stands or falls as a whole; many units share a transaction.

use crate::clock::Micros;
use crate::ids::{AreaNo, EventId, RunId, SourceId};

/// The proof that this node owns a partition: the lease's epoch when it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Proof {
    /// The partition.
    pub part: i64,
    /// Its epoch: another owner means another epoch.
    pub epoch: i64,
}

/// Facts that belong together.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    /// Needed by everything but appending undecided events.
    pub proof: Option<Proof>,
    /// The AREAs that runs are born of: each must still be active at this version.
    pub standing: Vec<(AreaNo, i64)>,
    /// Runs that an event joins or replaces: each must still be held.
    pub held: Vec<RunId>,
    /// The events, new to their source.
    pub events: Vec<NewEvent>,
    /// Events that were appended undecided: decided up to this AREA, or wholly (`None`).
    pub decided: Vec<(EventId, Option<AreaNo>)>,
    /// The runs that are born.
    pub runs: Vec<NewRun>,
    /// What became of open runs.
    pub updates: Vec<RunUpdate>,
    /// The cursor's move.
    pub cursor: Option<CursorMove>,
    /// The state of an AREA's policies, as JSON.
    pub policies: Vec<(AreaNo, String)>,
    /// AREAs whose baseline is complete.
    pub joins: Vec<Join>,
    /// The source's health when it changed: the standing fault as JSON, or well again.
    pub health: Option<(SourceId, Option<String>)>,
    /// AREAs whose count of failures changed.
    pub failures: Vec<(AreaNo, i64, Option<Micros>)>,
    /// AREAs that a fault pauses: the reason, and the last event that was decided for them.
    pub faulted: Vec<(AreaNo, String, EventId)>,
    /// When `silence` is raised next.
    pub silences: Vec<(AreaNo, Option<Micros>)>,
    /// How far an AREA has caught up after a fault's pause; `None`: wholly.
    pub marks: Vec<(AreaNo, Option<EventId>)>,
}

/// An event to record.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// From the node's generator.
    pub id: EventId,
    /// Its source.
    pub source: SourceId,
    /// Its key within the source.
    pub key: String,
    /// The body, as JSON text.
    pub body: String,
    /// When it happened, by the provider's account.
    pub at: Option<Micros>,
    /// The key is our own and new for sure: no look at what is stored is needed.
    pub fresh: bool,
    /// The partition whose owner has yet to decide; `None`: this unit decides it.
    pub undecided: Option<i64>,
    /// Undecided: the last AREA that was decided.
    pub mark: Option<AreaNo>,
    /// Meant for this AREA alone.
    pub only_area: Option<AreaNo>,
    /// How many AREAs stand before it in the chain of causes.
    pub depth: i64,
}

/// A run to record.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// From the node's generator.
    pub id: RunId,
    /// Its AREA.
    pub area: AreaNo,
    /// Its event.
    pub event: EventId,
    /// 0, or the number of a repetition.
    pub replay: i64,
    /// The AREA's revision that it is pinned to.
    pub revision: i64,
    /// The partition.
    pub part: i64,
    /// `ready`, `held`, `dropped` …
    pub state: RunState,
    /// Which policy held or dropped it.
    pub reason: Option<String>,
    /// When it may go on.
    pub due_at: Micros,
    /// Set for a run that ends at its birth.
    pub ended_at: Option<Micros>,
    /// JSON, where there is something to say already.
    pub detail: Option<String>,
}

/// What became of an open run.
#[derive(Clone, Debug)]
pub struct RunUpdate {
    /// The run.
    pub id: RunId,
    /// Its new state.
    pub state: RunState,
    /// Why.
    pub reason: Option<String>,
    /// When it may go on.
    pub due_at: Micros,
    /// When it ended.
    pub ended_at: Option<Micros>,
    /// The steps and their attempts, JSON.
    pub detail: Option<String>,
}

/// An AREA's baseline is complete. It joins if it is still at the version at which its baseline began.
#[derive(Clone, Copy, Debug)]
pub struct Join {
    /// The AREA.
    pub area: AreaNo,
    /// Its version when the baseline began: a change means another baseline.
    pub version: i64,
    /// From when on what comes is new to it.
    pub at: Micros,
    /// Where catching up begins, for one that asked for what is there already.
    pub mark: Option<EventId>,
}

/// A cursor's move, by compare and swap.
#[derive(Clone, Debug)]
pub struct CursorMove {
    /// The source.
    pub source: SourceId,
    /// The version that was read.
    pub from: i64,
    /// The new cursor, JSON.
    pub to: Option<String>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunState {
    /// May go on now.
    Ready,
    /// Waits for a retry or a delay.
    Waiting,
    /// Held by a policy.
    Held,
    /// All steps done.
    Done,
    /// Given up.
    Failed,
    /// `at_most_once`: it may have happened.
    Uncertain,
    /// Ended by its user.
    Cancelled,
    /// Dropped by a policy.
    Dropped,
}

impl RunState {
    /// The word in the database, the API and the page.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Uncertain => "uncertain",
            Self::Cancelled => "cancelled",
            Self::Dropped => "dropped",
        }
    }

    /// The state that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        let all = [
            Self::Ready,
            Self::Waiting,
            Self::Held,
            Self::Done,
            Self::Failed,
            Self::Uncertain,
            Self::Cancelled,
            Self::Dropped,
        ];
        all.into_iter().find(|s| s.as_str() == word)
    }
}

/// Why a unit was not committed. Nothing of it is in the database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// This node no longer owns the partition.
    #[error("another node owns the partition now")]
    Lost,
    /// These AREAs were edited, paused or deleted meanwhile: decide again.
    #[error("an AREA changed meanwhile")]
    Stale(Vec<AreaNo>),
    /// Somebody else moved the cursor.
    #[error("the cursor was moved meanwhile")]
    Moved,
    /// These keys are recorded already: drop them and decide again.
    #[error("an event is recorded already")]
    Duplicate(Vec<String>),
    /// The database does not answer.
    #[error("the database is away")]
    Away,
    /// The database refuses this unit, alone in its transaction.
    #[error("the database refuses it: {0}")]
    Broken(String),
    /// The ledger is closed: the daemon stops.
    #[error("the ledger is closed")]
    Closed,
}
