//! The action `http.new_item`: a list in JSON, and what appears in it.
//!
//! An item is known by its key alone; the keys are in the cursor (`seen`), so neither order nor dates are relied on, and an
//! item that vanishes and comes back is not new. `order` says how the list is written, so that events come oldest first:
//!
//! - `newest_first` (default; most APIs): pages are read until one of them holds nothing but what was known before.
//! - `oldest_first` and `unordered`: every page is read at every poll.
//!
//! One call reads at most [`PAGES_PER_CALL`] pages and hands on what it found; where there are more, the cursor holds the
//! place (`scan`) and the old keys until the end of the list or the old mark is met.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use engine::fault::Fault;
use engine::net::{Answer, Call, Trust, place, printable};
use engine::port::{About, ActionSpec, Cadence, FeedKind, FeedSpec, Invalid, Item, Page, PollCx, Verdict, params};
use reqwest::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::json::{check_pointer, key_of, take_list};
use super::paging::{self, Next};
use super::target::{Asking, Headers, check_url};
use crate::conditional::Known;
use crate::seen::Seen;

/// Pages that one call reads.
const PAGES_PER_CALL: usize = 5;
/// Pages that one scan reads, over all its calls.
const MAX_PAGES: u32 = 1000;
/// Items of one list. A longer list that is newest first is read up to here; another one is a fault.
const MAX_ITEMS: usize = 10_000;

/// A list in a JSON answer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewItem {
    /// The address that answers with the list, for example `https://example.com/api/orders`.
    #[schemars(length(min = 1, max = 8192), extend("x-guard" = true))]
    url: String,
    /// Where the list is in the answer: a JSON pointer. Empty for the whole answer.
    #[serde(default)]
    items: String,
    /// Where an item's key is in the item: a JSON pointer to a text or number that never changes and is there once.
    #[serde(default = "id")]
    key: String,
    /// How the list is written, so that events come oldest first.
    #[serde(default)]
    order: Order,
    /// How to ask.
    #[serde(default)]
    method: Asking,
    /// Headers to send, by name: credentials, `accept`.
    #[serde(default)]
    headers: Headers,
    /// What to send with a POST, as JSON unless `headers` name another `content-type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// How to find the next page: `link` for the header `Link: <…>; rel="next"`, or a JSON pointer to the next page's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// Where `next` points to a token and not to a URL: the query parameter that takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_param: Option<String>,
}

fn id() -> String {
    "/id".to_owned()
}

/// How a list is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Order {
    /// The newest item comes first: reading stops where everything is known.
    #[default]
    NewestFirst,
    /// The newest item comes last: all pages are read.
    OldestFirst,
    /// In any order: all pages are read.
    Unordered,
}

/// See the module.
pub static SPEC: ActionSpec = ActionSpec {
    name: "new_item",
    title: "A new item appears in a list",
    description: "Asks an address for a list in JSON and fires for every item whose key was not there before. The event is the item.",
    params: params::<NewItem>,
    sample_params: r#"{"url": "https://example.com/api/orders", "items": "/items", "key": "/id"}"#,
    sample_event: r#"{"id": 1042, "customer": "Ann", "total": 19.9}"#,
    scopes: &[],
    about: About::NONE,
    feed: &FEED,
    feed_params: |data| NewItem::deserialize(data).map_or_else(|_| data.clone(), |params| json!(params)),
    select: |_, _, _| Verdict::Take,
    view: None,
    check,
};

static FEED: FeedSpec = FeedSpec {
    name: "items",
    kind: FeedKind::Polled {
        floor: Duration::from_secs(1),
        default: Duration::from_secs(60),
        cadence: Cadence::Interval,
        poll: |cx| Box::pin(poll(cx)),
    },
};

fn check(data: &Value) -> Vec<Invalid> {
    let params = match NewItem::deserialize(data) {
        Ok(params) => params,
        Err(e) => return vec![Invalid::new("", e.to_string())],
    };
    let mut wrong: Vec<_> = check_url(&params.url).into_iter().collect();
    wrong.extend(check_pointer("/items", &params.items));
    wrong.extend(check_pointer("/key", &params.key));
    wrong.extend(paging::check(params.next.as_deref(), params.next_param.as_deref()));
    wrong.extend(params.method.check_body(params.body.as_deref()));
    wrong.extend(params.headers.check());
    wrong
}

/// What is remembered between polls.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Cursor<'a> {
    #[serde(default)]
    known: Known,
    /// See [`Seen`].
    #[serde(borrow, default)]
    seen: Cow<'a, str>,
    /// A scan that is not at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scan: Option<Saved>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Saved {
    /// The next page.
    next: String,
    /// The keys of the pages before it.
    keys: String,
    pages: u32,
    /// Of the first page.
    known: Known,
}

