//! API tokens: 256 random bits, shown once, stored as their SHA-256. A plain hash is enough, for there is nothing to guess.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use rand::TryRngCore;
use rand::rngs::OsRng;
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::FromRow;
use uuid::Uuid;

use super::Db;
use super::people::Role;
use crate::ids::UserId;
use crate::secret::Secret;
use crate::{on, on_write};

/// What every token begins with, so that a scanner of leaked secrets knows it.
pub const PREFIX: &str = "area_";
/// Random bytes of a token.
const RANDOM_BYTES: usize = 32;

const ADD: &str = "INSERT INTO api_tokens (id, user_id, name, hash, scopes, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const LIST: &str = "SELECT id, name, scopes, created_at, expires_at FROM api_tokens WHERE user_id = $1 ORDER BY id";
const REVOKE: &str = "DELETE FROM api_tokens WHERE user_id = $1 AND id = $2";
const CALLER: &str = "SELECT t.id AS token, u.id AS user_id, u.email, u.role, t.scopes
    FROM api_tokens t JOIN users u ON u.id = t.user_id
    WHERE t.hash = $1 AND u.suspended_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $2)";

/// A part of the API that a token opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Read what is one's own.
    Read,
    /// Change AREAs and runs.
    Areas,
    /// Link and unlink accounts.
    Accounts,
    /// What a role as administrator allows.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::Read, Self::Areas, Self::Accounts, Self::Admin];

    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Areas => "areas",
            Self::Accounts => "accounts",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == s);
        found.ok_or_else(|| format!("`{s}` is no scope: there are {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

/// Scopes as they are stored: their words, separated by spaces. A word that this version does not know opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Whether `scope` is among them.
    pub fn has(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }
}

impl Default for Scopes {
    fn default() -> Self {
        Self(Scope::ALL.to_vec())
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl From<String> for Scopes {
    fn from(words: String) -> Self {
        words.split_whitespace().filter_map(|w| w.parse().ok()).collect()
    }
}

impl std::fmt::Display for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(" "))
    }
}

/// A token that is to be created.
#[derive(Clone, Debug, Default)]
pub struct NewToken<'a> {
    /// For its owner, to tell it from others.
    pub name: &'a str,
    /// What it opens.
    pub scopes: Scopes,
    /// When it stops working; `None`: when it is revoked.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A token as its owner sees it: without the secret.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct Token {
    /// To revoke it by.
    pub id: Uuid,
    /// What its owner called it.
    pub name: String,
    /// What it opens.
    #[sqlx(try_from = "String")]
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops working.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Who calls, by a token.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Caller {
    /// The token's id.
    pub token: Uuid,
    /// Whose it is.
    #[sqlx(rename = "user_id")]
    pub user: UserId,
    /// Their address.
    pub email: String,
    /// What they may do.
    #[sqlx(try_from = "String")]
    pub role: Role,
    /// What the token opens.
    #[sqlx(try_from = "String")]
    pub scopes: Scopes,
}

/// The hash under which a token is stored.
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Makes a token for `user`. The secret is in the answer and nowhere else.
pub async fn create(db: &Db, user: UserId, new: &NewToken<'_>, now: DateTime<Utc>) -> sqlx::Result<(Uuid, Secret)> {
    let mut random = [0; RANDOM_BYTES];
    OsRng.try_fill_bytes(&mut random).map_err(|e| sqlx::Error::Io(std::io::Error::other(e)))?;
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
    let (id, hash) = (Uuid::now_v7(), hash(&token).to_vec());
    let scopes = new.scopes.to_string();
    on_write!(db, pool => {
        let add = sqlx::query(ADD).bind(id).bind(user).bind(new.name).bind(hash).bind(scopes);
        add.bind(now).bind(new.expires_at).execute(pool).await.map(drop)
    })?;
    Ok((id, Secret::new(token)))
}

/// The tokens of `user`, oldest first.
pub async fn list(db: &Db, user: UserId) -> sqlx::Result<Vec<Token>> {
    on!(db, pool => sqlx::query_as(LIST).bind(user).fetch_all(pool).await)
}

