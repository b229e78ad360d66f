//! Tests that drive the real binary. `kit` runs it in a folder of its own; every module beside it is a part of the product.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cli;
mod kit;
