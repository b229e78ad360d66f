//! The mechanism of AREA Runner. It knows no service by name.
//!
//! The path, one function a step: `schedule` → `poll` → `intake` → `ledger` → `react` → `outcome` → `ledger`.

pub mod area;
pub mod clock;
pub mod crash;
pub mod duration;
pub mod fault;
pub mod ids;
pub mod lease;
pub mod ledger;
pub mod limits;
pub mod net;
pub mod partition;
pub mod port;
pub mod react;
pub mod schedule;
pub mod secret;
pub mod store;
pub mod template;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
pub mod vault;
pub mod zone;
