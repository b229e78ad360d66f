//! The refresh of one account, step by step: read, claim, call, store. The claim is committed before the provider is called. What the
//! provider gave is stored before anybody uses it, and as long as the database is away the holder keeps trying. Everything is stored
//! over the version that was read, so a refresh that was overtaken changes nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::exchange::{Asked, NoTokens, Tokens};
use super::{Held, Vault, away, life};
use crate::clock::{Micros, from_micros};
use crate::crash;
use crate::fault::Fault;
use crate::ids::AccountId;
use crate::node::lock;
use crate::partition;
use crate::secret::Secret;
use crate::store::accounts::{self, AccountRow, Claim, Paused, Renewed};
use crate::store::batch::is_passing;

/// A token that the provider issued this recently and refuses is not refreshed once more at once: something else may be wrong.
const JUST_ISSUED: Micros = 60 * 1_000_000;
/// Between two looks at a claim of another node.
const LOOK: Duration = Duration::from_millis(40);
/// Longer than a provider may take: how long another node's claim is waited for.
const GRACE: Duration = Duration::from_secs(10);
/// Between two tries to store while the database is away.
const STORE_AGAIN: Duration = Duration::from_millis(200);

impl Vault {
    /// `held`, which is what is stored, was refused: the next one.
    pub(super) async fn next(&self, row: &AccountRow, held: Option<&Held>, now: Micros) -> Result<Secret, Fault> {
        let again = held.and_then(|held| held.refreshed_at).map(|at| at + JUST_ISSUED).filter(|again| now < *again);
        if let Some(again) = again {
            let why = format!("{} refuses a token that it issued a moment ago: does it lack a scope?", row.provider);
            return Err(Fault::Later { not_before: Some(from_micros(again)), why, maybe_done: false });
        }
        self.flight(row.id, row.version).await.map(|held| held.token.clone())
    }
}

