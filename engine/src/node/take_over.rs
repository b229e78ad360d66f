//! What happens when partitions come and go: their open runs are queued, their sources scheduled, their undecided events decided;
//! or all of that is forgotten.

use std::sync::Arc;

use serde_json::Value;
use tokio::time::Duration;

use super::{Engine, lock};
use crate::clock::Micros;
use crate::ids::SourceId;
use crate::ledger::{CursorMove, Unit};
use crate::partition::PARTITIONS;
use crate::port::{Cadence, FeedKind};
use crate::react;
use crate::schedule::phase::next_due;
use crate::store::work::{self, PAGE, Watched};

/// How long a hand-over waits for what is in flight.
const HAND_OVER: Duration = Duration::from_secs(5);
/// Between two tries to read while the database is away.
const AGAIN: Duration = Duration::from_millis(500);
/// Timers whose cursors one read takes.
const TIMERS: usize = 1_000;

/// Takes partitions over. Tried until it works or the node stops: a partition whose rows were not read would be silent.
pub async fn take(engine: &Arc<Engine>, parts: &[i64]) {
    while let Err(error) = load(engine, parts).await {
        tracing::warn!(%error, partitions = parts.len(), "cannot take partitions over; trying again");
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = engine.stop.cancelled() => return,
        }
    }
    // What was lost while it was read is another node's.
    let lost: Vec<i64> = parts.iter().copied().filter(|part| !engine.leases.holds(*part)).collect();
    drop_parts(engine, &lost);
    let sources = engine.due().len();
    metrics::gauge!("area_sources_scheduled").set(sources as f64);
    tracing::debug!(partitions = parts.len(), sources, "partitions taken over");
}

async fn load(engine: &Arc<Engine>, parts: &[i64]) -> sqlx::Result<()> {
    let joining = crate::plans::joining(&engine.db).await?;
    lock(&engine.joining).extend(joining.iter().filter(|(_, part)| parts.contains(part)).map(|(source, _)| *source));
    let failing = crate::plans::failing(&engine.db).await?;
    *lock(&engine.failing) = failing;
    for &part in parts {
        let Some(proof) = engine.leases.known(part) else { continue };
        react::load(engine, proof).await?;
        lock(&engine.loaded).insert(part, proof.epoch);
    }
    load_sources(engine, parts).await?;
    crate::crash::point("node.loaded");
    for part in work::undecided_parts(&engine.db).await? {
        if parts.contains(&part) {
            crate::hooks::decide_undecided(engine, part).await;
        }
    }
    let unfinished = crate::plans::catching_up(&engine.db).await?;
    catch_up(engine, unfinished.into_iter().filter(|(_, part)| parts.contains(part)).collect()).await;
    Ok(())
}

/// Goes on catching up where it was cut short, on the sources of these that are ours.
pub async fn catch_up(engine: &Arc<Engine>, sources: Vec<(SourceId, i64)>) {
    for (source, part) in sources.into_iter().filter(|(_, part)| engine.leases.holds(*part)) {
        engine.plans.forget(source);
        crate::catch_up::run(engine, source, part).await;
    }
}

/// Schedules the watched sources of these partitions, as of now.
pub async fn load_sources(engine: &Engine, parts: &[i64]) -> sqlx::Result<()> {
    if parts.len() == usize::try_from(PARTITIONS).unwrap_or(0) {
        return load_pages(engine, None).await;
    }
    for &part in parts {
        load_pages(engine, Some(part)).await?;
    }
    Ok(())
}

async fn load_pages(engine: &Engine, part: Option<i64>) -> sqlx::Result<()> {
    let mut after = SourceId(0);
    loop {
        let page = match part {
            Some(part) => work::watched(&engine.db, part, after).await?,
            None => work::watched_all(&engine.db, after).await?,
        };
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        let full = page.len() as i64 == PAGE;
        schedule(engine, page).await?;
        engine.due_changed.notify_one();
        if !full {
            return Ok(());
        }
    }
}

/// Puts sources into the schedule: those with an interval at their phase, those whose baseline is open now, timers at the
/// instant that their cursor names.
async fn schedule(engine: &Engine, page: Vec<Watched>) -> sqlx::Result<()> {
    let now = engine.clock.micros();
    let mut timers = Vec::new();
    {
        let joining = lock(&engine.joining);
        let mut due = engine.due();
        for source in page {
            if let Some(health) = source.health.as_deref() {
                super::stand::restore(engine, source.id, health);
            }
            let Some((number, _, feed)) = engine.feed(&source.service, &source.feed) else {
                tracing::error!(source = %source.id, service = source.service, feed = source.feed,
                    "this program has no such feed; its AREAs do not fire");
                continue;
            };
            match feed.kind {
                FeedKind::Polled { cadence: Cadence::Interval, .. } => {
                    let at = match joining.contains(&source.id) {
                        true => now,
                        false => next_due(hash(source.id), source.every_us, now),
                    };
                    due.put(source.id, source.every_us, source.part, number, Some(at));
                }
                FeedKind::Polled { cadence: Cadence::At(_), .. } => timers.push(source.id),
                FeedKind::Hook { .. } | FeedKind::Native => {}
            }
        }
    }
    for chunk in timers.chunks(TIMERS) {
        for row in work::sources(&engine.db, chunk).await? {
            let Some((number, ..)) = engine.feed(&row.service, &row.feed) else { continue };
            let at = instant_of(engine, &row, row.cursor.as_deref(), now);
            engine.due().put(row.id, 0, row.part, number, at);
        }
    }
    Ok(())
}

