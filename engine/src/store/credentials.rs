//! What proves who a person is: their password, and one-time tokens that were mailed to them. One-time tokens are rows of
//! `next_auth_verification_tokens`, hashed and under identifiers that no Auth.js site uses; taking one uses it up.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::Db;
use super::audit::{self, Entry};
use crate::ids::UserId;
use crate::{in_tx, on, on_write};

const BY_EMAIL: &str = "SELECT id, email, password, display_name, suspended_at FROM users WHERE lower(email) = $1";
const BY_ID: &str = "SELECT id, email, password, display_name, suspended_at FROM users WHERE id = $1";
const UPGRADE: &str = "UPDATE users SET password = $3 WHERE id = $1 AND password = $2";
const SET: &str = "UPDATE users SET password = $2, updated_at = $3 WHERE id = $1";
const END_SESSIONS: &str = "DELETE FROM next_auth_sessions WHERE \"userId\" = $1 AND ($2 IS NULL OR id <> $2)";
const PROVED: &str = "UPDATE next_auth_users SET \"emailVerified\" = $3 WHERE id = $1 AND lower(email) = $2";
const ISSUE: &str = "INSERT INTO next_auth_verification_tokens (identifier, token, expires) VALUES ($1, $2, $3)";
const FORGET: &str = "DELETE FROM next_auth_verification_tokens WHERE identifier LIKE $1";
const PEEK: &str = "SELECT identifier FROM next_auth_verification_tokens WHERE token = $1 AND expires > $2";
const TAKE: &str = "DELETE FROM next_auth_verification_tokens WHERE token = $1 AND expires > $2 RETURNING identifier";
const SET_EMAIL: &str = "UPDATE users SET email = $2, updated_at = $3
    WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM users WHERE lower(email) = $2 AND id <> $1)";
const SET_SITE_EMAIL: &str = "UPDATE next_auth_users SET \"emailVerified\" = $3,
    email = CASE WHEN EXISTS (SELECT 1 FROM next_auth_users WHERE lower(email) = $2 AND id <> $1) THEN NULL ELSE $2 END
    WHERE id = $1";
const PURGE: &str = "DELETE FROM next_auth_verification_tokens WHERE identifier LIKE 'area:%' AND expires < $1";

/// A person, and the password that proves them.
#[derive(Clone, FromRow)]
pub struct Credentials {
    /// Who.
    pub id: UserId,
    /// In lower case.
    pub email: String,
    /// An argon2id string; `None`: they have no password.
    pub password: Option<String>,
    /// How they are shown.
    pub display_name: String,
    /// Since when they may do nothing.
    pub suspended_at: Option<DateTime<Utc>>,
}

/// A password's hash is nobody's business.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a one-time token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A new password for this person.
    Reset(UserId),
    /// This person has this address from now on.
    Email(UserId, String),
}

impl Purpose {
    fn identifier(&self) -> String {
        match self {
            Self::Reset(user) => format!("area:reset:{user}"),
            Self::Email(user, address) => format!("area:email:{user}:{address}"),
        }
    }

    fn parse(identifier: &str) -> Option<Self> {
        let (kind, rest) = identifier.strip_prefix("area:")?.split_once(':')?;
        match kind {
            "reset" => Some(Self::Reset(rest.parse().ok()?)),
            "email" => rest.split_once(':').and_then(|(u, a)| Some(Self::Email(u.parse().ok()?, a.to_owned()))),
            _ => None,
        }
    }

    /// Every token of this person for such a purpose: a new one ends the ones before.
    fn family(&self) -> String {
        match self {
            Self::Reset(user) => format!("area:reset:{user}"),
            Self::Email(user, _) => format!("area:email:{user}:%"),
        }
    }
}

/// The person with this address, in lower case.
pub async fn by_email(db: &Db, address: &str) -> sqlx::Result<Option<Credentials>> {
    on!(db, pool => sqlx::query_as(BY_EMAIL).bind(address).fetch_optional(pool).await)
}

/// The person with this id.
pub async fn by_id(db: &Db, id: UserId) -> sqlx::Result<Option<Credentials>> {
    on!(db, pool => sqlx::query_as(BY_ID).bind(id).fetch_optional(pool).await)
}

/// Puts a hash of the same password in the place of `old`, unless it was changed meanwhile.
pub async fn upgrade(db: &Db, id: UserId, old: &str, new: &str) -> sqlx::Result<()> {
    on_write!(db, pool => sqlx::query(UPGRADE).bind(id).bind(old).bind(new).execute(pool).await.map(drop))
}

