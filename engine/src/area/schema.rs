//! The JSON Schemas of actions and reactions, compiled once: errors in words with their places, defaults filled in, and the places
//! that carry a mark (`writeOnly`: a secret; `x-guard`: a URL that a user gave).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use jsonschema::Validator;
use serde_json::{Map, Value};

use super::pointer;
use super::words;
use crate::limits::SCHEMA_DEPTH;
use crate::port::{ActionSpec, Invalid, ReactionSpec};

/// A schema, ready to use.
#[derive(Debug)]
pub struct Schema {
    /// As the spec has it.
    pub json: Value,
    /// Compiled: offline, formats asserted.
    pub validator: Arc<Validator>,
}

/// Compiled schemas by the address of their spec. Specs are statics: the map is as long as the lists of the services.
static COMPILED: LazyLock<RwLock<HashMap<usize, Arc<Schema>>>> = LazyLock::new(RwLock::default);

/// The schema of an action's `data`.
pub fn of_action(spec: &'static ActionSpec) -> Result<Arc<Schema>, Invalid> {
    compiled(std::ptr::from_ref(spec) as usize, spec.params)
}

/// The schema of a reaction's `data`.
pub fn of_reaction(spec: &'static ReactionSpec) -> Result<Arc<Schema>, Invalid> {
    compiled(std::ptr::from_ref(spec) as usize, spec.params)
}

fn compiled(key: usize, params: fn() -> Value) -> Result<Arc<Schema>, Invalid> {
    if let Some(schema) = COMPILED.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Ok(schema.clone());
    }
    let schema = Arc::new(Schema::compile(params()).map_err(|why| Invalid::new("", why))?);
    Ok(COMPILED.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(schema).clone())
}

impl Schema {
    /// Compiles `json`. It can reach nothing outside itself.
    pub fn compile(json: Value) -> Result<Self, String> {
        let options = jsonschema::options().offline().should_validate_formats(true);
        let validator = options.build(&json).map_err(|e| format!("the schema does not compile: {e}"))?;
        Ok(Self { json, validator: Arc::new(validator) })
    }

    /// Everything that is wrong with `value`. What stands at one of `templates` is not known yet and is exempt from errors.
    pub fn errors(&self, value: &Value, templates: &BTreeSet<String>) -> Vec<Invalid> {
        let mut all = Vec::new();
        for error in self.validator.iter_errors(value) {
            words::tell(&error, &self.json, templates, &mut all);
        }
        all.dedup();
        all
    }

    /// Puts in the defaults of what is absent.
    pub fn fill(&self, value: &mut Value) {
        fill(Node { root: &self.json, schema: &self.json, depth: 0 }, value);
    }

    /// The pointers into `value` at which the schema has `mark: true`, outermost first.
    pub fn marked(&self, mark: &str, value: &Value) -> BTreeSet<String> {
        let mut places = BTreeSet::new();
        marked(Node { root: &self.json, schema: &self.json, depth: 0 }, mark, "", value, &mut places);
        places
    }
}

/// A place in a schema.
#[derive(Clone, Copy)]
struct Node<'a> {
    root: &'a Value,
    schema: &'a Value,
    depth: usize,
}

impl<'a> Node<'a> {
    fn at(self, schema: &'a Value) -> Option<Self> {
        (self.depth < SCHEMA_DEPTH).then_some(Self { schema, depth: self.depth + 1, ..self })
    }

    fn get(self, keyword: &str) -> Option<&'a Value> {
        self.schema.get(keyword)
    }

    /// Schemas that hold for the same value whatever it is: `$ref` (local ones) and `allOf`.
    fn also(self) -> impl Iterator<Item = Self> {
        let target = self.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
        let target = target.and_then(|pointer| self.root.pointer(pointer));
        let all = self.get("allOf").and_then(Value::as_array).into_iter().flatten();
        target.into_iter().chain(all).filter_map(move |schema| self.at(schema))
    }

    /// Schemas of which one holds: `oneOf` and `anyOf`.
    fn forms(self) -> impl Iterator<Item = Self> {
        let forms = ["oneOf", "anyOf"].into_iter().filter_map(move |k| self.get(k)?.as_array()).flatten();
        forms.filter_map(move |schema| self.at(schema))
    }

    /// The schema of a member.
    fn member(self, name: &str) -> Option<Self> {
        let own = self.get("properties").and_then(|p| p.get(name));
        self.at(own.or_else(|| self.get("additionalProperties").filter(|s| s.is_object()))?)
    }

    /// The schema of an array's elements.
    fn element(self) -> Option<Self> {
        self.at(self.get("items").filter(|s| s.is_object())?)
    }

    /// Whether `value` looks like this form: its type, its constants and its required members.
    fn fits(self, value: &Value) -> bool {
        let kind = self.get("type").is_none_or(|kind| match kind {
            Value::Array(kinds) => kinds.iter().any(|k| is_of(value, k)),
            kind => is_of(value, kind),
        });
        let constant = self.get("const").is_none_or(|c| c == value);
        let choice = self.get("enum").and_then(Value::as_array).is_none_or(|c| c.contains(value));
        kind && constant && choice && self.members_fit(value) && self.also().all(|node| node.fits(value))
    }

    fn members_fit(self, value: &Value) -> bool {
        let Some(members) = value.as_object() else { return true };
        let required = self.get("required").and_then(Value::as_array).into_iter().flatten();
        let constants = self.get("properties").and_then(Value::as_object).into_iter().flatten();
        required.filter_map(Value::as_str).all(|name| members.contains_key(name))
            && constants
                .filter_map(|(name, schema)| Some((schema.get("const")?, members.get(name)?)))
                .all(|(constant, value)| constant == value)
    }
}

fn is_of(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap_or_default() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => value.is_number(),
    }
}

fn fill(node: Node<'_>, value: &mut Value) {
    for also in node.also() {
        fill(also, value);
    }
    if let Some(form) = node.forms().find(|form| form.fits(value)) {
        fill(form, value);
    }
    match value {
        Value::Object(members) => fill_members(node, members),
        Value::Array(items) => {
            for item in items {
                if let Some(element) = node.element() {
                    fill(element, item);
                }
            }
        }
        _ => {}
    }
}

fn fill_members(node: Node<'_>, members: &mut Map<String, Value>) {
    for (name, schema) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(default) = schema.get("default").filter(|d| !d.is_null())
            && !members.contains_key(name)
        {
            members.insert(name.clone(), default.clone());
        }
    }
    for (name, member) in members.iter_mut() {
        if let Some(schema) = node.member(name) {
            fill(schema, member);
        }
    }
}

/// Every form is looked into, not only the fitting one: a place too many is sealed or guarded, never one too few.
fn marked(node: Node<'_>, mark: &str, at: &str, value: &Value, places: &mut BTreeSet<String>) {
    if node.get(mark) == Some(&Value::Bool(true)) {
        places.insert(at.to_owned());
    }
    for same in node.also().chain(node.forms()) {
        marked(same, mark, at, value, places);
    }
    if places.contains(at) {
        return;
    }
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if let Some(schema) = node.member(name) {
                    marked(schema, mark, &pointer::join(at, name), member, places);
                }
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                if let Some(element) = node.element() {
                    marked(element, mark, &format!("{at}/{i}"), item, places);
                }
            }
        }
        _ => {}
    }
}
