//! Who owns which partition. A node is alive while its row's `until_at` lies ahead, judged by PostgreSQL's clock alone; a
//! partition whose node is not alive is free, and taking it raises its epoch, which every commit proves. A holder starts nothing
//! past its own, earlier, monotonic deadline. On SQLite there is one node (the data folder's lock makes it so): it takes
//! everything at start and lives for ever, through the same rows.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::ledger::Proof;
use crate::partition::PARTITIONS;
use crate::store::{Db, StoreError};
use crate::{on, on_write};

/// How long a node is alive after its last heartbeat, unless the configuration says otherwise.
pub const LEASE: Duration = Duration::from_secs(10);
/// Parts of the lease after which a holder stops starting things: the margin for a slow answer.
const OWN_DEADLINE: f64 = 0.7;
/// Heartbeats within one lease.
pub const BEATS: u32 = 4;
/// Nodes that may arrive at one moment.
const ARRIVALS: u32 = 20;
/// On SQLite nobody else can come.
const FOR_EVER: i64 = i64::MAX / 2;

/// The statements that read the clock: bound on SQLite, the server's own on PostgreSQL.
macro_rules! clocked {
    (@ $now:literal; $($part:tt)+) => { concat!($(clocked!(# $now $part)),+) };
    (# $now:literal NOW) => { $now };
    (# $now:literal $text:literal) => { $text };
    ($($part:tt)+) => {
        (
            clocked!(@ "$1"; $($part)+),
            clocked!(@ "((extract(epoch from clock_timestamp()) * 1000000)::bigint + 0 * $1::bigint)"; $($part)+),
        )
    };
}

pub(crate) use clocked;

const BEAT: (&str, &str) = clocked!("UPDATE nodes SET until_at = " NOW " + $2 WHERE no = $3 AND until_at > " NOW);
const ARRIVE: (&str, &str) = clocked!("INSERT INTO nodes (no, name, url, until_at)
    SELECT COALESCE(MAX(no), 0) + 1, $3, $4, " NOW " + $2 FROM nodes WHERE true
    ON CONFLICT (name) DO UPDATE SET url = excluded.url, until_at = excluded.until_at RETURNING no");
const ALIVE: (&str, &str) = clocked!("SELECT COUNT(*) FROM nodes WHERE until_at > " NOW);
const CLAIM_SQLITE: &str =
    "UPDATE leases SET node = $2, epoch = epoch + 1 WHERE part IN (SELECT part FROM leases WHERE node IS NULL
    OR node NOT IN (SELECT no FROM nodes WHERE until_at > $1) ORDER BY part LIMIT $3) RETURNING part, epoch";
const CLAIM_POSTGRES: &str = "WITH free AS (SELECT part FROM leases WHERE node IS NULL OR node NOT IN (SELECT no FROM nodes
    WHERE until_at > ((extract(epoch from clock_timestamp()) * 1000000)::bigint + 0 * $1::bigint)) ORDER BY part LIMIT $3
    FOR UPDATE SKIP LOCKED)
    UPDATE leases SET node = $2, epoch = epoch + 1 FROM free WHERE leases.part = free.part RETURNING leases.part, leases.epoch";
const FREE_MINE: &str = "UPDATE leases SET node = NULL WHERE node = $1";
const RELEASE: &str = "UPDATE leases SET node = NULL WHERE part = $1 AND node = $2 AND epoch = $3";
const HELD: &str = "SELECT part, epoch FROM leases WHERE node = $1";
const ALONE: &str = "DELETE FROM nodes";
const LEAVE: &str = "DELETE FROM nodes WHERE no = $1";
const FORGET: (&str, &str) = clocked!("DELETE FROM nodes WHERE until_at < " NOW " - 86400000000");
const OWNER: &str =
    "SELECT n.url FROM sources s JOIN leases l ON l.part = s.part JOIN nodes n ON n.no = l.node WHERE s.id = $1";
const FLOOR: &str =
    "SELECT CAST(MAX(COALESCE((SELECT MAX(id) FROM events), 0), COALESCE((SELECT MAX(id) FROM runs), 0),
    COALESCE((SELECT MAX(no) FROM areas), 0), COALESCE((SELECT MAX(id) FROM sources), 0)) AS BIGINT)";
const FLOOR_POSTGRES: &str =
    "SELECT GREATEST(COALESCE((SELECT MAX(id) FROM events), 0), COALESCE((SELECT MAX(id) FROM runs), 0),
    COALESCE((SELECT MAX(no) FROM areas), 0), COALESCE((SELECT MAX(id) FROM sources), 0))";

/// What a round of the lease keeper changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Partitions that are ours now.
    pub gained: Vec<i64>,
    /// Partitions that are no longer ours.
    pub lost: Vec<i64>,
    /// Partitions to hand over: finish what is under way, then `release`.
    pub surplus: Vec<i64>,
}

