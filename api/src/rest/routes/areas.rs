//! `/v1/areas`: AREAs, written whole or in part.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use engine::ids::{AreaId, AreaNo};
use engine::store::areas::{self, AreaRow, Changed, Filter};
use serde_json::Value;

use crate::rest::auth::Known;
use crate::rest::body::JsonBody;
use crate::rest::etag::{self, IfMatch};
use crate::rest::idempotency::Seed;
use crate::rest::problem::Problem;
use crate::rest::query::{PathVars, Query};
use crate::rest::{App, cursor, view};

/// Makes an AREA.
///
/// Everything that is wrong with it is told at once, each thing at its place. `reaction`, with one reaction or a list, is taken for
/// `reactions`.
#[utoipa::path(post, path = "/v1/areas", tag = "AREAs", operation_id = "createArea",
    params(("Idempotency-Key" = Option<String>, Header,
        description = "The same key with the same request gives the same answer, for a day")),
    request_body(content = ref("#/components/schemas/Area"), content_type = "application/json"),
    responses((status = 201, description = "The AREA as it is shown; `Location` names it, `ETag` its version",
        body = ref("#/components/schemas/ShownArea"))))]
pub async fn create(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    seed: Option<Extension<Seed>>,
    JsonBody(json): JsonBody,
) -> Result<Response, Problem> {
    view::refuse_read_only(&json)?;
    let id = seed.map_or_else(AreaId::new, |Extension(Seed(id))| AreaId(id));
    let changed = app.desk.create_as(caller.user, id, &json, false).await?;
    let (headers, shown) = told(&app, &changed).await?;
    let place = format!("/v1/areas/{}", changed.area.id);
    let place = HeaderValue::try_from(place).map_err(Problem::internal)?;
    Ok((StatusCode::CREATED, headers, [(LOCATION, place)], shown).into_response())
}

/// Lists your AREAs, the newest first.
#[utoipa::path(get, path = "/v1/areas", tag = "AREAs", operation_id = "listAreas",
    params(
        ("limit" = Option<i64>, Query, description = "How many: 1 to 500, 50 where it is absent"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
        ("name" = Option<String>, Query, description = "Only those whose name contains this, in any case"),
        ("state" = Option<String>, Query, description = "Only those that are `active`, `paused` or `faulted`"),
        ("service" = Option<String>, Query, description = "Only those that watch this service")),
    responses((status = 200, description = "A page", body = ref("#/components/schemas/AreaList"))))]
pub async fn list(State(app): State<Arc<App>>, Known(caller): Known, query: Query) -> Result<Json<Value>, Problem> {
    let query = query.only(&["limit", "cursor", "name", "state", "service"])?;
    let (limit, before) = (query.limit()?, query.cursor("areas")?.map(AreaNo));
    let text = |name| query.text(name).map(str::to_owned);
    let filter = Filter { name: text("name"), state: query.parsed("state")?, service: text("service") };
    let rows = areas::list(&app.desk.db, caller.user, before, limit + 1, &filter).await?;
    let (rows, next) = cursor::page("areas", rows, limit, |row| row.no.0);
    Ok(Json(cursor::list(view::areas(&app, &rows).await?, next)))
}

/// Reads an AREA. Its secrets read as `{"$secret": true}`.
#[utoipa::path(get, path = "/v1/areas/{id}", tag = "AREAs", operation_id = "getArea",
    params(("id" = String, Path, description = "The AREA's id")),
    responses((status = 200, description = "The AREA; `ETag` is its version", body = ref("#/components/schemas/ShownArea"))))]
pub async fn get(State(app): State<Arc<App>>, Known(caller): Known, path: PathVars) -> Result<Response, Problem> {
    let row = app.desk.get(caller.user, path.area()?).await?;
    Ok(shown(&app, &row).await?.into_response())
}

/// Replaces an AREA's document: a new revision, unless it is the same.
///
/// What an AREA shows beside its document (`id`, `state` …) may be sent back and is passed over. `{"$secret": true}` at the place of
/// a secret keeps it.
#[utoipa::path(put, path = "/v1/areas/{id}", tag = "AREAs", operation_id = "replaceArea",
    params(("id" = String, Path, description = "The AREA's id"),
        ("If-Match" = Option<String>, Header, description = "The ETag that the change was decided on")),
    request_body(content = ref("#/components/schemas/Area"), content_type = "application/json"),
    responses((status = 200, description = "The AREA as it is now", body = ref("#/components/schemas/ShownArea"))))]
pub async fn replace(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    path: PathVars,
    if_match: IfMatch,
    JsonBody(mut json): JsonBody,
) -> Result<Response, Problem> {
    let id = path.area()?;
    let version = if_match.version(&app.desk, caller.user, id).await?;
    view::without_read_only(&mut json);
    let changed = app.desk.replace(caller.user, id, &json, version).await?;
    Ok(told(&app, &changed).await?.into_response())
}

/// Changes parts of an AREA's document: a JSON merge patch (RFC 7396) over what GET shows.
///
/// A member with null is taken away; a list is replaced whole.
#[utoipa::path(patch, path = "/v1/areas/{id}", tag = "AREAs", operation_id = "patchArea",
    params(("id" = String, Path, description = "The AREA's id"),
        ("If-Match" = Option<String>, Header, description = "The ETag that the change was decided on")),
    request_body(content = ref("#/components/schemas/AreaPatch"), content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The AREA as it is now", body = ref("#/components/schemas/ShownArea"))))]
pub async fn patch(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    path: PathVars,
    if_match: IfMatch,
    JsonBody(json): JsonBody,
) -> Result<Response, Problem> {
    let id = path.area()?;
    let version = if_match.version(&app.desk, caller.user, id).await?;
    view::refuse_read_only(&json)?;
    let changed = app.desk.patch(caller.user, id, &json, version).await?;
    Ok(told(&app, &changed).await?.into_response())
}

/// Deletes an AREA, its revisions and what it has not done yet. Its hook URL answers 410 from then on.
#[utoipa::path(delete, path = "/v1/areas/{id}", tag = "AREAs", operation_id = "deleteArea",
    params(("id" = String, Path, description = "The AREA's id"),
        ("If-Match" = Option<String>, Header, description = "The ETag that the change was decided on")),
    responses((status = 204, description = "It is gone")))]
pub async fn delete(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    path: PathVars,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let id = path.area()?;
    let version = if_match.version(&app.desk, caller.user, id).await?;
    let changed = app.desk.delete(caller.user, id, version).await?;
    app.engine.changed(&changed).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Tells the engine of a change and shows the AREA as it is now.
pub async fn told(app: &App, changed: &Changed) -> Result<(HeaderMap, Json<Value>), Problem> {
    app.engine.changed(changed).await;
    shown(app, &changed.area).await
}

async fn shown(app: &App, row: &AreaRow) -> Result<(HeaderMap, Json<Value>), Problem> {
    let mut headers = HeaderMap::new();
    headers.insert(ETAG, etag::of(row.version));
    Ok((headers, Json(view::one(app, row).await?)))
}
