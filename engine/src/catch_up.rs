//! After a fault's pause: the events that came meanwhile are decided for the AREA now, within a bound; what lies beyond it is
//! skipped, and its owner is told how much.

use std::sync::Arc;

use crate::ids::{AreaNo, EventId, SourceId};
use crate::intake::{self, Arrival, Scene};
use crate::ledger::{Refused, Unit};
use crate::node::Engine;
use crate::on;
use crate::store::areas::AreaState;

const MARKED: &str = "SELECT mark FROM areas WHERE no = $1 AND mark IS NOT NULL AND state = 'active'";
const SINCE: &str = "SELECT id, body, only_area FROM events WHERE source_id = $1 AND id > $2 AND undecided IS NULL
    AND (only_area IS NULL OR only_area = $3) ORDER BY id LIMIT $4";

/// Decides what came while AREAs on this source were paused by a fault.
pub async fn run(engine: &Arc<Engine>, source: SourceId, part: i64) {
    if let Err(refused) = try_run(engine, source, part).await {
        tracing::warn!(%refused, %source, "catching up was cut short; it goes on at the next look");
    }
}

async fn try_run(engine: &Arc<Engine>, source: SourceId, part: i64) -> Result<(), Refused> {
    let watchers = engine.plans.watchers(source).await.map_err(|_| Refused::Away)?;
    for watcher in watchers.all.iter().filter(|w| w.state == AreaState::Active) {
        let area = watcher.plan.no;
        let mark: Option<(EventId,)> =
            on!(&engine.db, pool => sqlx::query_as(MARKED).bind(area).fetch_optional(pool).await)
                .map_err(|_| Refused::Away)?;
        let Some((mark,)) = mark else { continue };
        let most = engine.limits.catch_up;
        let events: Vec<(EventId, String, Option<AreaNo>)> =
            on!(&engine.db, pool => sqlx::query_as(SINCE).bind(source).bind(mark).bind(area).bind(most + 1).fetch_all(pool).await)
                .map_err(|_| Refused::Away)?;
        if events.len() as i64 > most {
            tracing::warn!(area = %watcher.plan.id, most, "more came during the pause than is caught up on; the rest is skipped");
        }
        let bodies: Vec<(EventId, serde_json::Value, &str, bool)> = events
            .iter()
            .take(usize::try_from(most).unwrap_or(usize::MAX))
            .map(|(id, text, only)| {
                (*id, serde_json::from_str(text).unwrap_or_default(), text.as_str(), only.is_some())
            })
            .collect();
        for (id, body, text, direct) in &bodies {
            let _turn = watchers.turn.lock().await;
            let before = intake::remember(&watchers);
            let scene =
                Scene { part, now: engine.clock.micros(), baseline: false, ids: &engine.ids, fan_out: usize::MAX };
            let arrival = Arrival { only_area: Some(area), direct: *direct, ..Arrival::new(*id, body, text) };
            let mut births = intake::decide(&watchers, &[arrival], &scene, &|area| engine.open_runs_of(area));
            let proof = engine.leases.proof(part).ok_or(Refused::Lost)?;
            let unit = Unit { proof: Some(proof), marks: vec![(area, Some(*id))], ..births.unit() };
            if let Err(refused) = engine.ledger.commit(unit).await {
                intake::restore(&watchers, before);
                return Err(refused);
            }
            engine.take_births(births);
        }
        let proof = engine.leases.proof(part).ok_or(Refused::Lost)?;
        engine.ledger.commit(Unit { proof: Some(proof), marks: vec![(area, None)], ..Unit::default() }).await?;
    }
    Ok(())
}
