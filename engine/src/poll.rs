//! One poll of one source: the connector is asked page by page with nothing open in the database; each page is decided and
//! committed with its cursor. A page without items and without somebody joining writes nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::time::{Duration, Instant};

use crate::clock::{Micros, from_micros};
use crate::fault::Fault;
use crate::ids::{AreaNo, EventId, SourceId};
use crate::intake::{self, Arrival, Births, Scene};
use crate::ledger::{CursorMove, Join, NewEvent, Proof, Refused, Unit};
use crate::native::Happening;
use crate::node::{Engine, lock};
use crate::on;
use crate::plans::{Watcher, Watchers};
use crate::port::{Auth, Boxed, Cadence, FeedKind, FeedSpec, Item, Page, PollCx, Wants};
use crate::schedule::phase::next_due;
use crate::store::work::{self, SourceRow};

/// How often a page is decided again because something changed meanwhile, before the poll is put off.
const DECIDE_AGAIN: u32 = 8;
const LAST_AT: &str =
    "SELECT MAX(at) FROM (SELECT at FROM events WHERE source_id = $1 ORDER BY id DESC LIMIT 100) AS last";

const JOINED_AT: &str = "SELECT MIN(joined_at) FROM areas WHERE source_id = $1";

/// How a poll went.
struct Went {
    items: usize,
    answer: String,
    cursor: Option<Value>,
    /// What a search after a resync could not reach.
    gap: Option<String>,
    /// When its next page can be had, where that is known.
    goes_on: Option<Micros>,
}

/// Polls `row`'s source and puts it back into the schedule.
pub async fn poll(engine: &Arc<Engine>, mut row: SourceRow) {
    let Some((no, _, feed)) = engine.feed(&row.service, &row.feed) else { return };
    let at = engine.clock.micros();
    if engine.leases.proof(row.part).is_none() {
        return not_ours(engine, &row, at);
    }
    let began = Instant::now();
    let went = pages(engine, &mut row, feed, at).await;
    let took = u16::try_from(began.elapsed().as_millis()).unwrap_or(u16::MAX);
    if let Some(polled) = engine.polled.get(usize::from(no)) {
        polled.increment(1);
    }
    let now = engine.clock.micros();
    let (next, faults, items) = match went {
        Ok(went) => {
            let (recovered, gapped) = (engine.recovered(row.id), went.gap.is_some());
            if let Some(what) = went.gap {
                tracing::warn!(source = %row.id, what, "items may be missing");
                engine.gapped(row.id, what, now);
            }
            if recovered || gapped {
                record_health(engine, &row, engine.well(row.id)).await;
            }
            engine.answered(row.id, went.answer);
            let next = went.goes_on.or_else(|| next_instant(engine, &row, feed, went.cursor.as_ref(), now));
            (next, 0, went.items)
        }
        Err(Stopped::Fault(fault)) => (Some(failed(engine, &row, &fault, now).await), 1, 0),
        // Decided by the ledger: this node no longer owns it, or somebody moved the cursor. Looked at again at once if it is ours.
        Err(Stopped::Refused(Refused::Moved | Refused::Stale(_))) => (Some(now), 0, 0),
        Err(Stopped::Refused(refused)) => {
            tracing::debug!(source = %row.id, %refused, "a poll was not recorded; it will be repeated");
            (Some(now + engine.limits.away_micros()), 0, 0)
        }
    };
    engine.due().finished(row.id, next, now, |slot| {
        slot.faults = if faults == 0 { 0 } else { slot.faults.saturating_add(1) };
        slot.took_ms = took;
        slot.items = u32::try_from(items).unwrap_or(u32::MAX);
        slot.polled_s = u32::try_from(at / 1_000_000).unwrap_or(0);
    });
    engine.poll_finished();
}

/// The partition is another node's, or this one may start nothing for it just now.
fn not_ours(engine: &Engine, row: &SourceRow, now: Micros) {
    if engine.leases.holds(row.part) {
        engine.due().finished(row.id, Some(now + engine.limits.away_micros()), now, |_| {});
        engine.poll_finished();
    } else {
        engine.due().remove(row.id);
    }
}

