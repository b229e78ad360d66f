//! ETags: the version of an AREA. `If-Match` makes a change stand only on the version that the client has seen.

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;
use engine::area::Desk;
use engine::ids::{AreaId, UserId};

use super::problem::{Kind, Problem};

/// A version that no AREA has.
const NEVER: i64 = i64::MIN;

/// The ETag of `version`.
pub fn of(version: i64) -> HeaderValue {
    HeaderValue::from_str(&text(version)).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The ETag of `version` as text: `"3"`.
pub fn text(version: i64) -> String {
    format!("\"{version}\"")
}

/// The versions that a client names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// Any.
    Any,
    /// One of these; an ETag that was never ours is no version.
    Versions(Vec<i64>),
}

impl IfMatch {
    /// The version that a change of the AREA must stand on: of several the one that is stored.
    ///
    /// # Errors
    /// 404 where there is no such AREA; 503 where the database is away.
    pub async fn version(&self, desk: &Desk, user: UserId, id: AreaId) -> Result<Option<i64>, Problem> {
        match self {
            Self::Any => Ok(None),
            Self::Versions(versions) if versions.len() == 1 => Ok(versions.first().copied()),
            Self::Versions(versions) => {
                let current = desk.get(user, id).await?.version;
                Ok(Some(if versions.contains(&current) { current } else { NEVER }))
            }
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(IF_MATCH).iter().peekable();
        if values.peek().is_none() {
            return Ok(Self::Any);
        }
        let wrong = || Problem::new(Kind::Malformed, "`If-Match` must be an ETag such as \"3\", or *");
        let mut versions = Vec::new();
        for value in values {
            for tag in value.to_str().map_err(|_| wrong())?.split(',').map(str::trim) {
                match tag {
                    "*" => return Ok(Self::Any),
                    _ => versions.push(version(tag).ok_or_else(wrong)?),
                }
            }
        }
        Ok(Self::Versions(versions))
    }
}

/// The version of an ETag. A weak one never matches here (RFC 9110, 13.1.1).
fn version(tag: &str) -> Option<i64> {
    let (tag, weak) = tag.strip_prefix("W/").map_or((tag, false), |tag| (tag, true));
    let inner = tag.strip_prefix('"')?.strip_suffix('"')?;
    Some(inner.parse().ok().filter(|_| !weak).unwrap_or(NEVER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_a_version_in_quotes() {
        for (tag, want) in [
            ("\"3\"", Some(3)),
            ("W/\"3\"", Some(NEVER)),
            ("\"abc\"", Some(NEVER)),
            ("3", None),
            ("\"3", None),
            ("", None),
        ] {
            assert_eq!(version(tag), want, "{tag}");
        }
        assert_eq!(of(12), "\"12\"");
    }
}
