//! The feed of a mailbox: what Gmail's history says came in, or what a search finds that only Gmail can judge.
//!
//! Both work in two steps that meet in the cursor: ids are listed and put into `left`, oldest first; then mails are read from its front,
//! a batch a page. So a backlog comes in order, goes on where the quota stopped it, and nothing is listed twice. After a
//! resync the new history id is fetched before the mailbox is searched: what comes in between is found by both, and has one key.

use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use engine::port::{Page, PollCx};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::GMAIL;
use super::reading::{Pace, READS, Read, read};
use crate::call::{ApiCall, Caller, Reason, Refused};
use crate::seen::Seen;

static PROFILE: ApiCall = ApiCall::get(&GMAIL, "getProfile", "gmail/v1/users/me/profile").scopes(READS);
static HISTORY: ApiCall =
    ApiCall::get(&GMAIL, "history.list", "gmail/v1/users/me/history").units(2).scopes(READS).dead(&[404]);
static LIST: ApiCall = ApiCall::get(&GMAIL, "messages.list", "gmail/v1/users/me/messages").units(5).scopes(READS);

/// Entries of the history that are asked for at once.
const HISTORY_PAGE: usize = 100;
/// Pages of the history without an entry that are gone through for the next one with some.
const EMPTY_PAGES: usize = 50;
/// Mails that are listed at once: the most that Gmail gives.
const LIST_PAGE: usize = 500;
/// Mails that one search lists.
const SEARCH: usize = 1000;
/// Mails that a first poll reads.
const BASELINE: usize = 25;
/// How late a mail may come to be found by a search.
const LAG: TimeDelta = TimeDelta::hours(1);

/// What is remembered between polls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Cursor {
    /// Gmail's history id, as text: it is larger than numbers are.
    #[serde(skip_serializing_if = "String::is_empty")]
    history: String,
    /// A search only: the time of the newest mail that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    top: Option<DateTime<Utc>>,
    /// A search only: what it found lately. See [`Seen`].
    #[serde(skip_serializing_if = "String::is_empty")]
    seen: String,
    /// Listed and not yet read, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
    /// How they are read.
    #[serde(skip_serializing_if = "Pace::is_usual")]
    pace: Pace,
    /// The history goes on behind them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

/// One page: see the module.
///
/// # Errors
/// What Gmail says, and `Resync` where the cursor cannot be read.
pub async fn poll(cx: PollCx<'_>) -> Result<Page, Fault> {
    let query = cx.params["query"].as_str();
    let box_ = Mailbox { caller: Caller::poll(&cx)?, query };
    let known = cx.cursor.map(Cursor::deserialize).transpose();
    let known = known.map_err(|_| Fault::resync("the cursor cannot be read"))?;
    let mut found = match known.clone() {
        None => box_.begin(cx.since).await?,
        Some(cursor) if cursor.left.is_empty() => box_.listed(cursor).await?,
        Some(cursor) => Listed { cursor, gap: None },
    };
    let has_listed = known.as_ref().is_none_or(|cursor| cursor.left.is_empty());
    let read = match read(&box_.caller, &found.cursor.left, found.cursor.pace, &cx).await {
        // What was listed is kept: the next poll spends on reading alone, and so gets on.
        Err(Refused { reason: Reason::Busy(_), fault }) if has_listed => Read::put_off(&fault, found.cursor.pace),
        read => read?,
    };
    found.cursor.left.drain(..read.done);
    if cx.cursor.is_none() && cx.since.is_none() {
        // What is old stays old: it may not come in with a later poll.
        found.cursor.left.clear();
    }
    found.cursor.pace = if found.cursor.left.is_empty() { Pace::default() } else { read.pace };
    if query.is_some() {
        // A mail that was imported may be dated ahead: what comes until then would never be searched.
        let times = read.items.iter().filter_map(|item| item.at).map(|at| at.min(cx.now));
        found.cursor.top = times.chain(found.cursor.top).max();
    }
    let more = read.held.is_none() && (found.cursor.more || !found.cursor.left.is_empty());
    let answer = read.held.map_or_else(|| "200".to_owned(), |why| format!("200; the rest waits: {why}"));
    let moved = known.as_ref() != Some(&found.cursor);
    let gap = found.gap.or(read.gap);
    Ok(Page { items: read.items, cursor: moved.then(|| json!(found.cursor)), more, answer, gap })
}

struct Mailbox<'a> {
    caller: Caller<'a>,
    query: Option<&'a str>,
}

struct Listed {
    cursor: Cursor,
    gap: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    history_id: Text,
}

/// Ids are text; some servers write them as numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Number(u64),
}

