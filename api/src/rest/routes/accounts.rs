//! `/v1/accounts`: the accounts that a user has linked, and the AREAs that need them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::clock::from_micros;
use engine::fault::Fault;
use engine::ids::{AccountId, UserId};
use engine::port::Invalid;
use engine::secret::Secret;
use engine::store::links::{self, Linked, Using};
use serde::Deserialize;
use serde_json::{Value, json};

use super::connect;
use crate::rest::App;
use crate::rest::auth::{From, Known};
use crate::rest::body::{self, JsonBody};
use crate::rest::problem::Problem;
use crate::rest::query::PathVars;

/// Characters of a key.
const KEY_CHARS: usize = 4_096;
/// Characters of an account's name.
const WHO_CHARS: usize = 200;

/// An account of a provider that uses keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keyed {
    provider: String,
    key: Secret,
    #[serde(default)]
    who: Option<String>,
}

/// Lists your accounts, the oldest first, with the AREAs that need them.
#[utoipa::path(get, path = "/v1/accounts", tag = "Accounts", operation_id = "listAccounts",
    responses((status = 200, description = "All of them: there is one page", body = ref("#/components/schemas/AccountList"))),
    security(("token" = [])))]
pub async fn list(State(app): State<Arc<App>>, Known(caller): Known) -> Result<Json<Value>, Problem> {
    let items = all(&app, caller.user).await?;
    Ok(Json(json!({ "items": items, "next": null })))
}

/// Links an account of a provider that uses keys. The key is sealed and never shown again.
#[utoipa::path(post, path = "/v1/accounts", tag = "Accounts", operation_id = "createAccount",
    request_body(content = ref("#/components/schemas/KeyedAccount"), content_type = "application/json"),
    responses((status = 201, description = "The account", body = ref("#/components/schemas/Connected"))),
    security(("token" = [])))]
pub async fn create(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    From(from): From,
    JsonBody(json): JsonBody,
) -> Result<Response, Problem> {
    let words = "an account is {\"provider\": …, \"key\": …, \"who\": …}, each a text";
    let keyed: Keyed = body::typed(&json, Some(words))?;
    let fit =
        (1..=KEY_CHARS).contains(&keyed.key.expose().len()) && keyed.key.expose().bytes().all(|b| b.is_ascii_graphic());
    let mut wrong = Vec::new();
    if !fit {
        wrong.push(Invalid::new("/key", "must be 1 to 4096 visible characters"));
    }
    if keyed.who.as_ref().is_some_and(|who| who.chars().count() > WHO_CHARS || who.contains(char::is_control)) {
        wrong.push(Invalid::new("/who", "must be 200 characters at most"));
    }
    if !wrong.is_empty() {
        return Err(Problem::invalid(wrong));
    }
    let linked = app.engine.vault.link_key(caller.user, &keyed.provider, &keyed.key, keyed.who.as_deref()).await?;
    app.identity.note_account("linked", caller.user, &linked.provider, linked.who.as_deref(), &from).await?;
    let resumed = connect::resume(&app, caller.user, &linked.stopped).await;
    let place = HeaderValue::try_from(format!("/v1/accounts/{}", linked.account)).map_err(Problem::internal)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(connect::view(&linked, &resumed))).into_response())
}

/// Reads an account.
#[utoipa::path(get, path = "/v1/accounts/{id}", tag = "Accounts", operation_id = "getAccount",
    params(("id" = String, Path, description = "The account's id")),
    responses((status = 200, description = "The account", body = ref("#/components/schemas/Account"))),
    security(("token" = [])))]
pub async fn get(State(app): State<Arc<App>>, Known(caller): Known, path: PathVars) -> Result<Json<Value>, Problem> {
    let id: AccountId = path.parsed("id", "account")?;
    one(&app, caller.user, id).await.map(Json)
}

