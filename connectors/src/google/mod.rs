//! The service `google`: mail, calendars, files and sheets. Google's APIs as data are here: what each is called, where its batches go,
//! and what its errors say (`errors`).

mod add_label;
mod attached;
mod errors;
mod labels;
mod mail;
mod mailbox;
mod new_mail;
mod options;
mod query;
mod send_mail;
#[cfg(test)]
mod tests;
mod when;
mod written;

use engine::port::Service;

use crate::call::{ApiSpec, BatchSpec};

/// The whole service.
pub static GOOGLE: Service = Service {
    name: "google",
    title: "Google",
    description: "Watches your mail and sends it.",
    provider: Some("google"),
    options: &[&options::LABEL],
    actions: &[&new_mail::SPEC],
    reactions: &[&send_mail::SPEC, &add_label::SPEC],
};

/// Gmail. Its base URL is the host alone.
pub static GMAIL: ApiSpec = ApiSpec {
    name: "gmail",
    title: "Gmail",
    said: errors::said,
    // 100 are allowed; more than 50 run into the rate limit (developers.google.com/workspace/gmail/api/guides/batch).
    batch: Some(BatchSpec { path: "/batch/gmail/v1", most: 50 }),
};

/// What Gmail's parts were run against.
const TRIED_GMAIL: &str = "a scripted Gmail that follows its documentation";
