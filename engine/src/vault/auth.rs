//! What a connector is handed of an account: a token for this call, and the next one where that is refused.

use super::{Provider, Vault};
use crate::fault::Fault;
use crate::ids::{AccountId, UserId};
use crate::port::{Auth, Boxed};
use crate::secret::Secret;
use crate::usage::Api;

/// The account of one owner.
#[derive(Debug)]
pub struct AccountAuth<'a> {
    vault: &'a Vault,
    owner: UserId,
    account: AccountId,
    provider: Option<&'a Provider>,
}

impl Vault {
    /// The account, of a service of `provider`, as connectors may touch it.
    pub fn auth(&self, owner: UserId, account: AccountId, provider: Option<&str>) -> AccountAuth<'_> {
        AccountAuth { vault: self, owner, account, provider: provider.and_then(|name| self.provider(name)) }
    }
}

impl AccountAuth<'_> {
    async fn token(&self) -> Result<Secret, Fault> {
        let held = self.vault.held(self.account).await?;
        match held.owner == Some(self.owner) {
            true => Ok(held.token.clone()),
            // As if there were none: whose it is, is nobody else's business.
            false => Err(Fault::rejected("the AREA names an account that its owner does not have")),
        }
    }
}

impl Auth for AccountAuth<'_> {
    fn bearer(&self) -> Boxed<'_, Result<Secret, Fault>> {
        Box::pin(self.token())
    }

    fn refused<'a>(&'a self, token: &'a Secret) -> Boxed<'a, Result<Secret, Fault>> {
        Box::pin(async move {
            self.token().await?;
            self.vault.refused(self.account, token).await
        })
    }

    fn api<'a>(&'a self, name: &'a str) -> Option<Api<'a>> {
        let provider = self.provider?;
        Some(Api {
            provider: &provider.name,
            name,
            base: provider.apis.get(name)?,
            account: self.account,
            usage: &self.vault.0.usage,
            nodes: self.vault.0.parts.leases.as_ref().map_or(1, |leases| leases.nodes()),
        })
    }
}
