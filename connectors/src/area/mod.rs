//! The service `area`: the user's own AREAs, as triggers and as what can be done.
//!
//! `changes` has the actions, whose items the engine makes; `control` the reactions, which go through the engine's port and reach
//! only AREAs of the same owner.

mod changes;
mod control;

use engine::port::Service;

/// See the module.
pub static AREA: Service = Service {
    name: "area",
    title: "AREAs",
    description: "Watches and steers your own AREAs.",
    provider: None,
    options: &[],
    actions: &[&changes::PAUSED, &changes::RUN_FAILED, &changes::SILENT],
    reactions: &[&control::RUN, &control::PAUSE, &control::RESUME],
};