/// When a feed that names its own instants is due.
pub fn instant_of(engine: &Engine, row: &work::SourceRow, cursor: Option<&str>, now: Micros) -> Option<Micros> {
    let (_, _, feed) = engine.feed(&row.service, &row.feed)?;
    let FeedKind::Polled { cadence: Cadence::At(at), .. } = feed.kind else { return None };
    let params = engine.plans.feed_params(row).ok()?;
    let cursor: Option<Value> = cursor.and_then(|c| serde_json::from_str(c).ok());
    at(&params, cursor.as_ref(), crate::clock::from_micros(now)).map(|at| at.timestamp_micros())
}

/// The stable number that a source's phase follows from.
pub fn hash(source: SourceId) -> u64 {
    // splitmix64's finaliser: neighbours in id end up far apart.
    let mut x = source.0.unsigned_abs();
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A source changed: who watches it, or how often.
pub async fn refresh(engine: &Arc<Engine>, source: SourceId) {
    let rows = match work::sources(&engine.db, &[source]).await {
        Ok(rows) => rows,
        Err(error) => {
            tracing::warn!(%error, %source, "cannot read a source that changed; the slow scan will find it");
            return;
        }
    };
    let Some(row) = rows.into_iter().next() else {
        engine.due().remove(source);
        return;
    };
    if !engine.leases.holds(row.part) {
        engine.due().remove(source);
        return;
    }
    let Some(every) = row.every_us else {
        engine.due().remove(source);
        lock(&engine.dirty).remove(&source);
        super::stand::forget(engine, source);
        return;
    };
    let Some((number, _, feed)) = engine.feed(&row.service, &row.feed) else { return };
    let joining = engine.plans.is_joining(source).await;
    if joining {
        lock(&engine.joining).insert(source);
    }
    let now = engine.clock.micros();
    match feed.kind {
        FeedKind::Polled { cadence: Cadence::Interval, .. } => {
            let at = if joining { now } else { next_due(hash(source), every, now) };
            engine.due().put(source, every, row.part, number, Some(at));
        }
        FeedKind::Polled { cadence: Cadence::At(_), .. } => {
            let at = if joining { Some(now) } else { instant_of(engine, &row, row.cursor.as_deref(), now) };
            engine.due().put(source, 0, row.part, number, at);
        }
        FeedKind::Hook { .. } | FeedKind::Native => {}
    }
    engine.due_changed.notify_one();
    crate::catch_up::run(engine, source, row.part).await;
}

/// Wakes may have been missed: everything that is ours is read again.
pub async fn look_again(engine: &Arc<Engine>) {
    let parts = engine.leases.held();
    engine.plans.forget_all();
    take(engine, &parts).await;
}

/// Forgets partitions that are another node's now: what it does with them must not meet what we remember.
pub fn drop_parts(engine: &Engine, parts: &[i64]) {
    let sources = engine.due().remove_parts(parts);
    for source in sources {
        lock(&engine.dirty).remove(&source);
        super::stand::forget(engine, source);
        lock(&engine.joining).remove(&source);
    }
    let runs = lock(&engine.queue).remove_parts(parts);
    let mut fresh = lock(&engine.fresh);
    let mut recorded = lock(&engine.recorded);
    runs.iter().for_each(|run| drop((fresh.remove(run), recorded.remove(run))));
}

/// Lets another node have partitions: nothing new starts, what is in flight gets a moment, cursors are written.
pub async fn hand_over(engine: &Arc<Engine>, parts: &[i64]) {
    engine.write_cursors(parts).await;
    drop_parts(engine, parts);
    let deadline = tokio::time::Instant::now() + HAND_OVER;
    while parts.iter().any(|p| lock(&engine.queue).heads_of_part(*p) > 0) {
        if tokio::time::Instant::now() > deadline {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if let Err(error) = engine.leases.release(parts).await {
        tracing::warn!(%error, "cannot hand partitions over; trying again");
    }
    // What a wake or a hook brought meanwhile.
    let gone: Vec<i64> = parts.iter().copied().filter(|part| !engine.leases.holds(*part)).collect();
    drop_parts(engine, &gone);
}

impl Engine {
    /// Writes the cursors that moved without items, of these partitions.
    pub(super) async fn write_cursors(&self, parts: &[i64]) {
        let moved: Vec<(SourceId, (i64, Value))> = {
            let dirty = lock(&self.dirty);
            dirty.iter().map(|(source, moved)| (*source, moved.clone())).collect()
        };
        let ids: Vec<SourceId> = moved.iter().map(|(source, _)| *source).collect();
        let mut of: std::collections::HashMap<SourceId, i64> = std::collections::HashMap::new();
        for chunk in ids.chunks(TIMERS) {
            match work::sources(&self.db, chunk).await {
                Ok(rows) => of.extend(rows.into_iter().map(|row| (row.id, row.part))),
                Err(error) => return tracing::warn!(%error, "cannot write cursors; the polls will be repeated"),
            }
        }
        for (source, (from, cursor)) in moved {
            let Some(part) = of.get(&source).filter(|part| parts.contains(part)) else { continue };
            let Some(proof) = self.leases.proof(*part) else { continue };
            let cursor = Some(CursorMove { source, from, to: Some(cursor.to_string()) });
            let done = self.ledger.commit(Unit { proof: Some(proof), cursor, ..Unit::default() }).await;
            if let Err(refused) = done {
                tracing::debug!(%refused, %source, "a cursor was not written; its poll will be repeated");
            }
            lock(&self.dirty).remove(&source);
        }
    }
}
