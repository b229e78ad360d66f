//! Sign-ups whose address is not proved yet. Several may wait for one address at once: each link goes with the password that was
//! chosen with it, so whoever signs somebody else's address up gains nothing when that person opens the link.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::Db;
use super::audit::{self, Entry};
use super::people::{self, NewUser, User, add_person};
use crate::ids::UserId;
use crate::{in_tx, on, on_write};

/// Sign-ups that may wait for one address: the oldest makes room.
pub const WAITING: i64 = 3;
/// Passwords that may be tried on one sign-up.
pub const TRIES: i64 = 10;

const ADD: &str =
    "INSERT INTO pending_users (id, email, password, name, info, token, expires_at, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)";
const MAKE_ROOM: &str = "DELETE FROM pending_users WHERE email = $1 AND id NOT IN
    (SELECT id FROM pending_users WHERE email = $1 ORDER BY created_at DESC, id DESC LIMIT $2)";
const BY_TOKEN: &str = "SELECT id, email, password, name, info FROM pending_users
    WHERE token = $1 AND expires_at > $2 AND tries < $3";
const TRIED: &str = "UPDATE pending_users SET tries = tries + 1, updated_at = $2 WHERE id = $1";
const NEWEST: &str = "SELECT id, email, password, name, info FROM pending_users
    WHERE email = $1 AND expires_at > $2 ORDER BY created_at DESC, id DESC LIMIT 1";
const AGAIN: &str = "UPDATE pending_users SET tries = 0, token = $2, expires_at = $3, updated_at = $4 WHERE id = $1";
const TAKE: &str = "DELETE FROM pending_users WHERE id = $1";
const INFO: &str = "UPDATE users SET info = $2 WHERE id = $1";
pub(super) const DONE: &str = "DELETE FROM pending_users WHERE email = $1";
const PURGE: &str = "DELETE FROM pending_users WHERE expires_at < $1";

/// Somebody who signs up.
#[derive(Clone, Copy, Debug)]
pub struct NewPending<'a> {
    /// As [`people::email`] gives it.
    pub email: &'a str,
    /// An argon2id string.
    pub password: &'a str,
    /// How they want to be shown.
    pub name: &'a str,
    /// What they say of themselves.
    pub info: &'a str,
    /// The hash of the token in the link.
    pub token: [u8; 32],
    /// When the link ends.
    pub expires_at: DateTime<Utc>,
}

/// Somebody who signed up and has yet to prove the address.
#[derive(Clone, FromRow)]
pub struct Pending {
    /// The sign-up, and the person when they become one.
    pub id: UserId,
    /// In lower case.
    pub email: String,
    /// An argon2id string.
    pub password: String,
    /// How they want to be shown.
    pub name: String,
    /// What they say of themselves.
    pub info: String,
}

/// A password's hash is nobody's business.
impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Keeps a sign-up.
pub async fn add(db: &Db, new: NewPending<'_>, entry: &Entry<'_>, now: DateTime<Utc>) -> sqlx::Result<()> {
    in_tx!(db, tx => {
        let add = sqlx::query(ADD).bind(Uuid::now_v7()).bind(new.email).bind(new.password).bind(new.name).bind(new.info);
        add.bind(new.token.to_vec()).bind(new.expires_at).bind(now).execute(&mut *tx).await?;
        sqlx::query(MAKE_ROOM).bind(new.email).bind(WAITING).execute(&mut *tx).await?;
        audit::note!(tx, entry, now);
        Ok(())
    })
}

/// The sign-up with this token, unless it ended or too many passwords were tried on it.
pub async fn by_token(db: &Db, token: &[u8; 32], now: DateTime<Utc>) -> sqlx::Result<Option<Pending>> {
    on!(db, pool => sqlx::query_as(BY_TOKEN).bind(token.as_slice()).bind(now).bind(TRIES).fetch_optional(pool).await)
}

/// Notes that a wrong password was tried.
pub async fn tried(db: &Db, id: UserId, now: DateTime<Utc>) -> sqlx::Result<()> {
    on_write!(db, pool => sqlx::query(TRIED).bind(id).bind(now).execute(pool).await.map(drop))
}

/// Gives the newest sign-up of an address another token; false: none waits. Either way it is noted.
pub async fn again(
    db: &Db,
    email: &str,
    token: [u8; 32],
    expires_at: DateTime<Utc>,
    entry: &Entry<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    in_tx!(db, tx => {
        let newest: Option<Pending> = sqlx::query_as(NEWEST).bind(email).bind(now).fetch_optional(&mut *tx).await?;
        if let Some(newest) = &newest {
            let again = sqlx::query(AGAIN).bind(newest.id).bind(token.to_vec()).bind(expires_at).bind(now);
            again.execute(&mut *tx).await?;
        }
        audit::note!(tx, entry, now);
        Ok(newest.is_some())
    })
}

