//! The HTTP client that connectors are handed: guarded against SSRF, capped, limited, counted.
//!
//! `guard` says where a user-given URL may lead (`address` knows the networks), `limit` how often a host is called,
//! `call` builds a request, `answer` and `link` read what came back, `failure` says why nothing did.
//! Redirects are followed here by hand, so that every hop passes the guard and credentials stay at their origin.
//! What is absent: cookies, proxies, retries. A failed call is a fault, and the engine decides what follows.

mod address;
mod answer;
mod call;
pub mod config;
mod failure;
mod guard;
mod limit;
mod link;
mod redirect;
mod send;

pub use answer::Answer;
pub use call::{Call, header};
pub use config::{NetConfig, parse_allow};
pub use failure::{Cause, Failure, place, printable};
pub use guard::{literal_origin, parse_url};
pub(crate) use limit::Time;
pub use limit::{FAILURES_TO_OPEN, FIRST_PAUSE, LONGEST_PAUSE};
pub use send::{Http, Trust};
