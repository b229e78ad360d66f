//! Where secrets are kept: sealed at rest by a ring of keys (`seal`), the ring in a file of its own (`keyfile`). `provider` is who
//! issues tokens, as data.
//!
//! The [`Vault`] hands out access tokens. What is in memory and good is handed out at once. Else the row is read; where its token is
//! not good either, it is refreshed: once for all who wait in this process (`flight`), and by one process at a time (the row's
//! claim). `refresh` takes the steps, `exchange` speaks to the provider, `life` says how long a token is good, `keeper` refreshes
//! ahead of time what active AREAs need. `auth` is what a connector is handed. `reseal` moves everything to a new key.

mod auth;
pub mod connect;
pub mod exchange;
mod flight;
mod keeper;
mod keyfile;
mod life;
pub mod provider;
mod refresh;
pub mod reseal;
mod seal;

pub use auth::AccountAuth;
pub use keeper::Keeper;
pub use keyfile::KeyError;
pub use provider::{Provider, ProviderConfig};
pub use seal::{KeyRing, SealError};

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{Clock, Micros};
use crate::fault::Fault;
use crate::ids::{AccountId, UserId};
use crate::lease::Leases;
use crate::net::Http;
use crate::node::lock;
use crate::secret::Secret;
use crate::store::Db;
use crate::store::accounts::{self, AccountRow, Paused};
use crate::usage::Usage;
use flight::Flights;

/// Accounts whose tokens are kept in memory.
const CACHED: u64 = 200_000;
/// How long what is in memory is believed: an account may be unlinked on another node.
const BELIEVED: Micros = 10 * 60 * 1_000_000;

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

/// What a vault is made of.
pub struct Parts {
    /// The database, migrated.
    pub db: Db,
    /// The keys.
    pub ring: KeyRing,
    /// The HTTP client.
    pub http: Http,
    /// The one clock.
    pub clock: Clock,
    /// Who issues tokens.
    pub providers: Vec<Provider>,
    /// What the operator set.
    pub config: VaultConfig,
    /// Whose node this is; `None`: a command beside the daemon, which refreshes nothing.
    pub leases: Option<Arc<Leases>>,
}

/// Hands out access tokens and keeps them alive. Clones share everything.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    parts: Parts,
    providers: HashMap<String, Provider>,
    held: moka::sync::Cache<AccountId, Arc<Held>>,
    flights: Flights,
    usage: Usage,
    tasks: TaskTracker,
    halted: CancellationToken,
    /// AREAs that paused because their account is lost: the engine tells who must hear of it.
    lost: Mutex<Vec<Paused>>,
    lost_changed: Notify,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("ring", &self.0.parts.ring).finish_non_exhaustive()
    }
}

/// A token in memory.
#[derive(Debug)]
pub(crate) struct Held {
    token: Secret,
    owner: Option<UserId>,
    /// Handed out until then.
    good_until: Micros,
    /// Good at all until then.
    dies_at: Micros,
    /// The row is read again then.
    believed_until: Micros,
    refreshed_at: Option<Micros>,
}

impl Vault {
    /// Puts it together.
    pub fn new(parts: Parts) -> Self {
        let usage = Usage::new(&parts.providers);
        let providers = parts.providers.iter().map(|p| (p.name.clone(), p.clone())).collect();
        Self(Arc::new(Inner {
            parts,
            providers,
            usage,
            held: moka::sync::Cache::new(CACHED),
            flights: Flights::default(),
            tasks: TaskTracker::new(),
            halted: CancellationToken::new(),
            lost: Mutex::default(),
            lost_changed: Notify::new(),
        }))
    }