/// This node's leases.
#[derive(Debug)]
pub struct Leases {
    db: Db,
    clock: Clock,
    name: String,
    url: Option<String>,
    lease: Duration,
    state: RwLock<State>,
    /// Nodes that were alive at the last round.
    nodes: AtomicU32,
    /// Rounds and releases one after the other: what a round reads must still be so when it is believed.
    changing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Partitions that are being handed over: they are named once.
    leaving: HashSet<i64>,
    node: i64,
    held: HashMap<i64, i64>,
    deadline: Option<Instant>,
}

impl Leases {
    /// Makes this node known under `name` (taking over what a dead node of that name left) and owns nothing yet.
    pub async fn arrive(
        db: Db,
        clock: Clock,
        name: String,
        url: Option<String>,
        lease: Duration,
    ) -> Result<Self, StoreError> {
        let leases = Self {
            db,
            clock,
            name,
            url,
            lease,
            state: RwLock::default(),
            nodes: AtomicU32::new(1),
            changing: tokio::sync::Mutex::default(),
        };
        leases.register().await?;
        Ok(leases)
    }

    async fn register(&self) -> Result<(), StoreError> {
        let started = Instant::now();
        let span = self.span();
        let (now, sql) = (self.clock.micros(), self.choose(ARRIVE));
        if self.db.is_alone() {
            // The data folder's lock is ours: whoever is in these rows is dead, whatever its name was.
            on_write!(&self.db, pool => sqlx::query(ALONE).execute(pool).await.map(drop))?;
        }
        let mut tries = 0;
        let no = loop {
            let row: sqlx::Result<(i64,)> = on_write!(&self.db, pool => sqlx::query_as(sql).bind(now).bind(span).bind(&self.name)
                .bind(&self.url).fetch_one(pool).await);
            match row {
                Ok((no,)) => break no,
                // Another node arrived at the same moment and took the number.
                Err(sqlx::Error::Database(e)) if e.is_unique_violation() && tries < ARRIVALS => tries += 1,
                Err(e) => return Err(e.into()),
            }
        };
        on_write!(&self.db, pool => sqlx::query(FREE_MINE).bind(no).execute(pool).await.map(drop))?;
        let forget = self.choose(FORGET);
        on_write!(&self.db, pool => sqlx::query(forget).bind(now).execute(pool).await.map(drop))?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        *state = State { node: no, deadline: self.deadline(started), ..State::default() };
        Ok(())
    }

    /// This node's number.
    pub fn node(&self) -> i64 {
        self.state.read().unwrap_or_else(PoisonError::into_inner).node
    }

