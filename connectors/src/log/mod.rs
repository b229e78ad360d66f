//! The service `log`: a line in the daemon's own log.

mod write;

use engine::port::Service;

/// See the module.
pub static LOG: Service = Service {
    name: "log",
    title: "Log",
    description: "Writes to the daemon's log and to the run.",
    provider: None,
    options: &[],
    actions: &[],
    reactions: &[&write::SPEC],
};
