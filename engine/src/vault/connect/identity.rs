//! Who an account is, by what the provider says: the claims of a verified id token, its userinfo, or the token endpoint's answer.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

use crate::net::{Call, Trust, place};
use crate::secret::Secret;
use crate::vault::exchange::{Asked, Tokens};
use crate::vault::provider::OAuth;

/// Bytes of a userinfo answer or a key set.
const ANSWER_BYTES: usize = 256 << 10;
/// Bytes of an account's id or name.
const WORD_BYTES: usize = 500;
/// Seconds by which the provider's clock may differ from ours (OpenID Connect Core 3.1.3.7 leaves it to us).
const LEEWAY: i64 = 60;

/// Who an account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id at the provider.
    pub id: String,
    /// Its name to people.
    pub who: Option<String>,
    /// The claims of an id token whose signature was verified.
    pub verified: Option<Value>,
}

/// Asks who `tokens` belong to. What is signed with a key that only the provider has is verified; where it signs with a secret that
/// it shares, or not at all, its userinfo says who it is: that answer came from the provider itself.
///
/// # Errors
/// One sentence.
pub async fn of(asked: &Asked<'_>, tokens: &Tokens, nonce: &str) -> Result<Identity, String> {
    let claims = match (&tokens.id_token, &asked.oauth.jwks_url) {
        (Some(token), Some(_)) if is_asymmetric(token) => Some(verified(asked, token, nonce).await?),
        _ => None,
    };
    let info = match &asked.oauth.userinfo_url {
        Some(url) => {
            let call = Call::new(http::Method::GET, url.clone()).bearer(&tokens.access).map_err(|e| e.to_string())?;
            Some(get(asked, call).await?)
        }
        None => None,
    };
    if let (Some(claims), Some(info)) = (&claims, &info) {
        let (sub, other) = (claims.get("sub"), info.get("sub"));
        if other.is_some() && sub != other {
            return Err("the provider's userinfo names another account than its id token".to_owned());
        }
    }
    let said = info.as_ref().or(claims.as_ref()).unwrap_or(&tokens.rest);
    let id = id(asked.oauth, said).or_else(|| claims.as_ref().and_then(|claims| id(asked.oauth, claims)));
    let id = id.ok_or_else(|| format!("the provider did not say who it is at {}", asked.oauth.id.join(", ")))?;
    Ok(Identity { id, who: who(asked.oauth, said), verified: claims })
}

async fn get(asked: &Asked<'_>, call: Call) -> Result<Value, String> {
    let call = call.stay().timeout(asked.timeout).max_body(ANSWER_BYTES);
    let answer = asked.http.send(Trust::Provider, call, asked.now).await.map_err(|fault| fault.why().to_owned())?;
    if let Some(fault) = answer.fault(asked.now) {
        return Err(fault.why().to_owned());
    }
    // What it begins with could show who it is.
    answer.json().map_err(|_| format!("{} did not answer with JSON", place(&answer.url)))
}

fn word(value: Option<&Value>) -> Option<String> {
    let word = match value? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!word.is_empty() && word.len() <= WORD_BYTES && !word.contains(char::is_control)).then_some(word)
}

fn id(oauth: &OAuth, said: &Value) -> Option<String> {
    let parts = oauth.id.iter().map(|pointer| word(said.pointer(pointer)));
    parts.collect::<Option<Vec<_>>>().map(|parts| parts.join("/"))
}

fn who(oauth: &OAuth, said: &Value) -> Option<String> {
    oauth.who.iter().find_map(|pointer| word(said.pointer(pointer)))
}

fn is_asymmetric(token: &Secret) -> bool {
    let algorithm = decode_header(token.expose()).ok().map(|header| header.alg);
    algorithm.is_some_and(|alg| !matches!(alg, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512))
}

/// The claims of an id token: signed by the provider's key, for this client, in answer to this very request, and not over.
async fn verified(asked: &Asked<'_>, token: &Secret, nonce: &str) -> Result<Value, String> {
    let Some(url) = asked.oauth.jwks_url.clone() else { return Err("the provider has no jwks_url".to_owned()) };
    let keys = get(asked, Call::new(http::Method::GET, url)).await?;
    let keys: JwkSet = serde_json::from_value(keys).map_err(|_| "the provider's key set cannot be read".to_owned())?;
    claims(token, &keys, asked.oauth.issuer.as_deref(), &asked.client.id, nonce, asked.now.timestamp())
}

fn claims(
    token: &Secret,
    keys: &JwkSet,
    issuer: Option<&str>,
    client: &str,
    nonce: &str,
    now: i64,
) -> Result<Value, String> {
    let wrong = |why: &str| format!("the provider's id token is not good: {why}");
    let header = decode_header(token.expose()).map_err(|_| wrong("it cannot be read"))?;
    let key = match &header.kid {
        Some(kid) => keys.find(kid),
        None => keys.keys.first().filter(|_| keys.keys.len() == 1),
    };
    let key = key.ok_or_else(|| wrong("it is signed with a key that the provider does not publish"))?;
    let key = DecodingKey::from_jwk(key).map_err(|_| wrong("its key cannot be used"))?;
    let mut rules = Validation::new(header.alg);
    // Times are judged by our clock, below.
    (rules.validate_exp, rules.validate_nbf) = (false, false);
    rules.set_required_spec_claims(&["aud", "sub"]);
    rules.set_audience(&[client]);
    if let Some(issuer) = issuer {
        rules.set_issuer(&[issuer]);
        rules.set_required_spec_claims(&["aud", "sub", "iss"]);
    }
    let claims = decode::<Value>(token.expose(), &key, &rules).map_err(|error| wrong(&error.to_string()))?.claims;
    let at = |name: &str| claims.get(name).and_then(Value::as_i64);
    if at("exp").is_none_or(|exp| exp + LEEWAY < now) {
        return Err(wrong("it is over"));
    }
    if at("iat").is_some_and(|iat| iat - LEEWAY > now) || at("nbf").is_some_and(|nbf| nbf - LEEWAY > now) {
        return Err(wrong("it is from the future"));
    }
    if claims.get("nonce").and_then(Value::as_str) != Some(nonce) {
        return Err(wrong("it answers another request"));
    }
    // Made out to several: then it must say that this client may use it.
    let several = claims.get("aud").and_then(Value::as_array).is_some_and(|aud| aud.len() > 1);
    if several && claims.get("azp").and_then(Value::as_str) != Some(client) {
        return Err(wrong("it is meant for another client"));
    }
    Ok(claims)
}
