//! `area serve`: builds the parts, serves till it is told to stop, then drains. What it needs it takes in the order in which a
//! failure is cheapest: settings, address, lock, database, keys.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use engine::net::Http;
use engine::node::{self, Engine, Note};
use engine::secret::Secret;
use engine::store::db::FolderLock;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::apply::samples;
use crate::cli::{Code, Context, Failure};
use crate::identity::{Identity, first};
use crate::mail;
use crate::rest::{self, App};
use crate::settings::{LogFormat, Settings};
use crate::telemetry;

/// How long open HTTP requests may take when the daemon stops; streams are cut.
const HTTP_DRAIN: Duration = Duration::from_secs(5);

/// Signals within this time mean one word to stop.
const ONE_WORD: Duration = Duration::from_secs(1);

/// What the daemon is made of, before it serves.
struct Parts {
    /// The settings, with the address that was really taken.
    settings: Settings,
    engine: Arc<Engine>,
    /// Renders `/metrics`.
    metrics: PrometheusHandle,
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
    let stop = stop_when_told()?;
    announce(&parts.settings, first::code(&parts.engine.db).await?);
    let engine = &parts.engine;
    let identity = Identity::new(engine.db.clone(), context.clock.clone(), parts.settings.clone());
    let app = Arc::new(App::new(Arc::clone(engine), identity.map_err(Failure::failed)?, parts.metrics.clone()));
    engine.spawn(mail::accounts::keep(Arc::clone(&app)));
    let serving = async {
        let served = serve_http(parts.listener, rest::router(app), stop.clone()).await;
        stop.cancel();
        served
    };
    // No new polls from the first moment on, while open requests still get their answers.
    let draining = async {
        stop.cancelled().await;
        parts.engine.stop(parts.settings.node.drain.duration()).await;
    };
    let (served, ()) = tokio::join!(serving, draining);
    served?;
    parts.engine.db.close().await;
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
    let metrics = telemetry::start_metrics().map_err(Failure::failed)?;
    let db = context.db().await?;
    let ring = context.ring(&db).await?;
    let (engine, wakes) = Engine::new(node::Parts {
        db,
        services: connectors::all(),
        clock: context.clock.clone(),
        ring,
        http: Http::new(settings.net.config()).map_err(Failure::failed)?,
        limits: settings.engine_limits(),
        providers: settings.providers()?,
        vault: settings.vault.config(),
        name: settings.node.name.clone(),
        url: Some(settings.node.url.clone()),
        lease: settings.node.lease.duration(),
    })
    .await?;
    load_samples(&settings, &engine).await;
    tokio::spawn(tell_first_firing(engine.notes()));
    engine.run(wakes);
    Ok(Parts { settings, engine, metrics, lock, listener })
}

/// Says once that something fired, so that who starts a daemon for the first time sees it work.
async fn tell_first_firing(mut notes: broadcast::Receiver<Note>) {
    loop {
        match notes.recv().await {
            Ok(note) if note.state == "done" => {
                return tracing::info!(area = note.area_name, run = %note.run, "the first firing since the start");
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// The examples are no reason not to start.
async fn load_samples(settings: &Settings, engine: &Engine) {
    if !settings.samples.load {
        return;
    }
    match samples::load(&engine.desk()).await {
        Ok(0) => {}
        Ok(loaded) => tracing::info!(areas = loaded, owner = samples::OWNER, "loaded the example AREAs"),
        Err(error) => tracing::error!(%error, "could not load the example AREAs"),
    }
}

/// Ends when the daemon is told to stop; told again, the process ends at once. From the moment that this returns no signal is
/// missed.
fn stop_when_told() -> Result<CancellationToken, Failure> {
    let failed = |e: std::io::Error| Failure::failed(format!("cannot listen to signals: {e}"));
    let mut signals = Signals::new().map_err(failed)?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("stopping: no new polls, runs in flight finish or are handed back; again to end at once");
        stopping.cancel();
        // Some send the signal to the process and to its group: that is one word, not two.
        let _ = tokio::time::timeout(ONE_WORD, async { while signals.next().await {} }).await;
        signals.next().await;
        std::process::exit(130);
    });
    Ok(stop)
}

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next; always true.
    async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.interrupt.recv() => true,
            _ = self.terminate.recv() => true,
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
fn announce(settings: &Settings, code: Option<Secret>) {
    let public = settings.public_url().to_string();
    let (url, database, listen) = (public.trim_end_matches('/'), settings.database_url(), settings.listen);
    if settings.log.format == LogFormat::Json {
        if let Some(code) = code {
            let why = "there is no SUPER-ADMIN yet: this code makes one, once (POST /v1/auth/first)";
            tracing::warn!(code = code.expose(), "{why}");
        }
        return tracing::info!(%listen, url, %database, "serving");
    }
    println!("AREA Runner {} on {listen}, database {database}", env!("CARGO_PKG_VERSION"));
    println!("  docs   {url}/docs\n  token  area token create --email you@example.org");
    if let Some(code) = code {
        println!("  first  {url}/account#first={}  (makes the first SUPER-ADMIN, once)", code.expose());
    }
}
