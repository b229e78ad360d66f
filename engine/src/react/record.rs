//! What a run's progress means for the ledger, the queue, its AREA and whoever listens.

use serde_json::Value;

use super::go::Going;
use crate::area::plan::Step;
use crate::area::schema;
use crate::clock::{Micros, from_micros};
use crate::ids::EventId;
use crate::intake::clean;
use crate::ledger::{Refused, RunState, RunUpdate, Unit};
use crate::limits::Limits;
use crate::native::Happening;
use crate::node::{Note, lock};
use crate::text::cut;

/// What follows when a run has gone as far as it goes.
pub(super) enum After {
    /// It waits until then, and why.
    Wait(Micros, Option<String>),
    /// It is over.
    Over(RunState, Option<String>),
    /// Its user or a newer run ended it: what is recorded stands.
    Ended,
    /// What was done could not be recorded.
    Refused(Refused),
}

impl Going<'_> {
    /// Records what was done so far, before anything more is done.
    pub(super) async fn checkpoint(&mut self) -> Result<(), Refused> {
        let update = self.update(RunState::Ready, None, self.born, None);
        self.commit(Unit { updates: vec![update], ..Unit::default() }).await
    }

    fn update(&self, state: RunState, reason: Option<String>, due_at: Micros, ended_at: Option<Micros>) -> RunUpdate {
        let reason = reason.map(|why| clean(&cut(&why, 500)));
        RunUpdate { id: self.row.id, state, reason, due_at, ended_at, detail: self.detail.text() }
    }

    async fn commit(&self, unit: Unit) -> Result<(), Refused> {
        self.engine.ledger.commit_surely(Unit { proof: Some(self.proof), ..unit }).await?;
        crate::crash::point("react.recorded");
        Ok(())
    }

    /// The run can go no further here. What the database refuses as such would be refused again: the run has failed.
    async fn refused(&self, refused: Refused) {
        let Refused::Broken(why) = refused else { return self.engine.run_let_go(self.head) };
        tracing::error!(why, run = %self.row.id, "a run's progress was not recorded");
        let now = self.engine.clock.micros();
        let reason = Some(format!("the database refused what is recorded of it: {}", cut(&why, 300)));
        let update = RunUpdate { detail: None, ..self.update(RunState::Failed, reason, now, Some(now)) };
        match self.commit(Unit { updates: vec![update], ..Unit::default() }).await {
            Ok(()) => self.engine.run_ended(self.head.run),
            Err(_) => self.engine.run_let_go(self.head),
        }
    }
}

/// Records how far the run came, lets the next one go, and tells.
pub(super) async fn finish(going: Going<'_>, after: After) {
    let (engine, head) = (going.engine, going.head);
    let now = engine.clock.micros();
    match after {
        After::Ended => engine.run_ended(head.run),
        After::Refused(refused) => going.refused(refused).await,
        After::Wait(until, why) => {
            let update = going.update(RunState::Waiting, why.clone(), until, None);
            match going.commit(Unit { updates: vec![update], ..Unit::default() }).await {
                Ok(()) => {
                    engine.run_recorded(head.run, going.proof.epoch);
                    // The clock may have been set back since it was decided.
                    let gone_back = now - engine.clock.micros();
                    engine.run_again(head.run, if gone_back > 0 { until - gone_back } else { until });
                    told(&going, RunState::Waiting, why);
                }
                Err(refused) => going.refused(refused).await,
            }
        }
        After::Over(state, why) => {
            let update = going.update(state, why.clone(), now, Some(now));
            let mut unit = Unit { updates: vec![update], ..Unit::default() };
            let happenings = count(&going, state, why.as_deref(), now, &mut unit);
            for (_, _, mark) in &mut unit.faulted {
                *mark = crate::catch_up::mark(engine, going.plan.source_id, *mark).await;
            }
            crate::native::append(engine, going.plan.user, happenings, going.row.depth.unwrap_or(0), &mut unit).await;
            let woken: Vec<i64> = unit.events.iter().filter_map(|e| e.undecided).collect();
            let faulted = !unit.faulted.is_empty();
            match going.commit(unit).await {
                Ok(()) => {
                    told(&going, state, why);
                    if faulted {
                        engine.plans.forget(going.plan.source_id);
                    }
                    engine.run_ended(head.run);
                }
                Err(refused) => going.refused(refused).await,
            }
            for part in woken {
                engine.wake(crate::node::Wake::Undecided { part }).await;
            }
        }
    }
}

