//! From what a client sent to a document that may be stored: secrets kept, shape and rules checked, accounts looked up.

use serde_json::Value;

use super::{AreaError, Desk};
use crate::area::check::check;
use crate::area::document::{Document, Spelling, merge_patch};
use crate::area::{catalog, secrets};
use crate::ids::{AreaId, UserId};
use crate::port::Invalid;
use crate::store::{accounts, revisions};

/// What a client asks to change of a document.
pub(super) enum Change<'a> {
    Replace(&'a Value),
    Patch(&'a Value),
    Rollback(i64),
}

impl Desk {
    /// The document after `change` to the AREA whose body is stored and, where its keys are there, opened.
    pub(super) async fn changed(
        &self,
        user: UserId,
        id: AreaId,
        change: &Change<'_>,
        body: &str,
        opened: Option<&Value>,
    ) -> Result<Document, AreaError> {
        match change {
            Change::Replace(json) => self.read(user, (*json).clone(), opened).await,
            Change::Patch(patch) => {
                let mut patch = (*patch).clone();
                let spelling = Spelling::unify(&mut patch).map_err(AreaError::Invalid)?;
                let mut document = Self::shown(body)?;
                merge_patch(&mut document, &patch);
                self.read(user, document, opened).await.map_err(|error| error.respelled(spelling))
            }
            Change::Rollback(revision) => self.revision(user, id, *revision).await,
        }
    }

    /// Reads and checks a document that a client sent.
    pub(super) async fn read(
        &self,
        user: UserId,
        mut json: Value,
        stored: Option<&Value>,
    ) -> Result<Document, AreaError> {
        let spelling = Spelling::unify(&mut json).map_err(AreaError::Invalid)?;
        let read = self.read_unified(user, &mut json, stored).await;
        read.map_err(|error| error.respelled(spelling))
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

    pub(super) fn opened(&self, id: AreaId, body: &str) -> Result<Value, AreaError> {
        let mut document = parsed(body)?;
        secrets::open(&mut document, id, &self.ring).map_err(|wrong| {
            let places: Vec<String> = wrong.into_iter().map(|w| format!("{}: {}", w.pointer, w.detail)).collect();
            AreaError::Unreadable(places.join("; "))
        })?;
        Ok(document)
    }
}

impl AreaError {
    /// With the places of what is wrong in the writer's spelling.
    fn respelled(self, spelling: Spelling) -> Self {
        match self {
            Self::Invalid(wrong) => Self::Invalid(spelling.respell(wrong)),
            other => other,
        }
    }
}

/// A stored body as JSON.
pub(super) fn parsed(body: &str) -> Result<Value, AreaError> {
    serde_json::from_str(body).map_err(|e| AreaError::Unreadable(e.to_string()))
}
