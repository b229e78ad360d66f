//! A run goes on: its steps in order, each rendered, checked, called, recorded. What succeeded is never repeated; a run that waits
//! holds no task.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::time::Instant;

use super::detail::{Attempt, Detail, StepState};
use super::queue::Head;
use super::record::{self, After};
use crate::area::document::OnError;
use crate::area::plan::{Plan, Step};
use crate::clock::{Micros, from_micros};
use crate::fault::Fault;
use crate::ids::born_at;
use crate::ledger::{Proof, Refused, RunState, RunUpdate, Unit};
use crate::node::{Engine, lock};
use crate::outcome::{self, Next};
use crate::policy::Delivery;
use crate::port::{Auth, Invalid, ReactCx, Reacted};
use crate::store::work::RunRow;
use crate::template::Scope;

/// One run on its way.
pub(super) struct Going<'a> {
    pub engine: &'a Arc<Engine>,
    pub head: Head,
    pub row: &'a RunRow,
    pub plan: &'a Plan,
    pub detail: Detail,
    /// That the partition was ours when it began: what it records rests on this, whatever was gained since.
    pub proof: Proof,
    pub born: Micros,
    pub scope: Scope,
    /// What `detail` does not tell was not done.
    pub known: bool,
}

/// How a step ended for now.
enum Stepped {
    /// The next one may begin.
    On,
    /// The run waits.
    Wait(Micros, Option<String>),
    /// The run is over.
    Over(RunState, String),
    /// What was done could not be recorded: nothing more is done.
    Refused(Refused),
}

/// Takes the run as far as it goes.
pub async fn go(engine: &Arc<Engine>, head: Head, row: Arc<RunRow>) {
    let Some(proof) = engine.leases.proof(head.part) else { return engine.run_let_go(head) };
    if proof.epoch != head.epoch {
        // Lost and gained again since it was read: another node may have worked it.
        engine.run_ended(head.run);
        return super::take_in(engine, head.part, head.run).await;
    }
    let plan = match engine.plans.pinned(row.area_no, row.revision).await {
        Ok(Some(plan)) => plan,
        Ok(None) => return engine.end_run(head, RunState::Cancelled, "the AREA or its revision is gone").await,
        Err(_) => return engine.run_let_go(head),
    };
    // A run that was just born, that a policy held, or whose wait was recorded here has made no call that is not recorded.
    let known = row.event.is_some()
        || row.state == RunState::Held.as_str()
        || lock(&engine.recorded).remove(&head.run) == Some(proof.epoch);
    let row = match let_go(engine, head, row, proof).await {
        Ok(Some(row)) => row,
        Ok(None) => return engine.run_ended(head.run),
        Err(_) => return engine.run_let_go(head),
    };
    let detail = Detail::parse(row.detail.as_deref());
    let event = match event_of(engine, &row, &detail).await {
        Ok(Some(event)) => event,
        Ok(None) => return engine.end_run(head, RunState::Failed, "the event is no longer kept").await,
        Err(_) => return engine.run_let_go(head),
    };
    let born = if crate::crash::without("run.birth") { engine.clock.micros() } else { born_at(row.id.0) };
    let scope = plan.scope(&event, born);
    let mut going = Going { engine, head, row: &row, plan: &plan, detail, proof, born, scope, known };
    let Some(ended) = lock(&engine.going).get(&head.run).cloned() else { return };
    let after = tokio::select! {
        biased;
        // Its user or a newer run ended it: what is recorded stands.
        () = ended.cancelled() => After::Ended,
        after = going.steps() => after,
    };
    record::finish(going, after).await;
}

