//! Refreshes ahead of time what active AREAs need, a small step at a time. Each account is looked after by the node that owns its
//! partition; each provider has its own room, so that one that hangs holds up no other. What nobody needs rests: it is refreshed
//! when somebody asks for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Vault;
use crate::ids::AccountId;
use crate::store::accounts;

/// Between two steps.
const STEP_EVERY: Duration = Duration::from_secs(1);
/// The same while a room is full: more may be due than fits, and what is under way ends in milliseconds.
const FULL_EVERY: Duration = Duration::from_millis(20);

/// The room of each provider.
#[derive(Debug)]
pub struct Keeper {
    vault: Vault,
    rooms: HashMap<String, Arc<Semaphore>>,
}

impl Keeper {
    /// For the providers that are set up.
    pub fn new(vault: &Vault) -> Self {
        let most = vault.0.parts.config.refreshes_at_once;
        let set_up = vault.0.providers.values().filter(|provider| provider.client().is_some());
        let rooms = set_up.map(|provider| (provider.name.clone(), Arc::new(Semaphore::new(most)))).collect();
        Self { vault: vault.clone(), rooms }
    }

    /// Takes steps until it is dropped.
    pub async fn keep(&self) {
        if self.rooms.is_empty() {
            return std::future::pending().await;
        }
        loop {
            while self.step().await > 0 {}
            let is_full = self.rooms.values().any(|room| room.available_permits() == 0);
            tokio::time::sleep(if is_full { FULL_EVERY } else { STEP_EVERY }).await;
        }
    }

    /// Begins what is due and has room; says how many there were.
    pub async fn step(&self) -> usize {
        let mut begun = 0;
        for (provider, room) in &self.rooms {
            match self.begin(provider, room).await {
                Ok(count) => begun += count,
                Err(error) => tracing::warn!(%error, provider, "cannot look for tokens to refresh; trying again"),
            }
        }
        begun
    }

    async fn begin(&self, provider: &str, room: &Arc<Semaphore>) -> sqlx::Result<usize> {
        let parts = &self.vault.0.parts;
        let (Some(leases), free) = (&parts.leases, room.available_permits()) else { return Ok(0) };
        if free == 0 {
            return Ok(0);
        }
        // Those under way are still due in their rows: behind them there is a room's fill of others.
        let most = 2 * parts.config.refreshes_at_once as i64;
        let due = accounts::due(&parts.db, provider, leases.node(), parts.clock.micros(), most).await?;
        let mut begun = 0;
        for (account, version) in due {
            if self.vault.is_flying(account) {
                continue;
            }
            let Ok(permit) = Arc::clone(room).try_acquire_owned() else { break };
            begun += 1;
            let vault = self.vault.clone();
            self.vault.0.tasks.spawn(self.vault.0.halted.clone().run_until_cancelled_owned(async move {
                vault.refresh_if_needed(account, version).await;
                drop(permit);
            }));
            // One step is small: what else runs on this thread comes in between.
            tokio::task::yield_now().await;
        }
        Ok(begun)
    }
}

impl Vault {
    async fn refresh_if_needed(&self, account: AccountId, version: i64) {
        let db = &self.0.parts.db;
        match accounts::is_in_use(db, account).await {
            Ok(true) => drop(self.flight(account, version).await),
            Ok(false) => {
                if let Err(error) = accounts::rest(db, account, version).await {
                    tracing::warn!(%error, %account, "cannot put an account to rest; trying again");
                }
            }
            Err(error) => tracing::warn!(%error, %account, "cannot tell whether an account is needed; trying again"),
        }
    }
}
