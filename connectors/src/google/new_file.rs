//! The action `google.new_file`: of what Google says has changed in a Drive, what was made or shared since the last file that was known.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use engine::fault::Fault;
use engine::port::{About, ActionSpec, Cadence, FeedKind, FeedSpec, Invalid, Item, Page, PollCx, Verdict, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::new_mail::utc;
use super::query::has_words;
use super::{DRIVE, TRIED_FAKE};
use crate::call::{ApiCall, Caller, Reason, Refused};
use crate::seen::Seen;
use crate::when::{localize, times};

static START: ApiCall =
    ApiCall::get(&DRIVE, "changes.getStartPageToken", "changes/startPageToken").units(5).scopes(SPEC.scopes);
static CHANGES: ApiCall =
    ApiCall::get(&DRIVE, "changes.list", "changes").units(100).scopes(SPEC.scopes).dead(&[400, 404, 410]);
static FILES: ApiCall = ApiCall::get(&DRIVE, "files.list", "files").units(100).scopes(SPEC.scopes);
static FILE: ApiCall = ApiCall::get(&DRIVE, "files.get", "files/{id}").units(5).scopes(SPEC.scopes);

/// Changes of a page.
const LIMIT: usize = 100;
/// Files that a first poll gives.
const BASELINE: usize = 25;
/// Files that a first poll knows, and that a search after a resync lists.
const SEARCH: usize = 1000;
/// How late a file may come to be listed after it was made: what a phone took offline.
const LAG: TimeDelta = TimeDelta::hours(24);
/// Folders whose names are fetched in one poll.
const FOLDERS: usize = 50;
/// What is read of a file.
const FIELDS: &str = "id,name,mimeType,description,webViewLink,parents,owners(displayName,emailAddress),size,createdTime,\
    modifiedTime,sharedWithMeTime,trashed";

/// Which files.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Filter {
    /// Only files that lie directly in this folder: its id or its link. All where it is left out.
    #[serde(default)]
    #[schemars(extend("x-options" = "folder"), example = &"1dyUEebJaFnWa3Z4n0BFMVAXQ7mfUH11g")]
    folder: String,
    /// Only files of this type. All but folders where it is left out.
    #[serde(default, rename = "type")]
    #[schemars(example = &"pdf")]
    kind: Option<Kind>,
    /// Only files that have these words in their name. All where it is left out.
    #[serde(default)]
    #[schemars(example = &"invoice")]
    name: String,
    /// The time zone of the event's local time: `Europe/Paris`.
    #[serde(default = "utc")]
    #[schemars(example = &"Europe/Paris")]
    zone: String,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Kind {
    Folder,
    Document,
    Spreadsheet,
    Presentation,
    Form,
    Pdf,
    Image,
    Video,
    Audio,
    Text,
    Other,
}

impl Kind {
    fn of(mime: &str) -> Self {
        match mime {
            "application/vnd.google-apps.folder" => Self::Folder,
            "application/vnd.google-apps.document" => Self::Document,
            "application/vnd.google-apps.spreadsheet" => Self::Spreadsheet,
            "application/vnd.google-apps.presentation" => Self::Presentation,
            "application/vnd.google-apps.form" => Self::Form,
            "application/pdf" => Self::Pdf,
            mime if mime.starts_with("image/") => Self::Image,
            mime if mime.starts_with("video/") => Self::Video,
            mime if mime.starts_with("audio/") => Self::Audio,
            mime if mime.starts_with("text/") => Self::Text,
            _ => Self::Other,
        }
    }
}

/// What people map of a file.
#[derive(Debug, Serialize, JsonSchema)]
struct Event {
    /// Google's id of it.
    id: String,
    /// Its name.
    name: String,
    /// What it is: `document`, `spreadsheet`, `pdf`, `image`, …
    kind: Kind,
    /// The same as a MIME type.
    #[serde(rename = "type")]
    mime: String,
    /// Its description; empty where it has none.
    description: String,
    /// Its page in Google Drive.
    link: Option<String>,
    /// The name of the folder that it lies in; empty where that is not shown.
    folder: String,
    /// Google's id of that folder; null where it is not shown.
    folder_id: Option<String>,
    /// The name of its owner; empty where it belongs to a shared drive.
    owner: String,
    /// The owner's address; empty where it is not shown.
    owner_address: String,
    /// How large it is, in bytes; null for what Google's editors make.
    size: Option<u64>,
    /// Whether somebody else shared it.
    shared: bool,
    /// When it was made, in UTC.
    created_at: String,
    /// The same as clocks in `zone` show it.
    created_at_local: String,
    /// When it was last changed, in UTC.
    modified_at: Option<String>,
}

/// See the module.
pub static SPEC: ActionSpec = ActionSpec {
    name: "new_file",
    title: "A file is added",
    description: "Fires for each file that is made in your Google Drive, or shared with you.",
    params: params::<Filter>,
    sample_params: r#"{"type": "pdf", "name": "invoice", "zone": "Europe/Paris"}"#,
    sample_event: r#"{
        "id": "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs", "name": "Invoice 42.pdf", "kind": "pdf", "type": "application/pdf",
        "description": "", "link": "https://drive.google.com/file/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs/view",
        "folder": "Invoices", "folder_id": "1dyUEebJaFnWa3Z4n0BFMVAXQ7mfUH11g", "owner": "Ann Smith",
        "owner_address": "ann@example.org", "size": 48213, "shared": false, "created_at": "2026-11-06T08:49:37Z",
        "created_at_local": "2026-11-06T09:49:37+01:00", "modified_at": "2026-11-06T08:49:37Z"
    }"#,
    scopes: &["drive.metadata.readonly"],
    about: About {
        cost: "100 units a poll; 5 more for each folder with new files",
        tried: TRIED_FAKE,
        gives: Some(params::<Event>),
        large: &[],
    },
    feed: &FEED,
    feed_params: |_| json!({}),
    select: |data, event, _| match select(data, event) {
        None => Verdict::Take,
        Some(why) => Verdict::Leave(why),
    },
    view: Some(|data, event| localize(data, event, "created_at")),
    check: |data| match Filter::deserialize(data) {
        Ok(filter) => {
            engine::zone::zone(&filter.zone).err().map(|why| Invalid::new("/zone", why)).into_iter().collect()
        }
        Err(wrong) => vec![Invalid::new("", wrong.to_string())],
    },
};