/// Why a poll came to no good end.
enum Stopped {
    Fault(Fault),
    Refused(Refused),
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<sqlx::Error> for Stopped {
    fn from(error: sqlx::Error) -> Self {
        tracing::warn!(%error, "the database did not answer a poll");
        Self::Refused(Refused::Away)
    }
}

async fn pages(engine: &Arc<Engine>, row: &mut SourceRow, feed: &FeedSpec, at: Micros) -> Result<Went, Stopped> {
    let joining = match engine.is_joining(row.id) {
        true => joining(&*engine.plans.watchers(row.id).await?),
        false => HashMap::new(),
    };
    let params = engine.plans.feed_params(row).map_err(|e| Fault::rejected(e.to_string()))?;
    let mut cursor = engine.cursor_of(row);
    let mut since = None;
    let mut went = Went { items: 0, answer: String::new(), cursor: None, gap: None, goes_on: None };
    let mut baseline = cursor.is_none();
    let mut has_page = false;
    for _ in 0..engine.limits.pages_per_poll {
        let (page, spare) = match ask(engine, row, feed, &params, cursor.as_ref(), since).await {
            Err(Fault::Resync { why }) if since.is_none() => {
                tracing::warn!(source = %row.id, why, "the cursor is no longer valid; searching from the last item");
                since = Some(searched_from(engine, row.id, at).await?);
                (cursor, baseline) = (None, false);
                continue;
            }
            Err(fault) if has_page && fault.not_before().is_some_and(|until| is_soon(row, until, at)) => {
                went.answer = format!("{}; the rest waits: {}", went.answer, fault.why());
                went.goes_on = fault.not_before().map(|until| until.timestamp_micros());
                break;
            }
            other => other?,
        };
        has_page = true;
        let page = Taken { last: !page.more, baseline, searched: since.is_some(), queues: false, spare, page };
        went.items += page.page.items.len();
        went.answer.clone_from(&page.page.answer);
        let (more, gap) = (page.page.more, page.page.gap.clone());
        if let Some(moved) = page.page.cursor.clone() {
            cursor = Some(moved);
        }
        settle(engine, row, page, &joining).await?;
        went.gap = gap.or(went.gap);
        if !more {
            break;
        }
    }
    if !joining.is_empty() {
        engine.joined(row.id).await;
        // Those that asked for what was there already: it is recorded now.
        crate::catch_up::run(engine, row.id, row.part).await;
    }
    went.cursor = cursor;
    Ok(went)
}

/// Whether a poll that got on is told to wait no longer than its source is left alone anyway: a quota's pace, and no fault.
fn is_soon(row: &SourceRow, until: DateTime<Utc>, at: Micros) -> bool {
    until.timestamp_micros() - at <= row.every_us.unwrap_or(0)
}

/// The AREAs whose baseline this poll is, with their versions.
fn joining(watchers: &Watchers) -> HashMap<AreaNo, i64> {
    watchers.all.iter().filter(|w| w.joined_at.is_none()).map(|w| (w.plan.no, w.version)).collect()
}

/// What a feed is told of the AREAs that watch its source, and whether it was told to spare itself something.
struct Wanting<'a> {
    engine: &'a Engine,
    source: SourceId,
    spared: AtomicBool,
}

impl Wants for Wanting<'_> {
    fn large(&self) -> Boxed<'_, bool> {
        Box::pin(async {
            let wanted = self.engine.plans.watchers(self.source).await.map_or(true, |all| all.wants_large());
            self.spared.fetch_or(!wanted, Ordering::Relaxed);
            wanted
        })
    }
}

/// A page, and whether it lacks what nobody uses.
async fn ask(
    engine: &Engine,
    row: &SourceRow,
    feed: &FeedSpec,
    params: &Value,
    cursor: Option<&Value>,
    since: Option<DateTime<Utc>>,
) -> Result<(Page, bool), Fault> {
    let FeedKind::Polled { poll, .. } = feed.kind else {
        return Err(Fault::rejected("this feed is not polled"));
    };
    let now = engine.clock.now();
    let provider = engine.feed(&row.service, &row.feed).and_then(|(_, service, _)| service.provider);
    let auth = row.account_id.map(|account| engine.vault.auth(row.user_id, account, provider));
    let auth = auth.as_ref().map(|auth| auth as &dyn Auth);
    let wants = Wanting { engine, source: row.id, spared: AtomicBool::new(false) };
    let cx = PollCx { params, cursor, since, auth, http: &engine.http, now, wants: Some(&wants) };
    let limit = engine.limits.poll_timeout;
    crate::crash::point("poll.before_call");
    let answer = tokio::time::timeout(limit, poll(cx)).await;
    crate::crash::point("poll.after_call");
    match answer {
        Ok(page) => Ok((page?, wants.spared.into_inner())),
        Err(_) => Err(Fault::later(format!("no answer within {} s", limit.as_secs()))),
    }
}

