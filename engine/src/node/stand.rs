//! How sources stand: the fault that lasts, since when, how often. In memory; the row learns of it only when it lasts, and when
//! it is over.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Engine, lock};
use crate::clock::{Micros, from_micros};
use crate::fault::Fault;
use crate::ids::SourceId;

/// Polls that fail in a row before the row says so: a hiccup writes nothing.
const LASTS: u32 = 3;

/// A source's fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// What went wrong last.
    pub why: String,
    /// `later`, `reconnect`, `rejected`, `resync`.
    pub kind: String,
    /// Since when it lasts.
    pub since: DateTime<Utc>,
    /// Polls in a row.
    pub times: u32,
    /// The row says so.
    #[serde(skip)]
    pub written: bool,
}

/// Takes over what the row says.
pub fn restore(engine: &Engine, source: SourceId, health: &str) {
    if let Ok(standing) = serde_json::from_str::<Standing>(health) {
        lock(&engine.standing).insert(source, Standing { written: true, ..standing });
    }
}

impl Engine {
    /// The fault that lasts on a source.
    pub fn standing(&self, source: SourceId) -> Option<Standing> {
        lock(&self.standing).get(&source).cloned()
    }

    /// A poll failed: how it stands now, and what the row should say if that changed.
    pub(crate) fn failed(&self, source: SourceId, fault: &Fault, now: Micros) -> (Standing, Option<String>) {
        let mut all = lock(&self.standing);
        let standing = all.entry(source).or_insert_with(|| Standing {
            why: String::new(),
            kind: String::new(),
            since: from_micros(now),
            times: 0,
            written: false,
        });
        standing.times += 1;
        fault.why().clone_into(&mut standing.why);
        let kind = kind(fault);
        let changed = !standing.written || standing.kind != kind;
        kind.clone_into(&mut standing.kind);
        if changed && standing.times >= LASTS {
            standing.written = true;
            return (standing.clone(), serde_json::to_string(standing).ok());
        }
        (standing.clone(), None)
    }

    /// A poll succeeded: whether the row must learn that the source is well again.
    pub(crate) fn recovered(&self, source: SourceId) -> bool {
        let mut all = lock(&self.standing);
        !all.is_empty() && all.remove(&source).is_some_and(|s| s.written)
    }
}

fn kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::Later { .. } => "later",
        Fault::Reconnect { .. } => "reconnect",
        Fault::Resync { .. } => "resync",
        Fault::Rejected { .. } => "rejected",
    }
}
