//! `/v1/services`: what AREAs can be made of.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use engine::area::catalog as names;
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
