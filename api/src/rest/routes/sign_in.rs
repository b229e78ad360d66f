//! `/v1/auth`: signing up, in and out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use engine::store::sessions;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::identity::caller::Caller;
use crate::identity::origin::is_foreign;
use crate::identity::sessions::Opened;
use crate::identity::sign_up::SignUp;
use crate::rest::App;
use crate::rest::auth::{From, Known};
use crate::rest::body::{JsonBody, read};
use crate::rest::cursor;
use crate::rest::problem::{Kind, Problem};
use crate::rest::query::PathVars;

/// The same for a known and an unknown address.
const SENT: &str = "if the address is right, a mail is on its way to it";

/// Signs up. A mail with a link comes to the address; POST /v1/auth/verify takes its token and the password.
///
/// `{"email": …, "password": …, "name": …, "info": …}`. The answer is the same whether or not the address is known.
#[utoipa::path(post, path = "/v1/auth/register", tag = "Signing in", operation_id = "register",
    request_body(content = ref("#/components/schemas/SignUp"), content_type = "application/json"),
    responses((status = 202, description = "A mail is on its way, if the address is right")))]
pub async fn register(
    State(app): State<Arc<App>>,
    From(origin): From,
    JsonBody(json): JsonBody,
) -> Result<(StatusCode, Json<Value>), Problem> {
    app.identity.register(&read::<SignUp>(json)?, &origin).await?;
    Ok(sent())
}

/// What was mailed to an address.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Address {
    email: String,
}

/// Mails the link of a sign-up again; the link before ends. `{"email": …}`
#[utoipa::path(post, path = "/v1/auth/resend", tag = "Signing in", operation_id = "resend",
    request_body(content = ref("#/components/schemas/Address"), content_type = "application/json"),
    responses((status = 202, description = "A mail is on its way, if somebody signed up with this address")))]
pub async fn resend(
    State(app): State<Arc<App>>,
    From(origin): From,
    JsonBody(json): JsonBody,
) -> Result<(StatusCode, Json<Value>), Problem> {
    app.identity.resend(&read::<Address>(json)?.email, &origin).await?;
    Ok(sent())
}

/// Mails a link for a new password. `{"email": …}`
#[utoipa::path(post, path = "/v1/auth/password/forgot", tag = "Signing in", operation_id = "forgotPassword",
    request_body(content = ref("#/components/schemas/Address"), content_type = "application/json"),
    responses((status = 202, description = "A mail is on its way, if somebody has this address")))]
pub async fn forgot(
    State(app): State<Arc<App>>,
    From(origin): From,
    JsonBody(json): JsonBody,
) -> Result<(StatusCode, Json<Value>), Problem> {
    app.identity.forgot(&read::<Address>(json)?.email, &origin).await?;
    Ok(sent())
}

fn sent() -> (StatusCode, Json<Value>) {
    (StatusCode::ACCEPTED, Json(json!({"said": SENT})))
}

/// A link and its password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    token: String,
    password: String,
    #[serde(default)]
    cookie: bool,
}

/// Makes an account of a sign-up, by the mailed token and the password that was chosen with it, and signs in.
///
/// `{"token": …, "password": …, "cookie": false}`: as POST /v1/auth/login.
#[utoipa::path(post, path = "/v1/auth/verify", tag = "Signing in", operation_id = "verify",
    request_body(content = ref("#/components/schemas/Verify"), content_type = "application/json"),
    responses((status = 201, description = "The session", body = ref("#/components/schemas/SignedIn"))))]
pub async fn verify(
    State(app): State<Arc<App>>,
    From(origin): From,
    headers: HeaderMap,
    JsonBody(json): JsonBody,
) -> Result<Response, Problem> {
    refuse_foreign(&app, &headers)?;
    let asked: Verify = read(json)?;
    let (user, opened) = app.identity.verify(&asked.token, &asked.password, &origin).await?;
    answer(&app, StatusCode::CREATED, user.id.0, &opened, asked.cookie.then_some(&headers)).await
}

/// Who signs in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    email: String,
    password: String,
    #[serde(default)]
    cookie: bool,
}

/// Signs in: `{"email": …, "password": …}`.
///
/// The answer has a session's token, to be sent as `Authorization: Bearer`. With `"cookie": true`, for browsers, the session is in a
/// cookie that no script can read, and the answer has no token.
#[utoipa::path(post, path = "/v1/auth/login", tag = "Signing in", operation_id = "login",
    request_body(content = ref("#/components/schemas/Login"), content_type = "application/json"),
    responses((status = 200, description = "The session", body = ref("#/components/schemas/SignedIn"))))]
