//! What the schema cannot say about a hook's params. Each finding names its place and what would be right.

use engine::port::Invalid;
use serde::Deserialize;
use serde_json::Value;

use super::params::{DeliveryId, Hmac, Part, Received, Token, Verify};
use super::presets::{Scheme, scheme};
use super::verify::key;

/// Every finding in `data`.
pub fn check(data: &Value) -> Vec<Invalid> {
    // The message of serde may quote a secret; the schema has already said what is wrong.
    let Ok(params) = Received::deserialize(data) else {
        return vec![Invalid::new("", "does not follow the schema of `webhook.received`")];
    };
    let scheme = scheme(&params.verify);
    let mut found = match &scheme {
        Scheme::Open => Vec::new(),
        Scheme::Token(token) => check_token(token),
        Scheme::Hmac(hmac) => check_secrets(hmac),
        Scheme::Given(hmac) => check_hmac(hmac),
    };
    check_tolerance(&params.verify, &mut found);
    check_delivery_id(&params, &scheme, &mut found);
    found
}

fn check_token(token: &Token) -> Vec<Invalid> {
    let mut found = Vec::new();
    if token.header.is_some() == token.query.is_some() {
        found.push(Invalid::new("/verify", "give either `header` or `query`: where the token is sent"));
    }
    if let Some(name) = &token.header {
        check_header(name, "/verify/header", &mut found);
    }
    if token.header.is_none() && !token.prefix.is_empty() {
        found.push(Invalid::new("/verify/prefix", "only a token in a header has a prefix"));
    }
    if token.query.as_ref().is_some_and(String::is_empty) {
        found.push(Invalid::new("/verify/query", "must name a query parameter"));
    }
    for (i, token) in token.older_tokens.iter().enumerate() {
        if token.is_empty() {
            found.push(Invalid::new(format!("/verify/older_tokens/{i}"), "must not be empty"));
        }
    }
    if token.token.is_empty() {
        found.push(Invalid::new("/verify/token", "must not be empty"));
    }
    found
}

fn check_secrets(hmac: &Hmac) -> Vec<Invalid> {
    let older = hmac.older_secrets.iter().enumerate().map(|(i, s)| (format!("/verify/older_secrets/{i}"), s));
    std::iter::once(("/verify/secret".to_owned(), &hmac.secret))
        .chain(older)
        .filter_map(|(place, secret)| Some(Invalid::new(place, key(secret, hmac.secret_encoding).err()?)))
        .collect()
}

fn check_hmac(hmac: &Hmac) -> Vec<Invalid> {
    let mut found = check_secrets(hmac);
    check_header(&hmac.header, "/verify/header", &mut found);
    if hmac.separator.as_ref().is_some_and(String::is_empty) {
        found.push(Invalid::new("/verify/separator", "must not be empty; leave it out where there is one signature"));
    }
    if !hmac.signed.contains(&Part::Body) {
        found.push(Invalid::new("/verify/signed", "must contain `body`: else anybody could change it"));
    }
    for (i, part) in hmac.signed.iter().enumerate() {
        if let Part::Header(name) = part {
            check_header(name, &format!("/verify/signed/{i}/header"), &mut found);
        }
    }
    match (&hmac.timestamp, hmac.signed.contains(&Part::Timestamp)) {
        (Some(timestamp), true) => check_header(&timestamp.header, "/verify/timestamp/header", &mut found),
        (Some(_), false) => found.push(Invalid::new(
            "/verify/signed",
            "must contain `timestamp`: a timestamp that is not signed proves nothing",
        )),
        (None, true) => {
            found.push(Invalid::new("/verify/timestamp", "must say which header carries the timestamp that is signed"));
        }
        (None, false) => {}
    }
    found
}

fn check_tolerance(verify: &Verify, found: &mut Vec<Invalid>) {
    let (tolerance, place) = match verify {
        Verify::Stripe(p) | Verify::Slack(p) | Verify::StandardWebhooks(p) => (p.tolerance, "/verify/tolerance"),
        Verify::Hmac(hmac) => match &hmac.timestamp {
            Some(timestamp) => (timestamp.tolerance, "/verify/timestamp/tolerance"),
            None => return,
        },
        _ => return,
    };
    if tolerance.duration().is_zero() {
        found.push(Invalid::new(place, "must be longer than nothing: clocks differ; `5m` is usual"));
    }
}

fn check_delivery_id(params: &Received, scheme: &Scheme<'_>, found: &mut Vec<Invalid>) {
    match &params.delivery_id {
        Some(DeliveryId::Header(name)) => check_header(name, "/delivery_id/header", found),
        Some(DeliveryId::Pointer(pointer)) if !pointer.starts_with('/') => {
            found.push(Invalid::new("/delivery_id/pointer", "must be a JSON pointer into the body, like `/id`"));
        }
        Some(DeliveryId::Signature) if scheme.hmac().is_none() => {
            found.push(Invalid::new("/delivery_id", "`signature` needs a `verify` that signs"));
        }
        _ => {}
    }
}

fn check_header(name: &str, place: &str, found: &mut Vec<Invalid>) {
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        found.push(Invalid::new(place, "must be the name of a header, like `x-signature`"));
    }
}
