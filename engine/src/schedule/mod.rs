//! When things are due.

pub mod cron;
pub mod due;
mod field;
pub mod phase;
