//! Linking an account: `connect` sends a user to the provider, `callback` takes what they bring back, and where that browser is
//! signed in as nobody, `confirm` waits for who began it. `session` is what is remembered in between, `identity` who the account
//! is, `keep` what becomes of it afterwards. `arrive` is signing in with an account: it goes the same way, and whose the account is
//! others decide. No token leaves here.

mod arrive;
mod identity;
mod keep;
mod session;

pub use arrive::{Arrived, BeginSignIn};
pub use keep::{Parting, Unlinked};

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use url::Url;
use uuid::Uuid;

use super::Vault;
use super::exchange::{Asked, Consent, NoTokens, Tokens};
use super::provider::{Client, OAuth, Provider};
use crate::clock::{Micros, from_micros};
use crate::fault::Fault;
use crate::ids::{AccountId, AreaId, UserId};
use crate::net::printable;
use crate::secret::Secret;
use crate::store::connect::{self, ConnectSession};
use session::{Data, SignIn, Unconfirmed};

/// How long an attempt may take.
pub const LIFETIME: Duration = Duration::from_secs(600);
/// Attempts of one user at once.
pub const OPEN_SESSIONS: i64 = 20;
/// Characters of a provider's own words in a sentence.
const WORDS: usize = 200;
/// How long the provider may take while a user waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a user asks for.
#[derive(Clone, Debug)]
pub struct Begin<'a> {
    /// Who.
    pub user: UserId,
    /// At which provider.
    pub provider: &'a str,
    /// What for, in short or as the provider writes it.
    pub scopes: &'a [String],
    /// The address of our callback.
    pub redirect: Url,
    /// Where they go in the end; checked by the caller.
    pub return_to: Option<String>,
}

/// Where they go.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The session.
    pub id: Uuid,
    /// The provider's page, with everything that it needs.
    pub authorize_url: Url,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// When it is too late.
    pub expires_at: Micros,
}

/// What they bring back.
#[derive(Clone, Debug, Default)]
pub struct Callback<'a> {
    /// The provider whose callback it is.
    pub provider: &'a str,
    /// `state`
    pub state: Option<&'a str>,
    /// `code`
    pub code: Option<&'a str>,
    /// `error`
    pub error: Option<&'a str>,
    /// `error_description`
    pub description: Option<&'a str>,
    /// `iss` (RFC 9207)
    pub iss: Option<&'a str>,
    /// Who is signed in where it came, and may link accounts.
    pub user: Option<UserId>,
    /// Whose session the browser has where it came, whatever they may.
    pub visitor: Option<UserId>,
    /// What that browser was given when it began to sign in.
    pub browser: Option<&'a str>,
}

/// What came of a callback.
#[derive(Clone, Debug)]
pub enum Called {
    /// The account is linked.
    Linked(Linked),
    /// The provider agreed; who began it must confirm, in this browser. The token is for it alone.
    Confirm {
        /// To confirm with.
        token: Secret,
        /// The account's name to people.
        who: Option<String>,
    },
    /// Somebody signs in with an account; whose it is is yet to be decided.
    Arrived(Box<Arrived>),
}

/// Why nothing came of a callback, and what its page must know.
#[derive(Clone, Debug)]
pub struct NotCalled {
    /// Why.
    pub error: ConnectError,
    /// Where the user wanted to go.
    pub return_to: Option<String>,
    /// Whether they wanted to sign in.
    pub sign_in: bool,
}

impl From<ConnectError> for NotCalled {
    fn from(error: ConnectError) -> Self {
        Self { error, return_to: None, sign_in: false }
    }
}

/// An account that was linked just now.
#[derive(Clone, Debug)]
pub struct Linked {
    /// The account.
    pub account: AccountId,
    /// Whose.
    pub user: UserId,
    /// Who issues its tokens.
    pub provider: String,
    /// Its name to people.
    pub who: Option<String>,
    /// What was granted.
    pub scopes: Vec<String>,
    /// What was asked for and not granted.
    pub missing: Vec<String>,
    /// AREAs that had stopped because the account was lost: they may go on.
    pub stopped: Vec<AreaId>,
    /// Where the user goes now.
    pub return_to: Option<String>,
}

