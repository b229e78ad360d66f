//! Merges defaults < file < environment < flags. Every key is looked up before its value is read: what is unknown is an error,
//! and what is wrong is told where it came from.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use config::builder::DefaultState;
use config::{Config, ConfigBuilder, ConfigError, File, FileFormat, Source, Value, ValueKind};

use super::{FILE_PATH, PROVIDERS, Settings, SettingsError, names};

/// Keys whose values no message shows.
const SECRET: [&str; 3] = ["database_url", "keys", "mail.smtp"];
/// The same of every provider.
const CLIENT_SECRET: &str = ".client_secret";

/// Where settings come from, besides the defaults.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A file that must be there; `None`: [`FILE_PATH`], if it is there.
    pub file: Option<PathBuf>,
    /// The environment.
    pub env: Vec<(String, String)>,
    /// Keys and values from flags.
    pub flags: Vec<(String, String)>,
}

/// Reads the settings.
pub fn load(sources: &Sources) -> Result<Settings, SettingsError> {
    let file = read_file(sources.file.as_deref())?;
    let mut origins = HashMap::new();
    // Defaults are those of the structs.
    let mut builder = add_file(Config::builder(), Path::new("config/providers.toml"), PROVIDERS, &mut origins)?;
    if let Some((path, text)) = &file {
        builder = add_file(builder, path, text, &mut origins)?;
    }
    for (variable, value) in &sources.env {
        let Some(key) = names::of_variable(variable).filter(|_| !value.is_empty()) else { continue };
        let unknown = || {
            format!(
                "the environment variable {variable} is no setting; did you mean {}?",
                names::variable(&names::nearest(&key))
            )
        };
        builder = set(builder, &key, value, unknown)?;
        origins.insert(key.clone(), format!("{variable}={}", shown(&key, value)));
    }
    for (key, value) in &sources.flags {
        builder =
            set(builder, key, value, || format!("`{key}` is no setting; did you mean `{}`?", names::nearest(key)))?;
        origins.insert(key.clone(), format!("{key}={}", shown(key, value)));
    }
    let merged = builder.build().map_err(plain)?;
    merged.try_deserialize::<Settings>().map_err(|e| explain(e, &origins))?.finish()
}

fn read_file(named: Option<&Path>) -> Result<Option<(PathBuf, String)>, SettingsError> {
    let path = named.unwrap_or(Path::new(FILE_PATH));
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.to_owned(), text))),
        Err(e) if named.is_none() && e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(SettingsError(format!("cannot read the configuration {}: {e}", path.display()))),
    }
}

type Builder = ConfigBuilder<DefaultState>;

fn add_file(
    builder: Builder,
    path: &Path,
    text: &str,
    origins: &mut HashMap<String, String>,
) -> Result<Builder, SettingsError> {
    let file = File::from_str(text, FileFormat::Toml);
    let table = file.collect().map_err(|e| SettingsError(format!("{}: {e}", path.display())))?;
    let mut found = Vec::new();
    table.into_iter().for_each(|(name, value)| flatten(&name, value, &mut found));
    for (key, value) in found {
        if !is_known(&key) {
            let nearest = names::nearest(&key);
            return Err(SettingsError(format!(
                "{}: there is no key `{key}`; did you mean `{nearest}`?",
                path.display()
            )));
        }
        let value = value.to_string();
        origins.insert(key.clone(), format!("{}: {key} = {}", path.display(), shown(&key, &value)));
    }
    Ok(builder.add_source(file))
}

fn flatten(prefix: &str, value: Value, found: &mut Vec<(String, Value)>) {
    match value.kind {
        ValueKind::Table(table) if !table.is_empty() => {
            table.into_iter().for_each(|(name, v)| flatten(&names::join(prefix, &name), v, found));
        }
        ValueKind::Table(_) if is_section(prefix) => {}
        kind => found.push((prefix.to_owned(), Value::new(None, kind))),
    }
}

fn is_known(key: &str) -> bool {
    names::all().iter().any(|(known, _)| known == key) || names::is_of_provider(key)
}

fn is_section(name: &str) -> bool {
    let begins = |known: &str| known.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    names::all().iter().any(|(known, _)| begins(known)) || names::is_table_of_provider(name)
}

fn set(builder: Builder, key: &str, value: &str, unknown: impl Fn() -> String) -> Result<Builder, SettingsError> {
    if !is_known(key) {
        return Err(SettingsError(unknown()));
    }
    builder.set_override(key, value).map_err(plain)
}

/// The value, unless it may hold a password.
fn shown<'a>(key: &str, value: &'a str) -> &'a str {
    if SECRET.contains(&key) || key.ends_with(CLIENT_SECRET) { "…" } else { value }
}

fn plain(e: ConfigError) -> SettingsError {
    SettingsError(e.to_string())
}

/// Says where the value stands, what is wrong with it and, by the default, what would be right.
fn explain(e: ConfigError, origins: &HashMap<String, String>) -> SettingsError {
    let (key, why) = match e {
        ConfigError::Type { key: Some(key), expected, .. } => (key, format!("must be {expected}")),
        ConfigError::At { key: Some(key), error, .. } => (key, error.to_string()),
        other => return plain(other),
    };
    let key = key.split('[').next().unwrap_or_default().to_owned();
    let place = origins.get(&key).cloned().unwrap_or_else(|| key.clone());
    let default = names::all().into_iter().find(|(known, v)| *known == key && !v.is_null());
    let right = default.map(|(_, v)| format!(" (the default is {v})")).unwrap_or_default();
    SettingsError(format!("{place}: {why}{right}"))
}
