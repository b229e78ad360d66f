//! What would fire: a dry run polls for real and reacts to nothing; a backtest puts the stored events of a source through an edited
//! AREA and compares with what really fired. Nothing is written.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::area::plan::{Plan, Step};
use crate::clock::{Clock, Micros};
use crate::fault::Fault;
use crate::history;
use crate::ids::{EventId, UserId, born_at};
use crate::limits::Limits;
use crate::net::Http;
use crate::node::Engine;
use crate::policy::{self, Birth, PolicyState};
use crate::port::{Auth, FeedKind, PollCx, Verdict};
use crate::react::{self, shown};
use crate::store::areas::AreaRow;
use crate::template::Scope;
use crate::vault::Vault;

/// Events that a backtest looks at when it is not told how many.
pub const BACKTEST_EVENTS: i64 = 500;
/// Events that a backtest looks at at most.
pub const BACKTEST_EVENTS_MOST: i64 = 10_000;

/// What a dry run found.
#[derive(Debug, Serialize)]
pub struct DryRun {
    /// What the provider answered.
    pub answer: String,
    /// There is more behind the first page.
    pub more: bool,
    /// The items of the first page, oldest first.
    pub items: Vec<Rehearsed>,
}

/// What would become of one item.
#[derive(Debug, Serialize)]
pub struct Rehearsed {
    /// Its key.
    pub key: String,
    /// The event as templates see it.
    pub event: Value,
    /// Whether a run would be born.
    pub fires: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The values that the condition looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<(String, Value)>,
    /// What each step would be handed, as far as it can be known without the steps before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<RehearsedStep>,
}

/// What a step would be handed.
#[derive(Debug, Serialize)]
pub struct RehearsedStep {
    /// Its id.
    pub id: String,
    /// Its service and reaction: `http.request`.
    pub reaction: String,
    /// The rendered params, secrets redacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
    /// Why they cannot be known now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Polls what `plan` watches, as a first poll would, and says what would fire for each item.
pub async fn dry_run(plan: &Plan, vault: &Vault, http: &Http, clock: &Clock, limits: &Limits) -> Result<DryRun, Fault> {
    let watch = plan.source();
    let FeedKind::Polled { poll, .. } = watch.feed.kind else {
        return Err(Fault::rejected(
            "this action is not polled: its events come by themselves; try `test` with a sample",
        ));
    };
    let now = clock.now();
    let auth = plan.account.map(|account| vault.auth(plan.user, account, plan.service.provider));
    let auth = auth.as_ref().map(|auth| auth as &dyn Auth);
    let cx = PollCx { params: &watch.params, cursor: None, since: None, auth, http, now, wants: None };
    let page = match tokio::time::timeout(limits.poll_timeout, poll(cx)).await {
        Ok(page) => page?,
        Err(_) => return Err(Fault::later(format!("no answer within {} s", limits.poll_timeout.as_secs()))),
    };
    let items = page.items.iter().map(|item| rehearse(plan, &item.key, &item.body, clock.micros(), limits));
    Ok(DryRun { answer: page.answer, more: page.more, items: items.collect() })
}

/// What would become of the sample event of the action's spec: for actions whose events come by themselves, and for polls that
/// brought none.
pub fn on_sample(plan: &Plan, clock: &Clock, limits: &Limits) -> Rehearsed {
    let event = serde_json::from_str(plan.action.sample_event).unwrap_or_default();
    rehearse(plan, "sample", &event, clock.micros(), limits)
}

fn rehearse(plan: &Plan, key: &str, event: &Value, now: Micros, limits: &Limits) -> Rehearsed {
    let judged = judge(plan, event, now);
    let fires = judged.why.is_none();
    let steps = if fires { rehearse_steps(plan, event, now, limits) } else { vec![] };
    Rehearsed {
        key: key.to_owned(),
        event: plan.seen(event).into_owned(),
        fires,
        why: judged.why,
        values: judged.values,
        steps,
    }
}

/// What the steps would be handed of this event, alone; a digest hands them a list.
fn rehearse_steps(plan: &Plan, event: &Value, at: Micros, limits: &Limits) -> Vec<RehearsedStep> {
    let scope = match plan.policy.digest {
        None => plan.scope(event, at),
        Some(_) => plan.scope(&react::digest(vec![event.clone()]), at),
    };
    plan.steps.iter().map(|step| rehearse_step(step, &scope, limits)).collect()
}

fn rehearse_step(step: &Step, scope: &Scope, limits: &Limits) -> RehearsedStep {
    let reaction = format!("{}.{}", step.service.name, step.reaction.name);
    let id = step.id.clone();
    match step.data.render(scope) {
        Ok(params) => RehearsedStep { id, reaction, params: Some(shown(step, params, limits)), why: None },
        Err(wrong) => {
            let why: Vec<String> = wrong.iter().map(|w| format!("{}: {}", w.pointer, w.detail)).collect();
            RehearsedStep { id, reaction, params: None, why: Some(why.join("; ")) }
        }
    }
}

/// Selection and condition.
struct Judged {
    why: Option<String>,
    values: Vec<(String, Value)>,
}

fn judge(plan: &Plan, event: &Value, at: Micros) -> Judged {
    if let Verdict::Leave(why) = (plan.action.select)(&plan.data, event, None) {
        return Judged { why: Some(why), values: vec![] };
    }
    let Some(when) = &plan.when else { return Judged { why: None, values: vec![] } };
    match when.judge(&plan.scope(event, at)) {
        Ok(judged) if judged.holds => Judged { why: None, values: judged.values },
        Ok(judged) => Judged { why: Some(format!("`{}` does not hold", when.source())), values: judged.values },
        Err(why) => Judged { why: Some(format!("`{}` cannot be judged: {why}", when.source())), values: vec![] },
    }
}

/// What a backtest found.
#[derive(Debug, Serialize)]
pub struct Backtest {
    /// Events looked at.
    pub events: usize,
    /// Events that would fire with the edit.
    pub would_fire: usize,
    /// Events that really fired.
    pub fired: usize,
    /// Where the two differ, the newest first.
    pub differences: Vec<Difference>,
}

/// An event that the edit treats otherwise.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// The event.
    pub event: EventId,
    /// Its key.
    pub key: String,
    /// What really became of it: `done`, `failed`, `held` …, or `none`.
    pub was: String,
    /// What would become of it: `fires`, `held`, `dropped`, `filtered`.
    pub would_be: &'static str,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The values that the condition looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<(String, Value)>,
    /// What each step would be handed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<RehearsedStep>,
}

