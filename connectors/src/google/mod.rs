//! Google's APIs as data: what each is called, where its batches go, and what its errors say.

mod errors;

use crate::call::{ApiSpec, BatchSpec};

/// Gmail. Its base URL is the host alone.
pub static GMAIL: ApiSpec = ApiSpec {
    name: "gmail",
    title: "Gmail",
    said: errors::said,
    // 100 are allowed; more than 50 run into the rate limit (developers.google.com/workspace/gmail/api/guides/batch).
    batch: Some(BatchSpec { path: "/batch/gmail/v1", most: 50 }),
};

/// Google Calendar.
pub static CALENDAR: ApiSpec = ApiSpec {
    name: "calendar",
    title: "Google Calendar",
    said: errors::said,
    batch: Some(BatchSpec { path: "/batch/calendar/v3", most: 50 }),
};

/// Google Drive.
pub static DRIVE: ApiSpec = ApiSpec {
    name: "drive",
    title: "Google Drive",
    said: errors::said,
    batch: Some(BatchSpec { path: "/batch/drive/v3", most: 100 }),
};

/// Google Sheets.
pub static SHEETS: ApiSpec = ApiSpec { name: "sheets", title: "Google Sheets", said: errors::said, batch: None };
