//! What the engine is measured against: the same client or the same server and client, doing nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use axum::routing::post;
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::machine;

/// Polls under way at once: the engine's default.
pub const AT_ONCE: usize = 256;
/// Before polls count.
const WARM: Duration = Duration::from_millis(500);

/// What a bare loop did.
#[derive(Debug, Serialize, Deserialize)]
pub struct Polled {
    /// Polls a second.
    pub rate: f64,
    /// CPU microseconds a poll.
    pub cpu: f64,
}

fn client() -> Client {
    let config = engine::net::NetConfig::default();
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(config.user_agent)
        .connect_timeout(config.connect_timeout)
        .timeout(config.timeout)
        .pool_max_idle_per_host(config.idle_per_host)
        .build()
        .unwrap()
}

/// Asks `url` for so many seconds, as often as it can, with the ETag that it was given; prints [`Polled`].
pub fn polls(url: &str, seconds: &str) {
    let (url, time) = (Url::parse(url).unwrap(), Duration::from_secs_f64(seconds.parse().unwrap()));
    let (count, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let polled = crate::runtime().block_on(async {
        let client = client();
        let first = client.get(url.clone()).send().await.unwrap();
        let etag = first.headers().get(ETAG).cloned();
        first.bytes().await.unwrap();
        for _ in 0..AT_ONCE {
            let (client, url, etag) = (client.clone(), url.clone(), etag.clone());
            let (count, stop) = (Arc::clone(&count), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    poll(&client, &url, etag.as_ref()).await;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        tokio::time::sleep(WARM).await;
        let me = std::process::id();
        let (before, cpu, began) = (count.load(Ordering::Relaxed), machine::cpu(me), Instant::now());
        tokio::time::sleep(time).await;
        let polls = (count.load(Ordering::Relaxed) - before) as f64;
        let (cpu, seconds) = (machine::cpu(me) - cpu, began.elapsed().as_secs_f64());
        stop.store(true, Ordering::Relaxed);
        Polled { rate: polls / seconds, cpu: cpu * 1e6 / polls }
    });
    println!("{}", serde_json::to_string(&polled).unwrap());
}

async fn poll(client: &Client, url: &Url, etag: Option<&HeaderValue>) {
    let mut request = client.get(url.clone());
    if let Some(etag) = etag {
        request = request.header(IF_NONE_MATCH, etag);
    }
    request.send().await.unwrap().bytes().await.unwrap();
}

/// Hands on what is posted to `/hooks/…` and keeps nothing; prints its port and serves until it is killed.
pub fn relay(to: &str) {
    let to = Url::parse(to).unwrap();
    crate::runtime().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        let router = Router::new().route("/hooks/{key}", post(hand_on)).with_state((client(), to));
        axum::serve(listener, router).await.unwrap();
    });
}

async fn hand_on(State((client, to)): State<(Client, Url)>, body: Bytes) -> StatusCode {
    let Ok(sent) = client.post(to).header(CONTENT_TYPE, "application/json").body(body).send().await else {
        return StatusCode::BAD_GATEWAY;
    };
    if sent.bytes().await.is_ok() { StatusCode::ACCEPTED } else { StatusCode::BAD_GATEWAY }
}
