//! `/hooks/{key}`: requests of others. The key is the proof of who may call; what it says is believed only after verification.
//! An answer of 2xx means that the event is durable.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{OriginalUri, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use engine::hooks::{self, HookAnswer, Request};
use serde_json::json;

use crate::identity::throttled;
use crate::rest::auth::From;
use crate::rest::problem::{Kind, Problem};
use crate::rest::query::PathVars;
use crate::rest::{App, body};

/// When a sender may try again after 429 and 503, in seconds.
const AGAIN: HeaderValue = HeaderValue::from_static("5");

/// Takes an event at a hook URL.
///
/// The key in the URL names the AREA; its `verify` says how a request is proved. 202: the event is recorded for good.
#[utoipa::path(method(post, head), path = "/hooks/{key}", tag = "Hooks", operation_id = "receiveHook",
    params(("key" = String, Path, description = "The key in the AREA's `hook_url`")),
    request_body(content = String, content_type = "application/json", description = "JSON, a form or text"),
    responses((status = 202, description = "Recorded: `{\"event\": id}`, or `{\"duplicate\": true}`, or `{\"dropped\": reason}`"),
        (status = 401, description = "The signature or token does not fit"),
        (status = 404, description = "No hook has this key"),
        (status = 410, description = "The AREA was deleted"),
        (status = 429, description = "The backlog is full: try again later"),
        (status = 503, description = "The database is away: try again later")))]
pub async fn receive(
    State(app): State<Arc<App>>,
    From(origin): From,
    path: PathVars,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    if !origin.address.is_here() {
        throttled(&app.identity.throttle.hooks_address, origin.address.counted())?;
    }
    let bytes = bytes.map_err(|e| body::unread(&e))?;
    let headers: Vec<(String, String)> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    if method == Method::HEAD {
        return answered(hooks::known(&app.engine, path.text("key")).await);
    }
    let base = app.public_url.as_str().trim_end_matches('/');
    let url = format!("{base}{}", uri.path_and_query().map_or("/", |p| p.as_str()));
    let query = uri.query().unwrap_or_default();
    let request = Request { method: method.as_str(), url: &url, query, headers: &headers, body: &bytes };
    answered(hooks::receive(&app.engine, path.text("key"), &request).await)
}

/// What a sender is told.
fn answered(answer: HookAnswer) -> Result<Response, Problem> {
    let accepted = |json| Ok((StatusCode::ACCEPTED, Json(json)).into_response());
    match answer {
        HookAnswer::Handshake(text) => Ok((StatusCode::OK, text).into_response()),
        HookAnswer::Accepted(event) => accepted(json!({ "event": event })),
        HookAnswer::Duplicate => accepted(json!({ "duplicate": true })),
        HookAnswer::Dropped(event) => accepted(json!({ "event": event, "dropped": "the AREA is paused by its user" })),
        HookAnswer::Unknown => Err(Problem::new(Kind::NotFound, "no hook has this key")),
        HookAnswer::Gone => Err(Problem::new(Kind::Gone, "the AREA of this hook was deleted: stop sending")),
        HookAnswer::Unauthorized(why) => Err(Problem::unauthorized(&why, "Signature")),
        HookAnswer::Malformed(why) => Err(Problem::new(Kind::Malformed, why)),
        HookAnswer::TooMany => {
            Err(Problem::new(Kind::TooMany, "the backlog is full: send it again later").with(RETRY_AFTER, AGAIN))
        }
        HookAnswer::Away => Err(Problem::unavailable()),
    }
}
