//! The reaction `google.create_event`. The event's id comes from the run's key: a repetition is refused by Google as a duplicate, and is
//! then found by that id.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use engine::fault::Fault;
use engine::port::{About, Guarantee, Invalid, ReactCx, Reacted, ReactionSpec, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::new_mail::utc;
use super::written::mark;
use super::{CALENDAR, TRIED_EMULATOR};
use crate::call::{ApiCall, Caller, Reason};

static INSERT: ApiCall = ApiCall::post(&CALENDAR, "events.insert", "calendars/{calendar}/events").scopes(SPEC.scopes);
static GET: ApiCall = ApiCall::get(&CALENDAR, "events.get", "calendars/{calendar}/events/{id}").scopes(SPEC.scopes);

/// How long an event takes, unless it is said.
const MINUTES: i64 = 60;
/// The last year that RFC 3339 can write.
const LAST_YEAR: i32 = 9999;

/// What happens when.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Create {
    /// The calendar; the account's own where it is left out.
    #[serde(default = "primary")]
    #[schemars(extend("x-options" = "calendar"), example = &"primary")]
    calendar: String,
    /// The title.
    #[schemars(length(max = 1000), example = &"Call {{ event.from_name }}")]
    title: String,
    /// The description; Google shows simple HTML.
    #[serde(default)]
    #[schemars(length(max = 8000), example = &"{{ event.link }}")]
    description: String,
    /// Where it takes place.
    #[serde(default)]
    #[schemars(length(max = 1000), example = &"Room 4")]
    location: String,
    /// When it starts: an instant (`2026-11-06T09:00:00Z`), a time in `zone` (`2026-11-06T09:00`), or a whole day (`2026-11-06`).
    #[schemars(example = &"{{ event.received_at }}")]
    start: String,
    /// When it ends, in the same way; of whole days it is the last one. By default it takes `minutes`, or one day.
    #[serde(default)]
    #[schemars(example = &"2026-11-06T10:00")]
    end: Option<String>,
    /// How long it takes, where `end` is left out; 60 by default.
    #[serde(default)]
    #[schemars(range(min = 1, max = 525_600), example = 45)]
    minutes: Option<i64>,
    /// Whether it takes the whole days of `start` and `end`, whatever times they name.
    #[serde(default)]
    all_day: bool,
    /// The time zone of times that name none, and in which days begin: `Europe/Paris`.
    #[serde(default = "utc")]
    #[schemars(example = &"Europe/Paris")]
    zone: String,
    /// The addresses of those who are invited.
    #[serde(default)]
    #[schemars(length(max = 200))]
    attendees: Vec<String>,
    /// Whether they are sent an invitation by mail.
    #[serde(default)]
    notify: bool,
    /// When you are reminded; as the calendar does it where it is left out, and not at all for an empty list.
    #[serde(default)]
    #[schemars(length(max = 5))]
    reminders: Option<Vec<Reminder>>,
}

/// One reminder.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Reminder {
    /// How long before the start.
    #[schemars(range(min = 0, max = 40_320))]
    minutes: u32,
    /// How.
    #[serde(default)]
    method: Method,
}

/// How one is reminded.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Method {
    #[default]
    Popup,
    Email,
}

pub(super) fn primary() -> String {
    "primary".to_owned()
}

/// What was done.
#[derive(Debug, Serialize, JsonSchema)]
struct Output {
    /// Google's id of the event.
    id: String,
    /// The calendar.
    calendar: String,
    /// Its page in Google Calendar.
    link: Option<String>,
    /// When it starts: an instant, or a day.
    start: String,
    /// When it ends: an instant, or the day behind the last.
    end: String,
    /// Whether an earlier attempt had made it.
    repeated: bool,
}

