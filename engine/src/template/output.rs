//! From values to text and JSON, charged.

use std::borrow::Cow;

use minijinja::Value;
use minijinja::value::ValueKind;
use serde_json::{Map, Number, Value as Json};

use super::budget::{Bounded, Budget, said};

/// What stands in a longer text: texts as they are, null as nothing, lists and objects as JSON.
pub(super) fn text<'v>(value: &'v Value, budget: &mut Budget) -> Result<Cow<'v, str>, String> {
    if let Some(text) = value.as_str() {
        return Ok(Cow::Borrowed(text));
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(Cow::Borrowed("")),
        ValueKind::Bool => Ok(Cow::Borrowed(if value.is_true() { "true" } else { "false" })),
        _ => json_text(value, budget, false).map(Cow::Owned),
    }
}

/// As JSON text, on one line or with two spaces a level.
pub(super) fn json_text(value: &Value, budget: &mut Budget, pretty: bool) -> Result<String, String> {
    let value = json(value, budget)?;
    let mut out = Bounded::new(budget);
    let written =
        if pretty { serde_json::to_writer_pretty(&mut out, &value) } else { serde_json::to_writer(&mut out, &value) };
    match (written, &out.stopped) {
        (Err(e), None) => Err(e.to_string()),
        _ => out.finish(),
    }
}

/// As JSON.
pub(super) fn json(value: &Value, budget: &mut Budget) -> Result<Json, String> {
    budget.work(size_of::<Json>())?;
    Ok(match value.kind() {
        ValueKind::Undefined | ValueKind::None => Json::Null,
        ValueKind::Bool => Json::Bool(value.is_true()),
        ValueKind::Number => Json::Number(number(value)?),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            budget.work(text.len())?;
            Json::String(text.to_owned())
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter().map_err(said)?;
            Json::Array(items.map(|item| json(&item, budget)).collect::<Result<_, _>>()?)
        }
        ValueKind::Map => {
            let mut object = Map::new();
            for key in value.try_iter().map_err(said)? {
                let item = value.get_item(&key).map_err(said)?;
                let name = text(&key, budget)?.into_owned();
                budget.work(name.len())?;
                object.insert(name, json(&item, budget)?);
            }
            Json::Object(object)
        }
        _ => return Err("this value has no JSON form".to_owned()),
    })
}

fn number(value: &Value) -> Result<Number, String> {
    let too_large = || "the number is too large for JSON".to_owned();
    if value.is_integer() {
        let whole = i128::try_from(value.clone()).map_err(|_| too_large())?;
        return Number::from_i128(whole).ok_or_else(too_large);
    }
    let number = f64::try_from(value.clone()).map_err(said)?;
    Number::from_f64(number).ok_or_else(|| "the number is not finite".to_owned())
}
