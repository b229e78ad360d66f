//! `/v1/avatars`: a person's pictures, of which one is shown.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use engine::store::profile::{self, AVATARS, Picture};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::identity::avatar;
use crate::rest::auth::Known;
use crate::rest::problem::{Kind, Problem};
use crate::rest::query::PathVars;
use crate::rest::{App, cursor};

/// Lists your pictures.
#[utoipa::path(get, path = "/v1/avatars", tag = "Your account", operation_id = "listAvatars",
    responses((status = 200, description = "All of them")))]
pub async fn list(State(app): State<Arc<App>>, Known(caller): Known) -> Result<Json<Value>, Problem> {
    let all = profile::avatars(&app.desk.db, caller.user).await?;
    Ok(Json(cursor::list(all.iter().map(|avatar| json!(avatar)).collect(), None)))
}

/// Keeps a picture: a PNG, JPEG or WebP as the body, written anew at 512 pixels; without a body one is drawn here.
#[utoipa::path(post, path = "/v1/avatars", tag = "Your account", operation_id = "addAvatar",
    request_body(content = String, content_type = "image/png", description = "The picture's bytes; none: one is drawn"),
    responses((status = 201, description = "`{\"id\": …}`; `Location` names it. POST …/activate shows it")))]
pub async fn add(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (id, limits) = (Uuid::now_v7(), app.identity.people());
    let long = |most: usize| Problem::new(Kind::TooLarge, format!("a picture may have {most} bytes at most"));
    let said = headers.get(CONTENT_LENGTH).and_then(|n| n.to_str().ok()).and_then(|n| n.parse::<usize>().ok());
    if said.is_some_and(|bytes| bytes > limits.avatar_bytes) {
        return Err(long(limits.avatar_bytes));
    }
    let bytes = to_bytes(body, limits.avatar_bytes).await.map_err(|_| long(limits.avatar_bytes))?;
    let random = bytes.is_empty();
    let picture = if random { avatar::draw(id) } else { avatar::recode(bytes.to_vec(), limits).await? };
    if !profile::add_avatar(&app.desk.db, caller.user, id, random, &picture, app.desk.clock.now()).await? {
        return Err(Problem::new(Kind::Conflict, format!("you have {AVATARS} pictures: delete one first")));
    }
    let place = HeaderValue::try_from(path(id)).map_err(Problem::internal)?;
    Ok((StatusCode::CREATED, [(LOCATION, place)], Json(json!({"id": id}))).into_response())
}

fn path(id: Uuid) -> String {
    format!("/v1/avatars/{id}")
}

/// The picture that you show; where you show none, one that is drawn from your id.
#[utoipa::path(get, path = "/v1/avatars/active", tag = "Your account", operation_id = "getActiveAvatar",
    responses((status = 200, description = "The picture", body = String, content_type = "image/png")))]
pub async fn active(State(app): State<Arc<App>>, Known(caller): Known) -> Result<Response, Problem> {
    let picture = profile::active(&app.desk.db, caller.user).await?;
    served(picture.unwrap_or_else(|| avatar::draw(caller.user.0)))
}

/// A picture of yours.
#[utoipa::path(get, path = "/v1/avatars/{id}", tag = "Your account", operation_id = "getAvatar",
    params(("id" = String, Path, description = "The picture's id")),
    responses((status = 200, description = "The picture", body = String, content_type = "image/png")))]
pub async fn get(State(app): State<Arc<App>>, Known(caller): Known, at: PathVars) -> Result<Response, Problem> {
    let picture = profile::picture(&app.desk.db, caller.user, at.parsed("id", "picture")?).await?;
    served(picture.ok_or_else(|| Problem::no("picture"))?)
}

fn served(picture: Picture) -> Result<Response, Problem> {
    let kind = HeaderValue::try_from(picture.media_type).map_err(Problem::internal)?;
    Ok(([(CONTENT_TYPE, kind)], picture.body).into_response())
}

/// Shows a picture of yours instead of the one before.
#[utoipa::path(post, path = "/v1/avatars/{id}/activate", tag = "Your account", operation_id = "activateAvatar",
    params(("id" = String, Path, description = "The picture's id")),
    responses((status = 204, description = "It is shown")))]
pub async fn activate(State(app): State<Arc<App>>, Known(caller): Known, at: PathVars) -> Result<StatusCode, Problem> {
    let id: Uuid = at.parsed("id", "picture")?;
    match profile::activate(&app.desk.db, caller.user, id, &path(id), app.desk.clock.now()).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::no("picture")),
    }
}

/// Deletes a picture of yours.
#[utoipa::path(delete, path = "/v1/avatars/{id}", tag = "Your account", operation_id = "deleteAvatar",
    params(("id" = String, Path, description = "The picture's id")),
    responses((status = 204, description = "It is gone")))]
pub async fn delete(State(app): State<Arc<App>>, Known(caller): Known, at: PathVars) -> Result<StatusCode, Problem> {
    let id: Uuid = at.parsed("id", "picture")?;
    match profile::remove_avatar(&app.desk.db, caller.user, id, app.desk.clock.now()).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::no("picture")),
    }
}
