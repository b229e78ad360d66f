//! The action `google.event_starts`: what starts between the last poll and so many minutes from now. Google itself says which days of a
//! series there are, in which zone, and which of them were moved or called off; a key is an event's id and its start, so what
//! is moved comes again at its new time.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use engine::fault::Fault;
use engine::port::{About, ActionSpec, Cadence, FeedKind, FeedSpec, Item, Page, PollCx, Verdict, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::calendars::{FIELDS, Happening, List, SAMPLE, Sent, lacks};
use super::create_event::primary;
use super::{CALENDAR, TRIED_FAKE};
use crate::call::{ApiCall, Caller, Paging};
use crate::seen::Seen;

static LIST: ApiCall = ApiCall::get(&CALENDAR, "events.list", "calendars/{calendar}/events").scopes(SPEC.scopes);

/// Events of a page.
const LIMIT: usize = 250;
/// Starts that were missed longer ago are not told any more.
const LATE: TimeDelta = TimeDelta::hours(24);
/// How long before, unless it is said.
const MINUTES: u32 = 10;

/// Which events, and how long before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Filter {
    /// The calendar; the account's own where it is left out.
    #[serde(default = "primary")]
    #[schemars(length(min = 1), extend("x-options" = "calendar"), example = &"primary")]
    calendar: String,
    /// How long before the start, in minutes; what comes into the calendar later than that is told at once.
    #[serde(default = "minutes")]
    #[schemars(range(max = 40_320), example = 15)]
    minutes: u32,
    /// Only events that have these words in their title, description or place. All where it is left out.
    #[serde(default)]
    #[schemars(example = &"review")]
    search: String,
    /// Whether whole days start too, at midnight in the calendar's time zone.
    #[serde(default)]
    all_day: bool,
}

fn minutes() -> u32 {
    MINUTES
}

/// See the module.
pub static SPEC: ActionSpec = ActionSpec {
    name: "event_starts",
    title: "An event starts soon",
    description: "Fires some minutes before each event of a calendar, for each day of a series, as it stands then.",
    params: params::<Filter>,
    sample_params: r#"{"calendar": "primary", "minutes": 15, "search": "review"}"#,
    sample_event: SAMPLE,
    scopes: &["calendar.events.readonly"],
    about: About {
        cost: "1 call a poll; 1 more for each 250 events within those minutes",
        tried: TRIED_FAKE,
        gives: Some(params::<Happening>),
        large: &[],
    },
    feed: &FEED,
    feed_params: |data| match Filter::deserialize(data) {
        Ok(filter) => json!({ "calendar": filter.calendar, "minutes": filter.minutes }),
        Err(_) => json!({ "calendar": primary(), "minutes": MINUTES }),
    },
    select: |data, event, _| match select(data, event) {
        None => Verdict::Take,
        Some(why) => Verdict::Leave(why),
    },
    view: None,
    check: |_| Vec::new(),
};

static FEED: FeedSpec = FeedSpec {
    name: "starts",
    kind: FeedKind::Polled {
        floor: Duration::from_secs(30),
        default: Duration::from_secs(60),
        cadence: Cadence::Interval,
        poll: |cx| Box::pin(poll(cx)),
    },
};

fn select(data: &Value, event: &Value) -> Option<String> {
    let filter = Filter::deserialize(data).ok()?;
    if event["all_day"] == true && !filter.all_day {
        return Some("it takes the whole day, and `all_day` does not ask for such".to_owned());
    }
    lacks(event, &filter.search)
}

/// What is remembered between polls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cursor {
    /// The last poll: what starts from then on was not told by it.
    from: DateTime<Utc>,
    /// What was told lately. See [`Seen`].
    seen: String,
}

async fn poll(cx: PollCx<'_>) -> Result<Page, Fault> {
    let calendar = cx.params["calendar"].as_str().unwrap_or("primary");
    let minutes = cx.params["minutes"].as_u64().and_then(|minutes| i64::try_from(minutes).ok());
    let ahead = TimeDelta::minutes(minutes.unwrap_or(i64::from(MINUTES)).min(40_320));
    let cursor = cx.cursor.map(Cursor::deserialize).transpose();
    let cursor = cursor.map_err(|_| Fault::resync("the cursor cannot be read"))?;
    let last = cursor.as_ref().map(|cursor| cursor.from).or(cx.since).unwrap_or(cx.now);
    let (from, to) = (last.clamp(cx.now - LATE, cx.now), cx.now + ahead);
    let caller = Caller::poll(&cx)?;
    let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let ask = LIST.ask().at("calendar", calendar).query("singleEvents", true).query("orderBy", "startTime");
    // Google asks for what ends behind the one and starts before the other; both are exclusive.
    let ask =
        ask.query("timeMin", text(from - TimeDelta::seconds(1))).query("timeMax", text(to + TimeDelta::seconds(1)));
    let ask = ask.query("maxResults", LIMIT).query("fields", FIELDS);
    let first = caller.send(&ask).await?;
    let head: List = caller.read(&ask, &first)?;
    let paging = Paging::Token { at: "/nextPageToken", param: "pageToken" };
    let all = caller.rest::<Sent>(ask, &first, "/items", paging).await?;
    let seen = cursor.as_ref().map(|cursor| Seen::read(&cursor.seen)).transpose()?.unwrap_or_default();
    let (mut met, mut items) = (Seen::default(), Vec::new());
    for sent in all.items.into_iter().filter(|sent| !sent.is_off()) {
        let Some(start) = sent.start.at(&head.time_zone).filter(|start| (from..=to).contains(start)) else { continue };
        let key = format!("{}@{}", sent.id, text(start));
        if met.add(&key) && !seen.has(&key) {
            let event = sent.event(calendar, &head.summary, &head.time_zone);
            items.extend(event.map(|event| Item { key, at: Some(start - ahead), body: json!(event) }));
        }
    }
    let after = Cursor { from: cx.now, seen: if met.len() == 0 { seen } else { seen.after(met) }.text() };
    let gap = all.cut.then(|| "so much starts at once that a part of it was left out".to_owned());
    let missed =
        (last < from).then(|| format!("what started before {} was missed and is not told any more", text(from)));
    Ok(Page { items, cursor: Some(json!(after)), answer: "200".to_owned(), gap: gap.or(missed), ..Page::default() })
}
