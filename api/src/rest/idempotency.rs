//! `Idempotency-Key` on POST: the same key with the same request gives the same answer, however often it is sent and even when the
//! first try died on the way; with another request it is refused. Keys are the user's own and are kept for a named time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use engine::clock::Micros;
use engine::ids::UserId;
use engine::store::idempotency::{self, Answer, Key};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::problem::{Kind, Problem};
use super::{App, BODY_BYTES, REQUEST_TIMEOUT, body};
use crate::identity::caller::Caller;
use crate::identity::rights::Need;

/// The request's header.
const HEADER: &str = "idempotency-key";
/// The header of an answer that is a repetition.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Characters of a key.
const KEY_CHARS: usize = 255;
/// Bytes of an answer that is kept.
const ANSWER_BYTES: usize = 4 * BODY_BYTES;
/// After this long a request that was begun has died, and a repetition takes it up.
const STALE: Duration = REQUEST_TIMEOUT.saturating_mul(2);
/// How long keys are kept, at least.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// An id that is the same for every try of one request: what is made may take it.
#[derive(Clone, Copy, Debug)]
pub struct Seed(pub Uuid);

/// See the module.
pub async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(HEADER) {
        return next.run(request).await;
    }
    // Hooks are called by others, with headers of their own. What is only a signed-in person's may answer with a secret, which is
    // kept nowhere.
    let need = request.extensions().get::<Need>();
    if need.is_none_or(|need| matches!(need, Need::Anyone | Need::Person)) {
        return next.run(request).await;
    }
    work(&app, request, next).await.unwrap_or_else(IntoResponse::into_response)
}

async fn work(app: &App, request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, content) = request.into_parts();
    let key = key(&parts.headers)?;
    let caller = parts.extensions.get::<Caller>().ok_or_else(|| Problem::internal("a key without a caller"))?;
    let user = caller.user;
    let content = to_bytes(content, BODY_BYTES).await.map_err(|_| body::too_large())?;
    let fingerprint = fingerprint(&parts.method, &parts.uri.to_string(), &content);
    let (db, now) = (&app.desk.db, app.desk.clock.micros());
    match idempotency::reserve(db, user, &key, &fingerprint, now, now - micros(STALE)).await? {
        Key::Answered(answer) => return repeated(answer),
        Key::Open => {
            return Err(Problem::new(
                Kind::Conflict,
                "a request with this Idempotency-Key is being worked on: try again",
            ));
        }
        Key::Other => {
            return Err(Problem::new(Kind::KeyReused, "take a new Idempotency-Key for a new request"));
        }
        Key::Yours(id) => drop(parts.extensions.insert(Seed(id))),
    }
    let response = next.run(Request::from_parts(parts, Body::from(content))).await;
    keep(app, user, &key, response).await
}

/// Keeps an answer, unless a repetition may be answered better.
async fn keep(app: &App, user: UserId, key: &str, response: Response) -> Result<Response, Problem> {
    let status = response.status();
    if status.is_server_error() || [StatusCode::TOO_MANY_REQUESTS, StatusCode::CONFLICT].contains(&status) {
        idempotency::release(&app.desk.db, user, key).await?;
        return Ok(response);
    }
    let (parts, content) = response.into_parts();
    let content = to_bytes(content, ANSWER_BYTES).await.map_err(Problem::internal)?;
    let header = |name: &HeaderName| Some((name.to_string(), parts.headers.get(name)?.to_str().ok()?.to_owned()));
    let answer = Answer {
        status: status.as_u16(),
        headers: [CONTENT_TYPE, ETAG, LOCATION].iter().filter_map(header).collect(),
        body: String::from_utf8(content.to_vec()).map_err(Problem::internal)?,
    };
    idempotency::answer(&app.desk.db, user, key, &answer).await?;
    Ok(Response::from_parts(parts, Body::from(content)))
}

fn repeated(answer: Answer) -> Result<Response, Problem> {
    let status = StatusCode::from_u16(answer.status).map_err(Problem::internal)?;
    let mut response = (status, answer.body).into_response();
    for (name, value) in answer.headers {
        let name = HeaderName::try_from(name).map_err(Problem::internal)?;
        response.headers_mut().insert(name, HeaderValue::try_from(value).map_err(Problem::internal)?);
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let text = headers.get(HEADER).and_then(|key| key.to_str().ok()).unwrap_or_default();
    let fits = (1..=KEY_CHARS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    match fits && headers.get_all(HEADER).iter().count() == 1 {
        true => Ok(text.to_owned()),
        false => {
            let right = format!("`Idempotency-Key` must be 1 to {KEY_CHARS} visible ASCII characters without spaces");
            Err(Problem::new(Kind::Malformed, right))
        }
    }
}

fn fingerprint(method: &Method, uri: &str, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    for part in [method.as_str().as_bytes(), uri.as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

fn micros(span: Duration) -> Micros {
    Micros::try_from(span.as_micros()).unwrap_or(Micros::MAX)
}
