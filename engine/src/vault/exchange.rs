//! The one place that speaks to token endpoints: the `oauth2` crate over our own HTTP client. What providers do beside the standard
//! is levelled out here: errors under status 200, scopes as a list, numbers as text. No sentence that leaves it holds a token.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode, header};
use oauth2::basic::{
    BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AccessToken, AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest,
    HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope,
    StandardRevocableToken, TokenResponse, TokenUrl,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::provider::{Body, Client, ClientAuth, OAuth, Revoke};
use crate::fault::Fault;
use crate::net::{Call, Http, Trust, place, printable};
use crate::secret::Secret;

/// Characters of a provider's own words in a sentence.
const WORDS: usize = 200;
/// Bytes of a token endpoint's answer.
const ANSWER_BYTES: usize = 256 << 10;
/// Bytes of a token.
const TOKEN_BYTES: usize = 64 << 10;
/// A code that no provider issued, and a verifier of the length that RFC 7636 asks for.
const NO_CODE: &str = "area-asks-whether-you-know-this-client";
const NO_VERIFIER: &str = "area-asks-whether-you-know-this-client-0000";

/// Headers of a request that our client writes itself.
const OWN: [header::HeaderName; 2] = [header::CONTENT_LENGTH, header::HOST];

/// What a token endpoint gave.
pub struct Tokens {
    /// The access token.
    pub access: Secret,
    /// The next refresh token; `None`: the old one stays.
    pub refresh: Option<Secret>,
    /// How long the access token lives; `None`: it did not say.
    pub expires_in: Option<Duration>,
    /// What was granted; `None`: what was asked for.
    pub scopes: Option<Vec<String>>,
    /// Who the account is, by OpenID.
    pub id_token: Option<Secret>,
    /// The rest of the answer: some say there who the account is.
    pub rest: Value,
}

/// `rest` may hold more tokens: it is not printed.
impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut tokens = f.debug_struct("Tokens");
        tokens.field("expires_in", &self.expires_in).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

/// Why there are no tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoTokens {
    /// The grant is dead: the account must be linked again.
    Dead(String),
    /// It may work another time. `Fault::Later` and nothing else.
    Later(Fault),
}

/// How a provider is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The client.
    pub http: &'a Http,
    /// The provider.
    pub oauth: &'a OAuth,
    /// This installation there.
    pub client: &'a Client,
    /// How long it may take.
    pub timeout: Duration,
    /// Now.
    pub now: DateTime<Utc>,
}

/// What a user is asked to consent to.
#[derive(Clone, Copy, Debug)]
pub struct Consent<'a> {
    /// Where they come back.
    pub redirect: &'a Url,
    /// What they bring back.
    pub state: &'a Secret,
    /// As the provider writes them.
    pub scopes: &'a [String],
    /// Of which the challenge is made.
    pub verifier: Option<&'a Secret>,
    /// What an id token must repeat.
    pub nonce: Option<&'a str>,
    /// More parameters.
    pub params: &'a BTreeMap<String, String>,
}

type Oauth2Client = oauth2::Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
>;

