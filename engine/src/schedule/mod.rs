//! When things are due.

pub mod due;
