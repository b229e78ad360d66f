//! What the parts of Google Calendar share: an event as Google sends it and as people map it, and its times.

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::query::has_words;
use crate::when::times;

/// Attendees that an event lists.
const ATTENDEES: usize = 200;

/// What is read of a list of events: a whole one, with what nobody maps, may be many times as large.
pub const FIELDS: &str = "summary,timeZone,nextPageToken,nextSyncToken,items(id,status,summary,description,location,htmlLink,hangoutLink,\
    start(date,dateTime),end(date,dateTime),organizer(email,displayName),attendees(email,displayName,responseStatus),recurrence,\
    recurringEventId,created,updated)";

/// What people map of a calendar's event.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Happening {
    /// Google's id of it.
    pub id: String,
    /// Google's id of the calendar.
    pub calendar: String,
    /// The calendar's name.
    pub calendar_name: String,
    /// Its title; empty where it has none.
    pub title: String,
    /// Its description, which may be HTML; empty where it has none.
    pub description: String,
    /// Where it takes place; empty where that is not said.
    pub location: String,
    /// Its page in Google Calendar.
    pub link: Option<String>,
    /// Where its video call is.
    pub call_link: Option<String>,
    /// When it starts, in UTC; a whole day starts at midnight in the calendar's time zone.
    pub start: String,
    /// The same as clocks in the calendar's time zone show it.
    pub start_local: String,
    /// When it ends, in UTC.
    pub end: String,
    /// The same as clocks in the calendar's time zone show it.
    pub end_local: String,
    /// Whether it takes whole days.
    pub all_day: bool,
    /// How long it takes.
    pub minutes: i64,
    /// The calendar's time zone.
    pub zone: String,
    /// Who holds it: a name, or the address where there is none.
    pub organizer: String,
    /// The address of who holds it; empty where that is not shown.
    pub organizer_address: String,
    /// Who is invited.
    pub attendees: Vec<Attendee>,
    /// Whether it is one of a series, or a series.
    pub recurring: bool,
    /// Whether it is not confirmed yet.
    pub tentative: bool,
    /// When it was made, in UTC.
    pub created_at: Option<String>,
    /// When it was last changed, in UTC.
    pub updated_at: Option<String>,
}

/// Somebody who is invited.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Attendee {
    /// Their name; the address where there is none.
    pub name: String,
    /// Their address.
    pub address: String,
    /// Their answer: `accepted`, `declined`, `tentative` or `needsAction`.
    pub answer: String,
}

/// A page of events.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct List {
    /// The calendar's name.
    #[serde(default)]
    pub summary: String,
    /// The calendar's time zone.
    #[serde(default)]
    pub time_zone: String,
    #[serde(default)]
    pub items: Vec<Sent>,
    pub next_page_token: Option<String>,
    pub next_sync_token: Option<String>,
}

/// An event as Google sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Sent {
    pub id: String,
    pub status: String,
    summary: String,
    description: String,
    location: String,
    html_link: Option<String>,
    hangout_link: Option<String>,
    pub start: Time,
    end: Time,
    organizer: Person,
    attendees: Vec<Person>,
    recurrence: Vec<String>,
    pub recurring_event_id: Option<String>,
    pub created: Option<DateTime<Utc>>,
    updated: Option<DateTime<Utc>>,
}

/// An instant, or a whole day.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Time {
    date_time: Option<DateTime<Utc>>,
    pub date: Option<NaiveDate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Person {
    email: String,
    display_name: String,
    response_status: String,
}

impl Person {
    fn name(&self) -> String {
        if self.display_name.is_empty() { self.email.clone() } else { self.display_name.clone() }
    }
}

impl Time {
    /// The instant; a day begins at midnight in `zone`, or when the clocks there next show a time.
    pub fn at(&self, zone: &str) -> Option<DateTime<Utc>> {
        let zone = engine::zone::zone(zone).unwrap_or(chrono_tz::UTC);
        self.date_time.or_else(|| engine::zone::instant(zone, self.date?.and_time(NaiveTime::MIN)))
    }
}

impl Sent {
    /// Whether it was called off.
    pub fn is_off(&self) -> bool {
        self.status == "cancelled"
    }

    /// The event; `None` where it says no time.
    pub fn event(self, calendar: &str, name: &str, zone: &str) -> Option<Happening> {
        let (start, end) = (self.start.at(zone)?, self.end.at(zone).or_else(|| self.start.at(zone))?);
        let [(start_utc, start_local), (end_utc, end_local)] =
            [start, end].map(|at| times(at, zone, SecondsFormat::Secs));
        let attendee = |person: &Person| Attendee {
            name: person.name(),
            address: person.email.clone(),
            answer: person.response_status.clone(),
        };
        Some(Happening {
            calendar: calendar.to_owned(),
            calendar_name: name.to_owned(),
            zone: zone.to_owned(),
            all_day: self.start.date.is_some(),
            minutes: (end - start).num_minutes(),
            organizer: self.organizer.name(),
            organizer_address: self.organizer.email,
            attendees: self.attendees.iter().take(ATTENDEES).map(attendee).collect(),
            recurring: self.recurring_event_id.is_some() || !self.recurrence.is_empty(),
            tentative: self.status == "tentative",
            created_at: self.created.map(|at| times(at, "UTC", SecondsFormat::Secs).0),
            updated_at: self.updated.map(|at| times(at, "UTC", SecondsFormat::Secs).0),
            start: start_utc,
            start_local,
            end: end_utc,
            end_local,
            id: self.id,
            title: self.summary,
            description: self.description,
            location: self.location,
            link: self.html_link,
            call_link: self.hangout_link,
        })
    }
}

/// Why an event is not about these words; `None`: it is, or there are none.
pub fn lacks(event: &Value, words: &str) -> Option<String> {
    let has = |field: &str| has_words(event[field].as_str().unwrap_or_default(), words);
    let fits = words.trim().is_empty() || ["title", "description", "location"].into_iter().any(has);
    (!fits).then(|| format!("neither title, description nor place has `{words}`"))
}

/// The sample of the actions.
pub const SAMPLE: &str = r#"{
    "id": "7h3k9q1v5t0c2b8m4n6p", "calendar": "primary", "calendar_name": "Ann", "title": "Review of the quarter",
    "description": "Bring numbers.", "location": "Room 4", "link": "https://www.google.com/calendar/event?eid=N2gzazlx",
    "call_link": "https://meet.google.com/abc-defg-hij", "start": "2026-11-06T09:00:00Z",
    "start_local": "2026-11-06T10:00:00+01:00", "end": "2026-11-06T09:45:00Z", "end_local": "2026-11-06T10:45:00+01:00",
    "all_day": false, "minutes": 45, "zone": "Europe/Paris", "organizer": "Ann Smith", "organizer_address": "ann@example.org",
    "attendees": [{"name": "Bob", "address": "bob@example.com", "answer": "accepted"}], "recurring": false,
    "tentative": false, "created_at": "2026-11-02T16:20:11Z", "updated_at": "2026-11-05T07:02:40Z"
}"#;
