//! The HTTP API through its real router, on a socket, on both engines.

mod areas;
mod described;
mod errors;
mod fired;
mod lists;
mod repeated;
mod rights;
mod secrets;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::identity::Identity;
use api::rest::{App, router};
use api::settings::Settings;
use engine::clock::{Clock, from_micros};
use engine::net::{Http, NetConfig};
use engine::node::{Engine, Parts, Wakes};
use engine::store::people::{self, NewUser, Role};
use engine::store::tokens::{self, NewToken, Scopes};
use engine::testkit::{TestDb, databases};
use engine::vault::{KeyRing, Provider};
use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// Where the tests' clock begins.
const START: i64 = 1_800_000_000_000_000;

/// Settings whose passwords cost little.
pub fn settings() -> Settings {
    let mut settings = Settings { public_url: "https://area.example/base/".parse().ok(), ..Settings::default() };
    settings.passwords.memory_kib = 64;
    settings.passwords.passes = 1;
    settings
}

/// An API on a free port, and a user with a token.
pub struct Api {
    /// `sqlite` or `postgres`, for messages.
    pub label: &'static str,
    /// Moves by hand.
    pub clock: Clock,
    /// What an editor sends.
    pub token: String,
    url: String,
    client: reqwest::Client,
    test: TestDb,
    engine: Arc<Engine>,
    wakes: Option<Wakes>,
}

/// An answer.
#[derive(Debug)]
pub struct Said {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
}

impl Said {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The body as JSON, of an answer with this status.
    #[track_caller]
    pub fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// A header's text.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }

    /// Fails unless it is a problem of this status and kind with errors at these places, in any order.
    #[track_caller]
    pub fn problem(&self, status: u16, kind: &str, places: &[&str]) {
        let body = self.ok(status);
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(body["type"], format!("/docs#problem-{kind}"), "{self:?}");
        assert_eq!(body["status"], status, "{self:?}");
        assert!(!body["title"].as_str().unwrap().is_empty() && !body["detail"].as_str().unwrap().is_empty());
        let mut got: Vec<&str> =
            body["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
        let mut want = places.to_vec();
        got.sort_unstable();
        want.sort_unstable();
        assert_eq!(got, want, "{self:?}");
    }
}

impl Api {
    /// One on every engine there is.
    pub async fn all() -> Vec<Self> {
        Self::all_set(settings()).await
    }

    /// One on the embedded database.
    pub async fn one() -> Self {
        Self::over(engine::testkit::sqlite().await, settings(), Vec::new()).await
    }

    /// One on every engine there is, set up like this.
    pub async fn all_set(settings: Settings) -> Vec<Self> {
        Self::all_with(settings, Vec::new()).await
    }

    /// The same, with these providers.
    pub async fn all_with(settings: Settings, providers: Vec<Provider>) -> Vec<Self> {
        let mut all = Vec::new();
        for test in databases().await {
            all.push(Self::over(test, settings.clone(), providers.clone()).await);
        }
        all
    }

    async fn over(test: TestDb, settings: Settings, providers: Vec<Provider>) -> Self {
        let clock = Clock::manual(from_micros(START));
        let parts = Parts {
            db: test.db.clone(),
            services: connectors::all(),
            clock: clock.clone(),
            ring: KeyRing::generate().unwrap(),
            http: Http::new(NetConfig::default()).unwrap(),
            limits: Default::default(),
            providers,
            vault: Default::default(),
            name: "test".into(),
            url: None,
            lease: Duration::from_secs(30),
        };
        let (engine, wakes) = Engine::new(parts).await.unwrap();
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let identity = Identity::new(test.db.clone(), clock.clone(), settings).unwrap();
        let app = App::new(Arc::clone(&engine), identity, metrics);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = router(Arc::new(app)).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        let client = reqwest::Client::builder().build().unwrap();
        let mut api =
            Self { label: test.label, clock, token: String::new(), url, client, test, engine, wakes: Some(wakes) };
        api.token = api.user("ann@example.org", Role::Editor, Scopes::default()).await;
        api
    }

    /// The same, with the node at work.
    pub async fn at_work() -> Vec<Self> {
        let mut all = Self::all().await;
        for api in &mut all {
            if let Some(wakes) = api.wakes.take() {
                api.engine.run(wakes);
            }
            while api.engine.leases.held().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        all
    }

    /// Another user's token.
    pub async fn user(&self, email: &str, role: Role, scopes: Scopes) -> String {
        let (db, now) = (&self.test.db, self.clock.now());
        let user = people::create(db, &NewUser { email, role, ..Default::default() }, now).await.unwrap();
        let new = NewToken { scopes, ..Default::default() };
        tokens::create(db, user.id, &new, now).await.unwrap().1.expose().to_owned()
    }

    /// A request without a token.
    pub fn bare(&self, method: &str, path: &str) -> RequestBuilder {
        self.client.request(Method::from_bytes(method.as_bytes()).unwrap(), format!("{}{path}", self.url))
    }

    /// A request with the editor's token.
    pub fn ask(&self, method: &str, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(&self.token)
    }

    /// Asks without a body.
    pub async fn call(&self, method: &str, path: &str) -> Said {
        said(self.ask(method, path)).await
    }

    /// Sends JSON.
    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Said {
        said(self.ask(method, path).json(body)).await
    }

    /// Makes an AREA and gives what is shown of it.
    pub async fn made(&self, document: &Value) -> Value {
        self.send("POST", "/v1/areas", document).await.ok(201)
    }

    /// Everything that the database holds as text of AREAs, sources and kept answers.
    pub async fn stored(&self) -> String {
        let sql = "SELECT body FROM areas UNION ALL SELECT body FROM area_revisions UNION ALL SELECT params FROM sources \
                   UNION ALL SELECT body FROM idempotency_keys";
        let rows: Vec<(String,)> =
            engine::on!(&self.test.db, pool => sqlx::query_as(sql).fetch_all(pool).await).unwrap();
        rows.into_iter().map(|(text,)| text).collect::<Vec<_>>().join("\n")
    }

    /// Its database.
    pub fn db(&self) -> &engine::store::Db {
        &self.test.db
    }

    /// Closes the database under the API.
    pub async fn break_database(&self) {
        self.test.db.close().await;
    }
}

/// Sends a request and reads its answer.
pub async fn said(request: RequestBuilder) -> Said {
    let response = request.send().await.unwrap();
    let (status, headers): (StatusCode, _) = (response.status(), response.headers().clone());
    Said { status: status.as_u16(), headers, text: response.text().await.unwrap() }
}

/// An AREA that is right.
pub fn area(name: &str) -> Value {
    json!({
        "name": name,
        "action": {"service": "http", "name": "new_item", "data": {"url": "https://example.com/items"}, "every": "5m"},
        "when": "event.id > 3",
        "reactions": [{"id": "note", "service": "log", "name": "write", "data": {"text": "{{ event.id }}"}}],
    })
}

/// The path of a shown AREA.
pub fn path(shown: &Value) -> String {
    format!("/v1/areas/{}", shown["id"].as_str().unwrap())
}