/// A run that a policy held begins: that is recorded before anything is done, so that from here on no event joins or replaces it;
/// what joined until then is read again. `None`: it has ended.
async fn let_go(engine: &Engine, head: Head, row: Arc<RunRow>, proof: Proof) -> Result<Option<Arc<RunRow>>, Refused> {
    if row.state != RunState::Held.as_str() {
        return Ok(Some(row));
    }
    let (id, state, due_at) = (row.id, RunState::Ready, engine.clock.micros());
    let update = RunUpdate { id, state, reason: None, due_at, ended_at: None, detail: None };
    let mut updates = if head.restarts { engine.replaced_by(head) } else { Vec::new() };
    let older: Vec<crate::ids::RunId> = updates.iter().map(|update| update.id).collect();
    updates.push(update);
    engine.ledger.commit(Unit { proof: Some(proof), updates, ..Unit::default() }).await?;
    older.into_iter().for_each(|run| engine.run_superseded(run));
    let rows = crate::store::work::runs(&engine.db, &[head.run]).await.map_err(|_| Refused::Away)?;
    Ok(rows.into_iter().next().map(Arc::new))
}

/// The event's body; of a digest, all its events in a list.
async fn event_of(engine: &Engine, row: &RunRow, detail: &Detail) -> sqlx::Result<Option<Arc<Value>>> {
    if detail.events.is_empty() {
        let read = || row.body.as_deref().and_then(|body| serde_json::from_str(body).ok().map(Arc::new));
        return Ok(row.event.clone().or_else(read));
    }
    let bodies = crate::store::work::bodies(&engine.db, &detail.events).await?;
    let events: Vec<Value> = bodies.iter().filter_map(|(_, body)| serde_json::from_str(body).ok()).collect();
    Ok(Some(Arc::new(digest(events))))
}

/// A digest as templates see it.
pub fn digest(events: Vec<Value>) -> Value {
    serde_json::json!({ "count": events.len(), "events": events })
}

