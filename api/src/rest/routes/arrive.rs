//! `/v1/auth/{provider}`: signing in with an account at a provider. What comes back goes through the callback of `connect`: a provider
//! knows one redirect address.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use engine::clock::from_micros;
use engine::secret::Secret;
use engine::vault::connect::{Arrived, BeginSignIn, Begun};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::connect::{self, callback_url};
use super::sign_in::refuse_foreign;
use crate::identity::arrive::Welcome;
use crate::identity::caller::{Caller, Proof};
use crate::identity::{Origin, origin, throttled};
use crate::rest::App;
use crate::rest::auth::From;
use crate::rest::body::{self, Raw};
use crate::rest::page::{self, Notice};
use crate::rest::problem::{Kind, Problem};
use crate::rest::query::{PathVars, Query};

/// How somebody wants to sign in.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wanted {
    /// Of whoever is signed in already and wants to sign in with the account from now on.
    password: Option<String>,
    /// Where the browser goes in the end.
    return_to: Option<String>,
}

/// Begins to sign in with an account at a provider: send this browser to `authorize_url`.
///
/// The callback signs the browser in by its cookie: whoever has chosen the account to sign in with, or somebody new with the address that the
/// provider proved. Another browser signs nobody in. Whoever is signed in already and sends their password may sign in with the account from
/// now on. An attempt lives for ten minutes and is good once.
#[utoipa::path(post, path = "/v1/auth/{provider}", tag = "Signing in", operation_id = "signInWith",
    params(("provider" = String, Path, description = "`google` …: those that sign in by `/v1/providers`")),
    request_body(content = ref("#/components/schemas/SignInWith"), content_type = "application/json"),
    responses((status = 201, description = "Where to go, and a cookie", body = ref("#/components/schemas/Connecting"))))]
pub async fn begin(
    State(app): State<Arc<App>>,
    From(origin): From,
    path: PathVars,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Response, Problem> {
    let wanted = match body.iter().all(u8::is_ascii_whitespace) {
        true => Wanted::default(),
        false => body::typed(&body::parse(&body)?, Some("must be {\"password\": …, \"return_to\": …}, each a text"))?,
    };
    let (begun, browser) = begun(&app, path.text("provider"), wanted, &headers, &origin).await?;
    let answer = json!({
        "id": begun.id, "authorize_url": begun.authorize_url, "scopes": begun.scopes, "expires_at": from_micros(begun.expires_at),
    });
    let cookie = app.identity.set_began(Some(&browser))?;
    Ok((StatusCode::CREATED, [(SET_COOKIE, cookie)], Json(answer)).into_response())
}

/// The same for a browser that follows a link: it is sent to the provider at once.
#[utoipa::path(get, path = "/v1/auth/{provider}", tag = "Signing in", operation_id = "goAndSignInWith",
    params(("provider" = String, Path, description = "`google` …: those that sign in by `/v1/providers`"),
        ("return_to" = Option<String>, Query, description = "Where the browser goes in the end: a path here, or a URL that the operator allows")),
    responses((status = 303, description = "To the provider, with a cookie")))]
pub async fn go(
    State(app): State<Arc<App>>,
    From(origin): From,
    path: PathVars,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = query.only(&["return_to"])?;
    let wanted = Wanted { password: None, return_to: query.text("return_to").map(str::to_owned) };
    match begun(&app, path.text("provider"), wanted, &headers, &origin).await {
        Ok((begun, browser)) => {
            let cookie = app.identity.set_began(Some(&browser))?;
            Ok(([(SET_COOKIE, cookie)], Redirect::to(begun.authorize_url.as_str())).into_response())
        }
        Err(problem) => Ok(not_signed_in(problem, None, page::is_wanted(&headers))),
    }
}

async fn begun(
    app: &App,
    provider: &str,
    wanted: Wanted,
    headers: &HeaderMap,
    from: &Origin,
) -> Result<(Begun, Secret), Problem> {
    throttled(&app.identity.throttle.sign_in_address, from.address.counted())?;
    refuse_foreign(app, headers)?;
    let return_to = wanted.return_to.map(|to| app.return_to(&to)).transpose()?;
    let caller = visitor(app, headers, from).await?;
    if caller.is_some() && !origin::is_ours(&Method::POST, headers, &app.identity.public) {
        return Err(Problem::new(Kind::Forbidden, "a page of another site may not do this with your cookie"));
    }
    let proved = match (&caller, &wanted.password) {
        (Some(caller), password) => app.identity.is_shown(caller, password.as_deref(), from).await?,
        (None, _) => false,
    };
    let user = caller.map(|caller| caller.user);
    let redirect = callback_url(app, provider)?;
    Ok(app.engine.vault.sign_in(&BeginSignIn { user, proved, provider, redirect, return_to }).await?)
}

/// Whose session the browser has: what programs send does not count here.
pub async fn visitor(app: &App, headers: &HeaderMap, from: &Origin) -> Result<Option<Caller>, Problem> {
    match app.identity.caller(headers, from).await {
        Err(problem) if problem.kind() == Kind::Unauthorized => Ok(None),
        other => Ok(other?.filter(|caller| matches!(caller.proof, Proof::Cookie(_)))),
    }
}

/// Lets in who came back.
pub async fn arrived(
    app: &App,
    arrived: &Arrived,
    caller: Option<&Caller>,
    from: &Origin,
    headers: &HeaderMap,
) -> Response {
    let wants_page = page::is_wanted(headers);
    match app.identity.arrive(&app.engine.vault, arrived, caller, from).await {
        Ok(welcome) => match welcomed(app, arrived, &welcome, headers).await {
            Ok(response) => response,
            Err(problem) => not_signed_in(problem, None, wants_page),
        },
        Err(problem) => not_signed_in(problem, arrived.return_to.as_deref(), wants_page),
    }
}

async fn welcomed(app: &App, arrived: &Arrived, welcome: &Welcome, headers: &HeaderMap) -> Result<Response, Problem> {
    let (status, did, user, opened) = match welcome {
        Welcome::SignedIn(user, opened) => (StatusCode::OK, "signed_in", user, Some(opened)),
        Welcome::SignedUp(user, opened) => (StatusCode::CREATED, "signed_up", user, Some(opened)),
        Welcome::Linked(user) => (StatusCode::OK, "linked", user, None),
    };
    let mut cookies = vec![(SET_COOKIE, app.identity.set_began(None)?)];
    if let Some(opened) = opened {
        app.identity.replace(headers).await?;
        cookies.push((SET_COOKIE, app.identity.set_cookie(Some(opened))?));
    }
    let response = if let Some(to) = arrived.return_to.as_deref().and_then(|to| Url::parse(to).ok()) {
        Redirect::to(to.as_str()).into_response()
    } else if page::is_wanted(headers) {
        let title = if did == "linked" { "You sign in with it from now on" } else { "You are signed in" };
        let who = arrived.who.as_deref().unwrap_or(&arrived.id);
        Notice {
            title,
            says: vec![format!("{}: {who}. You may close this page.", arrived.provider)],
            ..Notice::default()
        }
        .answer(status)
    } else {
        let expires = opened.map(|opened| opened.expires);
        let said = json!({ "did": did, "user": user, "provider": arrived.provider, "who": arrived.who, "expires_at": expires });
        (status, Json(said)).into_response()
    };
    Ok((AppendHeaders(cookies), response).into_response())
}

/// Nobody is signed in: as a page, a problem, or where they wanted to go.
pub fn not_signed_in(problem: Problem, return_to: Option<&str>, wants_page: bool) -> Response {
    connect::told_why("You are not signed in", problem, return_to, wants_page)
}
