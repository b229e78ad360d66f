//! The engine's integration tests: one binary.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, which the lint does not see")]

mod large;
mod ledger;
mod net;
mod nodes;
mod path;
mod scripted;
mod simulation;
mod stage;
mod vault;
