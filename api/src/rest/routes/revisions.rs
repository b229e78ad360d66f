//! `/v1/areas/{id}/revisions`: what an AREA was before each edit.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use engine::area::Desk;
use engine::store::revisions;
use serde_json::{Value, json};

use super::areas::told;
use crate::rest::auth::Known;
use crate::rest::etag::IfMatch;
use crate::rest::problem::Problem;
use crate::rest::query::{PathVars, Query};
use crate::rest::view::time;
use crate::rest::{App, cursor};

/// Lists an AREA's revisions, the newest first.
#[utoipa::path(get, path = "/v1/areas/{id}/revisions", tag = "Revisions", operation_id = "listRevisions",
    params(("id" = String, Path, description = "The AREA's id"),
        ("limit" = Option<i64>, Query, description = "How many: 1 to 500, 50 where it is absent"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before")),
    responses((status = 200, description = "A page", body = ref("#/components/schemas/RevisionList"))))]
pub async fn list(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    path: PathVars,
    query: Query,
) -> Result<Json<Value>, Problem> {
    let query = query.only(&["limit", "cursor"])?;
    let (limit, before) = (query.limit()?, query.cursor("revisions")?);
    let row = app.desk.get(caller.user, path.area()?).await?;
    let heads = revisions::list(&app.desk.db, caller.user, row.id, before, limit + 1).await?;
    let (heads, next) = cursor::page("revisions", heads, limit, |head| head.revision);
    let item = |head: &revisions::RevisionHead| json!({"revision": head.revision, "created_at": time(head.created_at), "current": head.revision == row.revision});
    Ok(Json(cursor::list(heads.iter().map(item).collect(), next)))
}

/// Reads one revision.
#[utoipa::path(get, path = "/v1/areas/{id}/revisions/{n}", tag = "Revisions", operation_id = "getRevision",
    params(("id" = String, Path, description = "The AREA's id"), ("n" = i64, Path, description = "The revision's number")),
    responses((status = 200, description = "The revision", body = ref("#/components/schemas/Revision"))))]
pub async fn get(State(app): State<Arc<App>>, Known(caller): Known, path: PathVars) -> Result<Json<Value>, Problem> {
    let (id, n) = (path.area()?, path.parsed("n", "revision")?);
    let found = revisions::get(&app.desk.db, caller.user, id, n).await?.ok_or_else(|| Problem::no("revision"))?;
    let document = Desk::shown(&found.body)?;
    Ok(Json(json!({"revision": found.revision, "created_at": time(found.created_at), "document": document})))
}

/// Compares two revisions: the operations (RFC 6902) that lead from the first to the second, with what was there before.
#[utoipa::path(get, path = "/v1/areas/{id}/revisions/{a}/diff/{b}", tag = "Revisions", operation_id = "diffRevisions",
    params(("id" = String, Path, description = "The AREA's id"), ("a" = i64, Path, description = "From this revision"),
        ("b" = i64, Path, description = "To this one")),
    responses((status = 200, description = "What differs", body = ref("#/components/schemas/Diff"))))]
pub async fn diff(State(app): State<Arc<App>>, Known(caller): Known, path: PathVars) -> Result<Json<Value>, Problem> {
    let (from, to) = (path.parsed("a", "revision")?, path.parsed("b", "revision")?);
    let changes = app.desk.diff(caller.user, path.area()?, from, to).await?;
    Ok(Json(json!({"from": from, "to": to, "changes": changes})))
}

/// Makes an earlier revision the newest again: as a new revision, checked like any edit.
#[utoipa::path(post, path = "/v1/areas/{id}/revisions/{n}/rollback", tag = "Revisions", operation_id = "rollbackArea",
    params(("id" = String, Path, description = "The AREA's id"), ("n" = i64, Path, description = "The revision's number"),
        ("If-Match" = Option<String>, Header, description = "The ETag that the change was decided on")),
    responses((status = 200, description = "The AREA as it is now", body = ref("#/components/schemas/ShownArea"))))]
pub async fn rollback(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    path: PathVars,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let (id, n) = (path.area()?, path.parsed("n", "revision")?);
    let version = if_match.version(&app.desk, caller.user, id).await?;
    let changed = app.desk.rollback(caller.user, id, n, version).await?;
    Ok(told(&app, &changed).await?.into_response())
}
