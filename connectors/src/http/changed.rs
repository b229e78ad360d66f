//! The action `http.changed`: one thing at an address changes: the body, the status, or a value in the JSON.
//!
//! Changes are counted in the cursor, from the instant of its baseline: `start.count` is an event's key, the same when a poll
//! is repeated, and never that of another change, though a value may come back again and again.

use std::time::Duration;

use engine::fault::Fault;
use engine::net::{Answer, Trust, place};
use engine::port::{About, ActionSpec, Cadence, FeedKind, FeedSpec, Invalid, Item, Page, PollCx, Verdict, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::json::{check_pointer, found};
use super::target::{Asking, Headers, check_url};
use crate::conditional::Known;

/// Bytes of a watched value as JSON: it is in every event twice, and in the cursor.
const MAX_VALUE: usize = 64 << 10;

/// An address, and what of its answer is watched.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Changed {
    /// The address to ask, for example `https://example.com/status.json`.
    #[schemars(length(min = 1, max = 8192), extend("x-guard" = true))]
    url: String,
    /// What is watched: `body` (any change of it), `status`, or a JSON pointer to a value, like `/price`.
    #[serde(default = "body")]
    watch: String,
    /// How to ask.
    #[serde(default)]
    method: Asking,
    /// Headers to send, by name: credentials, `accept`.
    #[serde(default)]
    headers: Headers,
    /// What to send with a POST, as JSON unless `headers` name another `content-type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

fn body() -> String {
    "body".to_owned()
}

/// See the module.
pub static SPEC: ActionSpec = ActionSpec {
    name: "changed",
    title: "An address answers something else",
    description: "Fires when the body, the status or a value in the JSON of an address is another than at the last look. For the body the event has its SHA-256, else the values.",
    params: params::<Changed>,
    sample_params: r#"{"url": "https://example.com/product.json", "watch": "/price"}"#,
    sample_event: r#"{"previous": 19.9, "current": 17.5, "url": "https://example.com/product.json", "at": "2026-11-06T08:49:37Z"}"#,
    scopes: &[],
    about: About::NONE,
    feed: &FEED,
    feed_params: |data| Changed::deserialize(data).map_or_else(|_| data.clone(), |params| json!(params)),
    select: |_, _, _| Verdict::Take,
    view: None,
    check,
};

static FEED: FeedSpec = FeedSpec {
    name: "value",
    kind: FeedKind::Polled {
        floor: Duration::from_secs(1),
        default: Duration::from_secs(60),
        cadence: Cadence::Interval,
        poll: |cx| Box::pin(poll(cx)),
    },
};

fn check(data: &Value) -> Vec<Invalid> {
    let params = match Changed::deserialize(data) {
        Ok(params) => params,
        Err(e) => return vec![Invalid::new("", e.to_string())],
    };
    let mut wrong: Vec<_> = check_url(&params.url).into_iter().collect();
    if !matches!(&*params.watch, "body" | "status") && !params.watch.starts_with('/') {
        wrong.push(Invalid::new("/watch", "is `body`, `status` or a JSON pointer, like `/price`"));
    } else if params.watch.starts_with('/') {
        wrong.extend(check_pointer("/watch", &params.watch));
    }
    wrong.extend(params.method.check_body(params.body.as_deref()));
    wrong.extend(params.headers.check());
    wrong
}

/// What is remembered between polls.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Cursor {
    #[serde(flatten)]
    known: Known,
    value: Value,
    /// When it began, in microseconds.
    start: i64,
    /// Changes since.
    count: u64,
}

async fn poll(cx: PollCx<'_>) -> Result<Page, Fault> {
    let params = Changed::deserialize(cx.params).map_err(|e| Fault::rejected(format!("http.changed: {e}")))?;
    let cursor = cx.cursor.map(Cursor::deserialize).transpose();
    let cursor = cursor.map_err(|_| Fault::resync("the cursor cannot be read"))?;
    let mut call = params.method.call(&params.url, &params.headers, params.body.as_deref())?;
    let conditional = params.method == Asking::Get && params.watch != "status";
    if let Some(cursor) = cursor.as_ref().filter(|_| conditional) {
        call = cursor.known.ask(call)?;
    }
    let answer = cx.http.send(Trust::User, call, cx.now).await?;
    let known = if conditional { Known::of(&answer, cx.now) } else { Known::default() };
    if let Some(cursor) = cursor.as_ref().filter(|cursor| conditional && cursor.known.is_304(&answer)) {
        return Ok(quiet(cursor, cursor.known.clone(), "304 not modified".to_owned()));
    }
    let value = watched(&params, &answer, &cx)?;
    let text = answer.status.as_u16().to_string();
    Ok(match cursor {
        None => {
            let start = Cursor { known, value, start: cx.now.timestamp_micros(), count: 0 };
            Page { cursor: Some(json!(start)), answer: text, ..Page::default() }
        }
        Some(cursor) if cursor.value == value => quiet(&cursor, known, text),
        Some(cursor) => changed(&params, cursor, known, value, text, &cx),
    })
}

/// Nothing happened, except perhaps to what we ask with.
fn quiet(cursor: &Cursor, known: Known, answer: String) -> Page {
    let moved = known != cursor.known;
    let after = || json!(Cursor { known, value: cursor.value.clone(), start: cursor.start, count: cursor.count });
    Page { cursor: moved.then(after), answer, ..Page::default() }
}

fn changed(params: &Changed, cursor: Cursor, known: Known, value: Value, answer: String, cx: &PollCx<'_>) -> Page {
    let count = cursor.count + 1;
    let body = json!({ "previous": cursor.value, "current": value, "url": params.url, "at": cx.now });
    let item = Item { key: format!("{}.{count}", cursor.start), body, at: Some(cx.now) };
    let after = Cursor { known, value, start: cursor.start, count };
    Page { items: vec![item], cursor: Some(json!(after)), answer: format!("{answer}, changed"), ..Page::default() }
}

/// The value that is watched. A pointer that leads nowhere is null, but not at the first look: it may be misspelt.
fn watched(params: &Changed, answer: &Answer, cx: &PollCx<'_>) -> Result<Value, Fault> {
    if params.watch == "status" {
        return Ok(answer.status.as_u16().into());
    }
    if let Some(fault) = answer.fault(cx.now) {
        return Err(fault);
    }
    if params.watch == "body" {
        return Ok(format!("sha256:{}", hex::encode(Sha256::digest(&answer.body))).into());
    }
    let mut json = answer.json()?;
    let value = match json.pointer_mut(&params.watch) {
        Some(value) => value.take(),
        None if cx.cursor.is_some() => Value::Null,
        None => {
            let (place, what) = (place(&answer.url), found(&json));
            return Err(Fault::rejected(format!(
                "{place}: there is nothing at `{}`; the answer is {what}",
                params.watch
            )));
        }
    };
    match value.to_string().len() {
        0..=MAX_VALUE => Ok(value),
        n => Err(Fault::rejected(format!(
            "the value at `{}` has {n} bytes; at most {MAX_VALUE} can be watched",
            params.watch
        ))),
    }
}
