//! Sessions of people, in the rows that Auth.js keeps too. Ours are stored as the SHA-256 of 256 random bits under a mark that no
//! token of Auth.js carries, so that a stolen database opens nothing; those of a site are stored as they are in its cookie, and are
//! looked up only where the operator says so. Checking one is one read by a unique index.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::FromRow;
use uuid::Uuid;

use super::Db;
use super::audit::{self, Entry};
use super::people::Role;
use crate::ids::UserId;
use crate::{in_tx, on, on_write};

/// What the stored form of our own sessions begins with.
const MARK: &str = "area:sha256:";

const ADD: &str = "INSERT INTO next_auth_sessions (id, expires, \"sessionToken\", \"userId\") VALUES ($1, $2, $3, $4)";
const ADD_STATE: &str =
    "INSERT INTO session_state (session_id, created_at, seen_at, agent, address) VALUES ($1, $2, $2, $3, $4)";
const LOGIN: &str = "INSERT INTO profile (user_id, created_at, last_login) VALUES ($1, $2, $2)
    ON CONFLICT (user_id) DO UPDATE SET last_login = excluded.last_login";
const CHECK: &str =
    "SELECT s.id, s.\"userId\" AS user_id, u.email, u.role, u.suspended_at, s.expires, i.created_at, i.seen_at
    FROM next_auth_sessions s LEFT JOIN users u ON u.id = s.\"userId\" LEFT JOIN session_state i ON i.session_id = s.id
    WHERE s.\"sessionToken\" = $1 AND s.\"userId\" IS NOT NULL AND s.expires > $2";
const TOUCH: &str = "UPDATE next_auth_sessions SET expires = $2 WHERE id = $1";
const SEEN: &str = "UPDATE session_state SET seen_at = $2, address = $3 WHERE session_id = $1";
const LIST: &str = "SELECT s.id, s.expires AS expires_at, i.created_at, i.seen_at, COALESCE(i.agent, '') AS agent,
    COALESCE(i.address, '') AS address FROM next_auth_sessions s LEFT JOIN session_state i ON i.session_id = s.id
    WHERE s.\"userId\" = $1 AND s.expires > $2 ORDER BY s.id";
const END: &str = "DELETE FROM next_auth_sessions WHERE \"userId\" = $1 AND id = $2";
const END_OTHERS: &str = "DELETE FROM next_auth_sessions WHERE \"userId\" = $1 AND ($2 IS NULL OR id <> $2)";
const PURGE: &str = "DELETE FROM next_auth_sessions WHERE \"sessionToken\" LIKE 'area:sha256:%' AND expires < $1";

/// A session to be opened.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    /// Whose.
    pub user: UserId,
    /// The token as it is sent.
    pub token: &'a str,
    /// When it ends if it is not used.
    pub expires: DateTime<Utc>,
    /// What the browser or program calls itself.
    pub agent: &'a str,
    /// Where it was opened from.
    pub address: &'a str,
    /// By an account at which provider; `None`: by a password.
    pub provider: Option<&'a str>,
}

/// A session that is open.
#[derive(Clone, Debug, FromRow)]
pub struct Session {
    /// Its id.
    pub id: Uuid,
    /// Whose; of a site's session maybe somebody whom we do not know yet.
    pub user_id: UserId,
    /// Their address; `None`: we do not know them yet.
    pub email: Option<String>,
    /// Their role, as it is stored; `None`: we do not know them yet.
    pub role: Option<String>,
    /// Since when they may do nothing.
    pub suspended_at: Option<DateTime<Utc>>,
    /// When it ends if it is not used.
    pub expires: DateTime<Utc>,
    /// When it was opened; `None`: a site opened it.
    pub created_at: Option<DateTime<Utc>>,
    /// When it was used last, within the touch interval.
    pub seen_at: Option<DateTime<Utc>>,
}

impl Session {
    /// What its person may do; `None`: we do not know them yet.
    pub fn role(&self) -> Option<Role> {
        self.role.as_deref().and_then(|role| role.parse().ok())
    }
}

