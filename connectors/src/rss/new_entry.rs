//! The action `rss.new_entry`: what appears in a feed. The keyword is a selection, so that AREAs with different words share
//! one poll.
//!
//! Some feeds give several entries one id. Each entry is therefore remembered by its id and by id and link: where an id is
//! there twice in one document the link tells them apart, and an entry that was known by its id alone stays known.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use engine::fault::Fault;
use engine::net::{Answer, Call, Trust, place};
use engine::port::{About, ActionSpec, Cadence, FeedKind, FeedSpec, Invalid, Item, Page, PollCx, Verdict, params};
use feed_rs::model::{Entry, Feed};
use reqwest::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{document, entry};
use crate::conditional::Known;
use crate::seen::Seen;

/// Entries of one document.
const MAX_ENTRIES: usize = 5000;
/// What we would like best.
const ACCEPT: &str =
    "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5";

/// A feed of the web.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewEntry {
    /// The feed's address, for example `https://example.com/feed.xml`.
    #[schemars(length(min = 1, max = 8192), extend("x-guard" = true))]
    url: String,
    /// Only entries that have this word or phrase in title, summary, content or categories; upper and lower case are the same.
    #[serde(default)]
    #[schemars(length(max = 200))]
    keyword: Option<String>,
}

/// See the module.
pub static SPEC: ActionSpec = ActionSpec {
    name: "new_entry",
    title: "A feed has a new entry",
    description: "Reads a feed (RSS, Atom or JSON Feed) and fires for every new entry, oldest first.",
    params: params::<NewEntry>,
    sample_params: r#"{"url": "https://example.com/feed.xml", "keyword": "release"}"#,
    sample_event: r#"{
        "id": "https://example.com/2026/11/release-2", "title": "Release 2.0", "link": "https://example.com/2026/11/release-2",
        "summary": "<p>What is <b>new</b>.</p>", "content": null, "text": "What is new.", "authors": ["Ann"],
        "categories": ["news"], "published": "2026-11-06T08:49:37Z", "updated": null,
        "enclosures": [{"url": "https://example.com/2.0.mp3", "type": "audio/mpeg", "length": 1234567}],
        "feed": {"title": "Example", "link": "https://example.com/"}
    }"#,
    scopes: &[],
    about: About::NONE,
    feed: &FEED,
    feed_params: |data| json!({ "url": data["url"] }),
    select,
    view: None,
    check,
};

static FEED: FeedSpec = FeedSpec {
    name: "entries",
    kind: FeedKind::Polled {
        floor: Duration::from_secs(1),
        default: Duration::from_secs(300),
        cadence: Cadence::Interval,
        poll: |cx| Box::pin(poll(cx)),
    },
};

fn check(data: &Value) -> Vec<Invalid> {
    let params = match NewEntry::deserialize(data) {
        Ok(params) => params,
        Err(e) => return vec![Invalid::new("", e.to_string())],
    };
    engine::net::parse_url(&params.url).err().map(|why| Invalid::new("/url", why)).into_iter().collect()
}

fn select(data: &Value, item: &Value, _: Option<&Value>) -> Verdict {
    let keyword = data["keyword"].as_str().map(str::trim).unwrap_or_default().to_lowercase();
    let has = |text: &Value| text.as_str().is_some_and(|text| text.to_lowercase().contains(&keyword));
    let texts = ["title", "summary", "content", "text"].into_iter().map(|name| &item[name]);
    let categories = item["categories"].as_array().into_iter().flatten();
    if keyword.is_empty() || texts.chain(categories).any(has) {
        return Verdict::Take;
    }
    Verdict::Leave(format!("`{keyword}` is in neither title, summary, content nor categories"))
}

/// What is remembered between polls.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Cursor<'a> {
    #[serde(default)]
    known: Known,
    /// See [`Seen`].
    #[serde(borrow, default)]
    seen: Cow<'a, str>,
}

