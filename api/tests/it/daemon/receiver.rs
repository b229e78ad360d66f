//! A server that records what arrives: who sent it, under which key, byte for byte.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

/// What arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// The path, without its first slash.
    pub path: String,
    /// Its `Idempotency-Key`.
    pub key: String,
    /// Its body.
    pub body: Bytes,
    /// Its `User-Agent`.
    pub agent: String,
    /// When.
    pub at: Instant,
}

/// The server. It lives as long as the test.
pub struct Receiver {
    /// Where it is.
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    requests: Mutex<Vec<Request>>,
    /// Every so many requests one is refused; 0: none.
    refuse_each: AtomicU64,
    held: watch::Sender<bool>,
}

impl Receiver {
    /// Starts it on a free port.
    pub async fn start() -> Self {
        let (held, _) = watch::channel(false);
        let shared = Arc::new(Shared { requests: Mutex::default(), refuse_each: AtomicU64::new(0), held });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(record).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared }
    }

    /// From now on every `n`-th request is recorded and refused with 503.
    pub fn refuse_each(&self, n: u64) {
        self.shared.refuse_each.store(n, Ordering::Relaxed);
    }

    /// Whether requests, once recorded, wait for their answer.
    pub fn hold(&self, hold: bool) {
        self.shared.held.send_replace(hold);
    }

    /// What arrived so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests arrived so far.
    pub fn count(&self) -> usize {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

async fn record(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let request = Request {
        path: uri.path().trim_start_matches('/').to_owned(),
        key: header("idempotency-key"),
        body,
        agent: header("user-agent"),
        at: Instant::now(),
    };
    let number = {
        let mut requests = shared.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.push(request);
        requests.len() as u64
    };
    let _ = shared.held.subscribe().wait_for(|held| !held).await;
    let each = shared.refuse_each.load(Ordering::Relaxed);
    if each > 0 && number.is_multiple_of(each) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    // No two answers are the same: a later step that says it shows whether an earlier one was repeated after all.
    Json(json!({ "number": number })).into_response()
}
