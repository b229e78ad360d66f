//! The feed of a mailbox: what Gmail's history says came in, or what a search finds that only Gmail can judge.
//!
//! Both work in two steps that meet in the cursor: ids are listed and put into `left`, oldest first; then mails are read from its front,
//! a batch a page. So a backlog comes in order, goes on where the quota stopped it, and nothing is listed twice. After a
//! resync the new history id is fetched before the mailbox is searched: what comes in between is found by both, and has one key.

use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use engine::net::Answer;
use engine::port::{Item, Page, PollCx};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::mail::Sent;
use super::{GMAIL, labels};
use crate::call::{ApiCall, Ask, Caller, Reason, Refused};
use crate::seen::Seen;

const READS: &[&str] = &["gmail.readonly"];
static PROFILE: ApiCall = ApiCall::get(&GMAIL, "getProfile", "gmail/v1/users/me/profile").scopes(READS);
static HISTORY: ApiCall =
    ApiCall::get(&GMAIL, "history.list", "gmail/v1/users/me/history").units(2).scopes(READS).dead(&[404]);
static LIST: ApiCall = ApiCall::get(&GMAIL, "messages.list", "gmail/v1/users/me/messages").units(5).scopes(READS);
static GET: ApiCall =
    ApiCall::get(&GMAIL, "messages.get", "gmail/v1/users/me/messages/{id}").units(20).scopes(READS).max_body(32 << 20);

/// Entries of the history that are asked for at once.
const HISTORY_PAGE: usize = 100;
/// Mails that are listed at once: the most that Gmail gives.
const LIST_PAGE: usize = 500;
/// Mails that one search lists.
const SEARCH: usize = 1000;
/// Mails that are read in one go.
const READ: usize = 25;
/// Mails that a first poll reads.
const BASELINE: usize = 25;
/// What is asked of each part of a mail whose text nobody uses.
const PART: &str = "partId,mimeType,filename,headers,body(attachmentId,size)";
/// Parts within parts of which the bytes are left out; what lies deeper comes whole.
const NESTED: usize = 5;
/// A mail but for the bytes of its parts, in the language of `fields` (developers.google.com/workspace/gmail/api/guides/performance).
static LEAN: LazyLock<String> = LazyLock::new(|| {
    let parts = (0..NESTED).fold("parts".to_owned(), |inner, _| format!("parts({PART},{inner})"));
    format!("id,threadId,labelIds,snippet,internalDate,sizeEstimate,payload({PART},{parts})")
});
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
    let read = match box_.read(&found.cursor.left, &cx).await {
        // What was listed is kept: the next poll spends on reading alone, and so gets on.
        Err(Refused { reason: Reason::Busy(_), fault }) if has_listed => Read::put_off(&fault),
        read => read?,
    };
    found.cursor.left.drain(..read.done);
    if cx.cursor.is_none() && cx.since.is_none() {
        // What is old stays old: it may not come in with a later poll.
        found.cursor.left.clear();
    }
    if query.is_some() {
        found.cursor.top = read.items.iter().filter_map(|item| item.at).chain(found.cursor.top).max();
    }
    let more = read.held.is_none() && (found.cursor.more || !found.cursor.left.is_empty());
    let answer = read.held.map_or_else(|| "200".to_owned(), |why| format!("200; the rest waits: {why}"));
    let moved = known.as_ref() != Some(&found.cursor);
    Ok(Page { items: read.items, cursor: moved.then(|| json!(found.cursor)), more, answer, gap: found.gap })
}

struct Mailbox<'a> {
    caller: Caller<'a>,
    query: Option<&'a str>,
}

struct Listed {
    cursor: Cursor,
    gap: Option<String>,
}

/// What was read of the mails that are left.
struct Read {
    items: Vec<Item>,
    done: usize,
    /// Why no more were.
    held: Option<String>,
}

impl Read {
    /// Nothing was read yet. Where it is known when to go on, whoever asks for the next page is told so.
    fn put_off(fault: &Fault) -> Self {
        let goes_on = fault.not_before().is_some();
        Self { items: Vec::new(), done: 0, held: (!goes_on).then(|| fault.why().to_owned()) }
    }
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
        let ask = HISTORY.ask().query("startHistoryId", &cursor.history).query("historyTypes", "messageAdded");
        let page: History = self.caller.json(&ask.query("maxResults", HISTORY_PAGE)).await?;
        let last = page.history.last().map(|entry| match &entry.id {
            Text::Text(id) => id.clone(),
            Text::Number(id) => id.to_string(),
        });
        cursor.more = page.next_page_token.is_some() && last.is_some();
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

    /// Reads mails from the front of `left`, with the names of their labels: the share has room for both, or for none. Who is gone
    /// meanwhile is passed over.
    async fn read(&self, left: &[String], cx: &PollCx<'_>) -> Result<Read, Refused> {
        if left.is_empty() {
            return Ok(Read { items: Vec::new(), done: 0, held: None });
        }
        let at_once = self.caller.api(&GMAIL)?.at_once(GET.units).saturating_sub(1).clamp(1, READ);
        let some = &left[..left.len().min(at_once)];
        let whole = cx.wants_large().await;
        let get = GET.ask().query("format", "full").maybe("fields", (!whole).then_some(LEAN.as_str()));
        let mut asks = vec![labels::LIST.ask()];
        asks.extend(some.iter().map(|id| get.clone().at("id", id)));
        // A batch that is refused as a whole is no word on each of its parts.
        let alone = async |ask: &Ask, answer: Result<Answer, Refused>| match answer {
            Err(refused) if refused.reason == Reason::Missing => self.caller.send(ask).await,
            answer => answer,
        };
        let mut answers = asks.iter().zip(self.caller.batch(&asks).await?);
        let Some((ask, answer)) = answers.next() else { return Err(Fault::later("a batch has no answers").into()) };
        let names = labels::read(&self.caller, &alone(ask, answer).await?)?;
        let (mut mails, mut done, mut held) = (Vec::new(), 0, None);
        for (ask, answer) in answers {
            let answer = alone(ask, answer).await;
            match answer {
                Ok(answer) => mails.push(self.caller.read::<Sent>(ask, &answer)?),
                Err(refused) if refused.reason == Reason::Missing => {}
                Err(refused) if done == 0 => return Err(refused),
                Err(refused) => {
                    held = Some(refused.fault.why().to_owned());
                    break;
                }
            }
            done += 1;
        }
        // Drafts are found by searches too.
        mails.retain(|mail| !mail.label_ids.iter().any(|label| label == "DRAFT" || label == "CHAT"));
        let item = |mail: Sent| {
            let (key, at) = (mail.id.clone(), mail.at());
            Item { key, at, body: json!(mail.event(&names, whole)) }
        };
        Ok(Read { items: mails.into_iter().map(item).collect(), done, held })
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
