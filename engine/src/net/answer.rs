//! An answer, and what its status means to a caller that knows no more than HTTP.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use encoding_rs::{Encoding, UTF_8};
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, StatusCode};
use serde_json::Value;
use url::Url;

use super::failure::{place, printable};
use crate::fault::Fault;

/// Characters of a body that an error shows.
const EXCERPT: usize = 120;
/// A `Retry-After` further away is taken as this far: the engine has its own, lower maximum.
const MAX_RETRY_AFTER: TimeDelta = TimeDelta::days(30);

/// What a server answered, its body whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers; of a compressed answer without its encoding.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
    /// Where the answer came from, after redirects.
    pub url: Url,
}

impl Answer {
    /// A header's value, where it is text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON. Broken UTF-8 becomes U+FFFD.
    ///
    /// # Errors
    /// `Later`: a page in place of the data is mostly a passing trouble. Says the content type and how the body begins.
    pub fn json(&self) -> Result<Value, Fault> {
        let body = self.body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&self.body);
        let parsed = match std::str::from_utf8(body) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_str(&self.text()),
        };
        parsed.map_err(|e| {
            let kind = self.header(CONTENT_TYPE).map_or("no content type".to_owned(), |kind| printable(kind, 60));
            Fault::later(format!("{} did not answer with JSON ({e}): {kind}, {}", place(&self.url), self.beginning()))
        })
    }

    /// The body as text, by its byte order mark, its charset or as UTF-8; what cannot be decoded becomes U+FFFD.
    pub fn text(&self) -> String {
        let encoding = self.charset().and_then(|label| Encoding::for_label(label.as_bytes())).unwrap_or(UTF_8);
        encoding.decode(&self.body).0.into_owned()
    }

    /// The charset that the content type names.
    pub fn charset(&self) -> Option<&str> {
        let params = self.header(CONTENT_TYPE)?.split(';').skip(1);
        params.filter_map(|param| param.split_once('=')).find_map(|(name, value)| {
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
        })
    }

    /// How the body begins, for a sentence.
    pub fn beginning(&self) -> String {
        if self.body.is_empty() {
            return "an empty body".to_owned();
        }
        let start = &self.body[..self.body.len().min(4 * EXCERPT + 4)];
        format!("beginning with `{}`", printable(String::from_utf8_lossy(start).trim(), EXCERPT))
    }

    /// When the server wants to be asked again.
    pub fn retry_after(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let text = self.header(RETRY_AFTER)?.trim();
        let latest = now + MAX_RETRY_AFTER;
        match text.parse::<u32>() {
            Ok(seconds) => Some((now + TimeDelta::seconds(seconds.into())).min(latest)),
            Err(_) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => Some(latest),
            Err(_) => Some(DateTime::parse_from_rfc2822(text).ok()?.to_utc().clamp(now, latest)),
        }
    }

    /// What the status means to a caller without an account:
    ///
    /// - 2xx and 304: nothing is wrong.
    /// - 408, 421, 423, 425, 429 and 5xx, and any other failure with a `Retry-After`: `Later`. What a gateway or a crash
    ///   left open may have been done.
    /// - Other redirects, 501, 505 and the rest of 4xx: `Rejected`; the same request cannot succeed.
    pub fn fault(&self, now: DateTime<Utc>) -> Option<Fault> {
        let status = self.status.as_u16();
        if matches!(status, 200..=299 | 304) {
            return None;
        }
        let not_before = self.retry_after(now);
        let passing = matches!(status, 408 | 421 | 423 | 425 | 429) || (status >= 500 && !matches!(status, 501 | 505));
        let why = format!("{} answered {}{}", place(&self.url), self.status, self.hint());
        if passing || (status >= 400 && not_before.is_some()) {
            let maybe_done = status >= 500 && status != 503;
            return Some(Fault::Later { not_before, why, maybe_done });
        }
        Some(Fault::rejected(why))
    }

    fn hint(&self) -> String {
        match self.status.as_u16() {
            401 | 407 => ": credentials are missing or wrong".to_owned(),
            403 => ": the credentials, if any, do not allow this".to_owned(),
            404 | 410 => ": there is nothing at this address".to_owned(),
            405 => ": the method is not allowed there".to_owned(),
            300..=399 => match self.header(LOCATION).and_then(|to| self.url.join(to).ok()) {
                Some(to) => format!(": it redirects to {}, which was not followed", place(&to)),
                None => ": a redirect that leads nowhere".to_owned(),
            },
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: map,
            body: Bytes::copy_from_slice(body),
            url: Url::parse("https://a.example/x?key=SECRET").unwrap(),
        }
    }

    fn now() -> DateTime<Utc> {
        "2026-11-06T08:49:00Z".parse().unwrap()
    }

    #[test]
    fn a_status_says_what_to_do_next() {
        let check = |status: u16, want: &str| {
            let fault = answer(status, &[], b"").fault(now());
            let got = match &fault {
                None => "fine",
                Some(Fault::Later { maybe_done: false, .. }) => "later",
                Some(Fault::Later { maybe_done: true, .. }) => "maybe",
                Some(Fault::Rejected { .. }) => "rejected",
                Some(_) => "other",
            };
            assert_eq!(got, want, "{status}");
            assert!(!format!("{fault:?}").contains("SECRET"));
        };
        [200, 201, 204, 206, 304].iter().for_each(|&s| check(s, "fine"));
        [408, 421, 423, 425, 429, 503].iter().for_each(|&s| check(s, "later"));
        [500, 502, 504, 507, 520].iter().for_each(|&s| check(s, "maybe"));
        [301, 302, 400, 401, 403, 404, 409, 410, 422, 451, 501, 505].iter().for_each(|&s| check(s, "rejected"));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_never_in_the_past_or_for_ever() {
        let check = |value: &str, want: Option<&str>| {
            let got = answer(429, &[("retry-after", value)], b"").retry_after(now());
            assert_eq!(got, want.map(|at| at.parse().unwrap()), "{value}");
        };
        check("120", Some("2026-11-06T08:51:00Z"));
        check("0", Some("2026-11-06T08:49:00Z"));
        check("Fri, 06 Nov 2026 08:49:37 GMT", Some("2026-11-06T08:49:37Z"));
        check("Fri, 06 Nov 2020 08:49:37 GMT", Some("2026-11-06T08:49:00Z"));
        check("99999999999999999999", Some("2026-12-06T08:49:00Z"));
        check("4294967295", Some("2026-12-06T08:49:00Z"));
        check("soon", None);
        check("", None);
        check("-5", None);
    }

    #[test]
    fn a_refusal_that_names_a_time_is_passing() {
        let fault = answer(403, &[("retry-after", "60")], b"").fault(now()).unwrap();
        assert!(matches!(fault, Fault::Later { not_before: Some(at), .. } if at == now() + TimeDelta::seconds(60)));
    }

    #[test]
    fn garbage_in_place_of_json_is_described() {
        let check = |kind: &[(&str, &str)], body: &[u8], want: &str| {
            let fault = answer(200, kind, body).json().unwrap_err();
            assert!(matches!(&fault, Fault::Later { .. }) && fault.why().contains(want), "{fault:?}");
            assert!(fault.why().chars().count() < 400 && !fault.why().contains(char::is_control), "{fault:?}");
        };
        check(
            &[("content-type", "text/html")],
            b"<!doctype html>\n<p>",
            "text/html, beginning with `<!doctype html> <p>`",
        );
        check(&[], b"", "no content type, an empty body");
        check(&[], &[0, 1, 2, 255], "beginning with");
        check(&[], "x".repeat(5000).as_bytes(), "x…`");
        check(&[], b"{\"a\":", "EOF");
        check(&[], "[".repeat(100_000).as_bytes(), "recursion limit");
    }

    #[test]
    fn text_is_decoded_by_mark_charset_or_as_utf8() {
        let latin = [("content-type", "text/plain; charset=\"ISO-8859-1\"")];
        assert_eq!(answer(200, &latin, b"caf\xe9").text(), "café");
        assert_eq!(answer(200, &[], "café".as_bytes()).text(), "café");
        assert_eq!(answer(200, &latin, b"\xEF\xBB\xBFcaf\xc3\xa9").text(), "café");
        assert_eq!(answer(200, &[], b"a\xffb").text(), "a\u{FFFD}b");
        assert_eq!(answer(200, &[], b"\xEF\xBB\xBF{\"a\":1}").json().unwrap()["a"], 1);
        assert_eq!(answer(200, &[], b"{\"a\":\"x\xff\"}").json().unwrap()["a"], "x\u{FFFD}");
    }
}
