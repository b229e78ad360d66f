//! What a schema's refusal is called: one sentence a place, which says what would be right and never repeats the value (it may
//! be a secret).

use std::collections::BTreeSet;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

use super::pointer::{join, within};
use crate::port::Invalid;

/// Names that are no farther than this from a known one are taken for a slip.
const NEAR: usize = 3;

/// Adds to `all` what `error` means in `schema`; what stands at one of `templates` is exempt.
pub fn tell(error: &ValidationError<'_>, schema: &Value, templates: &BTreeSet<String>, all: &mut Vec<Invalid>) {
    let at = error.instance_path().as_str();
    if exempt(error, templates) {
        return;
    }
    match error.kind() {
        Kind::Required { property } => {
            all.push(Invalid::new(join(at, property.as_str().unwrap_or_default()), "is required"));
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let known = known_at(schema, error.schema_path().as_str());
            all.extend(unexpected.iter().map(|name| Invalid::new(join(at, name), unknown("member", name, &known))));
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => match meant(context, templates) {
            Some(form) => form.iter().for_each(|error| tell(error, schema, templates, all)),
            None => all.push(Invalid::new(at, format!("must be {}", forms(context, at)))),
        },
        kind => all.push(Invalid::new(at, words(kind, error))),
    }
}

/// `unknown service "htp": did you mean "http"?`, with the nearest of `known`, or all of a few.
pub fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let near = known.iter().min_by_key(|k| strsim::osa_distance(k, name));
    match near.filter(|k| strsim::osa_distance(k, name) <= NEAR.min(name.len().max(2) - 1)) {
        Some(near) => format!("unknown {what} {name:?}: did you mean {near:?}?"),
        None if known.is_empty() => format!("unknown {what} {name:?}: none is known here"),
        None => format!("unknown {what} {name:?}: known are {}", list(known.iter().map(|k| format!("{k:?}")), "and")),
    }
}

/// Whether the error vanishes once the templates are rendered, as far as can be known now.
fn exempt(error: &ValidationError<'_>, templates: &BTreeSet<String>) -> bool {
    let at = error.instance_path().as_str();
    if templates.iter().any(|template| within(at, template)) {
        return true;
    }
    match error.kind() {
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            context.iter().any(|form| form.iter().all(|error| exempt(error, templates)))
        }
        _ => false,
    }
}

/// The one form that the value seems to mean: its type and its constants (`"kind": "hmac"`) are right.
fn meant<'a>(
    context: &'a [Vec<ValidationError<'static>>],
    templates: &BTreeSet<String>,
) -> Option<&'a Vec<ValidationError<'static>>> {
    let here = context.iter().flatten().map(|e| e.instance_path().as_str().len()).min()?;
    let other = |error: &ValidationError<'_>| match error.kind() {
        Kind::Constant { .. } => true,
        Kind::Type { .. } | Kind::Enum { .. } => error.instance_path().as_str().len() == here,
        _ => false,
    };
    let mut meant = context.iter().filter(|form| !form.iter().any(|e| other(e) && !exempt(e, templates)));
    meant.next().filter(|_| meant.next().is_none())
}

/// The forms of a union in a few words: `a string or one of "a", "b"`.
fn forms(context: &[Vec<ValidationError<'static>>], at: &str) -> String {
    let mut words: Vec<String> =
        context.iter().flat_map(|form| form.iter().find_map(|error| form_words(error, at))).collect();
    words.dedup();
    match words.is_empty() {
        true => "one of the forms that the schema allows".into(),
        false => list(words.into_iter(), "or"),
    }
}

fn form_words(error: &ValidationError<'_>, at: &str) -> Option<String> {
    match error.kind() {
        Kind::Type { kind } => Some(kinds(kind)),
        Kind::Enum { options } => Some(options_words(options)),
        Kind::Constant { expected_value } => {
            let place = error.instance_path().as_str();
            let member = place.rsplit('/').next().filter(|_| place != at);
            let form = |member| format!("the form with \"{member}\": {expected_value}");
            Some(member.map_or_else(|| expected_value.to_string(), form))
        }
        Kind::Required { property } => Some(format!("an object with {property}")),
        _ => None,
    }
}

fn words(kind: &Kind, error: &ValidationError<'_>) -> String {
    match kind {
        Kind::Type { kind } => format!("must be {}", kinds(kind)),
        Kind::Enum { options } => format!("must be {}", options_words(options)),
        Kind::Constant { expected_value } => format!("must be {expected_value}"),
        Kind::Format { format } => format!("must be a valid {format}"),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MinLength { limit: 1 } => "must not be empty".into(),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinItems { limit: 1 } => "must not be empty".into(),
        Kind::MinItems { limit } => format!("must have at least {limit} elements"),
        Kind::MaxItems { limit } => format!("must have at most {limit} elements"),
        Kind::MinProperties { limit: 1 } => "must not be empty".into(),
        Kind::MinProperties { limit } => format!("must have at least {limit} members"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} members"),
        Kind::Pattern { pattern } => format!("must match the pattern {pattern}"),
        Kind::UniqueItems => "must not have the same element twice".into(),
        Kind::OneOfMultipleValid { .. } => "must be only one of the forms that the schema allows".into(),
        Kind::FalseSchema => "must be absent".into(),
        _ => error.masked().to_string(),
    }
}

fn options_words(options: &Value) -> String {
    let options: Vec<String> = options.as_array().into_iter().flatten().map(Value::to_string).collect();
    format!("one of {}", list(options.into_iter(), "or"))
}

fn kinds(kind: &TypeKind) -> String {
    let article = |name: String| match name.as_str() {
        "null" => name,
        "integer" | "array" | "object" => format!("an {name}"),
        _ => format!("a {name}"),
    };
    match kind {
        TypeKind::Single(kind) => article(kind.to_string()),
        // Null stands for an absent member: nobody has to be told to write it.
        TypeKind::Multiple(kinds) => {
            list(kinds.iter().map(|k| k.to_string()).filter(|k| k != "null").map(article), "or")
        }
    }
}

fn list(words: impl Iterator<Item = String>, last: &str) -> String {
    let mut words: Vec<String> = words.collect();
    match (words.pop(), words.is_empty()) {
        (Some(end), false) => format!("{} {last} {end}", words.join(", ")),
        (Some(only), true) => only,
        (None, _) => String::new(),
    }
}

/// The members that are known where a schema refuses others: `properties` beside the refusing keyword.
fn known_at<'a>(schema: &'a Value, keyword: &str) -> Vec<&'a str> {
    let beside = keyword.rsplit_once('/').map_or("", |(beside, _)| beside);
    let properties = schema.pointer(&format!("{beside}/properties")).and_then(Value::as_object);
    properties.into_iter().flat_map(|p| p.keys().map(String::as_str)).collect()
}