/// A page, and what is known of its poll.
struct Taken {
    page: Page,
    /// No page of this poll follows.
    last: bool,
    /// The poll began without a cursor: what is there now is old to everybody.
    baseline: bool,
    /// The poll searches, as the cursor was dead.
    searched: bool,
    /// Older events of the source wait for their decision, and these wait behind them.
    queues: bool,
    /// Its items lack what nobody used when they were read.
    spare: bool,
}

/// Decides a page and commits it; again, where something changed meanwhile. What was there before anybody watched is recorded too,
/// without firing: so it is known when it is returned again.
async fn settle(
    engine: &Arc<Engine>,
    row: &mut SourceRow,
    mut taken: Taken,
    joining: &HashMap<AreaNo, i64>,
) -> Result<(), Stopped> {
    let mut items = unique(std::mem::take(&mut taken.page.items));
    drop_recorded(engine, row.id, &mut items).await?;
    if items.is_empty() && (joining.is_empty() || !taken.last) {
        if let Some(cursor) = taken.page.cursor {
            engine.cursor_moved(row, cursor);
        }
        return Ok(());
    }
    taken.queues = work::waits(&engine.db, row.part, row.id).await?;
    for _ in 0..DECIDE_AGAIN {
        let proof = engine.decides(row.part).ok_or(Stopped::Refused(Refused::Lost))?;
        let (watchers, turn) = engine.plans.decided_by(row.id, Some(proof)).await?;
        if taken.spare && watchers.wants_large() {
            // Somebody wants now what nobody wanted when it was read: it is read again.
            return Err(Stopped::Refused(Refused::Stale(Vec::new())));
        }
        let (unit, births) = decide(engine, row, proof, &watchers, &items, &taken, joining)?;
        let crowded = unit.events.iter().any(|event| event.undecided.is_some());
        match engine.ledger.commit(unit).await {
            Ok(()) => {
                crate::crash::point("poll.recorded");
                engine.cursor_written(row, taken.page.cursor.as_ref());
                engine.take_births(births);
                if crowded {
                    // Before the next page: it overtakes none of these. Who decides them takes the turn.
                    drop(turn);
                    crate::hooks::decide_undecided(engine, row.part).await;
                }
                return Ok(());
            }
            Err(refused) => {
                engine.plans.forget(row.id);
                match refused {
                    Refused::Stale(_) => {}
                    Refused::Duplicate(keys) => items.retain(|item| !keys.contains(&item.key)),
                    Refused::Broken(why) => {
                        return Err(Fault::rejected(format!("the database refuses it: {why}")).into());
                    }
                    other => return Err(Stopped::Refused(other)),
                }
            }
        }
    }
    Err(Stopped::Refused(Refused::Stale(Vec::new())))
}

fn decide(
    engine: &Engine,
    row: &SourceRow,
    proof: Proof,
    watchers: &Watchers,
    items: &[Item],
    taken: &Taken,
    joining: &HashMap<AreaNo, i64>,
) -> Result<(Unit, Births), Stopped> {
    // More births than one commit may hold: the events are recorded, and decided one by one in pages.
    let crowded = watchers.all.len().saturating_mul(items.len()) > engine.limits.fan_out;
    let undecided = ((crowded || taken.queues) && !taken.baseline).then_some(row.part);
    let (events, bodies) = events(engine, row.id, items, undecided)?;
    let mut births = Births::default();
    if undecided.is_none() {
        let arrivals: Vec<Arrival<'_>> =
            events.iter().zip(&bodies).map(|(e, body)| Arrival { at: e.at, ..Arrival::new(e.id, body) }).collect();
        let (baseline, searched) = (taken.baseline, taken.searched);
        let scene = Scene { baseline, searched, ..Scene::new(proof, engine.clock.micros(), &engine.ids) };
        births = intake::decide(watchers, &arrivals, &scene, &|area| engine.open_runs_of(area));
    }
    let mut unit = Unit { proof: Some(proof), events, ..births.unit() };
    if taken.last {
        // After every event of this very poll: none of them is new to who joins with it.
        let at = engine.ids.between();
        unit.joins = watchers.all.iter().filter_map(|w| join(w, *joining.get(&w.plan.no)?, at)).collect();
    }
    let cursor = taken.page.cursor.as_ref().map(ToString::to_string);
    unit.cursor = cursor.map(|to| CursorMove { source: row.id, from: row.version, to: Some(to) });
    Ok((unit, births))
}

