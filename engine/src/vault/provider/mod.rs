//! Who issues tokens, as data: where its pages and endpoints are, how it wants to be asked, and how its tokens live. `config` is the
//! table as it is written; here it is checked, so that whoever holds a [`Provider`] need not look again. Nothing in the engine
//! knows a provider by name.

mod config;

use std::collections::BTreeMap;
use std::net::IpAddr;

use url::Url;

use crate::clock::Micros;
use crate::secret::Secret;
use crate::usage::Allowance;

pub use config::{Body, ClientAuth, Kind, ProviderConfig, Redirect, Revoke, Words};

/// Scopes that every OpenID provider names alike: no prefix goes before them.
const OPENID_SCOPES: [&str; 6] = ["openid", "email", "profile", "address", "phone", "offline_access"];
/// Bytes of a provider's name.
const NAME_BYTES: usize = 40;

/// A provider, checked.
#[derive(Clone, Debug)]
pub struct Provider {
    /// As rows and specs name it: `google`.
    pub name: String,
    /// For people: `Google`.
    pub title: String,
    /// Whether a round trip against a real server of its kind is in the tests.
    pub verified: bool,
    /// What is said of every kind: base URLs by the name of an API.
    pub apis: BTreeMap<String, Url>,
    /// What one account may spend, by the name of an API.
    pub account_quota: BTreeMap<String, Allowance>,
    /// What all accounts together may spend.
    pub app_quota: BTreeMap<String, Allowance>,
    /// Scopes that hold others, both as the provider writes them.
    pub wider: Vec<(String, Vec<String>)>,
    /// `None`: its accounts are keys that their users paste.
    pub oauth: Option<OAuth>,
}

/// How a provider speaks OAuth 2.
#[derive(Clone, Debug)]
pub struct OAuth {
    /// Where its user is sent.
    pub authorize_url: Url,
    /// Where codes and refresh tokens are exchanged.
    pub token_url: Url,
    /// Who the account is; `None`: the token endpoint's own answer says it.
    pub userinfo_url: Option<Url>,
    /// Where a token is revoked, and how.
    pub revoke: Option<(Url, Revoke)>,
    /// The `iss` of its id tokens and callbacks.
    pub issuer: Option<String>,
    /// The keys of its id tokens.
    pub jwks_url: Option<Url>,
    /// JSON pointers of what makes up the account's id.
    pub id: Vec<String>,
    /// JSON pointers of what names the account to people: the first that is there.
    pub who: Vec<String>,
    /// Scopes that are always asked for.
    pub scopes: Vec<String>,
    /// Between scopes.
    pub scope_separator: String,
    /// Before a scope that is no URL.
    pub scope_prefix: String,
    /// How the client proves itself.
    pub auth: ClientAuth,
    /// How a request to the token endpoint is written.
    pub body: Body,
    /// Whether a code is bound to a verifier.
    pub pkce: bool,
    /// More parameters of the authorize page.
    pub params: BTreeMap<String, String>,
    /// What is asked for where somebody merely signs in.
    pub sign_in_scopes: Vec<String>,
    /// More parameters of the authorize page then.
    pub sign_in_params: BTreeMap<String, String>,
    /// Which redirect addresses it takes.
    pub redirect: Redirect,
    /// How its tokens live.
    pub habits: Habits,
    /// This installation at the provider; `None`: not set up.
    pub client: Option<Client>,
}

/// How a provider's tokens live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Habits {
    /// A refresh token is good once: the answer brings the next.
    pub rotates: bool,
    /// For how long a token that is handed out is good at least.
    pub margin: Micros,
    /// How long an access token lives where the answer does not say; `None`: for ever.
    pub lifetime: Option<Micros>,
    /// How long after it was linked an account ends, whatever is refreshed.
    pub ends_after: Option<Micros>,
    /// Its own words for `invalid_grant`.
    pub dead: Vec<String>,
}

/// This installation, as a provider knows it.
#[derive(Clone, Debug)]
pub struct Client {
    /// Public.
    pub id: String,
    /// `None` for a public client.
    pub secret: Option<Secret>,
}

