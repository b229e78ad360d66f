//! What may happen next, and how likely: the production's tasks and loops, the far side's answers, people, and what breaks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use engine::clock::from_micros;
use engine::fault::Fault;
use engine::hooks::{self, HookAnswer, Request};
use engine::port::{Page, Reacted};
use engine::testkit::turns::Player;
use serde_json::{Value, json};

use super::areas::{self, Area};
use super::far::{Asked, KINDS, LISTS, Made, TICKS, far, hook_body};
use super::world::{Change, Delivery, HOUR, Loop, SECOND, World};

/// AREAs at most.
const AREAS: usize = 8;
/// A task that waits for nothing but a timer waits about so long.
const NAP: i64 = SECOND / 4;

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// A task goes on.
    Go(Player),
    /// The far side answers.
    Answer(u64, Asked),
    /// A loop of a node takes a turn.
    Turn(usize, Loop),
    Advance,
    SetBack,
    Produce,
    NewDelivery,
    Deliver(usize),
    Create,
    Pause(usize),
    Resume(usize),
    Edit(usize),
    Move(usize),
    Delete(usize),
    Boot(usize),
    Crash(usize),
    /// A node is told to stop.
    Stop(usize),
    /// A node that was told to stop drains, and is gone when it has.
    Leave(usize),
    /// The next task dies at a crash point.
    CrashAt,
    /// Answers of the database are lost, or it is away.
    Lose,
    /// A node stands still for longer than its lease.
    Freeze(usize),
}

impl World {
    /// Everything that may happen now, with its weight.
    pub fn options(&mut self) -> Vec<(usize, Step)> {
        let mut all = Vec::new();
        self.production(&mut all);
        let busy = !all.is_empty();
        all.push((if busy { 1 } else { self.pace.of(40, 800) }, Step::Advance));
        if self.healed {
            self.mending(&mut all);
        } else if !busy || self.dice.percent(self.pace.of(100, 3)) {
            self.people(&mut all);
            self.trouble(&mut all);
        }
        all
    }

    fn production(&mut self, all: &mut Vec<(usize, Step)>) {
        let now = self.now();
        let frozen: Vec<u32> = self.nodes.iter().flatten().filter(|n| n.frozen_until > now).map(|n| n.group).collect();
        let ready = self.turns.ready();
        all.extend(ready.into_iter().filter(|p| !frozen.contains(&p.group)).map(|p| (20, Step::Go(p))));
        all.extend(far(|far| far.open()).into_iter().map(|(call, asked)| (8, Step::Answer(call, asked))));
        let mut said = Vec::new();
        for at in 0..self.nodes.len() {
            let Some(node) = &mut self.nodes[at] else { continue };
            if node.frozen_until > now {
                continue;
            }
            if node.steps.due_changed() {
                node.poke(Loop::Poll);
            }
            if node.steps.queue_changed() {
                node.poke(Loop::React);
            }
            if let Some(wake) = node.steps.next_wake() {
                node.inbox.push_back(wake);
                said.push((at, wake));
            }
            node.going.retain(|_, id| self.turns.lives(*id));
            let working = node.going.keys().any(|which| *which != Loop::Beat);
            let drains = node.leaving.is_some_and(|task| self.turns.lives(task));
            if node.stopping && !working && !drains {
                all.push((12, Step::Leave(at)));
            }
            for which in [Loop::Beat, Loop::Poll, Loop::React, Loop::Hear, Loop::Scan, Loop::Cursors] {
                if (self.still && which == Loop::Cursors) || (node.stopping && which != Loop::Beat) {
                    continue;
                }
                let due = match which {
                    Loop::Hear => !node.inbox.is_empty(),
                    _ => node.next(which) <= now,
                };
                if due && !node.going.contains_key(&which) {
                    all.push((12, Step::Turn(at, which)));
                }
            }
        }
        self.hand_on(said);
    }

    /// What one node says to all is heard by the others, or lost.
    fn hand_on(&mut self, said: Vec<(usize, engine::node::Wake)>) {
        for (from, wake) in said {
            for at in (0..self.nodes.len()).filter(|at| *at != from) {
                let lost = !self.healed && self.dice.percent(10);
                if let Some(node) = self.nodes[at].as_mut().filter(|_| !lost) {
                    node.inbox.push_back(wake);
                }
            }
        }
    }

