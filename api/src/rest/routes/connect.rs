//! `/v1/connect/{provider}`: linking an account by OAuth, from the request to the provider's answer. A browser is answered with a
//! page, a program with JSON. The callback takes sign-ins too, which `arrive` begins: a provider knows one redirect address.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use engine::clock::from_micros;
use engine::ids::{AreaId, UserId};
use engine::port::Invalid;
use engine::vault::connect::{Begin, Callback, Called, ConnectError, Linked, NotCalled};
use serde::Deserialize;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::arrive;
use crate::identity::Origin;
use crate::identity::caller::Proof;
use crate::identity::rights::Need;
use crate::rest::App;
use crate::rest::auth::{From, Known};
use crate::rest::body::{self, Raw};
use crate::rest::page::{self, Button, Notice};
use crate::rest::problem::{Kind, Problem};
use crate::rest::query::{PathVars, Query};

/// Scopes that one request names at most.
const SCOPES: usize = 100;
/// Characters of a scope.
const SCOPE_CHARS: usize = 300;

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wanted {
    /// Scopes, in short or as the provider writes them.
    scopes: Vec<String>,
    /// Actions and reactions (`google.new_mail`) whose scopes are needed.
    #[serde(rename = "for")]
    uses: Vec<String>,
    /// Where the browser goes in the end.
    return_to: Option<String>,
}

/// Lists the providers whose accounts can be linked.
#[utoipa::path(get, path = "/v1/providers", tag = "Accounts", operation_id = "listProviders",
    responses((status = 200, description = "All of them; `verified`: a round trip against a real server of its kind is in our tests",
        body = ref("#/components/schemas/ProviderList"))),
    security(("token" = [])))]
pub async fn providers(State(app): State<Arc<App>>) -> Json<Value> {
    let one = |provider: &engine::vault::Provider| {
        json!({
            "name": provider.name, "title": provider.title, "kind": if provider.oauth.is_some() { "oauth" } else { "key" },
            "set_up": provider.oauth.is_none() || provider.client().is_some(), "signs_in": provider.signs_in().is_some(),
            "verified": provider.verified,
        })
    };
    let mut all: Vec<_> = app.engine.vault.providers().collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Json(json!({ "items": all.into_iter().map(one).collect::<Vec<_>>(), "next": null }))
}

/// Begins to link an account: send your browser to `authorize_url`.
///
/// The provider asks you, and sends the browser back to our callback. An attempt lives for ten minutes and is good once. What you
/// granted before is asked for again, so that asking for more takes nothing away.
#[utoipa::path(post, path = "/v1/connect/{provider}", tag = "Accounts", operation_id = "connect",
    params(("provider" = String, Path, description = "`google`, `spotify` …: see `/v1/providers`")),
    request_body(content = ref("#/components/schemas/Connect"), content_type = "application/json"),
    responses((status = 201, description = "Where to go", body = ref("#/components/schemas/Connecting"))),
    security(("token" = [])))]
pub async fn begin(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    path: PathVars,
    Raw(body): Raw,
) -> Result<Response, Problem> {
    let provider = path.text("provider");
    let wanted = read(&body)?;
    let scopes = scopes(&app, provider, &wanted)?;
    let return_to = wanted.return_to.map(|to| app.return_to(&to)).transpose()?;
    let begin =
        Begin { user: caller.user, provider, scopes: &scopes, redirect: callback_url(&app, provider)?, return_to };
    let begun = app.engine.vault.connect(&begin).await?;
    let answer = json!({
        "id": begun.id, "authorize_url": begun.authorize_url, "scopes": begun.scopes, "expires_at": from_micros(begun.expires_at),
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

fn read(body: &[u8]) -> Result<Wanted, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Wanted::default());
    }
    body::typed(&body::parse(body)?, None)
}

/// The scopes that are named, and those that follow from actions and reactions.
fn scopes(app: &App, provider: &str, wanted: &Wanted) -> Result<Vec<String>, Problem> {
    let mut wrong = Vec::new();
    let mut all = BTreeSet::new();
    for (n, scope) in wanted.scopes.iter().enumerate() {
        let fit = (1..=SCOPE_CHARS).contains(&scope.len())
            && scope.bytes().all(|b| b.is_ascii_graphic() && !b"\"\\".contains(&b));
        match fit && n < SCOPES {
            true => drop(all.insert(scope.clone())),
            false => wrong.push(Invalid::new(
                format!("/scopes/{n}"),
                "is no scope: 1 to 300 visible characters, 100 scopes at most",
            )),
        }
    }
    for (n, name) in wanted.uses.iter().enumerate() {
        match of_use(app, provider, name) {
            Ok(scopes) => all.extend(scopes.iter().map(|&scope| scope.to_owned())),
            Err(why) => wrong.push(Invalid::new(format!("/for/{n}"), why)),
        }
    }
    if wrong.is_empty() { Ok(all.into_iter().collect()) } else { Err(Problem::invalid(wrong)) }
}

