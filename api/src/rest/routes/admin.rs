//! `/v1/admin`: people and the audit log, for administrators.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use engine::ids::UserId;
use engine::store::audit::{self, Entry, Filter};
use engine::store::people::{self, Role, User};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::identity::Origin;
use crate::identity::caller::Caller;
use crate::identity::rights::may_change;
use crate::rest::auth::{From, Known};
use crate::rest::body::{JsonBody, read};
use crate::rest::problem::{Kind, Problem};
use crate::rest::query::{PathVars, Query};
use crate::rest::view::time;
use crate::rest::{App, cursor};

/// Lists people in the order that they came.
#[utoipa::path(get, path = "/v1/admin/users", tag = "Administration", operation_id = "listUsers",
    params(("email" = Option<String>, Query, description = "Only those whose address contains this, in any case"),
        ("limit" = Option<i64>, Query, description = "How many: 1 to 500, 50 where it is absent"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before")),
    responses((status = 200, description = "A page: `{\"items\": […], \"next\": cursor|null}`")))]
pub async fn users(State(app): State<Arc<App>>, _: Known, query: Query) -> Result<Json<Value>, Problem> {
    let query = query.only(&["email", "limit", "cursor"])?;
    let (limit, after) = (query.limit()?, query.parsed::<UserId>("cursor")?);
    let rows = people::page(&app.desk.db, after, query.text("email"), limit + 1).await?;
    let (rows, next) = page(rows, limit, |user| user.id.0);
    Ok(Json(cursor::list(rows.iter().map(|user| json!(user)).collect(), next)))
}

/// Reads a person.
#[utoipa::path(get, path = "/v1/admin/users/{id}", tag = "Administration", operation_id = "getUser",
    params(("id" = String, Path, description = "The person's id")),
    responses((status = 200, description = "The person")))]
pub async fn user(State(app): State<Arc<App>>, _: Known, path: PathVars) -> Result<Json<Value>, Problem> {
    Ok(Json(json!(found(&app, path.parsed("id", "user")?).await?)))
}

async fn found(app: &App, id: UserId) -> Result<User, Problem> {
    people::by_id(&app.desk.db, id).await?.ok_or_else(|| Problem::new(Kind::NotFound, "there is no such user"))
}

/// What is to change of a person.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    role: Option<String>,
    suspended: Option<bool>,
}

/// Changes a person's role, suspends them or lets them in again: `{"role": "VIEWER", "suspended": true}`.
///
/// Whoever is suspended has no session any more, their tokens open nothing and their AREAs pause with that reason. Let in again,
/// their tokens work and the AREAs that fired before fire again; what came meanwhile is skipped.
#[utoipa::path(patch, path = "/v1/admin/users/{id}", tag = "Administration", operation_id = "patchUser",
    params(("id" = String, Path, description = "The person's id")),
    request_body(content = ref("#/components/schemas/UserPatch"), content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The person as they are now")))]
pub async fn patch(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    From(origin): From,
    path: PathVars,
    JsonBody(json): JsonBody,
) -> Result<Json<Value>, Problem> {
    let change: Change = read(json)?;
    let person = found(&app, path.parsed("id", "user")?).await?;
    let role: Role = match &change.role {
        Some(text) => {
            text.parse().map_err(|why: String| Problem::invalid(vec![engine::port::Invalid::new("/role", why)]))?
        }
        None => person.role,
    };
    let oneself = caller.user == person.id;
    may_change(caller.role, oneself, person.role, role).map_err(|why| Problem::new(Kind::Forbidden, why))?;
    if role != person.role {
        give(&app, &caller, &origin, &person, role).await?;
    }
    match change.suspended {
        Some(true) if person.suspended_at.is_none() => suspend(&app, &caller, &origin, &person).await?,
        Some(false) if person.suspended_at.is_some() => let_in(&app, &caller, &origin, &person).await?,
        _ => {}
    }
    Ok(Json(json!(found(&app, person.id).await?)))
}

async fn give(app: &App, caller: &Caller, origin: &Origin, person: &User, role: Role) -> Result<(), Problem> {
    let (address, detail) = (origin.address.to_string(), format!("{} → {role}", person.role));
    let entry = entry(caller, person, "role_given", &address, &detail);
    Ok(people::give_role(&app.desk.db, person.id, role, &entry, app.desk.clock.now()).await?)
}

async fn suspend(app: &App, caller: &Caller, origin: &Origin, person: &User) -> Result<(), Problem> {
    let (address, now) = (origin.address.to_string(), app.desk.clock.now());
    let entry = entry(caller, person, "suspended", &address, "");
    people::suspend(&app.desk.db, person.id, Some(now), &entry, now).await?;
    for changed in app.desk.suspend(person.id).await? {
        app.engine.changed(&changed).await;
    }
    Ok(())
}

async fn let_in(app: &App, caller: &Caller, origin: &Origin, person: &User) -> Result<(), Problem> {
    let (address, now) = (origin.address.to_string(), app.desk.clock.now());
    let entry = entry(caller, person, "let_in", &address, "");
    people::suspend(&app.desk.db, person.id, None, &entry, now).await?;
    for changed in app.desk.let_in(person.id).await? {
        app.engine.changed(&changed).await;
    }
    Ok(())
}

fn entry<'a>(caller: &Caller, person: &User, action: &'a str, address: &'a str, detail: &'a str) -> Entry<'a> {
    Entry { actor: Some(caller.user), subject: Some(person.id), action, address, detail }
}

/// Lists what mattered, the newest first: sign-ins, passwords, roles, suspensions, tokens.
#[utoipa::path(get, path = "/v1/admin/audit", tag = "Administration", operation_id = "listAudit",
    params(("user" = Option<String>, Query, description = "Only what this person did or what concerns them"),
        ("action" = Option<String>, Query, description = "Only this, as `signed_in`"),
        ("limit" = Option<i64>, Query, description = "How many: 1 to 500, 50 where it is absent"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before")),
    responses((status = 200, description = "A page: `{\"items\": […], \"next\": cursor|null}`")))]
pub async fn audit(State(app): State<Arc<App>>, _: Known, query: Query) -> Result<Json<Value>, Problem> {
    let query = query.only(&["user", "action", "limit", "cursor"])?;
    let (limit, before) = (query.limit()?, query.parsed::<Uuid>("cursor")?);
    let filter = Filter { user: query.parsed("user")?, action: query.text("action").map(str::to_owned) };
    let rows = audit::list(&app.desk.db, before, limit + 1, &filter).await?;
    let (rows, next) = page(rows, limit, |entry| entry.id);
    let shown = |entry: &audit::Happened| {
        let mut shown = json!(entry);
        shown["at"] = time(entry.at);
        shown
    };
    Ok(Json(cursor::list(rows.iter().map(shown).collect(), next)))
}

/// A page of rows that ids order: the cursor is the last id.
fn page<R>(mut rows: Vec<R>, limit: i64, id: impl Fn(&R) -> Uuid) -> (Vec<R>, Option<String>) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|last| id(last).to_string());
    (rows, next)
}