static FEED: FeedSpec = FeedSpec {
    name: "files",
    kind: FeedKind::Polled {
        floor: Duration::from_secs(15),
        default: Duration::from_secs(60),
        cadence: Cadence::Interval,
        poll: |cx| Box::pin(poll(cx)),
    },
};

fn select(data: &Value, event: &Value) -> Option<String> {
    let filter = Filter::deserialize(data).ok()?;
    let folder = id_of(&filter.folder);
    if !folder.is_empty() && event["folder_id"] != folder {
        return Some(format!("it lies in {} ({})", event["folder"], event["folder_id"]));
    }
    let fits = match filter.kind {
        Some(kind) => event["kind"] == json!(kind),
        None => event["kind"] != json!(Kind::Folder),
    };
    if !fits {
        return Some(format!("it is a {}", event["kind"]));
    }
    let fits = filter.name.trim().is_empty() || has_words(event["name"].as_str().unwrap_or_default(), &filter.name);
    (!fits).then(|| format!("its name is {}, without `{}`", event["name"], filter.name))
}

/// The id in a link of Google's, or the id itself.
pub(super) fn id_of(text: &str) -> &str {
    let text = text.trim();
    let behind = ["/folders/", "/d/", "?id="].into_iter().find_map(|mark| Some(text.split_once(mark)?.1));
    behind.map_or(text, |rest| rest.split(['/', '?', '#', '&']).next().unwrap_or_default())
}

