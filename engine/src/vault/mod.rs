//! Where secrets are kept: sealed at rest by a ring of keys (`seal`), the ring in a file of its own (`keyfile`). `provider` is who
//! issues tokens, as data.

mod keyfile;
pub mod provider;
mod seal;

pub use keyfile::KeyError;
pub use provider::{Provider, ProviderConfig};
pub use seal::{KeyRing, SealError};

use std::time::Duration;

/// What the operator may set of the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultConfig {
    /// Whether tokens are sealed in `next_auth.accounts`.
    pub seal: bool,
    /// Refreshes under way at once on a node, of one provider.
    pub refreshes_at_once: usize,
    /// How long a provider may take to answer a refresh. What is not waited for may have cost the old token.
    pub timeout: Duration,
}

impl Default for VaultConfig {
    fn default() -> Self {
        Self { seal: true, refreshes_at_once: 32, timeout: Duration::from_secs(60) }
    }
}
