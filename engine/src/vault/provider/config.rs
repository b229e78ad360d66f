//! A provider as it is written: the tables `[providers.NAME]` of `config/providers.toml`, under what the operator sets.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::duration::Span;
use crate::secret::Secret;
use crate::usage::Allowance;

/// How long a token that is handed out is good for, at least, unless the provider's table says otherwise.
const MARGIN: Span = Span::from_secs(60);

/// One table. What each key means stands in `config/providers.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "config/providers.toml documents each key, and a test holds it to that")]
pub struct ProviderConfig {
    pub title: String,
    pub kind: Kind,
    pub verified: bool,
    pub authorize_url: Option<String>,
    pub token_url: Option<String>,
    pub userinfo_url: Option<String>,
    pub revoke_url: Option<String>,
    pub revoke: Revoke,
    pub issuer: Option<String>,
    pub jwks_url: Option<String>,
    pub id: Words,
    pub who: Words,
    pub scopes: Words,
    pub scope_separator: String,
    pub scope_prefix: String,
    pub auth: ClientAuth,
    pub body: Body,
    pub pkce: bool,
    pub params: BTreeMap<String, String>,
    pub sign_in_scopes: Words,
    pub sign_in_params: BTreeMap<String, String>,
    pub redirect: Redirect,
    pub rotates: bool,
    pub margin: Span,
    pub lifetime: Option<Span>,
    pub ends_after: Option<Span>,
    pub dead: Words,
    pub apis: BTreeMap<String, String>,
    pub account_quota: BTreeMap<String, Allowance>,
    pub app_quota: BTreeMap<String, Allowance>,
    pub wider: Words,
    pub client_id: Option<String>,
    #[serde(serialize_with = "redacted")]
    pub client_secret: Option<Secret>,
    pub client_secret_file: Option<PathBuf>,
}

impl Default for ProviderConfig {
    fn default() -> Self {
        Self {
            title: String::new(),
            kind: Kind::Oauth,
            verified: false,
            authorize_url: None,
            token_url: None,
            userinfo_url: None,
            revoke_url: None,
            revoke: Revoke::Form,
            issuer: None,
            jwks_url: None,
            id: Words(vec!["/sub".to_owned()]),
            who: Words(vec!["/email".to_owned(), "/name".to_owned()]),
            scopes: Words::default(),
            scope_separator: " ".to_owned(),
            scope_prefix: String::new(),
            auth: ClientAuth::Basic,
            body: Body::Form,
            pkce: true,
            params: BTreeMap::new(),
            sign_in_scopes: Words(["openid", "email", "profile"].map(str::to_owned).to_vec()),
            sign_in_params: BTreeMap::new(),
            redirect: Redirect::Loopback,
            rotates: false,
            margin: MARGIN,
            lifetime: None,
            ends_after: None,
            dead: Words::default(),
            apis: BTreeMap::new(),
            account_quota: BTreeMap::new(),
            app_quota: BTreeMap::new(),
            wider: Words::default(),
            client_id: None,
            client_secret: None,
            client_secret_file: None,
        }
    }
}

fn redacted<S: Serializer>(secret: &Option<Secret>, s: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(|_| "[REDACTED]").serialize(s)
}

/// A choice among words; a wrong one is told which there are.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub enum $name {
            $($(#[$word_doc])* #[serde(rename = $text)] $word,)+
        }

        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                match text.as_str() {
                    $($text => Ok(Self::$word),)+
                    _ => Err(format!("must be {}", [$(concat!("`", $text, "`")),+].join(" or "))),
                }
            }
        }
    };
}

choice!(
    /// What an account of it holds.
    Kind {
        /// Tokens, by OAuth 2.
        Oauth = "oauth",
        /// A key that its user pastes.
        Key = "key",
    }
);
choice!(
    /// How the client proves itself at the token endpoint.
    ClientAuth {
        /// `Authorization: Basic`.
        Basic = "basic",
        /// Id and secret in the body.
        Post = "post",
        /// No secret: the id in the body.
        None = "none",
    }
);
choice!(
    /// How a request to the token endpoint is written.
    Body {
        /// As the standard says.
        Form = "form",
        /// As a JSON object.
        Json = "json",
    }
);
choice!(
    /// How a token is revoked.
    Revoke {
        /// RFC 7009: the token in a form, the client proves itself.
        Form = "form",
        /// An empty POST with the token as bearer.
        Bearer = "bearer",
    }
);
choice!(
    /// Which redirect addresses it takes.
    Redirect {
        /// Any.
        Any = "any",
        /// https alone.
        Https = "https",
        /// https, or http on this machine.
        Loopback = "loopback",
        /// https, or http on `127.0.0.1` or `[::1]` by number: `localhost` is refused.
        LoopbackLiteral = "loopback_literal",
    }
);

/// Words: in the file a list, in the environment separated by spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Words(pub Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ReadWords)
    }
}

struct ReadWords;

impl<'de> Visitor<'de> for ReadWords {
    type Value = Words;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of words")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Words, E> {
        Ok(Words(text.split_whitespace().map(str::to_owned).collect()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Words, A::Error> {
        let mut all = Vec::new();
        while let Some(word) = seq.next_element()? {
            all.push(word);
        }
        Ok(Words(all))
    }
}
