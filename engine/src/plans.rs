//! AREAs ready to run, kept while they are used: by source for intake (who watches it), by revision for runs that are pinned to
//! one. What is cached is forgotten when a wake says that it changed; the ledger refuses births that rest on less.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::area::plan::Plan;
use crate::area::source::open_params;
use crate::area_columns;
use crate::clock::Micros;
use crate::ids::{AreaNo, EventId, RunId, SourceId};
use crate::on;
use crate::policy::{Policy, PolicyState};
use crate::port::Services;
use crate::store::Db;
use crate::store::areas::{AreaRow, AreaState};
use crate::store::work::SourceRow;
use crate::vault::{KeyRing, SealError};

const OF_SOURCE: &str = concat!("SELECT ", area_columns!(), " FROM areas a WHERE a.source_id = $1 ORDER BY a.no");
const CURRENT: &str = concat!("SELECT ", area_columns!(), " FROM areas a WHERE a.no = $1");
const AT_REVISION: &str = "SELECT a.no, a.id, a.user_id, a.name, a.state, a.reason, r.revision, a.version, r.body, a.source_id,
    a.every_us, a.joined_at, a.mark, a.policy, a.failures, a.failing_at, a.silent_at, a.applied, a.created_at, a.updated_at
    FROM areas a JOIN area_revisions r ON r.area_no = a.no WHERE a.no = $1 AND r.revision = $2";
const JOINING: &str = "SELECT DISTINCT a.source_id, s.part FROM areas a JOIN sources s ON s.id = a.source_id
    WHERE a.joined_at IS NULL AND a.state <> 'paused'";
const IS_JOINING: &str = "SELECT COUNT(*) FROM areas WHERE source_id = $1 AND joined_at IS NULL AND state <> 'paused'";
const FAILING: &str = "SELECT no, failures, failing_at FROM areas WHERE failures > 0";

/// Where an AREA's policies stand: stored as JSON with the runs that they decide.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Memory {
    /// What the policies remember.
    pub state: PolicyState,
    /// The run that a debounce holds, with its event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<(EventId, RunId)>,
    /// The run that collects a digest, with its events, the oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<(RunId, Vec<EventId>)>,
}

/// Whether a policy remembers what came before.
pub fn has_memory(policy: &Policy) -> bool {
    policy.throttle.is_some() || policy.debounce.is_some() || policy.digest.is_some()
}

/// One AREA on a source.
#[derive(Debug)]
pub struct Watcher {
    /// What it does.
    pub plan: Arc<Plan>,
    /// Whether it fires.
    pub state: AreaState,
    /// When its baseline began; `None`: not yet.
    pub joined_at: Option<Micros>,
    /// Where its policies stand: changed under the source's turn, and put back when a commit is refused.
    pub memory: Mutex<Memory>,
}

/// The AREAs on a source, in the order that they were made.
#[derive(Debug, Default)]
pub struct Watchers {
    /// Each of them.
    pub all: Vec<Watcher>,
    /// Policies with a memory decide one commit after the other.
    pub turn: tokio::sync::Mutex<()>,
}

impl Watchers {
    /// Whether some AREA's policy remembers what came before.
    pub fn remember(&self) -> bool {
        self.all.iter().any(|w| has_memory(&w.plan.policy))
    }
}

/// The cache.
#[derive(Debug)]
pub struct Plans {
    db: Db,
    services: Services,
    ring: KeyRing,
    watchers: moka::sync::Cache<SourceId, Arc<Watchers>>,
    pinned: moka::sync::Cache<(AreaNo, i64), Arc<Plan>>,
    /// Grows with every forgetting: what was read before one is not kept after it.
    generation: AtomicU64,
}

impl Plans {
    /// A cache of at most `most` sources and as many pinned plans.
    pub fn new(db: Db, services: Services, ring: KeyRing, most: u64) -> Self {
        let (watchers, pinned) = (moka::sync::Cache::new(most), moka::sync::Cache::new(most));
        Self { db, services, ring, watchers, pinned, generation: AtomicU64::new(0) }
    }

