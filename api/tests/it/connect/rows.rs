//! What comes into a calendar and a Drive becomes rows of a spreadsheet, and labels of a mail, by the real daemon at a Google that
//! remembers, behind Prism: each once, whatever expires, dies or is refused.

use std::time::Duration;

use chrono::{DateTime, DurationRound, SecondsFormat, TimeDelta, Utc};
use engine::clock::Clock;
use serde_json::{Value, json};

use super::World;
use super::google::world;
use crate::daemon::until;
use crate::kit::Area;
use crate::peers::Google;

const PATIENCE: Duration = Duration::from_secs(90);
const ADA: &str = "ada@example.com";
const TEAM: &str = "team@group.calendar.google.com";
const MAIL: &str = "msg_area_1";
/// The first sheet of the book, in which rows are written where none is named.
const FIRST: &str = "Ann's";
const FOLDER: &str = "application/vnd.google-apps.folder";
/// When what was there before was made.
const OLD: &str = "2026-01-02T03:04:05.000Z";
const SCOPES: [&str; 5] = [
    "gmail.modify",
    "calendar.events.readonly",
    "calendar.calendarlist.readonly",
    "drive.metadata.readonly",
    "spreadsheets",
];

/// Ann's daemon, and her Google account of Ada.
struct Office {
    w: World,
    google: Google,
    account: Value,
}

/// One of its AREAs, and the sheet that it writes to.
struct Watch {
    path: String,
    sheet: String,
}

impl Office {
    async fn new() -> Option<Self> {
        let google = Google::checked().await?;
        let quota = ("providers.google.account_quota.sheets".to_owned(), "6000/1m".to_owned());
        let w = world(Area::new(), &google, &[&google.apis()[..], &[quota]].concat());
        let account = w.granted(&google, ADA, &SCOPES).await["account"].clone();
        Some(Self { w, google, account })
    }

    async fn get(&self, path: &str) -> Value {
        self.w.call("GET", path, Some(&self.w.ann), None).await.1
    }

    /// An AREA that writes rows into the book as `append` says, and labels a mail where it is told how; it has joined.
    async fn watch(&self, action: &str, data: Value, append: Value, label: Option<&str>) -> Watch {
        let of =
            |name: &str, data: Value| json!({"service": "google", "name": name, "account": self.account, "data": data});
        let (mut action, mut append) = (of(action, data), append);
        (action["every"], append["spreadsheet"]) = (json!("1h"), json!("book"));
        let sheet = append["sheet"].as_str().unwrap_or(FIRST).to_owned();
        let mut reactions = vec![of("append_row", append)];
        reactions.extend(label.map(|label| of("add_label", json!({"message": MAIL, "label": label, "create": true}))));
        let policy = json!({"order": "queued", "retry": {"attempts": 20, "base": "1s", "max": "2s"}});
        let document = json!({"name": sheet, "action": action, "reactions": reactions, "policy": policy});
        let (status, made) = self.w.call("POST", "/v1/areas", Some(&self.w.ann), Some(document)).await;
        assert_eq!(status, 201, "{made}");
        let watch = Watch { path: format!("/v1/areas/{}", made["id"].as_str().unwrap()), sheet };
        let joined = until(PATIENCE, async || self.get(&watch.path).await["source"]["joined_at"].is_string()).await;
        assert!(joined, "{}\n{:?}", self.get(&format!("{}/why", watch.path)).await, self.google.refused().await);
        watch
    }

