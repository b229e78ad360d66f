//! A server on loopback that answers what a test says, also what no decent server would.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::cases::Thing;

/// What is answered to every request until the test says otherwise.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A whole answer.
    Whole { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
    /// Half of this body, then the connection closes.
    Truncated(Vec<u8>),
    /// A body without end.
    Huge,
    /// Nothing, for as long as the caller waits.
    Silent,
    /// What is no HTTP.
    Noise,
    /// Several calls, each with an answer of its own.
    Api(Api),
}

/// A server that remembers the order in which things came to it, and answers by the request.
#[derive(Clone, Debug)]
pub struct Api {
    /// What is there now.
    pub things: Vec<Thing>,
    /// Answers a request: its head and its body.
    pub answer: fn(&Stage<'_>) -> Reply,
    /// The body of its main answer, to be broken.
    pub main: Vec<u8>,
}

/// A request, and what there is to answer it.
pub struct Stage<'a> {
    /// What is there now.
    pub things: &'a [Thing],
    /// The ids of all that ever was, in the order of their coming: the place in it is what cursors count by.
    pub came: &'a [u32],
    /// `GET /path?query HTTP/1.1` and the headers.
    pub head: &'a str,
    /// The body.
    pub body: &'a str,
}

impl Stage<'_> {
    /// Whether the request's line has this.
    pub fn asks(&self, part: &str) -> bool {
        self.head.lines().next().unwrap_or_default().contains(part)
    }

    /// A parameter of the query.
    pub fn param(&self, name: &str) -> Option<String> {
        let target = self.head.split(' ').nth(1)?;
        let url = url::Url::parse(&format!("http://127.0.0.1{target}")).ok()?;
        url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }

    /// What came behind the first `count` that came, if it is there.
    pub fn behind(&self, count: usize) -> Vec<&Thing> {
        let new = self.came.get(count..).unwrap_or_default();
        self.things.iter().filter(|thing| new.contains(&thing.id)).collect()
    }
}

impl Reply {
    /// 200 with a body.
    pub fn ok(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self::Whole { status: 200, headers, body: body.into() }
    }

    /// A status with a short text.
    pub fn status(status: u16) -> Self {
        let headers = vec![("content-type", "text/plain".to_owned())];
        Self::Whole { status, headers, body: format!("status {status}").into_bytes() }
    }

    /// The same answer with another header.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Whole { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }

    /// The body of a whole answer.
    pub fn body(&self) -> &[u8] {
        match self {
            Self::Whole { body, .. } => body,
            Self::Api(api) => &api.main,
            _ => &[],
        }
    }
}

/// The server; ends with its runtime.
pub struct Server {
    /// `http://127.0.0.1:PORT`
    pub base: String,
    state: Arc<Mutex<State>>,
}

struct State {
    reply: Reply,
    came: Vec<u32>,
    requests: Vec<String>,
}

impl Server {
    /// On a random port, answering 404.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let base = format!("http://{}", listener.local_addr().expect("it is bound"));
        let state = Arc::new(Mutex::new(State { reply: Reply::status(404), came: Vec::new(), requests: Vec::new() }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                // A caller that hangs up early is part of the tests.
                tokio::spawn(async move { answer(stream, &state).await.ok() });
            }
        });
        Self { base, state }
    }

    /// Answers this from now on.
    pub fn reply(&self, reply: Reply) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Reply::Api(api) = &reply {
            for thing in &api.things {
                if !state.came.contains(&thing.id) {
                    state.came.push(thing.id);
                }
            }
        }
        state.reply = reply;
    }

    /// The head of every request so far.
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).requests.clone()
    }
}

async fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let head = read_head(&mut stream).await?;
    let body = read_body(&mut stream, &head).await?;
    let reply = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let reply = match &state.reply {
            Reply::Api(Api { things, answer, .. }) => {
                answer(&Stage { things, came: &state.came, head: &head, body: &body })
            }
            reply => reply.clone(),
        };
        state.requests.push(head);
        reply
    };
    match reply {
        Reply::Api(_) => unreachable!("it answers with an answer"),
        Reply::Whole { status, headers, body } => {
            stream.write_all(head_of(status, &headers, Some(body.len())).as_bytes()).await?;
            stream.write_all(&body).await?;
        }
        Reply::Truncated(body) => {
            stream.write_all(head_of(200, &[], Some(body.len())).as_bytes()).await?;
            stream.write_all(&body[..body.len() / 2]).await?;
        }
        Reply::Huge => {
            stream.write_all(head_of(200, &[("content-type", "application/json".into())], None).as_bytes()).await?;
            stream.write_all(b"[").await?;
            while stream.write_all(&[b' '; 4096]).await.is_ok() {}
        }
        Reply::Silent => {
            // The caller's hanging up ends the wait.
            stream.read_to_end(&mut Vec::new()).await?;
        }
        Reply::Noise => stream.write_all(b"\x16\x03\x01\0\xffnothing that HTTP knows\r\n\r\n").await?,
    }
    stream.shutdown().await
}

async fn read_head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 64 * 1024 {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

async fn read_body(stream: &mut TcpStream, head: &str) -> std::io::Result<String> {
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn head_of(status: u16, headers: &[(&str, String)], length: Option<usize>) -> String {
    let mut head = format!("HTTP/1.1 {status} Said\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(length) = length {
        head.push_str(&format!("content-length: {length}\r\n"));
    }
    head + "\r\n"
}