/// Unlinks an account: the provider is told, the AREAs that need it pause with that reason.
#[utoipa::path(delete, path = "/v1/accounts/{id}", tag = "Accounts", operation_id = "unlinkAccount",
    params(("id" = String, Path, description = "The account's id")),
    responses((status = 200, description = "What it did", body = ref("#/components/schemas/Unlinked"))),
    security(("token" = [])))]
pub async fn delete(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    From(from): From,
    path: PathVars,
) -> Result<Json<Value>, Problem> {
    let id: AccountId = path.parsed("id", "account")?;
    let known = links::list(&app.desk.db, caller.user).await?.into_iter().find(|account| account.id == id);
    let known = known.ok_or_else(|| Problem::no("account"))?;
    let using = links::areas(&app.desk.db, caller.user).await?;
    let unlinked = app.engine.vault.unlink(caller.user, id).await?.ok_or_else(|| Problem::no("account"))?;
    app.identity.note_account("unlinked", caller.user, &known.provider, known.who.as_deref(), &from).await?;
    let paused: Vec<Value> = using.iter().filter(|u| u.account_id == id && u.state == "active").map(area).collect();
    let (revoked, why) = match unlinked.revoked {
        Some(Ok(())) => (true, None),
        Some(Err(why)) => (false, Some(why)),
        None => (
            false,
            Some("the provider takes no such message: remove this application in your account there".to_owned()),
        ),
    };
    Ok(Json(json!({ "account": id, "revoked": revoked, "why": why, "paused": paused })))
}

/// Tries whether an account works: its token, refreshed if need be, and what the provider says of it.
#[utoipa::path(post, path = "/v1/accounts/{id}/check", tag = "Accounts", operation_id = "checkAccount",
    params(("id" = String, Path, description = "The account's id")),
    responses((status = 200, description = "How it stands; `works` says it in a word", body = ref("#/components/schemas/CheckedAccount"))),
    security(("token" = [])))]
pub async fn check(State(app): State<Arc<App>>, Known(caller): Known, path: PathVars) -> Result<Json<Value>, Problem> {
    let id: AccountId = path.parsed("id", "account")?;
    one(&app, caller.user, id).await?;
    let checked = app.engine.vault.check(id).await;
    let mut account = one(&app, caller.user, id).await?;
    account["works"] = json!(checked.is_ok());
    account["why"] = json!(checked.as_ref().err().map(Fault::why));
    Ok(Json(account))
}

async fn one(app: &App, user: UserId, id: AccountId) -> Result<Value, Problem> {
    let all = all(app, user).await?;
    all.into_iter().find(|account| account["id"] == json!(id)).ok_or_else(|| Problem::no("account"))
}

async fn all(app: &App, user: UserId) -> Result<Vec<Value>, Problem> {
    let accounts = links::list(&app.desk.db, user).await?;
    let using = links::areas(&app.desk.db, user).await?;
    Ok(accounts.iter().map(|account| view(app, account, &using)).collect())
}

fn view(app: &App, account: &Linked, using: &[Using]) -> Value {
    let provider = app.engine.vault.provider(&account.provider);
    let at = |micros: Option<i64>| micros.map(from_micros);
    let areas: Vec<Value> = using.iter().filter(|u| u.account_id == account.id).map(area).collect();
    let scopes: Vec<&str> = account.scope.as_deref().unwrap_or_default().split_whitespace().collect();
    json!({
        "id": account.id,
        "provider": account.provider,
        "title": provider.map_or(account.provider.as_str(), |provider| provider.title.as_str()),
        "who": account.who,
        "scopes": scopes,
        "signs_in": account.signs_in,
        "state": account.state,
        "reason": account.reason,
        "failing": account.failing,
        "linked_at": at(account.linked_at),
        "refreshed_at": at(account.refreshed_at),
        "refresh_at": at(account.refresh_at),
        "token_ends_at": at(account.expires_at.map(|seconds| seconds.saturating_mul(1_000_000))),
        "ends_at": at(account.ends_at),
        "areas": areas,
    })
}

fn area(using: &Using) -> Value {
    json!({ "id": using.id, "name": using.name, "state": using.state })
}
