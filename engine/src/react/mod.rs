//! Firing: who runs next, and how a run goes on.

pub mod detail;
pub mod queue;
