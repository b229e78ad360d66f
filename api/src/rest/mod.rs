//! The HTTP API. A request passes `dress` (its id, its time limit, the headers of every answer), the gate of `auth` (who asks, and
//! may they), `idempotency` (POST with a key), then a route of `routes`, which reads it with the extractors of `auth`, `body`,
//! `query` and `etag`. Whatever goes wrong on the
//! way is a `problem`. `openapi` describes it all, `docs` is that for people; `account` is the
//! page that mailed links lead to.

pub mod account;
pub mod auth;
pub mod body;
pub mod cursor;
pub mod docs;
pub mod dress;
pub mod etag;
pub mod idempotency;
pub mod openapi;
pub mod page;
pub mod problem;
pub mod query;
pub mod routes;
pub mod shapes;
pub mod view;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::middleware;
use engine::area::Desk;
use engine::limits::AREA_BYTES;
use engine::node::Engine;
use engine::port::Invalid;
use metrics_exporter_prometheus::PrometheusHandle;
use url::Url;

use crate::identity::Identity;
use problem::{Kind, Problem};

/// Bytes of a request's body: an AREA at its largest, written with spaces and escapes.
pub const BODY_BYTES: usize = 4 * AREA_BYTES;
/// How long a request may take until its answer begins.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What the routes work with.
pub struct App {
    /// The node that this process is.
    pub engine: Arc<Engine>,
    /// Where AREAs are written: the database, the services, the keys, the clock.
    pub desk: Desk,
    /// What knows people.
    pub identity: Identity,
    /// How others reach this API: hook URLs begin with it.
    pub public_url: Url,
    /// Origins beside our own to which a browser may be sent back.
    pub returns: Vec<Url>,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("public_url", &self.public_url.as_str()).finish_non_exhaustive()
    }
}

impl App {
    /// The API of a node.
    pub fn new(engine: Arc<Engine>, identity: Identity, metrics: PrometheusHandle) -> Self {
        let returns = identity.returns().to_vec();
        Self { desk: engine.desk(), engine, public_url: identity.public.clone(), identity, returns, metrics }
    }

    /// Where a browser may be sent in the end: a path here, or a URL of an origin that the operator allows.
    ///
    /// # Errors
    /// 422 at `/return_to`.
    pub fn return_to(&self, text: &str) -> Result<String, Problem> {
        let url = self.public_url.join(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let allowed = |url: &Url| {
            let here = url.origin() == self.public_url.origin();
            (here || self.returns.iter().any(|known| known.origin() == url.origin())) && url.username().is_empty()
        };
        url.filter(allowed).map(|url| url.to_string()).ok_or_else(|| {
            let why = "must be a path here, or a URL of an origin that the operator allows in connect.return_to";
            Problem::invalid(vec![Invalid::new("/return_to", why)])
        })
    }
}

/// The whole API. Serve it with `into_make_service_with_connect_info::<SocketAddr>`, so that `/about.json` can name the caller.
pub fn router(app: Arc<App>) -> axum::Router {
    let (routes, described) = routes::all().split_for_parts();
    let described = Arc::new(openapi::document(described, &app));
    let needs = Arc::new(auth::needs(&described));
    routes
        .merge(docs::routes(&described, &app))
        .merge(account::routes())
        .fallback(async || Problem::new(Kind::NotFound, "there is nothing at this path: see /docs"))
        .method_not_allowed_fallback(async || Problem::new(Kind::Method, "see the header `allow`"))
        .layer(middleware::from_fn_with_state(app.clone(), idempotency::layer))
        .layer(middleware::from_fn_with_state((app.clone(), needs), auth::gate))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(app.identity.is_https(), dress::layer))
        .with_state(app)
}