    fn people(&mut self, all: &mut Vec<(usize, Step)>) {
        all.push((4, Step::Produce));
        if self.nodes.iter().all(Option::is_none) {
            return;
        }
        if self.areas.iter().filter(|a| !a.deleted).count() < self.pace.of(AREAS, 4) {
            all.push((if self.areas.len() < 4 { 10 } else { 1 }, Step::Create));
        }
        if self.areas.iter().any(|a| a.row.is_some() && a.list().is_none()) {
            all.push((1, Step::NewDelivery));
        }
        self.deliverable(all);
        if !self.dice.percent(10) || !self.changes.is_empty() {
            return;
        }
        for (at, area) in self.areas.iter().enumerate().filter(|(_, a)| a.row.is_some()) {
            match area.state() {
                "active" => all.extend([(1, Step::Pause(at)), (3, Step::Edit(at)), (1, Step::Move(at))]),
                _ => all.push((6, Step::Resume(at))),
            }
            if self.areas.len() > 4 && at % 3 == 0 {
                all.push((1, Step::Delete(at)));
            }
        }
    }

    fn deliverable(&mut self, all: &mut Vec<(usize, Step)>) {
        for (at, delivery) in self.deliveries.iter().enumerate() {
            if !delivery.taken && delivery.task.is_none() {
                all.push((6, Step::Deliver(at)));
            }
        }
    }

    fn trouble(&mut self, all: &mut Vec<(usize, Step)>) {
        let up = self.nodes.iter().flatten().count();
        for at in 0..self.nodes.len() {
            match &self.nodes[at] {
                None => all.push((20, Step::Boot(at))),
                Some(node) if self.dice.percent(3) => {
                    all.push((2, Step::Crash(at)));
                    all.extend((!node.stopping).then_some((2, Step::Stop(at))));
                }
                Some(node) if up > 1 && self.dice.percent(1) && node.frozen_until <= self.now() => {
                    all.push((4, Step::Freeze(at)));
                }
                Some(_) => {}
            }
        }
        if self.dice.percent(4) {
            all.extend([(3, Step::CrashAt), (2, Step::Lose)]);
        }
        if self.nodes.len() == 1 && self.dice.percent(1) {
            all.push((1, Step::SetBack));
        }
    }

    fn mending(&mut self, all: &mut Vec<(usize, Step)>) {
        for at in 0..self.nodes.len() {
            if self.nodes[at].is_none() {
                all.push((200, Step::Boot(at)));
            }
        }
        if self.nodes.iter().all(Option::is_none) {
            return;
        }
        self.deliverable(all);
        if self.changes.is_empty() {
            let faulted = self.areas.iter().enumerate().filter(|(_, a)| a.state() == "faulted");
            all.extend(faulted.map(|(at, _)| (10, Step::Resume(at))));
        }
    }

    /// Takes one step.
    pub async fn step(&mut self) {
        self.tally.steps += 1;
        let options = self.options();
        let chosen = self.dice.weighted(options.iter().map(|(weight, _)| *weight));
        let (_, step) = options[chosen].clone();
        match step {
            Step::Go(player) => self.goes(player).await,
            Step::Answer(call, asked) => self.answers(call, &asked),
            Step::Turn(at, which) => self.turn(at, which),
            Step::Advance => self.later(options.len() > 1 && self.is_busy(&options)).await,
            Step::SetBack => {
                let by = self.dice.within(1, 3 * 3_600) * SECOND;
                self.trace(|| format!("the clock is set back by {} s", by / SECOND));
                self.set_back = true;
                self.clock.set(self.now() - by);
                for node in self.nodes.iter().flatten() {
                    // A sleeper looks at the clock each second.
                    node.poke(Loop::Poll);
                    node.poke(Loop::React);
                }
            }
            Step::Produce => self.produce(),
            Step::NewDelivery => self.new_delivery(),
            Step::Deliver(at) => self.deliver(at),
            Step::Create => self.create(),
            Step::Pause(at) => self.change(at, "pauses"),
            Step::Resume(at) => self.change(at, "resumes"),
            Step::Edit(at) => self.change(at, "is edited"),
            Step::Move(at) => self.change(at, "is moved"),
            Step::Delete(at) => self.change(at, "is deleted"),
            Step::Boot(at) => {
                self.trace(|| format!("node {at} starts"));
                self.boot(at).await;
            }
            Step::Crash(at) => {
                self.trace(|| format!("node {at} dies"));
                self.crash(at).await;
                self.after().await;
            }
            Step::Stop(at) => {
                self.trace(|| format!("node {at} is told to stop"));
                self.nodes[at].as_mut().unwrap().stopping = true;
            }
            Step::Leave(at) => self.leave(at).await,
            Step::CrashAt => {
                let (point, nth) = (self.dice.of(&engine::crash::POINTS), self.dice.within(1, 3) as u32);
                self.trace(|| format!("somebody will die at {point}:{nth}"));
                self.turns.crash_at(Some((point, nth)));
            }
            Step::Lose => {
                let place = self.dice.of(&["ledger.begin", "ledger.commit"]);
                let times = self.dice.of(&[1, 1, 2, 40]);
                self.trace(|| format!("the next {times} at {place} are lost"));
                self.turns.lose(place, times);
                self.losing = true;
            }
            Step::Freeze(at) => {
                let hours = self.dice.within(1, self.pace.of(30, 40 * 24));
                self.trace(|| format!("node {at} stands still for {hours} h"));
                self.nodes[at].as_mut().unwrap().frozen_until = self.clock.micros() + hours * HOUR;
            }
        }
    }

