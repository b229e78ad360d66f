//! What an operator may set, in one struct. `load` merges defaults < file < environment < flags, `names` knows every key,
//! `sections`, `limits` and `people` have the tables of the file, `values` the types that hide or explain themselves.
//!
//! The file `config/area.toml` holds every key with its default and why; a test holds it and these structs together.

mod limits;
mod load;
mod names;
mod people;
mod providers;
mod sections;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use engine::store::DbConfig;
use engine::vault::{Provider, ProviderConfig};
use serde::{Deserialize, Serialize};
use url::Url;

pub use limits::{Limits, Retention};
pub use load::{Sources, load};
pub use names::in_effect;
pub use people::{Mail, Passwords, People, Sessions, Throttle};
pub use sections::{Connect, Database, Log, LogFormat, Net, Node, Samples, Vault};
pub use values::{DatabaseUrl, Hidden, Networks, Origins};

/// The file of the repository, so that the binary alone can show it.
pub const FILE: &str = include_str!("../../../config/area.toml");
/// Where the file is looked for when no flag names one.
pub const FILE_PATH: &str = "config/area.toml";
/// Who issues tokens: what the operator sets of a provider goes over this.
pub const PROVIDERS: &str = include_str!("../../../config/providers.toml");

/// The one redirect address that is registered at a provider.
///
/// # Errors
/// A provider's name that is none.
pub fn callback_url(public: &Url, provider: &str) -> Result<Url, url::ParseError> {
    Url::parse(&format!("{}/v1/connect/{provider}/callback", public.as_str().trim_end_matches('/')))
}

/// What is wrong with a setting; a sentence that names the key and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub String);

