//! What an expression may see: `event`, `steps`, `area`, `now`, and inside `for_each` `item` and `index`.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use minijinja::Value;
use minijinja::value::Serde;

/// The values of one run; a clone is a few reference counts.
#[derive(Clone, Debug)]
pub struct Scope {
    event: Value,
    steps: BTreeMap<String, Value>,
    steps_value: Value,
    area: Value,
    now: Value,
    item: Option<(Value, Value)>,
    /// Fields that the event may lack because nobody wanted them.
    large: &'static [&'static str],
}

impl Scope {
    /// For a run of the AREA `area_id` called `area_name`, born at `born` (`now` in expressions, the same on every attempt).
    pub fn new(event: &serde_json::Value, area_id: &str, area_name: &str, born: DateTime<Utc>) -> Self {
        let area = [("id", Value::from(area_id)), ("name", Value::from(area_name))];
        Self {
            event: Value::from(Serde(event)),
            steps: BTreeMap::new(),
            steps_value: Value::from_pairs(BTreeMap::<String, Value>::new()),
            area: Value::from_pairs(area),
            now: Value::from(born.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            item: None,
            large: &[],
        }
    }

    /// The same, of an action whose events have these large fields: one that an event lacks was not read.
    pub fn with_large(self, large: &'static [&'static str]) -> Self {
        Self { large, ..self }
    }

    /// The large fields that the event lacks.
    pub(super) fn unread(&self) -> impl Iterator<Item = &'static str> {
        let lacks = |name: &&&str| self.event.get_attr(name).is_ok_and(|value| value.is_undefined());
        self.large.iter().filter(lacks).copied()
    }

    /// Adds what the step `id` gave: `steps.ID`.
    pub fn add_step(&mut self, id: &str, output: &serde_json::Value) {
        self.steps.insert(id.to_owned(), Value::from(Serde(output)));
        self.steps_value = Value::from_pairs(self.steps.clone());
    }

    /// The same with `item` and `index` (from 0), for one turn of `for_each`.
    pub fn with_item(&self, item: &serde_json::Value, index: usize) -> Self {
        Self { item: Some((Value::from(Serde(item)), Value::from(index))), ..self.clone() }
    }

    /// The value of a root; `None` where it does not exist here.
    pub(super) fn root(&self, name: &str) -> Option<Value> {
        match name {
            "event" => Some(self.event.clone()),
            "steps" => Some(self.steps_value.clone()),
            "area" => Some(self.area.clone()),
            "now" => Some(self.now.clone()),
            "item" => self.item.as_ref().map(|(item, _)| item.clone()),
            "index" => self.item.as_ref().map(|(_, index)| index.clone()),
            _ => None,
        }
    }
}