    /// The proof that `part` is ours, while our own deadline has not passed.
    pub fn proof(&self, part: i64) -> Option<Proof> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if state.deadline.is_some_and(|d| Instant::now() >= d) {
            return None;
        }
        state.held.get(&part).map(|&epoch| Proof { part, epoch })
    }

    /// The same whatever our own deadline says: for what is read under it, not for what is begun.
    pub fn known(&self, part: i64) -> Option<Proof> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.held.get(&part).map(|&epoch| Proof { part, epoch })
    }

    /// Whether this node may start something new: others do not take it for dead yet.
    pub fn is_live(&self) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.deadline.is_none_or(|deadline| Instant::now() < deadline)
    }

    /// Whether `part` is ours as far as we know; what is committed proves it.
    pub fn holds(&self, part: i64) -> bool {
        self.state.read().unwrap_or_else(PoisonError::into_inner).held.contains_key(&part)
    }

    /// The partitions that are ours, in order.
    pub fn held(&self) -> Vec<i64> {
        let mut held: Vec<i64> =
            self.state.read().unwrap_or_else(PoisonError::into_inner).held.keys().copied().collect();
        held.sort_unstable();
        held
    }

    /// One round: heartbeat, see what was lost, take what is free up to a fair share, name what is over it.
    pub async fn round(&self) -> Result<Changes, StoreError> {
        let _one = self.changing.lock().await;
        let started = Instant::now();
        let mut changes = Changes::default();
        if !self.beat().await? {
            changes.lost = self.held();
            self.register().await?;
            tracing::warn!(partitions = changes.lost.len(), "this node was taken for dead; it starts anew");
        }
        let node = self.node();
        let stored: HashMap<i64, i64> =
            on!(&self.db, pool => sqlx::query_as::<_, (i64, i64)>(HELD).bind(node).fetch_all(pool).await)?
                .into_iter()
                .collect();
        let alive = self.alive().await?.max(1);
        self.nodes.store(u32::try_from(alive).unwrap_or(u32::MAX), Ordering::Relaxed);
        let share = (PARTITIONS + alive - 1) / alive;
        let mut held = stored.clone();
        if (held.len() as i64) < share {
            held.extend(self.claim(node, share - held.len() as i64).await?);
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        changes.lost.extend(state.held.iter().filter(|(p, e)| held.get(p) != Some(e)).map(|(p, _)| *p));
        changes.gained.extend(held.iter().filter(|(p, e)| state.held.get(p) != Some(e)).map(|(p, _)| *p));
        let mut over: Vec<i64> = held.keys().copied().collect();
        over.sort_unstable();
        changes.surplus = over.split_off(over.len().min(usize::try_from(share).unwrap_or(usize::MAX)));
        changes.gained.sort_unstable();
        state.leaving.retain(|part| held.contains_key(part));
        changes.surplus.retain(|part| state.leaving.insert(*part));
        state.held = held;
        state.deadline = self.deadline(started);
        Ok(changes)
    }

    /// One heartbeat, and nothing else: for a node that drains. What was lost is lost.
    pub async fn stay(&self) -> Result<(), StoreError> {
        let started = Instant::now();
        if self.beat().await? {
            self.state.write().unwrap_or_else(PoisonError::into_inner).deadline = self.deadline(started);
        }
        Ok(())
    }

    /// Lets go of partitions whose work is finished.
    pub async fn release(&self, parts: &[i64]) -> Result<(), StoreError> {
        let _one = self.changing.lock().await;
        for &part in parts {
            let held = {
                let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
                state.leaving.remove(&part);
                state.held.remove(&part).map(|epoch| (state.node, epoch))
            };
            if let Some((node, epoch)) = held {
                on_write!(&self.db, pool => sqlx::query(RELEASE).bind(part).bind(node).bind(epoch).execute(pool).await.map(drop))?;
            }
        }
        Ok(())
    }

    /// Lets go of everything and leaves.
    pub async fn leave(&self) -> Result<(), StoreError> {
        let node = self.node();
        self.state.write().unwrap_or_else(PoisonError::into_inner).held.clear();
        on_write!(&self.db, pool => sqlx::query(FREE_MINE).bind(node).execute(pool).await.map(drop))?;
        on_write!(&self.db, pool => sqlx::query(LEAVE).bind(node).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Nodes that are alive: what limits are divided by.
    pub async fn alive(&self) -> Result<i64, StoreError> {
        let (now, sql) = (self.clock.micros(), self.choose(ALIVE));
        let (count,): (i64,) = on!(&self.db, pool => sqlx::query_as(sql).bind(now).fetch_one(pool).await)?;
        Ok(count)
    }

    /// As many as there were at the last round.
    pub fn nodes(&self) -> u32 {
        self.nodes.load(Ordering::Relaxed).max(1)
    }

    /// How long to wait between rounds.
    pub fn beat_every(&self) -> Duration {
        self.lease / BEATS
    }

    async fn beat(&self) -> Result<bool, StoreError> {
        if self.db.is_alone() {
            return Ok(true);
        }
        let (now, sql) = (self.clock.micros(), self.choose(BEAT));
        let beat = on_write!(&self.db, pool => sqlx::query(sql).bind(now).bind(self.span()).bind(self.node()).execute(pool).await
            .map(|done| done.rows_affected()))?;
        Ok(beat == 1)
    }

    async fn claim(&self, node: i64, most: i64) -> Result<Vec<(i64, i64)>, StoreError> {
        let (now, sql) = (self.clock.micros(), self.choose((CLAIM_SQLITE, CLAIM_POSTGRES)));
        crate::crash::point("lease.before_claim");
        let claimed =
            on_write!(&self.db, pool => sqlx::query_as(sql).bind(now).bind(node).bind(most).fetch_all(pool).await)?;
        crate::crash::point("lease.after_claim");
        Ok(claimed)
    }

    fn choose(&self, (sqlite, postgres): (&'static str, &'static str)) -> &'static str {
        if matches!(self.db, Db::Sqlite { .. }) { sqlite } else { postgres }
    }

    fn span(&self) -> i64 {
        if self.db.is_alone() {
            return FOR_EVER;
        }
        i64::try_from(self.lease.as_micros()).unwrap_or(FOR_EVER)
    }

    fn deadline(&self, started: Instant) -> Option<Instant> {
        (!self.db.is_alone()).then(|| started + self.lease.mul_f64(OWN_DEADLINE))
    }
}

/// Where the node that owns a source's partition is reached; `None`: nobody alive owns it, or it said no address.
pub async fn url_of_owner(db: &Db, source: crate::ids::SourceId) -> Result<Option<String>, StoreError> {
    let found: Option<(Option<String>,)> =
        on!(db, pool => sqlx::query_as(OWNER).bind(source).fetch_optional(pool).await)?;
    Ok(found.and_then(|(url,)| url))
}

/// The largest id that is stored: where a generator must start above.
pub async fn id_floor(db: &Db) -> Result<i64, StoreError> {
    let sql = if matches!(db, Db::Sqlite { .. }) { FLOOR } else { FLOOR_POSTGRES };
    let (floor,): (i64,) = on!(db, pool => sqlx::query_as(sql).fetch_one(pool).await)?;
    Ok(floor)
}
