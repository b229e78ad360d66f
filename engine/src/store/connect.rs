//! Connect sessions: one attempt to link an account or to sign in with one, from the redirect to the callback. A row is used once,
//! whatever came of it; what is secret in `data` is sealed by whoever writes it.

use sqlx::FromRow;
use uuid::Uuid;

use super::Db;
use crate::clock::Micros;
use crate::ids::UserId;
use crate::{on, on_write};

/// Sessions that one step of the purge takes.
const PURGED: i64 = 500;

const ADD: &str = "INSERT INTO connect_sessions (id, user_id, endpoint, data, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6)";
const GET: &str = "SELECT id, user_id, endpoint, data, expires_at, used_at FROM connect_sessions WHERE id = $1";
const USE: &str = "UPDATE connect_sessions SET used_at = $2 WHERE id = $1 AND used_at IS NULL";
const PUT: &str = "UPDATE connect_sessions SET data = $2 WHERE id = $1 AND data = $3";
const END: &str = "DELETE FROM connect_sessions WHERE id = $1";
const OPEN: &str = "SELECT COUNT(*) FROM connect_sessions WHERE user_id = $1 AND expires_at > $2";
const PURGE: &str = "DELETE FROM connect_sessions WHERE id IN
    (SELECT id FROM connect_sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";

/// A connect session.
#[derive(Clone, Debug, FromRow)]
pub struct ConnectSession {
    /// Its id; the first half of the state.
    pub id: Uuid,
    /// Who began it; `None`: somebody who wants to sign in.
    pub user_id: Option<UserId>,
    /// The provider's page that they were sent to.
    pub endpoint: String,
    /// What must be known when they come back, as JSON.
    pub data: String,
    /// When it ends.
    pub expires_at: Micros,
    /// When the callback came.
    pub used_at: Option<Micros>,
}

/// Keeps a session.
pub async fn add(db: &Db, new: &ConnectSession, now: Micros) -> sqlx::Result<()> {
    on_write!(db, pool => {
        let add = sqlx::query(ADD).bind(new.id).bind(new.user_id).bind(&new.endpoint).bind(&new.data);
        add.bind(now).bind(new.expires_at).execute(pool).await.map(drop)
    })
}

/// The session `id`.
pub async fn get(db: &Db, id: Uuid) -> sqlx::Result<Option<ConnectSession>> {
    on!(db, pool => sqlx::query_as(GET).bind(id).fetch_optional(pool).await)
}

/// Uses the session up. False: somebody did.
pub async fn use_up(db: &Db, id: Uuid, now: Micros) -> sqlx::Result<bool> {
    on_write!(db, pool => Ok(sqlx::query(USE).bind(id).bind(now).execute(pool).await?.rows_affected() == 1))
}

/// Puts `data` in the place of `old`. False: it is another by now.
pub async fn put(db: &Db, id: Uuid, old: &str, data: &str) -> sqlx::Result<bool> {
    on_write!(db, pool => Ok(sqlx::query(PUT).bind(id).bind(data).bind(old).execute(pool).await?.rows_affected() == 1))
}

/// Forgets a session.
pub async fn end(db: &Db, id: Uuid) -> sqlx::Result<()> {
    on_write!(db, pool => sqlx::query(END).bind(id).execute(pool).await.map(drop))
}

/// How many sessions of `user` are open.
pub async fn open(db: &Db, user: UserId, now: Micros) -> sqlx::Result<i64> {
    on!(db, pool => sqlx::query_scalar(OPEN).bind(user).bind(now).fetch_one(pool).await)
}

/// Forgets some of those that are over; how many.
pub async fn purge(db: &Db, now: Micros) -> sqlx::Result<u64> {
    on_write!(db, pool => Ok(sqlx::query(PURGE).bind(now).bind(PURGED).execute(pool).await?.rows_affected()))
}
