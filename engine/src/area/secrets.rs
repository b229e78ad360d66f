//! The secrets inside a document. A place is secret where its schema says `writeOnly: true`.
//!
//! | form | where |
//! |---|---|
//! | the value itself | in what a client sends, and in memory |
//! | `{"$sealed": "s1…"}` | stored; sealed to `areas/{id}/{pointer}` |
//! | `{"$secret": true}` | shown; sent back at the same place it keeps what is stored |
//! | `{"$env": "NAME"}` | exported; `apply` reads the environment |

use std::sync::Arc;

use serde_json::{Value, json};

use super::check::{GUARDED, SECRET};
use super::schema::{self, Schema};
use super::{catalog, origin, pointer};
use crate::ids::AreaId;
use crate::port::{Invalid, Services};
use crate::secret::Secret;
use crate::vault::{KeyRing, SealError};

const SEALED: &str = "$sealed";
const SHOWN: &str = "$secret";
const ENV: &str = "$env";

/// The `data` of an action or a step inside a document.
struct Part {
    at: String,
    service: String,
    name: String,
    id: Option<String>,
    /// `None` where the document names what does not exist: `check` says so.
    schema: Option<Arc<Schema>>,
}

/// Seals what is secret in `document`, whose secrets are in the clear.
pub fn seal(document: &mut Value, id: AreaId, services: Services, ring: &KeyRing) {
    for part in parts(document, services) {
        for place in part.secret_places(document) {
            if let Some(value) = document.pointer_mut(&place)
                && !value.is_null()
            {
                let text = Secret::new(value.to_string());
                *value = json!({ SEALED: ring.seal(&aad(id, &place), &text) });
            }
        }
    }
}

