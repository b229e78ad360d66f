//! `/v1/services`: what AREAs can be made of.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use engine::area::catalog as names;
use engine::area::words::unknown;
use engine::fault::Fault;
use engine::ids::AccountId;
use engine::port::{Auth, Choices, OptionsCx, OptionsSpec, Service};
use engine::store::accounts;
use serde_json::Value;

use crate::catalog;
use crate::rest::auth::Known;
use crate::rest::problem::{Kind, Problem};
use crate::rest::query::{PathVars, Query};
use crate::rest::{App, cursor};

/// Lists the services.
#[utoipa::path(get, path = "/v1/services", tag = "Services", operation_id = "listServices",
    responses((status = 200, description = "All of them", body = ref("#/components/schemas/ServiceList"))))]
pub async fn list(State(app): State<Arc<App>>, _: Known, query: Query) -> Result<Json<Value>, Problem> {
    query.only(&[])?;
    Ok(Json(cursor::list(app.desk.services.iter().map(|service| catalog::line(service)).collect(), None)))
}

/// Reads a service: its actions and reactions, the JSON Schemas of their `data`, and samples.
#[utoipa::path(get, path = "/v1/services/{service}", tag = "Services", operation_id = "getService",
    params(("service" = String, Path, description = "The service's name")),
    responses((status = 200, description = "The service", body = ref("#/components/schemas/Service"))))]
pub async fn get(State(app): State<Arc<App>>, _: Known, path: PathVars) -> Result<Json<Value>, Problem> {
    let found = names::service(app.desk.services, path.text("service"));
    found.map(|service| Json(catalog::full(service))).map_err(|why| Problem::new(Kind::NotFound, why))
}

/// Lists what can be picked by name where `data` wants an id: playlists, calendars, labels.
///
/// Which fields have options stands in the schemas, as `x-options`. The account is asked while you wait.
#[utoipa::path(get, path = "/v1/services/{service}/options/{field}", tag = "Services", operation_id = "listOptions",
    params(("service" = String, Path, description = "The service's name"),
        ("field" = String, Path, description = "What is picked: the `x-options` of a property"),
        ("account" = Option<String>, Query, description = "The id of your account; needed where the service needs one"),
        ("q" = Option<String>, Query, description = "What the names must hold"),
        ("within" = Option<String>, Query, description = "What they are looked for in: the spreadsheet whose sheets, the shared drive whose folders these are")),
    responses((status = 200, description = "What can be picked", body = ref("#/components/schemas/Choices"))),
    security(("token" = [])))]
pub async fn options(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    path: PathVars,
    query: Query,
) -> Result<Json<Choices>, Problem> {
    let query = query.only(&["account", "q", "within"])?;
    let (service, spec) = picked(&app, &path)?;
    let auth = match service.provider {
        None => None,
        Some(provider) => {
            let account: AccountId = query.parsed("account")?.ok_or_else(|| {
                Problem::parameter("account", format!("is needed: the id of your {provider} account"))
            })?;
            let row = accounts::granted(&app.desk.db, caller.user, account).await?;
            let row = row
                .filter(|row| row.provider == provider)
                .ok_or_else(|| Problem::parameter("account", format!("must be the id of your {provider} account")))?;
            // A provider may answer with a part instead of refusing: what it lacks would look as if it were not there.
            let part = format!("the list of what `{}` may be", spec.name);
            if let Some(lacks) = app.desk.lacking("/account".to_owned(), &part, spec.scopes, &row) {
                return Err(Problem::invalid(vec![lacks]));
            }
            Some(app.engine.vault.auth(caller.user, account, Some(provider)))
        }
    };
    let auth = auth.as_ref().map(|auth| auth as &dyn Auth);
    let (q, within) = (query.text("q").unwrap_or_default(), query.text("within"));
    let cx = OptionsCx { q, within, auth, http: &app.engine.http, now: app.engine.clock.now() };
    match tokio::time::timeout(app.engine.limits.react_timeout, (spec.list)(cx)).await {
        Ok(choices) => Ok(Json(choices.map_err(far)?)),
        Err(_) => Err(Problem::new(Kind::Timeout, "the provider did not answer in time")),
    }
}

fn picked(app: &App, path: &PathVars) -> Result<(&'static Service, &'static OptionsSpec), Problem> {
    let no = |why| Problem::new(Kind::NotFound, why);
    let service = names::service(app.desk.services, path.text("service")).map_err(no)?;
    let field = path.text("field");
    let found = service.options.iter().find(|options| options.name == field);
    let known: Vec<&str> = service.options.iter().map(|options| options.name).collect();
    found.map(|options| (service, *options)).ok_or_else(|| no(unknown("options", field, &known)))
}

/// What kept the provider from answering.
fn far(fault: Fault) -> Problem {
    let kind = match fault {
        Fault::Later { .. } | Fault::Held { .. } | Fault::Resync { .. } => Kind::Unavailable,
        Fault::Reconnect { .. } | Fault::Rejected { .. } => Kind::Conflict,
    };
    Problem::new(kind, fault.why())
}
