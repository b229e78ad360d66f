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
}

/// Who somebody is who signs in: what a verified id token says, and what the provider's userinfo says of the same `sub`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// Who the account is.
    pub account: Identity,
    /// Its address, and whether the provider says that it proved it.
    pub email: Option<(String, bool)>,
    /// What its owner is called.
    pub name: Option<String>,
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
    let info = info(asked, tokens).await?;
    if let (Some(claims), Some(info)) = (&claims, &info) {
        let (sub, other) = (claims.get("sub"), info.get("sub"));
        if other.is_some() && sub != other {
            return Err("the provider's userinfo names another account than its id token".to_owned());
        }
    }
    let said = info.as_ref().or(claims.as_ref()).unwrap_or(&tokens.rest);
    let id = id(asked.oauth, said).or_else(|| claims.as_ref().and_then(|claims| id(asked.oauth, claims)));
    let id = id.ok_or_else(|| format!("the provider did not say who it is at {}", asked.oauth.id.join(", ")))?;
    Ok(Identity { id, who: who(asked.oauth, said) })
}

/// The same for somebody who signs in: a verified id token is needed, and nothing but it says who they are. Userinfo of the same
/// `sub` adds what the token leaves out.
///
/// # Errors
/// One sentence.
pub async fn proved(asked: &Asked<'_>, tokens: &Tokens, nonce: &str) -> Result<Proved, String> {
    let token = tokens.id_token.as_ref().ok_or("the provider gave no id token")?;
    if !is_asymmetric(token) {
        return Err("the provider's id token is not signed with a key that only the provider has".to_owned());
    }
    let claims = verified(asked, token, nonce).await?;
    let info = info(asked, tokens).await?.unwrap_or_else(|| claims.clone());
    if claims.get("sub").is_none_or(|sub| Some(sub) != info.get("sub")) {
        return Err("the provider's userinfo names another account than its id token".to_owned());
    }
    let id = id(asked.oauth, &info).or_else(|| id(asked.oauth, &claims));
    let id = id.ok_or_else(|| format!("the provider did not say who it is at {}", asked.oauth.id.join(", ")))?;
    let email = [&claims, &info].into_iter().find_map(|said| Some((word(said.get("email"))?, is_verified(said))));
    let name = [&claims, &info].into_iter().find_map(|said| word(said.get("name")));
    Ok(Proved { account: Identity { id, who: who(asked.oauth, &info) }, email, name })
}

/// Whether the provider says that it proved the address. Some write it as text.
fn is_verified(said: &Value) -> bool {
    said.get("email_verified").is_some_and(|verified| *verified == Value::Bool(true) || *verified == "true")
}

async fn info(asked: &Asked<'_>, tokens: &Tokens) -> Result<Option<Value>, String> {
    let Some(url) = &asked.oauth.userinfo_url else { return Ok(None) };
    let call = Call::new(http::Method::GET, url.clone()).bearer(&tokens.access).map_err(|e| e.to_string())?;
    get(asked, call).await.map(Some)
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

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    /// A key of the provider: what signs, and what it publishes.
    fn key(kid: &str) -> (EncodingKey, Value) {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &aws_lc_rs::rand::SystemRandom::new());
        let pkcs8 = pkcs8.unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let point = pair.public_key().as_ref();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid,
            "x": part(&point[1..33]), "y": part(&point[33..]) });
        (EncodingKey::from_ec_der(pkcs8.as_ref()), jwk)
    }

    fn good() -> Value {
        json!({ "iss": "https://p.example", "aud": "me", "sub": "1", "nonce": "n", "iat": NOW, "exp": NOW + 3600 })
    }

    #[test]
    fn an_id_token_is_good_only_when_the_provider_signed_it_for_this_very_request() {
        let ((signs, published), (other, other_public)) = (key("a"), key("b"));
        let header = |kid: &str| Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
        let keys = |of: &[&Value]| serde_json::from_value::<JwkSet>(json!({ "keys": of })).unwrap();
        let both = keys(&[&published, &other_public]);
        let judge = |token: String, set: &JwkSet| {
            claims(&Secret::new(token), set, Some("https://p.example"), "me", "n", NOW)
                .map(|claims| claims["sub"].clone())
        };
        let signed = |claims: &Value| encode(&header("a"), claims, &signs).unwrap();
        assert_eq!(judge(signed(&good()), &both).unwrap(), json!("1"));
        let none = Header { kid: None, ..header("a") };
        let without = encode(&none, &good(), &signs).unwrap();
        assert!(judge(without.clone(), &keys(&[&published])).is_ok());

        let changed = |pointer: &str, value: Value| {
            let mut claims = good();
            claims[pointer] = value;
            signed(&claims)
        };
        let several = |azp: Value| {
            let mut claims = good();
            (claims["aud"], claims["azp"]) = (json!(["me", "they"]), azp);
            signed(&claims)
        };
        assert!(judge(several(json!("me")), &both).is_ok());
        let mut parts: Vec<String> = signed(&good()).split('.').map(str::to_owned).collect();
        parts[1] = URL_SAFE_NO_PAD.encode(json!({ "sub": "2", "aud": "me", "nonce": "n", "exp": NOW + 9 }).to_string());
        let none_alg = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        // Whoever knows what the provider publishes could sign with it, were its public key taken for a shared secret.
        let shared = EncodingKey::from_secret(published["x"].as_str().unwrap().as_bytes());
        let hs =
            encode(&Header { kid: Some("a".to_owned()), ..Header::new(Algorithm::HS256) }, &good(), &shared).unwrap();
        for (token, why) in [
            (changed("iss", json!("https://q.example")), "Issuer"),
            (changed("aud", json!("they")), "Audience"),
            (changed("nonce", json!("m")), "another request"),
            (changed("nonce", Value::Null), "another request"),
            (changed("exp", json!(NOW - LEEWAY - 1)), "it is over"),
            (changed("exp", Value::Null), "it is over"),
            (changed("iat", json!(NOW + LEEWAY + 1)), "the future"),
            (changed("nbf", json!(NOW + LEEWAY + 1)), "the future"),
            (several(Value::Null), "another client"),
            (several(json!("they")), "another client"),
            (encode(&header("a"), &good(), &other).unwrap(), "InvalidSignature"),
            (encode(&header("c"), &good(), &signs).unwrap(), "does not publish"),
            (without, "does not publish"),
            (parts.join("."), "InvalidSignature"),
            (format!("{none_alg}.{}.", parts[1]), "cannot be read"),
            (hs, "id token is not good"),
            (String::new(), "cannot be read"),
        ] {
            let said = judge(token.clone(), &both).unwrap_err();
            assert!(said.contains(why), "`{said}` does not say `{why}`: {token}");
        }
    }
}
