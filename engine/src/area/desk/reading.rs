//! From what a client sent to a document that may be stored: secrets kept, shape and rules checked, accounts looked up.

use serde_json::Value;

use super::{AreaError, Desk};
use crate::area::check::check;
use crate::area::document::{Document, Spelling, merge_patch};
use crate::area::{catalog, secrets};
use crate::ids::{AccountId, AreaId, UserId};
use crate::port::{Grant, Invalid, Service};
use crate::store::accounts::{self, Granted};
use crate::store::revisions;

/// What a client asks to change of a document.
pub(super) enum Change<'a> {
    Replace(&'a Value),
    Patch(&'a Value),
    Rollback(i64),
}

/// A part of a document that may act with an account.
struct Part<'a> {
    at: String,
    service: Option<&'static Service>,
    name: &'a str,
    account: Option<AccountId>,
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

    /// Accounts must be the user's own, of the service's provider, and must have been granted what the part needs.
    async fn check_accounts(
        &self,
        user: UserId,
        document: &Document,
        wrong: &mut Vec<Invalid>,
    ) -> Result<(), AreaError> {
        for part in self.parts(document) {
            let (Some(account), Some(service)) = (part.account, part.service) else { continue };
            let Some(wanted) = service.provider else { continue };
            let at = format!("{}/account", part.at);
            let row = accounts::granted(&self.db, user, account).await?;
            match row.filter(|row| row.provider == wanted) {
                None => wrong.push(Invalid::new(at, format!("must be the id of your {wanted} account"))),
                Some(row) => wrong.extend(self.not_granted(at, service, part.name, &row)),
            }
        }
        Ok(())
    }

    fn parts<'a>(&self, document: &'a Document) -> Vec<Part<'a>> {
        let service = |name: &str| catalog::service(self.services, name).ok();
        let action = &document.action;
        let first = Part {
            at: "/action".to_owned(),
            service: service(&action.service),
            name: &action.name,
            account: action.account,
        };
        let steps = document.reactions.iter().enumerate().map(|(i, step)| Part {
            at: format!("/reactions/{i}"),
            service: service(&step.service),
            name: &step.name,
            account: step.account,
        });
        std::iter::once(first).chain(steps).collect()
    }

    /// What the account's owner has not granted of what `part` needs.
    fn not_granted(&self, at: String, service: &'static Service, part: &str, row: &Granted) -> Option<Invalid> {
        let scopes = match at.starts_with("/action") {
            true => catalog::action(service, part).ok()?.scopes,
            false => catalog::reaction(service, part).ok()?.scopes,
        };
        self.lacking(at, &format!("{}.{part}", service.name), scopes, row)
    }

    /// What the account's owner has not granted of what `part` needs, at this place of the request. A provider that never said which
    /// scopes there are is believed. The grant asks for what there was too: a consent may take away what it does not name.
    pub fn lacking(&self, at: String, part: &str, scopes: &[&str], row: &Granted) -> Option<Invalid> {
        let provider = self.providers.iter().find(|provider| provider.name == row.provider)?;
        let granted = row.scope.as_deref().filter(|scope| !scope.trim().is_empty())?;
        let missing = provider.missing(scopes, granted);
        if missing.is_empty() {
            return None;
        }
        let (list, name) = (missing.join(", "), provider.name.clone());
        let why =
            format!("has not granted what {part} needs ({list}): POST /v1/connect/{name} with these scopes grants it");
        let mut all = missing;
        for scope in granted.split([' ', ',']).filter(|scope| !scope.is_empty()) {
            if !all.iter().any(|known| known == scope) {
                all.push(scope.to_owned());
            }
        }
        Some(Invalid::new(at, why).granting(Grant { provider: name, scopes: all }))
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
