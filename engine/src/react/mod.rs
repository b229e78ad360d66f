//! Firing: heads wait in the `queue`, a run goes on in `go`, what it remembers is its `detail`.

pub mod detail;
mod go;
pub mod queue;
mod record;

pub use go::digest;
pub use record::shown;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::clock::Micros;
use crate::ids::RunId;
use crate::intake::Births;
use crate::ledger::{Proof, RunState, RunUpdate, Unit};
use crate::node::{Engine, lock};
use crate::policy::Order;
use crate::store::work::{self, OpenRun, RunRow};
use queue::Head;

/// Heads that one page of a backlog reads.
pub const HEADS_A_PAGE: i64 = 10_000;
/// Runs whose bodies one read takes.
const BATCH: usize = 64;
/// How long a run is due before it is looked for.
const FORGOTTEN: Micros = 10_000_000;
/// Runs that one such look reads.
const FORGOTTEN_A_PAGE: i64 = 1_000;
/// Bodies of runs that were just born, kept so that they need not be read back.
const FRESH: usize = 8_192;

/// Why a run was ended by a newer one.
pub const REPLACED: &str = "a newer run took its place";

/// What a run that was just born needs: the same as its row.
pub type Fresh = Arc<RunRow>;

/// The loop that sets runs going.
pub async fn serve(engine: Arc<Engine>) {
    loop {
        let wait_until = start_what_may_go(&engine).await;
        tokio::select! {
            () = engine.clock.nap_until(wait_until) => {}
            () = engine.queue_changed.notified() => {}
            () = engine.stop.cancelled() => return,
        }
    }
}

/// Sets going what may go; says when the next head is due.
pub(crate) async fn start_what_may_go(engine: &Arc<Engine>) -> Micros {
    loop {
        let now = engine.clock.micros();
        let mut heads: Vec<Head> = Vec::new();
        let (next_due, let_go) = {
            let mut queue = lock(&engine.queue);
            while heads.len() < BATCH && queue.going() < engine.limits.runs_at_once {
                let Some(head) = queue.next(now) else { break };
                // From here on its end is told to it, however far it is.
                lock(&engine.going).insert(head.run, CancellationToken::new());
                heads.push(head);
            }
            (queue.next_due().unwrap_or(Micros::MAX), queue.take_let_go())
        };
        for head in let_go {
            let node = Arc::clone(engine);
            engine.spawn(async move { take_place(&node, head).await });
        }
        if heads.is_empty() {
            return next_due;
        }
        start(engine, heads).await;
    }
}

/// Ends the older runs of an AREA whose newest one takes their place.
async fn take_place(engine: &Arc<Engine>, head: Head) {
    let Some(proof) = engine.leases.proof(head.part) else { return };
    let updates = engine.replaced_by(head);
    let older: Vec<RunId> = updates.iter().map(|update| update.id).collect();
    if older.is_empty() {
        return;
    }
    match engine.ledger.commit_surely(Unit { proof: Some(proof), updates, ..Unit::default() }).await {
        Ok(()) => older.into_iter().for_each(|run| engine.run_superseded(run)),
        Err(refused) => tracing::debug!(%refused, run = %head.run, "a run did not take its place"),
    }
}

async fn start(engine: &Arc<Engine>, heads: Vec<Head>) {
    let mut rows: std::collections::HashMap<RunId, Fresh> = {
        let mut fresh = lock(&engine.fresh);
        heads.iter().filter_map(|h| fresh.remove(&h.run).map(|row| (h.run, row))).collect()
    };
    let missing: Vec<RunId> = heads.iter().map(|h| h.run).filter(|run| !rows.contains_key(run)).collect();
    if !missing.is_empty() {
        match work::runs(&engine.db, &missing).await {
            Ok(read) => rows.extend(read.into_iter().map(|row| (row.id, Arc::new(row)))),
            Err(error) => {
                tracing::warn!(%error, "cannot read runs; trying again");
                let later = engine.clock.micros() + engine.limits.away_micros();
                missing.iter().for_each(|run| engine.run_rests(*run, later));
            }
        }
    }
    for head in heads {
        match rows.remove(&head.run) {
            Some(row) => {
                let node = Arc::clone(engine);
                engine.spawn(async move { go::go(&node, head, row).await });
            }
            // It ended meanwhile, or its read failed and it waits again.
            None if lock(&engine.queue).is_going(head.run) => engine.run_ended(head.run),
            None => {}
        }
    }
}

