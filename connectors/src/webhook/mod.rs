//! The service `webhook`: others call our URL.
//!
//! `received` is the action (its spec, its event), `params` what a user may say, `presets` what the known senders' schemes
//! expand to, `check` what the schema cannot say, `verify` whether a request is believed, `event` what becomes of one that is.
//! Everything here is pure: the engine hands in the request and the instant, and commits before anything is answered.

mod check;
mod event;
mod params;
mod presets;
mod received;
mod verify;

use engine::port::Service;

/// See the module.
pub static WEBHOOK: Service = Service {
    name: "webhook",
    title: "Webhook",
    description: "Receives what other programs send to a URL of your own.",
    provider: None,
    options: &[],
    actions: &[&received::SPEC],
    reactions: &[],
};
