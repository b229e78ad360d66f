//! The names of all keys: what is unknown is told the nearest one.

use std::collections::BTreeMap;

use engine::vault::ProviderConfig;
use serde_json::Value;

use super::Settings;

/// What every environment variable of ours begins with.
pub const PREFIX: &str = "AREA_";
/// What separates the parts of a key in a variable's name.
const SEPARATOR: &str = "__";
/// Variables that are no settings: the flag `--config`, crash points and the tests' own.
const NO_SETTINGS: [&str; 3] = ["AREA_CONFIG", "AREA_CRASH_", "AREA_TEST_"];

/// Every key with its default, as `net.timeout`.
pub fn all() -> Vec<(String, Value)> {
    let defaults = serde_json::to_value(Settings::default()).unwrap_or_default();
    let mut keys = Vec::new();
    flatten("", &defaults, &mut keys);
    keys
}

/// The keys of a provider's table that are tables themselves, of any names.
const PROVIDER_TABLES: [&str; 4] = ["params", "apis", "account_quota", "app_quota"];

/// The keys of a provider's table.
pub fn of_provider() -> Vec<String> {
    match serde_json::to_value(ProviderConfig::default()) {
        Ok(Value::Object(table)) => table.into_iter().map(|(name, _)| name).collect(),
        _ => Vec::new(),
    }
}

/// Whether it is `providers.NAME.KEY`, whatever the provider's name.
pub fn is_of_provider(key: &str) -> bool {
    let mut parts = key.split('.');
    let provider = (parts.next(), parts.next().is_some_and(|name| !name.is_empty()));
    let (member, inner, more) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let table = PROVIDER_TABLES.contains(&member);
    provider == (Some("providers"), true)
        && more.is_none()
        && match inner {
            None => !table && of_provider().iter().any(|known| known == member),
            Some(inner) => table && !inner.is_empty(),
        }
}

/// Whether it is a provider's table, or one in it.
pub fn is_table_of_provider(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    match parts[..] {
        ["providers"] | ["providers", _] => true,
        ["providers", _, table] => PROVIDER_TABLES.contains(&table),
        _ => false,
    }
}

/// Every key with the value that is in effect, secrets hidden.
pub fn in_effect(settings: &Settings) -> BTreeMap<String, Value> {
    let values = serde_json::to_value(settings).unwrap_or_default();
    let mut keys = Vec::new();
    flatten("", &values, &mut keys);
    let mut all: BTreeMap<String, Value> = keys.into_iter().collect();
    all.insert("database_url".to_owned(), settings.database_url().to_string().into());
    if settings.keys.is_some() {
        all.insert("keys".to_owned(), "[REDACTED]".into());
    }
    if !settings.mail.smtp.expose().is_empty() {
        all.insert("mail.smtp".to_owned(), "[REDACTED]".into());
    }
    all
}

fn flatten(prefix: &str, value: &Value, keys: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(table) => table.iter().for_each(|(name, v)| flatten(&join(prefix, name), v, keys)),
        leaf => keys.push((prefix.to_owned(), leaf.clone())),
    }
}

/// `prefix.name`, or `name` alone.
pub fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// The key that an environment variable sets; `None` where it is none of ours.
pub fn of_variable(variable: &str) -> Option<String> {
    let ours = !NO_SETTINGS.iter().any(|other| variable.starts_with(other));
    let name = variable.strip_prefix(PREFIX).filter(|_| ours)?;
    Some(name.to_lowercase().replace(SEPARATOR, "."))
}

/// The environment variable that sets `key`.
pub fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', SEPARATOR).to_uppercase())
}

/// The known key that looks most like `key`, as a whole or in its last part.
pub fn nearest(key: &str) -> String {
    let last = |k: &str| k.rsplit('.').next().unwrap_or_default().to_owned();
    let alike = |known: &str| {
        let whole = strsim::normalized_damerau_levenshtein(key, known);
        whole.max(strsim::normalized_damerau_levenshtein(&last(key), &last(known)) * 0.9)
    };
    // A provider's keys are meant for the provider that was named.
    let provider = key.strip_prefix("providers.").and_then(|rest| rest.split_once('.')).map(|(name, _)| name);
    let its = provider.map(|name| of_provider().into_iter().map(move |k| format!("providers.{name}.{k}")));
    let known = all().into_iter().map(|(k, _)| k).chain(its.into_iter().flatten()).map(|k| (alike(&k), k));
    known.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, k)| k).unwrap_or_default()
}
