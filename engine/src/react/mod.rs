//! Firing: heads wait in the `queue`, a run goes on in `go`, what it remembers is its `detail`.

pub mod detail;
mod go;
pub mod queue;
mod record;

pub use record::shown;

use std::sync::Arc;

use crate::clock::Micros;
use crate::ids::RunId;
use crate::intake::Births;
use crate::ledger::{RunState, Unit};
use crate::node::{Engine, lock};
use crate::policy::Order;
use crate::store::work::{self, RunRow};
use queue::Head;

/// Heads that one page of a backlog reads.
pub const HEADS_A_PAGE: i64 = 10_000;
/// Runs whose bodies one read takes.
const BATCH: usize = 64;
/// Bodies of runs that were just born, kept so that they need not be read back.
const FRESH: usize = 8_192;

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
async fn start_what_may_go(engine: &Arc<Engine>) -> Micros {
    loop {
        let now = engine.clock.micros();
        let mut heads: Vec<Head> = Vec::new();
        let next_due = {
            let mut queue = lock(&engine.queue);
            while heads.len() < BATCH && queue.going() < engine.limits.runs_at_once {
                let Some(head) = queue.next(now) else { break };
                heads.push(head);
            }
            queue.next_due().unwrap_or(Micros::MAX)
        };
        if heads.is_empty() {
            return next_due;
        }
        start(engine, heads).await;
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
                let now = engine.clock.micros();
                let later = now + engine.limits.away_micros();
                let mut queue = lock(&engine.queue);
                for head in heads.iter().filter(|h| missing.contains(&h.run)) {
                    queue.again(head.run, later, now);
                }
            }
        }
    }
    for head in heads {
        match rows.remove(&head.run) {
            Some(row) => {
                let node = Arc::clone(engine);
                engine.tasks.spawn(async move { go::go(&node, head, row).await });
            }
            // It ended meanwhile, or its read failed and it waits again.
            None => {
                let mut queue = lock(&engine.queue);
                if queue.is_going(head.run) {
                    queue.ended(head.run);
                }
            }
        }
    }
}

/// Queues the open runs of a partition.
pub async fn load(engine: &Arc<Engine>, part: i64) -> sqlx::Result<()> {
    let mut after = (Micros::MIN, RunId(0));
    loop {
        let page = work::open_runs(&engine.db, part, after, HEADS_A_PAGE).await?;
        let full = page.len() as i64 == HEADS_A_PAGE;
        let Some(last) = page.last() else { return Ok(()) };
        after = (last.due_at, last.id);
        let now = engine.clock.micros();
        let mut orders = std::collections::HashMap::new();
        for run in page {
            let at_once = match orders.get(&run.area_no) {
                Some(at_once) => *at_once,
                None => *orders.entry(run.area_no).or_insert(engine.at_once(run.area_no).await?),
            };
            let head = Head {
                run: run.id,
                area: run.area_no,
                user: run.user_id,
                part,
                due: run.due_at,
                at_once,
                held: run.state == RunState::Held.as_str(),
            };
            lock(&engine.queue).put(head, now);
        }
        engine.queue_changed.notify_one();
        if !full {
            return Ok(());
        }
    }
}

/// Queues one run that was inserted or let go elsewhere.
pub async fn take_in(engine: &Arc<Engine>, run: RunId) {
    match work::open_run(&engine.db, run).await {
        Ok(Some(run)) => {
            let Ok(at_once) = engine.at_once(run.area_no).await else { return };
            let now = engine.clock.micros();
            let head = Head {
                run: run.id,
                area: run.area_no,
                user: run.user_id,
                part: run.part,
                due: run.due_at,
                at_once,
                held: run.state == RunState::Held.as_str(),
            };
            let mut queue = lock(&engine.queue);
            queue.put(head, now);
            queue.move_to(run.id, run.due_at, now);
        }
        Ok(None) => lock(&engine.queue).ended(run),
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
    /// Queues what was born and committed.
    pub(crate) fn take_births(&self, births: Births) {
        if births.is_empty() {
            return;
        }
        let now = self.clock.micros();
        {
            let mut fresh = lock(&self.fresh);
            for row in births.rows {
                if fresh.len() >= FRESH {
                    break;
                }
                fresh.insert(row.id, Arc::new(row));
            }
        }
        let mut ended = Vec::new();
        {
            let mut queue = lock(&self.queue);
            for head in births.heads {
                queue.put(head, now);
            }
            for (run, due) in births.moved {
                queue.move_to(run, due, now);
            }
            for run in births.superseded {
                if !queue.is_going(run) {
                    queue.ended(run);
                }
                ended.push(run);
            }
        }
        for run in ended {
            lock(&self.fresh).remove(&run);
            self.cancel_going(run);
        }
        self.queue_changed.notify_one();
    }

    /// The runs of an AREA that go or wait on this node.
    pub(crate) fn open_runs_of(&self, area: crate::ids::AreaNo) -> Vec<RunId> {
        lock(&self.queue).runs_of(area, self.clock.micros())
    }

    async fn at_once(&self, area: crate::ids::AreaNo) -> sqlx::Result<u32> {
        let plan = self.plans.current(area).await?;
        Ok(plan.map_or(1, |plan| at_once(plan.policy.order)))
    }

    /// Ends a run of a deleted AREA, or one that can never go.
    pub(crate) async fn end_run(&self, head: Head, state: RunState, why: &str) {
        let now = self.clock.micros();
        if let Some(proof) = self.leases.proof(head.part) {
            let update = crate::ledger::RunUpdate {
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
        lock(&self.queue).ended(head.run);
        self.queue_changed.notify_one();
    }
}