/// See the module.
pub static SPEC: ReactionSpec = ReactionSpec {
    name: "create_event",
    title: "Create an event",
    description: "Puts an event into one of your calendars in Google Calendar.",
    params: params::<Create>,
    sample_params: r#"{"title": "Review", "start": "2026-11-06T10:00", "minutes": 45, "zone": "Europe/Paris",
        "attendees": ["bob@example.com"], "reminders": [{"minutes": 10, "method": "popup"}]}"#,
    sample_output: r#"{"id": "area7f9c2ba4e88f827d616045507605853e", "calendar": "primary",
        "link": "https://www.google.com/calendar/event?eid=YXJlYTdm", "start": "2026-11-06T09:00:00Z",
        "end": "2026-11-06T09:45:00Z", "repeated": false}"#,
    scopes: &["calendar.events"],
    about: About {
        cost: "1 call; 1 more where it is repeated",
        tried: TRIED_EMULATOR,
        gives: Some(params::<Output>),
        large: &[],
    },
    guarantee: Guarantee::Idempotent,
    check,
    react: |cx| Box::pin(react(cx)),
};

fn check(data: &Value) -> Vec<Invalid> {
    let fixed = |name: &str| data[name].as_str().filter(|text| !text.contains("{{"));
    let mut wrong = Vec::new();
    let zone = fixed("zone").map_or(Ok(chrono_tz::UTC), engine::zone::zone);
    wrong.extend(zone.as_ref().err().map(|why| Invalid::new("/zone", why.clone())));
    let zone = zone.unwrap_or(chrono_tz::UTC);
    for field in ["start", "end"] {
        let when = fixed(field).map(|text| When::read(text, zone));
        wrong.extend(when.and_then(Result::err).map(|why| Invalid::new(format!("/{field}"), why)));
    }
    if wrong.is_empty()
        && let (Some(start), Some(end)) = (fixed("start"), fixed("end"))
    {
        let both = (When::read(start, zone), When::read(end, zone));
        let span =
            if let (Ok(start), Ok(end)) = both { Span::of(start, Some(end), None, false, zone) } else { return wrong };
        wrong.extend(span.err().map(|why| Invalid::new("/end", why)));
    }
    for (n, one) in data["attendees"].as_array().into_iter().flatten().enumerate() {
        let address = one.as_str().filter(|text| !text.contains("{{") && !text.trim().is_empty());
        let read = address.map(|text| text.trim().parse::<lettre::Address>());
        wrong.extend(read.and_then(Result::err).map(|e| {
            Invalid::new(format!("/attendees/{n}"), format!("it is no address: {e}; write `ann@example.org`"))
        }));
    }
    wrong
}

/// What somebody wrote as a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Instant(DateTime<Utc>),
    Day(NaiveDate),
}

impl When {
    fn read(text: &str, zone: Tz) -> Result<Self, String> {
        let (text, when) = (text.trim(), Self::parse(text.trim(), zone)?);
        match (0..=LAST_YEAR).contains(&when.day(Tz::UTC).year()) {
            true => Ok(when),
            false => Err(format!("`{text}` is not between the years 0 and {LAST_YEAR}")),
        }
    }

    fn parse(text: &str, zone: Tz) -> Result<Self, String> {
        if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Instant(instant.to_utc()));
        }
        if let Ok(day) = text.parse() {
            return Ok(Self::Day(day));
        }
        let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"];
        let local = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
        let shown: String = text.chars().take(40).collect();
        let wrong =
            || format!("`{shown}` is no time: write `2026-11-06T09:00:00Z`, `2026-11-06T09:00` or `2026-11-06`");
        let at = engine::zone::instant(zone, local.ok_or_else(wrong)?);
        at.map(Self::Instant).ok_or_else(wrong)
    }

    fn day(self, zone: Tz) -> NaiveDate {
        match self {
            Self::Day(day) => day,
            Self::Instant(at) => at.with_timezone(&zone).date_naive(),
        }
    }
}

/// From when to when.
#[derive(Debug, PartialEq, Eq)]
enum Span {
    Instants(DateTime<Utc>, DateTime<Utc>),
    /// The second is the day behind the last.
    Days(NaiveDate, NaiveDate),
}

