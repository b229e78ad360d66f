//! Where secrets are kept: sealed at rest by a ring of keys (`seal`), the ring in a file of its own (`keyfile`).

mod keyfile;
mod seal;

pub use keyfile::KeyError;
pub use seal::{KeyRing, SealError};