/// Everything that an operator may set. After [`load`] no field but `keys` is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where the embedded database and the keys are.
    pub data_dir: PathBuf,
    /// `sqlite:PATH` or `postgres://…`; from the data folder where it is not set.
    pub database_url: Option<DatabaseUrl>,
    /// The ring of keys that seal secrets; in the data folder where it is not set.
    pub keys_file: Option<PathBuf>,
    /// The ring itself, instead of a file.
    pub keys: Option<Hidden>,
    /// A command of the shell that prints the ring, instead of a file. Empty: none.
    pub keys_command: String,
    /// How others reach the API: hook URLs begin with it. From `listen` where it is not set.
    pub public_url: Option<Url>,
    /// Networks of proxies whose word on who calls is taken.
    pub trusted_proxies: Networks,
    /// Connections.
    pub database: Database,
    /// This process among others.
    pub node: Node,
    /// Outgoing HTTP.
    pub net: Net,
    /// What an AREA, a poll and a run may take.
    pub limits: Limits,
    /// How long what happened is kept.
    pub retention: Retention,
    /// Who may sign up, and what they may upload.
    pub people: People,
    /// How passwords are kept.
    pub passwords: Passwords,
    /// How long a sign-in lasts.
    pub sessions: Sessions,
    /// How people are written to.
    pub mail: Mail,
    /// How often strangers may try.
    pub throttle: Throttle,
    /// The daemon's log.
    pub log: Log,
    /// The example AREAs.
    pub samples: Samples,
    /// How accounts are linked.
    pub connect: Connect,
    /// How tokens and keys of accounts are kept.
    pub vault: Vault,
    /// Who issues tokens, by name; the file `config/providers.toml` has their defaults.
    pub providers: BTreeMap<String, ProviderConfig>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data_dir: PathBuf::from("data"),
            database_url: None,
            keys_file: None,
            keys: None,
            keys_command: String::new(),
            public_url: None,
            trusted_proxies: Networks::default(),
            database: Database::default(),
            node: Node::default(),
            net: Net::default(),
            limits: Limits::default(),
            retention: Retention::default(),
            people: People::default(),
            passwords: Passwords::default(),
            sessions: Sessions::default(),
            mail: Mail::default(),
            throttle: Throttle::default(),
            log: Log::default(),
            samples: Samples::default(),
            connect: Connect::default(),
            vault: Vault::default(),
            providers: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Where the database is and how many connections it gets.
    pub fn db(&self) -> DbConfig {
        DbConfig { url: self.database_url().expose().to_owned(), connections: self.database.connections }
    }

    /// The database's URL; by default a file in the data folder.
    pub fn database_url(&self) -> DatabaseUrl {
        let in_folder = || DatabaseUrl::sqlite(&self.data_dir.join("area.db"));
        self.database_url.clone().unwrap_or_else(in_folder)
    }

    /// The embedded database's file; `None` on PostgreSQL.
    pub fn database_file(&self) -> Option<PathBuf> {
        self.database_url().file()
    }

    /// The folder whose lock makes the one node of an embedded database; `None` on PostgreSQL.
    pub fn lock_folder(&self) -> Option<PathBuf> {
        let parent = |file: PathBuf| file.parent().filter(|p| !p.as_os_str().is_empty()).map(Path::to_owned);
        self.database_file().map(|file| parent(file).unwrap_or_else(|| PathBuf::from(".")))
    }

    /// The limits as the engine takes them.
    pub fn engine_limits(&self) -> engine::limits::Limits {
        limits::engine(&self.limits, &self.retention)
    }

    /// The key ring's file; by default in the data folder.
    pub fn keys_file(&self) -> PathBuf {
        self.keys_file.clone().unwrap_or_else(|| self.data_dir.join("keys.json"))
    }

    /// Whether the key ring is kept in its file: what a start may make and a rotation replaces.
    pub fn keys_are_in_a_file(&self) -> bool {
        self.keys.is_none() && self.keys_command.is_empty()
    }

    /// Who issues tokens, checked.
    ///
    /// # Errors
    /// Names the key and what would be right.
    pub fn providers(&self) -> Result<Vec<Provider>, SettingsError> {
        providers::engine(&self.providers)
    }

    /// How others reach the API.
    pub fn public_url(&self) -> Url {
        self.public_url.clone().unwrap_or_else(|| values::url_of(self.listen))
    }

    /// The same, on the address that was really taken: `listen` may ask for any free port by port 0.
    #[must_use]
    pub fn listening_on(mut self, taken: SocketAddr) -> Self {
        let was = values::url_of(self.listen);
        if self.public_url.as_ref() == Some(&was) {
            self.public_url = Some(values::url_of(taken));
        }
        if self.node.url == was.as_str() {
            self.node.url = values::url_of(taken).to_string();
        }
        self.listen = taken;
        self
    }

    /// Puts in what follows from other keys, and checks what types cannot say.
    fn finish(mut self) -> Result<Self, SettingsError> {
        self.database_url = Some(self.database_url());
        self.public_url = Some(self.public_url());
        self.keys_file = Some(self.keys_file());
        self.keys = self.keys.filter(|text| !text.expose().trim().is_empty());
        self.node.finish(self.listen);
        self.check()?;
        Ok(self)
    }

    fn check(&self) -> Result<(), SettingsError> {
        let wrong = |key: &str, why: &str| Err(SettingsError(format!("{key}: {why}")));
        if !matches!(self.public_url().scheme(), "http" | "https") || self.public_url().cannot_be_a_base() {
            return wrong("public_url", "must be a URL like https://area.example.org");
        }
        if self.database.connections == 0 {
            return wrong("database.connections", "must be 1 or more");
        }
        if self.keys.is_some() && !self.keys_command.is_empty() {
            return wrong("keys_command", "is set beside `keys`: the keys come from one of them");
        }
        self.vault.check().or_else(|why| wrong("vault", &why))?;
        self.providers()?;
        self.node.check().or_else(|why| wrong("node", &why))?;
        limits::check(&self.limits, &self.retention).map_err(SettingsError)?;
        people::check(&self.people, &self.passwords, &self.sessions, &self.mail).map_err(SettingsError)?;
        self.net.check().or_else(|why| wrong("net", &why))
    }
}

#[cfg(test)]
mod tests;
