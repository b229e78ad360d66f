//! A user is suspended: their AREAs pause, and what comes meanwhile is skipped, as with a pause of their own. Let in again, what fired
//! before fires again; what a fault had paused already waits for its user, with the fault's reason.

use super::{AreaError, Desk, settled};
use crate::ids::{AreaNo, UserId};
use crate::limits::{CHANGE_TRIES, LIST_MAX};
use crate::store::areas::{self, AreaRow, AreaState, Changed, Filter, StateChange};

/// What an AREA says that was paused with its user.
pub const SUSPENDED: &str = "its user is suspended";

impl Desk {
    /// Pauses every AREA of `user`; gives what changed.
    ///
    /// # Errors
    /// `Busy` where others keep changing one, or the database's.
    pub async fn suspend(&self, user: UserId) -> Result<Vec<Changed>, AreaError> {
        let mut changed = Vec::new();
        for row in self.all_of(user).await?.into_iter().filter(|row| row.state != AreaState::Paused) {
            changed.extend(self.suspend_one(row).await?);
        }
        Ok(changed)
    }

    /// Lets every AREA of `user` fire again that [`Desk::suspend`] kept from it. One that can no longer run stays paused.
    ///
    /// # Errors
    /// As `suspend`.
    pub async fn let_in(&self, user: UserId) -> Result<Vec<Changed>, AreaError> {
        let mut changed = Vec::new();
        for row in self.all_of(user).await?.into_iter().filter(|row| row.reason.as_deref() == Some(SUSPENDED)) {
            match self.resume(user, row.id, None).await {
                Ok(done) => changed.push(done),
                Err(AreaError::NotFound) => {}
                Err(AreaError::Invalid(_)) => tracing::warn!(area = %row.id, "stays paused: it can no longer run"),
                Err(error) => return Err(error),
            }
        }
        Ok(changed)
    }

    async fn suspend_one(&self, mut row: AreaRow) -> Result<Option<Changed>, AreaError> {
        for _ in 0..CHANGE_TRIES {
            if row.state == AreaState::Paused {
                return Ok(None);
            }
            let reason = match &row.reason {
                Some(fault) => format!("{SUSPENDED}; before that: {fault}"),
                None => SUSPENDED.to_owned(),
            };
            let (state, now) = (AreaState::Paused, self.clock.micros());
            let change = StateChange { state, reason: Some(reason), rejoin: None, silent_at: None, now };
            if let Some(done) = settled(areas::set_state(&self.db, &row, change).await)? {
                return Ok(Some(done));
            }
            match areas::get(&self.db, row.user_id, row.id).await? {
                Some(moved) => row = moved,
                None => return Ok(None),
            }
        }
        Err(AreaError::Busy)
    }

    async fn all_of(&self, user: UserId) -> Result<Vec<AreaRow>, AreaError> {
        let (mut all, mut before): (Vec<AreaRow>, Option<AreaNo>) = (Vec::new(), None);
        loop {
            let page = areas::list(&self.db, user, before, LIST_MAX, &Filter::default()).await?;
            before = page.last().map(|row| row.no);
            let last = page.is_empty();
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }
}
