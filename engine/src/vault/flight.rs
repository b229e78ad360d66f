//! One refresh of an account at a time in this process: whoever else wants it waits for its end. It goes on when those who wait give
//! up: a token that the provider has handed out must be stored.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use super::{Held, Vault, refresh};
use crate::fault::Fault;
use crate::ids::AccountId;
use crate::node::lock;

/// How a refresh ended.
pub(super) type Landed = Result<Arc<Held>, Fault>;

/// The refreshes under way.
pub(super) type Flights = Mutex<HashMap<AccountId, Shared<BoxFuture<'static, Landed>>>>;

impl Vault {
    /// Has tokens fetched in the place of those of `version`, or waits for whoever does so already.
    pub(super) fn flight(&self, account: AccountId, version: i64) -> Shared<BoxFuture<'static, Landed>> {
        let mut flights = lock(&self.0.flights);
        if let Some(flight) = flights.get(&account) {
            return flight.clone();
        }
        let vault = self.clone();
        let work = async move {
            let landed = Box::pin(refresh::refresh(&vault, account, version)).await;
            if let Ok(held) = &landed {
                vault.0.held.insert(account, Arc::clone(held));
            }
            lock(&vault.0.flights).remove(&account);
            landed
        };
        let task = self.0.tasks.spawn(self.0.halted.clone().run_until_cancelled_owned(work));
        let landed = async move {
            match task.await {
                Ok(Some(landed)) => landed,
                Ok(None) | Err(_) => Err(Fault::later("the refresh was cut off: the daemon stops")),
            }
        };
        let flight = landed.boxed().shared();
        flights.insert(account, flight.clone());
        flight
    }

    /// Whether a refresh of the account is under way here.
    pub(super) fn is_flying(&self, account: AccountId) -> bool {
        lock(&self.0.flights).contains_key(&account)
    }
}
