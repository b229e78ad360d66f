//! What an owner asks of an AREA: why it did or did not fire, a poll now, a dry run, a backtest.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use engine::fault::Fault;
use engine::node::Wake;
use engine::port::FeedKind;
use engine::rehearse;
use engine::store::areas::AreaRow;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::rest::App;
use crate::rest::auth::Known;
use crate::rest::body::JsonBody;
use crate::rest::problem::{Kind, Problem};
use crate::rest::query::{PathVars, Query};

/// Says why an AREA did or did not fire: its last and next poll, what the provider answered, and what became of each recent event.
#[utoipa::path(get, path = "/v1/areas/{id}/why", tag = "Trying out", operation_id = "why",
    params(("id" = String, Path, description = "The AREA's id"),
        ("limit" = Option<i64>, Query, description = "How many events: 1 to 500, 50 where it is absent")),
    responses((status = 200, description = "The explanation")))]
pub async fn why(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    path: PathVars,
    query: Query,
) -> Result<Json<Value>, Problem> {
    let limit = query.only(&["limit"])?.limit()?;
    let seen = async |source| super::peers::ask(&app.engine, source).await;
    let why = engine::why::why(&app.engine, caller.user, path.area()?, limit, seen).await?;
    let why = why.ok_or_else(|| Problem::no("AREA"))?;
    serde_json::to_value(why).map(Json).map_err(Problem::internal)
}

/// Polls the AREA's source now. What it brings fires as always.
#[utoipa::path(post, path = "/v1/areas/{id}/poll", tag = "Trying out", operation_id = "pollArea",
    params(("id" = String, Path, description = "The AREA's id")),
    responses((status = 202, description = "It is due now")))]
pub async fn poll(State(app): State<Arc<App>>, Known(caller): Known, path: PathVars) -> Result<StatusCode, Problem> {
    let row = app.engine.desk().get(caller.user, path.area()?).await?;
    let plan = planned(&app, &row, None).await?;
    if !matches!(plan.action.feed.kind, FeedKind::Polled { .. }) {
        return Err(Problem::new(Kind::Conflict, "this AREA's action is not polled: its events come by themselves"));
    }
    let part = engine::store::sources::part(&app.engine.db, caller.user, row.source_id).await?;
    let part = part.ok_or_else(|| Problem::no("AREA"))?;
    app.engine.wake(Wake::Poll { part, source: row.source_id }).await;
    Ok(StatusCode::ACCEPTED)
}

/// Polls for real, as a first poll would, reacts to nothing, and says what would fire for each item.
///
/// With a body, the AREA is taken to be that document; `{}` takes it as it is.
#[utoipa::path(post, path = "/v1/areas/{id}/dry-run", tag = "Trying out", operation_id = "dryRunArea",
    params(("id" = String, Path, description = "The AREA's id")),
    responses((status = 200, description = "What would fire"), (status = 409, description = "The provider did not answer as it should")))]
pub async fn dry_run(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    path: PathVars,
    JsonBody(json): JsonBody,
) -> Result<Json<Value>, Problem> {
    let row = app.engine.desk().get(caller.user, path.area()?).await?;
    let document = json.as_object().is_some_and(|members| !members.is_empty()).then_some(&json);
    let plan = planned(&app, &row, document).await?;
    let engine = &app.engine;
    match rehearse::dry_run(&plan, &engine.vault, &engine.http, &engine.clock, &engine.limits).await {
        Ok(found) => serde_json::to_value(found).map(Json).map_err(Problem::internal),
        Err(fault) => Err(Problem::new(Kind::Conflict, told(&fault))),
    }
}

/// What is put through the stored events.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Edited {
    area: Option<Value>,
    events: Option<i64>,
}

/// Puts the stored events of an AREA's source through an edit of it, sends nothing, and answers where the result differs from what
/// really fired.
///
/// `{"area": {…}, "events": 500}`: `area` is the edited document (absent: as it is), `events` how many of the newest.
#[utoipa::path(post, path = "/v1/areas/{id}/backtest", tag = "Trying out", operation_id = "backtestArea",
    params(("id" = String, Path, description = "The AREA's id")),
    responses((status = 200, description = "The differences")))]
pub async fn backtest(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    path: PathVars,
    JsonBody(json): JsonBody,
) -> Result<Json<Value>, Problem> {
    let asked: Edited = serde_json::from_value(json).map_err(|e| Problem::new(Kind::Invalid, e.to_string()))?;
    let row = app.engine.desk().get(caller.user, path.area()?).await?;
    let plan = planned(&app, &row, asked.area.as_ref()).await?;
    let most = asked.events.unwrap_or(rehearse::BACKTEST_EVENTS);
    if !(1..=rehearse::BACKTEST_EVENTS_MOST).contains(&most) {
        let right = format!("must be 1 to {}", rehearse::BACKTEST_EVENTS_MOST);
        return Err(Problem::invalid(vec![engine::port::Invalid::new("/events", right)]));
    }
    let found = rehearse::backtest(&app.engine, caller.user, &row, &plan, most).await?;
    serde_json::to_value(found).map(Json).map_err(Problem::internal)
}

/// The plan of an AREA as it is, or as this document has it.
async fn planned(
    app: &App,
    row: &AreaRow,
    document: Option<&Value>,
) -> Result<std::sync::Arc<engine::area::Plan>, Problem> {
    match document {
        Some(json) => {
            let mut json = json.clone();
            crate::rest::view::without_read_only(&mut json);
            Ok(Arc::new(app.engine.desk().planned(row, &json).await?))
        }
        None => {
            let plan = app.engine.plans.current(row.no).await?;
            plan.ok_or_else(|| Problem::new(Kind::Conflict, "this program can no longer run the stored AREA: edit it"))
        }
    }
}

fn told(fault: &Fault) -> String {
    match fault.not_before() {
        Some(at) => format!("{}; not before {}", fault.why(), json!(at)),
        None => fault.why().to_owned(),
    }
}
