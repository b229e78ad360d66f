//! Events: what was recorded, whether or not it fired.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
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
    params(("area" = Option<String>, Query, description = "Only those of the source that this AREA watches"),
        ("limit" = Option<i64>, Query, description = "How many: 1 to 500, 50 where it is absent"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before")),
    responses((status = 200, description = "A page: `{\"items\": […], \"next\": cursor|null}`")))]
pub async fn list(State(app): State<Arc<App>>, Known(caller): Known, query: Query) -> Result<Json<Value>, Problem> {
    let query = query.only(&["area", "limit", "cursor"])?;
    let (limit, before) = (query.limit()?, query.cursor("events")?.map(EventId));
    let db = &app.engine.db;
    let rows = match query.parsed::<AreaId>("area")? {
        Some(area) => {
            let area = app.engine.desk().get(caller.user, area).await?;
            history::events_of(db, caller.user, area.source_id, before, limit + 1).await?
        }
        None => history::events(db, caller.user, before, limit + 1).await?,
    };
    let (rows, next) = cursor::page("events", rows, limit, |row| row.id.0);
    Ok(Json(cursor::list(rows.iter().map(shown).collect(), next)))
}

/// An event as it is shown.
pub fn shown(event: &EventView) -> Value {
    let body: Value = serde_json::from_str(&event.body).unwrap_or_default();
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