    /// The provider of that name.
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.0.providers.get(name)
    }

    /// Every provider.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.0.providers.values()
    }

    /// A token that is good for the provider's margin, or as long as it still lives where it cannot be refreshed just now.
    ///
    /// # Errors
    /// `Reconnect` where only its owner can help; `Later` where the provider or the database cannot be reached.
    pub async fn access(&self, account: AccountId) -> Result<Secret, Fault> {
        self.held(account).await.map(|held| held.token.clone())
    }

    pub(crate) async fn held(&self, account: AccountId) -> Result<Arc<Held>, Fault> {
        let now = self.0.parts.clock.micros();
        match self.0.held.get(&account) {
            Some(held) if now < held.good_until && now < held.believed_until => Ok(held),
            _ => self.look(account, now).await,
        }
    }

    /// Reads the row, and has it refreshed where its token is no longer good.
    async fn look(&self, account: AccountId, now: Micros) -> Result<Arc<Held>, Fault> {
        let row = self.row(account).await?;
        let held = self.of_row(&row, now)?;
        match held {
            Some(held) if now < held.good_until => {
                self.0.held.insert(account, Arc::clone(&held));
                Ok(held)
            }
            old => match self.flight(account, row.version).await {
                // While it lives, the old one is better than none.
                Err(Fault::Later { .. }) if old.as_ref().is_some_and(|old| now < old.dies_at) => {
                    old.ok_or_else(|| Fault::later("there is no token"))
                }
                new => new,
            },
        }
    }

    /// The provider refused `token`: the next one, refreshed if `token` is still what is stored.
    ///
    /// # Errors
    /// As [`Vault::access`].
    pub async fn refused(&self, account: AccountId, token: &Secret) -> Result<Secret, Fault> {
        self.0.held.invalidate(&account);
        let now = self.0.parts.clock.micros();
        let row = self.row(account).await?;
        match self.of_row(&row, now)? {
            Some(held) if held.token != *token => self.held(account).await.map(|held| held.token.clone()),
            held => self.next(&row, held.as_deref(), now).await,
        }
    }

    /// The row of an account that may be used.
    async fn row(&self, account: AccountId) -> Result<AccountRow, Fault> {
        let row = accounts::get(&self.0.parts.db, account).await.map_err(away)?;
        let Some(row) = row else {
            let why = "the account is no longer linked: link one again and name it in the AREA".to_owned();
            return Err(Fault::Reconnect { provider: String::new(), why });
        };
        if row.state == "ok" { Ok(row) } else { Err(reconnect(&row)) }
    }

    /// What a row holds. `None`: no access token.
    fn of_row(&self, row: &AccountRow, now: Micros) -> Result<Option<Arc<Held>>, Fault> {
        let Some(token) = self.open(row.id, "access_token", row.access_token.as_deref())? else { return Ok(None) };
        let dies_at = row.expires_at.map(|seconds| seconds.saturating_mul(1_000_000));
        let oauth = self.provider(&row.provider).and_then(|provider| provider.oauth.as_ref());
        let since = row.refreshed_at.or(row.linked_at);
        let good_until = oauth.map_or(Micros::MAX, |oauth| life::good_until(dies_at, since, &oauth.habits));
        Ok(Some(Arc::new(Held {
            token,
            owner: row.user_id,
            good_until,
            dies_at: dies_at.unwrap_or(Micros::MAX),
            believed_until: now + BELIEVED,
            refreshed_at: row.refreshed_at,
        })))
    }

    /// Opens what a column holds; a plain text is what an Auth.js site wrote.
    fn open(&self, id: AccountId, column: &str, text: Option<&str>) -> Result<Option<Secret>, Fault> {
        match text.filter(|text| !text.is_empty()) {
            Some(text) if KeyRing::is_sealed(text) => {
                let opened = self.0.parts.ring.open(&place(id, column), text);
                opened.map(Some).map_err(|e| Fault::later(format!("the account's {column} is {e}")))
            }
            plain => Ok(plain.map(Secret::new)),
        }
    }

    /// As a column stores a secret.
    fn close(&self, id: AccountId, column: &str, secret: &Secret) -> String {
        match self.0.parts.config.seal {
            true => self.0.parts.ring.seal(&place(id, column), secret),
            false => secret.expose().to_owned(),
        }
    }

    /// What is in memory of an account no longer stands.
    pub fn forget(&self, account: AccountId) {
        self.0.held.invalidate(&account);
    }

    /// Waits until no refresh is under way; none begins any more.
    pub async fn settle(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Whether nothing is under way.
    pub fn is_quiet(&self) -> bool {
        self.0.tasks.is_empty()
    }

    /// Ends everything at once, as a loss of power would.
    pub fn halt(&self) {
        self.0.halted.cancel();
    }

    /// What calling the providers has cost and taught.
    pub(crate) fn usage(&self) -> &Usage {
        &self.0.usage
    }

    /// The AREAs that paused since this was asked last, because their account is lost; waits until an account is lost.
    pub async fn lost(&self) -> Vec<Paused> {
        self.0.lost_changed.notified().await;
        std::mem::take(&mut *lock(&self.0.lost))
    }
}

/// Where a column's secret belongs: it opens nowhere else.
fn place(id: AccountId, column: &str) -> String {
    format!("next_auth_accounts/{id}/{column}")
}

fn away(error: sqlx::Error) -> Fault {
    tracing::warn!(%error, "the database did not answer the vault");
    Fault::later("the database did not answer")
}

fn reconnect(row: &AccountRow) -> Fault {
    let why = row.reason.clone().unwrap_or_else(|| "the account must be linked again".to_owned());
    Fault::Reconnect { provider: row.provider.clone(), why }
}
