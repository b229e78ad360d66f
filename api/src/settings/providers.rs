//! From the tables `[providers.NAME]` to the engine's providers: a client's secret may stand in a file.

use std::collections::BTreeMap;

use engine::secret::Secret;
use engine::vault::{Provider, ProviderConfig};

use super::SettingsError;

/// Checks every table.
pub(super) fn engine(all: &BTreeMap<String, ProviderConfig>) -> Result<Vec<Provider>, SettingsError> {
    let each = all.iter().map(|(name, config)| Provider::new(name, &with_secret(name, config)?));
    each.collect::<Result<_, String>>().map_err(SettingsError)
}

fn with_secret(name: &str, config: &ProviderConfig) -> Result<ProviderConfig, String> {
    let mut config = config.clone();
    if let Some(path) = config.client_secret_file.clone().filter(|path| !path.as_os_str().is_empty()) {
        let text = std::fs::read_to_string(&path)
            .map_err(|e| format!("providers.{name}.client_secret_file: {}: {e}", path.display()))?;
        config.client_secret = Some(Secret::new(text.trim()));
    }
    Ok(config)
}
