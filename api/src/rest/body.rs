//! JSON bodies. What is no JSON, too long or something else is a problem with its place.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use engine::port::Invalid;
use serde_json::Value;

use super::problem::{Kind, Problem};

/// A body of JSON: `application/json`, or any type that ends in `+json`.
#[derive(Clone, Debug)]
pub struct JsonBody(pub Value);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        check_type(request.headers())?;
        let bytes = Bytes::from_request(request, state).await.map_err(|e| unread(&e))?;
        parse(&bytes).map(Self)
    }
}

/// A body as it came, of any type; maybe none.
#[derive(Clone, Debug)]
pub struct Raw(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Bytes::from_request(request, state).await.map(Self).map_err(|e| unread(&e))
    }
}

/// Reads JSON text.
///
/// # Errors
/// 400, with line and column.
pub fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    let malformed = |why: String| Problem::new(Kind::Malformed, why);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(malformed("the body is empty: send a JSON object".into()));
    }
    serde_json::from_slice(bytes).map_err(|e| malformed(format!("the body is no JSON: {e}")))
}

/// A body's members as a struct.
///
/// # Errors
/// 422 with the place of what is missing, unknown or of the wrong kind.
pub fn read<T: serde::de::DeserializeOwned>(json: Value) -> Result<T, Problem> {
    typed(&json, None)
}

/// The same, of a body that may hold secrets.
///
/// # Errors
/// 422 at the place where it is something else. `words`: what would be right, where the parser's own words could show a secret.
pub fn typed<T: serde::de::DeserializeOwned>(value: &Value, words: Option<&str>) -> Result<T, Problem> {
    if value.is_array() {
        // Taken for a struct's members in their order, it would be a request that nobody described.
        return Err(Problem::invalid(vec![Invalid::new("", "must be an object")]));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let place =
            if path == "." { String::new() } else { format!("/{}", path.replace(['.', '['], "/").replace(']', "")) };
        let place = place.replace("//", "/");
        let why = words.map_or_else(|| error.into_inner().to_string(), str::to_owned);
        Problem::invalid(vec![Invalid::new(place, why)])
    })
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let header = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    match json {
        true => Ok(()),
        false => Err(Problem::new(Kind::MediaType, "send the body as `content-type: application/json`")),
    }
}

/// Why a body could not be read to its end.
pub fn unread(error: &BytesRejection) -> Problem {
    match error {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => too_large(),
        _ => Problem::new(Kind::Malformed, "the body ended before its end"),
    }
}

/// The body is over its limit.
pub fn too_large() -> Problem {
    Problem::new(Kind::TooLarge, format!("a body may have {} bytes at most", super::BODY_BYTES))
}
