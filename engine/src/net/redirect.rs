//! Where an answer sends a call on, and what of the call may go there.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use url::Url;

use super::call::Call;
use super::failure::{Failure, place};

/// What may follow a call to another origin. Everything else that a caller set may be a credential.
const HARMLESS: &[&str] = &["accept", "accept-language", "user-agent", "idempotency-key"];

/// The URL that an answer redirects to; `None` where it does not.
pub(super) fn target(status: StatusCode, headers: &HeaderMap, from: &Url) -> Option<Result<Url, Failure>> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = headers.get(LOCATION)?;
    let to = std::str::from_utf8(location.as_bytes()).ok().and_then(|to| from.join(to).ok());
    Some(to.ok_or_else(|| Failure::refused(format!("{} redirects to what is no URL", place(from)))))
}

/// Turns `call` to the redirect's target.
///
/// # Errors
/// Where a body would have to go to another origin: it may hold what only the first one may know.
pub(super) fn follow(call: &mut Call, status: StatusCode, to: Url) -> Result<(), Failure> {
    let keeps_method = matches!(status.as_u16(), 307 | 308) || matches!(call.method, Method::GET | Method::HEAD);
    if !keeps_method {
        call.method = Method::GET;
        call.body = Bytes::new();
        call.headers.remove(CONTENT_TYPE);
    }
    if to.origin() != call.url.origin() {
        if !call.body.is_empty() {
            let (from, to) = (place(&call.url), place(&to));
            return Err(Failure::refused(format!(
                "{from} redirects to {to}: a body is not sent on to another origin; use the new address"
            )));
        }
        let mut harmless = HeaderMap::new();
        for name in HARMLESS {
            let (name, value) = (HeaderName::from_static(name), call.headers.get(*name));
            value.map(|value| harmless.insert(name, value.clone()));
        }
        call.headers = harmless;
    }
    call.url = to;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: Method) -> Call {
        let call = Call::new(method, Url::parse("https://a.example/x").unwrap());
        let call = call.header("X-Api-Key", "k").unwrap().header("Accept", "a/b").unwrap();
        call.header("Authorization", "Bearer t").unwrap().header("Idempotency-Key", "1").unwrap()
    }

    fn check(mut call: Call, status: u16, to: &str, want: Result<(&str, &[&str], bool), &str>) {
        let to = call.url.join(to).unwrap();
        let done = follow(&mut call, StatusCode::from_u16(status).unwrap(), to);
        let mut names: Vec<_> = call.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        match want {
            Ok((method, headers, body)) => {
                assert_eq!(done, Ok(()));
                assert_eq!((call.method.as_str(), names, !call.body.is_empty()), (method, headers.to_vec(), body));
            }
            Err(part) => assert!(done.unwrap_err().fault.why().contains(part)),
        }
    }

    #[test]
    fn credentials_stay_at_their_origin() {
        let all: &[&str] = &["accept", "authorization", "idempotency-key", "x-api-key"];
        let harmless: &[&str] = &["accept", "idempotency-key"];
        check(call(Method::GET), 302, "/y", Ok(("GET", all, false)));
        check(call(Method::GET), 302, "https://a.example:443/y", Ok(("GET", all, false)));
        for to in ["https://b.example/", "http://a.example/x", "https://a.example:8443/", "//b.example/"] {
            check(call(Method::GET), 302, to, Ok(("GET", harmless, false)));
            check(call(Method::HEAD), 307, to, Ok(("HEAD", harmless, false)));
        }
    }

    #[test]
    fn a_body_is_repeated_at_its_origin_alone() {
        let post = || call(Method::POST).body("text/plain", "b");
        let all: &[&str] = &["accept", "authorization", "content-type", "idempotency-key", "x-api-key"];
        check(post(), 307, "/y", Ok(("POST", all, true)));
        check(post(), 308, "https://b.example/", Err("a body is not sent on to another origin"));
        check(post(), 303, "/y", Ok(("GET", &["accept", "authorization", "idempotency-key", "x-api-key"], false)));
        check(post(), 301, "https://b.example/", Ok(("GET", &["accept", "idempotency-key"], false)));
    }

    #[test]
    fn only_redirects_that_say_where_are_redirects() {
        let from = Url::parse("https://a.example/x/y").unwrap();
        let check = |status: u16, location: Option<&[u8]>, want: Option<Option<&str>>| {
            let mut headers = HeaderMap::new();
            location.map(|to| headers.insert(LOCATION, http::HeaderValue::from_bytes(to).unwrap()));
            let got = target(StatusCode::from_u16(status).unwrap(), &headers, &from);
            assert_eq!(got.map(|to| to.ok().map(String::from)), want.map(|to| to.map(str::to_owned)));
        };
        check(302, Some(b"z?a=b"), Some(Some("https://a.example/x/z?a=b")));
        check(301, Some("/é".as_bytes()), Some(Some("https://a.example/%C3%A9")));
        check(308, Some(b"http://"), Some(None));
        check(307, Some(b"\xff"), Some(None));
        check(302, None, None);
        check(304, Some(b"/z"), None);
        check(200, Some(b"/z"), None);
    }
}
