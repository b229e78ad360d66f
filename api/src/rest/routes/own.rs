//! `/v1/auth`: one's own account: password, address, who one is, leaving.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use engine::node::Wake;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::identity::caller::Proof;
use crate::rest::App;
use crate::rest::auth::{From, Known};
use crate::rest::body::{JsonBody, read};
use crate::rest::problem::Problem;

/// Says who you are, and by what you proved it.
#[utoipa::path(get, path = "/v1/auth/me", tag = "Your account", operation_id = "me",
    responses((status = 200, description = "Id, address, role, scopes, and `token`, `session` or `cookie`")))]
pub async fn me(Known(caller): Known) -> Json<Value> {
    let (by, id) = match caller.proof {
        Proof::Token(id) => ("token", id),
        Proof::Session(id) => ("session", id),
        Proof::Cookie(id) => ("cookie", id),
    };
    Json(json!({
        "id": caller.user, "email": caller.email, "role": caller.role, "scopes": caller.scopes, "by": by, "proof": id,
    }))
}

/// The old password and the new one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    old: String,
    new: String,
}

/// Changes your password: `{"old": …, "new": …}`. Every other session of yours ends, and you get a mail.
#[utoipa::path(post, path = "/v1/auth/password", tag = "Your account", operation_id = "changePassword",
    request_body(content = ref("#/components/schemas/PasswordChange"), content_type = "application/json"),
    responses((status = 204, description = "It is changed")))]
pub async fn password(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    From(origin): From,
    JsonBody(json): JsonBody,
) -> Result<StatusCode, Problem> {
    let Change { old, new } = read(json)?;
    app.identity.change_password(&caller, &old, &new, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A mailed token and the new password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    token: String,
    password: String,
}

/// Sets a new password by a mailed token: `{"token": …, "password": …}`. Every session of yours ends.
#[utoipa::path(post, path = "/v1/auth/password/reset", tag = "Signing in", operation_id = "resetPassword",
    request_body(content = ref("#/components/schemas/PasswordReset"), content_type = "application/json"),
    responses((status = 204, description = "It is changed: sign in")))]
pub async fn reset(
    State(app): State<Arc<App>>,
    From(origin): From,
    JsonBody(json): JsonBody,
) -> Result<StatusCode, Problem> {
    let Reset { token, password } = read(json)?;
    app.identity.reset(&token, &password, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The address that is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Email {
    email: String,
    #[serde(default)]
    password: String,
}

/// Asks for another address: `{"email": …, "password": …}`. A mail with a link comes to it, and word of it to the one you have.
#[utoipa::path(post, path = "/v1/auth/email", tag = "Your account", operation_id = "changeEmail",
    request_body(content = ref("#/components/schemas/EmailChange"), content_type = "application/json"),
    responses((status = 202, description = "A mail is on its way, if the address is right")))]
pub async fn email(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    From(origin): From,
    JsonBody(json): JsonBody,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Email { email, password } = read(json)?;
    app.identity.ask_email(&caller, &email, &password, &origin).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"said": "if the address is right, a mail is on its way to it"}))))
}

/// A mailed token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirm {
    token: String,
}

/// Takes the address that a mailed token proves: `{"token": …}`.
#[utoipa::path(post, path = "/v1/auth/email/confirm", tag = "Signing in", operation_id = "confirmEmail",
    request_body(content = ref("#/components/schemas/Confirm"), content_type = "application/json"),
    responses((status = 200, description = "`{\"email\": …}`: it is the account's now")))]
pub async fn confirm(
    State(app): State<Arc<App>>,
    From(origin): From,
    JsonBody(json): JsonBody,
) -> Result<Json<Value>, Problem> {
    let address = app.identity.confirm_email(&read::<Confirm>(json)?.token, &origin).await?;
    Ok(Json(json!({"email": address})))
}

/// The password once more.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Leave {
    #[serde(default)]
    password: String,
}

/// Deletes your account with everything in it: `{"password": …}`. What was recorded of your AREAs goes within minutes, and the
/// providers of your accounts are told that their tokens are no longer wanted.
#[utoipa::path(post, path = "/v1/auth/delete", tag = "Your account", operation_id = "leave",
    request_body(content = ref("#/components/schemas/Leave"), content_type = "application/json"),
    responses((status = 204, description = "It is gone")))]
pub async fn delete(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    From(origin): From,
    JsonBody(json): JsonBody,
) -> Result<Response, Problem> {
    let partings = app.engine.vault.partings(caller.user).await?;
    let touched = app.identity.leave(&caller, &read::<Leave>(json)?.password, &origin).await?;
    app.engine.vault.part(partings);
    for source in touched {
        app.engine.wake(Wake::Source { part: source.part, source: source.source }).await;
    }
    super::sign_in::out(&app)
}
