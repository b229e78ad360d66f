//! What a person picks by name.

use engine::fault::Fault;
use engine::port::{Choice, Choices, OptionsCx, OptionsSpec};

use serde::Deserialize;

use super::{CALENDAR, labels};
use crate::call::{ApiCall, Caller, Paging};

static CALENDARS: ApiCall =
    ApiCall::get(&CALENDAR, "calendarList.list", "users/me/calendarList").scopes(CALENDARS_OF.scopes);

/// Offered at once.
const MOST: usize = 100;

/// The labels of a mailbox.
pub static LABEL: OptionsSpec =
    OptionsSpec { name: "label", scopes: &["gmail.labels"], list: |cx| Box::pin(mail_labels(cx)) };

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
