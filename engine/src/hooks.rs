//! Events that come to us: requests at hook URLs, and events that another node or the engine itself appended. Any node may append;
//! only the owner of the partition decides. On the owner both are one transaction.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::area::hook_key;
use crate::ids::{AreaId, AreaNo, EventId, SourceId};
use crate::intake::{self, Arrival, Scene};
use crate::ledger::{NewEvent, Proof, Refused, Unit};
use crate::node::{Engine, Wake, lock};
use crate::on;
use crate::plans::Watchers;
use crate::port::{FeedKind, HookCx, HookRefusal};
use crate::store::areas::AreaState;
use crate::store::work;

/// Undecided events that one page reads.
const PAGE: i64 = 500;
/// How often an event is decided again because something changed meanwhile.
const DECIDE_AGAIN: u32 = 8;
const TARGET: &str = "SELECT a.source_id, s.part FROM areas a JOIN sources s ON s.id = a.source_id WHERE a.id = $1";

/// A request at a hook URL.
#[derive(Debug)]
pub struct Request<'a> {
    /// `POST`, `PUT` …
    pub method: &'a str,
    /// The URL as the sender called it, by the operator's public URL.
    pub url: &'a str,
    /// The query string, undecoded.
    pub query: &'a str,
    /// Header names in lower case with their values.
    pub headers: &'a [(String, String)],
    /// The body.
    pub body: &'a [u8],
}

/// What a sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookAnswer {
    /// 202: the event is durable.
    Accepted(EventId),
    /// 202: it was recorded before.
    Duplicate,
    /// 202: its AREA is paused by its user; recorded as dropped.
    Dropped(EventId),
    /// 404: no hook has this key.
    Unknown,
    /// 410: the AREA was deleted.
    Gone,
    /// 401: the signature or token does not fit.
    Unauthorized(String),
    /// 400: the body cannot be read.
    Malformed(String),
    /// 200 with this text: the sender tries the URL out.
    Handshake(String),
    /// 429: the backlog is full.
    TooMany,
    /// 503: the database is away; send it again.
    Away,
}

/// Takes a request at the hook URL with this key.
pub async fn receive(engine: &Arc<Engine>, key: &str, request: &Request<'_>) -> HookAnswer {
    let Some(area) = hook_key::verify(key, &engine.ring) else { return HookAnswer::Unknown };
    let (source, part) = match engine.hook_target(area).await {
        Ok(Some(target)) => target,
        Ok(None) => return HookAnswer::Gone,
        Err(_) => return HookAnswer::Away,
    };
    let (mut tries, mut ours) = (0, true);
    loop {
        let proof = engine.decides(part).filter(|_| ours);
        let Ok((watchers, _turn)) = engine.plans.decided_by(source, proof).await else { return HookAnswer::Away };
        let Some(watcher) = watchers.all.iter().find(|w| w.plan.id == area) else { return HookAnswer::Gone };
        let FeedKind::Hook { receive } = watcher.plan.action.feed.kind else { return HookAnswer::Gone };
        let item = match receive(context(&watcher.plan.data, request, engine.clock.now())) {
            Ok(item) => item,
            Err(HookRefusal::Unauthorized(why)) => return HookAnswer::Unauthorized(why),
            Err(HookRefusal::Malformed(why)) => return HookAnswer::Malformed(why),
            Err(HookRefusal::Handshake(text)) => return HookAnswer::Handshake(text),
        };
        let body = match intake::stored(item.body, engine.limits.item_bytes) {
            Ok(body) => body,
            Err(why) => return HookAnswer::Malformed(why),
        };
        if lock(&engine.queue).len() >= engine.limits.backlog {
            return HookAnswer::TooMany;
        }
        let paused = watcher.state == AreaState::Paused;
        crate::crash::point("hook.before_record");
        let recorded = record(engine, source, (part, proof), &watchers, item.key, body).await;
        crate::crash::point("hook.recorded");
        match recorded {
            Ok(event) if paused => return HookAnswer::Dropped(event),
            Ok(event) => return HookAnswer::Accepted(event),
            Err(Refused::Duplicate(_)) => return HookAnswer::Duplicate,
            Err(Refused::Stale(_)) if tries < DECIDE_AGAIN => tries += 1,
            // The partition was lost, and this node does not know it yet: the new owner decides.
            Err(Refused::Lost) if ours => ours = false,
            // Also what the database refuses: not the sender's fault, and kept when somebody has mended what the log says.
            Err(_) => return HookAnswer::Away,
        }
    }
}

/// Whether a hook with this key exists: what a sender asks with HEAD before it sends (Trello).
pub async fn known(engine: &Arc<Engine>, key: &str) -> HookAnswer {
    let Some(area) = hook_key::verify(key, &engine.ring) else { return HookAnswer::Unknown };
    match engine.hook_target(area).await {
        Ok(Some(_)) => HookAnswer::Handshake(String::new()),
        Ok(None) => HookAnswer::Gone,
        Err(_) => HookAnswer::Away,
    }
}