impl Asked<'_> {
    /// Exchanges a refresh token.
    ///
    /// # Errors
    /// See [`NoTokens`].
    pub async fn refresh(&self, token: &Secret) -> Result<Tokens, NoTokens> {
        let client = self.oauth2().set_token_uri(TokenUrl::from_url(self.oauth.token_url.clone()));
        let old = RefreshToken::new(token.expose().to_owned());
        let answer = client.exchange_refresh_token(&old).request_async(self).await;
        self.read(answer, token)
    }

    /// Exchanges the code that a callback brought.
    ///
    /// # Errors
    /// See [`NoTokens`].
    pub async fn code(&self, code: &Secret, redirect: &Url, verifier: Option<&Secret>) -> Result<Tokens, NoTokens> {
        let client = self.oauth2().set_token_uri(TokenUrl::from_url(self.oauth.token_url.clone()));
        let client = client.set_redirect_uri(RedirectUrl::from_url(redirect.clone()));
        let mut request = client.exchange_code(AuthorizationCode::new(code.expose().to_owned()));
        if let Some(verifier) = verifier {
            request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()));
        }
        let answer = request.request_async(self).await;
        self.read(answer, code)
    }

    /// Asks whether the provider knows this client, by a code that nobody issued: the client is judged before the code is.
    ///
    /// # Errors
    /// What it answered, where that is not that it knows no such code.
    pub async fn knows_client(&self, redirect: &Url) -> Result<(), String> {
        let (code, verifier) = (Secret::new(NO_CODE), Secret::new(NO_VERIFIER));
        match self.code(&code, redirect, Some(&verifier).filter(|_| self.oauth.pkce)).await {
            Ok(_) | Err(NoTokens::Dead(_)) => Ok(()),
            Err(NoTokens::Later(fault)) => Err(fault.why().to_owned()),
        }
    }

    /// Where a user is sent to consent.
    pub fn authorize_url(&self, ask: &Consent<'_>) -> Url {
        let client = self.oauth2().set_auth_uri(AuthUrl::from_url(self.oauth.authorize_url.clone()));
        let client = client.set_redirect_uri(RedirectUrl::from_url(ask.redirect.clone()));
        let mut request = client.authorize_url(|| CsrfToken::new(ask.state.expose().to_owned()));
        if !ask.scopes.is_empty() {
            request = request.add_scope(Scope::new(ask.scopes.join(&self.oauth.scope_separator)));
        }
        if let Some(verifier) = ask.verifier {
            let verifier = PkceCodeVerifier::new(verifier.expose().to_owned());
            request = request.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        }
        if let Some(nonce) = ask.nonce {
            request = request.add_extra_param("nonce", nonce.to_owned());
        }
        for (name, value) in ask.params {
            request = request.add_extra_param(name.clone(), value.clone());
        }
        request.url().0
    }

    /// Tells the provider that a token is no longer wanted. `None`: it has no such endpoint.
    ///
    /// # Errors
    /// What the provider answered.
    pub async fn revoke(&self, token: &Secret) -> Option<Result<(), Fault>> {
        let (url, how) = self.oauth.revoke.as_ref()?;
        let call = Call::new(Method::POST, url.clone());
        let call = match how {
            Revoke::Bearer => call.bearer(token),
            Revoke::Form => self.proven(call, vec![("token", token.expose())]),
        };
        Some(match call {
            Ok(call) => self.told(call).await,
            Err(fault) => Err(fault),
        })
    }

    /// Whether the provider takes an access token, where it says who an account is.
    ///
    /// # Errors
    /// What it answered beside yes and 401.
    pub async fn is_taken(&self, token: &Secret) -> Result<bool, Fault> {
        let Some(url) = &self.oauth.userinfo_url else { return Ok(true) };
        let call = Call::new(Method::GET, url.clone()).bearer(token)?.stay();
        let call = call.timeout(self.timeout).max_body(ANSWER_BYTES);
        let answer = self.http.send(Trust::Provider, call, self.now).await?;
        match answer.status {
            StatusCode::UNAUTHORIZED => Ok(false),
            _ => answer.fault(self.now).map_or(Ok(true), Err),
        }
    }

    /// A form that carries the client's proof.
    fn proven<'a>(&'a self, call: Call, mut form: Vec<(&'a str, &'a str)>) -> Result<Call, Fault> {
        let secret = self.client.secret.as_ref().map(Secret::expose);
        match (self.oauth.auth, secret) {
            (ClientAuth::Basic, Some(secret)) => {
                let part = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = STANDARD.encode(format!("{}:{}", part(&self.client.id), part(secret)));
                call.form(form).header("authorization", &format!("Basic {pair}"))
            }
            (_, secret) => {
                form.push(("client_id", &self.client.id));
                form.extend(secret.map(|secret| ("client_secret", secret)));
                Ok(call.form(form))
            }
        }
    }

    async fn told(&self, call: Call) -> Result<(), Fault> {
        let call = call.stay().timeout(self.timeout).max_body(ANSWER_BYTES);
        let answer = self.http.send(Trust::Provider, call, self.now).await?;
        answer.fault(self.now).map_or(Ok(()), Err)
    }

    fn oauth2(&self) -> Oauth2Client {
        let client = Oauth2Client::new(ClientId::new(self.client.id.clone()));
        let client = match &self.client.secret {
            Some(secret) if self.oauth.auth != ClientAuth::None => {
                client.set_client_secret(ClientSecret::new(secret.expose().to_owned()))
            }
            _ => client,
        };
        let basic = self.oauth.auth == ClientAuth::Basic;
        client.set_auth_type(if basic { AuthType::BasicAuth } else { AuthType::RequestBody })
    }

    /// Carries a request of the crate over our client. What only means "another time" does not reach the crate.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Fault> {
        let mut call = Call::new(request.method().clone(), self.oauth.token_url.clone());
        for (name, value) in request.headers().iter().filter(|(name, _)| !OWN.contains(name)) {
            let value = value.to_str().map_err(|_| Fault::rejected("a header that is no text"))?;
            call = call.header(name.as_str(), value)?;
        }
        call = match self.oauth.body {
            Body::Form => call.body("application/x-www-form-urlencoded", request.into_body()),
            Body::Json => {
                let form: BTreeMap<_, _> = url::form_urlencoded::parse(request.body()).into_owned().collect();
                call.header("content-type", "application/json")?.json(&serde_json::json!(form))
            }
        };
        let call = call.stay().timeout(self.timeout).max_body(ANSWER_BYTES);
        let answer = self.http.send(Trust::Provider, call, self.now).await?;
        match answer.fault(self.now) {
            Some(later @ Fault::Later { .. }) => return Err(later),
            _ if answer.status.is_redirection() => return Err(Fault::later("it redirects instead of answering")),
            _ => {}
        }
        let refused = answer.status.is_success() && is_refusal(&answer.body);
        let status = match answer.status {
            status if status.is_success() && !refused => StatusCode::OK,
            status if status.is_success() => StatusCode::BAD_REQUEST,
            status => status,
        };
        let mut response = HttpResponse::new(answer.body.to_vec());
        *response.status_mut() = status;
        // The body is judged by what it holds: some call JSON text.
        *response.headers_mut() = HeaderMap::new();
        Ok(response)
    }

    fn read(
        &self,
        answer: Result<Answer, RequestTokenError<Fault, BasicErrorResponse>>,
        sent: &Secret,
    ) -> Result<Tokens, NoTokens> {
        let place = place(&self.oauth.token_url);
        let later = |why: String| NoTokens::Later(Fault::later(why));
        match answer {
            Ok(answer) => answer.tokens().ok_or_else(|| later(format!("{place} gave a token that cannot be sent"))),
            Err(RequestTokenError::ServerResponse(error)) => {
                let code = error.error().as_ref().to_owned();
                let words = error.error_description().map(|words| format!(" ({words})")).unwrap_or_default();
                let why = format!("{place} answered {}{}", printable(&code, WORDS), printable(&words, WORDS));
                let why = why.replace(sent.expose(), "…");
                let dead = *error.error() == BasicErrorResponseType::InvalidGrant;
                match dead || self.oauth.habits.dead.contains(&code) {
                    true => Err(NoTokens::Dead(why)),
                    false => Err(later(why)),
                }
            }
            Err(RequestTokenError::Request(fault @ Fault::Later { .. })) => Err(NoTokens::Later(fault)),
            Err(RequestTokenError::Request(fault)) => Err(later(fault.why().to_owned())),
            // The parser's own words could show a part of a token.
            Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => {
                // It may have taken the old token: what it gave for it cannot be read.
                Err(NoTokens::Later(Fault::maybe(format!("{place} answered with something else than a token"))))
            }
        }
    }
}

