//! An AREA as it is shown: its document, secrets hidden, with what is known of it beside.

use std::collections::HashMap;

use chrono::SecondsFormat;
use engine::area::{AreaError, Desk, catalog, hook_key};
use engine::clock::{Micros, from_micros};
use engine::ids::SourceId;
use engine::port::{FeedKind, Invalid};
use engine::store::areas::AreaRow;
use engine::store::sources::{self, Look};
use serde_json::{Value, json};

use super::App;
use super::problem::Problem;

/// The members of a shown AREA that are not its document's.
pub const READ_ONLY: [&str; 8] =
    ["id", "state", "reason", "revision", "created_at", "updated_at", "source", "hook_url"];

/// Some AREAs, in the same order.
///
/// # Errors
/// The database's; a row that cannot be read.
pub async fn areas(app: &App, rows: &[AreaRow]) -> Result<Vec<Value>, Problem> {
    let ids: Vec<SourceId> = rows.iter().map(|row| row.source_id).collect();
    let looks = sources::looks(&app.desk.db, &ids).await?;
    let looks: HashMap<SourceId, &Look> = looks.iter().map(|look| (look.id, look)).collect();
    rows.iter().map(|row| area(app, row, looks.get(&row.source_id).copied())).collect()
}

/// One AREA.
///
/// # Errors
/// As [`areas`].
pub async fn one(app: &App, row: &AreaRow) -> Result<Value, Problem> {
    areas(app, std::slice::from_ref(row)).await?.pop().ok_or_else(|| Problem::internal("an AREA without a view"))
}

fn area(app: &App, row: &AreaRow, look: Option<&Look>) -> Result<Value, Problem> {
    let mut shown = Desk::shown(&row.body)?;
    let hook = is_hook(app, &shown).then(|| hook_url(app, row));
    let health = |look: &Look| look.health.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let facts = [
        ("id", json!(row.id)),
        ("state", json!(row.state)),
        ("reason", json!(row.reason)),
        ("revision", json!(row.revision)),
        ("created_at", time(row.created_at)),
        ("updated_at", time(row.updated_at)),
        (
            "source",
            json!({
                "id": row.source_id,
                "feed": look.map(|look| &look.feed),
                "every_s": look.and_then(|look| look.every_us).filter(|us| *us > 0).map(|us| us as f64 / 1e6),
                "joined_at": row.joined_at.map(time),
                "health": look.and_then(health),
            }),
        ),
        ("hook_url", json!(hook)),
    ];
    let members = shown.as_object_mut().ok_or_else(|| AreaError::Unreadable("the body is no object".into()))?;
    members.extend(facts.map(|(name, value)| (name.to_owned(), value)));
    Ok(shown)
}

fn is_hook(app: &App, shown: &Value) -> bool {
    let text = |place: &str| shown.pointer(place).and_then(Value::as_str).unwrap_or_default();
    let service = catalog::service(app.desk.services, text("/action/service"));
    let action = service.and_then(|service| catalog::action(service, text("/action/name")));
    action.is_ok_and(|action| matches!(action.feed.kind, FeedKind::Hook { .. }))
}

fn hook_url(app: &App, row: &AreaRow) -> String {
    let base = app.public_url.as_str().trim_end_matches('/');
    format!("{base}/hooks/{}", hook_key::of(row.id, &app.desk.ring))
}

/// An instant as it is shown: RFC 3339, UTC.
pub fn time(at: Micros) -> Value {
    json!(from_micros(at).to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// Takes what is only shown out of a document that is sent back whole.
pub fn without_read_only(document: &mut Value) {
    if let Some(members) = document.as_object_mut() {
        READ_ONLY.iter().for_each(|name| drop(members.remove(*name)));
    }
}

/// Refuses what is only shown.
///
/// # Errors
/// 422 with every such member.
pub fn refuse_read_only(document: &Value) -> Result<(), Problem> {
    let why = |name: &str| match name {
        "state" | "reason" => "is read only: POST …/pause and …/resume change it",
        _ => "is read only",
    };
    let found = READ_ONLY.iter().filter(|name| document.get(**name).is_some());
    let wrong: Vec<Invalid> = found.map(|name| Invalid::new(format!("/{name}"), why(name))).collect();
    if wrong.is_empty() { Ok(()) } else { Err(Problem::invalid(wrong)) }
}
