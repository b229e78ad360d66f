//! Whose a linked account is. What is inside belongs to the vault.

use serde::Serialize;
use sqlx::FromRow;

use super::Db;
use crate::ids::{AccountId, UserId};
use crate::on;

const PROVIDER: &str = "SELECT provider FROM next_auth_accounts WHERE id = $1 AND \"userId\" = $2";
const OF: &str = "SELECT id, provider, \"providerAccountId\" AS provider_account_id, type AS kind, scope
    FROM next_auth_accounts WHERE \"userId\" = $1 ORDER BY id";

/// An account, without its tokens.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct Owned {
    /// Its id.
    pub id: AccountId,
    /// The provider.
    pub provider: String,
    /// Who the person is there.
    pub provider_account_id: String,
    /// `oauth`, `oidc` …
    pub kind: String,
    /// What was granted.
    pub scope: Option<String>,
}

/// The provider of the account `id`, if it is an account of `user`.
pub async fn provider(db: &Db, user: UserId, id: AccountId) -> sqlx::Result<Option<String>> {
    on!(db, pool => sqlx::query_scalar(PROVIDER).bind(id).bind(user).fetch_optional(pool).await)
}

/// The accounts of `user`.
pub async fn of(db: &Db, user: UserId) -> sqlx::Result<Vec<Owned>> {
    on!(db, pool => sqlx::query_as(OF).bind(user).fetch_all(pool).await)
}
