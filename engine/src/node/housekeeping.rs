//! What is done now and then: cursors that moved without items, the slow scan for lost wakes, silence, retention, memory of limiters.
//! Each in small steps, so that nothing else waits long.

use std::sync::Arc;
use std::time::Duration;

use sqlx::FromRow;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Engine, Wake, lock, pauses, take_over};
use crate::clock::Micros;
use crate::ids::{AreaId, AreaNo, RunId, SourceId, UserId, born_at};
use crate::ledger::Unit;
use crate::native::{self, Happening};
use crate::store::retention;
use crate::store::work;
use crate::{on, store::Db};

/// How often cursors that moved without items are written.
const CURSORS_EVERY: Duration = Duration::from_secs(3_600);
/// How often silence is looked for.
const SILENCE_EVERY: Duration = Duration::from_secs(15);
/// How often retention takes its next small steps.
const RETENTION_EVERY: Duration = Duration::from_secs(60);
/// AREAs that one look for silence takes.
const SILENT_PAGE: i64 = 500;

/// How far the look for forgotten runs has come.
pub(super) type Place = (i64, Micros, RunId);
/// Where it begins.
pub(super) const BEGINNING: Place = (-1, 0, RunId(0));

const SILENT: &str = "SELECT a.no, a.id, a.user_id, a.name, a.source_id, a.silent_at, s.part,
    (SELECT MAX(r.event_id) FROM runs r WHERE r.area_no = a.no) AS last
    FROM areas a JOIN sources s ON s.id = a.source_id
    WHERE a.silent_at IS NOT NULL AND a.silent_at <= $1 AND a.state = 'active' ORDER BY a.silent_at LIMIT $2";

#[derive(FromRow)]
struct Silent {
    no: AreaNo,
    id: AreaId,
    user_id: UserId,
    name: String,
    source_id: SourceId,
    silent_at: Micros,
    part: i64,
    last: Option<i64>,
}

/// The loop.
pub async fn keep_house(engine: Arc<Engine>) {
    let every = |period| {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    };
    let (mut cursors, mut scan) = (every(CURSORS_EVERY), every(engine.limits.scan));
    let (mut silence, mut retention) = (every(SILENCE_EVERY), every(RETENTION_EVERY));
    cursors.reset();
    retention.reset();
    let mut place = BEGINNING;
    loop {
        tokio::select! {
            _ = cursors.tick() => engine.write_cursors(&engine.leases.held()).await,
            _ = scan.tick() => {
                take_up_keys(&engine);
                slow_scan(&engine, &mut place).await;
            }
            _ = silence.tick() => raise_silence(&engine).await,
            _ = retention.tick() => purge(&engine).await,
            () = engine.stop.cancelled() => return,
        }
        metrics::gauge!("area_sources_scheduled").set(engine.due().len() as f64);
        metrics::gauge!("area_runs_open").set(lock(&engine.queue).len() as f64);
    }
}

/// Another process may have rotated the keys: the new one seals from now on.
fn take_up_keys(engine: &Engine) {
    if let Err(error) = engine.ring.reload() {
        tracing::warn!(%error, "the key file cannot be read again; the keys in memory are used on");
    }
}

/// Finds what a lost wake left behind: undecided events, baselines that are open, pauses, and from `place` on forgotten runs.
pub(super) async fn slow_scan(engine: &Arc<Engine>, place: &mut Place) {
    match work::undecided_parts(&engine.db).await {
        Ok(parts) => {
            for part in parts.into_iter().filter(|part| engine.leases.holds(*part)) {
                crate::hooks::decide_undecided(engine, part).await;
            }
        }
        Err(error) => tracing::warn!(%error, "the slow scan could not look for undecided events"),
    }
    match crate::plans::joining(&engine.db).await {
        Ok(sources) => {
            for (source, _) in sources.into_iter().filter(|(_, part)| engine.leases.holds(*part)) {
                // Also where one was known to join before: it may be another AREA, or the same that joins anew.
                engine.plans.forget(source);
                let is_due = engine.schedule_of(source).is_some_and(|(_, due)| due.is_some());
                let known = is_due && lock(&engine.joining).contains(&source);
                if !known {
                    take_over::refresh(engine, source).await;
                }
            }
        }
        Err(error) => tracing::warn!(%error, "the slow scan could not look for open baselines"),
    }
    match crate::plans::catching_up(&engine.db).await {
        Ok(sources) => take_over::catch_up(engine, sources).await,
        Err(error) => tracing::warn!(%error, "the slow scan could not look for who has to catch up"),
    }
    if !engine.db.is_alone() {
        pauses::learn(engine).await;
    }
    match crate::react::find_forgotten(engine, *place).await {
        Ok(next) => *place = next,
        Err(error) => tracing::warn!(%error, "the slow scan could not look for forgotten runs"),
    }
}

/// Raises `area.silent` for AREAs without an event for as long as their policy says; again after each further such time.
pub(crate) async fn raise_silence(engine: &Arc<Engine>) {
    let now = engine.clock.micros();
    let rows: sqlx::Result<Vec<Silent>> =
        on!(&engine.db, pool => sqlx::query_as(SILENT).bind(now).bind(SILENT_PAGE).fetch_all(pool).await);
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => return tracing::warn!(%error, "cannot look for silence"),
    };
    for area in rows {
        let Some(proof) = engine.leases.proof(area.part) else { continue };
        let Ok(watchers) = engine.plans.watchers(area.source_id).await else { continue };
        let Some(span) = watchers.all.iter().find(|w| w.plan.no == area.no).and_then(|w| w.plan.policy.silence) else {
            continue;
        };
        let span = span.micros();
        let last = area.last.map(born_at).unwrap_or(Micros::MIN);
        let mut unit = Unit { proof: Some(proof), ..Unit::default() };
        if last > area.silent_at - span {
            unit.silences.push((area.no, Some(last + span)));
        } else {
            unit.silences.push((area.no, Some(now + span)));
            let reason = format!("no event for {}", crate::text::span(span));
            let happening = Happening { kind: "silent", area: area.id, name: area.name, reason, run: None };
            native::append(engine, area.user_id, vec![happening], 0, &mut unit).await;
        }
        let parts: Vec<i64> = unit.events.iter().filter_map(|e| e.undecided).collect();
        if let Err(refused) = engine.ledger.commit(unit).await {
            tracing::debug!(%refused, area = %area.id, "silence was not recorded; it is looked at again");
        }
        for part in parts {
            engine.wake(Wake::Undecided { part }).await;
        }
    }
}

/// A few small steps of retention, by the node that owns the first partition.
pub(super) async fn purge(engine: &Arc<Engine>) {
    if engine.leases.proof(0).is_none() {
        return;
    }
    let started = Instant::now();
    let limits = &engine.limits;
    loop {
        match retention::step(&engine.db, engine.clock.micros(), limits).await {
            Ok(0) => return,
            Ok(rows) => metrics::counter!("area_retention_rows_total").increment(rows),
            Err(error) => return tracing::warn!(%error, "retention could not go on; it is tried again"),
        }
        if started.elapsed() > RETENTION_EVERY / 4 || engine.stop.is_cancelled() {
            return;
        }
        tokio::time::sleep(limits.retention_nap).await;
    }
}

impl Engine {
    /// Whether a run is open here; for tests and the page.
    pub fn is_open(&self, run: RunId) -> bool {
        lock(&self.queue).is_known(run)
    }

    /// Whether the database is embedded.
    pub fn is_embedded(&self) -> bool {
        matches!(self.db, Db::Sqlite { .. })
    }
}
