//! The vault against a provider that does what its test says: refuses, hangs, answers garbage, forgets a member. Rotation and reuse
//! detection are tested against a real server, in the `api` crate.

mod failures;
mod keeping;
mod nodes;
mod tokens;
mod whole;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use engine::clock::Clock;
use engine::ids::{AccountId, UserId};
use engine::lease::Leases;
use engine::net::{Http, NetConfig};
use engine::secret::Secret;
use engine::store::accounts::{self, AccountRow};
use engine::store::people::{self, NewUser};
use engine::testkit::{TestDb, databases};
use engine::vault::{KeyRing, Parts, Provider, ProviderConfig, Vault, VaultConfig};
use engine::{on, on_write};
use serde_json::{Value, json};
use wiremock::matchers::{body_string_contains, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const SECOND: i64 = 1_000_000;
const LINK: &str =
    "INSERT INTO next_auth_accounts (id, type, provider, \"providerAccountId\", \"userId\", access_token,
    refresh_token, expires_at, scope) VALUES ($1, 'oauth', 'acme', $2, $3, $4, $5, $6, 'read')";

fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 9, 0, 0).unwrap()
}

/// A database, a provider, and a vault of one node.
struct World {
    t: TestDb,
    provider: MockServer,
    clock: Clock,
    ring: KeyRing,
    user: UserId,
    vault: Vault,
    leases: Arc<Leases>,
}

impl World {
    async fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for t in databases().await {
            all.push(Self::on(t, VaultConfig::default()).await);
        }
        all
    }

    async fn on(t: TestDb, config: VaultConfig) -> Self {
        let (provider, clock) = (MockServer::start().await, Clock::manual(start()));
        let ring = KeyRing::generate().unwrap();
        let ann = NewUser { email: "ann@example.org", ..NewUser::default() };
        let user = people::create(&t.db, &ann, start()).await.unwrap().id;
        let leases = node(&t, &clock, "one").await;
        let vault = vault(&t, &provider, &clock, &ring, Some(&leases), config);
        Self { t, provider, clock, ring, user, vault, leases }
    }

    /// An account as an Auth.js site links one, whose token dies in so many seconds.
    async fn linked(&self, access: &str, refresh: Option<&str>, dies_in: Option<i64>) -> AccountId {
        let id = AccountId::new();
        let expires_at = dies_in.map(|s| self.clock.micros() / SECOND + s);
        on_write!(&self.t.db, pool => {
            let link = sqlx::query(LINK).bind(id).bind(id.to_string()).bind(self.user).bind(access).bind(refresh);
            link.bind(expires_at).execute(pool).await.map(drop)
        })
        .unwrap();
        id
    }

    /// What the token endpoint answers to `refresh`.
    async fn answers(&self, refresh: &str, answer: ResponseTemplate) {
        let sent = format!("refresh_token={refresh}");
        let mock = Mock::given(method("POST")).and(path("/token")).and(body_string_contains(sent));
        mock.respond_with(answer).mount(&self.provider).await;
    }

    async fn calls(&self) -> usize {
        self.provider.received_requests().await.unwrap().len()
    }

    async fn row(&self, id: AccountId) -> AccountRow {
        accounts::get(&self.t.db, id).await.unwrap().unwrap()
    }

    fn pass(&self, seconds: i64) {
        self.clock.set(self.clock.micros() + seconds * SECOND);
    }

    async fn access(&self, id: AccountId) -> String {
        self.vault.access(id).await.unwrap_or_else(|fault| panic!("{}: {fault}", self.t.label)).expose().to_owned()
    }

    fn opened(&self, id: AccountId, column: &str, text: Option<&str>) -> String {
        let place = format!("next_auth_accounts/{id}/{column}");
        self.ring.open(&place, text.unwrap()).unwrap().expose().to_owned()
    }
}

async fn node(t: &TestDb, clock: &Clock, name: &str) -> Arc<Leases> {
    let lease = Duration::from_secs(10);
    let leases = Leases::arrive(t.db.clone(), clock.clone(), name.to_owned(), None, lease).await.unwrap();
    leases.round().await.unwrap();
    Arc::new(leases)
}

fn vault(
    t: &TestDb,
    provider: &MockServer,
    clock: &Clock,
    ring: &KeyRing,
    leases: Option<&Arc<Leases>>,
    config: VaultConfig,
) -> Vault {
    let at = |path: &str| Some(format!("{}/{path}", provider.uri()));
    let acme = ProviderConfig {
        authorize_url: at("authorize"),
        token_url: at("token"),
        client_id: Some("area".to_owned()),
        client_secret: Some(Secret::new("CANARY-client-secret")),
        ..ProviderConfig::default()
    };
    Vault::new(Parts {
        db: t.db.clone(),
        ring: ring.clone(),
        http: Http::new(NetConfig::default()).unwrap(),
        clock: clock.clone(),
        providers: vec![Provider::new("acme", &acme).unwrap()],
        config,
        leases: leases.map(Arc::clone),
    })
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn tokens(access: &str, refresh: &str) -> ResponseTemplate {
    ok(json!({ "access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 3600 }))
}

fn refusal(status: u16, error: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "error": error, "error_description": "it says" }))
}
