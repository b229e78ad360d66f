//! What a person picks by name.

use engine::fault::Fault;
use engine::port::{Choice, Choices, OptionsCx, OptionsSpec};

use serde::Deserialize;

use super::new_file::{id_of, within};
use super::{CALENDAR, DRIVE, SHEETS, labels};
use crate::call::{ApiCall, Ask, Caller, Paging};

static CALENDARS: ApiCall =
    ApiCall::get(&CALENDAR, "calendarList.list", "users/me/calendarList").scopes(CALENDARS_OF.scopes);

/// Offered at once.
const MOST: usize = 100;

/// The labels of a mailbox.
pub static LABEL: OptionsSpec =
    OptionsSpec { name: "label", scopes: &["gmail.readonly"], list: |cx| Box::pin(mail_labels(cx)) };

/// The calendars of an account.
pub static CALENDARS_OF: OptionsSpec =
    OptionsSpec { name: "calendar", scopes: &["calendar.calendarlist.readonly"], list: |cx| Box::pin(calendars(cx)) };

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: String,
    #[serde(default)]
    summary: String,
    summary_override: Option<String>,
    #[serde(default)]
    primary: bool,
}

async fn calendars(cx: OptionsCx<'_>) -> Result<Choices, Fault> {
    let paging = Paging::Token { at: "/nextPageToken", param: "pageToken" };
    let ask = CALENDARS.ask().query("maxResults", 250);
    let all = Caller::options(&cx)?.all::<Listed>(ask, "/items", paging).await?;
    let choices = all.items.into_iter().map(|listed| Choice {
        detail: listed.primary.then(|| "the account's own".to_owned()),
        title: listed.summary_override.unwrap_or(listed.summary),
        value: listed.id,
    });
    Ok(Choices::of(choices, cx.q, MOST, all.cut))
}

async fn mail_labels(cx: OptionsCx<'_>) -> Result<Choices, Fault> {
    let all = labels::list(&Caller::options(&cx)?).await?;
    let choices = all.into_iter().map(|label| Choice {
        detail: (label.r#type == "system").then(|| "Gmail's own".to_owned()),
        value: label.id,
        title: label.name,
    });
    Ok(Choices::of(choices, cx.q, MOST, false))
}

static FILES: ApiCall = ApiCall::get(&DRIVE, "files.list", "files").units(100).scopes(FOLDER.scopes);
static SHEETS_OF: ApiCall =
    ApiCall::get(&SHEETS, "spreadsheets.get", "v4/spreadsheets/{id}").scopes(&["spreadsheets.readonly"]);

/// The folders of a Drive, or of the shared drive that they are looked for in.
pub static FOLDER: OptionsSpec = OptionsSpec {
    name: "folder",
    scopes: &["drive.metadata.readonly"],
    list: |cx| {
        let ask = FILES.ask();
        let ask = match cx.within.map(id_of).filter(|drive| !drive.is_empty()) {
            Some(drive) => within(ask, drive).query("corpora", "drive"),
            None => ask,
        };
        Box::pin(files(cx, ask, "application/vnd.google-apps.folder"))
    },
};
/// The spreadsheets of a Drive, and those of shared drives that the account was at.
pub static SPREADSHEET: OptionsSpec = OptionsSpec {
    name: "spreadsheet",
    scopes: &["drive.metadata.readonly"],
    list: |cx| {
        let ask = FILES.ask().query("supportsAllDrives", true).query("includeItemsFromAllDrives", true);
        Box::pin(files(cx, ask, "application/vnd.google-apps.spreadsheet"))
    },
};
/// The sheets of a spreadsheet.
pub static SHEET: OptionsSpec =
    OptionsSpec { name: "sheet", scopes: &["spreadsheets.readonly"], list: |cx| Box::pin(sheets(cx)) };

#[derive(Deserialize)]
struct File {
    id: String,
    #[serde(default)]
    name: String,
}

/// Those whose names begin as it was typed: Drive searches by the beginnings of words.
async fn files(cx: OptionsCx<'_>, ask: Ask, kind: &str) -> Result<Choices, Fault> {
    let typed = cx.q.trim().replace('\\', "\\\\").replace('\'', "\\'");
    let named = if typed.is_empty() { String::new() } else { format!(" and name contains '{typed}'") };
    let ask = ask.query("q", format!("trashed = false and mimeType = '{kind}'{named}"));
    let ask = ask
        .query("orderBy", "viewedByMeTime desc")
        .query("pageSize", MOST)
        .query("fields", "nextPageToken,files(id,name)");
    let page: serde_json::Value = Caller::options(&cx)?.json(&ask).await?;
    let files = Vec::<File>::deserialize(&page["files"]).unwrap_or_default();
    let choices = files.into_iter().map(|file| Choice { value: file.id, title: file.name, detail: None });
    Ok(Choices::of(choices, "", MOST, page["nextPageToken"].is_string()))
}

#[derive(Deserialize)]
struct Spreadsheet {
    #[serde(default)]
    sheets: Vec<Sheet>,
}

#[derive(Deserialize)]
struct Sheet {
    properties: Properties,
}

#[derive(Deserialize)]
struct Properties {
    title: String,
}

async fn sheets(cx: OptionsCx<'_>) -> Result<Choices, Fault> {
    let within = cx.within.map(id_of).filter(|id| !id.is_empty());
    let id = within.ok_or_else(|| Fault::rejected("pick the spreadsheet first"))?;
    let ask = SHEETS_OF.ask().at("id", id).query("fields", "sheets.properties.title");
    let found: Spreadsheet = Caller::options(&cx)?.json(&ask).await?;
    let choices = found.sheets.into_iter().map(|sheet| sheet.properties.title);
    Ok(Choices::of(choices.map(|title| Choice { value: title.clone(), title, detail: None }), cx.q, MOST, false))
}
