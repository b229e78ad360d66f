//! What a connector is handed of an account: a token for this call, and the next one where that is refused.

use super::Vault;
use crate::fault::Fault;
use crate::ids::{AccountId, UserId};
use crate::port::{Auth, Boxed};
use crate::secret::Secret;

/// The account of one owner.
#[derive(Debug)]
pub struct AccountAuth<'a> {
    vault: &'a Vault,
    owner: UserId,
    account: AccountId,
}

impl Vault {
    /// The account as connectors may touch it.
    pub fn auth(&self, owner: UserId, account: AccountId) -> AccountAuth<'_> {
        AccountAuth { vault: self, owner, account }
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
}
