//! `area serve`: builds the parts, serves till it is told to stop, then drains. What it needs it takes in the order in which a
//! failure is cheapest: settings, address, lock, database, keys.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use engine::clock::Clock;
use engine::limits::Limits;
use engine::net::Http;
use engine::node::{self, Engine};
use engine::store::Db;
use engine::store::db::FolderLock;
use engine::vault::KeyRing;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cli::{Code, Context, Failure};
use crate::rest::{self, App};
use crate::settings::{LogFormat, Settings};
use crate::telemetry;

/// How long open HTTP requests may take when the daemon stops; streams are cut.
const HTTP_DRAIN: Duration = Duration::from_secs(5);

/// What the daemon is made of, before it serves.
#[derive(Debug)]
pub struct Parts {
    /// The settings, with the address that was really taken.
    pub settings: Settings,
    /// Migrated.
    pub db: Db,
    /// The keys that seal secrets.
    pub keys: KeyRing,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    /// Ends when the daemon is told to stop.
    pub stop: CancellationToken,
    lock: Option<FolderLock>,
    listener: TcpListener,
}

/// Serves till Ctrl-C or SIGTERM.
///
/// # Errors
/// When it cannot start.
pub async fn run(context: &Context) -> Result<(), Failure> {
    telemetry::filter(&context.settings.log.filter)
        .map_err(|e| Failure::new(Code::Usage, format!("log.filter: {e}; write it as in `info,engine=debug`")))?;
    telemetry::start_log(&context.settings.log);
    let parts = build(context).await?;
    announce(&parts.settings);
    let (db, stop) = (parts.db.clone(), parts.stop.clone());
    let (engine, wakes) = start_engine(&parts).await?;
    tokio::spawn(tell_first_firing(engine.notes()));
    engine.run(wakes);
    let stopping = stop.clone();
    tokio::spawn(async move {
        told_to_stop().await;
        tracing::info!("stopping: no new polls, runs in flight finish or are handed back; again to end at once");
        stopping.cancel();
        told_to_stop().await;
        std::process::exit(130);
    });
    let app = App::new(Arc::clone(&engine), parts.settings.public_url(), parts.metrics.clone());
    serve_http(parts.listener, rest::router(Arc::new(app)), stop).await?;
    engine.stop(parts.settings.node.drain.duration()).await;
    db.close().await;
    drop(parts.lock);
    tracing::info!("stopped");
    Ok(())
}

async fn build(context: &Context) -> Result<Parts, Failure> {
    let listen = context.settings.listen;
    let listener = TcpListener::bind(listen).await.map_err(|e| {
        Failure::failed(format!("cannot listen on {listen}: {e}; choose another address with --listen"))
    })?;
    let settings = context.settings.clone().listening_on(listener.local_addr().unwrap_or(listen));
    let lock = settings.lock_folder().map(|folder| FolderLock::take(&folder)).transpose()?;
    let db = context.db().await?;
    let keys = context.keys()?;
    let metrics = telemetry::start_metrics().map_err(Failure::failed)?;
    Ok(Parts { settings, db, keys, metrics, stop: CancellationToken::new(), lock, listener })
}

async fn start_engine(parts: &Parts) -> Result<(Arc<Engine>, node::Wakes), Failure> {
    let settings = &parts.settings;
    let http = Http::new(settings.net.config()).map_err(Failure::failed)?;
    let node = node::Parts {
        db: parts.db.clone(),
        services: connectors::all(),
        clock: Clock::system(),
        ring: parts.keys.clone(),
        http,
        limits: Limits::default(),
        name: settings.node.name.clone(),
        url: Some(settings.node.url.clone()),
        lease: settings.node.lease.duration(),
    };
    Engine::new(node).await.map_err(|e| Failure::failed(format!("cannot start the engine: {e}")))
}

/// Says once that something fired, so that who starts a daemon for the first time sees it work.
async fn tell_first_firing(mut notes: tokio::sync::broadcast::Receiver<node::Note>) {
    while let Ok(note) = notes.recv().await {
        if note.state == "done" {
            tracing::info!(area = note.area_name, run = %note.run, "the first firing since the start");
            return;
        }
    }
}

async fn serve_http(listener: TcpListener, router: Router, stop: CancellationToken) -> Result<(), Failure> {
    let peers = router.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, peers).with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        done = async { serving.await } => done.map_err(|e| Failure::failed(format!("the HTTP server ended: {e}"))),
        () = async { stop.cancelled().await; tokio::time::sleep(HTTP_DRAIN).await } => Ok(()),
    }
}

/// Tells where to go: in words, or as one line of the log where programs read it.
fn announce(settings: &Settings) {
    let public = settings.public_url().to_string();
    let (url, database, listen) = (public.trim_end_matches('/'), settings.database_url(), settings.listen);
    if settings.log.format == LogFormat::Json {
        return tracing::info!(%listen, url, %database, "serving");
    }
    println!("AREA Runner {} on {listen}, database {database}", env!("CARGO_PKG_VERSION"));
    println!("  page   {url}/\n  docs   {url}/docs\n  token  area token create --email you@example.org");
}

#[cfg(unix)]
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return drop(tokio::signal::ctrl_c().await);
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn told_to_stop() {
    drop(tokio::signal::ctrl_c().await);
}
