//! Who asks: the holder of an API token. What they may do follows from their role and from the token's scopes.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use engine::store::people::Role;
use engine::store::tokens::{self, Scope};

use super::App;
use super::problem::{Kind, Problem};

pub use engine::store::tokens::Caller;

/// A caller who may read what is theirs.
#[derive(Clone, Debug)]
pub struct Reader(pub Caller);

/// A caller who may change their AREAs and runs.
#[derive(Clone, Debug)]
pub struct Writer(pub Caller);

/// Who asks. The answer is kept with the request.
///
/// # Errors
/// 401 where no known token is sent; 503 where the database is away.
pub async fn caller(parts: &mut Parts, app: &App) -> Result<Caller, Problem> {
    if let Some(known) = parts.extensions.get::<Caller>() {
        return Ok(known.clone());
    }
    let token = bearer(parts)?;
    let found = tokens::caller_by_token(&app.desk.db, &tokens::hash(token), app.desk.clock.now()).await?;
    let caller = found.ok_or_else(|| {
        let challenge = "Bearer realm=\"area\", error=\"invalid_token\"";
        Problem::unauthorized("the token is unknown, revoked or expired: `area token create` makes one", challenge)
    })?;
    parts.extensions.insert(caller.clone());
    Ok(caller)
}

fn bearer(parts: &Parts) -> Result<&str, Problem> {
    let missing = || Problem::unauthorized("send the header `Authorization: Bearer TOKEN`", "Bearer realm=\"area\"");
    let header = parts.headers.get(AUTHORIZATION).ok_or_else(missing)?.to_str().map_err(|_| missing())?;
    let (scheme, token) = header.split_once(' ').ok_or_else(missing)?;
    match scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() {
        true => Ok(token.trim()),
        false => Err(missing()),
    }
}

fn has(caller: Caller, scope: Scope) -> Result<Caller, Problem> {
    match caller.scopes.has(scope) {
        true => Ok(caller),
        false => Err(Problem::new(Kind::Forbidden, format!("the token lacks the scope `{}`", scope.as_str()))),
    }
}

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        has(caller(parts, app).await?, Scope::Read).map(Self)
    }
}

impl FromRequestParts<Arc<App>> for Writer {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let caller = has(caller(parts, app).await?, Scope::Areas)?;
        match caller.role.may_write() {
            true => Ok(Self(caller)),
            false => Err(Problem::new(Kind::Forbidden, format!("a {} may not change anything", Role::Viewer))),
        }
    }
}
