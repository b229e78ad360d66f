//! What the engine is told after a change is committed: it hears of it at once, and a slow scan is the net.

use crate::ids::SourceId;
use crate::store::areas::Changed;

/// What somebody has to look at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Who watches this source changed, or whether anybody does.
    Source {
        /// The source's partition.
        part: i64,
        /// The source.
        source: SourceId,
    },
}

impl Changed {
    /// Whom to wake.
    pub fn wakes(&self) -> impl Iterator<Item = Wake> {
        self.sources.iter().map(|touched| Wake::Source { part: touched.part, source: touched.source })
    }
}