fn told(going: &Going<'_>, state: RunState, reason: Option<String>) {
    metrics::counter!("area_runs_total", "state" => state.as_str()).increment(1);
    let engine = going.engine;
    engine.tell(|| Note {
        user: going.plan.user,
        area: going.plan.id,
        area_name: going.plan.name.clone(),
        run: going.row.id,
        state: state.as_str(),
        reason,
        at: engine.clock.now(),
    });
}

/// Counts failures in a row; pauses the AREA after a named number or time of them. What its owner's AREAs may react to.
fn count(going: &Going<'_>, state: RunState, why: Option<&str>, now: Micros, unit: &mut Unit) -> Vec<Happening> {
    let (engine, plan) = (going.engine, going.plan);
    let area = going.row.area_no;
    let mut failing = lock(&engine.failing);
    if state == RunState::Done {
        if failing.remove(&area).is_some() {
            unit.failures.push((area, 0, None));
        }
        return Vec::new();
    }
    if !matches!(state, RunState::Failed | RunState::Uncertain) {
        return Vec::new();
    }
    let (times, since) = failing.get(&area).copied().unwrap_or((0, None));
    let (times, since) = (times + 1, since.unwrap_or(now));
    failing.insert(area, (times, Some(since)));
    unit.failures.push((area, times, Some(since)));
    let why = why.unwrap_or("a run failed");
    let mut happenings = vec![Happening {
        kind: "run_failed",
        area: plan.id,
        name: plan.name.clone(),
        reason: why.to_owned(),
        run: Some(going.row.id),
    }];
    let limits = &engine.limits;
    let lasts = now - since >= i64::try_from(limits.failing_for.as_micros()).unwrap_or(i64::MAX);
    if times >= i64::from(limits.failed_runs) || lasts {
        let reason =
            format!("{times} runs in a row failed since {}; the last: {why}", from_micros(since).format("%F %T UTC"));
        tracing::warn!(area = %plan.id, reason, "an AREA pauses by a fault");
        unit.faulted.push((area, reason.clone(), EventId(going.row.event_id.0)));
        failing.remove(&area);
        happenings.push(Happening { kind: "paused", area: plan.id, name: plan.name.clone(), reason, run: None });
    }
    happenings
}

/// What was handed to a reaction, as it may be shown: secrets redacted, long texts cut.
pub fn shown(step: &Step, params: Value, limits: &Limits) -> Value {
    let mut shown = params;
    if let Ok(schema) = schema::of_reaction(step.reaction) {
        for place in schema.marked(crate::area::check::SECRET, &shown) {
            if let Some(value) = shown.pointer_mut(&place) {
                *value = serde_json::json!({ "$secret": true });
            }
        }
    }
    shorten(&mut shown, limits.shown_chars);
    shown
}

fn shorten(value: &mut Value, most: usize) {
    match value {
        Value::String(text) if text.len() > most => *text = cut(text, most),
        Value::Array(items) => items.iter_mut().for_each(|item| shorten(item, most)),
        Value::Object(members) => members.values_mut().for_each(|member| shorten(member, most)),
        _ => {}
    }
}

/// A number in 0..1 that follows from run and attempt: spread without chance, so that a simulation repeats.
pub(super) fn jitter(run: i64, number: u32) -> f64 {
    let mixed = (run.unsigned_abs() ^ (u64::from(number) << 48)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}