    fn is_busy(&self, options: &[(usize, Step)]) -> bool {
        options.iter().any(|(_, step)| matches!(step, Step::Go(_) | Step::Answer(..) | Step::Turn(..)))
    }

    async fn goes(&mut self, player: Player) {
        let label = player.label.trim_start_matches("engine::").replace("::{{closure}}", "");
        let label = label.split("RunUntilCancelled").last().unwrap().to_owned();
        self.trace(|| format!("{} of group {} goes: {label}", player.id, player.group));
        self.goer = Some(player);
        self.go(player.id).await;
        if self.turns.crashed() {
            let at = self.nodes.iter().position(|n| n.as_ref().is_some_and(|n| n.group == player.group));
            self.trace(|| format!("it died at its crash point, and node {at:?} with it"));
            if let Some(at) = at {
                self.crash(at).await;
            }
        }
        self.after().await;
        self.goer = None;
    }

    fn turn(&mut self, at: usize, which: Loop) {
        self.trace(|| format!("node {at}: {which:?}"));
        let now = self.now();
        let node = self.nodes[at].as_mut().unwrap();
        let (steps, next) = (Arc::clone(&node.steps), node.next.get(&which).cloned());
        let put = move |at: i64| next.iter().for_each(|next| next.store(at, Ordering::Relaxed));
        put(i64::MAX);
        let group = node.group;
        let beat = i64::try_from(node.engine.leases.beat_every().as_micros()).unwrap();
        let scan = i64::try_from(node.engine.limits.scan.as_micros()).unwrap();
        let cursors = self.pace.of(HOUR, 5 * 24 * HOUR);
        let task = match which {
            Loop::Beat => {
                put(now + beat);
                self.turns.spawn(group, "beat", async move { steps.beat().await })
            }
            Loop::Poll => self.turns.spawn(group, "poll", async move { put(steps.poll().await) }),
            Loop::React => self.turns.spawn(group, "react", async move { put(steps.react().await) }),
            Loop::Hear => {
                let wake = node.inbox.pop_front().unwrap();
                self.turns.spawn(group, "hear", async move { steps.hear(wake).await })
            }
            Loop::Scan => {
                put(now + scan);
                self.turns.spawn(group, "scan", async move { steps.scan().await })
            }
            Loop::Cursors => {
                put(now + cursors);
                self.turns.spawn(group, "cursors", async move { steps.cursors().await })
            }
        };
        self.nodes[at].as_mut().unwrap().going.insert(which, task);
    }

    /// As its loops have ended a node drains, for longer or shorter than what is in flight takes; then its process ends.
    async fn leave(&mut self, at: usize) {
        let node = self.nodes[at].as_ref().unwrap();
        let (engine, group) = (Arc::clone(&node.engine), node.group);
        if node.leaving.is_some() {
            self.trace(|| format!("node {at} has stopped"));
            self.tally.stops += 1;
            self.end(at).await;
            return self.after().await;
        }
        let within = Duration::from_secs(self.dice.of(&[0, 1, 60, 3_600]));
        self.trace(|| format!("node {at} drains for {within:?}"));
        let task = self.turns.spawn(group, "stop", async move { engine.stop(within).await });
        self.nodes[at].as_mut().unwrap().leaving = Some(task);
    }