impl Provider {
    /// Checks a table.
    ///
    /// # Errors
    /// One sentence that begins with the key.
    pub fn new(name: &str, config: &ProviderConfig) -> Result<Self, String> {
        let read = Read { name, config };
        let fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if name.is_empty() || name.len() > NAME_BYTES || !name.chars().all(fit) {
            return Err(format!("providers.{name}: a provider's name is 1 to {NAME_BYTES} of a-z, 0-9, `-` and `_`"));
        }
        let apis = config.apis.iter().map(|(api, url)| Ok((api.clone(), read.url_at(&format!("apis.{api}"), url)?)));
        let oauth = match config.kind {
            Kind::Oauth => Some(read.oauth()?),
            Kind::Key => None,
        };
        Ok(Self {
            wider: read.wider(oauth.as_ref())?,
            account_quota: config.account_quota.clone(),
            app_quota: config.app_quota.clone(),
            name: name.to_owned(),
            title: if config.title.is_empty() { name.to_owned() } else { config.title.clone() },
            verified: config.verified,
            apis: apis.collect::<Result<_, String>>()?,
            oauth,
        })
    }

    /// Which of `wanted` (in short) are not among what was `granted` (as the provider writes them), nor in a wider one that was:
    /// as the provider writes them.
    pub fn missing(&self, wanted: &[&str], granted: &str) -> Vec<String> {
        let granted: Vec<&str> = granted.split([' ', ',']).filter(|scope| !scope.is_empty()).collect();
        let has = |scope: &String| {
            let wide = self.wider.iter().filter(|(_, narrow)| narrow.contains(scope)).map(|(wide, _)| wide.as_str());
            wide.chain([scope.as_str()]).any(|fits| granted.contains(&fits))
        };
        let whole = |scope: &&str| self.oauth.as_ref().map_or_else(|| (*scope).to_owned(), |oauth| oauth.scope(scope));
        wanted.iter().map(whole).filter(|scope| !has(scope)).collect()
    }

    /// Its OAuth and this installation's client, if it has been set up.
    pub fn client(&self) -> Option<(&OAuth, &Client)> {
        let oauth = self.oauth.as_ref()?;
        Some((oauth, oauth.client.as_ref()?))
    }

    /// The same, if people can sign in with it too: who somebody is must be signed by a key that only the provider has.
    pub fn signs_in(&self) -> Option<(&OAuth, &Client)> {
        self.client().filter(|(oauth, _)| oauth.issuer.is_some() && oauth.jwks_url.is_some())
    }
}

impl OAuth {
    /// A scope as this provider writes it.
    pub fn scope(&self, scope: &str) -> String {
        match scope.contains("://") || OPENID_SCOPES.contains(&scope) {
            true => scope.to_owned(),
            false => format!("{}{scope}", self.scope_prefix),
        }
    }

    /// Whether the provider takes this redirect address; else what it wants.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn takes_redirect(&self, to: &Url) -> Result<(), String> {
        let host = to.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let literal = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let (fits, wants) = match self.redirect {
            Redirect::Any => (true, ""),
            _ if to.scheme() == "https" => (true, ""),
            Redirect::Https => (false, "https"),
            Redirect::Loopback => (literal || host == "localhost", "https, or http on this machine"),
            Redirect::LoopbackLiteral => (literal, "https, or http://127.0.0.1 or http://[::1] by number"),
        };
        if fits { Ok(()) } else { Err(format!("it takes no redirect to {to}: set public_url to {wants}")) }
    }
}

struct Read<'a> {
    name: &'a str,
    config: &'a ProviderConfig,
}