/// Why nothing was linked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// There is no such provider.
    #[error("there is no provider `{0}`")]
    NoProvider(String),
    /// Its accounts are not linked this way.
    #[error("accounts of {0} are keys: POST the key to /v1/accounts")]
    IsKeyed(String),
    /// Its accounts are not linked this way.
    #[error("accounts of {0} are no keys: begin with POST /v1/connect/{0}")]
    IsNotKeyed(String),
    /// Nobody signs in with it.
    #[error("nobody signs in with {0} here: the operator sets it up with its client_id, its issuer and its jwks_url")]
    NoSignIn(String),
    /// The operator has not set it up.
    #[error("{0} is not set up here: the operator sets providers.{0}.client_id and client_secret")]
    NotSetUp(String),
    /// The provider does not take our callback.
    #[error("{0}")]
    Redirect(String),
    /// Too many attempts at once.
    #[error("{OPEN_SESSIONS} attempts to link an account are open: finish one, or wait ten minutes")]
    TooMany,
    /// The state is none of ours.
    #[error("this answer belongs to no attempt of ours, or to one that is over: begin again")]
    Unknown,
    /// The callback came too late.
    #[error("this was begun too long ago: begin again")]
    Expired,
    /// The callback came twice.
    #[error("this answer was used before: look whether it worked, else begin again")]
    Used,
    /// Somebody else is signed in here.
    #[error("somebody else began this: sign in as who began it, and begin again")]
    Foreign,
    /// A sign-in that another browser began.
    #[error("this sign-in was not begun in this browser, or its cookies are gone: begin again, here")]
    OtherBrowser,
    /// The answer is another provider's.
    #[error("this answer is not from the provider that was asked: begin again, and report it if it happens again")]
    MixedUp,
    /// The user said no.
    #[error("the provider was told no ({0}): begin again if that was not meant")]
    Denied(String),
    /// The provider said something else than a code.
    #[error("the provider's answer opens nothing: {0}")]
    Refused(String),
    /// The provider cannot be reached.
    #[error("the provider could not be asked: {0}; begin again in a while")]
    Away(String),
    /// The account belongs to another user.
    #[error(
        "this {0} account is linked to another user here: they must unlink it first, or choose another account there"
    )]
    Taken(String),
    /// The database is away.
    #[error("the database did not answer: try again")]
    Database,
    /// Our own mistake.
    #[error("{0}")]
    Internal(String),
}

impl From<sqlx::Error> for ConnectError {
    fn from(error: sqlx::Error) -> Self {
        tracing::warn!(%error, "the database did not answer while an account was linked");
        Self::Database
    }
}

/// What a provider gave, until it is linked. Sealed wherever it lies.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Proof {
    id: String,
    who: Option<String>,
    oidc: bool,
    #[serde(serialize_with = "sealed_next")]
    access: Secret,
    #[serde(serialize_with = "sealed_next_too")]
    refresh: Option<Secret>,
    expires_in: Option<Duration>,
    scopes: Vec<String>,
    #[serde(serialize_with = "sealed_next_too")]
    id_token: Option<Secret>,
    asked_at: Micros,
}

impl Proof {
    fn new(id: String, who: Option<String>, tokens: Tokens, data: &Data, asked_at: Micros) -> Self {
        Self {
            id,
            who,
            oidc: tokens.id_token.is_some(),
            access: tokens.access,
            refresh: tokens.refresh,
            expires_in: tokens.expires_in,
            scopes: tokens.scopes.unwrap_or_else(|| data.scopes.clone()),
            id_token: tokens.id_token,
            asked_at,
        }
    }
}

/// What is begun.
struct Attempt<'a> {
    user: Option<UserId>,
    provider: &'a str,
    redirect: &'a Url,
    return_to: Option<&'a String>,
    scopes: Vec<String>,
    params: &'a BTreeMap<String, String>,
    sign_in: Option<SignIn>,
}

