//! Events: what was recorded, whether or not it fired.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use engine::area::plan::Plan;
use engine::history::{self, EventView};
use engine::ids::{AreaId, EventId, born_at};
use serde_json::{Value, json};

use crate::rest::auth::Known;
use crate::rest::problem::Problem;
use crate::rest::query::Query;
use crate::rest::view::time;
use crate::rest::{App, cursor};

/// Lists recorded events, the newest first: of all your sources, or of the one that an AREA watches.
#[utoipa::path(get, path = "/v1/events", tag = "Events", operation_id = "listEvents",
    params(("area" = Option<String>, Query, description = "Only those of the source that this AREA watches, as its expressions see them"),
        ("limit" = Option<i64>, Query, description = "How many: 1 to 500, 50 where it is absent"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before")),
    responses((status = 200, description = "A page: `{\"items\": […], \"next\": cursor|null}`")))]
pub async fn list(State(app): State<Arc<App>>, Known(caller): Known, query: Query) -> Result<Json<Value>, Problem> {
    let query = query.only(&["area", "limit", "cursor"])?;
    let (limit, before) = (query.limit()?, query.cursor("events")?.map(EventId));
    let db = &app.engine.db;
    let (rows, plan) = match query.parsed::<AreaId>("area")? {
        Some(area) => {
            let area = app.engine.desk().get(caller.user, area).await?;
            let rows = history::events_of(db, caller.user, area.source_id, before, limit + 1).await?;
            (rows, app.engine.plans.current(area.no).await?)
        }
        None => (history::events(db, caller.user, before, limit + 1).await?, None),
    };
    let (rows, next) = cursor::page("events", rows, limit, |row| row.id.0);
    Ok(Json(cursor::list(rows.iter().map(|row| shown(row, plan.as_deref())).collect(), next)))
}

/// An event as it is shown: with the body as it is stored, or as the expressions of an AREA see it.
pub fn shown(event: &EventView, plan: Option<&Plan>) -> Value {
    let mut body: Value = serde_json::from_str(&event.body).unwrap_or_default();
    if let Some(plan) = plan {
        body = plan.seen(&body).into_owned();
    }
    json!({
        "id": event.id,
        "source_id": event.source_id,
        "service": event.service,
        "feed": event.feed,
        "key": event.key,
        "recorded_at": time(born_at(event.id.0)),
        "at": event.at.map(time),
        "undecided": event.undecided.is_some(),
        "body": body,
    })
}
