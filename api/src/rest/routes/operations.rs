//! What operators and their machines ask: alive, ready, how much.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use engine::{on, store::Db};
use serde_json::{Value, json};

use crate::rest::App;
use crate::rest::problem::Problem;

/// How long the database may take to say that it is there.
const DATABASE: Duration = Duration::from_secs(2);
const PING: &str = "SELECT 1";

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "Operations", operation_id = "healthz",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")))]
pub async fn healthz() -> &'static str {
    "ok"
}

/// Whether requests can be answered: the database is there.
#[utoipa::path(get, path = "/readyz", tag = "Operations", operation_id = "readyz",
    responses((status = 200, description = "They can", body = ref("#/components/schemas/Ready")),
        (status = 503, description = "The database is away", body = ref("#/components/schemas/Problem"),
            content_type = "application/problem+json")))]
pub async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    match tokio::time::timeout(DATABASE, ping(&app.desk.db)).await {
        Ok(Ok(())) => Ok(Json(json!({"ready": true, "database": app.desk.db.engine()}))),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the database does not answer");
            Err(Problem::unavailable())
        }
        Err(_) => Err(Problem::unavailable()),
    }
}

async fn ping(db: &Db) -> sqlx::Result<()> {
    on!(db, pool => sqlx::query(PING).execute(pool).await.map(drop))
}

/// What is counted, as Prometheus reads it.
#[utoipa::path(get, path = "/metrics", tag = "Operations", operation_id = "metrics",
    responses((status = 200, description = "Prometheus's text format", body = String, content_type = "text/plain")))]
pub async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render())
}