impl Vault {
    /// Begins: where the user is to be sent.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(&self, begin: &Begin<'_>) -> Result<Begun, ConnectError> {
        let (oauth, client) = self.set_up(begin.provider)?;
        let attempt = Attempt {
            user: Some(begin.user),
            provider: begin.provider,
            redirect: &begin.redirect,
            return_to: begin.return_to.as_ref(),
            scopes: self.scopes(oauth, begin).await?,
            params: &oauth.params,
            sign_in: None,
        };
        self.begun(oauth, client, attempt).await
    }

    async fn begun(&self, oauth: &OAuth, client: &Client, attempt: Attempt<'_>) -> Result<Begun, ConnectError> {
        let parts = &self.0.parts;
        oauth.takes_redirect(attempt.redirect).map_err(ConnectError::Redirect)?;
        let now = parts.clock.micros();
        if let Some(user) = attempt.user
            && connect::open(&parts.db, user, now).await? >= OPEN_SESSIONS
        {
            return Err(ConnectError::TooMany);
        }
        let (id, secret, scopes) = (Uuid::now_v7(), random()?, attempt.scopes);
        let verifier = if oauth.pkce { Some(random()?) } else { None };
        let data = Data {
            state: session::hash(&secret),
            provider: attempt.provider.to_owned(),
            redirect: attempt.redirect.clone(),
            scopes: scopes.clone(),
            verifier: verifier.as_ref().map(|v| parts.ring.seal(&session::place(id, "verifier"), v)),
            nonce: random()?.expose().to_owned(),
            return_to: attempt.return_to.cloned(),
            unconfirmed: None,
            sign_in: attempt.sign_in,
        };
        let expires_at = now + i64::try_from(LIFETIME.as_micros()).unwrap_or(i64::MAX);
        let row = ConnectSession {
            id,
            user_id: attempt.user,
            endpoint: crate::net::place(&oauth.authorize_url),
            data: text(&data)?,
            expires_at,
            used_at: None,
        };
        connect::add(&parts.db, &row, now).await?;
        let state = session::travelling(id, &secret);
        let openid = scopes.iter().any(|scope| scope == "openid");
        let ask = Consent {
            redirect: attempt.redirect,
            state: &state,
            scopes: &scopes,
            verifier: verifier.as_ref(),
            nonce: openid.then_some(data.nonce.as_str()),
            params: attempt.params,
        };
        let authorize_url = self.asked(oauth, client).authorize_url(&ask);
        Ok(Begun { id, authorize_url, scopes, expires_at })
    }

    /// What is asked for: what the provider always needs, what is wanted now, and what the user granted before, so that asking for
    /// more takes nothing away.
    async fn scopes(&self, oauth: &OAuth, begin: &Begin<'_>) -> Result<Vec<String>, ConnectError> {
        let linked = crate::store::links::list(&self.0.parts.db, begin.user).await?;
        let mut before = linked.iter().filter(|account| account.provider == begin.provider);
        // With several accounts nobody knows yet which one it will be.
        let before = before.next().filter(|_| before.next().is_none()).and_then(|account| account.scope.as_deref());
        let mut all: Vec<String> = Vec::new();
        let wanted = oauth.scopes.iter().chain(begin.scopes).map(|scope| oauth.scope(scope));
        for scope in wanted.chain(before.unwrap_or_default().split_whitespace().map(str::to_owned)) {
            if !all.contains(&scope) {
                all.push(scope);
            }
        }
        Ok(all)
    }

    /// Takes what came back from the provider.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn callback(&self, came: &Callback<'_>) -> Result<Called, NotCalled> {
        let (row, data) = self.used(came).await?;
        let (return_to, sign_in) = (data.return_to.clone(), data.sign_in.is_some());
        self.called(came, row, data).await.map_err(|error| NotCalled { error, return_to, sign_in })
    }

    /// The session that the state names, used up by this.
    async fn used(&self, came: &Callback<'_>) -> Result<(ConnectSession, Data), ConnectError> {
        let parts = &self.0.parts;
        let (id, secret) = came.state.and_then(session::read).ok_or(ConnectError::Unknown)?;
        let row = connect::get(&parts.db, id).await?.ok_or(ConnectError::Unknown)?;
        let data: Data = serde_json::from_str(&row.data).map_err(|e| ConnectError::Internal(e.to_string()))?;
        if !session::fits(&secret, &data.state) {
            return Err(ConnectError::Unknown);
        }
        let now = parts.clock.micros();
        if row.used_at.is_some() {
            return Err(ConnectError::Used);
        }
        if now >= row.expires_at {
            return Err(ConnectError::Expired);
        }
        match connect::use_up(&parts.db, id, now).await? {
            true => Ok((row, data)),
            false => Err(ConnectError::Used),
        }
    }

    async fn called(&self, came: &Callback<'_>, row: ConnectSession, data: Data) -> Result<Called, ConnectError> {
        let (oauth, client) = self.set_up(&data.provider)?;
        let other_issuer = matches!((came.iss, &oauth.issuer), (Some(iss), Some(ours)) if iss != ours);
        if data.provider != came.provider || other_issuer {
            return Err(ConnectError::MixedUp);
        }
        match &data.sign_in {
            Some(sign_in) => arrive::is_here(sign_in, &row, came)?,
            None if came.user.is_some_and(|user| Some(user) != row.user_id) => return Err(ConnectError::Foreign),
            None => {}
        }
        if let Some(error) = came.error {
            let words = came.description.filter(|words| !words.is_empty()).unwrap_or(error);
            let words = printable(words, WORDS);
            return Err(match error {
                "access_denied" | "consent_required" | "interaction_required" => ConnectError::Denied(words),
                _ => ConnectError::Refused(words),
            });
        }
        let Some(code) = came.code.filter(|code| !code.is_empty()).map(Secret::new) else {
            return Err(ConnectError::Refused("its answer has neither a code nor an error".to_owned()));
        };
        let asked = self.asked(oauth, client);
        let tokens = self.exchanged(&asked, &row, &data, &code).await?;
        if let Some(sign_in) = &data.sign_in {
            let arrived = arrive::arrived(&asked, tokens, &row, &data, sign_in).await?;
            return Ok(Called::Arrived(Box::new(arrived)));
        }
        let identity = identity::of(&asked, &tokens, &data.nonce).await.map_err(ConnectError::Refused)?;
        let proof = Proof::new(identity.id, identity.who, tokens, &data, asked.now.timestamp_micros());
        if let Some(user) = came.user {
            return self.linked(user, &data, proof).await.map(Called::Linked);
        }
        self.unconfirmed(&row, data, &proof).await
    }

    /// Exchanges the code.
    async fn exchanged(
        &self,
        asked: &Asked<'_>,
        row: &ConnectSession,
        data: &Data,
        code: &Secret,
    ) -> Result<Tokens, ConnectError> {
        let parts = &self.0.parts;
        let open = |sealed: &String| parts.ring.open(&session::place(row.id, "verifier"), sealed);
        let verifier = data.verifier.as_ref().map(open).transpose();
        let verifier = verifier.map_err(|e| ConnectError::Internal(e.to_string()))?;
        asked.code(code, &data.redirect, verifier.as_ref()).await.map_err(|error| match error {
            NoTokens::Dead(why) => ConnectError::Refused(why),
            NoTokens::Later(fault) => ConnectError::Away(fault.why().to_owned()),
        })
    }

    /// Keeps what the provider gave until who began it says in this browser that they meant it.
    async fn unconfirmed(&self, row: &ConnectSession, data: Data, proof: &Proof) -> Result<Called, ConnectError> {
        let parts = &self.0.parts;
        let secret = random()?;
        let sealed = parts.ring.seal(&session::place(row.id, "proof"), &Secret::new(text(proof)?));
        let waits = Unconfirmed { token: session::hash(&secret), proof: sealed };
        let data = Data { unconfirmed: Some(waits), ..data };
        if !connect::put(&parts.db, row.id, &row.data, &text(&data)?).await? {
            return Err(ConnectError::Used);
        }
        Ok(Called::Confirm { token: session::travelling(row.id, &secret), who: proof.who.clone() })
    }

    /// Links what waited for a confirmation, if `user` began it.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn confirm(&self, user: UserId, token: &str) -> Result<Linked, ConnectError> {
        let parts = &self.0.parts;
        let (id, secret) = session::read(token).ok_or(ConnectError::Unknown)?;
        let row = connect::get(&parts.db, id).await?.ok_or(ConnectError::Unknown)?;
        let data: Data = serde_json::from_str(&row.data).map_err(|e| ConnectError::Internal(e.to_string()))?;
        let waits = data.unconfirmed.clone().filter(|waits| session::fits(&secret, &waits.token));
        let waits = waits.ok_or(ConnectError::Unknown)?;
        if row.user_id != Some(user) {
            return Err(ConnectError::Foreign);
        }
        if parts.clock.micros() >= row.expires_at {
            return Err(ConnectError::Expired);
        }
        let internal = |why: String| ConnectError::Internal(why);
        let opened =
            parts.ring.open(&session::place(id, "proof"), &waits.proof).map_err(|e| internal(e.to_string()))?;
        let proof: Proof = serde_json::from_str(opened.expose()).map_err(|e| internal(e.to_string()))?;
        let linked = self.linked(user, &data, proof).await?;
        connect::end(&parts.db, id).await?;
        Ok(linked)
    }

    fn set_up(&self, name: &str) -> Result<(&OAuth, &Client), ConnectError> {
        let provider: &Provider = self.provider(name).ok_or_else(|| ConnectError::NoProvider(name.to_owned()))?;
        if provider.oauth.is_none() {
            return Err(ConnectError::IsKeyed(name.to_owned()));
        }
        provider.client().ok_or_else(|| ConnectError::NotSetUp(name.to_owned()))
    }

    fn asked<'a>(&'a self, oauth: &'a OAuth, client: &'a Client) -> Asked<'a> {
        let parts = &self.0.parts;
        let now = from_micros(parts.clock.micros());
        Asked { http: &parts.http, oauth, client, timeout: PATIENCE.min(parts.config.timeout), now }
    }
}

/// A secret as text, for a text that is sealed in the same breath.
fn sealed_next<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose())
}

fn sealed_next_too<S: Serializer>(secret: &Option<Secret>, to: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(to)
}

fn random() -> Result<Secret, ConnectError> {
    session::random().map_err(ConnectError::Internal)
}

fn text(value: &impl Serialize) -> Result<String, ConnectError> {
    serde_json::to_string(value).map_err(|e| ConnectError::Internal(e.to_string()))
}

impl From<Fault> for ConnectError {
    fn from(fault: Fault) -> Self {
        Self::Away(fault.why().to_owned())
    }
}
