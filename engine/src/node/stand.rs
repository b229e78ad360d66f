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

/// What a search after a resync could not reach: items of that time may be missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// When that became known.
    pub at: DateTime<Utc>,
    /// In the connector's words.
    pub what: String,
}

/// What the row says.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Health {
    #[serde(flatten)]
    standing: Option<Standing>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gap: Option<Gap>,
}

/// Takes over what the row says.
pub fn restore(engine: &Engine, source: SourceId, health: &str) {
    let Ok(health) = serde_json::from_str::<Health>(health) else { return };
    if let Some(standing) = health.standing {
        lock(&engine.standing).insert(source, Standing { written: true, ..standing });
    }
    if let Some(gap) = health.gap {
        lock(&engine.gaps).insert(source, gap);
    }
}

/// Forgets a source.
pub fn forget(engine: &Engine, source: SourceId) {
    lock(&engine.standing).remove(&source);
    lock(&engine.gaps).remove(&source);
}

impl Engine {
    /// The fault that lasts on a source.
    pub fn standing(&self, source: SourceId) -> Option<Standing> {
        lock(&self.standing).get(&source).cloned()
    }

    /// The last gap in a source's items.
    pub fn gap(&self, source: SourceId) -> Option<Gap> {
        lock(&self.gaps).get(&source).cloned()
    }

    /// Items may be missing.
    pub(crate) fn gapped(&self, source: SourceId, what: String, at: Micros) {
        lock(&self.gaps).insert(source, Gap { at: from_micros(at), what });
    }

    /// What the row of a source should say that is polled well.
    pub(crate) fn well(&self, source: SourceId) -> Option<String> {
        let gap = self.gap(source)?;
        serde_json::to_string(&Health { standing: None, gap: Some(gap) }).ok()
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
            let gap = lock(&self.gaps).get(&source).cloned();
            let health = Health { standing: Some(standing.clone()), gap };
            return (standing.clone(), serde_json::to_string(&health).ok());
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
        Fault::Later { .. } | Fault::Held { .. } => "later",
        Fault::Reconnect { .. } => "reconnect",
        Fault::Resync { .. } => "resync",
        Fault::Rejected { .. } => "rejected",
    }
}