async fn poll(cx: PollCx<'_>) -> Result<Page, Fault> {
    let url = cx.params["url"].as_str().unwrap_or_default();
    let cursor = cx.cursor.map(Cursor::deserialize).transpose();
    let cursor = cursor.map_err(|_| Fault::resync("the cursor cannot be read"))?;
    let mut call = Call::get(url)?.header("accept", ACCEPT)?;
    if let Some(cursor) = &cursor {
        call = cursor.known.ask(call)?;
    }
    let answer = cx.http.send(Trust::User, call, cx.now).await?;
    if let Some(cursor) = &cursor
        && cursor.known.is_304(&answer)
    {
        return Ok(Page { answer: "304 not modified".to_owned(), ..Page::default() });
    }
    if let Some(fault) = answer.fault(cx.now) {
        return Err(fault);
    }
    let known = Known::of(&answer, cx.now);
    if let Some(cursor) = cursor.as_ref().filter(|cursor| cursor.known.is_same(&answer, &known)) {
        let after = (known != cursor.known).then(|| json!(Cursor { known, seen: Cow::Borrowed(&*cursor.seen) }));
        return Ok(Page { cursor: after, answer: "200, unchanged".to_owned(), ..Page::default() });
    }
    let old = Seen::read(cursor.as_ref().map_or("", |cursor| &cursor.seen))?;
    read(&answer, known, cursor.as_ref(), &old).map_err(|why| {
        let why = format!("{}: {why}", place(&answer.url));
        // It never worked: nobody will mend it but the owner.
        if cursor.is_none() { Fault::rejected(why) } else { Fault::later(why) }
    })
}

/// The page of a document that is not the one we know.
fn read(answer: &Answer, known: Known, cursor: Option<&Cursor<'_>>, old: &Seen) -> Result<Page, String> {
    let feed = match answer.status {
        StatusCode::NO_CONTENT => None,
        _ => Some(document::read(answer)?),
    };
    let entries = feed.as_ref().map_or(0, |feed| feed.entries.len());
    if entries > MAX_ENTRIES {
        return Err(format!("the feed has {entries} entries; at most {MAX_ENTRIES} can be watched"));
    }
    let (items, met) = feed.map(|feed| fresh(&feed, old)).unwrap_or_default();
    let seen: Cow<'_, str> = match cursor {
        // Nothing new, or nothing at all: what is known stays as it is.
        Some(cursor) if items.is_empty() => Cow::Borrowed(&*cursor.seen),
        _ => old.after(met).text().into(),
    };
    let after = Cursor { known, seen };
    let moved = cursor != Some(&after);
    let text = format!("{}, {entries} entries", answer.status.as_u16());
    Ok(Page { items, cursor: moved.then(|| json!(after)), answer: text, ..Page::default() })
}

/// What is new in a feed, oldest first, and all that it holds.
fn fresh(feed: &Feed, old: &Seen) -> (Vec<Item>, Seen) {
    let mut times: HashMap<String, u32> = HashMap::with_capacity(feed.entries.len());
    for entry in &feed.entries {
        *times.entry(entry::key(entry)).or_default() += 1;
    }
    let mut met = Seen::default();
    let mut new: Vec<(String, &Entry)> = Vec::new();
    for entry in &feed.entries {
        let (plain, with_link) = (entry::key(entry), entry::key_with_link(entry));
        let shared = times.get(&plain).is_some_and(|&n| n > 1);
        let is_known = old.has(&with_link) || (!shared && old.has(&plain));
        met.add(&plain);
        if met.add(&with_link) && !is_known {
            new.push((if shared { with_link } else { plain }, entry));
        }
    }
    // By their dates if they all have one, else by their place: feeds begin with the newest.
    new.reverse();
    if new.iter().all(|(_, entry)| entry::when(entry).is_some()) {
        new.sort_by_key(|(_, entry)| entry::when(entry));
    }
    (new.into_iter().map(|(key, entry)| entry::item(key, feed, entry)).collect(), met)
}