pub async fn login(
    State(app): State<Arc<App>>,
    From(origin): From,
    headers: HeaderMap,
    JsonBody(json): JsonBody,
) -> Result<Response, Problem> {
    refuse_foreign(&app, &headers)?;
    let asked: Login = read(json)?;
    let (user, opened) = app.identity.sign_in(&asked.email, &asked.password, &origin).await?;
    answer(&app, StatusCode::OK, user.0, &opened, asked.cookie.then_some(&headers)).await
}

/// A page of another site signs nobody in here: its visitor would work in somebody else's account unawares.
pub fn refuse_foreign(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    match is_foreign(headers, &app.identity.public) {
        true => Err(Problem::new(Kind::Forbidden, "a page of another site may not sign you in")),
        false => Ok(()),
    }
}

/// The session, in the body; for a browser, whose headers are given, in a cookie.
async fn answer(
    app: &App,
    status: StatusCode,
    user: Uuid,
    opened: &Opened,
    browser: Option<&HeaderMap>,
) -> Result<Response, Problem> {
    let mut body = json!({"user": user, "expires_at": opened.expires});
    if let Some(headers) = browser {
        app.identity.replace(headers).await?;
        let header = app.identity.set_cookie(Some(opened))?;
        return Ok((status, [(SET_COOKIE, header)], Json(body)).into_response());
    }
    body["token"] = json!(opened.token.expose());
    Ok((status, Json(body)).into_response())
}

/// The first person.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    code: String,
    email: String,
    password: String,
    #[serde(default)]
    name: String,
}

/// Makes the first SUPER-ADMIN, by the code that the daemon prints at its start as long as there is none.
#[utoipa::path(post, path = "/v1/auth/first", tag = "Signing in", operation_id = "first",
    request_body(content = ref("#/components/schemas/First"), content_type = "application/json"),
    responses((status = 201, description = "`{\"user\": id}`: sign in now")))]
pub async fn first(
    State(app): State<Arc<App>>,
    From(origin): From,
    JsonBody(json): JsonBody,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let First { code, email, password, name } = read(json)?;
    let new = SignUp { email, password, name, info: String::new() };
    let user = app.identity.first(&code, &new, &origin).await?;
    Ok((StatusCode::CREATED, Json(json!({"user": user.id}))))
}

/// Ends this session.
#[utoipa::path(post, path = "/v1/auth/logout", tag = "Signing in", operation_id = "logout",
    responses((status = 204, description = "It ended")))]
pub async fn logout(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    From(origin): From,
) -> Result<Response, Problem> {
    if let Some(session) = caller.session() {
        app.identity.end(&caller, session, &origin).await?;
    }
    out(&app)
}

/// Ends every session of yours, this one too. API tokens stay.
#[utoipa::path(post, path = "/v1/auth/logout/everywhere", tag = "Signing in", operation_id = "logoutEverywhere",
    responses((status = 204, description = "They ended")))]
pub async fn everywhere(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    From(origin): From,
) -> Result<Response, Problem> {
    app.identity.end_all(&caller, &origin).await?;
    out(&app)
}

/// Nothing more, and no cookie.
pub fn out(app: &App) -> Result<Response, Problem> {
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, app.identity.set_cookie(None)?)]).into_response())
}

/// Lists your sessions: what opened them, where they were used last, when they end.
#[utoipa::path(get, path = "/v1/auth/sessions", tag = "Signing in", operation_id = "listSessions",
    responses((status = 200, description = "All of them; `current` is this one")))]
pub async fn list(State(app): State<Arc<App>>, Known(caller): Known) -> Result<Json<Value>, Problem> {
    let all = sessions::list(&app.desk.db, caller.user, app.desk.clock.now()).await?;
    let items = all.iter().map(|session| shown(session, &caller)).collect();
    Ok(Json(cursor::list(items, None)))
}

fn shown(session: &sessions::Shown, caller: &Caller) -> Value {
    let mut shown = json!(session);
    shown["current"] = json!(caller.session() == Some(session.id));
    shown
}

/// Ends a session of yours.
#[utoipa::path(delete, path = "/v1/auth/sessions/{id}", tag = "Signing in", operation_id = "endSession",
    params(("id" = String, Path, description = "The session's id")),
    responses((status = 204, description = "It ended")))]
pub async fn end(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    From(origin): From,
    path: PathVars,
) -> Result<StatusCode, Problem> {
    app.identity.end(&caller, path.parsed("id", "session")?, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}
