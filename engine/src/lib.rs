//! The mechanism of AREA Runner. It knows no service by name.
//!
//! The path, one function a step: `schedule` → `poll` → `intake` → `ledger` → `react` → `outcome` → `ledger`.

pub mod accounts;
pub mod again;
pub mod area;
pub mod catch_up;
pub mod clock;
pub mod crash;
pub mod duration;
pub mod fault;
pub mod history;
pub mod hooks;
pub mod ids;
pub mod intake;
pub mod lease;
pub mod ledger;
pub mod limits;
pub mod native;
pub mod net;
pub mod node;
pub mod outcome;
pub mod partition;
pub mod plans;
pub mod policy;
pub mod poll;
pub mod port;
pub mod react;
pub mod rehearse;
pub mod schedule;
pub mod secret;
pub mod store;
pub mod template;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
pub mod text;
mod turns;
pub mod usage;
pub mod vault;
pub mod why;
pub mod zone;