/// Makes a person of a sign-up, with the address proved. `None`: the address was taken meanwhile, or the sign-up used.
pub async fn settle(db: &Db, pending: &Pending, entry: &Entry<'_>, now: DateTime<Utc>) -> sqlx::Result<Option<User>> {
    let new = NewUser {
        email: &pending.email,
        display_name: &pending.name,
        password: Some(&pending.password),
        verified_at: Some(now),
        ..NewUser::default()
    };
    let added: sqlx::Result<bool> = in_tx!(db, tx => {
        let taken = sqlx::query(TAKE).bind(pending.id).execute(&mut *tx).await?.rows_affected() == 1;
        let added = taken && add_person!(tx, pending.id, &pending.email, &new, now, false);
        if added {
            sqlx::query(INFO).bind(pending.id).bind(&pending.info).execute(&mut *tx).await?;
            sqlx::query(DONE).bind(&pending.email).execute(&mut *tx).await?;
            audit::note!(tx, entry, now);
        }
        Ok(added)
    });
    if added? { people::by_id(db, pending.id).await } else { Ok(None) }
}

/// Forgets sign-ups that ended before `before`.
pub async fn purge(db: &Db, before: DateTime<Utc>) -> sqlx::Result<u64> {
    on_write!(db, pool => Ok(sqlx::query(PURGE).bind(before).execute(pool).await?.rows_affected()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::from_micros;
    use crate::testkit::databases;

    fn at(seconds: u64) -> DateTime<Utc> {
        from_micros(1_800_000_000_000_000) + Duration::from_secs(seconds)
    }

    fn new(token: u8) -> NewPending<'static> {
        let expires_at = at(3_600);
        NewPending { email: "ann@b", password: "$argon2id$", name: "Ann", info: "hi", token: [token; 32], expires_at }
    }

    async fn sign_up(db: &Db, token: u8) {
        add(db, new(token), &Entry::default(), at(u64::from(token))).await.unwrap();
    }

    #[tokio::test]
    async fn a_sign_up_becomes_a_person_once_and_the_others_of_the_address_end() {
        for t in databases().await {
            sign_up(&t.db, 1).await;
            sign_up(&t.db, 2).await;
            let (first, second) =
                (by_token(&t.db, &[1; 32], at(9)).await.unwrap().unwrap(), by_token(&t.db, &[2; 32], at(9)));
            let second = second.await.unwrap().unwrap();
            let made = settle(&t.db, &first, &Entry::default(), at(9)).await.unwrap().unwrap();
            assert_eq!((made.id, made.email.as_str(), made.display_name.as_str()), (first.id, "ann@b", "Ann"));
            for gone in [&first, &second] {
                assert!(settle(&t.db, gone, &Entry::default(), at(9)).await.unwrap().is_none(), "{}", t.label);
            }
            let site = people::site_user(&t.db, made.id).await.unwrap().unwrap();
            assert_eq!((site.email.as_deref(), site.verified_at), (Some("ann@b"), Some(at(9))), "{}", t.label);
        }
    }

    #[tokio::test]
    async fn the_oldest_makes_room_a_late_or_guessed_one_is_not_found_and_resending_ends_the_old_link() {
        for t in databases().await {
            for token in 1..=4 {
                sign_up(&t.db, token).await;
            }
            let found = async |token: u8, now| by_token(&t.db, &[token; 32], now).await.unwrap();
            assert!(found(1, at(9)).await.is_none() && found(2, at(9)).await.is_some(), "{}", t.label);
            assert!(found(2, at(3_600)).await.is_none(), "{}", t.label);
            for _ in 0..TRIES {
                tried(&t.db, found(3, at(9)).await.unwrap().id, at(9)).await.unwrap();
            }
            assert!(found(3, at(9)).await.is_none(), "{}", t.label);
            assert!(again(&t.db, "ann@b", [9; 32], at(7_200), &Entry::default(), at(9)).await.unwrap(), "{}", t.label);
            assert!(!again(&t.db, "bob@b", [8; 32], at(7_200), &Entry::default(), at(9)).await.unwrap(), "{}", t.label);
            assert!(found(4, at(9)).await.is_none() && found(9, at(3_700)).await.is_some(), "{}", t.label);
            assert_eq!(purge(&t.db, at(8_000)).await.unwrap(), WAITING.unsigned_abs(), "{}", t.label);
        }
    }
}