fn context<'a>(params: &'a serde_json::Value, request: &Request<'a>, now: DateTime<Utc>) -> HookCx<'a> {
    HookCx {
        params,
        method: request.method,
        url: request.url,
        query: request.query,
        headers: request.headers,
        body: request.body,
        now,
    }
}

/// Records an item of a hook: decided here if the partition is ours, or appended for its owner.
async fn record(
    engine: &Arc<Engine>,
    source: SourceId,
    (part, proof): (i64, Option<Proof>),
    watchers: &Watchers,
    key: Option<String>,
    (body, text): (Arc<serde_json::Value>, String),
) -> Result<EventId, Refused> {
    let id = EventId(engine.ids.next());
    let key = key.filter(|_| !crate::crash::without("hook.key"));
    let mut event = NewEvent {
        id,
        source,
        fresh: key.is_none(),
        key: key.map_or_else(|| format!("#{id}"), |key| intake::clean(&key)),
        body: text,
        at: None,
        undecided: None,
        mark: None,
        only_area: None,
        depth: 0,
    };
    let Some(proof) = proof else {
        event.undecided = Some(part);
        engine.ledger.commit(Unit { events: vec![event], ..Unit::default() }).await?;
        engine.wake(Wake::Undecided { part }).await;
        return Ok(id);
    };
    let scene = Scene { fan_out: engine.limits.fan_out, ..Scene::new(proof, engine.clock.micros(), &engine.ids) };
    let arrival = Arrival::new(id, &body);
    let mut births = intake::decide(watchers, &[arrival], &scene, &|area| engine.open_runs_of(area));
    if births.mark.is_some() {
        (event.undecided, event.mark) = (Some(part), births.mark);
    }
    let unit = Unit { proof: Some(proof), events: vec![event], ..births.unit() };
    match engine.ledger.commit(unit).await {
        Ok(()) => {
            let more = births.mark.is_some();
            engine.take_births(births);
            if more {
                engine.wake(Wake::Undecided { part }).await;
            }
            Ok(id)
        }
        Err(refused) => {
            engine.plans.forget(source);
            Err(refused)
        }
    }
}

/// Decides the undecided events of a partition, if it is ours.
pub async fn decide_undecided(engine: &Arc<Engine>, part: i64) {
    let _one = engine.deciding.lock().await;
    let mut after = EventId(0);
    loop {
        let page = match work::undecided(&engine.db, part, after, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                return tracing::warn!(%error, part, "cannot read undecided events; the slow scan will find them");
            }
        };
        let Some(last) = page.last() else { return };
        after = last.id;
        for event in page {
            if let Err(refused) = decide_one(engine, part, &event).await {
                tracing::debug!(%refused, event = %event.id, "an event was not decided; the slow scan will find it");
                if matches!(refused, Refused::Lost | Refused::Away | Refused::Closed) {
                    return;
                }
            }
        }
    }
}

async fn decide_one(engine: &Arc<Engine>, part: i64, event: &work::Undecided) -> Result<(), Refused> {
    let body = Arc::new(serde_json::from_str(&event.body).unwrap_or_default());
    let (mut mark, mut tries) = (event.mark, 0);
    loop {
        let proof = engine.decides(part).ok_or(Refused::Lost)?;
        let (watchers, _turn) =
            engine.plans.decided_by(event.source_id, Some(proof)).await.map_err(|_| Refused::Away)?;
        let scene = Scene { fan_out: engine.limits.fan_out, ..Scene::new(proof, engine.clock.micros(), &engine.ids) };
        let arrival = Arrival {
            mark,
            only_area: event.only_area,
            direct: event.only_area.is_some(),
            ..Arrival::new(event.id, &body)
        };
        let mut births = intake::decide(&watchers, &[arrival], &scene, &|area| engine.open_runs_of(area));
        let rest: Option<AreaNo> = births.mark;
        let unit = Unit { proof: Some(proof), decided: vec![(event.id, rest)], ..births.unit() };
        match engine.ledger.commit(unit).await {
            Ok(()) => {
                crate::crash::point("native.decided");
                engine.take_births(births);
                if rest.is_none() {
                    return Ok(());
                }
                mark = rest;
            }
            Err(refused) => {
                engine.plans.forget(event.source_id);
                if !matches!(refused, Refused::Stale(_)) || tries >= DECIDE_AGAIN {
                    return Err(refused);
                }
                tries += 1;
            }
        }
    }
}

impl Engine {
    /// The source and partition of a hook's AREA; `None` when it was deleted.
    async fn hook_target(&self, area: AreaId) -> sqlx::Result<Option<(SourceId, i64)>> {
        if let Some(found) = self.hook_targets.get(&area) {
            return Ok(Some(found));
        }
        let found: Option<(SourceId, i64)> =
            on!(&self.db, pool => sqlx::query_as(TARGET).bind(area).fetch_optional(pool).await)?;
        if let Some(target) = found {
            self.hook_targets.insert(area, target);
        }
        Ok(found)
    }
}
