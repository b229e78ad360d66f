//! Polls who is due. What a poll needs is read in batches up to a second ahead, so that it starts at its instant.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Engine, lock, take_over};
use crate::clock::Micros;
use crate::ids::SourceId;
use crate::store::work::{self, SourceRow};

/// How far ahead params and cursors are read.
const AHEAD: Micros = 1_000_000;
/// How long what falls due gathers before it is read: few, large reads.
const GATHER: Micros = 20_000;
/// A clock that goes back by more than this was set.
const SET_BACK: Micros = 2_000_000;
/// Sources that one read takes.
const BATCH: usize = 1_000;
/// Sources that are read ahead at most.
const SOON: usize = 20_000;
/// How long polls wait for a backlog that is full, before they look again.
const BACKLOG_NAP: Micros = 200_000;
/// How long to wait when the database does not answer a read.
const AWAY: Micros = 500_000;

/// The schedule's loop.
pub async fn poll_who_is_due(engine: Arc<Engine>) {
    let mut timing = Timing::new(&engine);
    loop {
        let wait_until = timing.look(&engine).await;
        tokio::select! {
            () = engine.clock.nap_until(wait_until) => {}
            () = engine.due_changed.notified() => {}
            () = engine.stop.cancelled() => return,
        }
    }
}

/// What the schedule's loop knows from one look to the next.
#[derive(Debug)]
pub struct Timing {
    soon: BTreeMap<(Micros, SourceId), SourceRow>,
    seen: Micros,
}

impl Timing {
    /// Nothing is read yet.
    pub fn new(engine: &Engine) -> Self {
        Self { soon: BTreeMap::new(), seen: engine.clock.micros() }
    }

    /// Polls who is due now; says when to look again.
    pub async fn look(&mut self, engine: &Arc<Engine>) -> Micros {
        self.seen = noticed(engine, self.seen, &mut self.soon).await;
        let mut wait_until = read_ahead(engine, &mut self.soon).await;
        let now = engine.clock.micros();
        if lock(&engine.queue).len() >= engine.limits.backlog {
            // What is open is worked off first; who is due waits.
            return now + BACKLOG_NAP;
        }
        while let Some(entry) = self.soon.first_entry() {
            if entry.key().0 > now {
                wait_until = wait_until.min(entry.key().0);
                break;
            }
            let row = entry.remove();
            let permit = tokio::select! {
                permit = Arc::clone(&engine.polls).acquire_owned() => permit,
                () = engine.stop.cancelled() => return Micros::MAX,
            };
            let node = Arc::clone(engine);
            engine.spawn(async move {
                crate::poll::poll(&node, row).await;
                drop(permit);
            });
        }
        engine.looks_at.store(wait_until, Ordering::Relaxed);
        wait_until
    }
}

/// Notices a clock that was set back: every instant that was named before lies too far ahead now and is named anew.
async fn noticed(engine: &Engine, seen: Micros, soon: &mut BTreeMap<(Micros, SourceId), SourceRow>) -> Micros {
    let now = engine.clock.micros();
    if now < seen - SET_BACK {
        tracing::warn!(seconds = (seen - now) / 1_000_000, "the clock was set back; everything is scheduled anew");
        for ((_, source), _) in std::mem::take(soon) {
            engine.due().finished(source, Some(now), now, |_| {});
        }
        if let Err(error) = take_over::load_sources(engine, &engine.leases.held()).await {
            tracing::warn!(%error, "cannot schedule anew; it is tried again");
            return seen;
        }
        lock(&engine.queue).set_back(seen - now);
        engine.queue_changed.notify_one();
    }
    now
}

/// Reads what is due within a second; says when to look again.
async fn read_ahead(engine: &Engine, soon: &mut BTreeMap<(Micros, SourceId), SourceRow>) -> Micros {
    let mut popped = Vec::new();
    loop {
        let until = engine.clock.micros() + AHEAD;
        popped.clear();
        if soon.len() < SOON {
            engine.due().pop(until, BATCH, &mut popped);
        }
        if popped.is_empty() {
            return engine.due().next().map_or(Micros::MAX, |due| (due - AHEAD).max(until - AHEAD + GATHER));
        }
        let ids: Vec<SourceId> = popped.iter().map(|(id, _)| *id).collect();
        match work::sources(&engine.db, &ids).await {
            Ok(rows) => {
                let dues: std::collections::HashMap<SourceId, Micros> = popped.drain(..).collect();
                for row in rows {
                    let due = dues.get(&row.id).copied().unwrap_or_default();
                    if row.every_us.is_some() {
                        soon.insert((due, row.id), row);
                    } else {
                        engine.due().remove(row.id);
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read what is due; trying again");
                let later = engine.clock.micros() + AWAY;
                let mut due = engine.due();
                for (source, _) in popped.drain(..) {
                    due.finished(source, Some(later), later, |_| {});
                }
                return later;
            }
        }
    }
}
