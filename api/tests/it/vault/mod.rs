//! The vault in several processes on one PostgreSQL, against a provider that kills a whole family of tokens when an old one comes
//! back. `process` is this test binary started again, as a node.

mod canaries;
mod fire;
mod killed;
mod process;
mod random_kills;
mod storms;

use engine::clock::Clock;
use engine::ids::{AccountId, UserId};
use engine::on_write;
use engine::store::people::{self, NewUser};
use engine::store::{Db, DbConfig, migrate};

use crate::peers::Oidc;

const LINK: &str =
    "INSERT INTO next_auth_accounts (id, type, provider, \"providerAccountId\", \"userId\", access_token,
    refresh_token, expires_at) VALUES ($1, 'oauth', 'oidc', $2, $3, $4, $5, 0)";
const EXPIRE: &str = "UPDATE next_auth_accounts SET expires_at = 0 WHERE id = $1";

const REFUSE: &str = "UPDATE next_auth_accounts SET refresh_token = 'unknown' WHERE id = $1";

/// A database and a provider that the processes share.
struct World {
    url: String,
    db: Db,
    oidc: Oidc,
    folder: tempfile::TempDir,
    user: UserId,
}

impl World {
    /// `None` where PostgreSQL or the peers are not installed.
    async fn new() -> Option<Self> {
        Self::with(&[]).await
    }

    /// The same with more in the provider's environment.
    async fn with(env: &[(&str, &str)]) -> Option<Self> {
        let url = engine::testkit::postgres::url().await?;
        let oidc = Oidc::start(env).await?;
        let db = Db::open(&DbConfig { url: url.clone(), connections: 4 }).await.unwrap();
        migrate::migrate(&db).await.unwrap();
        let ann = NewUser { email: "ann@example.org", ..NewUser::default() };
        let user = people::create(&db, &ann, Clock::system().now()).await.unwrap().id;
        Some(Self { url, db, oidc, folder: tempfile::tempdir().unwrap(), user })
    }

    /// An account whose token has expired, as an Auth.js site would have linked it.
    async fn linked(&self) -> AccountId {
        let id = AccountId::new();
        let (access, refresh) = self.oidc.consented(&id.to_string()).await;
        on_write!(&self.db, pool => {
            let link = sqlx::query(LINK).bind(id).bind(id.to_string()).bind(self.user).bind(access).bind(refresh);
            link.execute(pool).await.map(drop)
        })
        .unwrap();
        id
    }

    /// Its token has expired, as far as anybody can tell.
    async fn expire(&self, id: AccountId) {
        on_write!(&self.db, pool => sqlx::query(EXPIRE).bind(id).execute(pool).await.map(drop)).unwrap();
    }

    /// Faults of the provider that nobody met yet.
    async fn armed(&self) -> i64 {
        self.oidc.counts().await["armed"].as_i64().unwrap()
    }

    /// Its refresh token is one that the provider does not know.
    async fn refuses(&self, id: AccountId) {
        on_write!(&self.db, pool => sqlx::query(REFUSE).bind(id).execute(pool).await.map(drop)).unwrap();
    }
}
