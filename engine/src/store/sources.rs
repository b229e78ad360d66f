//! Sources: found or made when an AREA begins to watch, and told the shortest interval that is still asked for. What is polled of
//! them is the ledger's.

use super::Db;
use super::batch::Batch;
use crate::ids::{AccountId, SourceId, UserId};
use crate::{batch, on};

/// Finds the source with this identity or makes it. Either way the row stays locked until the transaction ends, so that the
/// interval which follows is decided by one transaction at a time.
pub(super) const FIND_OR_MAKE: &str =
    "INSERT INTO sources (id, user_id, service, feed, account_id, identity, part, params, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT (identity) DO UPDATE SET user_id = excluded.user_id RETURNING part, id AS source";
/// Locks a source as [`FIND_OR_MAKE`] does.
pub(super) const LOCK: &str = "UPDATE sources SET user_id = user_id WHERE id = $1 RETURNING part, id AS source";
/// The shortest interval that is asked for; NULL: nobody watches any more.
pub(super) const SET_EVERY: &str = "UPDATE sources SET every_us =
     (SELECT MIN(a.every_us) FROM areas a WHERE a.source_id = sources.id AND a.state <> 'paused') WHERE id = $1";
/// What nobody watches forgets where it was; a poll under way finds that its cursor moved.
pub(super) const FORGET: &str =
    "UPDATE sources SET cursor = NULL, health = NULL, version = version + 1 WHERE id = $1 AND every_us IS NULL";

/// The row of a [`NewSource`] within the transaction `$tx`.
macro_rules! find_or_make {
    ($tx:ident, $new:expr, $now:expr) => {{
        let new = $new;
        let find = sqlx::query_as(FIND_OR_MAKE).bind(new.id).bind(new.user).bind(new.service).bind(new.feed);
        let find = find.bind(new.account).bind(&new.identity).bind(new.part).bind(&new.params).bind($now);
        find.fetch_one(&mut *$tx).await?
    }};
}

pub(super) use find_or_make;

/// What is asked of the source `$touched` now, within the transaction `$tx` that has it locked and has changed its AREAs.
macro_rules! settle {
    ($tx:ident, $touched:expr) => {
        sqlx::query(SET_EVERY).bind($touched.source).execute(&mut *$tx).await?;
        sqlx::query(FORGET).bind($touched.source).execute(&mut *$tx).await?;
    };
}

pub(super) use settle;

const LOOKS: Batch = batch!([0 id bigint]
    "SELECT s.id, s.feed, s.every_us, s.health FROM v CROSS JOIN sources s WHERE s.id = v.id");

/// What is shown of a source.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Look {
    /// Its id.
    pub id: SourceId,
    /// The feed's name.
    pub feed: String,
    /// The interval in microseconds; 0: none; `None`: nobody watches.
    pub every_us: Option<i64>,
    /// JSON of the fault that stands; `None`: well.
    pub health: Option<String>,
}

/// What is shown of these sources, in any order.
pub async fn looks(db: &Db, ids: &[SourceId]) -> sqlx::Result<Vec<Look>> {
    let rows: Vec<[i64; 1]> = ids.iter().map(|id| [id.0]).collect();
    LOOKS.read(db, &serde_json::to_string(&rows).map_err(|e| sqlx::Error::Encode(Box::new(e)))?).await
}

/// A source to find or make.
#[derive(Clone)]
pub struct NewSource {
    /// Taken if it has to be made.
    pub id: SourceId,
    /// Its owner.
    pub user: UserId,
    /// The service's name.
    pub service: &'static str,
    /// The feed's name.
    pub feed: &'static str,
    /// The account.
    pub account: Option<AccountId>,
    /// A keyed hash of what makes it this source.
    pub identity: Vec<u8>,
    /// Its partition.
    pub part: i64,
    /// The feed's params, secrets sealed.
    pub params: String,
}

/// `params` may say more of a user than a log should keep.
impl std::fmt::Debug for NewSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSource").field("service", &self.service).field("feed", &self.feed).finish_non_exhaustive()
    }
}

/// A source whose watchers changed: its owner has to hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Touched {
    /// The partition, 0 to 255.
    pub part: i64,
    /// The source.
    pub source: SourceId,
}

const PART: &str = "SELECT part FROM sources WHERE user_id = $1 AND id = $2";

/// The partition of a source of `user`.
pub async fn part(db: &Db, user: UserId, source: SourceId) -> sqlx::Result<Option<i64>> {
    let found: Option<(i64,)> =
        on!(db, pool => sqlx::query_as(PART).bind(user).bind(source).fetch_optional(pool).await)?;
    Ok(found.map(|(part,)| part))
}
