//! What every request gets: an id, a time limit, a line in the log and a place in the metrics, and an answer even where a handler
//! broke. What every answer gets: the headers that keep browsers from guessing, framing and storing. Paths are logged as routes,
//! never as they came: a hook's path is its key.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

use super::REQUEST_TIMEOUT;
use super::problem::{Kind, Problem};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of a request's id that we take over from the caller.
const REQUEST_ID_CHARS: usize = 64;
/// Nothing may be loaded by an answer of the API; pages say more.
const CSP: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// See the module. `tls`: browsers reach the API by TLS, and are told to never do otherwise.
pub async fn layer(State(tls): State<bool>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers());
    let method = request.method().to_string();
    let route = request.extensions().get::<MatchedPath>().map_or("none", |path| path.as_str()).to_owned();
    let private = request.uri().path().starts_with("/v1");
    let span = tracing::info_span!("request", %method, route, id = id.to_str().unwrap_or_default());
    let mut response = answer(request, next, REQUEST_TIMEOUT).instrument(span.clone()).await;
    let (status, took) = (response.status().as_u16(), began.elapsed());
    span.in_scope(|| tracing::debug!(status, ms = took.as_secs_f64() * 1000.0, "answered"));
    let labels = [("method", method), ("route", route), ("status", status.to_string())];
    metrics::histogram!("area_http_request_seconds", &labels).record(took.as_secs_f64());
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    dress(headers, private, tls);
    response
}

async fn answer(request: Request, next: Next, limit: Duration) -> Response {
    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => Problem::internal("a handler panicked").into_response(),
        Err(_) => {
            let detail = format!("the answer took longer than {} s", limit.as_secs());
            Problem::new(Kind::Timeout, detail).into_response()
        }
    }
}

fn dress(headers: &mut HeaderMap, private: bool, tls: bool) {
    let mut put = |name: HeaderName, value: HeaderValue| {
        headers.entry(name).or_insert(value);
    };
    put(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    put(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Not `no-referrer`: with it a browser says that its forms come from nowhere.
    put(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    put(CONTENT_SECURITY_POLICY, CSP);
    put(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    put(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    if tls {
        put(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if private {
        put(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// The caller's id for the request where it is a plain one, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let plain = |value: &&HeaderValue| {
        let fits = (1..=REQUEST_ID_CHARS).contains(&value.len());
        fits && value.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
    };
    let given = headers.get(REQUEST_ID).filter(plain).cloned();
    given.unwrap_or_else(|| {
        HeaderValue::try_from(Uuid::now_v7().to_string()).unwrap_or(HeaderValue::from_static("none"))
    })
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    async fn broken() -> &'static str {
        panic!("on purpose")
    }

    async fn check(limit: Duration, path: &str, want: StatusCode) {
        let routes = Router::new()
            .route("/slow", get(std::future::pending::<&'static str>))
            .route("/broken", get(broken))
            .route("/fine", get(async || "fine"))
            .layer(from_fn(move |request, next| answer(request, next, limit)));
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        assert_eq!(routes.oneshot(request).await.unwrap().status(), want, "{path}");
    }

    #[tokio::test]
    async fn a_handler_that_hangs_or_breaks_is_answered_for() {
        check(Duration::from_millis(20), "/slow", StatusCode::GATEWAY_TIMEOUT).await;
        check(REQUEST_TIMEOUT, "/broken", StatusCode::INTERNAL_SERVER_ERROR).await;
        check(REQUEST_TIMEOUT, "/fine", StatusCode::OK).await;
    }
}
