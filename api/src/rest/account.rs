//! `/account`: the page that mailed links lead to. It reads the token behind the `#`, asks for what the link needs and sends both to
//! the API; it keeps nothing.

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::App;

const BODY: &str = include_str!("account.html");
const SCRIPT: &str = include_str!("account.js");
const STYLE: &str = include_str!("docs.css");

/// The route.
pub fn routes() -> Router<Arc<App>> {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    let csp = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; form-action 'none'; \
         frame-ancestors 'none'; base-uri 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>AREA Runner: your account</title><style>{STYLE}</style><main>{BODY}</main><script>{SCRIPT}</script></html>"
    );
    let page: Arc<str> = page.into();
    let serve = move || {
        let headers: [(HeaderName, String); 3] = [
            (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
            (CONTENT_SECURITY_POLICY, csp.clone()),
            (CACHE_CONTROL, "no-store".to_owned()),
        ];
        std::future::ready((headers, page.to_string()))
    };
    Router::new().route("/account", get(serve))
}
