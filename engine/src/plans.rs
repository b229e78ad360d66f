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
use crate::ledger::Proof;
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
    a.every_us, a.joined_at, a.has_joined, a.mark, a.policy, a.failures, a.failing_at, a.silent_at, a.applied, a.created_at, a.updated_at
    FROM areas a JOIN area_revisions r ON r.area_no = a.no WHERE a.no = $1 AND r.revision = $2";
const JOINING: &str = "SELECT DISTINCT a.source_id, s.part FROM areas a JOIN sources s ON s.id = a.source_id
    WHERE a.joined_at IS NULL AND a.state <> 'paused'";
const CATCHING_UP: &str = "SELECT DISTINCT a.source_id, s.part FROM areas a JOIN sources s ON s.id = a.source_id
    WHERE a.mark IS NOT NULL AND a.state = 'active'";
const IS_JOINING: &str = "SELECT COUNT(*) FROM areas WHERE source_id = $1 AND joined_at IS NULL AND state <> 'paused'";
const IS_HELD: &str = "SELECT COUNT(*) FROM runs WHERE id = $1 AND state = 'held' AND ended_at IS NULL";
/// Sources that take their turns at once, about: more than there are commits under way.
const TURNS: usize = 256;
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
    /// Grows with every change of the AREA: births rest on it.
    pub version: i64,
    /// Where catching up has come after a fault's pause: what is newer is decided by whoever catches up.
    pub mark: Option<EventId>,
    /// It asked for what was there when it joined, and catches up on that still.
    pub backfills: bool,
    /// Where its policies stand: changed under the source's turn; when a commit is refused it is read again.
    pub memory: Mutex<Memory>,
}

/// The AREAs on a source, in the order that they were made.
#[derive(Debug, Default)]
pub struct Watchers {
    /// Each of them.
    pub all: Vec<Watcher>,
    /// The ownership under which they were read. Under another one somebody else may have decided since.
    read_as: Option<Proof>,
}

impl Watchers {
    /// Whether somebody uses what the action calls large. Who is paused by its user fires for nothing that comes.
    pub fn wants_large(&self) -> bool {
        self.all.iter().any(|w| w.plan.wants_large && w.state != AreaState::Paused)
    }

    /// Whether one decision must be committed before the next begins: a policy remembers what came before, or an AREA catches up
    /// or will.
    fn take_turns(&self) -> bool {
        let alone = |w: &Watcher| w.mark.is_some() || w.state == AreaState::Faulted || has_memory(&w.plan.policy);
        self.all.iter().any(alone)
    }
}

/// The turn of a source: nobody else decides for it until this is dropped.
pub type Turn<'a> = tokio::sync::MutexGuard<'a, ()>;

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
    /// The sources' turns; several sources share one.
    turns: Vec<tokio::sync::Mutex<()>>,
}

impl Plans {
    /// A cache of at most `most` sources and as many pinned plans.
    pub fn new(db: Db, services: Services, ring: KeyRing, most: u64) -> Self {
        let (watchers, pinned) = (moka::sync::Cache::new(most), moka::sync::Cache::new(most));
        let turns = (0..TURNS).map(|_| tokio::sync::Mutex::default()).collect();
        Self { db, services, ring, watchers, pinned, generation: AtomicU64::new(0), turns }
    }

    /// Who watches a source. An AREA that cannot be compiled any more is left out, loudly. Not for whoever has a turn.
    pub async fn watchers(&self, source: SourceId) -> sqlx::Result<Arc<Watchers>> {
        self.read_as(source, None).await
    }

    /// Who watches a source, to decide for it with this proof (without one: only to append); with its turn, where one decision must
    /// be committed before the next begins.
    pub async fn decided_by(
        &self,
        source: SourceId,
        proof: Option<Proof>,
    ) -> sqlx::Result<(Arc<Watchers>, Option<Turn<'_>>)> {
        let watchers = self.read_as(source, proof).await?;
        if !watchers.take_turns() {
            return Ok((watchers, None));
        }
        let turn = self.turn(source).await;
        Ok((self.in_turn(source, proof).await?, Some(turn)))
    }

    async fn read_as(&self, source: SourceId, proof: Option<Proof>) -> sqlx::Result<Arc<Watchers>> {
        if let Some(found) = self.cached(source, proof) {
            return Ok(found);
        }
        // What the policies remember is read when nobody is about to change it.
        let _turn = self.turn(source).await;
        self.in_turn(source, proof).await
    }

    fn cached(&self, source: SourceId, proof: Option<Proof>) -> Option<Arc<Watchers>> {
        self.watchers.get(&source).filter(|found| proof.is_none() || found.read_as == proof)
    }

    async fn turn(&self, source: SourceId) -> Turn<'_> {
        let place = source.0.unsigned_abs() >> 12 ^ source.0.unsigned_abs();
        self.turns[usize::try_from(place % TURNS as u64).unwrap_or(0)].lock().await
    }

    async fn in_turn(&self, source: SourceId, proof: Option<Proof>) -> sqlx::Result<Arc<Watchers>> {
        if let Some(found) = self.cached(source, proof) {
            return Ok(found);
        }
        let generation = self.generation.load(Ordering::SeqCst);
        let rows: Vec<AreaRow> = on!(&self.db, pool => sqlx::query_as(OF_SOURCE).bind(source).fetch_all(pool).await)?;
        let mut all = Vec::with_capacity(rows.len());
        for row in &rows {
            let Some(plan) = self.compile(row) else { continue };
            let memory = Mutex::new(self.memory(row).await?);
            let (state, joined_at, version, mark) = (row.state, row.joined_at, row.version, row.mark.map(EventId));
            let backfills = plan.backfill && !row.has_joined;
            all.push(Watcher { plan, state, joined_at, version, mark, backfills, memory });
        }
        let found = Arc::new(Watchers { all, read_as: proof });
        if generation == self.generation.load(Ordering::SeqCst) {
            self.watchers.insert(source, Arc::clone(&found));
        }
        Ok(found)
    }

    /// What an AREA's policies remember. A run that they waited with and that has begun or ended takes nothing any more.
    async fn memory(&self, row: &AreaRow) -> sqlx::Result<Memory> {
        let mut memory: Memory = row.policy.as_deref().and_then(|p| serde_json::from_str(p).ok()).unwrap_or_default();
        if !self.is_held(memory.digest.as_ref().map(|(run, _)| *run)).await? {
            memory.digest = None;
            memory.state.digest_began();
        }
        if !self.is_held(memory.held.map(|(_, run)| run)).await? {
            memory.held = None;
            memory.state.held_began();
        }
        Ok(memory)
    }

    async fn is_held(&self, run: Option<RunId>) -> sqlx::Result<bool> {
        let Some(run) = run else { return Ok(false) };
        let (count,): (i64,) = on!(&self.db, pool => sqlx::query_as(IS_HELD).bind(run).fetch_one(pool).await)?;
        Ok(count > 0)
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

/// The sources on which some AREA has to catch up, with their partitions.
pub async fn catching_up(db: &Db) -> sqlx::Result<Vec<(SourceId, i64)>> {
    on!(db, pool => sqlx::query_as(CATCHING_UP).fetch_all(pool).await)
}

/// The AREAs whose last run failed: how often in a row, and since when.
pub async fn failing(db: &Db) -> sqlx::Result<HashMap<AreaNo, (i64, Option<Micros>)>> {
    let rows: Vec<(AreaNo, i64, Option<Micros>)> = on!(db, pool => sqlx::query_as(FAILING).fetch_all(pool).await)?;
    Ok(rows.into_iter().map(|(no, failures, since)| (no, (failures, since))).collect())
}