/// Puts the last `most` stored events of the AREA's source through `plan`, its edited self, in the order in which they came.
/// Policies begin without memory; the clock is each event's own time.
pub async fn backtest(
    engine: &Arc<Engine>,
    user: UserId,
    row: &AreaRow,
    plan: &Plan,
    most: i64,
) -> sqlx::Result<Backtest> {
    let most = most.clamp(1, BACKTEST_EVENTS_MOST);
    let mut events = history::events_of(&engine.db, user, row.source_id, None, most).await?;
    events.retain(|event| event.only_area.is_none_or(|only| only == row.no));
    events.reverse();
    let really = history::states_of(&engine.db, user, row.no, events.first().map_or(EventId(0), |e| e.id)).await?;
    let really: HashMap<EventId, String> = really.into_iter().collect();
    let mut memory = PolicyState::default();
    let mut found = Backtest { events: events.len(), would_fire: 0, fired: 0, differences: vec![] };
    for event in &events {
        let body: Value = serde_json::from_str(&event.body).unwrap_or_default();
        let at = born_at(event.id.0);
        let judged = judge(plan, &body, at);
        let (would_be, why) = match &judged.why {
            Some(why) => ("filtered", Some(why.clone())),
            None => by_policy(plan, &mut memory, event.id, at),
        };
        let was = really.get(&event.id).cloned().unwrap_or_else(|| "none".to_owned());
        let (fires, fired) = (matches!(would_be, "fires" | "held"), !matches!(was.as_str(), "none" | "dropped"));
        found.would_fire += usize::from(fires);
        found.fired += usize::from(fired);
        if fires != fired {
            let steps = if fires { rehearse_steps(plan, &body, at, &engine.limits) } else { vec![] };
            let (event, key) = (event.id, event.key.clone());
            found.differences.push(Difference { event, key, was, would_be, why, values: judged.values, steps });
        }
    }
    found.differences.reverse();
    Ok(found)
}

fn by_policy(plan: &Plan, memory: &mut PolicyState, event: EventId, at: Micros) -> (&'static str, Option<String>) {
    let arrival = policy::Arrival { event: event.0, now: at, going: false };
    match policy::decide(&plan.policy, memory, arrival).last() {
        Some(Birth::Hold { reason, .. }) => ("held", Some(reason.as_str().to_owned())),
        Some(Birth::Drop { reason, .. }) => ("dropped", Some(reason.as_str().to_owned())),
        Some(Birth::Collect { .. }) => ("held", Some(policy::Reason::Digest.as_str().to_owned())),
        _ => ("fires", None),
    }
}