fn of_use(app: &App, provider: &str, name: &str) -> Result<&'static [&'static str], String> {
    let unknown = || format!("there is no action or reaction `{name}`: `/v1/services` lists them as SERVICE.NAME");
    let (service, part) = name.split_once('.').ok_or_else(unknown)?;
    let service = app.desk.services.iter().find(|s| s.name == service).ok_or_else(unknown)?;
    if service.provider != Some(provider) {
        return Err(format!("{} needs no account of {provider}", service.name));
    }
    let action = service.actions.iter().find(|a| a.name == part).map(|a| a.scopes);
    action.or_else(|| service.reactions.iter().find(|r| r.name == part).map(|r| r.scopes)).ok_or_else(unknown)
}

/// The one redirect address that is registered at a provider.
///
/// # Errors
/// A provider's name that is none.
pub fn callback_url(app: &App, provider: &str) -> Result<Url, Problem> {
    crate::settings::callback_url(&app.public_url, provider).map_err(Problem::internal)
}

/// Where a provider sends the browser back.
///
/// Links the account where the one who began is signed in. In another browser nothing is linked until they sign in there and confirm. A
/// sign-in (`/v1/auth/{provider}`) ends here too: with a session in a cookie.
#[utoipa::path(get, path = "/v1/connect/{provider}/callback", tag = "Accounts", operation_id = "connectCallback",
    params(("provider" = String, Path, description = "The provider"),
        ("state" = String, Query, description = "What the browser took along"),
        ("code" = Option<String>, Query, description = "What the provider gave"),
        ("error" = Option<String>, Query, description = "Or why it gave nothing"),
        ("error_description" = Option<String>, Query, description = "The same in words"),
        ("iss" = Option<String>, Query, description = "Who the provider is (RFC 9207)")),
    responses(
        (status = 200, description = "The account is linked, or you are signed in", body = ref("#/components/schemas/Called")),
        (status = 201, description = "You are new, and signed in", body = ref("#/components/schemas/Arrived")),
        (status = 202, description = "To be confirmed", body = ref("#/components/schemas/Unconfirmed")),
        (status = 303, description = "The account is linked, and the browser goes where it wanted to")),
    security((), ("token" = [])))]
pub async fn callback(
    State(app): State<Arc<App>>,
    From(from): From,
    path: PathVars,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = match app.identity.caller(&headers, &from).await {
        Err(problem) if problem.kind() == Kind::Unauthorized => None,
        other => other?,
    };
    let visitor = caller.clone().filter(|caller| matches!(caller.proof, Proof::Cookie(_)));
    let links = caller.filter(|caller| Need::Link.check(caller).is_ok());
    let came = Callback {
        provider: path.text("provider"),
        state: query.text("state"),
        code: query.text("code"),
        error: query.text("error"),
        description: query.text("error_description"),
        iss: query.text("iss"),
        user: links.map(|caller| caller.user),
        visitor: visitor.as_ref().map(|caller| caller.user),
        browser: app.identity.began(&headers),
    };
    let called = app.engine.vault.callback(&came).await;
    let wants_page = page::is_wanted(&headers);
    Ok(match called {
        Ok(Called::Linked(linked)) => told(&app, linked, &from, wants_page).await?,
        Ok(Called::Arrived(arrived)) => arrive::arrived(&app, &arrived, visitor.as_ref(), &from, &headers).await,
        Ok(Called::Confirm { token, who }) => {
            let provider = path.text("provider");
            confirm_first(&app, provider, token.expose(), who.as_deref(), wants_page)
        }
        Err(NotCalled { error, return_to, sign_in: true }) => {
            arrive::not_signed_in(error.into(), return_to.as_deref(), wants_page)
        }
        Err(NotCalled { error, return_to, .. }) => refused(error, return_to.as_deref(), wants_page),
    })
}

/// Confirms what another browser brought back: links the account if you began it.
#[utoipa::path(post, path = "/v1/connect/{provider}/confirm", tag = "Accounts", operation_id = "confirmConnect",
    params(("provider" = String, Path, description = "The provider")),
    request_body(content = ref("#/components/schemas/Confirm"), content_type = "application/json"),
    responses((status = 200, description = "The account is linked", body = ref("#/components/schemas/Connected"))),
    security(("token" = [])))]
