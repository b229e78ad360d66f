//! Whose a linked account is. What is inside belongs to the vault.

use super::Db;
use crate::ids::{AccountId, UserId};
use crate::on;

const PROVIDER: &str = "SELECT provider FROM next_auth_accounts WHERE id = $1 AND \"userId\" = $2";

/// The provider of the account `id`, if it is an account of `user`.
pub async fn provider(db: &Db, user: UserId, id: AccountId) -> sqlx::Result<Option<String>> {
    on!(db, pool => sqlx::query_scalar(PROVIDER).bind(id).bind(user).fetch_optional(pool).await)
}
