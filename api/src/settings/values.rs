//! Values that hide a secret or explain themselves when they are wrong.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

/// A database URL. `Debug` and `Display` hide the password.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL of an embedded database in `file`.
    pub fn sqlite(file: &Path) -> Self {
        Self(format!("sqlite:{}", file.display()))
    }

    /// The URL with its password, for the one place that connects.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The embedded database's file; `None` on PostgreSQL.
    pub fn file(&self) -> Option<PathBuf> {
        let path = self.0.strip_prefix("sqlite:")?.trim_start_matches("//");
        Some(PathBuf::from(path.split('?').next().unwrap_or(path)))
    }
}

impl std::str::FromStr for DatabaseUrl {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let right = "it must begin with `sqlite:` or `postgres://`, as in sqlite:data/area.db";
        let url = Self(text.to_owned());
        match (text.split_once(':'), url.file()) {
            (Some(("sqlite", _)), Some(file)) if !file.as_os_str().is_empty() => Ok(url),
            (Some(("postgres" | "postgresql", _)), _) if Url::parse(text).is_ok() => Ok(url),
            _ => Err(right.to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(mut url) = Url::parse(&self.0).ok().filter(|_| self.file().is_none()) else {
            return f.write_str(&self.0);
        };
        if url.query_pairs().any(|(name, _)| name == "password") {
            url.set_query(None);
        }
        if url.password().is_some() && url.set_password(Some("***")).is_err() {
            return f.write_str(url.scheme());
        }
        url.fmt(f)
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// A secret text. `Debug` hides it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    /// The text, for the one place that reads it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[REDACTED]")
    }
}

/// Networks: in the file a list, in the environment separated by commas; single addresses are networks of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Networks(pub Vec<IpNet>);

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let read = ReadList {
            expected: "a list of networks like 10.1.0.0/16",
            read: |text| engine::net::parse_allow(text).map_err(|e| e.to_string()),
        };
        d.deserialize_any(read).map(Self)
    }
}

/// Origins of the web: in the file a list, in the environment separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Origins(pub Vec<Url>);

impl<'de> Deserialize<'de> for Origins {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let read = ReadList { expected: "a list of origins like https://app.example.org", read: origins };
        d.deserialize_any(read).map(Self)
    }
}

/// Reads a list, or the text of one.
struct ReadList<T> {
    expected: &'static str,
    read: fn(&str) -> Result<Vec<T>, String>,
}

impl<'de, T> Visitor<'de> for ReadList<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<T>, E> {
        (self.read)(text).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(text) = seq.next_element::<String>()? {
            all.extend((self.read)(&text).map_err(de::Error::custom)?);
        }
        Ok(all)
    }
}

fn origins(text: &str) -> Result<Vec<Url>, String> {
    text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(origin).collect()
}

fn origin(text: &str) -> Result<Url, String> {
    let is_origin = |url: &Url| {
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        matches!(url.scheme(), "http" | "https") && bare && url.username().is_empty() && url.password().is_none()
    };
    let url = Url::parse(text).ok().filter(is_origin);
    url.ok_or_else(|| format!("`{text}` must be an origin like https://app.example.org"))
}

/// Where a server that listens there is reached from this machine.
pub(super) fn url_of(listen: SocketAddr) -> Url {
    let host = if listen.ip().is_unspecified() { format!("localhost:{}", listen.port()) } else { listen.to_string() };
    Url::parse(&format!("http://{host}")).expect("an address and a port make a URL")
}
