//! Answers to requests that carried an `Idempotency-Key`. A key is reserved before its request is worked on, with an id that the
//! work may use: a request that is taken up again after a crash finds what its first try has made.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Db;
use crate::clock::Micros;
use crate::ids::UserId;
use crate::{on, on_write};

/// The status of a key whose request is being worked on.
const OPEN: i64 = 0;

const RESERVE: &str = "INSERT INTO idempotency_keys (user_id, key, request, status, body, created_at)
     VALUES ($1, $2, $3, 0, $4, $5) ON CONFLICT (user_id, key) DO NOTHING";
const LOOK: &str = "SELECT request, status, body, created_at FROM idempotency_keys WHERE user_id = $1 AND key = $2";
const TAKE_UP: &str = "UPDATE idempotency_keys SET created_at = $4
     WHERE user_id = $1 AND key = $2 AND status = 0 AND created_at = $3";
const ANSWER: &str =
    "UPDATE idempotency_keys SET status = $3, body = $4 WHERE user_id = $1 AND key = $2 AND status = 0";
const RELEASE: &str = "DELETE FROM idempotency_keys WHERE user_id = $1 AND key = $2 AND status = 0";
const PURGE: &str = "DELETE FROM idempotency_keys WHERE created_at < $1";

/// An answer as it is repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Headers that belong to the answer: `etag`, `location`, `content-type`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// What a key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// Reserved for this request; what it makes may take this id.
    Yours(Uuid),
    /// This request was answered before.
    Answered(Answer),
    /// This request is being worked on.
    Open,
    /// Another request has this key.
    Other,
}

/// Reserves `key` for a request with the fingerprint `request`. A reservation that was made before `stale` is taken up again.
pub async fn reserve(db: &Db, user: UserId, key: &str, request: &str, now: Micros, stale: Micros) -> sqlx::Result<Key> {
    let id = Uuid::now_v7();
    let made = on_write!(db, pool => {
        let reserve = sqlx::query(RESERVE).bind(user).bind(key).bind(request).bind(id.to_string()).bind(now);
        reserve.execute(pool).await.map(|done| done.rows_affected())
    })?;
    if made == 1 {
        return Ok(Key::Yours(id));
    }
    let row: Option<(String, i64, String, Micros)> =
        on!(db, pool => sqlx::query_as(LOOK).bind(user).bind(key).fetch_optional(pool).await)?;
    // Released between the two statements: as good as being worked on.
    let Some((known, status, body, at)) = row else { return Ok(Key::Open) };
    if known != request {
        return Ok(Key::Other);
    }
    if status != OPEN {
        return serde_json::from_str(&body).map(Key::Answered).map_err(|e| sqlx::Error::Decode(Box::new(e)));
    }
    if at >= stale {
        return Ok(Key::Open);
    }
    let taken = on_write!(db, pool => {
        let take_up = sqlx::query(TAKE_UP).bind(user).bind(key).bind(at).bind(now);
        take_up.execute(pool).await.map(|done| done.rows_affected())
    })?;
    Ok(match body.parse() {
        Ok(id) if taken == 1 => Key::Yours(id),
        _ => Key::Open,
    })
}

/// Stores the answer to the request that reserved `key`.
pub async fn answer(db: &Db, user: UserId, key: &str, answer: &Answer) -> sqlx::Result<()> {
    let body = serde_json::to_string(answer).map_err(|e| sqlx::Error::Encode(Box::new(e)))?;
    let status = i64::from(answer.status);
    on_write!(db, pool => sqlx::query(ANSWER).bind(user).bind(key).bind(status).bind(body).execute(pool).await.map(drop))
}

/// Gives `key` back: its request failed in a way that a repetition may mend.
pub async fn release(db: &Db, user: UserId, key: &str) -> sqlx::Result<()> {
    on_write!(db, pool => sqlx::query(RELEASE).bind(user).bind(key).execute(pool).await.map(drop))
}

/// Forgets the keys from before `before`; how many.
pub async fn purge(db: &Db, before: Micros) -> sqlx::Result<u64> {
    on_write!(db, pool => Ok(sqlx::query(PURGE).bind(before).execute(pool).await?.rows_affected()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_micros;
    use crate::store::people::{self, NewUser};
    use crate::testkit::databases;

    #[tokio::test]
    async fn a_key_belongs_to_one_request_of_one_user_until_it_is_purged() {
        for t in databases().await {
            let db = &t.db;
            let user = async |email| people::create(db, &NewUser { email, ..Default::default() }, from_micros(1)).await;
            let (ann, bob) = (user("a@b").await.unwrap().id, user("b@b").await.unwrap().id);
            let Key::Yours(first) = reserve(db, ann, "k", "r", 100, 0).await.unwrap() else { panic!("{}", t.label) };
            assert!(matches!(reserve(db, bob, "k", "other", 100, 0).await.unwrap(), Key::Yours(_)), "{}", t.label);
            assert_eq!(reserve(db, ann, "k", "r", 101, 100).await.unwrap(), Key::Open, "{}", t.label);
            assert_eq!(reserve(db, ann, "k", "other", 101, 0).await.unwrap(), Key::Other, "{}", t.label);
            assert_eq!(reserve(db, ann, "k", "r", 200, 101).await.unwrap(), Key::Yours(first), "{}: a crash", t.label);
            let said = Answer { status: 201, headers: vec![("etag".into(), "\"1\"".into())], body: "{}".into() };
            answer(db, ann, "k", &said).await.unwrap();
            release(db, ann, "k").await.unwrap();
            assert_eq!(reserve(db, ann, "k", "r", 300, 300).await.unwrap(), Key::Answered(said), "{}", t.label);
            assert_eq!(purge(db, 200).await.unwrap(), 1, "{}: bob's", t.label);
            assert_eq!(purge(db, 201).await.unwrap(), 1, "{}", t.label);
            assert!(matches!(reserve(db, ann, "k", "other", 400, 0).await.unwrap(), Key::Yours(_)), "{}", t.label);
            release(db, ann, "k").await.unwrap();
            assert!(matches!(reserve(db, ann, "k", "r", 400, 0).await.unwrap(), Key::Yours(_)), "{}", t.label);
        }
    }
}
