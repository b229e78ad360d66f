//! Asking "has it changed?": what a server gave to ask with, and a hash of the body for servers that gave nothing. A part of
//! a cursor.
//!
//! A `Last-Modified` that is as young as the answer is not trusted: the document may change again within the same second,
//! and a server that counts in seconds (and makes its ETag of them, as nginx does) would answer 304 for ever.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use engine::net::{Answer, Call};
use reqwest::StatusCode;
use reqwest::header::{DATE, ETAG, HeaderName, LAST_MODIFIED};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A document must have rested so long before its validators are trusted.
const REST: TimeDelta = TimeDelta::seconds(2);
/// A validator longer than this is not kept.
const MAX_BYTES: usize = 1024;

/// What is known of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl Known {
    /// Makes a request conditional.
    ///
    /// # Errors
    /// Where a validator cannot be sent.
    pub fn ask(&self, mut call: Call) -> Result<Call, Fault> {
        if let Some(etag) = &self.etag {
            call = call.header("if-none-match", etag)?;
        }
        if let Some(modified) = &self.modified {
            call = call.header("if-modified-since", modified)?;
        }
        Ok(call)
    }

    /// What to keep of an answer with a body.
    pub fn of(answer: &Answer, now: DateTime<Utc>) -> Self {
        let digest = Sha256::digest(&answer.body);
        let body = Some(BASE64.encode(&digest[..16]));
        let date = |name| DateTime::parse_from_rfc2822(answer.header(name)?).ok().map(|at| at.to_utc());
        let rested = date(LAST_MODIFIED).is_none_or(|modified| date(DATE).unwrap_or(now) - modified >= REST);
        if !rested {
            return Self { body, ..Self::default() };
        }
        let text = |name: HeaderName| answer.header(name).filter(|text| text.len() <= MAX_BYTES).map(str::to_owned);
        Self { etag: text(ETAG), modified: text(LAST_MODIFIED), body }
    }

    /// Whether the document is the one that we know; `new` is what [`Known::of`] keeps of the answer.
    pub fn is_same(&self, answer: &Answer, new: &Self) -> bool {
        self.is_304(answer) || (self.body.is_some() && self.body == new.body)
    }

    /// Whether the server answered our question with "no".
    pub fn is_304(&self, answer: &Answer) -> bool {
        answer.status == StatusCode::NOT_MODIFIED && (self.etag.is_some() || self.modified.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &'static str) -> Answer {
        let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: body.into(),
            url: "http://a.example/".parse().unwrap(),
        }
    }

    fn now() -> DateTime<Utc> {
        "2026-11-06T08:49:37Z".parse().unwrap()
    }

    #[test]
    fn validators_are_kept_once_the_document_has_rested() {
        let check = |headers: &[(&'static str, &str)], etag: Option<&str>, modified: Option<&str>| {
            let known = Known::of(&answer(200, headers, "x"), now());
            assert_eq!((known.etag.as_deref(), known.modified.as_deref()), (etag, modified), "{headers:?}");
            assert!(known.body.is_some());
        };
        let (old, young) = ("Fri, 06 Nov 2026 08:49:35 GMT", "Fri, 06 Nov 2026 08:49:36 GMT");
        check(&[], None, None);
        check(&[("etag", "W/\"1\"")], Some("W/\"1\""), None);
        check(&[("etag", "\"1\""), ("last-modified", old)], Some("\"1\""), Some(old));
        check(&[("etag", "\"1\""), ("last-modified", young)], None, None);
        check(&[("last-modified", young), ("date", "Fri, 06 Nov 2026 09:49:37 GMT")], None, Some(young));
        check(&[("last-modified", old), ("date", "Fri, 06 Nov 2026 08:49:35 GMT")], None, None);
        check(&[("last-modified", "yesterday")], None, Some("yesterday"));
        check(&[("etag", &"e".repeat(5000))], None, None);
    }

    #[test]
    fn a_document_is_the_same_by_304_or_by_its_body() {
        let check = |known: &Known, answer: &Answer, want: bool| {
            assert_eq!(known.is_same(answer, &Known::of(answer, now())), want, "{known:?} {answer:?}");
        };
        let with_etag = Known::of(&answer(200, &[("etag", "\"1\"")], "x"), now());
        let plain = Known::of(&answer(200, &[], "x"), now());
        check(&with_etag, &answer(304, &[], ""), true);
        check(&with_etag, &answer(200, &[("etag", "\"2\"")], "x"), true);
        check(&with_etag, &answer(200, &[("etag", "\"1\"")], "y"), false);
        check(&plain, &answer(304, &[], ""), false);
        check(&plain, &answer(200, &[], "x"), true);
        check(&Known::default(), &answer(200, &[], "x"), false);
        check(&Known::default(), &answer(304, &[], ""), false);
    }
}
