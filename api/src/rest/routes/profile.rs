//! `/v1/profile`: what a person says of themselves.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use engine::ids::UserId;
use engine::port::Invalid;
use engine::store::profile::{self, Profile};
use serde_json::{Map, Value, json};

use crate::rest::App;
use crate::rest::auth::Known;
use crate::rest::body::JsonBody;
use crate::rest::problem::{Kind, Problem};

/// What may be changed, how long it may be, and whether it may be null.
const MEMBERS: [(&str, usize, bool); 8] = [
    ("display_name", 100, false),
    ("username", 50, true),
    ("first_name", 100, true),
    ("last_name", 100, true),
    ("phone", 30, true),
    ("city", 100, true),
    ("info", 1_000, false),
    ("description", 4_000, false),
];

/// Reads your profile.
#[utoipa::path(get, path = "/v1/profile", tag = "Your account", operation_id = "getProfile",
    responses((status = 200, description = "Your profile", body = ref("#/components/schemas/Profile"))))]
pub async fn get(State(app): State<Arc<App>>, Known(caller): Known) -> Result<Json<Value>, Problem> {
    Ok(Json(json!(read(&app, caller.user).await?)))
}

/// Changes your profile: any of its members that are yours to change (RFC 7396).
#[utoipa::path(patch, path = "/v1/profile", tag = "Your account", operation_id = "patchProfile",
    request_body(content = ref("#/components/schemas/ProfilePatch"), content_type = "application/merge-patch+json"),
    responses((status = 200, description = "Your profile as it is now", body = ref("#/components/schemas/Profile"))))]
pub async fn patch(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    JsonBody(json): JsonBody,
) -> Result<Json<Value>, Problem> {
    let members = json.as_object().ok_or_else(|| Problem::new(Kind::Invalid, "send an object"))?;
    check(members)?;
    let mut profile = read(&app, caller.user).await?;
    members.iter().for_each(|(name, value)| lay(&mut profile, name, value));
    if !profile::set(&app.desk.db, &profile, app.desk.clock.now()).await? {
        return Err(Problem::invalid(vec![Invalid::new("/username", "is somebody else's")]));
    }
    Ok(Json(json!(read(&app, caller.user).await?)))
}

async fn read(app: &App, user: UserId) -> Result<Profile, Problem> {
    profile::get(&app.desk.db, user).await?.ok_or_else(|| Problem::no("account"))
}

fn check(members: &Map<String, Value>) -> Result<(), Problem> {
    let wrong = members.iter().filter_map(|(name, value)| {
        let why = match (MEMBERS.iter().find(|(known, ..)| known == name), value) {
            (None, _) => "is not known, or not yours to change".to_owned(),
            (Some((_, _, true)), Value::Null) => return None,
            (Some((_, most, _)), Value::String(text)) => match text.chars().count() {
                0 if name == "username" => "must not be empty: null takes it away".to_owned(),
                n if n > *most => format!("must have {most} characters or fewer"),
                _ if text.contains(|c: char| c.is_control() && c != '\n') => {
                    "must have no control characters".to_owned()
                }
                _ => return None,
            },
            _ => "must be a text".to_owned(),
        };
        Some(Invalid::new(format!("/{name}"), why))
    });
    let wrong: Vec<Invalid> = wrong.collect();
    if wrong.is_empty() { Ok(()) } else { Err(Problem::invalid(wrong)) }
}

fn lay(profile: &mut Profile, name: &str, value: &Value) {
    let text = value.as_str().map(|text| text.trim().to_owned());
    let maybe = match name {
        "username" => &mut profile.username,
        "first_name" => &mut profile.first_name,
        "last_name" => &mut profile.last_name,
        "phone" => &mut profile.phone,
        "city" => &mut profile.city,
        _ => {
            let place = match name {
                "display_name" => &mut profile.display_name,
                "info" => &mut profile.info,
                _ => &mut profile.description,
            };
            return *place = text.unwrap_or_default();
        }
    };
    *maybe = text;
}
