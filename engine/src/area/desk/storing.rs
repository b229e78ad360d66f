//! From a checked document to the row that is stored: what it watches, its secrets sealed, whether it joins anew.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{AreaError, Desk};
use crate::area::check::SECRET;
use crate::area::document::Document;
use crate::area::source::{Watched, every_us};
use crate::area::{catalog, schema, secrets};
use crate::clock::Micros;
use crate::ids::{AccountId, AreaId, SourceId, UserId};
use crate::policy::silence_due;
use crate::port::{FeedKind, Invalid};
use crate::store::areas::{Content, Edit};

impl Desk {
    /// The edit that makes `document` (as JSON `new`) of what is `stored`; what cannot be read is taken for something else.
    pub(super) fn edit(
        &self,
        user: UserId,
        id: AreaId,
        stored: Option<&Value>,
        new: &Value,
        document: &Document,
    ) -> Result<Edit, AreaError> {
        let now = self.clock.micros();
        let (content, pushed) = self.content(user, id, document)?;
        let watched = |document: &Value| {
            let of = |member| document.get("action").and_then(|action| action.get(member)).cloned();
            ["service", "name", "data", "account"].map(of)
        };
        let rejoin = (stored.map(watched) != Some(watched(new))).then_some(pushed.then_some(now));
        let silence = |document: &Value| document.pointer("/policy/silence").cloned();
        let silent = (rejoin.is_some() || stored.map(silence) != Some(silence(new))).then(|| silent_at(document, now));
        Ok(Edit { content, rejoin, silent, now })
    }

    /// What is stored of a document, and whether what it watches is pushed to us.
    pub(super) fn content(
        &self,
        user: UserId,
        area: AreaId,
        document: &Document,
    ) -> Result<(Content, bool), AreaError> {
        let invalid = |pointer: &str| {
            let pointer = pointer.to_owned();
            move |why| AreaError::Invalid(vec![Invalid::new(pointer, why)])
        };
        let service = catalog::service(self.services, &document.action.service).map_err(invalid("/action/service"))?;
        let action = catalog::action(service, &document.action.name).map_err(invalid("/action/name"))?;
        let schema = schema::of_action(action).map_err(|e| AreaError::Invalid(vec![e.under("/action/data")]))?;
        let mut data = Value::Object(document.action.data.clone());
        schema.fill(&mut data);
        let secret = !schema.marked(SECRET, &data).is_empty();
        let account = document.action.account;
        let watched = Watched { area, user, service, action, account, data: &data, secret };
        let mut body = to_json(document)?;
        secrets::seal(&mut body, area, self.services, &self.ring);
        let content = Content {
            name: document.name.clone(),
            body: body.to_string(),
            every_us: every_us(action, document.action.every.map(|every| every.duration())),
            source: watched.source(SourceId(self.ids.next()), &self.ring),
            accounts: accounts(document),
        };
        Ok((content, pushed(&action.feed.kind)))
    }
}

/// Whether its items come by themselves: there is no baseline to wait for.
pub(super) fn pushed(kind: &FeedKind) -> bool {
    matches!(kind, FeedKind::Hook { .. } | FeedKind::Native)
}

/// The accounts that it watches and acts with, each once.
fn accounts(document: &Document) -> Vec<AccountId> {
    let steps = document.reactions.iter().filter_map(|step| step.account);
    let all: BTreeSet<AccountId> = document.action.account.into_iter().chain(steps).collect();
    all.into_iter().collect()
}

/// A document as it is stored and compared.
pub(super) fn to_json(document: &Document) -> Result<Value, AreaError> {
    serde_json::to_value(document).map_err(|e| AreaError::Unreadable(e.to_string()))
}

/// When silence is raised if nothing comes after `now`.
pub(super) fn silent_at(document: &Document, now: Micros) -> Option<Micros> {
    document.policy.as_ref().and_then(|policy| silence_due(policy, now))
}
