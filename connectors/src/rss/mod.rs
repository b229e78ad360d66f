//! The service `rss`: feeds of the web, without an account. `new_entry` is the action; `document` reads RSS, Atom and JSON
//! Feed, `entry` makes the event.

mod document;
mod entry;
mod new_entry;
#[cfg(test)]
mod tests;

use engine::port::Service;

/// See the module.
pub static RSS: Service = Service {
    name: "rss",
    title: "RSS and Atom",
    description: "Watches feeds: RSS, Atom and JSON Feed.",
    provider: None,
    options: &[],
    actions: &[&new_entry::SPEC],
    reactions: &[],
};
