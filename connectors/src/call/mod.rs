//! The layer on which connectors call the APIs of providers. A call is data: [`ApiSpec`] says what an API is and how it refuses,
//! [`ApiCall`] what one call is. [`Ask`] is a call with its values, and [`Caller`] sends it: base URL and bearer from the context, a
//! 401 refreshed once and repeated once, units taken from the account's and the app's share, the answer capped and judged.
//!
//! `judge` makes of a refusal what to do next, `walk` goes from page to page, `batch` sends many calls as one.
//! What is absent: retries and pauses. A [`Refused`] is a fault, and the engine decides what follows.

mod ask;
mod batch;
mod judge;
mod send;
#[cfg(test)]
mod tests;
mod walk;

pub use {
    ask::{ApiCall, ApiSpec, Ask},
    batch::BatchSpec,
    judge::{Reason, Refused, Said},
    send::Caller,
    walk::Paging,
};
