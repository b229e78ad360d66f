//! The services of AREA Runner: one folder a service, one file an action or reaction. `README.md` beside this crate says how
//! to add one. What exists is what [`all`] says.

mod area;
mod log;
mod schema;
mod timer;
mod webhook;

use engine::port::Services;

static ALL: Services = &[&timer::TIMER, &webhook::WEBHOOK, &log::LOG, &area::AREA];

/// Every service, in the order in which they are shown.
pub fn all() -> Services {
    ALL
}