/// Ends a token of `user`; false: they have no such token.
pub async fn revoke(db: &Db, user: UserId, id: Uuid) -> sqlx::Result<bool> {
    on_write!(db, pool => Ok(sqlx::query(REVOKE).bind(user).bind(id).execute(pool).await?.rows_affected() == 1))
}

/// Who holds the token with this [`hash`], unless it is revoked or expired at `now`.
pub async fn caller_by_token(db: &Db, hash: &[u8; 32], now: DateTime<Utc>) -> sqlx::Result<Option<Caller>> {
    on!(db, pool => sqlx::query_as(CALLER).bind(hash.as_slice()).bind(now).fetch_optional(pool).await)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::from_micros;
    use crate::store::people::{self, NewUser};
    use crate::testkit::databases;

    fn now() -> DateTime<Utc> {
        from_micros(1_800_000_000_000_000)
    }

    async fn user(db: &Db, email: &str) -> UserId {
        people::create(db, &NewUser { email, ..Default::default() }, now()).await.unwrap().id
    }

    #[tokio::test]
    async fn a_token_names_its_caller_until_it_is_revoked_by_its_owner() {
        for t in databases().await {
            let (ann, bob) = (user(&t.db, "ann@b").await, user(&t.db, "bob@b").await);
            let new = NewToken { name: "ci", scopes: Scopes::from_iter([Scope::Read]), expires_at: None };
            let (id, secret) = create(&t.db, ann, &new, now()).await.unwrap();
            let hash = hash(secret.expose());
            let caller = caller_by_token(&t.db, &hash, now()).await.unwrap().unwrap();
            assert_eq!((caller.user, caller.email.as_str(), caller.role), (ann, "ann@b", Role::Editor), "{}", t.label);
            assert!(caller.scopes.has(Scope::Read) && !caller.scopes.has(Scope::Areas));
            assert!(!revoke(&t.db, bob, id).await.unwrap(), "{}: somebody else's", t.label);
            assert!(revoke(&t.db, ann, id).await.unwrap());
            assert_eq!(caller_by_token(&t.db, &hash, now()).await.unwrap(), None, "{}", t.label);
        }
    }

    #[tokio::test]
    async fn a_token_ends_at_its_instant_whatever_fractions_of_a_second_are_compared() {
        for t in databases().await {
            let ann = user(&t.db, "ann@b").await;
            for micros in [0, 1, 500_000, 999_999] {
                let end = now() + Duration::from_micros(micros);
                let new = NewToken { expires_at: Some(end), ..Default::default() };
                let hash = hash(create(&t.db, ann, &new, now()).await.unwrap().1.expose());
                let at = async |when| caller_by_token(&t.db, &hash, when).await.unwrap().is_some();
                let micro = Duration::from_micros(1);
                let got = (at(end - micro).await, at(end).await, at(end + micro).await);
                assert_eq!(got, (true, false, false), "{} +{micros}", t.label);
            }
        }
    }

    #[tokio::test]
    async fn tokens_differ_are_listed_without_their_secret_and_stored_hashed() {
        for t in databases().await {
            let ann = user(&t.db, "ann@b").await;
            let (_, a) = create(&t.db, ann, &NewToken { name: "a", ..Default::default() }, now()).await.unwrap();
            let (_, b) = create(&t.db, ann, &NewToken { name: "b", ..Default::default() }, now()).await.unwrap();
            assert_ne!(a.expose(), b.expose());
            assert!(a.expose().starts_with("area_") && a.expose().len() == 48, "256 bits as base64url");
            let listed = list(&t.db, ann).await.unwrap();
            assert_eq!(listed.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["a", "b"], "{}", t.label);
            assert_eq!(listed[0].scopes, Scopes::default());
            let sql = "SELECT hash FROM api_tokens WHERE name = 'a'";
            let stored: Vec<u8> = on!(&t.db, pool => sqlx::query_scalar(sql).fetch_one(pool).await).unwrap();
            assert_eq!(stored, Sha256::digest(a.expose()).to_vec(), "{}", t.label);
        }
    }
}