/// What is remembered between polls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cursor<'a> {
    /// Where the next page of changes is.
    token: String,
    /// What was made before this is old.
    from: DateTime<Utc>,
    /// What was shared before this is old.
    began: DateTime<Utc>,
    /// What was told or known lately: a file comes again with each change. See [`Seen`].
    #[serde(borrow)]
    seen: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    start_page_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changes {
    #[serde(default)]
    changes: Vec<Change>,
    next_page_token: Option<String>,
    new_start_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Change {
    file: Option<Sent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    #[serde(default)]
    files: Vec<Sent>,
    next_page_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Sent {
    id: String,
    name: String,
    mime_type: String,
    description: String,
    web_view_link: Option<String>,
    parents: Vec<String>,
    owners: Vec<Owner>,
    size: Option<String>,
    created_time: Option<DateTime<Utc>>,
    modified_time: Option<DateTime<Utc>>,
    shared_with_me_time: Option<DateTime<Utc>>,
    trashed: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Owner {
    display_name: String,
    email_address: String,
}

impl Sent {
    /// When it came into this Drive.
    fn came(&self) -> Option<DateTime<Utc>> {
        self.created_time.max(self.shared_with_me_time)
    }
}

async fn poll(cx: PollCx<'_>) -> Result<Page, Fault> {
    let caller = Caller::poll(&cx)?;
    let known = cx.cursor.map(Cursor::deserialize).transpose();
    let known = known.map_err(|_| Fault::resync("the cursor cannot be read"))?;
    let (found, mut cursor, more, gap) = match &known {
        None => begin(&caller, cx.since).await?,
        Some(cursor) => changed(&caller, cursor).await?,
    };
    let (old, mut told, mut new) = (Seen::read(&cursor.seen)?, Seen::default(), Vec::new());
    for sent in found {
        let is_late = sent.created_time >= Some(cursor.from) || sent.shared_with_me_time >= Some(cursor.began);
        let is_new = known.is_none() || is_late;
        if is_new && !sent.trashed && !old.has(&sent.id) && told.add(&sent.id) {
            new.push(sent);
        }
    }
    new.sort_by_key(Sent::came);
    if told.len() > 0 {
        let newest = new.iter().filter_map(|sent| sent.created_time).max().map(|newest| newest - LAG);
        cursor.from = newest.map_or(cursor.from, |newest| newest.max(cursor.from));
        cursor.seen = old.after(told).text().into();
    }
    let names = folders(&caller, &new).await?;
    let item = |sent: Sent| Item { key: sent.id.clone(), at: sent.came(), body: json!(event(sent, &names)) };
    let items = new.into_iter().map(item).collect();
    let moved = known.as_ref() != Some(&cursor);
    Ok(Page { items, cursor: moved.then(|| json!(cursor)), more, answer: "200".to_owned(), gap })
}

type Found<'a> = (Vec<Sent>, Cursor<'a>, bool, Option<String>);

/// The first poll, or the one after a resync: the new token comes before the list.
async fn begin<'a>(caller: &Caller<'_>, since: Option<DateTime<Utc>>) -> Result<Found<'a>, Fault> {
    let start: Start = caller.json(&START.ask().query("supportsAllDrives", true)).await?;
    let token = start.start_page_token;
    let Some(from) = since.map(|since| since - LAG) else {
        let List { mut files, next_page_token } = listed(caller, "", "createdTime desc").await?;
        let made = || files.iter().filter_map(|file| file.created_time);
        // By Google's clock, where it shows one.
        let newest = made().max().unwrap_or(caller.now) - LAG;
        let oldest = made().min().filter(|_| next_page_token.is_some()).unwrap_or(newest);
        let (from, began, mut old) = (newest.max(oldest), caller.now, Seen::default());
        for file in files.split_off(files.len().min(BASELINE)) {
            old.add(&file.id);
        }
        return Ok((files, Cursor { token, from, began, seen: old.text().into() }, false, None));
    };
    let text = from.to_rfc3339_opts(SecondsFormat::Secs, true);
    let made = listed(caller, &format!(" and createdTime > '{text}'"), "createdTime desc").await?;
    // Drive sorts by when something was shared, but does not search by it.
    let shared = listed(caller, " and sharedWithMe = true", "sharedWithMeTime desc").await?;
    let is_late = |file: &Sent| file.shared_with_me_time >= Some(from);
    let is_cut =
        made.next_page_token.is_some() || shared.next_page_token.is_some() && shared.files.last().is_none_or(is_late);
    let gap = is_cut.then(|| format!("only the last {SEARCH} files since {text} could be searched"));
    let files = made.files.into_iter().chain(shared.files.into_iter().filter(is_late)).collect();
    Ok((files, Cursor { token, from, began: from, seen: Seen::default().text().into() }, false, gap))
}

