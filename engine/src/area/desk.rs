//! Where AREAs are written: every change of an AREA, by the API, `area apply`, the samples or another AREA, goes through here. It
//! reads what is stored, checks the whole new document, seals its secrets, and stores it in one transaction that stands only if the
//! row has not moved meanwhile. `reading` leads to the checked document, `storing` from it to the row; `apply` takes many at once, `suspending` pauses a user's.

pub mod apply;
mod reading;
mod storing;
mod suspending;

use std::sync::Arc;

use serde_json::Value;

use reading::{Change, parsed};
use storing::{pushed, silent_at, to_json};

use super::diff::{Op, Sides, diff};
use super::plan::Plan;
use super::secrets;
use crate::clock::Clock;
use crate::ids::{AreaId, AreaNo, IdGen, UserId};
use crate::limits::CHANGE_TRIES;
use crate::net::Http;
use crate::policy::silence_due;
use crate::port::{Invalid, Services};
use crate::store::areas::{self, AreaRow, AreaState, Changed, NewArea, StateChange};
use crate::store::{Db, revisions};
use crate::vault::{KeyRing, Provider};

/// Why an AREA was not changed.
#[derive(Debug, thiserror::Error)]
pub enum AreaError {
    /// Its owner has no such AREA, or it has no such revision.
    #[error("there is no such AREA")]
    NotFound,
    /// It is not at the version that the change was meant for.
    #[error("the AREA was changed meanwhile: it is at version {0} now")]
    Stale(i64),
    /// What is wrong with the document.
    #[error("the AREA is not valid")]
    Invalid(Vec<Invalid>),
    /// What is stored cannot be read: a key is missing from the ring, or a row was tampered with.
    #[error("what is stored of the AREA cannot be read: {0}")]
    Unreadable(String),
    /// Others kept changing the row.
    #[error("the AREA is being changed by others: try again")]
    Busy,
    /// The database said no.
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
}

/// Where AREAs are written. Clones share everything.
#[derive(Clone, Debug)]
pub struct Desk {
    /// The database.
    pub db: Db,
    /// What an AREA can be made of.
    pub services: Services,
    /// What seals secrets.
    pub ring: KeyRing,
    /// What knows which URLs may be called.
    pub http: Http,
    /// Who issues tokens, and which scopes they know.
    pub providers: Arc<[Provider]>,
    /// The time.
    pub clock: Clock,
    /// Makes the ids of rows.
    pub ids: Arc<IdGen>,
}

impl Desk {
    /// The AREA `id` of `user`.
    ///
    /// # Errors
    /// `NotFound`, or the database's.
    pub async fn get(&self, user: UserId, id: AreaId) -> Result<AreaRow, AreaError> {
        areas::get(&self.db, user, id).await?.ok_or(AreaError::NotFound)
    }

    /// Stores a new AREA. `applied`: made by `area apply`, whose `--prune` may take it away again.
    ///
    /// # Errors
    /// `Invalid` with everything that is wrong, or the database's.
    pub async fn create(&self, user: UserId, json: &Value, applied: bool) -> Result<Changed, AreaError> {
        self.create_as(user, AreaId::new(), json, applied).await
    }

    /// As `create`, under an id that was chosen before: where the user has that AREA already, it is given back as it is.
    ///
    /// # Errors
    /// As `create`.
    pub async fn create_as(&self, user: UserId, id: AreaId, json: &Value, applied: bool) -> Result<Changed, AreaError> {
        if let Some(area) = areas::get(&self.db, user, id).await? {
            return Ok(Changed { area, sources: Vec::new() });
        }
        let document = self.read(user, json.clone(), None).await?;
        let (no, now) = (AreaNo(self.ids.next()), self.clock.micros());
        let (content, pushed) = self.content(user, id, &document)?;
        let joined_at = pushed.then_some(now);
        let silent_at = silent_at(&document, now);
        let new = NewArea { no, id, user, content, joined_at, silent_at, applied, now };
        let mut tries = 0;
        loop {
            match areas::create(&self.db, &new).await {
                Err(error) if collided(&error) && tries < CHANGE_TRIES => tries += 1,
                done => return Ok(done?),
            }
        }
    }

    /// Puts `json` in the place of the document. A document that changes nothing makes no revision: no source is touched.
    ///
    /// # Errors
    /// `Stale` where `version` is given and is not the AREA's; else as `create`.
    pub async fn replace(
        &self,
        user: UserId,
        id: AreaId,
        json: &Value,
        version: Option<i64>,
    ) -> Result<Changed, AreaError> {
        self.change(user, id, version, &Change::Replace(json)).await
    }

    /// Lays `patch` (RFC 7396) over the document as it is shown.
    ///
    /// # Errors
    /// As `replace`.
    pub async fn patch(
        &self,
        user: UserId,
        id: AreaId,
        patch: &Value,
        version: Option<i64>,
    ) -> Result<Changed, AreaError> {
        self.change(user, id, version, &Change::Patch(patch)).await
    }

    /// Makes an earlier revision the newest again.
    ///
    /// # Errors
    /// `NotFound` where there is no such revision; `Invalid` where it would be refused today; else as `replace`.
    pub async fn rollback(
        &self,
        user: UserId,
        id: AreaId,
        revision: i64,
        version: Option<i64>,
    ) -> Result<Changed, AreaError> {
        self.change(user, id, version, &Change::Rollback(revision)).await
    }

