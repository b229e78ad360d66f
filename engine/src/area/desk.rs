//! Where AREAs are written: every change of an AREA, by the API, `area apply`, the samples or another AREA, goes through here. It
//! reads what is stored, checks the whole new document, seals its secrets, and stores it in one transaction that stands only if the
//! row has not moved meanwhile.

pub mod apply;

use std::sync::Arc;

use serde_json::Value;

use super::check::check;
use super::diff::{Op, Sides, diff};
use super::document::{Document, Spelling, merge_patch};
use super::plan::Plan;
use super::source::{Watched, every_us};
use super::{catalog, schema, secrets};
use crate::clock::{Clock, Micros};
use crate::ids::{AreaId, AreaNo, IdGen, SourceId, UserId};
use crate::limits::CHANGE_TRIES;
use crate::net::Http;
use crate::policy::silence_due;
use crate::port::{FeedKind, Invalid, Services};
use crate::store::areas::{self, AreaRow, AreaState, Changed, Content, Edit, NewArea, StateChange};
use crate::store::{Db, accounts, revisions};
use crate::vault::KeyRing;

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
    /// The time.
    pub clock: Clock,
    /// Makes the ids of rows.
    pub ids: Arc<IdGen>,
}

/// What a client asks to change of a document.
enum Change<'a> {
    Replace(&'a Value),
    Patch(&'a Value),
    Rollback(i64),
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
                    StateChange { state, rejoin, silent_at: silence_due(&plan.policy, now), now }
                }
                _ => StateChange { state, rejoin: None, silent_at: None, now },
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
            let stored = self.opened(id, &old.body)?;
            let document = match change {
                Change::Replace(json) => self.read(user, (*json).clone(), Some(&stored)).await?,
                Change::Patch(patch) => self.read(user, patched(&old, patch)?, Some(&stored)).await?,
                Change::Rollback(revision) => self.revision(user, id, *revision).await?,
            };
            let new = to_json(&document)?;
            if new == stored {
                return Ok(Changed { area: old, sources: Vec::new() });
            }
            let edit = self.edit(user, id, &stored, &new, &document)?;
            if let Some(done) = settled(areas::edit(&self.db, &old, &edit).await)? {
                return Ok(done);
            }
        }
        Err(AreaError::Busy)
    }

    fn edit(
        &self,
        user: UserId,
        id: AreaId,
        stored: &Value,
        new: &Value,
        document: &Document,
    ) -> Result<Edit, AreaError> {
        let now = self.clock.micros();
        let (content, pushed) = self.content(user, id, document)?;
        let watched = |document: &Value| {
            let of = |member| document.get("action").and_then(|action| action.get(member)).cloned();
            ["service", "name", "data", "account"].map(of)
        };
        let rejoin = (watched(stored) != watched(new)).then_some(pushed.then_some(now));
        let silence = |document: &Value| document.pointer("/policy/silence").cloned();
        let silent = (rejoin.is_some() || silence(stored) != silence(new)).then(|| silent_at(document, now));
        Ok(Edit { content, rejoin, silent, now })
    }

    /// The AREA, if it is at `version`.
    async fn at(&self, user: UserId, id: AreaId, version: Option<i64>) -> Result<AreaRow, AreaError> {
        let row = self.get(user, id).await?;
        match version {
            Some(version) if version != row.version => Err(AreaError::Stale(row.version)),
            _ => Ok(row),
        }
    }

    /// Reads and checks a document that a client sent.
    async fn read(&self, user: UserId, mut json: Value, stored: Option<&Value>) -> Result<Document, AreaError> {
        let spelling = Spelling::unify(&mut json).map_err(AreaError::Invalid)?;
        let read = self.read_unified(user, &mut json, stored).await;
        read.map_err(|error| match error {
            AreaError::Invalid(wrong) => AreaError::Invalid(spelling.respell(wrong)),
            other => other,
        })
    }

    async fn read_unified(
        &self,
        user: UserId,
        json: &mut Value,
        stored: Option<&Value>,
    ) -> Result<Document, AreaError> {
        let mut wrong = secrets::keep(json, stored, self.services).err().unwrap_or_default();
        let document = match Document::read(json) {
            Ok(document) => document,
            Err(more) => {
                wrong.extend(more);
                return Err(AreaError::Invalid(wrong));
            }
        };
        // What is not kept is told once, and not again as a value of the wrong type.
        let more = check(&document, self.services, &self.http);
        let told = |more: &Invalid| !wrong.iter().any(|known| known.pointer == more.pointer);
        let more: Vec<Invalid> = more.into_iter().filter(told).collect();
        wrong.extend(more);
        self.check_accounts(user, &document, &mut wrong).await?;
        if wrong.is_empty() { Ok(document) } else { Err(AreaError::Invalid(wrong)) }
    }

    /// Accounts must be the user's own, and of the service's provider.
    async fn check_accounts(
        &self,
        user: UserId,
        document: &Document,
        wrong: &mut Vec<Invalid>,
    ) -> Result<(), AreaError> {
        let action = [("/action".to_owned(), &document.action.service, document.action.account)];
        let steps = document.reactions.iter().enumerate();
        let steps = steps.map(|(i, step)| (format!("/reactions/{i}"), &step.service, step.account));
        for (at, service, account) in action.into_iter().chain(steps) {
            let wanted = catalog::service(self.services, service).ok().and_then(|service| service.provider);
            let (Some(account), Some(wanted)) = (account, wanted) else { continue };
            if accounts::provider(&self.db, user, account).await?.as_deref() != Some(wanted) {
                wrong.push(Invalid::new(format!("{at}/account"), format!("must be the id of your {wanted} account")));
            }
        }
        Ok(())
    }

    /// An earlier revision, checked again: what was right then may be refused today.
    async fn revision(&self, user: UserId, id: AreaId, revision: i64) -> Result<Document, AreaError> {
        let found = revisions::get(&self.db, user, id, revision).await?.ok_or(AreaError::NotFound)?;
        let body = self.opened(id, &found.body)?;
        self.read(user, body, None).await
    }

    /// What is stored of a document, and whether what it watches is pushed to us.
    fn content(&self, user: UserId, area: AreaId, document: &Document) -> Result<(Content, bool), AreaError> {
        let invalid = |pointer: &str| {
            let pointer = pointer.to_owned();
            move |why| AreaError::Invalid(vec![Invalid::new(pointer, why)])
        };
        let service = catalog::service(self.services, &document.action.service).map_err(invalid("/action/service"))?;
        let action = catalog::action(service, &document.action.name).map_err(invalid("/action/name"))?;
        let schema = schema::of_action(action).map_err(|e| AreaError::Invalid(vec![e.under("/action/data")]))?;
        let mut data = Value::Object(document.action.data.clone());
        schema.fill(&mut data);
        let secret = !schema.marked(super::check::SECRET, &data).is_empty();
        let account = document.action.account;
        let watched = Watched { area, user, service, action, account, data: &data, secret };
        let mut body = to_json(document)?;
        secrets::seal(&mut body, area, self.services, &self.ring);
        let content = Content {
            name: document.name.clone(),
            body: body.to_string(),
            every_us: every_us(action, document.action.every.map(|every| every.duration())),
            source: watched.source(SourceId(self.ids.next()), &self.ring),
        };
        Ok((content, pushed(&action.feed.kind)))
    }

    fn opened(&self, id: AreaId, body: &str) -> Result<Value, AreaError> {
        let mut document = parsed(body)?;
        secrets::open(&mut document, id, &self.ring).map_err(|wrong| {
            let places: Vec<String> = wrong.into_iter().map(|w| format!("{}: {}", w.pointer, w.detail)).collect();
            AreaError::Unreadable(places.join("; "))
        })?;
        Ok(document)
    }
}

/// Whether its items come by themselves: there is no baseline to wait for.
fn pushed(kind: &FeedKind) -> bool {
    matches!(kind, FeedKind::Hook { .. } | FeedKind::Native)
}

/// `patch` laid over the AREA as it is shown.
fn patched(old: &AreaRow, patch: &Value) -> Result<Value, AreaError> {
    let mut patch = patch.clone();
    Spelling::unify(&mut patch).map_err(AreaError::Invalid)?;
    let mut document = Desk::shown(&old.body)?;
    merge_patch(&mut document, &patch);
    Ok(document)
}

fn parsed(body: &str) -> Result<Value, AreaError> {
    serde_json::from_str(body).map_err(|e| AreaError::Unreadable(e.to_string()))
}

fn to_json(document: &Document) -> Result<Value, AreaError> {
    serde_json::to_value(document).map_err(|e| AreaError::Unreadable(e.to_string()))
}

fn silent_at(document: &Document, now: Micros) -> Option<Micros> {
    document.policy.as_ref().and_then(|policy| silence_due(policy, now))
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
