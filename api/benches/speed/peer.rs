//! The far side, in a process of its own: a server whose lists are polled, a receiver that counts what is delivered, and the load.
//! It takes orders on its standard input, one JSON line each, and answers each with one.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::flood::{self, Flood, Pace, Receiver};
use crate::wire::{self, Wire};

/// Items of a list.
const ITEMS: usize = 20;
const RECEIVED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{\"ok\":true}";
const TOKEN: &str = r#"{"access_token":"a-new-token-of-some-length","token_type":"Bearer","expires_in":3600,"refresh_token":"the-next"}"#;
const SAME: &[u8] = b"HTTP/1.1 304 Not Modified\r\netag: \"v1\"\r\n\r\n";

/// What the peer can be told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Tell how many polls were answered so far.
    Polls,
    /// Closed loop.
    Flood(Flood),
    /// Open loop.
    Pace(Pace),
}

/// The process, as the one that measures sees it.
pub struct Peer {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Of the server with the lists: `/304/…` has an ETag, `/200/…` always sends the same list, `/token` gives tokens.
    pub lists: u16,
    /// Of the receiver.
    pub receiver: u16,
}

impl Peer {
    /// Starts it.
    pub fn spawn() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.arg("peer").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (orders, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut peer = Self { child, orders, answers, lists: 0, receiver: 0 };
        (peer.lists, peer.receiver) = peer.answer();
        peer
    }

    /// Gives an order and waits for its answer.
    pub fn tell<T: DeserializeOwned>(&mut self, order: &Order) -> T {
        writeln!(self.orders, "{}", serde_json::to_string(order).unwrap()).unwrap();
        self.answer()
    }

    fn answer<T: DeserializeOwned>(&mut self) -> T {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("the peer said {line:?}: {e}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The peer's own `main`.
pub fn main() {
    let runtime = crate::runtime();
    let (lists, hits) = runtime.block_on(async { (bind().await, bind().await) });
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    println!("{}", serde_json::json!([port(&lists), port(&hits)]));
    let polls = Arc::new(AtomicU64::new(0));
    let receiver = Arc::new(Receiver::default());
    runtime.spawn(serve_lists(lists, Arc::clone(&polls)));
    runtime.spawn(receive(hits, Arc::clone(&receiver)));
    for line in std::io::stdin().lines() {
        let order: Order = serde_json::from_str(&line.unwrap()).unwrap();
        let answer = match order {
            Order::Polls => serde_json::json!(polls.load(Ordering::Relaxed)),
            Order::Flood(flood) => serde_json::json!(runtime.block_on(flood::flood(flood, &receiver))),
            Order::Pace(pace) => serde_json::json!(runtime.block_on(flood::pace(pace, &receiver))),
        };
        println!("{answer}");
    }
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

async fn serve_lists(listener: TcpListener, polls: Arc<AtomicU64>) {
    let items: Vec<_> = (0..ITEMS)
        .map(|id| serde_json::json!({"id": id, "title": format!("Item number {id}"), "text": "Nothing new under the sun.", "price": 19.9}))
        .collect();
    let body = serde_json::json!({ "items": items }).to_string();
    let list = |more: &str| {
        let text = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{more}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        Arc::<[u8]>::from(text.into_bytes())
    };
    let (tagged, plain) = (list("etag: \"v1\"\r\n"), list(""));
    let token =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{TOKEN}", TOKEN.len());
    let token = Arc::<[u8]>::from(token.into_bytes());
    while let Ok((stream, _)) = listener.accept().await {
        let (polls, tagged, plain) = (Arc::clone(&polls), Arc::clone(&tagged), Arc::clone(&plain));
        let token = Arc::clone(&token);
        tokio::spawn(async move {
            let mut wire = Wire::new(stream);
            while let Ok(Some(message)) = wire.next().await {
                let head = wire.head(&message);
                let answer: &[u8] = match head.starts_with(b"GET /304/") {
                    true if wire::header(head, b"if-none-match").is_some() => SAME,
                    true => &tagged,
                    false if head.starts_with(b"POST /token") => &token,
                    false => &plain,
                };
                polls.fetch_add(1, Ordering::Relaxed);
                if wire.stream.write_all(answer).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn receive(listener: TcpListener, receiver: Arc<Receiver>) {
    while let Ok((stream, _)) = listener.accept().await {
        let receiver = Arc::clone(&receiver);
        tokio::spawn(async move {
            let mut wire = Wire::new(stream);
            while let Ok(Some(message)) = wire.next().await {
                receiver.took(wire::number(wire.body(&message)).unwrap_or(usize::MAX));
                if wire.stream.write_all(RECEIVED).await.is_err() {
                    return;
                }
            }
        });
    }
}