/// Opens what is sealed in a stored document.
///
/// # Errors
/// The places whose key is missing from the ring, or whose text was tampered with.
pub fn open(stored: &mut Value, id: AreaId, ring: &KeyRing) -> Result<(), Vec<Invalid>> {
    let mut wrong = Vec::new();
    for (place, text) in objects(stored, SEALED) {
        let opened = text.as_str().ok_or_else(|| "the sealed value is no text".to_owned()).and_then(|text| {
            let secret = ring.open(&aad(id, &place), text).map_err(|e| e.to_string())?;
            serde_json::from_str(secret.expose()).map_err(|_| "the sealed value is no JSON".to_owned())
        });
        match opened {
            Ok(value) => put(stored, &place, value),
            Err(why) => wrong.push(Invalid::new(place, why)),
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// Seals anew, with the active key, what an older one sealed in a stored document; false: there was nothing such.
///
/// # Errors
/// As `open`; the document is as it was.
pub fn reseal(stored: &mut Value, id: AreaId, ring: &KeyRing) -> Result<bool, SealError> {
    let old = |(_, text): &(String, Value)| text.as_str().is_some_and(|text| ring.is_old(text));
    let mut anew = Vec::new();
    for (place, text) in objects(stored, SEALED).into_iter().filter(old) {
        let secret = ring.open(&aad(id, &place), text.as_str().unwrap_or_default())?;
        anew.push((json!({ SEALED: ring.seal(&aad(id, &place), &secret) }), place));
    }
    let any = !anew.is_empty();
    anew.into_iter().for_each(|(value, place)| put(stored, &place, value));
    Ok(any)
}

/// The sealed texts in a stored document.
pub fn sealed(stored: &Value) -> Vec<String> {
    objects(stored, SEALED).into_iter().filter_map(|(_, text)| text.as_str().map(str::to_owned)).collect()
}

/// What is shown of a stored document: secrets as `{"$secret": true}`.
pub fn show(stored: &mut Value) {
    for (place, _) in objects(stored, SEALED) {
        put(stored, &place, json!({ SHOWN: true }));
    }
}

/// What is exported of a stored document: secrets as `{"$env": "NAME"}`. Gives the names, which begin with `prefix`.
pub fn export(stored: &mut Value, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (place, _) in objects(stored, SEALED) {
        let name: String = format!("{prefix}{place}")
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        put(stored, &place, json!({ ENV: name }));
        names.push(name);
    }
    names
}

/// Puts what the environment holds in the place of each `{"$env": "NAME"}`. Where the schema wants no string there, the
/// variable's text is read as JSON.
///
/// # Errors
/// The places whose variable is not set.
pub fn from_env(
    document: &mut Value,
    services: Services,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<(), Vec<Invalid>> {
    let mut wrong = Vec::new();
    for (place, name) in objects(document, ENV) {
        let name = name.as_str().unwrap_or_default().to_owned();
        match lookup(&name) {
            Some(text) => put(document, &place, Value::String(text)),
            None => wrong.push(Invalid::new(place.clone(), format!("the environment has no variable {name:?}"))),
        }
    }
    for part in parts(document, services) {
        for place in part.secret_places(document) {
            let Some(text) = document.pointer(&place).and_then(Value::as_str) else { continue };
            if let Ok(json) = serde_json::from_str::<Value>(text)
                && !json.is_string()
                && part.refuses(document, &place)
            {
                put(document, &place, json);
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// Puts the secrets of `stored` (opened) in the place of each `{"$secret": true}` in `incoming`. A step is found again by its id,
/// else by its place in the list.
///
/// # Errors
/// Places at which nothing is stored, and secrets that would go to another origin than the one they were saved for.
pub fn keep(incoming: &mut Value, stored: Option<&Value>, services: Services) -> Result<(), Vec<Invalid>> {
    let mut wrong = Vec::new();
    let old_parts = stored.map(|stored| parts(stored, services)).unwrap_or_default();
    for part in parts(incoming, services) {
        let asked = asked(incoming, &part);
        let by = |same: fn(&Part, &Part) -> bool| old_parts.iter().find(|old| same(&part, old));
        let old = by(Part::same_id).or_else(|| by(Part::same_place)).zip(stored);
        for place in &asked {
            match old.and_then(|(old, stored)| part.kept(old, stored, incoming, place)) {
                Some(value) => put(incoming, place, value),
                None => wrong.push(Invalid::new(place, "no secret is stored at this place: send it")),
            }
        }
        if let Some((old, stored)) = old
            && old.origins(stored) != part.origins(incoming)
        {
            let why = "the address has another origin now: send the secret again, it was saved for the old one";
            wrong.extend(asked.iter().map(|place| Invalid::new(place, why)));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// Whether `value` stands for a secret that is not shown.
pub fn is_shown_secret(value: &Value) -> bool {
    value.as_object().is_some_and(|m| m.len() == 1 && m.get(SHOWN) == Some(&Value::Bool(true)))
}

fn asked(incoming: &Value, part: &Part) -> Vec<String> {
    let found = objects(incoming, SHOWN).into_iter().filter(|(_, v)| *v == Value::Bool(true));
    found.map(|(place, _)| place).filter(|place| pointer::within(place, &part.at)).collect()
}

fn aad(id: AreaId, place: &str) -> String {
    format!("areas/{id}{place}")
}

/// The objects with the only member `name`, and that member's value.
fn objects(document: &Value, name: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    pointer::walk(document, &mut |place, value| {
        let member = value.as_object().filter(|members| members.len() == 1).and_then(|members| members.get(name));
        found.extend(member.map(|member| (place.to_owned(), member.clone())));
        member.is_none()
    });
    found
}

fn put(document: &mut Value, place: &str, value: Value) {
    if let Some(old) = document.pointer_mut(place) {
        *old = value;
    }
}

fn parts(document: &Value, services: Services) -> Vec<Part> {
    let text = |of: &Value, member: &str| of.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let part = |at: String, of: &Value, is_action: bool| {
        let (service, name) = (text(of, "service"), text(of, "name"));
        let schema = catalog::service(services, &service).ok().and_then(|service| match is_action {
            true => schema::of_action(catalog::action(service, &name).ok()?).ok(),
            false => schema::of_reaction(catalog::reaction(service, &name).ok()?).ok(),
        });
        Part { at, service, name, id: of.get("id").and_then(Value::as_str).map(str::to_owned), schema }
    };
    let action = document.get("action").map(|action| part("/action/data".into(), action, true));
    let steps = document.get("reactions").and_then(Value::as_array).into_iter().flatten().enumerate();
    action.into_iter().chain(steps.map(|(i, step)| part(format!("/reactions/{i}/data"), step, false))).collect()
}

impl Part {
    fn same_id(&self, old: &Self) -> bool {
        self.id.is_some() && self.id == old.id && self.same_spec(old)
    }

    fn same_place(&self, old: &Self) -> bool {
        self.at == old.at && self.same_spec(old)
    }

    fn same_spec(&self, old: &Self) -> bool {
        self.service == old.service && self.name == old.name
    }

    /// The places in `document` that are secret; none lies within another.
    fn secret_places(&self, document: &Value) -> Vec<String> {
        let mut outermost: Vec<String> = Vec::new();
        for place in self.marked(document, SECRET) {
            if !outermost.iter().any(|outer| pointer::within(&place, outer)) {
                outermost.push(place);
            }
        }
        outermost
    }

    fn marked(&self, document: &Value, mark: &str) -> Vec<String> {
        let Some((schema, data)) = self.schema.as_ref().zip(document.pointer(&self.at)) else { return Vec::new() };
        schema.marked(mark, data).into_iter().map(|place| format!("{}{place}", self.at)).collect()
    }

    /// What is stored in `old` at `place` of this part, if it is secret there and here.
    fn kept(&self, old: &Self, stored: &Value, incoming: &Value, place: &str) -> Option<Value> {
        let old_place = format!("{}{}", old.at, place.strip_prefix(&self.at)?);
        let secret =
            self.secret_places(incoming).iter().any(|p| p == place) && old.secret_places(stored).contains(&old_place);
        stored.pointer(&old_place).filter(|_| secret).cloned()
    }

    /// The URLs that a user gave, each by its origin.
    fn origins(&self, document: &Value) -> Vec<(String, String)> {
        let place = |place: String| {
            let url = document.pointer(&place)?.as_str()?;
            Some((place.strip_prefix(&self.at)?.to_owned(), origin::of(url)))
        };
        self.marked(document, GUARDED).into_iter().filter_map(place).collect()
    }

    fn refuses(&self, document: &Value, place: &str) -> bool {
        let Some((schema, data)) = self.schema.as_ref().zip(document.pointer(&self.at)) else { return false };
        let wrong = schema.errors(data, &Default::default());
        wrong.iter().any(|wrong| format!("{}{}", self.at, wrong.pointer) == *place)
    }
}
