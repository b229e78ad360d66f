//! An entry's key, and the event that is made of it.

use chrono::{DateTime, Utc};
use engine::port::Item;
use feed_rs::model::{Entry, Feed, Link, Text};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::html;

/// Bytes of a key; a longer one is known by its hash.
const MAX_KEY: usize = 200;

/// How an entry is known: by its id, else its link, else a hash of what it says.
pub fn key(entry: &Entry) -> String {
    let id = entry.id.trim();
    let key = match link(&entry.links) {
        _ if !id.is_empty() => id.to_owned(),
        Some(link) => link.to_owned(),
        None => {
            let title = entry.title.as_ref().map_or("", |t| &t.content);
            let said = entry.summary.as_ref().map(|t| &*t.content);
            let said = said.or_else(|| entry.content.as_ref().and_then(|c| c.body.as_deref()));
            hashed(&format!("{title}\n{}", said.unwrap_or_default()))
        }
    };
    if key.len() > MAX_KEY { hashed(&key) } else { clean(&key) }
}

/// How an entry is known beside others that bear the same id: with its link.
pub fn key_with_link(entry: &Entry) -> String {
    hashed(&format!("{}\n{}", key(entry), link(&entry.links).unwrap_or_default()))
}

fn hashed(text: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(text)))
}

/// The item of an entry.
pub fn item(key: String, feed: &Feed, entry: &Entry) -> Item {
    let summary = entry.summary.as_ref().map(|t| clean(&t.content));
    let content = entry.content.as_ref().and_then(|c| c.body.as_deref()).map(clean);
    let text = content.as_ref().or(summary.as_ref()).map(|text| html::text(text));
    let body = json!({
        "id": key,
        "title": entry.title.as_ref().map(plain),
        "link": link(&entry.links).map(clean),
        "summary": summary,
        "content": content,
        "text": text,
        "authors": entry.authors.iter().filter_map(|a| a.name.as_deref().or(a.email.as_deref())).map(clean).collect::<Vec<_>>(),
        "categories": entry.categories.iter().map(|c| clean(c.label.as_deref().unwrap_or(&c.term))).collect::<Vec<_>>(),
        "published": entry.published,
        "updated": entry.updated,
        "enclosures": enclosures(entry),
        "feed": { "title": feed.title.as_ref().map(plain), "link": link(&feed.links).map(clean) },
    });
    Item { key, body, at: when(entry) }
}

/// When an entry came out.
pub fn when(entry: &Entry) -> Option<DateTime<Utc>> {
    entry.published.or(entry.updated)
}

/// The page that an entry is about: not the feed itself, not a file.
fn link(links: &[Link]) -> Option<&str> {
    let wanted = |rel: Option<&str>| links.iter().find(|link| link.rel.as_deref() == rel).map(|link| &*link.href);
    wanted(Some("alternate")).or_else(|| wanted(None)).filter(|href| !href.is_empty())
}

fn enclosures(entry: &Entry) -> Vec<Value> {
    let links = entry.links.iter().filter(|link| link.rel.as_deref() == Some("enclosure"));
    let links = links.map(|link| json!({ "url": clean(&link.href), "type": link.media_type, "length": link.length }));
    let media = entry.media.iter().flat_map(|media| &media.content).filter_map(|content| {
        let kind = content.content_type.as_ref().map(ToString::to_string);
        Some(json!({ "url": content.url.as_ref()?.as_str(), "type": kind, "length": content.size }))
    });
    links.chain(media).collect()
}

/// A title: text, whatever it was written in.
fn plain(text: &Text) -> String {
    match text.content_type.subty().as_str() {
        "html" | "xhtml" => html::text(&text.content),
        _ => clean(&text.content),
    }
}

fn clean(text: &str) -> String {
    text.trim().replace('\0', "\u{FFFD}")
}