impl Span {
    fn of(start: When, end: Option<When>, minutes: Option<i64>, all_day: bool, zone: Tz) -> Result<Self, String> {
        let span = match (start, end) {
            (start, end) if all_day || matches!(start, When::Day(_)) => {
                let last = end.unwrap_or(start).day(zone);
                Self::Days(start.day(zone), last.checked_add_days(Days::new(1)).unwrap_or(last))
            }
            (When::Instant(_), Some(When::Day(_))) => return Err("it starts at a time and ends with a day".to_owned()),
            (When::Instant(start), Some(When::Instant(end))) => Self::Instants(start, end),
            (When::Instant(start), None) => {
                let length = TimeDelta::try_minutes(minutes.unwrap_or(MINUTES));
                let end = length.and_then(|length| start.checked_add_signed(length));
                Self::Instants(start, end.ok_or("it would end when there are no dates any more")?)
            }
            (When::Day(_), _) => unreachable!("days are above"),
        };
        let is_forward = match &span {
            Self::Instants(start, end) => start <= end,
            Self::Days(start, end) => start < end,
        };
        if is_forward { Ok(span) } else { Err("it would end before it starts".to_owned()) }
    }

    fn json(&self, zone: Tz) -> (Value, Value) {
        match self {
            Self::Instants(start, end) => {
                // With the zone, Google shows and repeats it as people there mean it.
                let time = |at: &DateTime<Utc>| json!({ "dateTime": text(at), "timeZone": zone.name() });
                (time(start), time(end))
            }
            Self::Days(start, end) => (json!({ "date": start }), json!({ "date": end })),
        }
    }

    fn texts(&self) -> (String, String) {
        match self {
            Self::Instants(start, end) => (text(start), text(end)),
            Self::Days(start, end) => (start.to_string(), end.to_string()),
        }
    }
}

fn text(at: &DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    id: String,
    html_link: Option<String>,
}

async fn react(cx: ReactCx<'_>) -> Result<Reacted, Fault> {
    let wrong = |why: String| Fault::rejected(format!("google.create_event: {why}"));
    let create = Create::deserialize(cx.params).map_err(|e| wrong(e.to_string()))?;
    let caller = Caller::react(&cx)?;
    let zone = engine::zone::zone(&create.zone).map_err(wrong)?;
    let start = When::read(&create.start, zone).map_err(wrong)?;
    let end = create.end.as_deref().map(str::trim).filter(|end| !end.is_empty());
    let end = end.map(|end| When::read(end, zone)).transpose().map_err(wrong)?;
    let span = Span::of(start, end, create.minutes, create.all_day, zone).map_err(wrong)?;
    // Of the letters that Google takes, `area` and hexadecimal digits are some (base32hex).
    let id = format!("area{}", mark(cx.key, cx.born));
    let ((from, to), (start, end)) = (span.json(zone), span.texts());
    let mut body = json!({ "id": id, "summary": create.title, "start": from, "end": to });
    for (name, value) in [("description", &create.description), ("location", &create.location)] {
        if !value.is_empty() {
            body[name] = json!(value);
        }
    }
    let invited = create.attendees.iter().map(|one| one.trim()).filter(|one| !one.is_empty());
    let invited: Vec<Value> = invited.map(|one| json!({ "email": one })).collect();
    if !invited.is_empty() {
        body["attendees"] = json!(invited);
    }
    if let Some(reminders) = &create.reminders {
        body["reminders"] = json!({ "useDefault": false, "overrides": reminders });
    }
    let ask = INSERT.ask().at("calendar", &create.calendar).json(&body);
    let ask = ask.query("sendUpdates", if create.notify { "all" } else { "none" });
    let (made, repeated): (Made, bool) = match caller.json(&ask).await {
        Ok(made) => (made, false),
        // A duplicate, if we find it.
        Err(refused) if refused.reason == Reason::Wrong => {
            let ask = GET.ask().at("calendar", &create.calendar).at("id", &id);
            let found = caller.json(&ask).await;
            (found.map_err(|again| if again.reason == Reason::Missing { refused } else { again })?, true)
        }
        Err(refused) => return Err(refused.fault),
    };
    let (id, link, calendar) = (made.id, made.html_link, create.calendar);
    Ok(Reacted::Done(json!(Output { id, calendar, link, start, end, repeated })))
}