pub async fn confirm(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    From(from): From,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Response, Problem> {
    let wants_page = page::is_wanted(&headers);
    let form = form_urlencoded::parse(&body).find(|(name, _)| name == "confirm").map(|(_, value)| value.into_owned());
    let token = match form {
        Some(token) => token,
        None => {
            let value = body::parse(&body)?;
            let missing =
                || Problem::invalid(vec![Invalid::new("/confirm", "must be the text that the callback gave")]);
            value.get("confirm").and_then(Value::as_str).ok_or_else(missing)?.to_owned()
        }
    };
    match app.engine.vault.confirm(caller.user, &token).await {
        Ok(linked) => told(&app, linked, &from, wants_page).await,
        Err(error) => Ok(refused(error, None, wants_page)),
    }
}

/// The account is linked: what had stopped without it goes on, and the user goes where they wanted to.
async fn told(app: &App, linked: Linked, from: &Origin, wants_page: bool) -> Result<Response, Problem> {
    app.identity.note_account("linked", linked.user, &linked.provider, linked.who.as_deref(), from).await?;
    let resumed = resume(app, linked.user, &linked.stopped).await;
    if let Some(to) = linked.return_to.as_deref().and_then(|to| Url::parse(to).ok()) {
        return Ok(returned(to, &[("provider", &linked.provider), ("account", &linked.account.to_string())]));
    }
    if !wants_page {
        return Ok(Json(view(&linked, &resumed)).into_response());
    }
    let who = linked.who.as_deref().unwrap_or("the account");
    let mut says = vec![format!("{who} is linked. You may close this page.")];
    if !linked.missing.is_empty() {
        let missing = linked.missing.join(", ");
        says.push(format!("Not granted: {missing}. What needs it will say so; link the account again to grant it."));
    }
    let title = format!("Linked: {}", linked.provider);
    Ok(Notice { title: &title, says, ..Notice::default() }.answer(StatusCode::OK))
}

/// A link as it is shown.
pub fn view(linked: &Linked, resumed: &[AreaId]) -> Value {
    json!({
        "account": linked.account, "provider": linked.provider, "who": linked.who, "scopes": linked.scopes,
        "missing": linked.missing, "resumed": resumed,
    })
}

/// Lets AREAs go on that had stopped because their account was lost.
pub async fn resume(app: &App, user: UserId, stopped: &[AreaId]) -> Vec<AreaId> {
    let mut resumed = Vec::new();
    for id in stopped {
        match app.desk.resume(user, *id, None).await {
            Ok(changed) => {
                app.engine.changed(&changed).await;
                resumed.push(*id);
            }
            Err(error) => {
                tracing::warn!(%error, area = %id, "an AREA could not go on although its account is linked again")
            }
        }
    }
    resumed
}

fn confirm_first(app: &App, provider: &str, token: &str, who: Option<&str>, wants_page: bool) -> Response {
    let action = format!("{}/v1/connect/{provider}/confirm", app.public_url.as_str().trim_end_matches('/'));
    if !wants_page {
        let next = format!("POST {{\"confirm\": …}} to {action} as the user who began");
        let answer = json!({ "status": "unconfirmed", "who": who, "confirm": token, "next": next });
        return (StatusCode::ACCEPTED, Json(answer)).into_response();
    }
    let says = vec![
        format!("{} may be linked, but you are not signed in in this browser.", who.unwrap_or("The account")),
        "If you began this yourself: sign in here within ten minutes, come back to this page, and confirm. \
         If somebody sent you here, close this page: nothing is linked."
            .to_owned(),
    ];
    let button = Some(Button { action, field: ("confirm", token), words: "Link the account" });
    Notice { title: "Not linked yet", says, link: page::sign_in(&app.public_url), button }.answer(StatusCode::ACCEPTED)
}

fn refused(error: ConnectError, return_to: Option<&str>, wants_page: bool) -> Response {
    told_why("Nothing was linked", error.into(), return_to, wants_page)
}

/// Why something did not happen: to a browser as a page or where it wanted to go, to a program as a problem.
pub fn told_why(title: &str, problem: Problem, return_to: Option<&str>, wants_page: bool) -> Response {
    if !wants_page {
        return problem.into_response();
    }
    if let Some(to) = return_to.and_then(|to| Url::parse(to).ok()) {
        return returned(to, &[("error", problem.detail())]);
    }
    page::told_why(title, &problem)
}

fn returned(mut to: Url, says: &[(&str, &str)]) -> Response {
    to.query_pairs_mut().extend_pairs(says);
    Redirect::to(to.as_str()).into_response()
}

impl std::convert::From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Self {
        use ConnectError as E;
        let words = error.to_string();
        match error {
            E::NoSignIn(_) | E::NoProvider(_) => {
                Self::new(Kind::NotFound, format!("{words}: /v1/providers lists them"))
            }
            E::IsKeyed(_) | E::IsNotKeyed(_) | E::NotSetUp(_) | E::Redirect(_) => Self::new(Kind::Conflict, words),
            E::TooMany => Self::new(Kind::TooMany, words),
            E::Unknown | E::MixedUp | E::Refused(_) => Self::new(Kind::Malformed, words),
            E::Expired => Self::new(Kind::Gone, words),
            E::Used | E::Taken(_) => Self::new(Kind::Conflict, words),
            E::Foreign | E::OtherBrowser | E::Denied(_) => Self::new(Kind::Forbidden, words),
            E::Away(_) => Self::new(Kind::Unavailable, words),
            E::Database => Self::unavailable(),
            E::Internal(why) => Self::internal(why),
        }
    }
}
