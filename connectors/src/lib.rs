//! The services of AREA Runner: one folder a service, one file an action or reaction. `README.md` beside this crate says how
//! to add one. What exists is what [`all`] says.

mod account;
mod area;
mod call;
mod changes;
mod conditional;
mod google;
mod html;
mod http;
mod log;
mod rss;
mod schema;
mod seen;
mod spotify;
#[cfg(test)]
mod testing;
mod timer;
mod webhook;
mod when;

use engine::port::Services;

static ALL: Services = &[
    &timer::TIMER,
    &http::HTTP,
    &rss::RSS,
    &webhook::WEBHOOK,
    &log::LOG,
    &area::AREA,
    &account::ACCOUNT,
    &spotify::SPOTIFY,
    &google::GOOGLE,
];

/// Every service, in the order in which they are shown.
pub fn all() -> Services {
    ALL
}
