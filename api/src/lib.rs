//! The HTTP API, identity, the command line. `cli` reads the command line, `settings` the configuration, `rest` is the HTTP API,
//! `identity` knows who asks and what they may, `mail` writes to people, `catalog` shows what the services offer, `apply` reads AREAs from files, `serve` is the daemon.

pub mod apply;
pub mod catalog;
pub mod cli;
pub mod identity;
pub mod mail;
pub mod rest;
pub mod serve;
pub mod settings;
pub mod telemetry;