/// An AREA's joining, if it is still at the version at which its baseline began.
fn join(watcher: &Watcher, version: i64, at: Micros) -> Option<Join> {
    let mark = watcher.plan.backfill.then_some(EventId(0));
    (watcher.version == version).then_some(Join { area: watcher.plan.no, version, at, mark })
}

/// The items as they are recorded, and their bodies.
fn events(
    engine: &Engine,
    source: SourceId,
    items: &[Item],
    undecided: Option<i64>,
) -> Result<(Vec<NewEvent>, Vec<Arc<Value>>), Fault> {
    let event = |item: &Item| {
        let (value, body) = intake::stored(item.body.clone(), engine.limits.item_bytes)
            .map_err(|why| Fault::rejected(format!("item `{}`: {why}", crate::text::cut(&item.key, 80))))?;
        let event = NewEvent {
            id: crate::ids::EventId(engine.ids.next()),
            source,
            key: intake::clean(&item.key),
            body,
            at: item.at.map(|at| at.timestamp_micros()),
            fresh: false,
            undecided,
            mark: None,
            only_area: None,
            depth: 0,
        };
        Ok((event, value))
    };
    items.iter().map(event).collect()
}

/// A feed may return an item twice: the first stands.
fn unique(items: Vec<Item>) -> Vec<Item> {
    let mut seen = HashSet::with_capacity(items.len());
    items.into_iter().filter(|item| seen.insert(intake::clean(&item.key))).collect()
}

async fn drop_recorded(engine: &Engine, source: SourceId, items: &mut Vec<Item>) -> sqlx::Result<()> {
    let keys: Vec<String> = items.iter().map(|item| intake::clean(&item.key)).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let recorded: HashSet<String> = work::recorded(&engine.db, source, &keys).await?.into_iter().collect();
    items.retain(|item| !recorded.contains(&intake::clean(&item.key)));
    Ok(())
}

/// Where a search after a resync begins: at the last recorded items, but no sooner than an AREA of the source has watched, and no
/// later than now, whatever time an item says that it has; as far back as events are kept.
async fn searched_from(engine: &Engine, source: SourceId, at: Micros) -> sqlx::Result<DateTime<Utc>> {
    let last = last_item(engine, source).await?;
    let (joined,): (Option<Micros>,) =
        on!(&engine.db, pool => sqlx::query_as(JOINED_AT).bind(source).fetch_one(pool).await)?;
    let kept = Micros::try_from(engine.limits.keep_events.as_micros()).unwrap_or(Micros::MAX);
    let from = joined.unwrap_or(at).max(last.unwrap_or(Micros::MIN));
    Ok(from_micros(from.clamp(at.saturating_sub(kept), at)))
}

/// When the last recorded items happened.
async fn last_item(engine: &Engine, source: SourceId) -> sqlx::Result<Option<Micros>> {
    let (at,): (Option<Micros>,) = on!(&engine.db, pool => sqlx::query_as(LAST_AT).bind(source).fetch_one(pool).await)?;
    Ok(at)
}

fn next_instant(
    engine: &Engine,
    row: &SourceRow,
    feed: &FeedSpec,
    cursor: Option<&Value>,
    now: Micros,
) -> Option<Micros> {
    match feed.kind {
        FeedKind::Polled { cadence: Cadence::At(_), .. } => {
            crate::node::instant_of(engine, row, cursor.map(Value::to_string).as_deref(), now)
        }
        _ => Some(next_due(crate::node::hash(row.id), row.every_us.unwrap_or(0).max(1), now)),
    }
}