/// Queues the open runs of a partition.
pub async fn load(engine: &Arc<Engine>, proof: Proof) -> sqlx::Result<()> {
    if crate::crash::without("react.load") {
        return Ok(());
    }
    let mut after = (Micros::MIN, RunId(0));
    loop {
        let page = work::open_runs(&engine.db, proof.part, after, HEADS_A_PAGE).await?;
        let full = page.len() as i64 == HEADS_A_PAGE;
        let Some(last) = page.last() else { return Ok(()) };
        after = (last.due_at, last.id);
        let now = engine.clock.micros();
        let mut orders = std::collections::HashMap::new();
        for run in page {
            let order = match orders.get(&run.area_no) {
                Some(order) => *order,
                None => *orders.entry(run.area_no).or_insert(engine.order_of(run.area_no).await?),
            };
            lock(&engine.queue).put(head_of(&run, order, now, proof), now);
        }
        engine.queue_changed.notify_one();
        if !full {
            return Ok(());
        }
    }
}

fn head_of(run: &OpenRun, order: Order, now: Micros, proof: Proof) -> Head {
    // Ready is ready, whatever the clock said when it was born.
    let ready = run.state == RunState::Ready.as_str();
    let due = if ready { run.due_at.min(now) } else { run.due_at };
    let held = run.state == RunState::Held.as_str();
    let (at_once, restarts) = (at_once(order), order == Order::Restart);
    let Proof { part, epoch } = proof;
    Head { run: run.id, area: run.area_no, user: run.user_id, part, epoch, due, at_once, held, restarts }
}

/// Queues runs that are long due and that nobody here knows: a commit whose answer was lost, a wake that was. A page at a time;
/// gives the place at which the next look begins.
pub async fn find_forgotten(engine: &Arc<Engine>, after: (i64, Micros, RunId)) -> sqlx::Result<(i64, Micros, RunId)> {
    let by = engine.clock.micros() - FORGOTTEN;
    let page = work::overdue(&engine.db, after, by, FORGOTTEN_A_PAGE).await?;
    let next = match page.last() {
        Some(last) if page.len() as i64 == FORGOTTEN_A_PAGE => (last.part, last.due_at, last.id),
        _ => (-1, 0, RunId(0)),
    };
    for run in page {
        if engine.leases.holds(run.part) && !lock(&engine.queue).is_known(run.id) {
            tracing::info!(run = %run.id, "a run that nobody worked is found");
            take_in(engine, run.part, run.id).await;
        }
    }
    Ok(next)
}

/// Queues one run that was inserted or let go elsewhere, if its partition is ours.
pub async fn take_in(engine: &Arc<Engine>, part: i64, run: RunId) {
    let Some(proof) = engine.leases.known(part) else { return };
    match work::open_run(&engine.db, run).await {
        Ok(Some(run)) => {
            let Ok(order) = engine.order_of(run.area_no).await else { return };
            let now = engine.clock.micros();
            let head = head_of(&run, order, now, proof);
            let mut queue = lock(&engine.queue);
            queue.put(head, now);
            queue.move_to(run.id, head.due, now);
        }
        Ok(None) => engine.run_superseded(run),
        Err(error) => tracing::warn!(%error, %run, "cannot read a run; the slow scan will find it"),
    }
    engine.queue_changed.notify_one();
}

/// How many runs of an AREA may go at once.
pub fn at_once(order: Order) -> u32 {
    match order {
        Order::Parallel(most) => most,
        Order::Queued | Order::Single | Order::Restart => 1,
    }
}

