//! Whether a request is believed. Knows nothing of senders: presets have become the general form before.
//!
//! Secrets and signatures are compared in constant time; a refusal names the place, never the expected value.

use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::engine::{DecodePaddingMode, GeneralPurpose};
use chrono::{DateTime, Utc};
use engine::port::{HookCx, HookRefusal};
use hmac::{KeyInit, Mac};
use sha2::Digest;
use subtle::ConstantTimeEq;
use url::form_urlencoded;

use super::params::{Algorithm, Encoding, Hmac, Part, SecretEncoding, Timestamp, Token};

/// A header with more entries than this is read no further: each costs a comparison.
const MAX_SIGNATURES: usize = 16;

/// Unix times from here on are milliseconds: as seconds they would lie after the year 5100.
const FIRST_MILLIS: i64 = 100_000_000_000;

const PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, PADDING);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, PADDING);

/// A header's value.
///
/// # Errors
/// It is missing, or given twice (a proxy and we might then each believe another one).
pub fn header<'a>(cx: &HookCx<'a>, name: &str) -> Result<&'a str, HookRefusal> {
    let mut values = cx.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str());
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value.trim()),
        (None, _) => refuse(format!("the header `{name}` is missing")),
        (Some(_), Some(_)) => refuse(format!("the header `{name}` is given twice")),
    }
}

/// Whether the request carries one of the tokens.
///
/// # Errors
/// `Unauthorized`: it is missing or wrong.
pub fn token(spec: &Token, cx: &HookCx<'_>) -> Result<(), HookRefusal> {
    let (given, place) = match (&spec.header, &spec.query) {
        (Some(name), _) => {
            let value = header(cx, name)?;
            let rest = value.get(spec.prefix.len()..).filter(|_| {
                value.get(..spec.prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(&spec.prefix))
            });
            let Some(rest) = rest else { return refuse(format!("the header `{name}` lacks its prefix")) };
            (rest.trim().to_owned(), format!("header `{name}`"))
        }
        (None, Some(name)) => {
            let mut values = form_urlencoded::parse(cx.query.as_bytes()).filter(|(n, _)| n == name);
            match (values.next(), values.next()) {
                (Some((_, value)), None) => (value.into_owned(), format!("query parameter `{name}`")),
                (None, _) => return refuse(format!("the query parameter `{name}` is missing")),
                (Some(_), Some(_)) => return refuse(format!("the query parameter `{name}` is given twice")),
            }
        }
        (None, None) => return refuse("this hook names no place for its token"),
    };
    let tokens = std::iter::once(&spec.token).chain(&spec.older_tokens);
    match tokens.fold(false, |found, token| found | same_text(&given, token)) {
        true => Ok(()),
        false => refuse(format!("the token in the {place} is wrong")),
    }
}

/// Compares two texts without telling their length or where they differ: what is compared is their hashes.
fn same_text(a: &str, b: &str) -> bool {
    !b.is_empty() && sha2::Sha256::digest(a).ct_eq(&sha2::Sha256::digest(b)).into()
}

/// Whether the request is signed; gives the signature's bytes.
///
/// # Errors
/// `Unauthorized`: a header is missing, the signature wrong, or its timestamp too far from `cx.now`.
pub fn hmac(spec: &Hmac, cx: &HookCx<'_>) -> Result<Vec<u8>, HookRefusal> {
    let given = signatures(spec, header(cx, &spec.header)?);
    let stamp = spec.timestamp.as_ref().map(|t| timestamp_text(spec, t, cx)).transpose()?;
    let parts = signed_parts(spec, cx, stamp)?;
    let found = std::iter::once(&spec.secret).chain(&spec.older_secrets).fold(None, |found, secret| {
        let Ok(key) = key(secret, spec.secret_encoding) else { return found };
        let right = mac(spec.algorithm, &key, &parts);
        let fits = given.iter().fold(false, |fits, one| fits | bool::from(one.as_slice().ct_eq(&right)));
        found.or(fits.then_some(right))
    });
    let Some(found) = found else {
        return refuse(format!("the signature in the header `{}` does not match", spec.header));
    };
    if let (Some(timestamp), Some(text)) = (&spec.timestamp, stamp) {
        fresh(timestamp, text, cx.now)?;
    }
    Ok(found)
}