    /// Who watches a source. An AREA that cannot be compiled any more is left out, loudly.
    pub async fn watchers(&self, source: SourceId) -> sqlx::Result<Arc<Watchers>> {
        if let Some(found) = self.watchers.get(&source) {
            return Ok(found);
        }
        let generation = self.generation.load(Ordering::SeqCst);
        let rows: Vec<AreaRow> = on!(&self.db, pool => sqlx::query_as(OF_SOURCE).bind(source).fetch_all(pool).await)?;
        let all = rows.iter().filter_map(|row| {
            let memory = row.policy.as_deref().and_then(|p| serde_json::from_str(p).ok()).unwrap_or_default();
            let (state, joined_at) = (row.state, row.joined_at);
            Some(Watcher { plan: self.compile(row)?, state, joined_at, memory: Mutex::new(memory) })
        });
        let found = Arc::new(Watchers { all: all.collect(), ..Watchers::default() });
        if generation == self.generation.load(Ordering::SeqCst) {
            self.watchers.insert(source, Arc::clone(&found));
        }
        Ok(found)
    }

    /// An AREA at a revision; `None` when it was deleted or cannot be compiled any more.
    pub async fn pinned(&self, area: AreaNo, revision: i64) -> sqlx::Result<Option<Arc<Plan>>> {
        if let Some(found) = self.pinned.get(&(area, revision)) {
            return Ok(Some(found));
        }
        let row: Option<AreaRow> =
            on!(&self.db, pool => sqlx::query_as(AT_REVISION).bind(area).bind(revision).fetch_optional(pool).await)?;
        Ok(row.and_then(|row| self.compile(&row)))
    }

    /// An AREA as it is now; `None` when it was deleted or cannot be compiled any more.
    pub async fn current(&self, area: AreaNo) -> sqlx::Result<Option<Arc<Plan>>> {
        let row: Option<AreaRow> =
            on!(&self.db, pool => sqlx::query_as(CURRENT).bind(area).fetch_optional(pool).await)?;
        Ok(row.and_then(|row| self.compile(&row)))
    }

    fn compile(&self, row: &AreaRow) -> Option<Arc<Plan>> {
        if let Some(found) = self.pinned.get(&(row.no, row.revision)) {
            return Some(found);
        }
        match Plan::compile(row, self.services, &self.ring) {
            Ok(plan) => {
                let plan = Arc::new(plan);
                self.pinned.insert((row.no, row.revision), Arc::clone(&plan));
                Some(plan)
            }
            Err(wrong) => {
                tracing::error!(area = %row.id, revision = row.revision, ?wrong, "a stored AREA cannot run with this program");
                None
            }
        }
    }

    /// A source's feed params, secrets in the clear.
    pub fn feed_params(&self, row: &SourceRow) -> Result<Value, SealError> {
        open_params(row.id, &row.params, &self.ring)
    }

    /// Whether some AREA's baseline is open.
    pub async fn is_joining(&self, source: SourceId) -> bool {
        let count: sqlx::Result<(i64,)> =
            on!(&self.db, pool => sqlx::query_as(IS_JOINING).bind(source).fetch_one(pool).await);
        // In doubt it is: one poll that finds nobody to join costs nothing.
        count.map_or(true, |(count,)| count > 0)
    }

    /// What is cached of a source no longer stands.
    pub fn forget(&self, source: SourceId) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.watchers.invalidate(&source);
    }

    /// Nothing cached stands.
    pub fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.watchers.invalidate_all();
    }
}

/// The sources on which some AREA's baseline is open, with their partitions.
pub async fn joining(db: &Db) -> sqlx::Result<Vec<(SourceId, i64)>> {
    on!(db, pool => sqlx::query_as(JOINING).fetch_all(pool).await)
}

/// The AREAs whose last run failed: how often in a row, and since when.
pub async fn failing(db: &Db) -> sqlx::Result<HashMap<AreaNo, (i64, Option<Micros>)>> {
    let rows: Vec<(AreaNo, i64, Option<Micros>)> = on!(db, pool => sqlx::query_as(FAILING).fetch_all(pool).await)?;
    Ok(rows.into_iter().map(|(no, failures, since)| (no, (failures, since))).collect())
}