    /// Time passes: a little while something goes on, else to what is due next, or past it.
    async fn later(&mut self, busy: bool) {
        let now = self.now();
        let by = if busy {
            self.dice.of(&[SECOND / 10, SECOND, 20 * SECOND, 70 * SECOND])
        } else if self.napping() {
            NAP
        } else {
            let next =
                self.next_instant().unwrap_or(now + 6 * HOUR).clamp(now + 1, now + self.pace.of(24, 20 * 24) * HOUR);
            match self.dice.below(20) {
                0 => next - now + self.dice.within(1, 2 * HOUR),
                1 => (next - now) / 2 + 1,
                _ => next - now,
            }
        };
        self.trace(|| format!("{:.3} s pass", by as f64 / SECOND as f64));
        self.advance(by).await;
        self.after().await;
    }

    /// Whether a task waits for a timer: nothing else can make it go.
    fn napping(&self) -> bool {
        let idle = |p: &Player| p.label.contains("ledger::serve");
        let frozen: Vec<u32> =
            self.nodes.iter().flatten().filter(|n| n.frozen_until > self.now()).map(|n| n.group).collect();
        self.turns.waiting().iter().any(|p| !idle(p) && !frozen.contains(&p.group))
    }

    fn next_instant(&self) -> Option<i64> {
        let now = self.now();
        let nodes = self.nodes.iter().flatten();
        let instants = nodes.flat_map(|node| match node.frozen_until > now {
            true => vec![node.frozen_until],
            false => node.next.values().map(|at| at.load(Ordering::Relaxed)).collect(),
        });
        instants.filter(|at| *at > now && *at < i64::MAX).min()
    }

    fn produce(&mut self) {
        let list = self.dice.below(LISTS);
        let count = self.dice.of(&[1, 1, 1, 2, 3, 9]);
        self.trace(|| format!("{count} items come into list {list}"));
        for _ in 0..count {
            self.made += 1;
            self.tally.items += 1;
            let made = Made { id: self.made, kind: self.dice.of(&KINDS) };
            far(|far| far.lists[list].push(made));
            self.areas.iter_mut().for_each(|area| area.comes(list, made));
        }
    }

    fn new_delivery(&mut self) {
        let hooks = self.areas.iter().enumerate().filter(|(_, a)| a.row.is_some() && a.list().is_none());
        let hooks: Vec<usize> = hooks.map(|(at, _)| at).collect();
        self.made += 1;
        self.tally.items += 1;
        let (area, kind, id) = (self.dice.of(&hooks), self.dice.of(&KINDS), self.made);
        self.trace(|| format!("a sender has {id} for AREA {area}"));
        let answer = Arc::default();
        self.deliveries.push(Delivery { area, id, kind, task: None, answer, taken: false, joined: None, sent: 0 });
    }

    fn deliver(&mut self, at: usize) {
        let up: Vec<usize> = (0..self.nodes.len()).filter(|n| self.nodes[*n].is_some()).collect();
        let node = self.nodes[self.dice.of(&up)].as_ref().unwrap();
        let (engine, group) = (Arc::clone(&node.engine), node.group);
        let delivery = &mut self.deliveries[at];
        delivery.sent += 1;
        let area = &self.areas[delivery.area];
        delivery.joined = area.row.as_ref().filter(|_| !area.changing).and_then(|row| row.joined_at);
        let area = self.areas[delivery.area].id;
        let (body, put) = (hook_body(delivery.id, delivery.kind), Arc::clone(&delivery.answer));
        let key = engine::area::hook_key::of(area, &engine.ring);
        let work = async move {
            let request = Request { method: "POST", url: "http://x/", query: "", headers: &[], body: body.as_bytes() };
            let answer = hooks::receive(&engine, &key, &request).await;
            *put.lock().unwrap() = Some(answer);
        };
        delivery.task = Some(self.turns.spawn(group, "hook", work));
        let id = delivery.id;
        self.trace(|| format!("{id} is sent to group {group}"));
    }

