//! Decides which runs are born of which events. Pure: who watches, what arrived and the time go in; runs, their policies' new state
//! and the heads for the queue come out. Nothing here waits, reads or writes.

use std::sync::Arc;

use serde_json::Value;

use crate::clock::Micros;
use crate::ids::{AreaNo, EventId, IdGen, RunId};
use crate::ledger::{NewRun, Proof, RunState, RunUpdate, Unit};
use crate::node::lock;
use crate::plans::{Watcher, Watchers, has_memory};
use crate::policy::{self, Birth, Order};
use crate::port::{FeedKind, Verdict};
use crate::react::detail::Detail;
use crate::react::queue::Head;
use crate::store::areas::AreaState;
use crate::store::work::RunRow;

/// An event that is decided.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Its id.
    pub id: EventId,
    /// Its body, as it is stored.
    pub body: &'a Arc<Value>,
    /// When it happened, as its feed says.
    pub at: Option<Micros>,
    /// How many AREAs stand before it in the chain of causes.
    pub depth: i64,
    /// The last AREA that was decided already.
    pub mark: Option<AreaNo>,
    /// The AREA that it is decided for alone.
    pub only_area: Option<AreaNo>,
    /// It was made for that AREA and is no item of its feed: its selection is not asked.
    pub direct: bool,
    /// It came during a fault's pause, and is decided by whoever catches up.
    pub late: bool,
}

impl<'a> Arrival<'a> {
    /// An event for everybody who watches.
    pub fn new(id: EventId, body: &'a Arc<Value>) -> Self {
        Self { id, body, at: None, depth: 0, mark: None, only_area: None, direct: false, late: false }
    }
}

/// What is known beside watchers and events.
#[derive(Debug)]
pub struct Scene<'a> {
    /// That the source's partition is ours.
    pub proof: Proof,
    /// Now.
    pub now: Micros,
    /// What arrived was there before anybody watched.
    pub baseline: bool,
    /// What arrived was found by a search after the feed's cursor died, which may find what nobody ever read.
    pub searched: bool,
    /// Makes run ids.
    pub ids: &'a IdGen,
    /// Runs that may be born at once; the rest follows by a mark.
    pub fan_out: usize,
}

impl<'a> Scene<'a> {
    /// For what is new, however many runs are born of it.
    pub fn new(proof: Proof, now: Micros, ids: &'a IdGen) -> Self {
        Self { proof, now, baseline: false, searched: false, ids, fan_out: usize::MAX }
    }
}

/// What was decided.
#[derive(Debug, Default)]
pub struct Births {
    runs: Vec<NewRun>,
    updates: Vec<RunUpdate>,
    policies: Vec<(AreaNo, String)>,
    standing: Vec<(AreaNo, i64)>,
    held: Vec<RunId>,
    /// What the queue is told when all is committed.
    pub heads: Vec<Head>,
    /// What those heads need to go, so that it need not be read back.
    pub rows: Vec<RunRow>,
    /// Held runs that are due at another time now, with their partition.
    pub moved: Vec<(RunId, i64, Micros)>,
    /// Runs that a newer one ended.
    pub superseded: Vec<RunId>,
    /// The last AREA that was decided, when there were more births than may be committed at once.
    pub mark: Option<AreaNo>,
}

impl Births {
    /// Whether the queue has nothing to learn.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty() && self.moved.is_empty() && self.superseded.is_empty()
    }

    /// Moves what the ledger has to write into a unit.
    pub fn unit(&mut self) -> Unit {
        Unit {
            runs: std::mem::take(&mut self.runs),
            updates: std::mem::take(&mut self.updates),
            policies: std::mem::take(&mut self.policies),
            standing: std::mem::take(&mut self.standing),
            held: std::mem::take(&mut self.held),
            ..Unit::default()
        }
    }
}

