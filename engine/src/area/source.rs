//! From an action to the source row that it watches: identity, partition, params at rest.

use std::time::Duration;

use serde_json::{Map, Value, json};
use url::Url;

use super::plan::interval;
use crate::ids::{AccountId, AreaId, SourceId, UserId};
use crate::partition;
use crate::port::{ActionSpec, FeedKind, Service};
use crate::secret::Secret;
use crate::store::sources::NewSource;
use crate::vault::{KeyRing, SealError};

/// The interval, in microseconds, of what is watched without being asked at one (timers, hooks, native events).
pub const NO_INTERVAL: i64 = 0;

/// What an AREA watches, before it is known whether a source for it is stored.
pub struct Watched<'a> {
    /// The AREA: part of a hook's identity.
    pub area: AreaId,
    /// Its owner.
    pub user: UserId,
    /// The action's service.
    pub service: &'static Service,
    /// The action.
    pub action: &'static ActionSpec,
    /// The account.
    pub account: Option<AccountId>,
    /// The action's data, defaults filled in, secrets in the clear.
    pub data: &'a Value,
    /// Whether `data` holds secrets.
    pub secret: bool,
}

impl Watched<'_> {
    /// The row that is stored where there is none with this identity yet.
    pub fn source(&self, id: SourceId, ring: &KeyRing) -> NewSource {
        let params = self.params();
        let text = canonical(&params);
        NewSource {
            id,
            user: self.user,
            service: self.service.name,
            feed: self.action.feed.name,
            account: self.account,
            identity: ring.identity_hash(&[self.identity(&params).as_bytes()]).to_vec(),
            part: partition::of(self.user, &self.anchor(&params)),
            params: match self.secret {
                true => canonical(&json!({ "$sealed": ring.seal(&aad(id), &Secret::new(text)) })),
                false => text,
            },
        }
    }

    /// A hook's settings are its AREA's, and native events have none.
    fn params(&self) -> Value {
        match self.action.feed.kind {
            FeedKind::Polled { .. } => (self.action.feed_params)(self.data),
            FeedKind::Hook { .. } | FeedKind::Native => json!({}),
        }
    }

    /// Canonical JSON of everything that makes two AREAs share a source.
    fn identity(&self, params: &Value) -> String {
        let area = matches!(self.action.feed.kind, FeedKind::Hook { .. }).then_some(self.area);
        canonical(&json!([self.user, self.service.name, self.action.feed.name, self.account, area, params]))
    }

    /// What keeps sources on one node: an account, else the host that is called. What calls nobody is spread.
    fn anchor(&self, params: &Value) -> String {
        if let Some(account) = self.account {
            return account.to_string();
        }
        let url = params.get("url").and_then(Value::as_str).and_then(|url| Url::parse(url).ok());
        match (url.as_ref().and_then(Url::host_str), &self.action.feed.kind) {
            (Some(host), _) => host.to_owned(),
            (None, FeedKind::Hook { .. }) => self.area.to_string(),
            (None, _) => canonical(params),
        }
    }
}

/// The interval as it is stored, in microseconds.
pub fn every_us(action: &ActionSpec, every: Option<Duration>) -> i64 {
    interval(action.feed, every).map_or(NO_INTERVAL, |every| i64::try_from(every.as_micros()).unwrap_or(i64::MAX))
}

/// A source's params as they are handed to its feed.
///
/// # Errors
/// The key is missing from the ring, the text was tampered with, or it is no JSON.
pub fn open_params(id: SourceId, stored: &str, ring: &KeyRing) -> Result<Value, SealError> {
    let value: Value = serde_json::from_str(stored).map_err(|_| SealError::Form)?;
    match value.get("$sealed").and_then(Value::as_str) {
        Some(sealed) => serde_json::from_str(ring.open(&aad(id), sealed)?.expose()).map_err(|_| SealError::Form),
        None => Ok(value),
    }
}

/// Seals a source's params anew where an older key sealed them; `None`: nothing is to be done.
///
/// # Errors
/// As `open_params`.
pub fn reseal_params(id: SourceId, stored: &str, ring: &KeyRing) -> Result<Option<String>, SealError> {
    let value: Value = serde_json::from_str(stored).map_err(|_| SealError::Form)?;
    let Some(sealed) = value.get("$sealed").and_then(Value::as_str).filter(|sealed| ring.is_old(sealed)) else {
        return Ok(None);
    };
    let secret = ring.open(&aad(id), sealed)?;
    Ok(Some(canonical(&json!({ "$sealed": ring.seal(&aad(id), &secret) }))))
}

fn aad(id: SourceId) -> String {
    format!("sources/{id}")
}

/// JSON text that is the same for the same value: members sorted, whole numbers without fraction.
fn canonical(value: &Value) -> String {
    sorted(value).to_string()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut names: Vec<_> = members.iter().collect();
            names.sort_by_key(|(name, _)| *name);
            Value::Object(names.into_iter().map(|(name, v)| (name.clone(), sorted(v))).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(f) if f.fract() == 0.0 && f.abs() < 9_007_199_254_740_992.0 => Value::from(f as i64),
            _ => value.clone(),
        },
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_value_has_one_text() {
        let value: Value = serde_json::from_str(r#"{"b": [1.0, 2.5, {"z": 1, "a": -0.0}], "a": "x"}"#).unwrap();
        assert_eq!(canonical(&value), r#"{"a":"x","b":[1,2.5,{"a":0,"z":1}]}"#);
    }
}