impl Going<'_> {
    async fn steps(&mut self) -> After {
        let plan = self.plan;
        for (number, step) in plan.steps.iter().enumerate() {
            let last = number + 1 == plan.steps.len();
            let state = self.detail.step(&step.id).state;
            if matches!(state, StepState::Open) {
                match self.step(step).await {
                    Stepped::On => {}
                    Stepped::Wait(until, why) => return After::Wait(until, why),
                    Stepped::Over(state, why) => return After::Over(state, Some(why)),
                    Stepped::Refused(refused) => return After::Refused(refused),
                }
                let effect = !matches!(self.detail.step(&step.id).state, StepState::Skipped);
                if !last
                    && effect
                    && let Err(refused) = self.checkpoint().await
                {
                    return After::Refused(refused);
                }
            }
            // Nobody comes who could ask for what the last one gave.
            if !last {
                let output = self.detail.step(&step.id).output.clone();
                self.scope.add_step(&step.id, &output);
            }
        }
        After::Over(RunState::Done, None)
    }

    async fn step(&mut self, step: &Step) -> Stepped {
        if let Some(when) = &step.when {
            match when.judge(&self.scope) {
                Ok(judged) if judged.holds => {}
                Ok(_) => {
                    self.detail.step(&step.id).state = StepState::Skipped;
                    return Stepped::On;
                }
                Err(why) => return self.failed(step, None, why),
            }
        }
        match &step.for_each {
            None => self.item(step, None).await,
            Some(list) => match list.list(&self.scope, self.engine.limits.for_each) {
                Ok(items) => self.each(step, &items).await,
                Err(why) => self.failed(step, None, why),
            },
        }
    }

    async fn each(&mut self, step: &Step, items: &[Value]) -> Stepped {
        let record = self.detail.step(&step.id);
        record.of = Some(items.len());
        let done = record.output.as_array().map_or(0, Vec::len);
        if record.output.is_null() {
            record.output = Value::Array(Vec::new());
        }
        for (index, item) in items.iter().enumerate().skip(done) {
            match self.item(step, Some((index, item))).await {
                Stepped::On => {}
                other => return other,
            }
            if index + 1 < items.len()
                && let Err(refused) = self.checkpoint().await
            {
                return Stepped::Refused(refused);
            }
        }
        let record = self.detail.step(&step.id);
        let worked = items.is_empty() || (0..items.len()).any(|index| record.worked(index));
        record.state = if worked { StepState::Done } else { StepState::Failed };
        Stepped::On
    }

    /// One call: of the step, or of one item of its list.
    async fn item(&mut self, step: &Step, item: Option<(usize, &Value)>) -> Stepped {
        let index = item.map(|(index, _)| index);
        let once = self.plan.policy.delivery == Delivery::AtMostOnce;
        let record = self.detail.step(&step.id);
        if once && record.attempts.iter().any(|a| a.index == index && a.only_started()) {
            record.state = StepState::Uncertain;
            return Stepped::Over(
                RunState::Uncertain,
                format!("step `{}` was started and its end is not known", step.id),
            );
        }
        let number = record.next_attempt(index);
        let params = match self.render(step, item) {
            Ok(params) => params,
            Err(why) => return self.failed(step, index, why),
        };
        let at = self.engine.clock.micros();
        if once {
            let sent = record::shown(step, params.clone(), &self.engine.limits);
            let started = Attempt { number, index, at, ms: None, sent, fault: None };
            self.detail.step(&step.id).attempts.push(started);
            if let Err(refused) = self.checkpoint().await {
                return Stepped::Refused(refused);
            }
        }
        // Past its own deadline, or on another's partition, a node calls nobody.
        if self.engine.leases.proof(self.head.part) != Some(self.proof) {
            return Stepped::Refused(Refused::Lost);
        }
        crate::crash::point("react.before_call");
        let began = Instant::now();
        let result = self.call(step, &params, index).await;
        crate::crash::point("react.after_call");
        if let (Err(Fault::Reconnect { why, .. }), Some(account)) = (&result, step.account) {
            self.engine.give_up(account, why).await;
        }
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let fault = result.as_ref().err().map(|fault| fault.why().to_owned());
        let held = match &result {
            Err(Fault::Held { until, why }) => self.held(step, *until, why),
            _ => None,
        };
        let sleeping = held.is_some() || matches!(result, Ok(Reacted::WakeAt(_)));
        let attempts = &mut self.detail.step(&step.id).attempts;
        attempts.retain(|a| !(a.index == index && a.only_started()));
        if !sleeping {
            let sent = record::shown(step, params, &self.engine.limits);
            attempts.push(Attempt { number, index, at, ms: Some(ms), sent, fault });
        }
        match held {
            Some(waits) => waits,
            None => self.outcome(step, index, number, result),
        }
    }

    /// Nothing was sent: it waits, and that was no attempt; `None` where it has waited too long.
    fn held(&self, step: &Step, until: DateTime<Utc>, why: &str) -> Option<Stepped> {
        let now = self.engine.clock.micros();
        let jitter = record::jitter(self.row.id.0, u32::try_from(now / 1_000_000 % 1_000_000).unwrap_or(0));
        let at = outcome::held(until.timestamp_micros(), self.born, now, jitter)?;
        Some(Stepped::Wait(at, Some(format!("step `{}`: {why}", step.id))))
    }

    fn outcome(&mut self, step: &Step, index: Option<usize>, number: u32, result: Result<Reacted, Fault>) -> Stepped {
        let output = match result {
            Ok(Reacted::Done(output)) => output,
            Ok(Reacted::WakeAt(at)) => {
                self.detail.step(&step.id).wake_at = Some(at.timestamp_micros());
                return Stepped::Wait(at.timestamp_micros(), Some(format!("step `{}` sleeps", step.id)));
            }
            Err(fault) => return self.fault(step, index, number, &fault),
        };
        let size = output.to_string().len();
        if size > self.engine.limits.output_bytes {
            let most = self.engine.limits.output_bytes;
            return self.failed(step, index, format!("its output has {size} bytes; the limit is {most}"));
        }
        let record = self.detail.step(&step.id);
        match (index, record.output.as_array_mut()) {
            (Some(_), Some(list)) => {
                list.push(output);
                // The next item sleeps for itself.
                record.wake_at = None;
            }
            _ => {
                record.output = output;
                record.state = StepState::Done;
            }
        }
        Stepped::On
    }

    fn fault(&mut self, step: &Step, index: Option<usize>, number: u32, fault: &Fault) -> Stepped {
        let policy = &self.plan.policy;
        let now = self.engine.clock.micros();
        let jitter = record::jitter(self.row.id.0, number);
        let next = outcome::decide(Err(fault), number, &policy.retry, policy.delivery, now, jitter);
        match next {
            Next::Done => Stepped::On,
            Next::RetryAt(at) => Stepped::Wait(at, Some(format!("step `{}`: {}", step.id, fault.why()))),
            Next::GiveUp { why } | Next::Reconnect { why, .. } => self.gave_up(step, index, why),
            Next::Uncertain { why } => {
                self.detail.step(&step.id).state = StepState::Uncertain;
                Stepped::Over(RunState::Uncertain, format!("step `{}`: {why}", step.id))
            }
        }
    }

    /// It failed before any call: recorded as an attempt, since its owner must see why.
    fn failed(&mut self, step: &Step, index: Option<usize>, why: String) -> Stepped {
        let at = self.engine.clock.micros();
        let record = self.detail.step(&step.id);
        let number = record.next_attempt(index);
        record.attempts.push(Attempt { number, index, at, ms: Some(0), sent: Value::Null, fault: Some(why.clone()) });
        self.gave_up(step, index, why)
    }

    /// Of a list, an item that failed gives nothing, and the next one is tried: what is done follows from how many outputs there are.
    fn gave_up(&mut self, step: &Step, index: Option<usize>, why: String) -> Stepped {
        let record = self.detail.step(&step.id);
        match (index, step.on_error, record.output.as_array_mut()) {
            (Some(_), OnError::Continue, Some(list)) => {
                list.push(Value::Null);
                record.wake_at = None;
                return Stepped::On;
            }
            _ => record.state = StepState::Failed,
        }
        match step.on_error {
            OnError::Continue => Stepped::On,
            OnError::Stop => Stepped::Over(RunState::Failed, format!("step `{}`: {why}", step.id)),
        }
    }

    fn render(&self, step: &Step, item: Option<(usize, &Value)>) -> Result<Value, String> {
        let params = match item {
            Some((index, item)) => step.data.render(&self.scope.with_item(item, index)),
            None => step.data.render(&self.scope),
        };
        let params = params.map_err(|wrong| told(&wrong))?;
        let errors: Vec<Invalid> = step
            .validator
            .iter_errors(&params)
            .map(|error| Invalid::new(error.instance_path().to_string(), error.masked().to_string()))
            .collect();
        if errors.is_empty() { Ok(params) } else { Err(told(&errors)) }
    }

    async fn call(&self, step: &Step, params: &Value, index: Option<usize>) -> Result<Reacted, Fault> {
        let key = match index {
            Some(index) => format!("area-{}-{}-{index}", self.row.id, step.id),
            None => format!("area-{}-{}", self.row.id, step.id),
        };
        let key = if crate::crash::without("run.key") { uuid::Uuid::new_v4().to_string() } else { key };
        let areas =
            crate::native::OwnAreas { engine: self.engine, user: self.plan.user, depth: self.row.depth.unwrap_or(0) };
        let auth = step.account.map(|account| self.engine.vault.auth(self.plan.user, account, step.service.provider));
        let cx = ReactCx {
            params,
            key: &key,
            auth: auth.as_ref().map(|auth| auth as &dyn Auth),
            http: &self.engine.http,
            born: from_micros(self.born),
            now: self.engine.clock.now(),
            repeated: !self.known
                || self.detail.steps.iter().any(|known| known.id == step.id && known.has_called(index)),
            slept_until: self.detail.steps.iter().find(|s| s.id == step.id).and_then(|s| s.wake_at).map(from_micros),
            areas: &areas,
        };
        let limit = self.engine.limits.react_timeout;
        match tokio::time::timeout(limit, (step.reaction.react)(cx)).await {
            Ok(result) => result,
            Err(_) => Err(Fault::maybe(format!("no answer within {} s", limit.as_secs()))),
        }
    }
}

fn told(wrong: &[Invalid]) -> String {
    let all: Vec<String> = wrong.iter().map(|w| format!("{}: {}", w.pointer, w.detail)).collect();
    all.join("; ")
}
