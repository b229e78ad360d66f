//! The gate in front of every route: finds who asks, and lets through whom the table of `identity::rights` lets. It is the one place
//! that decides so; a route that the table does not name is closed. Routes read the caller with [`Known`], and where the request
//! comes from with [`From`].

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::App;
use super::page;
use super::problem::{Kind, Problem};
use crate::identity::address::Address;
use crate::identity::caller::{Caller, Proof};
use crate::identity::rights::{self, Need};
use crate::identity::{Origin, origin, sessions};

/// The caller, whom the gate let through.
#[derive(Clone, Debug)]
pub struct Known(pub Caller);

/// Where the request comes from.
#[derive(Clone, Debug)]
pub struct From(pub Origin);

/// What each route asks, by path and method; `None`: closed, for nobody wrote it down.
pub type Needs = HashMap<String, Vec<(Method, Option<Need>)>>;

/// What the table says of every route that is described.
pub fn needs(described: &Value) -> Needs {
    let mut needs = Needs::new();
    for (path, methods) in described["paths"].as_object().into_iter().flatten() {
        for (method, _) in methods.as_object().into_iter().flatten() {
            let method = method.to_uppercase();
            let Ok(parsed) = Method::from_bytes(method.as_bytes()) else { continue };
            needs.entry(path.clone()).or_default().push((parsed, rights::need(&method, path)));
        }
    }
    needs
}

/// See the module.
pub async fn gate(State((app, needs)): State<(Arc<App>, Arc<Needs>)>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let all = path.as_deref().and_then(|path| needs.get(path));
    let asks = |method: &Method| all?.iter().find(|(m, _)| m == method).map(|(_, need)| *need);
    // HEAD is as GET, unless it is described.
    let head = || (request.method() == Method::HEAD).then(|| asks(&Method::GET)).flatten();
    // What is not described (pages, a wrong method, what nodes ask each other) is answered by what stands there.
    let Some(need) = asks(request.method()).or_else(head) else { return next.run(request).await };
    let Some(need) = need else {
        return Problem::internal(format!("{path:?} is not in the table of rights")).into_response();
    };
    let (mut parts, body) = request.into_parts();
    match admit(&app, need, &parts).await {
        Err(problem) if page::is_wanted(&parts.headers) => page::refused(&app.public_url, &problem),
        Err(problem) => problem.into_response(),
        Ok(caller) => {
            parts.extensions.insert(need);
            caller.map(|caller| parts.extensions.insert(caller));
            next.run(Request::from_parts(parts, body)).await
        }
    }
}

async fn admit(app: &App, need: Need, parts: &Parts) -> Result<Option<Caller>, Problem> {
    let headers = &parts.headers;
    if need == Need::Anyone {
        return Ok(None);
    }
    let from = from(app, &parts.extensions, headers);
    let caller = app.identity.caller(headers, &from).await?.ok_or_else(sessions::missing_proof)?;
    if matches!(caller.proof, Proof::Cookie(_)) && !origin::is_ours(&parts.method, headers, &app.identity.public) {
        return Err(Problem::new(Kind::Forbidden, "a page of another site may not do this with your cookie"));
    }
    need.check(&caller).map_err(|why| Problem::new(Kind::Forbidden, why))?;
    Ok(Some(caller))
}

fn from(app: &App, extensions: &Extensions, headers: &HeaderMap) -> Origin {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    Origin { address: Address::of(extensions, headers, app.identity.trusted()), agent: agent.to_owned() }
}

impl FromRequestParts<Arc<App>> for Known {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Caller>().cloned();
        caller.map(Self).ok_or_else(|| Problem::internal("a route asks who calls, and the table lets anyone in"))
    }
}

impl FromRequestParts<Arc<App>> for From {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        Ok(Self(from(app, &parts.extensions, &parts.headers)))
    }
}