async fn listed(caller: &Caller<'_>, more: &str, order: &str) -> Result<List, Refused> {
    let ask = FILES.ask().query("q", format!("trashed = false{more}")).query("orderBy", order);
    let ask = ask.query("pageSize", SEARCH).query("supportsAllDrives", true).query("includeItemsFromAllDrives", true);
    caller.json(&ask.query("fields", format!("nextPageToken,files({FIELDS})"))).await
}

/// One page of changes.
async fn changed<'a>(caller: &Caller<'_>, cursor: &Cursor<'a>) -> Result<Found<'a>, Fault> {
    let ask = CHANGES.ask().query("pageToken", &cursor.token).query("pageSize", LIMIT).query("includeRemoved", false);
    let ask = ask.query("supportsAllDrives", true).query("includeItemsFromAllDrives", true);
    let fields = format!("nextPageToken,newStartPageToken,changes(file({FIELDS}))");
    let page: Changes = caller.json(&ask.query("fields", fields)).await?;
    let more = page.next_page_token.is_some();
    let token = page.next_page_token.or(page.new_start_page_token).unwrap_or_else(|| cursor.token.clone());
    let files = page.changes.into_iter().filter_map(|change| change.file).collect();
    Ok((files, Cursor { token, ..cursor.clone() }, more, None))
}

/// The names of the folders that these files lie in; of those that may be seen.
async fn folders(caller: &Caller<'_>, files: &[Sent]) -> Result<BTreeMap<String, String>, Fault> {
    let mut names = BTreeMap::new();
    for id in files.iter().filter_map(|file| file.parents.first()) {
        if names.len() >= FOLDERS || names.contains_key(id) {
            continue;
        }
        let ask = FILE.ask().at("id", id).query("fields", "id,name,mimeType").query("supportsAllDrives", true);
        let name = match caller.json::<Sent>(&ask).await {
            Ok(folder) => folder.name,
            Err(refused) if matches!(refused.reason, Reason::Missing | Reason::Forbidden) => String::new(),
            Err(refused) => return Err(refused.fault),
        };
        names.insert(id.clone(), name);
    }
    Ok(names)
}

fn event(sent: Sent, names: &BTreeMap<String, String>) -> Event {
    let (created_at, created_at_local) = times(sent.created_time.unwrap_or_default(), "UTC", SecondsFormat::Secs);
    let owner = sent.owners.into_iter().next().unwrap_or_default();
    let folder_id = sent.parents.into_iter().next();
    Event {
        kind: Kind::of(&sent.mime_type),
        folder: folder_id.as_ref().and_then(|id| names.get(id)).cloned().unwrap_or_default(),
        folder_id,
        owner: owner.display_name,
        owner_address: owner.email_address,
        size: sent.size.and_then(|size| size.parse().ok()),
        shared: sent.shared_with_me_time.is_some(),
        created_at,
        created_at_local,
        modified_at: sent.modified_time.map(|at| times(at, "UTC", SecondsFormat::Secs).0),
        id: sent.id,
        name: sent.name,
        mime: sent.mime_type,
        description: sent.description,
        link: sent.web_view_link,
    }
}
