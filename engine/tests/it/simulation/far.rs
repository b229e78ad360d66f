//! The far side: a service whose answers wait until the simulation gives them. Everything that was asked, by whom, and what it was
//! told is kept here. One far side a thread, since a connector's functions are plain ones.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::clock::from_micros;
use engine::fault::Fault;
use engine::port::{
    About, ActionSpec, Boxed, Cadence, FeedKind, FeedSpec, Guarantee, HookCx, HookItem, HookRefusal, Item, Page,
    PollCx, ReactCx, Reacted, ReactionSpec, Service, Services, Verdict,
};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// Kinds of items.
pub const KINDS: [&str; 3] = ["a", "b", "c"];

/// Lists that grow by chance.
pub const LISTS: usize = 3;
/// The list that grows by one each time: a timer's.
pub const TICKS: usize = LISTS;
/// When it grows first.
pub const FIRST_TICK: i64 = (super::world::START / DAY + 2) * DAY + 9 * super::world::HOUR;
/// How often it grows.
pub const TICK_EVERY: i64 = 3 * DAY;
const DAY: i64 = 24 * super::world::HOUR;

/// What a call asked.
#[derive(Clone, Debug)]
pub enum Asked {
    Poll { list: usize, cursor: Option<usize>, since: bool },
    React { key: String, params: Value, repeated: bool },
}

enum Reply {
    Poll(oneshot::Sender<Result<Page, Fault>>),
    React(oneshot::Sender<Result<Reacted, Fault>>),
}

/// One reaction's call as it was received.
#[derive(Clone, Debug)]
pub struct Received {
    pub call: u64,
    pub key: String,
    pub bytes: String,
    /// It was said that an earlier call may have taken effect.
    pub repeated: bool,
}

/// An item of a list.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    pub id: i64,
    pub kind: &'static str,
}

pub struct Far {
    pub lists: Vec<Vec<Made>>,
    calls: BTreeMap<u64, (Asked, Reply)>,
    next: u64,
    /// No tick comes any more.
    pub over: bool,
    /// Received since it was looked at last.
    pub received: Vec<Received>,
}

thread_local! {
    static FAR: RefCell<Far> = RefCell::default();
}

/// Reads or changes the far side.
pub fn far<T>(body: impl FnOnce(&mut Far) -> T) -> T {
    FAR.with(|far| body(&mut far.borrow_mut()))
}

impl Default for Far {
    /// Empty lists, and nobody who asks.
    fn default() -> Self {
        Self { lists: vec![Vec::new(); LISTS + 1], calls: BTreeMap::new(), next: 0, over: false, received: Vec::new() }
    }
}

impl Far {
    /// The calls that wait for an answer; those whose caller has gone are forgotten.
    pub fn open(&mut self) -> Vec<(u64, Asked)> {
        self.calls.retain(|_, (_, reply)| match reply {
            Reply::Poll(tell) => !tell.is_closed(),
            Reply::React(tell) => !tell.is_closed(),
        });
        self.calls.iter().map(|(call, (asked, _))| (*call, asked.clone())).collect()
    }

    fn ask(&mut self, asked: Asked, reply: Reply) {
        self.next += 1;
        if let Asked::React { key, params, repeated } = &asked {
            let (call, key, bytes, repeated) = (self.next, key.clone(), params.to_string(), *repeated);
            self.received.push(Received { call, key, bytes, repeated });
        }
        self.calls.insert(self.next, (asked, reply));
    }

    pub fn answer_poll(&mut self, call: u64, answer: Result<Page, Fault>) {
        if let Some((_, Reply::Poll(tell))) = self.calls.remove(&call) {
            let _ = tell.send(answer);
        }
    }

    pub fn answer_react(&mut self, call: u64, answer: Result<Reacted, Fault>) {
        if let Some((_, Reply::React(tell))) = self.calls.remove(&call) {
            let _ = tell.send(answer);
        }
    }

    /// A page of at most `most` items after the cursor, with two that were given before, as overlapping windows do.
    pub fn page(&self, list: usize, cursor: Option<usize>, most: usize) -> Page {
        let all = &self.lists[list];
        let from = cursor.unwrap_or(0).saturating_sub(2).min(all.len());
        let to = (cursor.unwrap_or(0) + most).min(all.len());
        let items = all[from..to].iter().map(|made| Item { key: made.id.to_string(), body: body(*made), at: None });
        let cursor = (cursor != Some(to)).then(|| json!(to));
        Page { items: items.collect(), cursor, more: to < all.len(), answer: "200".into(), ..Page::default() }
    }
}

