//! `/about.json`: who asks and what is offered, in the form that AREA clients expect.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use engine::port::Service;
use serde_json::{Value, json};

use crate::rest::App;
use crate::rest::auth::From;

/// Who asks, what time it is, and what every service offers.
#[utoipa::path(get, path = "/about.json", tag = "Services", operation_id = "about",
    responses((status = 200, description = "The caller's address, the server's time in Unix seconds, and the services",
        body = ref("#/components/schemas/About"))))]
pub async fn about(State(app): State<Arc<App>>, From(origin): From) -> (StatusCode, Json<Value>) {
    let services: Vec<Value> = app.desk.services.iter().map(|service| offered(service)).collect();
    let server = json!({"current_time": app.desk.clock.now().timestamp(), "services": services});
    (StatusCode::OK, Json(json!({"client": {"host": origin.address.to_string()}, "server": server})))
}

fn offered(service: &Service) -> Value {
    let line = |name: &str, description: &str| json!({"name": name, "description": description});
    let actions: Vec<Value> = service.actions.iter().map(|a| line(a.name, a.description)).collect();
    let reactions: Vec<Value> = service.reactions.iter().map(|r| line(r.name, r.description)).collect();
    json!({"name": service.name, "actions": actions, "reactions": reactions})
}