/// Decides each arrival for each AREA on its source, in the order of arrival and then of the AREAs. `open` gives the open runs of an
/// AREA, the oldest first.
pub fn decide(
    watchers: &Watchers,
    arrivals: &[Arrival<'_>],
    scene: &Scene<'_>,
    open: &dyn Fn(AreaNo) -> Vec<RunId>,
) -> Births {
    let mut births = Births::default();
    let mut previous: Option<&Value> = None;
    for arrival in arrivals {
        for watcher in &watchers.all {
            if births.runs.len() >= scene.fan_out && arrivals.len() == 1 {
                births.mark = births.runs.last().map(|run| run.area);
                break;
            }
            if concerns(watcher, arrival, scene) {
                one(&mut births, watcher, arrival, previous, scene, open);
            }
        }
        previous = Some(arrival.body);
    }
    for watcher in watchers.all.iter().filter(|w| has_memory(&w.plan.policy)) {
        if births.standing.iter().any(|(area, _)| *area == watcher.plan.no) {
            let memory = serde_json::to_string(&*lock(&watcher.memory)).unwrap_or_default();
            births.policies.push((watcher.plan.no, memory));
        }
    }
    births
}

/// How long a baseline may take: what happens meanwhile may be in it or not.
const BASELINE: Micros = 5 * 60 * 1_000_000;

/// Whether what happened `at` that time was there before an AREA joined.
pub fn is_before(at: Option<Micros>, joined: Option<Micros>) -> bool {
    at.zip(joined).is_some_and(|(at, joined)| at < joined.saturating_sub(BASELINE))
}

/// Whether an AREA has to do with an arrival at all.
fn concerns(watcher: &Watcher, arrival: &Arrival<'_>, scene: &Scene<'_>) -> bool {
    let no = watcher.plan.no;
    let hook = matches!(watcher.plan.action.feed.kind, FeedKind::Hook { .. });
    // An event that is decided late may be older than who joined since.
    let since = |joined: Micros| joined / 1_000 <= crate::ids::born_at(arrival.id.0) / 1_000;
    let joined = watcher.joined_at.is_some_and(since) && !scene.baseline;
    let caught_up = arrival.late || watcher.mark.is_none_or(|mark| arrival.id <= mark);
    let is_old = scene.searched && !watcher.plan.backfill && is_before(arrival.at, watcher.joined_at);
    arrival.mark.is_none_or(|mark| no > mark)
        && !is_old
        && caught_up
        && arrival.only_area.is_none_or(|only| only == no)
        && (joined || arrival.direct || (arrival.late && watcher.backfills))
        && (watcher.state == AreaState::Active || (hook && watcher.state == AreaState::Paused))
}

fn one(
    births: &mut Births,
    watcher: &Watcher,
    arrival: &Arrival<'_>,
    previous: Option<&Value>,
    scene: &Scene<'_>,
    open: &dyn Fn(AreaNo) -> Vec<RunId>,
) {
    let plan = &watcher.plan;
    if !arrival.direct && (plan.action.select)(&plan.data, arrival.body, previous) != Verdict::Take {
        return;
    }
    let mut birth = Newborn { births, watcher, arrival, scene };
    if watcher.state == AreaState::Paused {
        return birth.dropped("paused by its user");
    }
    // Of events that were decided long ago, some lack what the AREA uses now: they are left out, and it is told.
    let unread = arrival.late.then(|| plan.unread(arrival.body)).flatten();
    match plan.when.as_ref().map(|when| when.judge(&plan.scope(arrival.body, scene.now))) {
        Some(Ok(judged)) if !judged.holds => return,
        Some(Err(_)) if unread.is_none() => return,
        _ => {}
    }
    if let Some(why) = unread {
        return birth.dropped(&why);
    }
    birth.by_policy(open);
}

/// A run that may be born.
struct Newborn<'a, 'b> {
    births: &'a mut Births,
    watcher: &'a Watcher,
    arrival: &'a Arrival<'b>,
    scene: &'a Scene<'a>,
}

impl Newborn<'_, '_> {
    fn by_policy(&mut self, open: &dyn Fn(AreaNo) -> Vec<RunId>) {
        let policy = &self.watcher.plan.policy;
        // Only these two ask whether a run goes: looking is not free.
        let asks = matches!(policy.order, Order::Single | Order::Restart);
        let goes = if asks { open(self.watcher.plan.no) } else { Vec::new() };
        let born = self.births.heads.iter().any(|head| head.area == self.watcher.plan.no);
        let arrival = policy::Arrival {
            event: self.arrival.id.0,
            now: self.scene.now,
            going: !goes.is_empty() || (asks && born),
        };
        let decided = policy::decide(policy, &mut lock(&self.watcher.memory).state, arrival);
        for birth in decided {
            match birth {
                Birth::Run { .. } => self.ready(),
                Birth::Hold { until, reason, .. } => self.held(until, reason.as_str()),
                Birth::Drop { reason, .. } => self.dropped(reason.as_str()),
                Birth::Collect { until, .. } => self.collected(until),
                Birth::Replace { .. } => self.replaced(),
                Birth::Restart => self.restarted(&goes),
            }
        }
    }

    fn ready(&mut self) {
        let detail = self.digest();
        let run = self.born(RunState::Ready, None, self.scene.now, None, detail.as_ref());
        self.queue(run, self.scene.now, false, detail);
    }

    /// A digest of this event, where the AREA has digests: its templates see a list, also of one.
    fn digest(&self) -> Option<Detail> {
        let events = vec![self.arrival.id];
        self.watcher.plan.policy.digest.as_ref().map(|_| Detail { events, ..Detail::default() })
    }

    fn held(&mut self, until: Micros, reason: &str) {
        let (policy, event) = (&self.watcher.plan.policy, self.arrival.id);
        let detail = self.digest();
        let run = self.born(RunState::Held, Some(reason.to_owned()), until, None, detail.as_ref());
        let mut memory = lock(&self.watcher.memory);
        if policy.digest.is_some() {
            memory.digest = Some((run, vec![event]));
        } else if policy.debounce.is_some() {
            memory.held = Some((event, run));
        }
        drop(memory);
        self.queue(run, until, true, detail);
    }

    fn dropped(&mut self, reason: &str) {
        let now = self.scene.now;
        self.born(RunState::Dropped, Some(reason.to_owned()), now, Some(now), None);
    }

    /// The event joins the digest that is open: its run carries all of them.
    fn collected(&mut self, until: Micros) {
        let mut memory = lock(&self.watcher.memory);
        let Some((run, events)) = memory.digest.as_mut() else { return };
        events.push(self.arrival.id);
        // A digest that began meanwhile takes nothing any more: then all of this is decided again.
        if !self.births.runs.iter().any(|own| own.id == *run) {
            self.births.held.push(*run);
        }
        let detail = Detail { events: events.clone(), ..Detail::default() };
        let update = RunUpdate {
            id: *run,
            state: RunState::Held,
            reason: Some(policy::Reason::Digest.as_str().to_owned()),
            due_at: until,
            ended_at: None,
            detail: detail.text(),
        };
        self.births.updates.retain(|known| known.id != *run);
        self.births.updates.push(update);
        self.births.moved.push((*run, self.scene.proof.part, until));
        self.births.rows.retain(|row| row.id != *run);
        self.births.standing.push((self.watcher.plan.no, self.watcher.version));
    }

    fn replaced(&mut self) {
        let Some((_, run)) = lock(&self.watcher.memory).held.take() else { return };
        if !self.births.runs.iter().any(|own| own.id == run) {
            self.births.held.push(run);
        }
        self.end(run, RunState::Dropped, policy::DEBOUNCED);
    }

    fn restarted(&mut self, goes: &[RunId]) {
        let no = self.watcher.plan.no;
        let born: Vec<RunId> = self.births.heads.iter().filter(|head| head.area == no).map(|head| head.run).collect();
        for run in goes.iter().copied().chain(born) {
            self.end(run, RunState::Cancelled, crate::react::REPLACED);
        }
    }

    fn end(&mut self, run: RunId, state: RunState, reason: &str) {
        let now = self.scene.now;
        // One that is born in this very unit ends in it.
        if let Some(own) = self.births.runs.iter_mut().find(|own| own.id == run) {
            (own.state, own.reason, own.ended_at) = (state, Some(reason.to_owned()), Some(now));
        } else {
            let reason = Some(reason.to_owned());
            self.births.updates.push(RunUpdate {
                id: run,
                state,
                reason,
                due_at: now,
                ended_at: Some(now),
                detail: None,
            });
        }
        self.births.heads.retain(|head| head.run != run);
        self.births.rows.retain(|row| row.id != run);
        self.births.superseded.push(run);
    }

    fn born(
        &mut self,
        state: RunState,
        reason: Option<String>,
        due_at: Micros,
        ended_at: Option<Micros>,
        detail: Option<&Detail>,
    ) -> RunId {
        let (plan, id) = (&self.watcher.plan, RunId(self.scene.ids.next()));
        if self.watcher.state == AreaState::Active {
            self.births.standing.push((plan.no, self.watcher.version));
        }
        self.births.runs.push(NewRun {
            id,
            area: plan.no,
            event: self.arrival.id,
            replay: 0,
            revision: plan.revision,
            part: self.scene.proof.part,
            state,
            reason,
            due_at,
            ended_at,
            detail: detail.and_then(Detail::text),
        });
        id
    }

    fn queue(&mut self, run: RunId, due: Micros, held: bool, detail: Option<Detail>) {
        let plan = &self.watcher.plan;
        let at_once = crate::react::at_once(plan.policy.order);
        let (user, Proof { part, epoch }, restarts) =
            (plan.user, self.scene.proof, plan.policy.order == Order::Restart);
        self.births.heads.push(Head { run, area: plan.no, user, part, epoch, due, at_once, held, restarts });
        if held {
            return;
        }
        self.births.rows.push(RunRow {
            id: run,
            area_no: plan.no,
            revision: plan.revision,
            part: self.scene.proof.part,
            event_id: self.arrival.id,
            replay: 0,
            state: RunState::Ready.as_str().to_owned(),
            reason: None,
            detail: detail.and_then(|d| d.text()),
            body: None,
            event: Some(Arc::clone(self.arrival.body)),
            depth: Some(self.arrival.depth),
        });
    }
}

/// An event's body as it is stored, and its text: JSON without U+0000, which PostgreSQL cannot keep. What is read back from the text
/// is equal to the value: a run is the same whether it goes at once or after a restart.
pub fn stored(body: Value, most: usize) -> Result<(Arc<Value>, String), String> {
    let text = body.to_string();
    if text.len() > most {
        return Err(format!("it has {} bytes; the limit is {most}", text.len()));
    }
    // serde_json writes U+0000 as this escape; a text that says the escape literally is only looked at in vain.
    if text.contains("\\u0000") {
        let body = without_nul(&body);
        let text = body.to_string();
        return Ok((Arc::new(body), text));
    }
    Ok((Arc::new(body), text))
}

fn without_nul(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(items) => items.iter().map(without_nul).collect(),
        Value::Object(members) => members.iter().map(|(name, v)| (clean(name), without_nul(v))).collect(),
        _ => value.clone(),
    }
}

/// Text without U+0000: it becomes U+FFFD.
pub fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn a_number_is_read_back_as_it_was_recorded(number in any::<f64>(), text in "-?[1-9][0-9]{0,19}\\.[0-9]{1,20}(e-?[0-9]{1,2})?") {
            for given in [json!(number), serde_json::from_str(&text).unwrap()] {
                let (body, text) = stored(json!({ "n": given }), 1_000).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), &*body);
            }
        }
    }

    #[test]
    fn what_a_text_cannot_keep_is_replaced_in_the_value_too() {
        let (body, text) = stored(json!({ "a\u{0}": ["\u{0}b", "\\u0000"] }), 1_000).unwrap();
        assert_eq!(*body, json!({ "a\u{fffd}": ["\u{fffd}b", "\\u0000"] }));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), *body);
    }

    #[test]
    fn a_body_over_the_limit_is_refused_with_its_size() {
        assert_eq!(stored(json!("abc"), 4), Err("it has 5 bytes; the limit is 4".to_owned()));
    }
}
