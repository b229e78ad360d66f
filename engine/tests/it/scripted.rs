//! A service whose feeds and reactions do what a test says: the only part of a node that is not the production's.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use engine::fault::Fault;
use engine::port::{
    About, ActionSpec, Boxed, Cadence, FeedKind, FeedSpec, Guarantee, HookCx, HookItem, HookRefusal, Item, Page,
    PollCx, ReactCx, Reacted, ReactionSpec, Service, Services, Verdict,
};
use serde_json::{Value, json};
use tokio::sync::watch;

/// What the world is like for one test, by its name.
#[derive(Debug, Default)]
pub struct World {
    /// What the list holds now, oldest first.
    pub items: Vec<Value>,
    /// Faults that the next polls meet.
    pub faults: Vec<Fault>,
    /// There is a page behind the next one, and who asks for it is told to wait so long.
    pub behind: Option<chrono::TimeDelta>,
    /// Faults that the next calls meet.
    pub refusals: Vec<Fault>,
    /// What the next answer says that it could not search.
    pub gap: Option<String>,
    /// Where the polls after a resync were told to search from.
    pub searched: Vec<chrono::DateTime<chrono::Utc>>,
    /// What was received: key and params.
    pub received: Vec<(String, Value)>,
    /// Of each, whether an earlier call of that step may have taken effect.
    pub repeated: Vec<bool>,
    /// Polls so far.
    pub polls: u32,
    /// Whether what is large was wanted, of each poll that had items.
    pub wanted: Vec<bool>,
    /// What the next poll waits for, once it has asked what is wanted.
    pub slow: Option<watch::Receiver<bool>>,
    /// Calls that were received wait until it is open.
    pub gate: Option<watch::Receiver<bool>>,
}

static WORLDS: LazyLock<Mutex<HashMap<String, World>>> = LazyLock::new(Mutex::default);

/// Changes or reads a world.
pub fn world<T>(name: &str, body: impl FnOnce(&mut World) -> T) -> T {
    body(WORLDS.lock().unwrap().entry(name.to_owned()).or_default())
}

fn name(params: &Value) -> String {
    params["world"].as_str().unwrap_or_default().to_owned()
}

fn schema() -> Value {
    json!({
        "type": "object", "required": ["world"], "additionalProperties": true,
        "properties": {"world": {"type": "string", "description": "Which world."}}
    })
}