    async fn polled(&self, watch: &Watch) {
        let _ = self.w.call("POST", &format!("{}/poll", watch.path), Some(&self.w.ann), None).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    /// The rows below the headers, sorted.
    async fn rows(&self, sheet: &str) -> Vec<String> {
        let state = self.google.put(json!({})).await;
        let rows = state["books"]["book"][sheet].as_array().unwrap().iter().skip(1);
        let cells = |row: &Value| {
            row.as_array().unwrap().iter().map(|cell| cell.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let mut rows: Vec<String> = rows.map(|row| cells(row).join(" | ")).collect();
        rows.sort();
        rows
    }

    async fn runs(&self, watch: &Watch) -> Vec<Value> {
        let runs = self.get(&format!("{}/runs?limit=50", watch.path)).await;
        runs["items"].as_array().unwrap().clone()
    }

    /// Polls until there is a run for each of these rows, and each is done; fails unless these are the rows.
    async fn reacted(&self, what: &str, watch: &Watch, expected: &[&str]) {
        let done = async || {
            self.polled(watch).await;
            let runs = self.runs(watch).await;
            runs.len() >= expected.len() && runs.iter().all(|run| run["state"] == "done")
        };
        let is_done = until(PATIENCE, done).await;
        let rows = self.rows(&watch.sheet).await;
        if !is_done || rows != expected {
            let (runs, why) = (self.runs(watch).await, self.get(&format!("{}/why", watch.path)).await);
            panic!(
                "in vain: {what}: {rows:?}, not {expected:?}\n{}\n{why}\n{:?}",
                json!(runs),
                self.google.refused().await
            );
        }
    }

    /// The labels of the mail whose names begin so, without that.
    async fn labels(&self, begin: &str) -> Vec<String> {
        let mail = self.google.acts(ADA, "GET", &format!("/gmail/v1/users/me/messages/{MAIL}"), None).await;
        let all = self.google.acts(ADA, "GET", "/gmail/v1/users/me/labels", None).await;
        let its = all["labels"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|label| mail["labelIds"].as_array().unwrap().contains(&label["id"]));
        let mut names: Vec<String> =
            its.filter_map(|label| Some(label["name"].as_str()?.strip_prefix(begin)?.to_owned())).collect();
        names.sort();
        names
    }

    async fn event(&self, id: &str, start: DateTime<Utc>, more: Value) {
        let at = |at: DateTime<Utc>| json!({ "dateTime": text(at), "timeZone": "Europe/Paris" });
        let mut event = json!({"id": id, "summary": id, "start": at(start), "end": at(start + TimeDelta::minutes(30))});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.google.put(json!({ "event": event })).await;
    }

    async fn file(&self, id: &str, more: Value) {
        let mut file = json!({"id": id, "name": id});
        file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.google.put(json!({ "file": file })).await;
    }
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn now() -> DateTime<Utc> {
    Clock::system().now().duration_trunc(TimeDelta::minutes(1)).unwrap()
}

#[tokio::test]
async fn each_event_and_each_file_makes_one_row_whatever_expires_dies_or_is_refused_meanwhile() {
    let Some(mut o) = Office::new().await else { return };
    let far = now() + TimeDelta::days(60);
    for id in ["old1", "old2", "old3"] {
        o.event(id, far, json!({ "created": OLD })).await;
        o.file(id, json!({ "createdTime": OLD })).await;
    }
    o.file("folder", json!({"name": "Rechnungen 🎉", "mimeType": FOLDER, "createdTime": OLD})).await;
    o.google.put(json!({"sheet": format!("book/{FIRST}"), "rows": []})).await;
    o.google.put(json!({"sheet": "book/Files", "rows": [["Where", "", "name "]]})).await;
    let append =
        json!({"row": {"From": "{{ event.calendar_name }}", "Title": "{{ event.title }}"}, "add_columns": true});
    let events = o.watch("new_event", json!({ "calendar": TEAM }), append, Some("Team/{{ event.title }}")).await;
    let append = json!({"sheet": "Files", "row": {"Name": "{{ event.name }}", "where": "{{ event.folder }}"}});
    let files = o.watch("new_file", json!({}), append, None).await;

    // More than a page, and of what changed only what is new.
    for id in ["1", "2", "3"] {
        o.event(id, far, json!({})).await;
        o.file(id, json!({"parents": ["folder"]})).await;
    }
    o.event("old1", far + TimeDelta::hours(1), json!({})).await;
    o.event("old2", far, json!({"status": "cancelled"})).await;
    o.file("old1", json!({"trashed": true})).await;
    o.file("old2", json!({"name": "renamed"})).await;
    o.google.expire().await;
    o.reacted("the token expires, and there are pages", &events, &["Team 🎉 | 1", "Team 🎉 | 2", "Team 🎉 | 3"]).await;
    let three = ["Rechnungen 🎉 |  | 1", "Rechnungen 🎉 |  | 2", "Rechnungen 🎉 |  | 3"];
    o.reacted("the token expires, and there are pages", &files, &three).await;

    o.google.refuses("GET", "/events", 429, 1).await;
    o.google.refuses("GET", "/drive/v3/changes", 500, 1).await;
    o.google.refuses("POST", ":append", 429, 2).await;
    o.google.refuses("POST", "/modify", 500, 1).await;
    o.event("4", far, json!({})).await;
    o.file("4", json!({"name": "lent", "createdTime": OLD, "sharedWithMeTime": text(now() + TimeDelta::minutes(1))}))
        .await;
    o.reacted("429 and 500", &events, &["Team 🎉 | 1", "Team 🎉 | 2", "Team 🎉 | 3", "Team 🎉 | 4"]).await;
    let four = [&[" |  | lent"], &three[..]].concat();
    o.reacted("429 and 500", &files, &four).await;

    // The places in the lists are gone: what came is found by a search, and nothing that was there fires again.
    o.event("5", far, json!({})).await;
    o.file("5", json!({})).await;
    o.file(
        "6",
        json!({"name": "lent too", "createdTime": OLD, "sharedWithMeTime": text(now() + TimeDelta::minutes(1))}),
    )
    .await;
    o.google.forgets().await;
    let five = ["Team 🎉 | 1", "Team 🎉 | 2", "Team 🎉 | 3", "Team 🎉 | 4", "Team 🎉 | 5"];
    o.reacted("410 to a sync token", &events, &five).await;
    let six = [&[" |  | 5", " |  | lent", " |  | lent too"], &three[..]].concat();
    o.reacted("400 to a page token", &files, &six).await;

    // What was recorded is not yet written when the daemon dies.
    o.google.refuses("POST", ":append", 429, 1000).await;
    o.event("7", far, json!({})).await;
    o.file("7", json!({})).await;
    for watch in [&events, &files] {
        let tried = async || {
            o.polled(watch).await;
            o.runs(watch).await[0]["steps"][0]["attempts"][0].is_object()
        };
        assert!(until(PATIENCE, tried).await, "{}", json!(o.runs(watch).await));
    }
    o.w.again(&[]);
    o.google.heals().await;
    o.reacted("the daemon dies", &events, &[&five[..], &["Team 🎉 | 7"]].concat()).await;
    o.reacted(
        "the daemon dies",
        &files,
        &[&[" |  | 5", " |  | 7", " |  | lent", " |  | lent too"], &three[..]].concat(),
    )
    .await;

    o.event("8", far, json!({})).await;
    o.w.again(&[]);
    o.reacted("it dies before it polls", &events, &[&five[..], &["Team 🎉 | 7", "Team 🎉 | 8"]].concat()).await;
    assert_eq!(o.labels("Team/").await, ["1", "2", "3", "4", "5", "7", "8"]);
    assert_eq!(o.google.refused().await, [""; 0]);
    let events = o.google.answered(&format!("/calendar/v3/calendars/{TEAM}/events")).await;
    assert!([401, 410, 429].iter().all(|status| events.contains(status)), "{events:?}");
    let changes = o.google.answered("/drive/v3/changes").await;
    assert!([400, 500].iter().all(|status| changes.contains(status)), "{changes:?}");
}

#[tokio::test]
async fn each_day_of_a_series_is_told_once_and_again_where_it_moves_and_never_where_it_is_called_off() {
    let Some(o) = Office::new().await else { return };
    o.google.put(json!({"sheet": format!("book/{FIRST}"), "rows": [["Title", "Start"]]})).await;
    let append = json!({"row": {"title": "{{ event.title }}", "start": "{{ event.start }}"}, "typed": true});
    let three_days = json!({"calendar": TEAM, "minutes": 4320});
    let starts = o.watch("event_starts", three_days, append, None).await;

    let today = now();
    let day = |n: i64| today + TimeDelta::hours(1 + 24 * n);
    let id = |n: i64| format!("daily_{}", day(n).format("%Y%m%dT%H%M%SZ"));
    let moved = async |n: i64, to: DateTime<Utc>, more: Value| {
        let mut event =
            json!({"summary": "Daily", "recurringEventId": "daily", "originalStartTime": {"dateTime": text(day(n))}});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        o.event(&id(n), to, event).await;
    };
    let off = json!({"status": "cancelled"});
    moved(1, day(1) + TimeDelta::minutes(30), json!({})).await;
    moved(2, day(2), off.clone()).await;
    o.event("daily", day(0), json!({"summary": "Daily", "recurrence": ["RRULE:FREQ=DAILY;COUNT=5"]})).await;
    let tomorrow = json!({"date": (today + TimeDelta::days(1)).date_naive()});
    o.event("holiday", day(1), json!({"start": tomorrow, "end": {"date": (today + TimeDelta::days(2)).date_naive()}}))
        .await;
    let row = |at: DateTime<Utc>| format!("Daily | {}", text(at));
    let mut rows = vec![row(day(0)), row(day(1) + TimeDelta::minutes(30))];
    let told = async |what: &str, rows: &[String]| {
        let mut rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        rows.sort_unstable();
        o.reacted(what, &starts, &rows).await;
    };
    told("a series, a day of it moved, one called off", &rows).await;

    o.google.refuses("GET", "/events", 429, 1).await;
    moved(3, day(2), json!({})).await;
    rows.push(row(day(2)));
    told("a day comes nearer, and a 429", &rows).await;

    moved(0, day(0) + TimeDelta::hours(1), json!({})).await;
    moved(1, day(1), off).await;
    rows.push(row(day(0) + TimeDelta::hours(1)));
    told("a day that was told moves, and one is called off", &rows).await;

    // With more than a page at once.
    for n in 0..5 {
        o.event(&format!("more{n}"), day(0) + TimeDelta::minutes(n), json!({"summary": "Daily"})).await;
        rows.push(row(day(0) + TimeDelta::minutes(n)));
    }
    told("pages", &rows).await;
    assert_eq!(o.google.refused().await, [""; 0]);
}

#[tokio::test]
async fn a_place_that_dies_before_anything_came_brings_nothing_old_and_a_shared_drive_tells_its_own_files() {
    let Some(o) = Office::new().await else { return };
    let far = now() + TimeDelta::days(60);
    // More than a page, and so lately that a search finds it.
    let lately = text(now() - TimeDelta::minutes(30));
    for id in ["old1", "old2", "old3", "old4"] {
        o.event(id, far, json!({ "created": lately })).await;
        o.file(id, json!({ "createdTime": lately })).await;
        o.file(&format!("club {id}"), json!({"driveId": "0AClub", "createdTime": lately})).await;
    }
    let day = |series: &str| json!({"recurringEventId": series, "originalStartTime": {"dateTime": text(far)}, "created": lately});
    o.event("lent_1", far, day("lent")).await;
    let append =
        |sheet: &str, field: &str| json!({"sheet": sheet, "row": {"Title": format!("{{{{ event.{field} }}}}")}});
    for sheet in [FIRST, "Files", "Club"] {
        o.google.put(json!({"sheet": format!("book/{sheet}"), "rows": [["Title"]]})).await;
    }
    let events = o.watch("new_event", json!({ "calendar": TEAM }), append(FIRST, "title"), None).await;
    let files = o.watch("new_file", json!({}), append("Files", "name"), None).await;
    let club = o.watch("new_file", json!({"drive": "0AClub"}), append("Club", "name"), None).await;
    o.google.forgets().await;
    for watch in [&events, &files, &club] {
        o.polled(watch).await;
    }
    o.event("new", far, json!({})).await;
    for id in ["guest_1", "guest_2"] {
        o.event(id, far, day("guest")).await;
    }
    o.event("lent_1", far + TimeDelta::hours(1), day("lent")).await;
    o.file("new", json!({})).await;
    o.file("old1", json!({"name": "renamed"})).await;
    o.file("club new", json!({"driveId": "0AClub"})).await;
    o.file("club old1", json!({"name": "renamed"})).await;
    o.reacted("410 before anything came", &events, &["guest_1", "new"]).await;
    o.reacted("400 before anything came", &files, &["new"]).await;
    o.reacted("a shared drive", &club, &["club new"]).await;
    assert_eq!(o.google.refused().await, [""; 0]);
    let events = o.google.answered(&format!("/calendar/v3/calendars/{TEAM}/events")).await;
    assert!(events.contains(&410), "{events:?}");
}

#[tokio::test]
async fn calendars_labels_folders_spreadsheets_and_sheets_are_offered_by_name() {
    let Some(o) = Office::new().await else { return };
    for (id, name, kind) in [
        ("f1", "Rechnungen 🎉", FOLDER),
        ("f2", "Ann's \\ photos", FOLDER),
        ("f3", "Gone", FOLDER),
        ("book", "Budget", "application/vnd.google-apps.spreadsheet"),
        ("doc", "Budget", "application/pdf"),
    ] {
        o.file(id, json!({"name": name, "mimeType": kind, "trashed": id == "f3"})).await;
    }
    let club = json!({"name": "Club", "mimeType": "application/vnd.google-apps.spreadsheet", "driveId": "0AClub"});
    o.file("club", club).await;
    o.file("f4", json!({"name": "Rechnungen", "mimeType": FOLDER, "driveId": "0AClub"})).await;
    o.google.put(json!({"sheet": "book/Ann's", "rows": []})).await;
    o.google.put(json!({"sheet": "book/Übersicht", "rows": []})).await;
    let check = async |field: &str, query: &[(&str, &str)], expected: Value| {
        let mut url = url::Url::parse(&format!("http://x/v1/services/google/options/{field}")).unwrap();
        url.query_pairs_mut().append_pair("account", o.account.as_str().unwrap()).extend_pairs(query);
        let path = format!("{}?{}", url.path(), url.query().unwrap());
        let (status, said) = o.w.call("GET", &path, Some(&o.w.ann), None).await;
        let items = said["items"]
            .as_array()
            .map(|items| items.iter().map(|item| json!([item["value"], item["title"], item["detail"]])));
        assert_eq!(
            (status, items.map_or(said["detail"].clone(), Iterator::collect)),
            (if said["items"].is_array() { 200 } else { 409 }, expected),
            "{path}: {said}"
        );
    };
    let (ada, team) = (json!(["primary", ADA, "the account's own"]), json!([TEAM, "Team 🎉", null]));
    check("calendar", &[], json!([ada, team])).await;
    check("calendar", &[("q", "TEAM")], json!([team])).await;
    check("label", &[("q", "done")], json!([["Label_area", "AREA/Done", null]])).await;
    check("label", &[("q", "inbox")], json!([["INBOX", "INBOX", "Gmail's own"]])).await;
    check("folder", &[("q", "rech")], json!([["f1", "Rechnungen 🎉", null]])).await;
    check("folder", &[("q", "Ann's")], json!([["f2", "Ann's \\ photos", null]])).await;
    check("folder", &[("q", "Gone")], json!([])).await;
    check("folder", &[("within", "0AClub")], json!([["f4", "Rechnungen", null]])).await;
    check("spreadsheet", &[("q", "bud")], json!([["book", "Budget", null]])).await;
    check("spreadsheet", &[("q", "club")], json!([["club", "Club", null]])).await;
    let link = "https://docs.google.com/spreadsheets/d/book/edit#gid=0";
    check("sheet", &[("within", link)], json!([["Ann's", "Ann's", null], ["Übersicht", "Übersicht", null]])).await;
    check("sheet", &[("within", "book"), ("q", "über")], json!([["Übersicht", "Übersicht", null]])).await;
    check("sheet", &[], json!("pick the spreadsheet first")).await;
    assert_eq!(o.google.refused().await, [""; 0]);
}