/// Sets a person's password, and ends their sessions but one and their links that would set it.
pub async fn set_password(
    db: &Db,
    id: UserId,
    password: &str,
    but: Option<uuid::Uuid>,
    entry: &Entry<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let resets = Purpose::Reset(id).family();
    in_tx!(db, tx => {
        sqlx::query(SET).bind(id).bind(password).bind(now).execute(&mut *tx).await?;
        sqlx::query(END_SESSIONS).bind(id).bind(but).execute(&mut *tx).await?;
        sqlx::query(FORGET).bind(resets).execute(&mut *tx).await?;
        audit::note!(tx, entry, now);
        Ok(())
    })
}

/// Makes a token with this hash good for one use, in the place of an earlier one for the same purpose. `None`: only notes it.
pub async fn issue(
    db: &Db,
    token: Option<(&Purpose, [u8; 32])>,
    expires: DateTime<Utc>,
    entry: &Entry<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    in_tx!(db, tx => {
        if let Some((purpose, hash)) = token {
            sqlx::query(FORGET).bind(purpose.family()).execute(&mut *tx).await?;
            let issue = sqlx::query(ISSUE).bind(purpose.identifier()).bind(stored(hash)).bind(expires);
            issue.execute(&mut *tx).await?;
        }
        audit::note!(tx, entry, now);
        Ok(())
    })
}

/// What the token with this hash is for, without using it up.
pub async fn peek(db: &Db, hash: [u8; 32], now: DateTime<Utc>) -> sqlx::Result<Option<Purpose>> {
    let found: Option<String> =
        on!(db, pool => sqlx::query_scalar(PEEK).bind(stored(hash)).bind(now).fetch_optional(pool).await)?;
    Ok(found.as_deref().and_then(Purpose::parse))
}

/// Uses a reset token up for a new password: every session ends, and who opened the link has proved the address that it was sent
/// to. `None`: the token is not good, or no longer.
pub async fn reset(
    db: &Db,
    hash: [u8; 32],
    password: &str,
    entry: &Entry<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Credentials>> {
    in_tx!(db, tx => {
        let taken: Option<String> = sqlx::query_scalar(TAKE).bind(stored(hash)).bind(now).fetch_optional(&mut *tx).await?;
        let Some(Purpose::Reset(id)) = taken.as_deref().and_then(Purpose::parse) else { return Ok(None) };
        sqlx::query(SET).bind(id).bind(password).bind(now).execute(&mut *tx).await?;
        sqlx::query(END_SESSIONS).bind(id).bind(None::<uuid::Uuid>).execute(&mut *tx).await?;
        let person: Option<Credentials> = sqlx::query_as(BY_ID).bind(id).fetch_optional(&mut *tx).await?;
        let address = person.as_ref().map(|p| p.email.as_str()).unwrap_or_default();
        sqlx::query(PROVED).bind(id).bind(address).bind(now).execute(&mut *tx).await?;
        let entry = Entry { actor: Some(id), subject: Some(id), ..entry.clone() };
        audit::note!(tx, &entry, now);
        Ok(person)
    })
}

/// How a change of address ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// This person has this address now.
    To(UserId, String),
    /// Somebody else has it.
    Taken,
    /// The token is not good, or no longer.
    Unknown,
}

/// Uses a token up that proves a new address. Links that were sent to the old one end.
pub async fn change_email(db: &Db, hash: [u8; 32], entry: &Entry<'_>, now: DateTime<Utc>) -> sqlx::Result<Moved> {
    in_tx!(db, tx => {
        let taken: Option<String> = sqlx::query_scalar(TAKE).bind(stored(hash)).bind(now).fetch_optional(&mut *tx).await?;
        let Some(Purpose::Email(id, address)) = taken.as_deref().and_then(Purpose::parse) else {
            return Ok(Moved::Unknown);
        };
        let moved = sqlx::query(SET_EMAIL).bind(id).bind(&address).bind(now).execute(&mut *tx).await?.rows_affected();
        if moved == 0 {
            return Ok(Moved::Taken);
        }
        sqlx::query(SET_SITE_EMAIL).bind(id).bind(&address).bind(now).execute(&mut *tx).await?;
        sqlx::query(FORGET).bind(Purpose::Reset(id).family()).execute(&mut *tx).await?;
        let entry = Entry { actor: Some(id), subject: Some(id), ..entry.clone() };
        audit::note!(tx, &entry, now);
        Ok(Moved::To(id, address))
    })
}

/// Forgets our one-time tokens that ended before `before`.
pub async fn purge(db: &Db, before: DateTime<Utc>) -> sqlx::Result<u64> {
    on_write!(db, pool => Ok(sqlx::query(PURGE).bind(before).execute(pool).await?.rows_affected()))
}