impl Read<'_> {
    fn oauth(&self) -> Result<OAuth, String> {
        let config = self.config;
        let revoke_url = self.url("revoke_url", config.revoke_url.as_ref())?;
        Ok(OAuth {
            authorize_url: self.needed("authorize_url", config.authorize_url.as_ref())?,
            token_url: self.needed("token_url", config.token_url.as_ref())?,
            userinfo_url: self.url("userinfo_url", config.userinfo_url.as_ref())?,
            revoke: revoke_url.map(|url| (url, config.revoke)),
            issuer: config.issuer.clone(),
            jwks_url: self.url("jwks_url", config.jwks_url.as_ref())?,
            id: self.pointers("id", &config.id)?,
            who: self.pointers("who", &config.who)?,
            scopes: config.scopes.0.clone(),
            scope_separator: config.scope_separator.clone(),
            scope_prefix: config.scope_prefix.clone(),
            auth: config.auth,
            body: config.body,
            pkce: config.pkce,
            params: config.params.clone(),
            sign_in_scopes: config.sign_in_scopes.0.clone(),
            sign_in_params: config.sign_in_params.clone(),
            redirect: config.redirect,
            habits: Habits {
                rotates: config.rotates,
                margin: config.margin.micros(),
                lifetime: config.lifetime.map(|span| span.micros()),
                ends_after: config.ends_after.map(|span| span.micros()),
                dead: config.dead.0.clone(),
            },
            client: self.client()?,
        })
    }

    fn client(&self) -> Result<Option<Client>, String> {
        let (config, set) = (self.config, |text: &&String| !text.trim().is_empty());
        let secret = config.client_secret.clone().filter(|secret| !secret.expose().trim().is_empty());
        match config.client_id.as_ref().filter(set) {
            None if secret.is_some() => Err(self.wrong("client_id", "is missing: there is a client_secret")),
            None => Ok(None),
            Some(_) if secret.is_none() && config.auth != ClientAuth::None => {
                Err(self.wrong("client_secret", "is missing: there is a client_id"))
            }
            Some(id) => Ok(Some(Client { id: id.trim().to_owned(), secret })),
        }
    }

    fn wider(&self, oauth: Option<&OAuth>) -> Result<Vec<(String, Vec<String>)>, String> {
        let whole = |scope: &str| oauth.map_or_else(|| scope.to_owned(), |oauth| oauth.scope(scope));
        let read = |word: &String| {
            let (wide, narrow) =
                word.split_once('>').filter(|(wide, narrow)| !wide.is_empty() && !narrow.is_empty())?;
            Some((whole(wide), narrow.split(',').map(whole).collect()))
        };
        let wrong = || self.wrong("wider", "must be words like mail.write>mail.read,mail.labels");
        self.config.wider.0.iter().map(|word| read(word).ok_or_else(wrong)).collect()
    }

    fn needed(&self, key: &str, text: Option<&String>) -> Result<Url, String> {
        self.url(key, text)?.ok_or_else(|| self.wrong(key, "is missing"))
    }

    fn url(&self, key: &str, text: Option<&String>) -> Result<Option<Url>, String> {
        text.filter(|text| !text.is_empty()).map(|text| self.url_at(key, text)).transpose()
    }

    fn url_at(&self, key: &str, text: &str) -> Result<Url, String> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        url.ok_or_else(|| self.wrong(key, "must be a URL like https://provider.example/oauth/token"))
    }

    fn pointers(&self, key: &str, words: &Words) -> Result<Vec<String>, String> {
        match words.0.iter().all(|word| word.starts_with('/')) && !words.0.is_empty() {
            true => Ok(words.0.clone()),
            false => Err(self.wrong(key, "must be JSON pointers like /sub")),
        }
    }

    fn wrong(&self, key: &str, why: &str) -> String {
        format!("providers.{}.{key}: {why}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ProviderConfig {
        ProviderConfig {
            authorize_url: Some("https://a.example/authorize".to_owned()),
            token_url: Some("https://a.example/token".to_owned()),
            ..ProviderConfig::default()
        }
    }

    fn check(change: impl Fn(&mut ProviderConfig), want: Result<(), &str>) {
        let mut config = config();
        change(&mut config);
        let got = Provider::new("acme", &config).map(drop);
        assert_eq!(got, want.map_err(str::to_owned));
    }

    #[test]
    fn a_wrong_table_is_told_by_the_key_and_what_is_right() {
        let url = "must be a URL like https://provider.example/oauth/token";
        check(|_| {}, Ok(()));
        check(|c| c.token_url = None, Err("providers.acme.token_url: is missing"));
        check(|c| c.token_url = Some("nothing".into()), Err(&format!("providers.acme.token_url: {url}")));
        check(|c| c.jwks_url = Some("file:///etc".into()), Err(&format!("providers.acme.jwks_url: {url}")));
        check(|c| drop(c.apis.insert("mail".into(), "x".into())), Err(&format!("providers.acme.apis.mail: {url}")));
        check(|c| c.id = Words(vec!["sub".into()]), Err("providers.acme.id: must be JSON pointers like /sub"));
        let no_secret = "providers.acme.client_secret: is missing: there is a client_id";
        check(|c| c.client_id = Some("x".into()), Err(no_secret));
        check(|c| (c.client_id, c.auth) = (Some("x".into()), ClientAuth::None), Ok(()));
        let no_id = "providers.acme.client_id: is missing: there is a client_secret";
        check(|c| c.client_secret = Some(Secret::new("x")), Err(no_id));
        check(|c| (c.client_id, c.client_secret) = (Some("".into()), Some(Secret::new(" "))), Ok(()));
        check(|c| (c.kind, c.token_url) = (Kind::Key, None), Ok(()));
        let wider = "providers.acme.wider: must be words like mail.write>mail.read,mail.labels";
        for (word, fine) in [("a>b", true), ("a>b,c", true), ("a", false), (">b", false), ("a>", false)] {
            check(|c| c.wider = Words(vec![word.to_owned()]), if fine { Ok(()) } else { Err(wider) });
        }
        assert!(Provider::new("A b", &config()).unwrap_err().contains("a-z"));
    }

    #[test]
    fn a_redirect_that_the_provider_would_refuse_is_refused_here() {
        let check = |rule: Redirect, url: &str, fine: bool| {
            let config = ProviderConfig { redirect: rule, ..config() };
            let provider = Provider::new("acme", &config).unwrap();
            let got = provider.oauth.unwrap().takes_redirect(&Url::parse(url).unwrap());
            assert_eq!(got.is_ok(), fine, "{rule:?} {url} {got:?}");
        };
        for (url, any, https, loopback, literal) in [
            ("https://area.example/cb", true, true, true, true),
            ("http://area.example/cb", true, false, false, false),
            ("http://localhost:8080/cb", true, false, true, false),
            ("http://127.0.0.1:8080/cb", true, false, true, true),
            ("http://[::1]:8080/cb", true, false, true, true),
        ] {
            check(Redirect::Any, url, any);
            check(Redirect::Https, url, https);
            check(Redirect::Loopback, url, loopback);
            check(Redirect::LoopbackLiteral, url, literal);
        }
    }

    #[test]
    fn a_scope_gets_its_prefix_unless_it_is_whole() {
        let config = ProviderConfig { scope_prefix: "https://a.example/auth/".to_owned(), ..config() };
        let oauth = Provider::new("acme", &config).unwrap().oauth.unwrap();
        assert_eq!(oauth.scope("mail.send"), "https://a.example/auth/mail.send");
        for whole in ["openid", "email", "https://mail.example/"] {
            assert_eq!(oauth.scope(whole), whole);
        }
    }

    #[test]
    fn what_was_granted_in_a_wider_scope_is_not_missing() {
        let words =
            ["https://mail.example/>mail.read,mail.send", "mail.write>mail.read,mail.labels", "mail.read>mail.head"];
        let wider = Words(words.map(str::to_owned).to_vec());
        let config = ProviderConfig { scope_prefix: "https://a.example/".to_owned(), wider, ..config() };
        let provider = Provider::new("acme", &config).unwrap();
        let check = |wanted: &str, granted: &str, missing: &str| {
            let wanted: Vec<&str> = wanted.split_whitespace().collect();
            assert_eq!(provider.missing(&wanted, granted).join(" "), missing, "{wanted:?} of {granted:?}");
        };
        let [read, write, labels] =
            ["mail.read", "mail.write", "mail.labels"].map(|scope| format!("https://a.example/{scope}"));
        check("", "", "");
        check("mail.read", "", &read);
        check("mail.read", &read, "");
        check("https://a.example/mail.read", &read, "");
        check("mail.read", "mail.read", &read);
        check("mail.read openid", &format!("{read} openid"), "");
        check("mail.read mail.labels", &write, "");
        check("mail.read", "https://mail.example/", "");
        check("mail.labels", "https://mail.example/", &labels);
        check("mail.write", &format!("{read} {labels}"), &write);
        // Each provider separates what it granted in its own way.
        check("mail.labels mail.write mail.read", &format!("openid,{read},,email"), &format!("{labels} {write}"));
        // A wide scope is written out with all that it holds: nothing follows through another.
        check("mail.head", &write, "https://a.example/mail.head");
        check("mail.head", &read, "");
        check("mail.read", &format!("{read}only"), &read);
    }

    #[test]
    fn a_provider_without_oauth_has_its_scopes_as_they_are() {
        let config = ProviderConfig { kind: Kind::Key, wider: Words(vec!["all>some".to_owned()]), ..config() };
        let provider = Provider::new("acme", &config).unwrap();
        assert_eq!(provider.missing(&["some", "other"], "all"), ["other"]);
    }
}
