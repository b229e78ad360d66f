//! What the connectors' tests share: an action that is polled against a server on loopback as the engine would, and a
//! reaction that is run.

use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::ids::{AccountId, AreaId};
use engine::net::{Http, NetConfig, parse_allow};
use engine::port::{
    ActionSpec, Api, AreaPort, Auth, Boxed, FeedKind, Item, OptionsCx, Page, PollCx, ReactCx, Reacted, ReactionSpec,
    Started,
};
use engine::secret::Secret;
use engine::usage::Usage;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;
use wiremock::{Mock, MockServer, ResponseTemplate};

pub fn now() -> DateTime<Utc> {
    "2026-11-06T08:49:37Z".parse().unwrap()
}

pub fn http() -> Http {
    Http::new(NetConfig { allow: parse_allow("127.0.0.0/8").unwrap(), ..NetConfig::default() }).unwrap()
}

/// One source as the engine keeps it: its cursor moves with each page.
pub struct Source {
    pub cursor: Option<Value>,
    spec: &'static ActionSpec,
    params: Value,
    http: Http,
    now: DateTime<Utc>,
}

impl Source {
    pub fn new(spec: &'static ActionSpec, data: Value) -> Self {
        assert_eq!((spec.check)(&data), [], "{data}");
        let params = (spec.feed_params)(&data);
        Self { cursor: None, spec, params, http: http(), now: now() }
    }

    /// One call, a minute after the last one.
    pub async fn page(&mut self) -> Result<Page, Fault> {
        let FeedKind::Polled { poll, .. } = self.spec.feed.kind else { panic!("a polled feed") };
        self.now += TimeDelta::minutes(1);
        let (params, cursor, http, now) = (&self.params, self.cursor.as_ref(), &self.http, self.now);
        let page = poll(PollCx { params, cursor, since: None, auth: None, http, now, wants: None }).await?;
        if let Some(cursor) = &page.cursor {
            self.cursor = Some(cursor.clone());
        }
        Ok(page)
    }

    /// Calls until there is no more; the items of all pages.
    pub async fn poll(&mut self) -> Result<Vec<Item>, Fault> {
        let mut items = Vec::new();
        loop {
            let page = self.page().await?;
            items.extend(page.items);
            if !page.more {
                return Ok(items);
            }
        }
    }

    pub async fn keys(&mut self) -> Vec<String> {
        self.poll().await.unwrap().into_iter().map(|item| item.key).collect()
    }
}

/// An account at a server on loopback. Its token is `token-N`; each refusal makes the next.
pub struct Account {
    base: Url,
    pub usage: Usage,
    id: AccountId,
    refreshes: AtomicUsize,
    /// What the next refresh comes to, where not to a token.
    pub lost: Mutex<Option<Fault>>,
}

impl Account {
    pub fn at(base: &str) -> Self {
        let (usage, refreshes) = (Usage::default(), AtomicUsize::new(0));
        Self { base: Url::parse(base).unwrap(), usage, id: AccountId::new(), refreshes, lost: Mutex::default() }
    }

    pub fn refreshes(&self) -> usize {
        self.refreshes.load(Ordering::SeqCst)
    }

    pub fn poll<'a>(&'a self, http: &'a Http, params: &'a Value, cursor: Option<&'a Value>) -> PollCx<'a> {
        PollCx { params, cursor, since: None, auth: Some(self), http, now: now(), wants: None }
    }

    pub fn options<'a>(&'a self, http: &'a Http, q: &'a str) -> OptionsCx<'a> {
        OptionsCx { q, within: None, auth: Some(self), http, now: now() }
    }
}

impl Auth for Account {
    fn bearer(&self) -> Boxed<'_, Result<Secret, Fault>> {
        Box::pin(async { Ok(Secret::new(format!("token-{}", self.refreshes()))) })
    }

    fn refused<'a>(&'a self, token: &'a Secret) -> Boxed<'a, Result<Secret, Fault>> {
        Box::pin(async move {
            assert_eq!(token.expose(), format!("token-{}", self.refreshes()), "it says which one");
            if let Some(fault) = self.lost.lock().unwrap().clone() {
                return Err(fault);
            }
            self.refreshes.fetch_add(1, Ordering::SeqCst);
            self.bearer().await
        })
    }

    fn api<'a>(&'a self, name: &'a str) -> Option<Api<'a>> {
        let (base, usage) = (&self.base, &self.usage);
        (name != "absent").then_some(Api { provider: "acme", name, base, account: self.id, usage, nodes: 1 })
    }
}

/// Runs a reaction once, under the key `run-1`.
pub async fn react(spec: &ReactionSpec, data: Value) -> Result<Value, Fault> {
    react_as(spec, data, None).await
}

/// The same with an account.
pub async fn react_as(spec: &ReactionSpec, data: Value, account: Option<&Account>) -> Result<Value, Fault> {
    react_again(spec, data, account, false).await
}

/// The same; `repeated`: an earlier call may have taken effect.
pub async fn react_again(
    spec: &ReactionSpec,
    data: Value,
    account: Option<&Account>,
    repeated: bool,
) -> Result<Value, Fault> {
    assert_eq!((spec.check)(&data), [], "{data}");
    let http = http();
    let cx = ReactCx {
        params: &data,
        key: "run-1",
        auth: account.map(|account| account as &dyn Auth),
        http: &http,
        born: now(),
        now: now(),
        repeated,
        slept_until: None,
        areas: &NoAreas,
    };
    match (spec.react)(cx).await? {
        Reacted::Done(output) => Ok(output),
        Reacted::WakeAt(at) => panic!("it sleeps until {at}"),
    }
}

struct NoAreas;

impl AreaPort for NoAreas {
    fn run<'a>(&'a self, _: AreaId, _: &'a Value, _: &'a str) -> Boxed<'a, Result<Started, Fault>> {
        panic!("no AREA is touched")
    }

    fn pause<'a>(&'a self, _: AreaId) -> Boxed<'a, Result<(), Fault>> {
        panic!("no AREA is touched")
    }

    fn resume<'a>(&'a self, _: AreaId) -> Boxed<'a, Result<(), Fault>> {
        panic!("no AREA is touched")
    }
}

/// What the server answers from now on, to everything.
pub async fn serve(server: &MockServer, answer: ResponseTemplate) {
    server.reset().await;
    Mock::given(wiremock::matchers::any()).respond_with(answer).mount(server).await;
}

/// A server that answers every connection with these bytes and closes it.
pub async fn raw(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    url
}