/// Gets tokens newer than those of `unwanted`, by a refresh of its own or by waiting for another node's.
pub(super) async fn refresh(vault: &Vault, account: AccountId, unwanted: i64) -> Result<Arc<Held>, Fault> {
    let parts = &vault.0.parts;
    let Some(leases) = &parts.leases else {
        return Err(Fault::later("the account's token has expired: a running daemon refreshes it"));
    };
    let deadline = Instant::now() + parts.config.timeout + GRACE;
    loop {
        let row = vault.row(account).await?;
        let now = parts.clock.micros();
        if row.version != unwanted
            && let Some(held) = vault.of_row(&row, now)?.filter(|held| now < held.dies_at)
        {
            return Ok(held);
        }
        if let Some(not_before) = row.not_before.filter(|at| now < *at) {
            let why = row.failing.unwrap_or_else(|| "the last refresh came to nothing".to_owned());
            return Err(Fault::Later { not_before: Some(from_micros(not_before)), why, maybe_done: false });
        }
        let token = match vault.open(account, "refresh_token", row.refresh_token.as_deref())? {
            Some(token) => token,
            None => {
                let why = match &row.access_token {
                    Some(_) => "its token is no longer good, and there is none to refresh it with",
                    None => "it was linked for signing in alone: link it for AREAs too, it keeps its id",
                };
                return Err(lose(vault, &row, None, why).await);
            }
        };
        know(vault, &row).await?;
        let claimed = accounts::claim(&parts.db, account, row.version, leases.node(), now).await.map_err(away)?;
        let claimed = match crash::without("vault.claim") {
            true => Some(claimed.unwrap_or(Claim { claim: 0, in_doubt: false })),
            false => claimed,
        };
        if let Some(claim) = claimed {
            crash::point("vault.claimed");
            if let Some(landed) = fly(vault, &row, claim, &token).await {
                return landed;
            }
        } else if Instant::now() > deadline {
            return Err(Fault::later("another node refreshes the account, and has not come to an end"));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Calls the provider and stores what it gave. `None`: somebody overtook us; look again.
async fn fly(vault: &Vault, row: &AccountRow, claim: Claim, token: &Secret) -> Option<Result<Arc<Held>, Fault>> {
    let parts = &vault.0.parts;
    let Some((oauth, client)) = vault.provider(&row.provider).and_then(|provider| provider.client()) else {
        let why = format!("providers.{}: its client_id and client_secret are not set", row.provider);
        return Some(Err(failed(vault, row, claim, Fault::later(why)).await));
    };
    // A node that others may take for dead starts nothing: its claim is no longer proof that it is alone.
    if !parts.leases.as_ref().is_some_and(|leases| leases.is_live()) {
        return Some(Err(Fault::later("this node could not prove that it is alive")));
    }
    let asked_at = parts.clock.micros();
    let now = from_micros(asked_at);
    let asked = Asked { http: &parts.http, oauth, client, timeout: parts.config.timeout, now };
    let answer = asked.refresh(token).await;
    crash::point("vault.answered");
    match answer {
        Ok(tokens) => {
            let new = renewed(vault, row, token, &tokens, asked_at);
            match store(vault, row, claim, &new).await {
                Ok(true) => {
                    crash::point("vault.stored");
                    counted(row, "refreshed");
                    let held = Held {
                        token: tokens.access,
                        owner: row.user_id,
                        good_until: life::good_until(new.dies_at, Some(asked_at), &oauth.habits),
                        dies_at: new.dies_at.unwrap_or(Micros::MAX),
                        believed_until: asked_at + super::BELIEVED,
                        refreshed_at: Some(asked_at),
                    };
                    Some(Ok(Arc::new(held)))
                }
                Ok(false) => None,
                Err(fault) => Some(Err(fault)),
            }
        }
        Err(NoTokens::Dead(why)) => {
            let why = match claim.in_doubt {
                true => format!("{why}; an earlier refresh was cut off, and may have used the token up"),
                false => why,
            };
            Some(Err(lose(vault, row, Some(claim), &why).await))
        }
        Err(NoTokens::Later(fault)) => Some(Err(failed(vault, row, claim, fault).await)),
    }
}

/// What is stored, and when the token dies.
struct New {
    stored: Renewed,
    dies_at: Option<Micros>,
}

fn renewed(vault: &Vault, row: &AccountRow, old: &Secret, tokens: &Tokens, asked_at: Micros) -> New {
    let habits = vault.provider(&row.provider).and_then(|p| p.oauth.as_ref()).map(|oauth| &oauth.habits);
    let dies_at = habits.and_then(|habits| life::dies_at(tokens.expires_in, habits, asked_at));
    let close = |column, secret| vault.close(row.id, column, secret);
    let stored = Renewed {
        access_token: close("access_token", &tokens.access),
        // An answer without one keeps the old one.
        refresh_token: Some(close("refresh_token", tokens.refresh.as_ref().unwrap_or(old))),
        expires_at: dies_at.map(|at| at / 1_000_000),
        scope: tokens.scopes.as_ref().map(|all| all.join(" ")),
        id_token: tokens.id_token.as_ref().map(|token| close("id_token", token)),
        at: asked_at,
        refresh_at: life::refresh_at(dies_at, asked_at, row.id, row.version + 1),
    };
    New { stored, dies_at }
}

/// Stores new tokens, however long the database is away. False: newer ones are stored.
async fn store(vault: &Vault, row: &AccountRow, claim: Claim, new: &New) -> Result<bool, Fault> {
    let db = &vault.0.parts.db;
    let mut tries = 0_u32;
    loop {
        match accounts::renew(db, row.id, row.version, &new.stored).await {
            Ok(true) => return Ok(true),
            // The answer to our own commit may have been lost.
            Ok(false) if tries > 0 => {
                let stored = accounts::get(db, row.id).await.map_err(away)?;
                return Ok(stored.is_some_and(|s| s.access_token.as_ref() == Some(&new.stored.access_token)));
            }
            Ok(false) => return Ok(false),
            Err(error) if is_passing(&error) => {
                if tries == 0 {
                    tracing::warn!(account = %row.id, %error, "new tokens cannot be stored; trying until the database is back");
                }
                tries = tries.saturating_add(1);
                tokio::time::sleep(STORE_AGAIN).await;
            }
            Err(error) => {
                tracing::error!(account = %row.id, %error, "the database refuses new tokens");
                return Err(failed(vault, row, claim, Fault::maybe("the database refuses the new tokens")).await);
            }
        }
    }
}

/// A refresh came to nothing: the claim is given back, and nobody tries again before a while.
async fn failed(vault: &Vault, row: &AccountRow, claim: Claim, fault: Fault) -> Fault {
    counted(row, "failed");
    let Fault::Later { not_before, why, maybe_done } = fault else { return fault };
    let now = vault.0.parts.clock.micros();
    let asked = not_before.map(|at| at.timestamp_micros());
    let again = life::again_at(row.failures + 1, asked, row.id, now);
    tracing::warn!(account = %row.id, provider = row.provider, why, failures = row.failures + 1, "a refresh failed; it is tried again");
    let in_doubt = claim.in_doubt || maybe_done;
    let released = accounts::release(&vault.0.parts.db, row.id, claim.claim, (&why, again), in_doubt).await;
    if let Err(error) = released {
        // The claim is this node's: its next refresh takes it over.
        tracing::warn!(account = %row.id, %error, "could not give a claim back");
    }
    Fault::Later { not_before: Some(from_micros(again)), why, maybe_done: false }
}

/// Only its owner can help: the account is marked, its AREAs pause. Gives the fault that follows.
async fn lose(vault: &Vault, row: &AccountRow, claim: Option<Claim>, why: &str) -> Fault {
    match vault.lose(row, claim, why).await {
        Ok(true) => Fault::Reconnect { provider: row.provider.clone(), why: why.to_owned() },
        Ok(false) => Fault::later("the account changed while it was refreshed"),
        Err(error) => away(error),
    }
}

impl Vault {
    /// Marks an account that must be linked again. False: it has other tokens by now, or is marked already.
    async fn lose(&self, row: &AccountRow, claim: Option<Claim>, why: &str) -> sqlx::Result<bool> {
        let parts = &self.0.parts;
        know_row(self, row).await?;
        let now = parts.clock.micros();
        let at = (row.version, claim.map(|claim| claim.claim));
        let Some(paused) = accounts::lose(&parts.db, row.id, at, why, now).await? else {
            return Ok(false);
        };
        crash::point("vault.lost");
        counted(row, "lost");
        tracing::warn!(account = %row.id, provider = row.provider, why, "an account must be linked again; its AREAs pause");
        self.forget(row.id);
        self.paused(paused);
        Ok(true)
    }

    /// A connector says that only the owner can help, or the account is gone: it is marked, and its AREAs pause.
    ///
    /// # Errors
    /// The database's.
    pub async fn give_up(&self, account: AccountId, why: &str) -> sqlx::Result<()> {
        let (db, now) = (&self.0.parts.db, self.0.parts.clock.micros());
        let row = accounts::get(db, account).await?;
        let lost = match &row {
            Some(row) if row.state == "ok" => self.lose(row, None, why).await?,
            _ => false,
        };
        if !lost {
            let why = row.as_ref().and_then(|row| row.reason.as_deref()).unwrap_or(why);
            self.paused(accounts::pause(db, account, why, now).await?);
        }
        Ok(())
    }

    fn paused(&self, paused: Vec<Paused>) {
        lock(&self.0.lost).extend(paused);
        self.0.lost_changed.notify_one();
    }
}

/// An account that an Auth.js site linked gets its state with the first refresh.
async fn know(vault: &Vault, row: &AccountRow) -> Result<(), Fault> {
    know_row(vault, row).await.map_err(away)
}

async fn know_row(vault: &Vault, row: &AccountRow) -> sqlx::Result<()> {
    if row.known {
        return Ok(());
    }
    let part = row.user_id.map_or(0, |user| partition::of(user, &row.id.to_string()));
    accounts::know(&vault.0.parts.db, row, part, None).await
}

fn counted(row: &AccountRow, outcome: &'static str) {
    metrics::counter!("area_refreshes_total", "provider" => row.provider.clone(), "outcome" => outcome).increment(1);
}
