//! `/v1/areas/{id}/pause` and `…/resume`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::areas::told;
use crate::rest::App;
use crate::rest::auth::Known;
use crate::rest::etag::IfMatch;
use crate::rest::problem::Problem;
use crate::rest::query::PathVars;

/// Pauses an AREA: what comes meanwhile is skipped.
#[utoipa::path(post, path = "/v1/areas/{id}/pause", tag = "AREAs", operation_id = "pauseArea",
    params(("id" = String, Path, description = "The AREA's id"),
        ("If-Match" = Option<String>, Header, description = "The ETag that the change was decided on")),
    responses((status = 200, description = "The AREA as it is now", body = ref("#/components/schemas/ShownArea"))))]
pub async fn pause(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    path: PathVars,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let id = path.area()?;
    let version = if_match.version(&app.desk, caller.user, id).await?;
    let changed = app.desk.pause(caller.user, id, version).await?;
    Ok(told(&app, &changed).await?.into_response())
}

/// Lets an AREA fire again. After your own pause it begins with what comes from now on; after a fault it catches up first.
#[utoipa::path(post, path = "/v1/areas/{id}/resume", tag = "AREAs", operation_id = "resumeArea",
    params(("id" = String, Path, description = "The AREA's id"),
        ("If-Match" = Option<String>, Header, description = "The ETag that the change was decided on")),
    responses((status = 200, description = "The AREA as it is now", body = ref("#/components/schemas/ShownArea"))))]
pub async fn resume(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    path: PathVars,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let id = path.area()?;
    let version = if_match.version(&app.desk, caller.user, id).await?;
    let changed = app.desk.resume(caller.user, id, version).await?;
    Ok(told(&app, &changed).await?.into_response())
}
