//! What the engine keeps of a source between polls, and what it does about a page: no more than the port promises a connector.

use std::collections::HashSet;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use engine::ids::AccountId;
use engine::net::{Http, NetConfig, parse_allow};
use engine::port::{ActionSpec, Api, Auth, Boxed, FeedKind, Item, Page, PollCx, Wants};
use engine::secret::Secret;
use engine::usage::Usage;
use serde_json::Value;
use url::Url;

use crate::cases::SECRET;

/// Answers are capped at this in the tests, so that a huge one is soon too large.
pub const MAX_BODY: usize = 256 * 1024;

/// Pages asked for in one poll.
const MAX_PAGES: usize = 20;

/// A client that may reach loopback and waits no longer than it must.
pub fn http() -> Http {
    let config = NetConfig {
        allow: parse_allow("127.0.0.0/8").expect("a network"),
        timeout: Duration::from_millis(400),
        max_body_bytes: MAX_BODY,
        ..NetConfig::default()
    };
    Http::new(config).expect("a client")
}

/// One source of one user.
pub struct Source {
    action: &'static ActionSpec,
    params: Value,
    account: Account,
    http: Http,
    /// What the last page asked to remember.
    pub cursor: Option<Value>,
    /// The instant of the next poll; each poll moves it by a minute.
    pub now: DateTime<Utc>,
    /// Where nobody uses what is large: how often the feed has asked for it.
    pub spared: Option<AtomicUsize>,
    seen: HashSet<String>,
    /// The time of the newest item.
    last: Option<DateTime<Utc>>,
}

/// What a poll brought, over all its pages.
#[derive(Debug)]
pub struct Polled {
    /// Every item, as it was returned.
    pub items: Vec<Item>,
    /// Those whose key was never seen.
    pub new: Vec<Item>,
}

impl Source {
    /// A source of `action` with `data`.
    pub fn new(action: &'static ActionSpec, data: &Value) -> Self {
        Self::at(action, data, "http://127.0.0.1:9")
    }

    /// The same; the APIs of its account's provider are at `base`.
    pub fn at(action: &'static ActionSpec, data: &Value, base: &str) -> Self {
        let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
        let params = (action.feed_params)(data);
        let account = Account { base: base.parse().expect("a URL"), usage: Usage::default(), id: AccountId::new() };
        Self {
            action,
            params,
            account,
            http: http(),
            cursor: None,
            now,
            spared: None,
            seen: HashSet::new(),
            last: None,
        }
    }

    /// Polls to the last page, keeping cursor and keys. A dead cursor is followed by a search from the last item's time, once.
    pub async fn poll(&mut self) -> Result<Polled, Fault> {
        let (mut items, mut since) = (Vec::new(), None);
        let was = self.cursor.clone();
        for _ in 0..MAX_PAGES {
            let page = match self.page(since).await {
                Err(Fault::Resync { .. }) if since.is_none() => {
                    (since, self.cursor) = (Some(self.last.unwrap_or(self.now)), None);
                    continue;
                }
                Err(fault) => {
                    if self.cursor.is_none() {
                        self.cursor = was;
                    }
                    return Err(fault);
                }
                Ok(page) => page,
            };
            self.last = page.items.iter().filter_map(|item| item.at).chain(self.last).max();
            items.extend(page.items);
            if let Some(cursor) = page.cursor {
                self.cursor = Some(cursor);
            }
            if !page.more {
                self.now += TimeDelta::minutes(1);
                let new = items.iter().filter(|item| self.seen.insert(item.key.clone())).cloned().collect();
                return Ok(Polled { items, new });
            }
        }
        panic!("{} asks for more pages without end", self.action.name);
    }

    async fn page(&mut self, since: Option<DateTime<Utc>>) -> Result<Page, Fault> {
        let FeedKind::Polled { poll, .. } = self.action.feed.kind else { panic!("{} is not polled", self.action.name) };
        let spared = self.spared.as_ref().map(Spared);
        poll(PollCx {
            params: &self.params,
            cursor: self.cursor.as_ref(),
            since,
            auth: Some(&self.account),
            http: &self.http,
            now: self.now,
            wants: spared.as_ref().map(|spared| spared as &dyn Wants),
        })
        .await
    }
}

/// Nobody uses what is large.
struct Spared<'a>(&'a AtomicUsize);

impl Wants for Spared<'_> {
    fn large(&self) -> Boxed<'_, bool> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { false })
    }
}

/// An account whose token is [`SECRET`]; it cannot be refreshed.
struct Account {
    base: Url,
    usage: Usage,
    id: AccountId,
}

impl Auth for Account {
    fn bearer(&self) -> Boxed<'_, Result<Secret, Fault>> {
        Box::pin(async { Ok(Secret::new(SECRET)) })
    }

    fn refused<'a>(&'a self, _: &'a Secret) -> Boxed<'a, Result<Secret, Fault>> {
        Box::pin(async { Err(Fault::Reconnect { provider: "acme".into(), why: "the token was revoked".into() }) })
    }

    fn api<'a>(&'a self, name: &'a str) -> Option<Api<'a>> {
        let (base, usage) = (&self.base, &self.usage);
        Some(Api { provider: "acme", name, base, account: self.id, usage, nodes: 1 })
    }
}

/// Everything that is logged while it lives, on this thread.
pub struct Log {
    text: Arc<Mutex<Vec<u8>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Listens to every level.
    pub fn listen() -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&text);
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || Sink(Arc::clone(&sink)))
            .finish();
        Self { text, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// What was logged so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}