/// A list as it is being read.
struct Scan<'a> {
    params: &'a NewItem,
    /// The request for the first page.
    first: &'a Call,
    cursor: Option<&'a Cursor<'a>>,
    /// Known before this scan.
    old: Seen,
    /// Met in this scan, over all its calls.
    met: Seen,
    /// The keys of the page before.
    before: Vec<String>,
    pages: u32,
    /// Of the first page.
    known: Known,
    /// New in this call, in document order.
    items: Vec<Item>,
}

/// What follows a page.
enum Step {
    To(Url),
    End,
}

async fn poll(cx: PollCx<'_>) -> Result<Page, Fault> {
    let params = NewItem::deserialize(cx.params).map_err(|e| Fault::rejected(format!("http.new_item: {e}")))?;
    let cursor = cx.cursor.map(Cursor::deserialize).transpose();
    let cursor = cursor.map_err(|_| Fault::resync("the cursor cannot be read"))?;
    let first = params.method.call(&params.url, &params.headers, params.body.as_deref())?;
    let old = Seen::read(cursor.as_ref().map_or("", |cursor| &cursor.seen))?;
    let scan = Scan::new(&params, &first, cursor.as_ref(), old);
    match cursor.as_ref().and_then(|cursor| cursor.scan.as_ref()) {
        Some(saved) => scan.go_on(&cx, saved).await,
        None => scan.read_anew(&cx).await,
    }
}

impl<'a> Scan<'a> {
    fn new(params: &'a NewItem, first: &'a Call, cursor: Option<&'a Cursor<'a>>, old: Seen) -> Self {
        let (met, before, known, items) = Default::default();
        Self { params, first, cursor, old, met, before, pages: 0, known, items }
    }

    /// Reads on where the last call stopped. A place that is gone by now is no fault: the list is read from its start again.
    async fn go_on(mut self, cx: &PollCx<'_>, saved: &Saved) -> Result<Page, Fault> {
        self.met = Seen::read(&saved.keys)?;
        let to = Url::parse(&saved.next).map_err(|_| Fault::resync("the cursor's next page is no URL"))?;
        let answer = self.ask(cx, to).await?;
        if answer.status.is_client_error() && matches!(answer.fault(cx.now), Some(Fault::Rejected { .. })) {
            return self.read_anew(cx).await;
        }
        (self.pages, self.known) = (saved.pages, saved.known.clone());
        self.run(cx, answer).await
    }

    async fn read_anew(mut self, cx: &PollCx<'_>) -> Result<Page, Fault> {
        // Where later pages may change under an unchanged first one, the first one's validators say nothing.
        let telling = self.params.next.is_none() || self.params.order == Order::NewestFirst;
        let telling = telling && self.params.method == Asking::Get;
        let before = self.cursor.filter(|cursor| telling && cursor.scan.is_none());
        let call = match before {
            Some(cursor) => cursor.known.ask(self.first.clone())?,
            None => self.first.clone(),
        };
        let answer = cx.http.send(Trust::User, call, cx.now).await?;
        if answer.status.is_success() && telling {
            self.known = Known::of(&answer, cx.now);
        }
        match before {
            Some(cursor) if cursor.known.is_same(&answer, &self.known) => Ok(unchanged(cursor, &answer, self.known)),
            _ => self.run(cx, answer).await,
        }
    }

    /// Reads pages, beginning with `answer`, until the end or this call's share.
    async fn run(mut self, cx: &PollCx<'_>, mut answer: Answer) -> Result<Page, Fault> {
        let mut step = self.page(&answer, cx).map_err(|wrong| self.fault(wrong))?;
        for _ in 1..PAGES_PER_CALL {
            let Step::To(next) = step else { break };
            answer = self.ask(cx, next).await?;
            step = self.page(&answer, cx).map_err(|wrong| self.fault(wrong))?;
        }
        Ok(self.finish(step, &answer))
    }

    async fn ask(&self, cx: &PollCx<'_>, page: Url) -> Result<Answer, Fault> {
        let call = paging::turn(self.first, page, self.params.method.method())?;
        cx.http.send(Trust::User, call, cx.now).await
    }

    fn fault(&self, wrong: Wrong) -> Fault {
        match (wrong, self.cursor) {
            (Wrong::Fault(fault), _) => fault,
            // It never worked: nobody will mend it but the owner.
            (Wrong::Shape(why), None) => Fault::rejected(format!("{}: {why}", place(self.first.url()))),
            (Wrong::Shape(why), Some(_)) => Fault::later(format!("{}: {why}", place(self.first.url()))),
        }
    }