/// What a header offers as signatures, decoded. What cannot be one is passed over: senders announce new schemes so.
fn signatures(spec: &Hmac, value: &str) -> Vec<Vec<u8>> {
    entries(spec, value)
        .filter_map(|entry| entry.strip_prefix(spec.prefix.as_str()))
        .filter_map(|text| match spec.encoding {
            Encoding::Hex => hex::decode(text).ok(),
            Encoding::Base64 => BASE64.decode(text).ok(),
            Encoding::Base64url => BASE64_URL.decode(text).ok(),
        })
        .take(MAX_SIGNATURES)
        .collect()
}

fn entries<'a>(spec: &'a Hmac, value: &'a str) -> impl Iterator<Item = &'a str> {
    // A separator that never occurs leaves the value whole.
    let separator = spec.separator.as_deref().filter(|s| !s.is_empty()).unwrap_or("\n");
    value.split(separator).map(str::trim)
}

fn timestamp_text<'a>(spec: &'a Hmac, timestamp: &'a Timestamp, cx: &HookCx<'a>) -> Result<&'a str, HookRefusal> {
    let value = header(cx, &timestamp.header)?;
    let text = match timestamp.header.eq_ignore_ascii_case(&spec.header) {
        true => entries(spec, value).find_map(|entry| entry.strip_prefix(timestamp.prefix.as_str())),
        false => value.strip_prefix(timestamp.prefix.as_str()),
    };
    text.ok_or_else(|| HookRefusal::Unauthorized(format!("the header `{}` has no timestamp", timestamp.header)))
}

fn signed_parts<'a>(spec: &'a Hmac, cx: &HookCx<'a>, stamp: Option<&'a str>) -> Result<Vec<&'a [u8]>, HookRefusal> {
    let part = |part: &'a Part| match part {
        Part::Body => Ok(cx.body),
        Part::Url => Ok(cx.url.as_bytes()),
        Part::Header(name) => header(cx, name).map(str::as_bytes),
        Part::Text(text) => Ok(text.as_bytes()),
        Part::Timestamp => match stamp {
            Some(text) => Ok(text.as_bytes()),
            None => refuse("this hook names no header for its timestamp"),
        },
    };
    spec.signed.iter().map(part).collect()
}

fn fresh(timestamp: &Timestamp, text: &str, now: DateTime<Utc>) -> Result<(), HookRefusal> {
    let at = text.parse::<i64>().ok().and_then(|unix| match unix.abs() < FIRST_MILLIS {
        true => DateTime::from_timestamp(unix, 0),
        false => DateTime::from_timestamp_millis(unix),
    });
    let Some(at) = at.or_else(|| DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())) else {
        return refuse(format!("the timestamp in the header `{}` cannot be read", timestamp.header));
    };
    match now.signed_duration_since(at).abs().to_std() {
        Ok(off) if off <= timestamp.tolerance.duration() => Ok(()),
        _ => refuse(format!(
            "the timestamp in the header `{}` lies more than {} from our clock",
            timestamp.header, timestamp.tolerance
        )),
    }
}

/// The key's bytes.
///
/// # Errors
/// What is wrong with the secret's text, without the text.
pub fn key(secret: &str, encoding: SecretEncoding) -> Result<Vec<u8>, &'static str> {
    let key = match encoding {
        SecretEncoding::Text => secret.as_bytes().to_vec(),
        SecretEncoding::Hex => hex::decode(secret.trim()).map_err(|_| "must be hexadecimal digits, two a byte")?,
        SecretEncoding::Base64 => {
            let text = secret.trim();
            BASE64.decode(text.strip_prefix("whsec_").unwrap_or(text)).map_err(|_| "must be base64")?
        }
    };
    match key.is_empty() {
        true => Err("must not be empty: anybody could sign with it"),
        false => Ok(key),
    }
}

fn mac(algorithm: Algorithm, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    fn over<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().to_vec()
    }
    match algorithm {
        Algorithm::Sha1 => over::<hmac::Hmac<sha1::Sha1>>(key, parts),
        Algorithm::Sha256 => over::<hmac::Hmac<sha2::Sha256>>(key, parts),
        Algorithm::Sha512 => over::<hmac::Hmac<sha2::Sha512>>(key, parts),
    }
}

fn refuse<T>(why: impl Into<String>) -> Result<T, HookRefusal> {
    Err(HookRefusal::Unauthorized(why.into()))
}
