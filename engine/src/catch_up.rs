//! After a fault's pause: the events that came meanwhile are decided for the AREA now, within a bound; what lies beyond it is
//! skipped, and its owner is told how much. Whoever catches up has the source's turn and decides alone, to the end: until the AREA's
//! mark is gone, nobody else decides for it what is newer than the mark.

use std::collections::HashSet;
use std::sync::Arc;

use crate::ids::{AreaNo, EventId, SourceId};
use crate::intake::{self, Arrival, Scene};
use crate::ledger::{Proof, Refused, Unit};
use crate::node::Engine;
use crate::on;
use crate::plans::{Watcher, Watchers};
use crate::react::detail::Detail;
use crate::store::areas::AreaState;

/// Events that one page reads.
const PAGE: i64 = 200;
/// How often it begins again because something changed meanwhile.
const AGAIN: u32 = 8;
/// Digests that were begun before the mark and may have taken what came after it: the last one, since the next begins when it is
/// closed; a few more, since the clocks of nodes differ.
const DIGESTS: i64 = 8;
const SINCE: &str = "SELECT id, body, only_area FROM events e WHERE source_id = $1 AND id > $2 AND undecided IS NULL
    AND (only_area IS NULL OR only_area = $3)
    AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.area_no = $3 AND r.event_id = e.id AND r.replay = 0) ORDER BY id LIMIT $4";
/// By when the runs were begun, not by their first events: who catches up again and again takes old events into new digests. Written
/// so that the AREA's runs are sorted, and not everybody's walked.
const DIGESTS_BEFORE: &str = "SELECT detail FROM runs WHERE area_no = $1 AND id <= $2 AND detail IS NOT NULL
    ORDER BY id + 0 DESC LIMIT $3";
const DIGESTS_AFTER: &str = "SELECT detail FROM runs WHERE area_no = $1 AND id > $2 AND detail IS NOT NULL";
const UNDECIDED: &str = "SELECT MIN(id) FROM events WHERE source_id = $1 AND undecided IS NOT NULL";

/// Decides what came while AREAs on this source were paused by a fault.
pub async fn run(engine: &Arc<Engine>, source: SourceId, part: i64) {
    for _ in 0..AGAIN {
        match try_run(engine, source, part).await {
            Ok(()) => return,
            Err(refused) => {
                engine.plans.forget(source);
                if !matches!(refused, Refused::Stale(_)) {
                    return tracing::warn!(%refused, %source, "catching up was cut short; it goes on at the next look");
                }
            }
        }
    }
}

/// The mark of an AREA that a fault pauses now: from where on it will catch up. Not past `newest`, nor past what nobody has decided.
pub async fn mark(engine: &Engine, source: SourceId, newest: EventId) -> EventId {
    let oldest: sqlx::Result<(Option<i64>,)> =
        on!(&engine.db, pool => sqlx::query_as(UNDECIDED).bind(source).fetch_one(pool).await);
    match oldest {
        Ok((Some(oldest),)) => EventId(newest.0.min(oldest - 1)),
        _ => newest,
    }
}

async fn try_run(engine: &Arc<Engine>, source: SourceId, part: i64) -> Result<(), Refused> {
    let proof = engine.decides(part).ok_or(Refused::Lost)?;
    let (watchers, _turn) = engine.plans.decided_by(source, Some(proof)).await.map_err(away)?;
    for watcher in watchers.all.iter().filter(|w| w.state == AreaState::Active) {
        let Some(mark) = watcher.mark else { continue };
        catch_up(engine, &watchers, watcher, (source, proof), mark).await?;
        // Still in the turn: whoever is next knows that its mark is gone.
        engine.plans.forget(source);
    }
    Ok(())
}

async fn catch_up(
    engine: &Arc<Engine>,
    watchers: &Watchers,
    watcher: &Watcher,
    (source, proof): (SourceId, Proof),
    mut mark: EventId,
) -> Result<(), Refused> {
    let area = watcher.plan.no;
    let collected = collected(engine, watcher, mark).await.map_err(away)?;
    let mut left = engine.limits.catch_up;
    while left > 0 {
        let page = PAGE.min(left);
        let events: Vec<(EventId, String, Option<AreaNo>)> =
            on!(&engine.db, pool => sqlx::query_as(SINCE).bind(source).bind(mark).bind(area).bind(page).fetch_all(pool).await)
                .map_err(away)?;
        let Some((last, ..)) = events.last() else { break };
        (mark, left) = (*last, left - page);
        for (id, text, only) in events.iter().filter(|(id, ..)| !collected.contains(id)) {
            decide(engine, watchers, watcher, proof, (*id, text, only.is_some())).await?;
        }
    }
    if left <= 0 {
        let most = engine.limits.catch_up;
        tracing::warn!(area = %watcher.plan.id, most, "more came during the pause than is caught up on; the rest is skipped");
    }
    let standing = vec![(area, watcher.version)];
    engine.ledger.commit(Unit { proof: Some(proof), standing, marks: vec![(area, None)], ..Unit::default() }).await
}

async fn decide(
    engine: &Arc<Engine>,
    watchers: &Watchers,
    watcher: &Watcher,
    proof: Proof,
    (id, text, direct): (EventId, &str, bool),
) -> Result<(), Refused> {
    let area = watcher.plan.no;
    let body = Arc::new(serde_json::from_str(text).unwrap_or_default());
    let scene = Scene::new(proof, engine.clock.micros(), &engine.ids);
    let arrival = Arrival { only_area: Some(area), direct, late: true, ..Arrival::new(id, &body) };
    let mut births = intake::decide(watchers, &[arrival], &scene, &|area| engine.open_runs_of(area));
    let mut unit = Unit { proof: Some(proof), marks: vec![(area, Some(id))], ..births.unit() };
    unit.standing.push((area, watcher.version));
    engine.ledger.commit(unit).await?;
    engine.take_births(births);
    Ok(())
}

/// What the AREA's digests have taken since the mark: it needs no further decision.
async fn collected(engine: &Engine, watcher: &Watcher, mark: EventId) -> sqlx::Result<HashSet<EventId>> {
    let area = watcher.plan.no;
    let before: Vec<(String,)> = on!(&engine.db, pool => {
        sqlx::query_as(DIGESTS_BEFORE).bind(area).bind(mark).bind(DIGESTS).fetch_all(pool).await
    })?;
    let after: Vec<(String,)> =
        on!(&engine.db, pool => sqlx::query_as(DIGESTS_AFTER).bind(area).bind(mark).fetch_all(pool).await)?;
    Ok(before.into_iter().chain(after).flat_map(|(detail,)| Detail::parse(Some(&detail)).events).collect())
}

fn away(_: sqlx::Error) -> Refused {
    Refused::Away
}
