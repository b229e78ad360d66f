//! The action `google.new_file`: of what Google says has changed in a Drive, what was made or shared since the last file that was known.
//! A shared drive has a log of changes of its own: what happens there is not, or not all, in the log of those who may see it
//! (developers.google.com/workspace/drive/api/guides/about-changes).

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
use crate::call::{ApiCall, Ask, Caller, Reason, Refused};
use crate::seen::{Seen, VANISHED};
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
/// Files of a page of a search.
const SEARCH: usize = 1000;
/// Pages of a search.
const PAGES: usize = 10;
/// Google advises against `createdTime` where there are many files.
const CHANGED: &str = "modifiedTime desc";
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
    /// The shared drive that they are in: its id or its link. Your own Drive and what is shared with you where it is left out.
    #[serde(default)]
    #[schemars(example = &"0AJhKqpd3nWYbUk9PVA")]
    drive: String,
    /// Only files that lie directly in this folder when they come: its id or its link. One that is moved there later is not told. All
    /// folders where it is left out.
    #[serde(default)]
    #[schemars(extend("x-options" = "folder"), example = &"1dyUEebJaFnWa3Z4n0BFMVAXQ7mfUH11g")]
    folder: String,
    /// Only files of this type, as the event's `kind` tells it. All but folders where it is left out.
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
    description: "Fires for each file that is made in your Google Drive or shared with you, or made in a shared drive. One that is \
        only moved, or brings an older date of creation along, is not new.",
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
    feed_params: |data| match id_of(data["drive"].as_str().unwrap_or_default()) {
        "" => json!({}),
        drive => json!({ "drive": drive }),
    },
    select: |data, event, _| match select(data, event) {
        None => Verdict::Take,
        Some(why) => Verdict::Leave(why),
    },
    view: Some(|data, event| localize(data, event, "created_at")),
    check: |data| match Filter::deserialize(data) {
        Ok(filter) => {
            let zone = engine::zone::zone(&filter.zone).err().map(|why| Invalid::new("/zone", why));
            let link = |at: &str, text: &str| unlinked(text).map(|why| Invalid::new(at, why));
            zone.into_iter().chain(link("/drive", &filter.drive)).chain(link("/folder", &filter.folder)).collect()
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

/// Why a text is neither an id of Google's nor a link with one; `None`: it is, or there is none.
pub(super) fn unlinked(text: &str) -> Option<String> {
    let id = id_of(text);
    if id == "root" {
        return Some("`root` is no id: leave it out for everything, or paste the link of a folder".to_owned());
    }
    let is_id = id.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let shown: String = text.chars().take(80).collect();
    (!is_id).then(|| format!("`{shown}` has no id in it: open it in Google Drive and paste its link, `https://drive.google.com/drive/folders/…`"))
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
    let drive = Drive { caller: Caller::poll(&cx)?, shared: cx.params["drive"].as_str() };
    let known = cx.cursor.map(Cursor::deserialize).transpose();
    let known = known.map_err(|_| Fault::resync("the cursor cannot be read"))?;
    let (found, mut cursor, more, gap) = match &known {
        None => drive.begin(cx.since).await?,
        Some(cursor) => drive.changed(cursor).await?,
    };
    let (old, mut told, mut new, mut older) = (Seen::read(&cursor.seen)?, Seen::default(), Vec::new(), 0);
    for sent in found.into_iter().filter(|sent| !sent.trashed && !old.has(&sent.id)) {
        let is_late = sent.created_time >= Some(cursor.from) || sent.shared_with_me_time >= Some(cursor.began);
        if known.is_some() && !is_late {
            older += 1;
        } else if told.add(&sent.id) {
            new.push(sent);
        }
    }
    new.sort_by_key(Sent::came);
    if told.len() > 0 {
        // Behind what is told lately nothing is new: the ids of what was told before are not kept for ever.
        let made = new.iter().filter_map(|sent| sent.created_time).max();
        cursor.from = cursor.from.max(lagging(made.unwrap_or(cursor.from), cx.now));
        let came = new.iter().filter_map(Sent::came).max();
        cursor.began = cursor.began.max(lagging(came.unwrap_or(cursor.began), cx.now));
        cursor.seen = old.after(told).text().into();
    }
    let names = folders(&drive.caller, &new).await?;
    let item = |sent: Sent| Item { key: sent.id.clone(), at: sent.came(), body: json!(event(sent, &names)) };
    let items = new.into_iter().map(item).collect();
    let moved = known.as_ref() != Some(&cursor);
    let answer = if older > 0 { format!("200; changed and older: {older}") } else { "200".to_owned() };
    Ok(Page { items, cursor: moved.then(|| json!(cursor)), more, answer, gap })
}

/// What is older came before this, of what Google says came `at`: which may be any time, also one that is yet to come.
fn lagging(at: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    at.min(now).checked_sub_signed(LAG).unwrap_or(at)
}

type Found<'a> = (Vec<Sent>, Cursor<'a>, bool, Option<String>);

/// An account's own Drive, or a shared one. Each has its own log of changes.
struct Drive<'a> {
    caller: Caller<'a>,
    shared: Option<&'a str>,
}