/// A session as its person sees it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct Shown {
    /// To end it by.
    pub id: Uuid,
    /// When it ends if it is not used.
    pub expires_at: DateTime<Utc>,
    /// When it was opened; `None`: a site opened it.
    pub created_at: Option<DateTime<Utc>>,
    /// When it was used last, within some minutes.
    pub seen_at: Option<DateTime<Utc>>,
    /// What the browser or program calls itself.
    pub agent: String,
    /// Where it was used from last.
    pub address: String,
}

/// The form in which a token of ours is stored.
pub fn stored(token: &str) -> String {
    format!("{MARK}{}", hex::encode(Sha256::digest(token.as_bytes())))
}

/// Opens a session and notes the sign-in.
pub async fn open(db: &Db, new: NewSession<'_>, now: DateTime<Utc>) -> sqlx::Result<Uuid> {
    let (id, stored) = (Uuid::now_v7(), stored(new.token));
    let detail = new.provider.map(|provider| format!("by {provider}: {}", new.agent));
    let entry = Entry {
        actor: Some(new.user),
        subject: Some(new.user),
        action: "signed_in",
        address: new.address,
        detail: detail.as_deref().unwrap_or(new.agent),
    };
    in_tx!(db, tx => {
        sqlx::query(ADD).bind(id).bind(new.expires).bind(&stored).bind(new.user).execute(&mut *tx).await?;
        sqlx::query(ADD_STATE).bind(id).bind(now).bind(new.agent).bind(new.address).execute(&mut *tx).await?;
        sqlx::query(LOGIN).bind(new.user).bind(now).execute(&mut *tx).await?;
        audit::note!(tx, &entry, now);
        Ok(id)
    })
}

/// The open session of a token of ours.
pub async fn by_token(db: &Db, token: &str, now: DateTime<Utc>) -> sqlx::Result<Option<Session>> {
    check(db, stored(token), now).await
}

/// The open session of a token that an Auth.js site gave. What is marked as ours is none: it would be the stored form of a token.
pub async fn by_site_token(db: &Db, token: &str, now: DateTime<Utc>) -> sqlx::Result<Option<Session>> {
    if token.starts_with(MARK) {
        return Ok(None);
    }
    check(db, token.to_owned(), now).await
}

async fn check(db: &Db, stored: String, now: DateTime<Utc>) -> sqlx::Result<Option<Session>> {
    on!(db, pool => sqlx::query_as(CHECK).bind(stored).bind(now).fetch_optional(pool).await)
}

/// Notes that a session was used, and lets it live longer.
pub async fn touch(db: &Db, id: Uuid, expires: DateTime<Utc>, address: &str, now: DateTime<Utc>) -> sqlx::Result<()> {
    in_tx!(db, tx => {
        sqlx::query(TOUCH).bind(id).bind(expires).execute(&mut *tx).await?;
        sqlx::query(SEEN).bind(id).bind(now).bind(address).execute(&mut *tx).await?;
        Ok(())
    })
}

/// The open sessions of `user`, the oldest first.
pub async fn list(db: &Db, user: UserId, now: DateTime<Utc>) -> sqlx::Result<Vec<Shown>> {
    on!(db, pool => sqlx::query_as(LIST).bind(user).bind(now).fetch_all(pool).await)
}

/// Ends a session of `user`; false: they have no such session.
pub async fn end(db: &Db, user: UserId, id: Uuid) -> sqlx::Result<bool> {
    on_write!(db, pool => Ok(sqlx::query(END).bind(user).bind(id).execute(pool).await?.rows_affected() == 1))
}

/// Ends every session of `user` but one, and tells how many.
pub async fn end_others(db: &Db, user: UserId, but: Option<Uuid>) -> sqlx::Result<u64> {
    on_write!(db, pool => Ok(sqlx::query(END_OTHERS).bind(user).bind(but).execute(pool).await?.rows_affected()))
}