impl Engine {
    /// Queues what was born and committed. What was lost since the commit is the next owner's.
    pub(crate) fn take_births(self: &Arc<Self>, births: Births) {
        if births.is_empty() {
            return;
        }
        let now = self.clock.micros();
        let mut unknown = Vec::new();
        {
            let mut fresh = lock(&self.fresh);
            for row in births.rows.into_iter().filter(|row| self.leases.holds(row.part)) {
                if fresh.len() >= FRESH {
                    break;
                }
                fresh.insert(row.id, Arc::new(row));
            }
        }
        {
            let mut queue = lock(&self.queue);
            for head in births.heads.into_iter().filter(|head| self.leases.holds(head.part)) {
                // Ready is ready, whatever the clock said when it was decided.
                let due = if head.held { head.due } else { head.due.min(now) };
                queue.put(Head { due, ..head }, now);
            }
            for (run, part, due) in births.moved {
                match queue.is_known(run) {
                    true => queue.move_to(run, due, now),
                    false => unknown.push((part, run)),
                }
            }
        }
        // Moved while what is open was read page by page: it may have left the page that is still to come.
        for (part, run) in unknown {
            let node = Arc::clone(self);
            self.spawn(async move { take_in(&node, part, run).await });
        }
        births.superseded.into_iter().for_each(|run| self.run_superseded(run));
        self.queue_changed.notify_one();
    }

    /// Nothing more is known of a run here.
    fn run_ended(&self, run: RunId) {
        lock(&self.queue).ended(run);
        lock(&self.going).remove(&run);
        lock(&self.fresh).remove(&run);
        lock(&self.recorded).remove(&run);
        self.queue_changed.notify_one();
    }

    /// All that a waiting run has called is in its row.
    fn run_recorded(&self, run: RunId, epoch: i64) {
        let mut recorded = lock(&self.recorded);
        if recorded.len() < FRESH {
            recorded.insert(run, epoch);
        }
    }

    /// A run goes on at `due`.
    fn run_again(&self, run: RunId, due: Micros) {
        lock(&self.going).remove(&run);
        lock(&self.queue).again(run, due, self.clock.micros());
        self.queue_changed.notify_one();
    }

    /// This node cannot go on with a run before `due`, and with none that comes after it in its AREA.
    fn run_rests(&self, run: RunId, due: Micros) {
        lock(&self.going).remove(&run);
        lock(&self.queue).rest(run, due);
        self.queue_changed.notify_one();
    }

    /// A run was ended by its user or by a newer run: one that is going hears of it and ends by itself.
    pub(crate) fn run_superseded(&self, run: RunId) {
        let going = lock(&self.going).get(&run).cloned();
        match going {
            Some(going) => going.cancel(),
            None => self.run_ended(run),
        }
    }

    /// This node may not go on with a run: if its partition is still ours it is looked at again, else it is its owner's.
    fn run_let_go(&self, head: Head) {
        match self.leases.holds(head.part) {
            true => self.run_rests(head.run, self.clock.micros() + self.limits.away_micros()),
            false => self.run_ended(head.run),
        }
    }

    /// The runs of an AREA that go or wait on this node.
    pub(crate) fn open_runs_of(&self, area: crate::ids::AreaNo) -> Vec<RunId> {
        lock(&self.queue).runs_of(area, self.clock.micros())
    }

    async fn order_of(&self, area: crate::ids::AreaNo) -> sqlx::Result<Order> {
        let plan = self.plans.current(area).await?;
        Ok(plan.map_or(Order::Queued, |plan| plan.policy.order))
    }

    /// What ends the AREA's runs that go or wait and are older than this one, which takes their place.
    fn replaced_by(&self, head: Head) -> Vec<RunUpdate> {
        let now = self.clock.micros();
        let older = self.open_runs_of(head.area).into_iter().filter(|run| *run < head.run);
        let end = |id| RunUpdate {
            id,
            state: RunState::Cancelled,
            reason: Some(REPLACED.to_owned()),
            due_at: now,
            ended_at: Some(now),
            detail: None,
        };
        older.map(end).collect()
    }

    /// Ends a run of a deleted AREA, or one that can never go.
    pub(crate) async fn end_run(&self, head: Head, state: RunState, why: &str) {
        let now = self.clock.micros();
        if let Some(proof) = self.leases.proof(head.part) {
            let update = RunUpdate {
                id: head.run,
                state,
                reason: Some(why.to_owned()),
                due_at: now,
                ended_at: Some(now),
                detail: None,
            };
            let unit = Unit { proof: Some(proof), updates: vec![update], ..Unit::default() };
            if let Err(refused) = self.ledger.commit_surely(unit).await {
                tracing::debug!(%refused, run = %head.run, "a run's end was not recorded");
            }
        }
        self.run_ended(head.run);
    }
}
