//! What becomes of a link: stored, looked at, unlinked.

use super::super::life;
use super::{ConnectError, Linked, Proof};
use crate::clock::Micros;
use crate::fault::Fault;
use crate::ids::{AccountId, UserId};
use crate::partition;
use crate::secret::Secret;
use crate::store::accounts::{self, AccountRow};
use crate::store::links::{self, Link};
use crate::vault::Vault;
use crate::vault::connect::session::Data;

/// How often a link is tried again because somebody linked the same account meanwhile.
const TRIES: u32 = 3;

/// What unlinking did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlinked {
    /// Whether the provider was told; `None`: it takes no such message, or there was no token to name.
    pub revoked: Option<Result<(), String>>,
}

/// What a provider has to hear of an account that is gone.
#[derive(Debug)]
pub struct Parting {
    provider: String,
    token: Option<Secret>,
}

impl Vault {
    /// Stores what the provider gave as `user`'s account.
    pub(super) async fn linked(&self, user: UserId, data: &Data, proof: Proof) -> Result<Linked, ConnectError> {
        let granted = proof.scopes.join(" ");
        let habits = self.provider(&data.provider).and_then(|p| p.oauth.as_ref()).map(|oauth| &oauth.habits);
        let dies_at = habits.and_then(|habits| life::dies_at(proof.expires_in, habits, proof.asked_at));
        let ends_at = habits.and_then(|habits| habits.ends_after).map(|span| proof.asked_at.saturating_add(span));
        let new = New {
            kind: if proof.oidc { "oidc" } else { "oauth" },
            provider: &data.provider,
            provider_account: &proof.id,
            who: proof.who.as_deref(),
            access: &proof.access,
            refresh: proof.refresh.as_ref(),
            id_token: proof.id_token.as_ref(),
            dies_at,
            ends_at,
            scope: granted,
            at: proof.asked_at,
        };
        let (account, stopped) = self.store_link(user, &new).await?;
        let has = |scope: &&String| !proof.scopes.contains(scope) && *scope != "offline_access";
        Ok(Linked {
            account,
            user,
            provider: data.provider.clone(),
            who: proof.who.clone(),
            missing: data.scopes.iter().filter(has).cloned().collect(),
            scopes: proof.scopes,
            stopped,
            return_to: data.return_to.clone(),
        })
    }

