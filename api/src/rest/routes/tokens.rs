//! `/v1/tokens`: API tokens, for programs. Shown once.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use engine::port::Invalid;
use engine::store::audit::{self, Entry};
use engine::store::tokens::{self, NewToken, Scope, Scopes};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::rest::auth::{From, Known};
use crate::rest::body::{JsonBody, read};
use crate::rest::problem::{Kind, Problem};
use crate::rest::query::PathVars;
use crate::rest::{App, cursor};

/// Tokens of one person.
const MOST: usize = 100;
/// Characters of a token's name.
const NAME_CHARS: usize = 100;

/// Lists your API tokens, without their secrets.
#[utoipa::path(get, path = "/v1/tokens", tag = "Your account", operation_id = "listTokens",
    responses((status = 200, description = "All of them")))]
pub async fn list(State(app): State<Arc<App>>, Known(caller): Known) -> Result<Json<Value>, Problem> {
    let all = tokens::list(&app.desk.db, caller.user).await?;
    Ok(Json(cursor::list(all.iter().map(|token| json!(token)).collect(), None)))
}

/// What a token is to open.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    scopes: Vec<String>,
    expires_at: Option<DateTime<Utc>>,
}

/// Makes an API token: `{"name": …, "scopes": ["read", "areas"], "expires_at": …}`. It is in this answer and nowhere else.
#[utoipa::path(post, path = "/v1/tokens", tag = "Your account", operation_id = "createToken",
    request_body(content = ref("#/components/schemas/NewToken"), content_type = "application/json"),
    responses((status = 201, description = "`{\"id\": …, \"token\": …}`")))]
pub async fn create(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    From(origin): From,
    JsonBody(json): JsonBody,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (new, db, now) = (read::<New>(json)?, &app.desk.db, app.desk.clock.now());
    let scopes = check(&new, now)?;
    if tokens::list(db, caller.user).await?.len() >= MOST {
        return Err(Problem::new(Kind::Conflict, format!("you have {MOST} tokens: revoke one first")));
    }
    let token = NewToken { name: new.name.trim(), scopes, expires_at: new.expires_at };
    let (id, secret) = tokens::create(db, caller.user, &token, now).await?;
    let (address, subject) = (origin.address.to_string(), Some(caller.user));
    let entry = Entry { actor: subject, subject, action: "token_made", address: &address, detail: &id.to_string() };
    audit::add(db, &entry, now).await?;
    Ok((StatusCode::CREATED, Json(json!({"id": id, "token": secret.expose()}))))
}

fn check(new: &New, now: DateTime<Utc>) -> Result<Scopes, Problem> {
    let mut wrong = Vec::new();
    let name = new.name.trim();
    if !(1..=NAME_CHARS).contains(&name.chars().count()) || name.contains(char::is_control) {
        wrong.push(Invalid::new("/name", format!("must have 1 to {NAME_CHARS} characters, on one line")));
    }
    if new.expires_at.is_some_and(|at| at <= now) {
        wrong.push(Invalid::new("/expires_at", "is past"));
    }
    if new.scopes.is_empty() {
        wrong.push(Invalid::new("/scopes", "must name one or more of read, areas, accounts, admin"));
    }
    let mut scopes: Vec<Scope> = Vec::new();
    for (i, word) in new.scopes.iter().enumerate() {
        match word.parse() {
            Ok(scope) if scopes.contains(&scope) => {}
            Ok(scope) => scopes.push(scope),
            Err(why) => wrong.push(Invalid::new(format!("/scopes/{i}"), why)),
        }
    }
    if wrong.is_empty() { Ok(scopes.into_iter().collect()) } else { Err(Problem::invalid(wrong)) }
}

/// Ends an API token of yours at once.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "Your account", operation_id = "revokeToken",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 204, description = "It ended")))]
pub async fn revoke(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    From(origin): From,
    path: PathVars,
) -> Result<StatusCode, Problem> {
    let id: Uuid = path.parsed("id", "token")?;
    if !tokens::revoke(&app.desk.db, caller.user, id).await? {
        return Err(Problem::no("token"));
    }
    let (address, subject) = (origin.address.to_string(), Some(caller.user));
    let entry = Entry { actor: subject, subject, action: "token_revoked", address: &address, detail: &id.to_string() };
    audit::add(&app.desk.db, &entry, app.desk.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
