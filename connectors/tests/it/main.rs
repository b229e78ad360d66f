//! What holds for every connector in `connectors::all()`.
//!
//! `specs` needs nothing but the list. `feeds` asks every polled feed that uses HTTP through `server`, a scripted server on
//! loopback: `cases` says how to serve items to each, `driver` keeps what the engine would keep, `bench` puts the two together,
//! and `lists` and `faults` are the checks. `reactions` calls what reaches other AREAs and the log. `example` is the connector of
//! `README.md`, and `readme` holds the two together.

#![allow(clippy::unwrap_used, reason = "a test may unwrap, and so may what only tests call")]

mod bench;
mod cases;
mod driver;
mod example;
mod faults;
mod feeds;
mod lists;
mod reactions;
mod readme;
mod server;
mod specs;