    fn create(&mut self) {
        let number = self.areas.len();
        let now = self.now();
        let doc = areas::document(&mut self.dice, self.pace, now);
        self.trace(|| format!("AREA {number} is made: {doc}"));
        self.areas.push(Area::new(number, doc));
        self.change(number, "is stored");
    }

    /// Begins a change of an AREA.
    fn change(&mut self, at: usize, what: &'static str) {
        let up: Vec<usize> = (0..self.nodes.len()).filter(|n| self.nodes[*n].is_some()).collect();
        let node = self.nodes[self.dice.of(&up)].as_ref().unwrap();
        let (engine, group, user) = (Arc::clone(&node.engine), node.group, self.user);
        self.tally.changes += 1;
        let patch = self.prepare(at, what);
        let (id, doc) = (self.areas[at].id, self.areas[at].doc.clone());
        self.trace(|| format!("AREA {at} {what} {patch}"));
        let work = async move {
            let desk = engine.desk();
            let done = match what {
                "is stored" => desk.create_as(user, id, &doc, false).await,
                "pauses" => desk.pause(user, id, None).await,
                "resumes" => desk.resume(user, id, None).await,
                "is deleted" => desk.delete(user, id, None).await,
                _ => desk.patch(user, id, &patch, None).await,
            };
            match done {
                Ok(changed) => engine.changed(&changed).await,
                Err(engine::area::desk::AreaError::Sqlx(_) | engine::area::desk::AreaError::NotFound) => {}
                Err(error) => panic!("{what}: {error:?}"),
            }
        };
        let task = self.turns.spawn(group, what, work);
        self.changes.push(Change { area: at, task });
    }

    /// What an AREA may still be held to once this change of it begins, and the patch that makes it.
    fn prepare(&mut self, at: usize, what: &str) -> Value {
        let faulted = self.areas[at].state() == "faulted";
        let moves = what == "is moved" && self.areas[at].list() != Some(TICKS);
        let list = if moves { Some(self.dice.below(LISTS)) } else { self.areas[at].list() };
        let moves = moves && self.areas[at].list().is_some() && list != self.areas[at].list();
        let backfill = self.areas[at].doc["action"]["backfill"] == json!(true);
        let rejoins = what == "is stored" || moves || (what == "resumes" && !faulted);
        let area = &mut self.areas[at];
        if matches!(what, "pauses" | "is deleted") || moves || (what == "resumes" && !faulted) {
            area.unsettled(&self.recorded);
        }
        area.changing = true;
        area.has_joined &= !moves;
        let backfill = backfill && !area.has_joined;
        match list.filter(|_| rejoins) {
            // It asks for what is there already, also for what it once had to leave.
            Some(list) if backfill => area.must_not.retain(|(of, _)| *of != list),
            Some(list) => far(|far| area.joins(list, &far.lists[list], &self.recorded)),
            None => {}
        }
        match what {
            "is edited" => json!({"reactions": areas::reactions(&mut self.dice)}),
            "is moved" if moves => json!({"action": {"data": {"list": list}}}),
            _ => json!({}),
        }
    }

    /// The far side answers a call.
    fn answers(&mut self, call: u64, asked: &Asked) {
        match asked {
            Asked::Poll { list, cursor, since } => {
                let answer = self.poll_answer(*list, *cursor, *since);
                let said = match &answer {
                    Ok(page) => format!("{} items, more: {}, cursor {:?}", page.items.len(), page.more, page.cursor),
                    Err(fault) => format!("{fault:?}"),
                };
                self.tally.polls += 1;
                self.trace(|| format!("list {list} answers {cursor:?}: {said}"));
                far(|far| far.answer_poll(call, answer));
            }
            Asked::React { key, params, .. } => {
                let answer = self.react_answer(params);
                self.tally.calls += 1;
                self.trace(|| format!("{key} is answered {answer:?}"));
                if let Some(sent) = self.sent.get_mut(key) {
                    // Who asks to be called again later has done nothing yet, also where a clock that went back calls it too soon.
                    let undone = matches!(
                        answer,
                        Err(Fault::Later { maybe_done: false, .. } | Fault::Held { .. }) | Ok(Reacted::WakeAt(_))
                    );
                    sent.maybe = !undone;
                }
                far(|far| far.answer_react(call, answer));
            }
        }
    }

