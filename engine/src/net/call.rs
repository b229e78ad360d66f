//! A request, built step by step. What a caller may not set is refused here: the headers that frame a message belong to the
//! client, and a second `Host` would lead past the guard.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::failure::place;
use crate::fault::Fault;
use crate::secret::Secret;

/// Headers that the client writes itself.
const OWN_HEADERS: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "proxy-authorization",
    "proxy-connection",
    "accept-encoding",
];

/// One request. `Debug` shows neither query nor headers nor body.
#[derive(Clone)]
pub struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) timeout: Option<Duration>,
    pub(super) max_body: Option<usize>,
    pub(super) follows: bool,
}

impl Call {
    /// A request to `url`, not yet looked at by the guard.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: None,
            max_body: None,
            follows: true,
        }
    }

    /// A GET.
    ///
    /// # Errors
    /// `Rejected` where `url` is no URL that may be called.
    pub fn get(url: &str) -> Result<Self, Fault> {
        Ok(Self::new(Method::GET, super::parse_url(url).map_err(Fault::rejected)?))
    }

    /// Where it goes.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The same request to another URL. It keeps its headers: the caller sees to it that they may go there.
    pub fn to(mut self, url: Url) -> Self {
        self.url = url;
        self
    }

    /// Whether a header of this name is set.
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// Sets a header; a former value of that name goes.
    ///
    /// # Errors
    /// `Rejected` where the name or the value cannot be sent, or the client writes that header itself. Never shows the value.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Fault> {
        let (name, value) = header(name, value).map_err(Fault::rejected)?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Sets `Authorization: Bearer …`.
    ///
    /// # Errors
    /// `Rejected` where the token holds what a header cannot carry.
    pub fn bearer(mut self, token: &Secret) -> Result<Self, Fault> {
        let (name, value) =
            header(AUTHORIZATION.as_str(), &format!("Bearer {}", token.expose())).map_err(Fault::rejected)?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Sends `value` as JSON.
    pub fn json(self, value: &Value) -> Self {
        self.body("application/json", value.to_string())
    }

    /// Sends `pairs` as a form.
    pub fn form<K: AsRef<str>, V: AsRef<str>>(self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.body("application/x-www-form-urlencoded", text)
    }

    /// Sends `body`, as `content_type` unless the caller set a type of its own.
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(content_type));
        self.body = body.into();
        self
    }

    /// A time of its own for the whole call, at most an hour.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout.min(Duration::from_secs(3600)));
        self
    }

    /// Hands a redirect back instead of following it: what is sent is for this address alone.
    pub fn stay(mut self) -> Self {
        self.follows = false;
        self
    }

    /// A cap of its own on the answer, in bytes; where a user gave the URL, none above the configured one.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = Some(bytes);
        self
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, place(&self.url))
    }
}

/// Checks one header as a caller gave it.
///
/// # Errors
/// One sentence that never shows the value.
pub fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let name: HeaderName = name.parse().map_err(|_| format!("`{}` is no header name", super::printable(name, 80)))?;
    if OWN_HEADERS.contains(&name.as_str()) {
        return Err(format!("the header `{name}` is written by the client itself and cannot be set"));
    }
    let mut value = HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| format!("the value of the header `{name}` has a line break or another control character"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Call {
        Call::get("https://a.example/x?key=SECRET").unwrap()
    }

    #[test]
    fn headers_of_the_client_and_headers_that_smuggle_are_refused_without_their_value() {
        let check = |name: &str, value: &str, want: &str| {
            let why = call().header(name, value).unwrap_err().why().to_owned();
            assert!(why.contains(want) && !why.contains("SECRET"), "{why}");
        };
        for name in ["Host", "content-length", "Transfer-Encoding", "Connection", "Proxy-Authorization"] {
            check(name, "SECRET", "written by the client");
        }
        check("X-A", "SECRET\r\nX-B: 1", "line break");
        check("X-A", "SECRET\u{0}", "line break");
        check("X A", "SECRET", "no header name");
        check("", "SECRET", "no header name");
    }

    #[test]
    fn nothing_secret_shows_in_debug() {
        let call = call().bearer(&Secret::new("SECRET")).unwrap().json(&serde_json::json!({"a": "SECRET"}));
        assert_eq!(format!("{call:?}"), "GET https://a.example/x");
    }

    #[test]
    fn a_body_sets_its_type_unless_the_caller_did() {
        let form = call().form([("a b", "ä&")]);
        assert_eq!(form.body, "a+b=%C3%A4%26");
        assert_eq!(form.headers[CONTENT_TYPE], "application/x-www-form-urlencoded");
        let own = call().header("Content-Type", "application/ld+json").unwrap().json(&serde_json::json!([1]));
        assert_eq!((&*own.body, own.headers[CONTENT_TYPE].as_bytes()), (&b"[1]"[..], &b"application/ld+json"[..]));
    }
}
