//! Runs: what fired, step by step; repeated, tried out, ended.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use engine::again::{self, AgainError, At, From, With};
use engine::history::{self, RunView};
use engine::ids::{EventId, RunId, born_at};
use engine::ledger::{Refused, RunState};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::rest::auth::Known;
use crate::rest::body::{JsonBody, read};
use crate::rest::idempotency::Seed;
use crate::rest::problem::{Kind, Problem};
use crate::rest::query::{PathVars, Query};
use crate::rest::view::time;
use crate::rest::{App, cursor};

/// Lists an AREA's runs, the newest event first.
#[utoipa::path(get, path = "/v1/areas/{id}/runs", tag = "Runs", operation_id = "listRuns",
    params(("id" = String, Path, description = "The AREA's id"),
        ("limit" = Option<i64>, Query, description = "How many: 1 to 500, 50 where it is absent"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
        ("state" = Option<String>, Query,
            description = "Only those that are `ready`, `waiting`, `held`, `done`, `failed`, `uncertain`, `cancelled` or `dropped`")),
    responses((status = 200, description = "A page: `{\"items\": […], \"next\": cursor|null}`")))]
pub async fn list(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    path: PathVars,
    query: Query,
) -> Result<Json<Value>, Problem> {
    let query = query.only(&["limit", "cursor", "state"])?;
    let (limit, before) = (query.limit()?, query.pair("runs")?.map(|(event, replay)| (EventId(event), replay)));
    let state = query.text("state");
    if state.is_some_and(|word| RunState::parse(word).is_none()) {
        return Err(Problem::parameter("state", "is no state of a run: see the description of `state`"));
    }
    let area = app.engine.desk().get(caller.user, path.area()?).await?;
    let mut rows = history::runs(&app.engine.db, caller.user, area.id, before, state, limit + 1).await?;
    let more = rows.len() as i64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = rows.last().filter(|_| more).map(|row| cursor::write_pair("runs", (row.event_id.0, row.replay)));
    Ok(Json(cursor::list(rows.iter().map(shown).collect(), next)))
}

/// Reads a run: its steps, every attempt, what was sent and what came of it.
#[utoipa::path(get, path = "/v1/runs/{id}", tag = "Runs", operation_id = "getRun",
    params(("id" = String, Path, description = "The run's id")),
    responses((status = 200, description = "The run")))]
pub async fn get(State(app): State<Arc<App>>, Known(caller): Known, path: PathVars) -> Result<Json<Value>, Problem> {
    let id: RunId = path.parsed("id", "run")?;
    let run = history::run(&app.engine.db, caller.user, id).await?.ok_or_else(|| Problem::no("run"))?;
    let event = history::event(&app.engine.db, caller.user, run.event_id).await?;
    let plan = app.engine.plans.pinned(run.area_no, run.revision).await?;
    let mut shown = shown(&run);
    shown["event"] = event.map_or(Value::Null, |event| super::events::shown(&event, plan.as_deref()));
    Ok(Json(shown))
}

/// How a run is repeated.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Replay {
    from: From,
    at: At,
}

/// Repeats a run that has ended, with idempotency keys of its own.
///
/// `{"from": "failed"}` (the default) begins at the step that failed, `{"from": "start"}` at the first;
/// `{"at": "original"}` (the default) runs the revision that the run had, `{"at": "current"}` the newest.
#[utoipa::path(post, path = "/v1/runs/{id}/replay", tag = "Runs", operation_id = "replayRun",
    params(("id" = String, Path, description = "The run's id")),
    responses((status = 202, description = "`{\"run\": id}`: the new run")))]
pub async fn replay(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    path: PathVars,
    JsonBody(json): JsonBody,
) -> Result<Response, Problem> {
    let how: Replay = read(json)?;
    let run = again::replay(&app.engine, caller.user, path.parsed("id", "run")?, how.from, how.at).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "run": run }))).into_response())
}