    /// Deletes the AREA with its revisions and ends its open runs.
    ///
    /// # Errors
    /// `NotFound`, `Stale`, or the database's.
    pub async fn delete(&self, user: UserId, id: AreaId, version: Option<i64>) -> Result<Changed, AreaError> {
        for _ in 0..CHANGE_TRIES {
            let old = self.at(user, id, version).await?;
            if let Some(done) = settled(areas::delete(&self.db, &old, self.clock.micros()).await)? {
                return Ok(done);
            }
        }
        Err(AreaError::Busy)
    }

    /// Pauses the AREA, as its user: what comes meanwhile is skipped.
    ///
    /// # Errors
    /// As `delete`.
    pub async fn pause(&self, user: UserId, id: AreaId, version: Option<i64>) -> Result<Changed, AreaError> {
        self.set_state(user, id, version, AreaState::Paused).await
    }

    /// Lets the AREA fire again. After a pause by its user it joins anew; after a fault it catches up.
    ///
    /// # Errors
    /// As `delete`; `Invalid` where what is stored can no longer run.
    pub async fn resume(&self, user: UserId, id: AreaId, version: Option<i64>) -> Result<Changed, AreaError> {
        self.set_state(user, id, version, AreaState::Active).await
    }

    /// The plan of a document that is not stored: what an edit of `old` would run, or a new AREA of `old.user_id`.
    ///
    /// # Errors
    /// `Invalid` with everything that is wrong, or the database's.
    pub async fn planned(&self, old: &AreaRow, json: &Value) -> Result<Plan, AreaError> {
        let stored = match old.body.is_empty() {
            true => None,
            false => Some(self.opened(old.id, &old.body)?),
        };
        let document = self.read(old.user_id, json.clone(), stored.as_ref()).await?;
        Plan::of(old, document, self.services).map_err(AreaError::Invalid)
    }

    /// What is shown of a stored body: secrets as `{"$secret": true}`.
    ///
    /// # Errors
    /// `Unreadable`.
    pub fn shown(body: &str) -> Result<Value, AreaError> {
        let mut document = parsed(body)?;
        secrets::show(&mut document);
        Ok(document)
    }

    /// What leads from one revision of the AREA to another.
    ///
    /// # Errors
    /// `NotFound`, `Unreadable`, or the database's.
    pub async fn diff(&self, user: UserId, id: AreaId, from: i64, to: i64) -> Result<Vec<Op>, AreaError> {
        let (from, to) = (self.sides(user, id, from).await?, self.sides(user, id, to).await?);
        Ok(diff(Sides { opened: &from.0, shown: &from.1 }, Sides { opened: &to.0, shown: &to.1 }))
    }

    async fn sides(&self, user: UserId, id: AreaId, revision: i64) -> Result<(Value, Value), AreaError> {
        let found = revisions::get(&self.db, user, id, revision).await?.ok_or(AreaError::NotFound)?;
        Ok((self.opened(id, &found.body)?, Self::shown(&found.body)?))
    }

    async fn set_state(
        &self,
        user: UserId,
        id: AreaId,
        version: Option<i64>,
        state: AreaState,
    ) -> Result<Changed, AreaError> {
        for _ in 0..CHANGE_TRIES {
            let old = self.at(user, id, version).await?;
            if old.state == state {
                return Ok(Changed { area: old, sources: Vec::new() });
            }
            let now = self.clock.micros();
            let plan = || Plan::compile(&old, self.services, &self.ring).map_err(AreaError::Invalid);
            let change = match state {
                AreaState::Active => {
                    let plan = plan()?;
                    let rejoin =
                        (old.state == AreaState::Paused).then(|| pushed(&plan.action.feed.kind).then_some(now));
                    StateChange { state, reason: None, rejoin, silent_at: silence_due(&plan.policy, now), now }
                }
                _ => StateChange { state, reason: None, rejoin: None, silent_at: None, now },
            };
            if let Some(done) = settled(areas::set_state(&self.db, &old, change).await)? {
                return Ok(done);
            }
        }
        Err(AreaError::Busy)
    }

    async fn change(
        &self,
        user: UserId,
        id: AreaId,
        version: Option<i64>,
        change: &Change<'_>,
    ) -> Result<Changed, AreaError> {
        for _ in 0..CHANGE_TRIES {
            let old = self.at(user, id, version).await?;
            // Where a key is lost the AREA can still be mended: by sending its secrets again.
            let stored = self.opened(id, &old.body).ok();
            let document = self.changed(user, id, change, &old.body, stored.as_ref()).await?;
            let new = to_json(&document)?;
            if Some(&new) == stored.as_ref() {
                return Ok(Changed { area: old, sources: Vec::new() });
            }
            let edit = self.edit(user, id, stored.as_ref(), &new, &document)?;
            if let Some(done) = settled(areas::edit(&self.db, &old, &edit).await)? {
                return Ok(done);
            }
        }
        Err(AreaError::Busy)
    }

    /// The AREA, if it is at `version`.
    async fn at(&self, user: UserId, id: AreaId, version: Option<i64>) -> Result<AreaRow, AreaError> {
        let row = self.get(user, id).await?;
        match version {
            Some(version) if version != row.version => Err(AreaError::Stale(row.version)),
            _ => Ok(row),
        }
    }
}

/// A change's outcome: `None` where the row moved or two transactions stood in each other's way, so that it is decided again.
fn settled(done: sqlx::Result<Option<Changed>>) -> Result<Option<Changed>, AreaError> {
    match done {
        Err(error) if collided(&error) => Ok(None),
        done => Ok(done?),
    }
}

/// Two transactions stood in each other's way (SQLSTATE class 40): one of them was rolled back.
fn collided(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code());
    code.is_some_and(|code| code.len() == 5 && code.starts_with("40"))
}
