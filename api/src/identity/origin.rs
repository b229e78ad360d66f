//! Whether a page of somebody else's makes a browser ask. A browser says where a request comes from in headers that scripts cannot
//! set; a request that changes something with a cookie as its proof must come from our own pages.

use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, Method};
use url::Url;

/// Whether a request may rest on its cookie.
pub fn is_ours(method: &Method, headers: &HeaderMap, public: &Url) -> bool {
    if method.is_safe() {
        return true;
    }
    match (text(headers, "sec-fetch-site"), text(headers, ORIGIN.as_str())) {
        (Some(site), None) => matches!(site, "same-origin" | "none"),
        // Older browsers say the origin alone; a newer one says both, and both must fit.
        (site, Some(origin)) => {
            origin == public.origin().ascii_serialization() && site.is_none_or(|s| s == "same-origin")
        }
        // Every browser says one of them with such a request.
        (None, None) => false,
    }
}

/// Whether a page of somebody else's asks, as far as the browser says so: for requests that need no proof, as a sign-in.
pub fn is_foreign(headers: &HeaderMap, public: &Url) -> bool {
    let said = headers.contains_key("sec-fetch-site") || headers.contains_key(ORIGIN);
    said && !is_ours(&Method::POST, headers, public)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_carries_a_change_only_from_our_own_pages() {
        let public: Url = "https://area.example:8443/base/".parse().unwrap();
        let check = |method: Method, site: Option<&str>, origin: Option<&str>, want: bool| {
            let mut headers = HeaderMap::new();
            site.map(|s| headers.insert("sec-fetch-site", s.parse().unwrap()));
            origin.map(|o| headers.insert(ORIGIN, o.parse().unwrap()));
            assert_eq!(is_ours(&method, &headers, &public), want, "{method} {site:?} {origin:?}");
        };
        let ours = Some("https://area.example:8443");
        check(Method::GET, Some("cross-site"), None, true);
        check(Method::POST, Some("same-origin"), ours, true);
        check(Method::POST, Some("same-origin"), None, true);
        check(Method::POST, Some("none"), None, true);
        check(Method::POST, None, ours, true);
        check(Method::DELETE, None, None, false);
        check(Method::POST, Some("same-site"), ours, false);
        check(Method::POST, Some("cross-site"), None, false);
        check(Method::POST, Some("same-origin"), Some("https://evil.example"), false);
        check(Method::POST, None, Some("null"), false);
        check(Method::POST, None, Some("https://area.example"), false);
        check(Method::POST, None, Some("http://area.example:8443"), false);
        let none = HeaderMap::new();
        assert!(!is_foreign(&none, &public), "a program says nothing");
    }
}
