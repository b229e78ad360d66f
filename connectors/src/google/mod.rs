//! The service `google`: mail, calendars, files and sheets. Google's APIs as data are here: what each is called, where its batches go,
//! and what its errors say (`errors`).

mod add_label;
mod append_row;
mod attached;
#[cfg(test)]
mod calendar_tests;
mod calendars;
mod create_event;
mod errors;
mod event_starts;
#[cfg(test)]
mod file_tests;
mod labels;
mod mail;
mod mailbox;
#[cfg(test)]
mod mailbox_tests;
mod new_event;
mod new_file;
mod new_mail;
mod options;
mod query;
mod reading;
#[cfg(test)]
mod reading_tests;
mod send_mail;
#[cfg(test)]
mod send_mail_tests;
#[cfg(test)]
mod tests;
mod written;

use engine::port::Service;

use crate::call::{ApiSpec, BatchSpec};

/// The whole service.
pub static GOOGLE: Service = Service {
    name: "google",
    title: "Google",
    description: "Watches your mail, calendars and files, sends mail, makes events and fills spreadsheets.",
    provider: Some("google"),
    options: &[&options::LABEL, &options::CALENDARS_OF, &options::FOLDER, &options::SPREADSHEET, &options::SHEET],
    actions: &[&new_mail::SPEC, &new_event::SPEC, &event_starts::SPEC, &new_file::SPEC],
    reactions: &[&send_mail::SPEC, &add_label::SPEC, &create_event::SPEC, &append_row::SPEC],
};

/// Gmail. Its base URL is the host alone.
pub static GMAIL: ApiSpec = ApiSpec {
    name: "gmail",
    title: "Gmail",
    said: errors::said,
    // 100 are allowed; more than 50 run into the rate limit (developers.google.com/workspace/gmail/api/guides/batch).
    batch: Some(BatchSpec { path: "/batch/gmail/v1", most: 50 }),
};

/// Google Calendar. Its base URL has the path `calendar/v3`.
pub static CALENDAR: ApiSpec = ApiSpec {
    name: "calendar",
    title: "Google Calendar",
    said: errors::said,
    batch: Some(BatchSpec { path: "/batch/calendar/v3", most: 50 }),
};

/// Google Drive. Its base URL has the path `drive/v3`.
pub static DRIVE: ApiSpec = ApiSpec {
    name: "drive",
    title: "Google Drive",
    said: errors::said,
    batch: Some(BatchSpec { path: "/batch/drive/v3", most: 100 }),
};

/// Google Sheets. Its base URL is the host alone.
pub static SHEETS: ApiSpec = ApiSpec { name: "sheets", title: "Google Sheets", said: errors::said, batch: None };

/// What the parts were run against for which the emulator has what they need.
const TRIED_EMULATOR: &str = "the strict Google emulator behind Prism, which checks every request, also each part of a batch, with Google's descriptions as of November 2026";
/// What the others were run against.
const TRIED_FAKE: &str =
    "a stateful fake behind Prism, which checks every request with Google's descriptions as of November 2026";
