//! What becomes of a request that is believed: its event, and the key that tells a repetition.

use engine::port::{HookCx, HookItem, HookRefusal};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use super::params::{DeliveryId, Received, Verify};
use super::presets::{Scheme, delivery_ids};

/// Delivery ids longer than this are kept as their hash.
const MAX_ID_BYTES: usize = 256;

/// A header whose name contains one of these carries a credential and is left out of the event.
const CREDENTIALS: [&str; 9] =
    ["authorization", "cookie", "signature", "token", "secret", "password", "api-key", "apikey", "x-trello-webhook"];

/// The item of a request; `signature` is what proved it, where something did.
///
/// # Errors
/// `Malformed`: the body is not what its content type says.
pub fn item(
    params: &Received,
    scheme: &Scheme<'_>,
    signature: Option<&[u8]>,
    cx: &HookCx<'_>,
) -> Result<HookItem, HookRefusal> {
    let body = body(cx)?;
    let key = delivery_ids(params).iter().find_map(|id| delivery_key(id, &body, signature, cx));
    // Put together by hand: `json!` copies what it is given.
    let event = [
        ("body", body),
        ("headers", headers(scheme, cx)),
        ("query", query(&params.verify, cx)),
        ("method", cx.method.into()),
        ("at", json!(cx.now)),
    ];
    let event = event.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(HookItem { key, body: Value::Object(event) })
}

fn delivery_key(id: &DeliveryId, body: &Value, signature: Option<&[u8]>, cx: &HookCx<'_>) -> Option<String> {
    let text = match id {
        DeliveryId::Header(name) => super::verify::header(cx, name).ok()?.to_owned(),
        DeliveryId::Pointer(pointer) => match body.pointer(pointer)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        },
        // The hash of the signature's bytes: however it was spelled, and of no use to one who reads it.
        DeliveryId::Signature => format!("signature:{}", hex::encode(Sha256::digest(signature?))),
    };
    match text.len() {
        0 => None,
        1..=MAX_ID_BYTES => Some(text),
        _ => Some(format!("sha256:{}", hex::encode(Sha256::digest(&text)))),
    }
}

fn body(cx: &HookCx<'_>) -> Result<Value, HookRefusal> {
    let named = cx.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let essence = named.map(|(_, value)| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    match essence.as_deref() {
        Some(kind) if is_json(kind) => read_json(cx.body)
            .map_err(|e| HookRefusal::Malformed(format!("the body is not the JSON that its content type says: {e}"))),
        Some("application/x-www-form-urlencoded") => Ok(pairs(form_urlencoded::parse(cx.body))),
        Some(_) => Ok(text(cx.body)),
        None if cx.body.is_empty() => Ok(Value::Null),
        None => Ok(read_json(cx.body).unwrap_or_else(|_| text(cx.body))),
    }
}

fn is_json(kind: &str) -> bool {
    kind == "application/json" || kind == "text/json" || kind.ends_with("+json")
}

fn read_json(body: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))
}

/// What is no UTF-8 becomes U+FFFD.
fn text(body: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(body).into_owned())
}

/// An object of what a form or a query says; a name that comes several times is a list.
fn pairs(pairs: form_urlencoded::Parse<'_>) -> Value {
    let mut object = Map::new();
    for (name, value) in pairs {
        let value = Value::String(value.into_owned());
        match object.get_mut(name.as_ref()) {
            None => {
                object.insert(name.into_owned(), value);
            }
            Some(Value::Array(list)) => list.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Value::Object(object)
}

fn query(verify: &Verify, cx: &HookCx<'_>) -> Value {
    let mut query = pairs(form_urlencoded::parse(cx.query.as_bytes()));
    if let (Verify::Token(token), Some(object)) = (verify, query.as_object_mut()) {
        token.query.as_ref().map(|name| object.remove(name));
    }
    query
}

fn headers(scheme: &Scheme<'_>, cx: &HookCx<'_>) -> Value {
    let proof = match scheme {
        Scheme::Token(token) => token.header.as_deref(),
        _ => scheme.hmac().map(|hmac| hmac.header.as_str()),
    };
    let mut headers: Map<String, Value> = Map::new();
    for (name, value) in cx.headers {
        let name = name.to_ascii_lowercase();
        if CREDENTIALS.iter().any(|word| name.contains(word))
            || proof.is_some_and(|proof| proof.eq_ignore_ascii_case(&name))
        {
            continue;
        }
        match headers.get_mut(&name) {
            Some(Value::String(before)) => {
                before.push_str(", ");
                before.push_str(value);
            }
            _ => {
                headers.insert(name, Value::String(value.clone()));
            }
        }
    }
    Value::Object(headers)
}