impl Drive<'_> {
    /// In the shared drive, if it is one.
    fn within(&self, ask: Ask) -> Ask {
        match self.shared {
            Some(id) => within(ask, id),
            None => ask,
        }
    }

    /// The first poll, or the one after a resync: the new token comes before the list.
    async fn begin<'c>(&self, since: Option<DateTime<Utc>>) -> Result<Found<'c>, Fault> {
        let ask = START.ask().maybe("driveId", self.shared).maybe("supportsAllDrives", self.shared.map(|_| true));
        let Start { start_page_token: token } = self.caller.json(&ask).await?;
        let now = self.caller.now;
        let from = lagging(since.unwrap_or(now), now);
        let text = from.to_rfc3339_opts(SecondsFormat::Secs, true);
        let (mut files, mut is_cut) =
            self.listed(&format!(" and createdTime > '{text}'"), CHANGED, SEARCH, |_| true).await?;
        let mut seen = Seen::default();
        if since.is_none() {
            let (shown, _) = self.listed("", CHANGED, BASELINE, |_| false).await?;
            for file in files.iter().filter(|file| shown.iter().all(|one| one.id != file.id)) {
                seen.add(&file.id);
            }
            // Where not all of it stays known, nothing that is there may be new.
            let from = if is_cut || seen.len() > VANISHED { now } else { from };
            return Ok((shown, Cursor { token, from, began: now, seen: seen.text().into() }, false, None));
        }
        if self.shared.is_none() {
            // Drive sorts by when something was shared, but does not search by it.
            let is_late = |file: &Sent| file.shared_with_me_time >= Some(from);
            let lent = self.listed(" and sharedWithMe = true", "sharedWithMeTime desc", SEARCH, is_late).await?;
            is_cut |= lent.1;
            files.extend(lent.0.into_iter().filter(is_late));
        }
        let gap =
            is_cut.then(|| format!("so much came since {text} that only the last {} files were searched", files.len()));
        Ok((files, Cursor { token, from, began: from, seen: seen.text().into() }, false, gap))
    }

    /// What a search finds, page by page, as long as `goes_on` says so of the last file; and whether there is more than may be read.
    async fn listed(
        &self,
        words: &str,
        order: &str,
        page_size: usize,
        goes_on: impl Fn(&Sent) -> bool,
    ) -> Result<(Vec<Sent>, bool), Refused> {
        let ask = self.within(FILES.ask().query("q", format!("trashed = false{words}")).query("orderBy", order));
        let ask = ask.maybe("corpora", self.shared.map(|_| "drive")).query("pageSize", page_size);
        let ask = ask.query("fields", format!("nextPageToken,files({FIELDS})"));
        let (mut files, mut token) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let page: List = self.caller.json(&ask.clone().maybe("pageToken", token)).await?;
            files.extend(page.files);
            token = page.next_page_token;
            if token.is_none() || !files.last().is_none_or(&goes_on) {
                return Ok((files, false));
            }
        }
        Ok((files, true))
    }

    /// One page of changes.
    async fn changed<'c>(&self, cursor: &Cursor<'c>) -> Result<Found<'c>, Fault> {
        let ask =
            CHANGES.ask().query("pageToken", &cursor.token).query("pageSize", LIMIT).query("includeRemoved", false);
        let fields = format!("nextPageToken,newStartPageToken,changes(file({FIELDS}))");
        let page: Changes = self.caller.json(&self.within(ask).query("fields", fields)).await?;
        let more = page.next_page_token.is_some();
        let token = page.next_page_token.or(page.new_start_page_token).unwrap_or_else(|| cursor.token.clone());
        let files = page.changes.into_iter().filter_map(|change| change.file).collect();
        Ok((files, Cursor { token, ..cursor.clone() }, more, None))
    }
}

/// Files or changes of a shared drive.
pub(super) fn within(ask: Ask, drive: &str) -> Ask {
    ask.query("driveId", drive).query("supportsAllDrives", true).query("includeItemsFromAllDrives", true)
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