    fn page(&mut self, answer: &Answer, cx: &PollCx<'_>) -> Result<Step, Wrong> {
        if let Some(fault) = answer.fault(cx.now) {
            return Err(Wrong::Fault(fault));
        }
        self.pages += 1;
        let empty = answer.status == StatusCode::NO_CONTENT;
        if answer.status == StatusCode::NOT_MODIFIED {
            let why = "it says 304 though it was not asked whether anything changed";
            return Err(Wrong::Fault(Fault::later(format!("{}: {why}", place(&answer.url)))));
        }
        let body = if empty { json!([]) } else { answer.json().map_err(Wrong::Fault)? };
        let next = match Next::of(self.params.next.as_deref(), self.params.next_param.as_deref()) {
            Some(next) => next.find(answer, &body, self.first.url()).map_err(Wrong::Shape)?,
            None => None,
        };
        let list = take_list(body, if empty { "" } else { &self.params.items }).map_err(Wrong::Shape)?;
        let keys = self.keys(&list).map_err(Wrong::Shape)?;
        let all_known = !keys.is_empty() && keys.iter().all(|key| self.old.has(key));
        let repeated = !keys.is_empty() && keys == self.before;
        for (key, body) in keys.iter().zip(list) {
            if self.met.add(key) && !self.old.has(key) {
                self.items.push(Item { key: key.clone(), body, at: None });
            }
        }
        self.before = keys;
        let over = repeated || (all_known && self.params.order == Order::NewestFirst);
        self.step(next.filter(|next| !over && *next != answer.url))
    }

    /// The keys of a page's items.
    fn keys(&self, list: &[Value]) -> Result<Vec<String>, String> {
        let pointer = &self.params.key;
        let keys: Vec<_> =
            list.iter().enumerate().map(|(i, item)| key_of(item, pointer, i)).collect::<Result<_, _>>()?;
        let mut places = HashMap::with_capacity(keys.len());
        for (i, key) in keys.iter().enumerate() {
            if let Some(other) = places.insert(key, i) {
                let key = printable(key, 80);
                return Err(format!("items {other} and {i} have the same key `{key}` at `{pointer}`"));
            }
        }
        Ok(keys)
    }

    fn step(&self, next: Option<Url>) -> Result<Step, Wrong> {
        let newest_first = self.params.order == Order::NewestFirst;
        let many = self.met.len();
        match next {
            _ if many > MAX_ITEMS && !newest_first => {
                Err(Wrong::Shape(format!("the list has over {MAX_ITEMS} items; no more can be watched")))
            }
            Some(_) if self.pages >= MAX_PAGES => {
                Err(Wrong::Shape(format!("the list has over {MAX_PAGES} pages; no more can be watched")))
            }
            Some(next) if many <= MAX_ITEMS => Ok(Step::To(next)),
            _ => Ok(Step::End),
        }
    }

    fn finish(mut self, step: Step, answer: &Answer) -> Page {
        if self.params.order != Order::OldestFirst {
            self.items.reverse();
        }
        let pages = if self.pages > 1 { format!(", {} pages", self.pages) } else { String::new() };
        let text = format!("{}, {} items{pages}", answer.status.as_u16(), self.met.len());
        let seen = |cursor: &Cursor<'_>| Cow::Owned(cursor.seen.to_string());
        let (after, more) = match (step, self.cursor) {
            (Step::To(next), old) => {
                let scan = Saved { next: next.into(), keys: self.met.text(), pages: self.pages, known: self.known };
                let known = old.map(|old| old.known.clone()).unwrap_or_default();
                (Cursor { known, seen: old.map(seen).unwrap_or_default(), scan: Some(scan) }, true)
            }
            // Nothing new, or nothing at all: what is known stays as it is.
            (Step::End, Some(old)) if self.items.is_empty() && old.scan.is_none() => {
                (Cursor { known: self.known, seen: seen(old), scan: None }, false)
            }
            (Step::End, _) => {
                (Cursor { known: self.known, seen: self.old.after(self.met).text().into(), scan: None }, false)
            }
        };
        let moved = self.cursor != Some(&after);
        Page { items: self.items, cursor: moved.then(|| json!(after)), more, answer: text, gap: None }
    }
}

/// The list is the one that we know; only what to ask with may be new.
fn unchanged(cursor: &Cursor<'_>, answer: &Answer, known: Known) -> Page {
    let (text, moved) = match cursor.known.is_304(answer) {
        true => ("304 not modified", false),
        false => ("200, unchanged", known != cursor.known),
    };
    let after = || json!(Cursor { known, seen: Cow::Borrowed(&*cursor.seen), scan: None });
    Page { cursor: moved.then(after), answer: text.to_owned(), ..Page::default() }
}

/// Why a page cannot be used.
enum Wrong {
    Fault(Fault),
    /// The answer does not look as the params say.
    Shape(String),
}
