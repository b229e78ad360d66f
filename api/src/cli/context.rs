//! What every command shares: the flags that are settings, the settings themselves, the database.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use engine::area::Desk;
use engine::clock::Clock;
use engine::ids::IdGen;
use engine::lease;
use engine::net::Http;
use engine::secret::Secret;
use engine::store::{Db, meta, migrate};
use engine::vault::{self, KeyRing, Vault};
use tokio::process::Command;

use super::{Code, Failure};
use crate::settings::{Settings, Sources, load};

/// The row of `meta` that knows which keys the database is sealed with.
pub const KEYS: &str = "keys";
/// What the rows of `meta` begin with that name the keys which something is sealed with.
pub const KEY: &str = "key:";
/// How to mend a key ring that is not the database's.
pub const OTHER_KEYS: &str = "put back the copy of the keys (keys_file), or give this node the others' (AREA_KEYS)";

/// What tells one ring from another, through all rotations, and gives nothing of it away.
pub fn fingerprint(ring: &KeyRing) -> String {
    hex::encode(ring.identity_hash(&[b"which keys"]))
}

/// How long the command that prints the keys may take: a secret store over the network, and somebody's touch.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// Says which of the `used` keys the ring has lost.
pub fn lost(ring: &KeyRing, used: &[String]) -> Option<String> {
    let held = ring.ids();
    let lost: Vec<&str> = used.iter().filter(|id| !held.contains(id)).map(String::as_str).collect();
    let lost = (!lost.is_empty()).then(|| lost.join(", "))?;
    Some(format!("the keys lack {lost}, and what that sealed does not open: {OTHER_KEYS}"))
}

/// The numbers under which commands make ids: daemons count theirs from 1 upwards.
const COMMANDS: std::ops::Range<i64> = 768..1024;

/// Flags of every command: they are settings too.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub struct Global {
    /// The settings' file; without it config/area.toml, if there is one
    #[arg(long, global = true, value_name = "FILE", env = "AREA_CONFIG")]
    config: Option<PathBuf>,
    /// Where the API and the page listen, as in 127.0.0.1:8080
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<String>,
    /// sqlite:PATH or postgres://user:password@host/database
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// Where the embedded database and the keys are
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// How others reach the API: hook URLs begin with it
    #[arg(long, global = true, value_name = "URL")]
    public_url: Option<String>,
    /// Any other setting, as in --set net.timeout=5s; may be repeated
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it must be KEY=VALUE, as in net.timeout=5s")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Global {
    fn flags(&self) -> Vec<(String, String)> {
        let named = [
            ("listen", &self.listen),
            ("database_url", &self.database_url),
            ("data_dir", &self.data_dir),
            ("public_url", &self.public_url),
        ];
        let named = named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)));
        self.set.iter().cloned().chain(named).collect()
    }
}

/// The settings, and what is made of them.
#[derive(Clone, Debug)]
pub struct Context {
    /// Merged and checked.
    pub settings: Settings,
    /// The machine's.
    pub clock: Clock,
}

impl Context {
    /// Reads the settings from file, environment and flags.
    pub fn new(global: &Global) -> Result<Self, Failure> {
        let text =
            |(k, v): (std::ffi::OsString, std::ffi::OsString)| Some((k.into_string().ok()?, v.into_string().ok()?));
        let env = std::env::vars_os().filter_map(text).collect();
        let sources = Sources { file: global.config.clone(), env, flags: global.flags() };
        Ok(Self { settings: load(&sources)?, clock: Clock::system() })
    }

    /// Opens the database and brings it to this program's version; an embedded one is made where there is none.
    pub async fn db(&self) -> Result<Db, Failure> {
        let db = self.db_as_it_is().await?;
        migrate::migrate(&db).await?;
        Ok(db)
    }

    /// Opens the database without migrating it.
    pub async fn db_as_it_is(&self) -> Result<Db, Failure> {
        let url = self.settings.database_url();
        Db::open(&self.settings.db()).await.map_err(|e| {
            let Failure { code, message } = e.into();
            Failure::new(code, format!("cannot open the database {url}: {message}"))
        })
    }

