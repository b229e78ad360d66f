//! The AREA as people write it, from JSON text to what runs.
//!
//! `document` (its shape) → `check` (everything that is wrong with it) → `secrets` (sealed at rest) → `source` (what it watches) →
//! `desk` (stored, edited, paused) → `plan` (what intake decides by and react executes). `schema` and `words` are what all of them
//! know of JSON Schemas, `hook_key` is the key in a hook's URL.

pub mod catalog;
pub mod check;
pub mod desk;
pub mod diff;
pub mod document;
pub mod hook_key;
pub mod origin;
pub mod plan;
pub mod pointer;
pub mod schema;
pub mod secrets;
pub mod source;
pub mod words;

pub use desk::apply::{ApplyError, Step as ApplyStep, What};
pub use desk::{AreaError, Desk};
pub use document::{ActionRef, Document, OnError, ReactionRef};
pub use plan::{Plan, Step, Watch};

#[cfg(test)]
mod tests;