    /// Links a key that its user pasted. The same key of the same user is the same account.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn link_key(
        &self,
        user: UserId,
        name: &str,
        key: &Secret,
        who: Option<&str>,
    ) -> Result<Linked, ConnectError> {
        let provider = self.provider(name).ok_or_else(|| ConnectError::NoProvider(name.to_owned()))?;
        if provider.oauth.is_some() {
            return Err(ConnectError::IsNotKeyed(name.to_owned()));
        }
        // Two users may share a key: whose it is belongs to its id.
        let print = self.0.parts.ring.identity_hash(&[b"account key", user.0.as_bytes(), key.expose().as_bytes()]);
        let new = New {
            kind: "key",
            provider: name,
            provider_account: &hex::encode(print),
            who,
            access: key,
            refresh: None,
            id_token: None,
            dies_at: None,
            ends_at: None,
            scope: String::new(),
            at: self.0.parts.clock.micros(),
        };
        let (account, stopped) = self.store_link(user, &new).await?;
        let (scopes, missing) = (Vec::new(), Vec::new());
        let (provider, who) = (name.to_owned(), who.map(str::to_owned));
        Ok(Linked { account, user, provider, who, scopes, missing, stopped, return_to: None })
    }

    async fn store_link(
        &self,
        user: UserId,
        new: &New<'_>,
    ) -> Result<(AccountId, Vec<crate::ids::AreaId>), ConnectError> {
        let db = &self.0.parts.db;
        for _ in 0..TRIES {
            let known = links::find(db, new.provider, new.provider_account).await?;
            if known.as_ref().is_some_and(|known| known.user_id != Some(user)) {
                return Err(ConnectError::Taken(self.title(new.provider)));
            }
            let id = known.as_ref().map_or_else(AccountId::new, |known| known.id);
            let version = known.as_ref().map_or(0, |known| known.version) + 1;
            let reason = known.as_ref().filter(|k| k.state.as_deref() == Some("needs_reconnect"));
            let reason = reason.and_then(|known| known.reason.as_deref());
            let stopped = match reason {
                Some(reason) => links::stopped(db, user, id, reason).await?,
                None => Vec::new(),
            };
            let close = |column: &str, secret: &Secret| self.close(id, column, secret);
            let link = Link {
                id,
                user,
                kind: new.kind,
                provider: new.provider,
                provider_account: new.provider_account,
                who: new.who,
                access_token: Some(close("access_token", new.access)),
                refresh_token: new.refresh.map(|token| close("refresh_token", token)),
                expires_at: new.dies_at.map(|at| at / 1_000_000),
                scope: new.scope.clone(),
                id_token: new.id_token.map(|token| close("id_token", token)),
                part: partition::of(user, &id.to_string()),
                at: new.at,
                refresh_at: life::refresh_at(new.dies_at, new.at, id, version),
                ends_at: new.ends_at,
                signs_in: false,
            };
            if links::link(db, &link, known.is_some()).await? {
                self.forget(id);
                return Ok((id, stopped));
            }
        }
        Err(ConnectError::Database)
    }

    /// Unlinks: the row goes, its AREAs pause with the reason, the provider is told.
    ///
    /// # Errors
    /// The database's. `None`: `user` has no such account.
    pub async fn unlink(&self, user: UserId, id: AccountId) -> Result<Option<Unlinked>, ConnectError> {
        let db = &self.0.parts.db;
        let row = accounts::get(db, id).await?.filter(|row| row.user_id == Some(user));
        let Some(row) = row else { return Ok(None) };
        // What it may be revoked with is read before it is gone.
        let parting = self.parting(&row);
        if !links::remove(db, user, id).await? {
            return Ok(None);
        }
        self.forget(id);
        let title = self.title(&row.provider);
        self.give_up(id, &format!("its {title} account was unlinked: link one again and name it in the AREA")).await?;
        Ok(Some(Unlinked { revoked: self.revoked(parting).await }))
    }

    /// What the provider has to hear of a row that goes.
    fn parting(&self, row: &AccountRow) -> Parting {
        // What does not open cannot be named to anybody.
        let open = |column, text: &Option<String>| self.open(row.id, column, text.as_deref()).ok().flatten();
        let token = open("refresh_token", &row.refresh_token).or_else(|| open("access_token", &row.access_token));
        Parting { provider: row.provider.clone(), token }
    }

    async fn revoked(&self, parting: Parting) -> Option<Result<(), String>> {
        let (oauth, client) = self.provider(&parting.provider).and_then(|provider| provider.client())?;
        let revoked = self.asked(oauth, client).revoke(&parting.token?).await?;
        Some(revoked.map_err(|fault| fault.why().to_owned()))
    }

    /// What the providers have to hear when `user` leaves; read before their rows go.
    ///
    /// # Errors
    /// The database's.
    pub async fn partings(&self, user: UserId) -> sqlx::Result<Vec<Parting>> {
        let db = &self.0.parts.db;
        let mut partings = Vec::new();
        for account in accounts::of(db, user).await? {
            let row = accounts::get(db, account.id).await?;
            partings.extend(row.map(|row| self.parting(&row)));
            self.forget(account.id);
        }
        Ok(partings)
    }

    /// Tells the providers, beside everything else: whoever left does not wait for them.
    pub fn part(&self, partings: Vec<Parting>) {
        for parting in partings {
            let (vault, provider) = (self.clone(), parting.provider.clone());
            self.0.tasks.spawn(self.0.halted.clone().run_until_cancelled_owned(async move {
                if let Some(Err(why)) = vault.revoked(parting).await {
                    tracing::warn!(provider, why, "the token of an account whose owner left could not be revoked");
                }
            }));
        }
    }

    /// Tries an account: its token, and what the provider says of it.
    ///
    /// # Errors
    /// As [`Vault::access`], and what the provider answered.
    pub async fn check(&self, id: AccountId) -> Result<(), Fault> {
        let token = self.access(id).await?;
        let row = self.row(id).await?;
        let Some((oauth, client)) = self.provider(&row.provider).and_then(|provider| provider.client()) else {
            return Ok(());
        };
        let asked = self.asked(oauth, client);
        match asked.is_taken(&token).await {
            Ok(true) => Ok(()),
            Ok(false) => match asked.is_taken(&self.refused(id, &token).await?).await? {
                true => Ok(()),
                false => Err(Fault::Reconnect {
                    provider: row.provider,
                    why: "the provider refuses its new token too".to_owned(),
                }),
            },
            Err(fault) => Err(fault),
        }
    }

    fn title(&self, provider: &str) -> String {
        self.provider(provider).map_or_else(|| provider.to_owned(), |provider| provider.title.clone())
    }
}

/// What is linked, in the clear.
struct New<'a> {
    kind: &'a str,
    provider: &'a str,
    provider_account: &'a str,
    who: Option<&'a str>,
    access: &'a Secret,
    refresh: Option<&'a Secret>,
    id_token: Option<&'a Secret>,
    dies_at: Option<Micros>,
    ends_at: Option<Micros>,
    scope: String,
    at: Micros,
}
