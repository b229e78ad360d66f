//! The service `http`: any web address, without an account.
//!
//! | file | what |
//! |---|---|
//! | `new_item` | a list in JSON: an item with a new key |
//! | `changed` | one thing changes: the body, the status, or a value in the JSON |
//! | `health`, `down`, `up` | one poll, two selections |
//! | `request` | the reaction |
//! | `target` | what all of them say about a request: headers, method, statuses |
//! | `json`, `paging` | pointers into an answer, and the way to its next page |
//!
//! URLs are the user's: fields that hold one are marked `"x-guard": true` in the schema, and whoever saves an AREA passes
//! them to `engine::net::Http::check_url` (or `check_url_template` in a reaction). Headers are marked `"writeOnly": true`.

mod changed;
mod down;
mod health;
mod json;
mod new_item;
mod paging;
mod request;
mod target;
#[cfg(test)]
mod tests;
mod up;

use engine::port::Service;

/// See the module.
pub static HTTP: Service = Service {
    name: "http",
    title: "HTTP",
    description: "Watches web addresses and sends requests to them.",
    provider: None,
    options: &[],
    actions: &[&new_item::SPEC, &changed::SPEC, &down::SPEC, &up::SPEC],
    reactions: &[&request::SPEC],
};