/// Ends a run that is open. What a call under way does stays done.
#[utoipa::path(post, path = "/v1/runs/{id}/cancel", tag = "Runs", operation_id = "cancelRun",
    params(("id" = String, Path, description = "The run's id")),
    responses((status = 204, description = "It is over")))]
pub async fn cancel(State(app): State<Arc<App>>, Known(caller): Known, path: PathVars) -> Result<StatusCode, Problem> {
    again::cancel(&app.engine, caller.user, path.parsed("id", "run")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What an AREA is tried out with.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Try {
    with: Option<String>,
    event: Option<Value>,
}

/// Tries an AREA out: its reactions are really done, once, and marked as a test.
///
/// `{"with": "last"}` (the default) takes the last event of its source, or the sample where there is none; `{"with": "sample"}` the
/// sample; `{"event": {…}}` this event. Condition and policies are not asked.
#[utoipa::path(post, path = "/v1/areas/{id}/test", tag = "Trying out", operation_id = "testArea",
    params(("id" = String, Path, description = "The AREA's id")),
    responses((status = 202, description = "`{\"run\": id}`")))]
pub async fn test(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    path: PathVars,
    _seed: Option<Extension<Seed>>,
    JsonBody(json): JsonBody,
) -> Result<Response, Problem> {
    let asked: Try = read(json)?;
    let with = match (asked.event, asked.with.as_deref()) {
        (Some(event), None) => With::Event(event),
        (None, None | Some("last")) => With::Last,
        (None, Some("sample")) => With::Sample,
        _ => {
            return Err(Problem::new(
                Kind::Invalid,
                "send `{\"with\": \"last\"}`, `{\"with\": \"sample\"}` or `{\"event\": {…}}`",
            ));
        }
    };
    let run = again::test(&app.engine, caller.user, path.area()?, with).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "run": run }))).into_response())
}

impl std::convert::From<AgainError> for Problem {
    fn from(error: AgainError) -> Self {
        match error {
            AgainError::NotFound(what) => Self::no(what),
            AgainError::NotNow(why) => Self::new(Kind::Conflict, why),
            AgainError::Event(why) => Self::new(Kind::Invalid, format!("the event cannot be kept: {why}")),
            AgainError::Refused(Refused::Away | Refused::Closed) => Self::unavailable(),
            AgainError::Refused(refused) => Self::internal(refused),
            AgainError::Sqlx(error) => error.into(),
        }
    }
}

/// A run as it is shown.
pub fn shown(run: &RunView) -> Value {
    let detail: Value = run.detail.as_deref().and_then(|d| serde_json::from_str(d).ok()).unwrap_or_default();
    let open = run.ended_at.is_none();
    json!({
        "id": run.id,
        "area": {"id": run.area, "name": run.area_name},
        "event_id": run.event_id,
        "revision": run.revision,
        "kind": detail.get("kind").cloned().unwrap_or_else(|| json!("event")),
        "of": detail.get("of"),
        "state": run.state,
        "reason": run.reason,
        "born_at": time(born_at(run.id.0)),
        "due_at": open.then(|| time(run.due_at)),
        "ended_at": run.ended_at.map(time),
        "events": detail.get("events"),
        "steps": steps(detail.get("steps")),
    })
}

/// Instants inside the detail are microseconds; people read RFC 3339.
fn steps(steps: Option<&Value>) -> Value {
    let mut steps = steps.cloned().unwrap_or_else(|| json!([]));
    for step in steps.as_array_mut().into_iter().flatten() {
        for (holder, name) in [("/wake_at", "wake_at")] {
            if let Some(at) = step.pointer(holder).and_then(Value::as_i64) {
                step[name] = time(at);
            }
        }
        for attempt in step["attempts"].as_array_mut().into_iter().flatten() {
            if let Some(at) = attempt["at"].as_i64() {
                attempt["at"] = time(at);
            }
        }
    }
    steps
}