/// A list whose cursor is how many items were seen. An item's `whole` is large.
fn poll(cx: PollCx<'_>) -> Boxed<'_, Result<Page, Fault>> {
    Box::pin(async move {
        let mut page = list(&cx)?;
        if page.items.is_empty() {
            return Ok(page);
        }
        let wanted = cx.wants_large().await;
        for item in page.items.iter_mut().filter(|_| !wanted) {
            item.body.as_object_mut().unwrap().remove("whole");
        }
        let slow = world(&name(cx.params), |world| {
            world.wanted.push(wanted);
            world.slow.take()
        });
        if let Some(mut slow) = slow {
            let _ = slow.wait_for(|open| *open).await;
        }
        Ok(page)
    })
}

fn list(cx: &PollCx<'_>) -> Result<Page, Fault> {
    world(&name(cx.params), |world| {
        world.polls += 1;
        world.searched.extend(cx.since);
        if !world.faults.is_empty() {
            return Err(world.faults.remove(0));
        }
        let seen = cx.cursor.and_then(Value::as_u64).unwrap_or(0) as usize;
        // Two items are given again, as overlapping windows do.
        let from = seen.saturating_sub(2).min(world.items.len());
        let items = world.items[from..].iter().map(|body| Item {
            key: body["id"].to_string(),
            body: body.clone(),
            at: body["at"].as_str().map_or(Some(cx.now), |at| at.parse().ok()),
        });
        let cursor = (world.items.len() != seen || cx.cursor.is_none()).then(|| json!(world.items.len()));
        let items = items.collect();
        let (gap, behind) = (world.gap.take(), world.behind.take());
        let wait = |wait| Fault::Later { not_before: Some(cx.now + wait), why: "slowly".into(), maybe_done: false };
        world.faults.extend(behind.map(wait));
        Ok(Page { items, cursor, more: behind.is_some(), answer: "200".into(), gap })
    })
}

fn receive(cx: HookCx<'_>) -> Result<HookItem, HookRefusal> {
    let body: Value = serde_json::from_slice(cx.body).map_err(|e| HookRefusal::Malformed(e.to_string()))?;
    Ok(HookItem { key: body["id"].as_str().map(str::to_owned), body })
}

fn react(cx: ReactCx<'_>) -> Boxed<'_, Result<Reacted, Fault>> {
    Box::pin(async move {
        let name = name(cx.params);
        let gate = world(&name, |world| {
            world.received.push((cx.key.to_owned(), cx.params.clone()));
            world.repeated.push(cx.repeated);
            world.gate.clone()
        });
        if let Some(mut gate) = gate {
            let _ = gate.wait_for(|open| *open).await;
        }
        world(&name, |world| match world.refusals.is_empty() {
            true => Ok(Reacted::Done(json!({"echo": cx.params["text"]}))),
            false => Err(world.refusals.remove(0)),
        })
    })
}

fn select(data: &Value, item: &Value, _: Option<&Value>) -> Verdict {
    match data.get("only") {
        Some(only) if item["kind"] != *only => Verdict::Leave(format!("kind is {}, not {only}", item["kind"])),
        _ => Verdict::Take,
    }
}

static LIST: FeedSpec = FeedSpec {
    name: "list",
    kind: FeedKind::Polled {
        floor: Duration::from_secs(1),
        default: Duration::from_secs(60),
        cadence: Cadence::Interval,
        poll,
    },
};
static HOOK: FeedSpec = FeedSpec { name: "hook", kind: FeedKind::Hook { receive } };
static CHANGES: FeedSpec = FeedSpec { name: "changes", kind: FeedKind::Native };

macro_rules! action {
    ($static:ident, $name:literal, $feed:ident, $params:expr) => {
        static $static: ActionSpec = ActionSpec {
            name: $name,
            title: "It",
            description: "It happens.",
            params: schema,
            sample_params: r#"{"world":"w"}"#,
            sample_event: r#"{"id":0,"kind":"sample","text":"a sample"}"#,
            scopes: &[],
            about: About { large: &["whole"], ..About::NONE },
            feed: &$feed,
            feed_params: $params,
            select,
            view: Some(|data, event| event["seen_in"] = data["zone"].clone()),
            check: |_| Vec::new(),
        };
    };
}
action!(NEW, "new", LIST, |data| json!({"world": data["world"]}));
action!(RECEIVED, "received", HOOK, Value::clone);
action!(RUN_FAILED, "run_failed", CHANGES, |_| json!({}));

static SEND: ReactionSpec = ReactionSpec {
    name: "send",
    title: "Send",
    description: "Sends.",
    params: schema,
    sample_params: r#"{"world":"w"}"#,
    sample_output: "{}",
    scopes: &[],
    about: About::NONE,
    guarantee: Guarantee::AtLeastOnce,
    check: |_| Vec::new(),
    react,
};
static SCRIPT: Service = Service {
    name: "script",
    title: "Script",
    description: "Does what a test says.",
    provider: None,
    options: &[],
    actions: &[&NEW, &RECEIVED],
    reactions: &[&SEND],
};
static AREA: Service = Service {
    name: "area",
    title: "AREA",
    description: "The owner's own AREAs.",
    provider: None,
    options: &[],
    actions: &[&RUN_FAILED],
    reactions: &[],
};

/// The list of services.
pub static SERVICES: Services = &[&SCRIPT, &AREA];
