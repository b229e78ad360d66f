//! The revisions of an AREA: every body that it ever had, secrets sealed to the AREA and their place.

use sqlx::FromRow;

use super::Db;
use crate::clock::Micros;
use crate::ids::{AreaId, AreaNo, UserId};
use crate::on;

const LIST: &str = "SELECT r.revision, r.created_at FROM area_revisions r JOIN areas a ON a.no = r.area_no
     WHERE a.user_id = $1 AND a.id = $2 AND r.revision < $3 ORDER BY r.revision DESC LIMIT $4";
const GET: &str = "SELECT r.revision, r.created_at, r.body FROM area_revisions r JOIN areas a ON a.no = r.area_no
     WHERE a.user_id = $1 AND a.id = $2 AND r.revision = $3";
const BODY: &str = "SELECT body FROM area_revisions WHERE area_no = $1 AND revision = $2";

/// One revision, without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct RevisionHead {
    /// Its number, from 1.
    pub revision: i64,
    /// When it was made.
    pub created_at: Micros,
}

/// One revision.
#[derive(Clone, FromRow)]
pub struct Revision {
    /// Its number, from 1.
    pub revision: i64,
    /// When it was made.
    pub created_at: Micros,
    /// The document as JSON, secrets sealed.
    pub body: String,
}

/// The body may say more of a user than a log should keep.
impl std::fmt::Debug for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Revision").field("revision", &self.revision).finish_non_exhaustive()
    }
}

/// Up to `limit` revisions of the AREA `id` of `user`, the newest first, from below `before`.
pub async fn list(
    db: &Db,
    user: UserId,
    id: AreaId,
    before: Option<i64>,
    limit: i64,
) -> sqlx::Result<Vec<RevisionHead>> {
    let before = before.unwrap_or(i64::MAX);
    on!(db, pool => sqlx::query_as(LIST).bind(user).bind(id).bind(before).bind(limit).fetch_all(pool).await)
}

/// One revision of the AREA `id` of `user`.
pub async fn get(db: &Db, user: UserId, id: AreaId, revision: i64) -> sqlx::Result<Option<Revision>> {
    on!(db, pool => sqlx::query_as(GET).bind(user).bind(id).bind(revision).fetch_optional(pool).await)
}

/// The body that a run is pinned to.
pub async fn body(db: &Db, area: AreaNo, revision: i64) -> sqlx::Result<Option<String>> {
    on!(db, pool => sqlx::query_scalar(BODY).bind(area).bind(revision).fetch_optional(pool).await)
}
