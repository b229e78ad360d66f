//! What went wrong, as RFC 9457 has it: `application/problem+json` with `type`, `title`, `status`, `detail`, and `errors` where a
//! document is wrong in places that can be named.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use engine::area::AreaError;
use engine::port::Invalid;
use engine::store::batch::is_passing;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// Every kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 400: it cannot be read.
    Malformed,
    /// 401: nobody known asks.
    Unauthorized,
    /// 403: who asks may not.
    Forbidden,
    /// 404.
    NotFound,
    /// 405.
    Method,
    /// 409: another request is in the way.
    Conflict,
    /// 410: it was there.
    Gone,
    /// 412: the ETag is not the newest.
    Stale,
    /// 413.
    TooLarge,
    /// 415.
    MediaType,
    /// 422: it can be read, and is wrong.
    Invalid,
    /// 422: the `Idempotency-Key` was used for another request.
    KeyReused,
    /// 429: too much for now.
    TooMany,
    /// 500: our own mistake.
    Internal,
    /// 503: the database is away.
    Unavailable,
    /// 504: it took too long.
    Timeout,
}

impl Kind {
    /// Every kind, in the order of their status.
    pub const ALL: [Self; 16] = [
        Self::Malformed,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::Method,
        Self::Conflict,
        Self::Gone,
        Self::Stale,
        Self::TooLarge,
        Self::MediaType,
        Self::Invalid,
        Self::KeyReused,
        Self::TooMany,
        Self::Internal,
        Self::Unavailable,
        Self::Timeout,
    ];

    /// Its status, the name in its `type`, and its `title`.
    pub fn says(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::Malformed => (S::BAD_REQUEST, "malformed", "The request cannot be read"),
            Self::Unauthorized => (S::UNAUTHORIZED, "unauthorized", "A valid token or session is needed"),
            Self::Forbidden => (S::FORBIDDEN, "forbidden", "This is not allowed"),
            Self::NotFound => (S::NOT_FOUND, "not-found", "Not found"),
            Self::Method => (S::METHOD_NOT_ALLOWED, "method", "The path does not know this method"),
            Self::Conflict => (S::CONFLICT, "conflict", "Another request is in the way"),
            Self::Gone => (S::GONE, "gone", "It was deleted"),
            Self::Stale => (S::PRECONDITION_FAILED, "stale", "It was changed meanwhile"),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "too-large", "The body is too large"),
            Self::MediaType => (S::UNSUPPORTED_MEDIA_TYPE, "media-type", "The body has the wrong content type"),
            Self::Invalid => (S::UNPROCESSABLE_ENTITY, "invalid", "The request is not valid"),
            Self::KeyReused => {
                (S::UNPROCESSABLE_ENTITY, "key-reused", "The Idempotency-Key belongs to another request")
            }
            Self::TooMany => (S::TOO_MANY_REQUESTS, "too-many", "Too much for now"),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "internal", "Our own mistake"),
            Self::Unavailable => (S::SERVICE_UNAVAILABLE, "unavailable", "Not available for the moment"),
            Self::Timeout => (S::GATEWAY_TIMEOUT, "timeout", "It took too long"),
        }
    }
}

/// An answer that says what went wrong.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<Invalid>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// A problem as JSON.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Shape {
    /// Which kind of problem: a section of `/docs`.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words; always the same for one `type`.
    title: String,
    /// The HTTP status again.
    status: u16,
    /// What went wrong this time.
    detail: String,
    /// What is wrong in which places, where places can be named.
    errors: Vec<Place>,
}

/// One thing that is wrong with a document.
#[derive(Serialize, JsonSchema)]
pub struct Place {
    /// Where: a JSON pointer (RFC 6901) into the body that was sent.
    pointer: String,
    /// What is wrong there and what would be right.
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// Only where an account lacks scopes: the request that asks its owner to grant them.
    grant: Option<GrantBy>,
}

/// A request that grants what is missing.
#[derive(Serialize, JsonSchema)]
pub struct GrantBy {
    /// `POST`.
    method: &'static str,
    /// Where to.
    href: String,
    /// What to send.
    body: Value,
}

impl From<&Invalid> for Place {
    fn from(invalid: &Invalid) -> Self {
        let grant = invalid.grant.as_ref().map(|grant| GrantBy {
            method: "POST",
            href: format!("/v1/connect/{}", grant.provider),
            body: json!({ "scopes": grant.scopes }),
        });
        Self { pointer: invalid.pointer.clone(), detail: invalid.detail.clone(), grant }
    }
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    /// A document that is wrong in these places.
    pub fn invalid(errors: Vec<Invalid>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("{}: {}", if one.pointer.is_empty() { "the document" } else { &one.pointer }, one.detail),
            all => format!("{} places are wrong: see `errors`", all.len()),
        };
        Self { errors, ..Self::new(Kind::Invalid, detail) }
    }

    /// A query parameter that is wrong.
    pub fn parameter(name: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let errors = vec![Invalid::new(format!("/{name}"), detail.clone())];
        Self { errors, ..Self::new(Kind::Malformed, format!("the query parameter `{name}` {detail}")) }
    }

    /// No such thing, or not the caller's.
    pub fn no(what: &str) -> Self {
        Self::new(Kind::NotFound, format!("you have no such {what}"))
    }

    /// Nobody known asks.
    pub fn unauthorized(detail: &str, challenge: &'static str) -> Self {
        Self::new(Kind::Unauthorized, detail).with(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// The database is away: worth another try.
    pub fn unavailable() -> Self {
        Self::new(Kind::Unavailable, "the database does not answer: try again")
            .with(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// Our own mistake. It is logged here, and its answer says nothing of it.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(Kind::Internal, "this should not have happened: the daemon's log says more")
    }

    /// With one more header.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// What went wrong this time.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, name, title) = self.kind.says();
        let body = json!({
            "type": format!("/docs#problem-{name}"), "title": title, "status": status.as_u16(), "detail": self.detail,
            "errors": self.errors.iter().map(Place::from).collect::<Vec<_>>(),
        });
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.headers);
        response
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        match is_passing(&error) {
            true => {
                tracing::warn!(%error, "the database does not answer");
                Self::unavailable()
            }
            false => Self::internal(error),
        }
    }
}

impl From<AreaError> for Problem {
    fn from(error: AreaError) -> Self {
        match error {
            AreaError::NotFound => Self::no("AREA, or it has no such revision"),
            AreaError::Stale(_) => Self::new(Kind::Stale, format!("{error}: read it again and repeat your change")),
            AreaError::Invalid(errors) => Self::invalid(errors),
            AreaError::Busy => Self::new(Kind::Conflict, error.to_string()),
            AreaError::Unreadable(_) => Self::internal(error),
            AreaError::Sqlx(error) => error.into(),
        }
    }
}