fn body(made: Made) -> Value {
    json!({"id": made.id, "kind": made.kind, "text": format!("t{}", made.id), "parts": [made.id, "x", "y"]})
}

/// What a sender sends.
pub fn hook_body(id: i64, kind: &str) -> String {
    json!({"id": id.to_string(), "kind": kind, "text": format!("t{id}"), "parts": [id, "x", "y"]}).to_string()
}

/// When the tick after the cursor comes.
fn next_tick(_: &Value, cursor: Option<&Value>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let seen = cursor.and_then(Value::as_i64);
    let Some(seen) = seen else { return Some(now) };
    let comes = far(|far| !far.over || (seen as usize) < far.lists[TICKS].len());
    comes.then(|| from_micros(FIRST_TICK + seen * TICK_EVERY))
}

fn gone<T>(_: T) -> Fault {
    Fault::maybe("the far side is gone")
}

fn poll(cx: PollCx<'_>) -> Boxed<'_, Result<Page, Fault>> {
    Box::pin(async move {
        let list = cx.params["list"].as_u64().unwrap_or_default() as usize;
        let cursor = cx.cursor.and_then(Value::as_u64).map(|seen| seen as usize);
        let (tell, told) = oneshot::channel();
        far(|far| far.ask(Asked::Poll { list, cursor, since: cx.since.is_some() }, Reply::Poll(tell)));
        told.await.map_err(gone)?
    })
}

fn react(cx: ReactCx<'_>) -> Boxed<'_, Result<Reacted, Fault>> {
    Box::pin(async move {
        if cx.slept_until.is_some_and(|until| until <= cx.now) {
            return Ok(Reacted::Done(json!({"echo": "slept"})));
        }
        let (tell, told) = oneshot::channel();
        let asked = Asked::React { key: cx.key.to_owned(), params: cx.params.clone(), repeated: cx.repeated };
        far(|far| far.ask(asked, Reply::React(tell)));
        told.await.map_err(gone)?
    })
}

fn receive(cx: HookCx<'_>) -> Result<HookItem, HookRefusal> {
    let body: Value = serde_json::from_slice(cx.body).map_err(|e| HookRefusal::Malformed(e.to_string()))?;
    Ok(HookItem { key: body["id"].as_str().map(str::to_owned), body })
}

fn select(data: &Value, item: &Value, _: Option<&Value>) -> Verdict {
    match data.get("only") {
        Some(only) if item["kind"] != *only => Verdict::Leave(format!("kind is {}", item["kind"])),
        _ => Verdict::Take,
    }
}

fn schema() -> Value {
    json!({"type": "object", "additionalProperties": true, "properties": {"list": {"type": "integer"}}})
}

static LIST: FeedSpec = FeedSpec {
    name: "list",
    kind: FeedKind::Polled {
        floor: Duration::from_secs(1),
        default: Duration::from_secs(3_600),
        cadence: Cadence::Interval,
        poll,
    },
};
static TICK: FeedSpec = FeedSpec {
    name: "ticks",
    kind: FeedKind::Polled {
        floor: Duration::from_secs(1),
        default: Duration::from_secs(3_600),
        cadence: Cadence::At(next_tick),
        poll,
    },
};
static HOOK: FeedSpec = FeedSpec { name: "hook", kind: FeedKind::Hook { receive } };

macro_rules! action {
    ($static:ident, $name:literal, $feed:ident, $params:expr) => {
        static $static: ActionSpec = ActionSpec {
            name: $name,
            title: "It",
            description: "It happens.",
            params: schema,
            sample_params: "{}",
            sample_event: r#"{"id":0,"kind":"a","text":"t0","parts":[]}"#,
            scopes: &[],
            about: About::NONE,
            feed: &$feed,
            feed_params: $params,
            select,
            view: None,
            check: |_| Vec::new(),
        };
    };
}
action!(NEW, "new", LIST, |data| json!({"list": data["list"]}));
action!(TICKED, "ticked", TICK, |data| json!({"list": data["list"]}));
action!(RECEIVED, "received", HOOK, Value::clone);

static SEND: ReactionSpec = ReactionSpec {
    name: "send",
    title: "Send",
    description: "Sends.",
    params: schema,
    sample_params: "{}",
    sample_output: "{}",
    scopes: &[],
    about: About::NONE,
    guarantee: Guarantee::AtLeastOnce,
    check: |_| Vec::new(),
    react,
};
static FAR_SIDE: Service = Service {
    name: "far",
    title: "Far",
    description: "The far side.",
    provider: None,
    options: &[],
    actions: &[&NEW, &TICKED, &RECEIVED],
    reactions: &[&SEND],
};

/// The list of services.
pub static SERVICES: Services = &[&FAR_SIDE];