/// Forgets our own sessions that ended before `before`; a site's are the site's.
pub async fn purge(db: &Db, before: DateTime<Utc>) -> sqlx::Result<u64> {
    on_write!(db, pool => Ok(sqlx::query(PURGE).bind(before).execute(pool).await?.rows_affected()))
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

    fn new(user: UserId, token: &str) -> NewSession<'_> {
        NewSession {
            user,
            token,
            expires: now() + Duration::from_secs(60),
            agent: "curl",
            address: "192.0.2.1",
            provider: None,
        }
    }

    #[tokio::test]
    async fn a_session_is_found_by_its_token_till_it_ends_and_its_stored_form_opens_nothing() {
        for t in databases().await {
            let ann = user(&t.db, "ann@b").await;
            let id = open(&t.db, new(ann, "secret"), now()).await.unwrap();
            let found = by_token(&t.db, "secret", now()).await.unwrap().unwrap();
            assert_eq!((found.id, found.user_id, found.role()), (id, ann, Some(Role::Editor)), "{}", t.label);
            for wrong in [stored("secret"), "secre".into(), String::new()] {
                assert!(by_token(&t.db, &wrong, now()).await.unwrap().is_none(), "{}", t.label);
                assert!(by_site_token(&t.db, &wrong, now()).await.unwrap().is_none(), "{}", t.label);
            }
            let late = now() + Duration::from_secs(60);
            assert!(by_token(&t.db, "secret", late).await.unwrap().is_none(), "{}", t.label);
            assert_eq!(purge(&t.db, late + Duration::from_secs(1)).await.unwrap(), 1, "{}", t.label);
        }
    }

    #[tokio::test]
    async fn a_sites_session_is_found_by_what_is_in_its_cookie() {
        for t in databases().await {
            let id = UserId::new();
            for sql in [
                "INSERT INTO next_auth_users (id, email) VALUES ($1, 'site@b')",
                "INSERT INTO next_auth_sessions (id, expires, \"sessionToken\", \"userId\") VALUES ($1, $2, 'raw', $1)",
            ] {
                let late = now() + Duration::from_secs(60);
                let add = async |sql: &'static str| -> sqlx::Result<()> {
                    on_write!(&t.db, pool => {
                        let add = sqlx::query(sql).bind(id);
                        let add = if sql.contains("$2") { add.bind(late) } else { add };
                        add.execute(pool).await.map(drop)
                    })
                };
                add(sql).await.unwrap();
            }
            let found = by_site_token(&t.db, "raw", now()).await.unwrap().unwrap();
            assert_eq!((found.user_id, found.role(), found.created_at), (id, None, None), "{}", t.label);
            assert!(by_token(&t.db, "raw", now()).await.unwrap().is_none(), "{}", t.label);
            assert_eq!(list(&t.db, id, now()).await.unwrap()[0].agent, "", "{}", t.label);
        }
    }

    #[tokio::test]
    async fn one_session_or_all_others_are_ended_and_nobody_elses() {
        for t in databases().await {
            let (ann, bob) = (user(&t.db, "ann@b").await, user(&t.db, "bob@b").await);
            let mut ids = Vec::new();
            for token in ["a", "b", "c"] {
                ids.push(open(&t.db, new(ann, token), now()).await.unwrap());
            }
            open(&t.db, new(bob, "d"), now()).await.unwrap();
            assert!(!end(&t.db, bob, ids[0]).await.unwrap(), "{}: somebody else's", t.label);
            assert!(end(&t.db, ann, ids[0]).await.unwrap(), "{}", t.label);
            assert_eq!(end_others(&t.db, ann, Some(ids[1])).await.unwrap(), 1, "{}", t.label);
            let left: Vec<Uuid> = list(&t.db, ann, now()).await.unwrap().iter().map(|s| s.id).collect();
            assert_eq!(left, [ids[1]], "{}", t.label);
            assert_eq!(end_others(&t.db, bob, None).await.unwrap(), 1, "{}", t.label);
        }
    }

    #[tokio::test]
    async fn a_touched_session_lives_longer_and_says_where_it_was_used() {
        for t in databases().await {
            let ann = user(&t.db, "ann@b").await;
            let id = open(&t.db, new(ann, "a"), now()).await.unwrap();
            let late = now() + Duration::from_secs(600);
            touch(&t.db, id, late, "2001:db8::1", now() + Duration::from_secs(1)).await.unwrap();
            let shown = list(&t.db, ann, now()).await.unwrap().remove(0);
            assert_eq!((shown.expires_at, shown.address.as_str()), (late, "2001:db8::1"), "{}", t.label);
            assert_eq!((shown.created_at, shown.agent.as_str()), (Some(now()), "curl"), "{}", t.label);
        }
    }
}