fn stored(hash: [u8; 32]) -> String {
    format!("area:sha256:{}", hex::encode(hash))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::from_micros;
    use crate::store::people::{self, NewUser};
    use crate::store::sessions::{self, NewSession};
    use crate::testkit::databases;

    fn at(seconds: u64) -> DateTime<Utc> {
        from_micros(1_800_000_000_000_000) + Duration::from_secs(seconds)
    }

    async fn user(db: &Db, email: &str) -> UserId {
        people::create(db, &NewUser { email, ..Default::default() }, at(0)).await.unwrap().id
    }

    async fn give(db: &Db, purpose: &Purpose, token: u8) {
        issue(db, Some((purpose, [token; 32])), at(60), &Entry::default(), at(0)).await.unwrap();
    }

    #[tokio::test]
    async fn a_reset_is_used_once_in_time_ends_every_session_and_a_newer_one_ends_it() {
        for t in databases().await {
            let ann = user(&t.db, "ann@b").await;
            let new = NewSession { user: ann, token: "s", expires: at(900), agent: "", address: "", provider: None };
            sessions::open(&t.db, new, at(0)).await.unwrap();
            give(&t.db, &Purpose::Reset(ann), 1).await;
            give(&t.db, &Purpose::Reset(ann), 2).await;
            let reset = async |token: u8, now| reset(&t.db, [token; 32], "new", &Entry::default(), now).await.unwrap();
            assert!(reset(1, at(1)).await.is_none(), "{}: a newer one was sent", t.label);
            assert!(reset(2, at(60)).await.is_none(), "{}: too late", t.label);
            assert_eq!(peek(&t.db, [2; 32], at(1)).await.unwrap(), Some(Purpose::Reset(ann)), "{}", t.label);
            assert_eq!(reset(2, at(1)).await.unwrap().password.as_deref(), Some("new"), "{}", t.label);
            assert!(reset(2, at(1)).await.is_none(), "{}: used", t.label);
            assert!(sessions::by_token(&t.db, "s", at(1)).await.unwrap().is_none(), "{}", t.label);
            assert_eq!(people::site_user(&t.db, ann).await.unwrap().unwrap().verified_at, Some(at(1)), "{}", t.label);
        }
    }

    #[tokio::test]
    async fn an_address_moves_by_proof_in_both_tables_unless_somebody_took_it_meanwhile() {
        for t in databases().await {
            let (ann, bob) = (user(&t.db, "ann@b").await, user(&t.db, "bob@b").await);
            let moved = async |token: u8| change_email(&t.db, [token; 32], &Entry::default(), at(1)).await.unwrap();
            give(&t.db, &Purpose::Email(ann, "bob@b".into()), 1).await;
            assert_eq!(moved(1).await, Moved::Taken, "{}", t.label);
            give(&t.db, &Purpose::Reset(ann), 2).await;
            give(&t.db, &Purpose::Email(ann, "a:nn@c".into()), 3).await;
            assert_eq!(moved(3).await, Moved::To(ann, "a:nn@c".into()), "{}", t.label);
            assert_eq!(moved(3).await, Moved::Unknown, "{}: used", t.label);
            assert_eq!(moved(2).await, Moved::Unknown, "{}: for another purpose", t.label);
            assert_eq!(people::by_id(&t.db, ann).await.unwrap().unwrap().email, "a:nn@c", "{}", t.label);
            let site = people::site_user(&t.db, ann).await.unwrap().unwrap();
            assert_eq!((site.email.as_deref(), site.verified_at), (Some("a:nn@c"), Some(at(1))), "{}", t.label);
            assert_eq!(people::by_id(&t.db, bob).await.unwrap().unwrap().email, "bob@b", "{}", t.label);
        }
    }

    #[tokio::test]
    async fn an_upgraded_hash_never_undoes_a_change() {
        for t in databases().await {
            let ann = user(&t.db, "ann@b").await;
            set_password(&t.db, ann, "one", None, &Entry::default(), at(0)).await.unwrap();
            upgrade(&t.db, ann, "zero", "stale").await.unwrap();
            assert_eq!(
                by_email(&t.db, "ann@b").await.unwrap().unwrap().password.as_deref(),
                Some("one"),
                "{}",
                t.label
            );
            upgrade(&t.db, ann, "one", "better").await.unwrap();
            assert_eq!(by_id(&t.db, ann).await.unwrap().unwrap().password.as_deref(), Some("better"), "{}", t.label);
        }
    }
}
