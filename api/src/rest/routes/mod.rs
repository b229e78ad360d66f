//! The routes: one file a resource. What exists is what [`all`] says.

pub mod about;
pub mod accounts;
pub mod admin;
pub mod areas;
pub mod arrive;
pub mod avatars;
pub mod connect;
pub mod events;
pub mod export;
pub mod hooks;
pub mod operations;
pub mod own;
pub mod peers;
pub mod profile;
pub mod revisions;
pub mod runs;
pub mod services;
pub mod sign_in;
pub mod state;
pub mod stream;
pub mod tokens;
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
        .routes(routes!(sign_in::register))
        .routes(routes!(sign_in::resend))
        .routes(routes!(sign_in::verify))
        .routes(routes!(sign_in::first))
        .routes(routes!(sign_in::login))
        .routes(routes!(arrive::begin, arrive::go))
        .routes(routes!(sign_in::logout))
        .routes(routes!(sign_in::everywhere))
        .routes(routes!(sign_in::forgot))
        .routes(routes!(own::reset))
        .routes(routes!(own::confirm))
        .routes(routes!(sign_in::list))
        .routes(routes!(sign_in::end))
        .routes(routes!(own::me))
        .routes(routes!(own::password))
        .routes(routes!(own::email))
        .routes(routes!(own::delete))
        .routes(routes!(export::export))
        .routes(routes!(tokens::create, tokens::list))
        .routes(routes!(tokens::revoke))
        .routes(routes!(profile::get, profile::patch))
        .routes(routes!(avatars::add, avatars::list))
        .routes(routes!(avatars::active))
        .routes(routes!(avatars::get, avatars::delete))
        .routes(routes!(avatars::activate))
        .routes(routes!(admin::users))
        .routes(routes!(admin::user, admin::patch))
        .routes(routes!(admin::audit))
        .routes(routes!(connect::providers))
        .routes(routes!(connect::begin))
        .routes(routes!(connect::callback))
        .routes(routes!(connect::confirm))
        .routes(routes!(accounts::list, accounts::create))
        .routes(routes!(accounts::get, accounts::delete))
        .routes(routes!(accounts::check))
        .routes(routes!(services::list))
        .routes(routes!(services::get))
        .routes(routes!(services::options))
        .routes(routes!(about::about))
        .routes(routes!(operations::healthz))
        .routes(routes!(operations::readyz))
        .routes(routes!(operations::metrics))
}
