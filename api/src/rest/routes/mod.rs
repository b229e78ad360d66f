//! The routes: one file a resource. What exists is what [`all`] says.

pub mod about;
pub mod areas;
pub mod events;
pub mod hooks;
pub mod operations;
pub mod peers;
pub mod revisions;
pub mod runs;
pub mod services;
pub mod state;
pub mod stream;
pub mod trials;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;

/// Every route, described.
pub fn all() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(areas::create, areas::list))
        .routes(routes!(areas::get, areas::replace, areas::patch, areas::delete))
        .routes(routes!(state::pause))
        .routes(routes!(state::resume))
        .routes(routes!(revisions::list))
        .routes(routes!(revisions::get))
        .routes(routes!(revisions::diff))
        .routes(routes!(revisions::rollback))
        .routes(routes!(runs::list))
        .routes(routes!(runs::get))
        .routes(routes!(runs::replay))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::test))
        .routes(routes!(stream::stream))
        .routes(routes!(trials::why))
        .routes(routes!(trials::poll))
        .routes(routes!(trials::dry_run))
        .routes(routes!(trials::backtest))
        .routes(routes!(events::list))
        .routes(routes!(hooks::receive))
        // Between nodes: not part of the API that is described.
        .route("/internal/sources/{id}", axum::routing::get(peers::seen))
        .routes(routes!(services::list))
        .routes(routes!(services::get))
        .routes(routes!(about::about))
        .routes(routes!(operations::healthz))
        .routes(routes!(operations::readyz))
        .routes(routes!(operations::metrics))
}