impl Text {
    fn read(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct History {
    #[serde(default)]
    history: Vec<Entry>,
    history_id: Option<Text>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    id: Text,
    #[serde(default)]
    messages_added: Vec<Added>,
}

#[derive(Deserialize)]
struct Added {
    message: Stub,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stub {
    id: String,
    #[serde(default)]
    label_ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    #[serde(default)]
    messages: Vec<Stub>,
    next_page_token: Option<String>,
}

impl Mailbox<'_> {
    /// The first poll, or the one after a resync, which searches from `since`.
    async fn begin(&self, since: Option<DateTime<Utc>>) -> Result<Listed, Fault> {
        let history = match self.query {
            None => self.caller.json::<Profile>(&PROFILE.ask()).await?.history_id.read(),
            Some(_) => String::new(),
        };
        let mut cursor = Cursor { history, ..Cursor::default() };
        if let Some(since) = since {
            let (mut ids, cut) = self.search(Some(since - LAG), SEARCH).await?;
            ids.reverse();
            if self.query.is_some() {
                (cursor.top, cursor.seen) = (Some(since), seen(&ids).text());
            }
            let why = || format!("only the last {SEARCH} mails since {} could be searched", since.to_rfc3339());
            return Ok(Listed { gap: cut.then(why), cursor: Cursor { left: ids, ..cursor } });
        }
        let most = if self.query.is_some() { SEARCH } else { BASELINE };
        let (mut ids, _) = self.search(None, most).await?;
        if self.query.is_some() {
            (cursor.top, cursor.seen) = (Some(self.caller.now), seen(&ids).text());
        }
        ids.truncate(BASELINE);
        ids.reverse();
        Ok(Listed { cursor: Cursor { left: ids, ..cursor }, gap: None })
    }

    /// What is new, put into `left`.
    async fn listed(&self, cursor: Cursor) -> Result<Listed, Fault> {
        match self.query {
            None => self.history(cursor).await,
            Some(_) => self.found(cursor).await,
        }
    }

    /// One page of the history. Its entries are in order: the last one's id is where the next page begins, and needs no page token.
    async fn history(&self, mut cursor: Cursor) -> Result<Listed, Fault> {
        let page = self.entries(&cursor.history).await?;
        let last = page.history.last().map(|entry| match &entry.id {
            Text::Text(id) => id.clone(),
            Text::Number(id) => id.to_string(),
        });
        cursor.more = page.next_page_token.is_some();
        let next = if cursor.more { last } else { page.history_id.map(Text::read).or(last) };
        cursor.history = next.unwrap_or(cursor.history);
        for added in page.history.into_iter().flat_map(|entry| entry.messages_added) {
            // A draft has another id after each word; a chat is no mail.
            let is_mail = !added.message.label_ids.iter().any(|label| label == "DRAFT" || label == "CHAT");
            if is_mail && !cursor.left.contains(&added.message.id) {
                cursor.left.push(added.message.id);
            }
        }
        Ok(Listed { cursor, gap: None })
    }

    /// The first page of the history behind `start` with an entry, or the last one. Gmail gives pages without any that have a token
    /// all the same, and what is behind them is new (github.com/gauteh/lieer/issues/102).
    async fn entries(&self, start: &str) -> Result<History, Fault> {
        let ask = HISTORY.ask().query("startHistoryId", start).query("historyTypes", "messageAdded");
        let ask = ask.query("maxResults", HISTORY_PAGE);
        let mut page: History = self.caller.json(&ask).await?;
        for _ in 0..EMPTY_PAGES {
            page.next_page_token = page.next_page_token.filter(|token| !token.is_empty());
            match &page.next_page_token {
                Some(token) if page.history.is_empty() => {
                    page = self.caller.json(&ask.clone().query("pageToken", token)).await?;
                }
                _ => return Ok(page),
            }
        }
        Err(Fault::later(format!(
            "Gmail gave {EMPTY_PAGES} pages of its history without an entry, and more behind them"
        )))
    }

    /// What a search finds that it did not find before.
    async fn found(&self, mut cursor: Cursor) -> Result<Listed, Fault> {
        let from = cursor.top.map(|top| top - LAG);
        let (ids, cut) = self.search(from, SEARCH).await?;
        let old = Seen::read(&cursor.seen)?;
        cursor.left = ids.iter().rev().filter(|id| !old.has(id)).cloned().collect();
        if !cursor.left.is_empty() {
            cursor.seen = old.after(seen(&ids)).text();
        }
        let gap = cut.then(|| format!("more than {SEARCH} mails were found at once: the older ones are left out"));
        Ok(Listed { cursor, gap })
    }

    /// The ids of mails that came after `from`, newest first; whether there are more than `most`.
    async fn search(&self, from: Option<DateTime<Utc>>, most: usize) -> Result<(Vec<String>, bool), Fault> {
        let after = from.map(|from| format!("after:{}", from.timestamp()));
        let query = match (self.query, after) {
            (Some(query), Some(after)) => Some(format!("({query}) {after}")),
            (query, after) => query.map(str::to_owned).or(after),
        };
        // The history knows no folders; who searches, says which.
        let everywhere = self.query.is_none().then_some(true);
        let ask = LIST.ask().maybe("q", query).maybe("includeSpamTrash", everywhere);
        let (mut ids, mut token) = (Vec::new(), None::<String>);
        loop {
            let ask = ask.clone().query("maxResults", LIST_PAGE.min(most)).maybe("pageToken", token.as_deref());
            let page: List = self.caller.json(&ask).await?;
            ids.extend(page.messages.into_iter().map(|stub| stub.id));
            token = page.next_page_token.filter(|token| !token.is_empty());
            if token.is_none() || ids.len() >= most {
                let cut = token.is_some() || ids.len() > most;
                ids.truncate(most);
                return Ok((ids, cut));
            }
        }
    }
}

fn seen(ids: &[String]) -> Seen {
    let mut seen = Seen::default();
    for id in ids {
        seen.add(id);
    }
    seen
}

/// The feed's params: the query, where only Gmail can judge it.
pub fn params(query: Option<&str>) -> Value {
    match query {
        Some(query) => json!({ "query": query }),
        None => json!({}),
    }
}