    /// Where AREAs are written. The numbers of its ids are none of a node's.
    pub async fn desk(&self, db: &Db) -> Result<Desk, Failure> {
        let floor = lease::id_floor(db).await?;
        let ids = IdGen::new(self.clock.clone(), rand::random_range(COMMANDS), floor);
        let http = Http::new(self.settings.net.config()).map_err(Failure::failed)?;
        let providers = self.settings.providers()?.into();
        let (db, ring, clock) = (db.clone(), self.ring(db).await?, self.clock.clone());
        Ok(Desk { db, services: connectors::all(), ring, http, providers, clock, ids: Arc::new(ids) })
    }

    /// What reads the tokens of accounts, and refreshes none: that is a daemon's.
    pub fn vault(&self, desk: &Desk) -> Result<Vault, Failure> {
        Ok(Vault::new(vault::Parts {
            db: desk.db.clone(),
            ring: desk.ring.clone(),
            http: desk.http.clone(),
            clock: desk.clock.clone(),
            providers: self.settings.providers()?,
            config: self.settings.vault.config(),
            leases: None,
        }))
    }

    /// The ring of keys that seal this database's secrets: from `keys` or `keys_command`, else from its file, which is made for a
    /// database that never had one. Another ring than the one that the database knows is refused: what is sealed would not open,
    /// and sources would not be found again.
    pub async fn ring(&self, db: &Db) -> Result<KeyRing, Failure> {
        let (known, file) = (meta::get(db, KEYS).await?, self.settings.keys_file());
        if known.is_some() && self.settings.keys_are_in_a_file() && !file.exists() {
            return Err(Failure::new(Code::Usage, format!("{} is missing: {OTHER_KEYS}", file.display())));
        }
        let ring = self.ring_as_it_is().await?;
        let mark = fingerprint(&ring);
        if !meta::claim(db, KEYS, &mark).await? && meta::get(db, KEYS).await?.as_ref() != Some(&mark) {
            return Err(Failure::new(Code::Usage, format!("these are other keys than the database's: {OTHER_KEYS}")));
        }
        if let Some(why) = lost(&ring, &meta::named(db, KEY).await?) {
            return Err(Failure::new(Code::Usage, why));
        }
        meta::claim(db, &format!("{KEY}{}", ring.active()), "").await?;
        Ok(ring)
    }

    /// The ring of keys, whatever the database says; made where there is none.
    pub async fn ring_as_it_is(&self) -> Result<KeyRing, Failure> {
        let ring = match (&self.settings.keys, self.settings.keys_command.as_str()) {
            (Some(text), _) => KeyRing::parse(text.expose()),
            (None, command) if !command.is_empty() => KeyRing::parse(printed_by(command).await?.expose()),
            _ => {
                let file = self.settings.keys_file();
                let folder = file.parent().unwrap_or(std::path::Path::new("."));
                std::fs::create_dir_all(folder).map_err(|e| Failure::file(folder, &e))?;
                KeyRing::load_or_create(&file)
            }
        };
        ring.map_err(|e| Failure::new(Code::Usage, e.to_string()))
    }

    /// The embedded database's file, for commands that only it has.
    pub fn embedded_file(&self, what_else: &str) -> Result<PathBuf, Failure> {
        self.settings.database_file().ok_or_else(|| Failure::new(Code::Usage, what_else))
    }
}

/// What the operator's command prints: the ring of keys. What it says to people goes to the terminal.
async fn printed_by(command: &str) -> Result<Secret, Failure> {
    let failed = |why: String| Failure::new(Code::Usage, format!("keys_command `{command}` {why}"));
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let ran = shell.spawn().map_err(|e| failed(format!("cannot be run: {e}")))?.wait_with_output();
    let ran = tokio::time::timeout(COMMAND_TIMEOUT, ran).await;
    let ran = ran.map_err(|_| failed(format!("did not end in {} seconds", COMMAND_TIMEOUT.as_secs())))?;
    let ran = ran.map_err(|e| failed(e.to_string()))?;
    if !ran.status.success() {
        return Err(failed(format!("failed ({}); it must print the keys", ran.status)));
    }
    String::from_utf8(ran.stdout).map(Secret::new).map_err(|_| failed("printed what is no text".to_owned()))
}
