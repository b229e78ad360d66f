//! Where a request goes, as far as a stored URL tells: a credential's origin is fixed when it is saved (law 7).

use serde_json::Value;
use url::Url;

use crate::net::literal_origin;

/// Scheme, host and port of a URL or URL template; what has no fixed origin is its own.
pub fn of(url: &str) -> String {
    match literal_origin(url).and_then(|url| Url::parse(url).ok()) {
        Some(parsed) if parsed.has_host() => parsed.origin().ascii_serialization(),
        _ => url.to_owned(),
    }
}

/// Whether there is something at a place that could be secret.
pub fn is_given(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (url, origin) in [
            ("https://API.example.com/a?b", "https://api.example.com"),
            ("https://api.example.com:443/{{ event.id }}", "https://api.example.com"),
            ("http://api.example.com:8080?x={{ event.id }}", "http://api.example.com:8080"),
            ("https://{{ event.host }}/", "https://{{ event.host }}/"),
            ("https://api.example.com{{ event.path }}", "https://api.example.com{{ event.path }}"),
            ("{{ event.url }}", "{{ event.url }}"),
            ("not a url", "not a url"),
        ] {
            assert_eq!(of(url), origin, "{url}");
        }
    }
}
