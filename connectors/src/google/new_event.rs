//! The action `google.new_event`: what Google says has changed in a calendar, and of that what was never there before. The ids of all
//! that is there are in the cursor, because an event comes again with each change. Of a series that is the series' id, whether the
//! series itself is listed or only days of it: who is invited to one day never sees the rest.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use engine::port::{About, ActionSpec, Cadence, FeedKind, FeedSpec, Item, Page, PollCx, Verdict, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::calendars::{FIELDS, Happening, List, SAMPLE, lacks};
use super::create_event::primary;
use super::{CALENDAR, TRIED_FAKE};
use crate::call::{ApiCall, Caller, Reason};
use crate::seen::Seen;

static ALL: ApiCall =
    ApiCall::get(&CALENDAR, "events.list", "calendars/{calendar}/events").scopes(SPEC.scopes).max_body(BODY);
static CHANGES: ApiCall = ApiCall::get(&CALENDAR, "events.list", "calendars/{calendar}/events")
    .scopes(SPEC.scopes)
    .max_body(BODY)
    .dead(&[410]);

/// Events of a page.
const LIMIT: usize = 1000;
/// Bytes of a page.
const BODY: usize = 8 << 20;
/// Events that a first poll gives: the newest of its first page.
const BASELINE: usize = 250;
/// Ids that a cursor holds, the latest. Of a calendar with more, events are new that were made since the first poll.
pub(super) const KNOWN: usize = 20_000;
/// How late an event may come in after it was made, where only its time tells.
const LAG: TimeDelta = TimeDelta::hours(1);

/// Which events.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Filter {
    /// The calendar; the account's own where it is left out.
    #[serde(default = "primary")]
    #[schemars(length(min = 1), extend("x-options" = "calendar"), example = &"primary")]
    calendar: String,
    /// Only events that have these words in their title, description or place. All where it is left out.
    #[serde(default)]
    #[schemars(example = &"review")]
    search: String,
}

/// See the module.
pub static SPEC: ActionSpec = ActionSpec {
    name: "new_event",
    title: "An event is added",
    description: "Fires for each event that comes into a calendar, by whomever it was made; for a series once, also where you are \
        invited to single days of it.",
    params: params::<Filter>,
    sample_params: r#"{"calendar": "primary", "search": "review"}"#,
    sample_event: SAMPLE,
    scopes: &["calendar.events.readonly"],
    about: About { cost: "1 call a poll", tried: TRIED_FAKE, gives: Some(params::<Happening>), large: &[] },
    feed: &FEED,
    feed_params: |data| json!({ "calendar": Filter::deserialize(data).map_or_else(|_| primary(), |it| it.calendar) }),
    select: |data, event, _| {
        let words = Filter::deserialize(data).map(|filter| filter.search).unwrap_or_default();
        lacks(event, &words).map_or(Verdict::Take, Verdict::Leave)
    },
    view: None,
    check: |_| Vec::new(),
};

static FEED: FeedSpec = FeedSpec {
    name: "events",
    kind: FeedKind::Polled {
        floor: Duration::from_secs(15),
        default: Duration::from_secs(60),
        cadence: Cadence::Interval,
        poll: |cx| Box::pin(poll(cx)),
    },
};

/// What is remembered between polls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cursor<'a> {
    /// From the last page alone: Google gives it only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    sync: Option<Cow<'a, str>>,
    /// The page that is next.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<String>,
    /// From when on events are new where their ids do not tell.
    from: DateTime<Utc>,
    /// Ids do not tell: all of what is listed may be old.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    by_time: bool,
    /// What is there. See [`Seen`].
    #[serde(borrow)]
    seen: Cow<'a, str>,
}

async fn poll(cx: PollCx<'_>) -> Result<Page, Fault> {
    let calendar = cx.params["calendar"].as_str().unwrap_or("primary");
    let caller = Caller::poll(&cx)?;
    let known = cx.cursor.map(Cursor::deserialize).transpose();
    let known = known.map_err(|_| Fault::resync("the cursor cannot be read"))?;
    let from = cx.since.map_or(cx.now, |since| since.checked_sub_signed(LAG).unwrap_or(since));
    let cursor =
        known.clone().unwrap_or(Cursor { sync: None, page: None, from, by_time: cx.since.is_some(), seen: "".into() });
    let call = if cursor.sync.is_some() { &CHANGES } else { &ALL };
    let ask = call.ask().at("calendar", calendar).query("maxResults", LIMIT).query("fields", FIELDS);
    let ask = ask.maybe("syncToken", cursor.sync.as_deref()).maybe("pageToken", cursor.page.as_deref());
    let mut list: List = match caller.json(&ask).await {
        Ok(list) => list,
        // The place in the list is good for a while only.
        Err(refused) if cursor.page.is_some() && refused.reason == Reason::Wrong => {
            return Err(Fault::resync(refused.fault.why()));
        }
        Err(refused) => return Err(refused.fault),
    };
    // The first poll gives its first page, which fires for nobody; what is behind it is only known.
    let (is_first, is_full) = (known.is_none() && cx.since.is_none(), cursor.sync.is_none());
    list.items.retain(|sent| !sent.is_off());
    // Where a series is listed, it is told, and not a day of it.
    list.items.sort_by_key(|sent| sent.recurring_event_id.is_some());
    // Most polls find nothing: the ids are read where there is something to look up.
    let mut seen = if list.items.is_empty() { Seen::default() } else { Seen::read(&cursor.seen)? };
    let before = seen.len();
    let mut items: Vec<Item> = Vec::new();
    for sent in list.items {
        let (id, created) = (sent.recurring_event_id.as_ref().unwrap_or(&sent.id).clone(), sent.created);
        let is_late = created.is_some_and(|created| created >= cursor.from);
        let is_known = !seen.add(&id) || before >= KNOWN && !is_late;
        let is_old = is_full && !(is_first || cursor.by_time && is_late);
        let event = sent.event(calendar, &list.summary, &list.time_zone).filter(|_| !is_known && !is_old);
        items.extend(event.map(|event| Item { key: id, at: created, body: json!(event) }));
    }
    items.sort_by_key(|item| item.at);
    if is_first {
        items.drain(..items.len().saturating_sub(BASELINE));
    }
    let gap = (known.is_none() && cx.since.is_some()).then(|| {
        format!(
            "events that were made before {} and came in since could not be told from older ones",
            cursor.from.to_rfc3339()
        )
    });
    let more = list.next_page_token.is_some();
    let seen: Cow<'_, str> = if seen.len() == before { cursor.seen } else { seen.newest(KNOWN).text().into() };
    let (sync, by_time) = match (more, list.next_sync_token) {
        (false, Some(sync)) => (Some(Cow::Owned(sync)), false),
        _ => (cursor.sync, cursor.by_time),
    };
    let after = Cursor { sync, page: list.next_page_token, from: cursor.from, by_time, seen };
    let moved = known.as_ref() != Some(&after);
    Ok(Page { items, cursor: moved.then(|| json!(after)), more, answer: "200".to_owned(), gap })
}
