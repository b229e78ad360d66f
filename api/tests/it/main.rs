//! Tests of the product from outside. `kit` runs the real binary in a folder of its own; `rest` speaks to the API through its real
//! router on a socket. Every other module is a part of the product.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cli;
mod connect;
mod daemon;
mod kit;
mod pages;
mod peers;
mod people;
mod rest;
mod site;
mod spotify;
mod vault;