    fn poll_answer(&mut self, list: usize, cursor: Option<usize>, since: bool) -> Result<Page, Fault> {
        let most = if self.healed { 50 } else { self.dice.of(&[1, 3, 5, 5, 50]) };
        let mut page = far(|far| far.page(list, cursor, most));
        self.mutate_page(&mut page);
        if self.healed {
            return Ok(page);
        }
        match self.dice.below(40) {
            0..3 => Err(Fault::later("500")),
            3..5 => Err(self.too_many()),
            5..7 => Err(Fault::maybe("no answer")),
            7 if cursor.is_some() && !since => Err(Fault::resync("410")),
            8 => Err(Fault::rejected("400")),
            9..11 => {
                // The same items twice in one page.
                let twice = page.items.clone();
                page.items.extend(twice);
                Ok(page)
            }
            _ => Ok(page),
        }
    }

    fn too_many(&mut self) -> Fault {
        let wait = TimeDelta::seconds(self.dice.within(1, 2 * 3_600));
        let until = from_micros(self.now()) + wait;
        match self.dice.below(2) {
            0 => Fault::Later { not_before: Some(until), why: "429".into(), maybe_done: false },
            _ => Fault::Held { until, why: "a quota".into() },
        }
    }

    fn react_answer(&mut self, params: &Value) -> Result<Reacted, Fault> {
        let done = Ok(Reacted::Done(json!({"echo": params["text"]})));
        if self.healed {
            return done;
        }
        match self.dice.below(40) {
            0..4 => Err(Fault::later("500")),
            4..6 => Err(self.too_many()),
            6..9 => Err(Fault::maybe("reset")),
            9 => Err(Fault::rejected("400")),
            10 => Ok(Reacted::WakeAt(from_micros(self.now() + self.dice.within(1, 5 * HOUR)))),
            _ => done,
        }
    }

    /// What follows from the step for what the simulation remembers.
    pub async fn after(&mut self) {
        let (db, now) = (self.db.clone(), self.now());
        self.recorded.losing = self.losing;
        self.losing = self.turns.losing();
        let written = self.written.swap(false, Ordering::Relaxed);
        if written {
            self.judge_still();
            let news = self.recorded.look(&db, now).await;
            self.judge_news(&news).await;
        }
        self.judge_calls().await;
        self.deliveries_answered();
        self.changes_done(written).await;
    }

    fn deliveries_answered(&mut self) {
        for at in 0..self.deliveries.len() {
            let Some(task) = self.deliveries[at].task else { continue };
            if self.turns.lives(task) {
                continue;
            }
            let delivery = &mut self.deliveries[at];
            delivery.task = None;
            let answer = delivery.answer.lock().unwrap().take();
            let (id, area, kind, joined) = (delivery.id, delivery.area, delivery.kind, delivery.joined);
            match answer {
                Some(HookAnswer::Accepted(_) | HookAnswer::Duplicate) => {
                    delivery.taken = true;
                    let area = &mut self.areas[area];
                    if let Some(row) = area.row.as_ref().filter(|row| row.state != "paused" && !area.changing)
                        && joined.is_some_and(|joined| row.joined_at == Some(joined))
                        && area.takes(kind)
                    {
                        area.must.insert((row.source_id, id.to_string()));
                    }
                }
                Some(HookAnswer::Dropped(_) | HookAnswer::Gone) => delivery.taken = true,
                Some(HookAnswer::Away | HookAnswer::TooMany) | None => {}
                Some(other) => self.broken(&format!("delivery {id} was answered {other:?}")),
            }
            self.trace(|| format!("delivery {id} was answered {answer:?}"));
        }
    }

    async fn changes_done(&mut self, written: bool) {
        let gone = self.changes.extract_if(.., |change| !self.turns.lives(change.task)).collect::<Vec<_>>();
        for change in &gone {
            self.areas[change.area].changing = false;
        }
        if written || !gone.is_empty() {
            self.sync().await;
        }
    }

    /// The AREAs as they are stored.
    pub async fn sync(&mut self) {
        let rows = areas::stored(&self.db).await;
        self.areas.iter_mut().filter(|area| !area.changing).for_each(|area| area.sync(&rows));
    }
}