/// Writes down that a poll failed, pauses what can never work, and says when to try again.
async fn failed(engine: &Arc<Engine>, row: &SourceRow, fault: &Fault, now: Micros) -> Micros {
    let (standing, health) = engine.failed(row.id, fault, now);
    tracing::debug!(source = %row.id, service = row.service, times = standing.times, why = standing.why, "a poll failed");
    if let Some(health) = health {
        record_health(engine, row, Some(health)).await;
    }
    if let (Fault::Reconnect { why, .. }, Some(account)) = (fault, row.account_id) {
        engine.give_up(account, why).await;
    }
    let lasts = Duration::from_micros(u64::try_from(now - standing.since.timestamp_micros()).unwrap_or(0));
    let hopeless = match fault {
        Fault::Rejected { .. } => standing.times >= engine.limits.rejected_polls,
        _ => lasts >= engine.limits.failing_for,
    };
    if hopeless {
        engine.pause_watchers(row, &standing.why).await;
    }
    let every = Duration::from_micros(u64::try_from(row.every_us.unwrap_or(0)).unwrap_or(0));
    crate::outcome::next_poll(standing.times, every, fault, now)
}

impl Engine {
    /// The polls of a source have no hope: its AREAs pause with the reason, and their owner's AREAs hear of it.
    async fn pause_watchers(self: &Arc<Self>, row: &SourceRow, why: &str) {
        let (Ok(watchers), Some(proof)) = (self.plans.watchers(row.id).await, self.leases.proof(row.part)) else {
            return;
        };
        let active = watchers.all.iter().filter(|w| w.state == crate::store::areas::AreaState::Active);
        let mark = crate::catch_up::mark(self, row.id, EventId(self.ids.next())).await;
        let mut unit = Unit { proof: Some(proof), ..Unit::default() };
        let mut happenings = Vec::new();
        for watcher in active {
            let plan = &watcher.plan;
            tracing::warn!(area = %plan.id, why, "an AREA pauses: its source cannot be polled");
            unit.faulted.push((plan.no, why.to_owned(), mark));
            let (area, name, reason) = (plan.id, plan.name.clone(), why.to_owned());
            happenings.push(Happening { kind: "paused", area, name, reason, run: None });
        }
        if unit.faulted.is_empty() {
            return;
        }
        crate::native::append(self, row.user_id, happenings, 0, &mut unit).await;
        let woken: Vec<i64> = unit.events.iter().filter_map(|e| e.undecided).collect();
        if let Err(refused) = self.ledger.commit(unit).await {
            return tracing::debug!(%refused, source = %row.id, "a pause was not recorded; it is tried at the next poll");
        }
        self.plans.forget(row.id);
        for part in woken {
            self.wake(crate::node::Wake::Undecided { part }).await;
        }
    }
}

async fn record_health(engine: &Engine, row: &SourceRow, health: Option<String>) {
    let Some(proof) = engine.leases.proof(row.part) else { return };
    let unit = Unit { proof: Some(proof), health: Some((row.id, health)), ..Unit::default() };
    if let Err(refused) = engine.ledger.commit(unit).await {
        tracing::debug!(%refused, source = %row.id, "a source's health was not recorded");
    }
}

impl Engine {
    /// Where a source's cursor is: in memory if it moved without items, else in its row.
    fn cursor_of(&self, row: &mut SourceRow) -> Option<Value> {
        let mut dirty = lock(&self.dirty);
        match dirty.get(&row.id) {
            Some((from, cursor)) if *from == row.version => return Some(cursor.clone()),
            // Somebody moved the stored cursor: what was remembered no longer stands.
            Some(_) => {
                dirty.remove(&row.id);
            }
            None => {}
        }
        row.cursor.as_deref().and_then(|c| serde_json::from_str(c).ok())
    }

    /// The cursor moved without items: remembered here until there is something to write with it.
    fn cursor_moved(&self, row: &SourceRow, cursor: Value) {
        lock(&self.dirty).insert(row.id, (row.version, cursor));
    }

    /// The cursor was committed.
    fn cursor_written(&self, row: &mut SourceRow, cursor: Option<&Value>) {
        if cursor.is_some() {
            lock(&self.dirty).remove(&row.id);
            row.version += 1;
        }
    }
}
