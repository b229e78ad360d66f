//! Services that exist for the tests of this folder alone, and what the tests share.

mod apply;
mod checking;
mod desk;
mod reseal;
mod secrets;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Desk;
use crate::clock::{Clock, from_micros};
use crate::ids::{IdGen, UserId};
use crate::net::{Http, NetConfig};
use crate::port::{
    About, ActionSpec, Cadence, FeedKind, FeedSpec, Guarantee, HookItem, Invalid, Page, Reacted, ReactionSpec, Service,
    Services, Verdict, params,
};
use crate::store::people::{self, NewUser};
use crate::testkit::TestDb;
use crate::vault::KeyRing;

/// Where the tests' clock begins.
pub const START: i64 = 1_800_000_000_000_000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Watch {
    /// What is watched.
    #[schemars(extend("x-guard" = true))]
    url: String,
    /// Where the items are.
    #[serde(default)]
    items: String,
    /// Only items of this kind.
    #[serde(default)]
    only: Option<String>,
    /// Sent along.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    headers: BTreeMap<String, String>,
    #[serde(default = "ten")]
    size: u32,
    #[serde(default)]
    verify: Verify,
}

fn ten() -> u32 {
    10
}

#[derive(Default, serde::Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Verify {
    /// Not at all.
    #[default]
    None,
    /// By a token.
    Token {
        /// The token.
        #[schemars(extend("writeOnly" = true), length(min = 3))]
        token: String,
        /// Its header.
        #[serde(default = "header")]
        header: String,
    },
}

fn header() -> String {
    "x-token".into()
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Send {
    /// Where to.
    #[schemars(extend("x-guard" = true))]
    url: String,
    #[serde(default)]
    method: Method,
    /// Sent along.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    json: Value,
    #[serde(default)]
    times: Option<u32>,
}

#[derive(Default, serde::Serialize, Deserialize, JsonSchema)]
enum Method {
    #[default]
    #[serde(rename = "POST")]
    Post,
    #[serde(rename = "PUT")]
    Put,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Say {
    /// What to say.
    text: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Empty {}

const POLLED: FeedKind = FeedKind::Polled {
    floor: Duration::from_secs(5),
    default: Duration::from_secs(60),
    cadence: Cadence::Interval,
    poll: |_| Box::pin(async { Ok(Page::default()) }),
};
static ITEMS: FeedSpec = FeedSpec { name: "items", kind: POLLED };
static MAIL: FeedSpec = FeedSpec { name: "mail", kind: POLLED };
static TICKS: FeedSpec = FeedSpec {
    name: "ticks",
    kind: FeedKind::Polled {
        floor: Duration::ZERO,
        default: Duration::ZERO,
        cadence: Cadence::At(|_, _, _| None),
        poll: |_| Box::pin(async { Ok(Page::default()) }),
    },
};
static REQUESTS: FeedSpec =
    FeedSpec { name: "requests", kind: FeedKind::Hook { receive: |_| Ok(HookItem { key: None, body: Value::Null }) } };
static EVENTS: FeedSpec = FeedSpec { name: "events", kind: FeedKind::Native };

const NEW_ITEM: ActionSpec = ActionSpec {
    name: "new_item",
    title: "A new item appears",
    description: "For tests.",
    params: params::<Watch>,
    sample_params: "{}",
    sample_event: "{}",
    scopes: &[],
    about: About::NONE,
    feed: &ITEMS,
    feed_params: |data| json!({"url": data["url"], "items": data["items"], "headers": data["headers"]}),
    select: |_, _, _| Verdict::Take,
    view: None,
    check: |data| match data["items"].as_str() {
        Some("bad") => vec![Invalid::new("/items", "must be a JSON pointer")],
        _ => Vec::new(),
    },
};
static NEW: ActionSpec = NEW_ITEM;
static MAILED: ActionSpec =
    ActionSpec { name: "mailed", params: params::<Empty>, feed: &MAIL, feed_params: |_| json!({}), ..NEW_ITEM };
static TICK: ActionSpec =
    ActionSpec { name: "tick", params: params::<Say>, feed: &TICKS, feed_params: Value::clone, ..NEW_ITEM };
static RECEIVED: ActionSpec = ActionSpec { name: "received", params: params::<Watch>, feed: &REQUESTS, ..NEW_ITEM };
static PAUSED: ActionSpec = ActionSpec { name: "paused", params: params::<Empty>, feed: &EVENTS, ..NEW_ITEM };

const SENT: ReactionSpec = ReactionSpec {
    name: "request",
    title: "Send a request",
    description: "For tests.",
    params: params::<Send>,
    sample_params: "{}",
    sample_output: "{}",
    scopes: &[],
    about: About::NONE,
    guarantee: Guarantee::AtLeastOnce,
    check: |_| Vec::new(),
    react: |_| Box::pin(async { Ok(Reacted::Done(Value::Null)) }),
};
static REQUEST: ReactionSpec = SENT;
static WRITE: ReactionSpec = ReactionSpec { name: "write", params: params::<Say>, ..SENT };

const HTTP: Service = Service {
    name: "http",
    title: "HTTP",
    description: "For tests.",
    provider: None,
    options: &[],
    actions: &[&NEW, &TICK, &RECEIVED, &PAUSED],
    reactions: &[&REQUEST, &WRITE],
};
static WEB: Service = HTTP;
static POST: Service =
    Service { name: "post", provider: Some("google"), actions: &[&MAILED], reactions: &[&WRITE], ..HTTP };

/// The services.
pub const SERVICES: Services = &[&WEB, &POST];

/// A client that refuses private addresses.
pub fn http() -> Http {
    Http::new(NetConfig::default()).unwrap()
}

/// A desk over a test's database, and a user.
pub async fn desk(t: &TestDb) -> (Desk, UserId) {
    let clock = Clock::manual(from_micros(START));
    let ids = Arc::new(IdGen::new(clock.clone(), 1, 0));
    let ring = KeyRing::generate().unwrap();
    let desk = Desk { db: t.db.clone(), services: SERVICES, ring, http: http(), providers: Arc::new([]), clock, ids };
    (desk, user(t, "ann@example.org").await)
}

/// Another user.
pub async fn user(t: &TestDb, email: &str) -> UserId {
    people::create(&t.db, &NewUser { email, ..Default::default() }, from_micros(START)).await.unwrap().id
}

/// A document that is right.
pub fn area() -> Value {
    json!({
        "name": "News",
        "action": {"service": "http", "name": "new_item", "data": {"url": "https://example.com/feed"}},
        "reactions": [{"service": "http", "name": "write", "data": {"text": "{{ event.title }}"}}],
    })
}

/// `area` with `value` at `pointer`, which must have a parent.
pub fn with(pointer: &str, value: Value) -> Value {
    put(area(), pointer, value)
}

/// `document` with `value` at `pointer`.
pub fn put(mut document: Value, pointer: &str, value: Value) -> Value {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Array(items) => match member.parse::<usize>().unwrap() {
            at if at < items.len() => items[at] = value,
            _ => items.push(value),
        },
        members => members[member] = value,
    }
    document
}
