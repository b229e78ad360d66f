//! The tables of the file. Defaults are the engine's own constants, so that there is one place for each number.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use engine::duration::Span;
use engine::net::NetConfig;
use engine::vault::VaultConfig;
use engine::{lease, store};
use serde::{Deserialize, Serialize};

use super::values::{Networks, Origins, url_of};

/// `[database]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Database {
    /// Connections to PostgreSQL.
    pub connections: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self { connections: store::db::POSTGRES_CONNECTIONS }
    }
}

/// `[node]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// The same after a restart, unlike every other node's. Empty: made of the host's name and the port.
    pub name: String,
    /// Where other nodes reach this one. Empty: made of `listen`.
    pub url: String,
    /// How long a node that is not heard of keeps its partitions.
    pub lease: Span,
    /// How long runs in flight may take to finish when the daemon is told to stop.
    pub drain: Span,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: String::new(),
            lease: Span::from_secs(lease::LEASE.as_secs()),
            drain: Span::from_secs(20),
        }
    }
}

/// The shortest lease: several heartbeats must fit.
const SHORTEST_LEASE: Span = Span::from_secs(2);

impl Node {
    pub(super) fn finish(&mut self, listen: SocketAddr) {
        if self.name.is_empty() {
            self.name = format!("{}:{}", host_name(), listen.port());
        }
        if self.url.is_empty() {
            self.url = url_of(listen).to_string();
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.lease < SHORTEST_LEASE {
            return Err(format!("lease = {}: must be {SHORTEST_LEASE} or more", self.lease));
        }
        Ok(())
    }
}

fn host_name() -> String {
    let from_system =
        std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let name = from_system.ok().or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    if name.trim().is_empty() { "node".to_owned() } else { name.trim().to_owned() }
}

/// `[net]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Net {
    /// Networks that user-given URLs may reach although they are private.
    pub allow: Networks,
    /// From the first look-up of a name to the end of the TLS handshake.
    pub connect_timeout: Span,
    /// A whole call: every redirect and the last byte of the answer.
    pub timeout: Span,
    /// The largest answer in bytes, counted after decompression.
    pub body_bytes: usize,
    /// Redirects followed in one call.
    pub redirects: usize,
    /// Idle connections kept to one host.
    pub idle_per_host: usize,
    /// How long an idle connection is kept.
    pub idle_for: Span,
    /// Look-ups of names at the same time.
    pub lookups: usize,
    /// Calls a second to one host; 0: no limit.
    pub per_host_per_second: u32,
    /// What servers see as `User-Agent`.
    pub user_agent: String,
}

impl Default for Net {
    fn default() -> Self {
        let (net, span) = (NetConfig::default(), |d: Duration| Span::from_secs(d.as_secs()));
        Self {
            allow: Networks(net.allow),
            connect_timeout: span(net.connect_timeout),
            timeout: span(net.timeout),
            body_bytes: net.max_body_bytes,
            redirects: net.redirects,
            idle_per_host: net.idle_per_host,
            idle_for: span(net.idle_for),
            lookups: net.lookups,
            per_host_per_second: net.per_host_per_second.map_or(0, NonZeroU32::get),
            user_agent: net.user_agent,
        }
    }
}

impl Net {
    /// As the engine's HTTP client takes it.
    pub fn config(&self) -> NetConfig {
        NetConfig {
            allow: self.allow.0.clone(),
            connect_timeout: self.connect_timeout.duration(),
            timeout: self.timeout.duration(),
            max_body_bytes: self.body_bytes,
            redirects: self.redirects,
            idle_per_host: self.idle_per_host,
            idle_for: self.idle_for.duration(),
            lookups: self.lookups,
            per_host_per_second: NonZeroU32::new(self.per_host_per_second),
            user_agent: self.user_agent.clone(),
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let none = [("connect_timeout", self.connect_timeout.is_zero()), ("timeout", self.timeout.is_zero())];
        let zero = [("body_bytes", self.body_bytes == 0), ("lookups", self.lookups == 0)];
        if let Some((key, _)) = none.into_iter().chain(zero).find(|(_, wrong)| *wrong) {
            return Err(format!("{key}: must not be 0"));
        }
        if http::HeaderValue::from_str(&self.user_agent).is_err() {
            return Err("user_agent: must be one line of visible characters".to_owned());
        }
        Ok(())
    }
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    /// For people or for programs.
    pub format: LogFormat,
    /// What is logged, as `tracing` filters are written.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl TryFrom<String> for LogFormat {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("must be `text` or `json`"),
        }
    }
}

/// `[samples]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Samples {
    /// Load the example AREAs into an empty database, once.
    pub load: bool,
}

impl Default for Samples {
    fn default() -> Self {
        Self { load: true }
    }
}

/// `[connect]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Connect {
    /// Origins beside `public_url` to which a browser may be sent back when an account is linked.
    pub return_to: Origins,
}

/// `[vault]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Vault {
    /// Whether tokens are sealed in `next_auth.accounts`.
    pub seal: bool,
    /// Refreshes under way at once on a node, of one provider.
    pub refreshes_at_once: usize,
    /// How long a provider may take to answer a refresh.
    pub refresh_timeout: Span,
}

impl Default for Vault {
    fn default() -> Self {
        let VaultConfig { seal, refreshes_at_once, timeout } = VaultConfig::default();
        Self { seal, refreshes_at_once, refresh_timeout: Span::from_secs(timeout.as_secs()) }
    }
}

impl Vault {
    /// As the engine's vault takes it.
    pub fn config(&self) -> VaultConfig {
        let (seal, refreshes_at_once) = (self.seal, self.refreshes_at_once);
        VaultConfig { seal, refreshes_at_once, timeout: self.refresh_timeout.duration() }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let zero =
            [("refreshes_at_once", self.refreshes_at_once == 0), ("refresh_timeout", self.refresh_timeout.is_zero())];
        match zero.into_iter().find(|(_, wrong)| *wrong) {
            Some((key, _)) => Err(format!("{key}: must not be 0")),
            None => Ok(()),
        }
    }
}