impl<'c> AsyncHttpClient<'c> for Asked<'_> {
    type Error = Fault;
    type Future = BoxFuture<'c, Result<HttpResponse, Fault>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// Whether a success is none: `{"error": …}` and no token.
fn is_refusal(body: &[u8]) -> bool {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    body.is_some_and(|body| body.get("access_token").is_none() && body.get("error").is_some_and(Value::is_string))
}

/// A token endpoint's answer, read with patience.
#[derive(Debug, Deserialize, Serialize)]
struct Answer {
    access_token: AccessToken,
    #[serde(default)]
    refresh_token: Option<RefreshToken>,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
    #[serde(default, deserialize_with = "scopes", rename = "scope")]
    scopes: Option<Vec<Scope>>,
    #[serde(default)]
    id_token: Option<AccessToken>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

const BEARER: BasicTokenType = BasicTokenType::Bearer;

impl TokenResponse for Answer {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        // Whatever it calls it: what we can send is a bearer.
        &BEARER
    }

    fn expires_in(&self) -> Option<Duration> {
        self.expires_in.map(Duration::from_secs)
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        self.scopes.as_ref()
    }
}

impl Answer {
    /// `None`: what it calls a token is none that a header can carry.
    fn tokens(self) -> Option<Tokens> {
        let fit = |text: &str| (1..=TOKEN_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        let secret = |text: &String| Secret::new(text.as_str());
        let expires_in = self.expires_in();
        let refresh = self.refresh_token.as_ref().map(RefreshToken::secret).filter(|text| !text.is_empty());
        if !fit(self.access_token.secret()) || refresh.is_some_and(|text| !fit(text)) {
            return None;
        }
        Some(Tokens {
            access: secret(self.access_token.secret()),
            refresh: refresh.map(secret),
            expires_in,
            scopes: self.scopes.map(|all| all.into_iter().map(|scope| scope.to_string()).collect()),
            id_token: self.id_token.as_ref().map(|token| secret(token.secret())),
            rest: Value::Object(self.rest),
        })
    }
}

/// A number, or text that is one; nonsense is taken for nothing.
fn seconds<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    Ok(match Value::deserialize(d)? {
        Value::Number(number) => number.as_f64().filter(|s| s.is_finite() && *s > 0.0).map(|s| s as u64),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    })
}

/// Words in one text (between spaces or commas), or a list of them.
fn scopes<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Vec<Scope>>, D::Error> {
    Ok(match Value::deserialize(d)? {
        Value::String(text) => {
            let words = text.split([' ', ',']).filter(|word| !word.is_empty());
            Some(words.map(|word| Scope::new(word.to_owned())).collect())
        }
        Value::Array(words) => {
            Some(words.iter().filter_map(Value::as_str).map(|word| Scope::new(word.to_owned())).collect())
        }
        _ => None,
    })
}
