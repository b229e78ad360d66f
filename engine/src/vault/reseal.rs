//! Seals anew what older keys sealed, while everything runs: a page of rows at a time, each written only if it is still what was read.
//! What was written meanwhile was sealed by whoever wrote it. The same walk counts what each key still seals.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::FromRow;

use super::{KeyRing, SealError, place};
use crate::area::secrets;
use crate::area::source::reseal_params;
use crate::ids::{AccountId, AreaId, AreaNo, SourceId};
use crate::store::Db;
use crate::{on, on_write};

/// Rows of one page.
const PAGE: i64 = 200;

const ACCOUNTS: &str = "SELECT id, access_token, refresh_token, id_token FROM next_auth_accounts
    WHERE id > $1 ORDER BY id LIMIT $2";
const WRITE_ACCOUNT: &str =
    "UPDATE next_auth_accounts SET access_token = $2, refresh_token = $3, id_token = $4 WHERE id = $1
    AND COALESCE(access_token, '') = $5 AND COALESCE(refresh_token, '') = $6 AND COALESCE(id_token, '') = $7";
const SOURCES: &str = "SELECT id, params FROM sources WHERE id > $1 ORDER BY id LIMIT $2";
const WRITE_SOURCE: &str = "UPDATE sources SET params = $2 WHERE id = $1 AND params = $3";
const AREAS: &str = "SELECT no, id, body FROM areas WHERE no > $1 ORDER BY no LIMIT $2";
const WRITE_AREA: &str = "UPDATE areas SET body = $2 WHERE no = $1 AND body = $3";
const REVISIONS: &str =
    "SELECT r.area_no AS no, r.revision, a.id, r.body FROM area_revisions r JOIN areas a ON a.no = r.area_no
    WHERE r.area_no >= $1 AND (r.area_no > $1 OR r.revision > $2) ORDER BY r.area_no, r.revision LIMIT $3";
const WRITE_REVISION: &str = "UPDATE area_revisions SET body = $3 WHERE area_no = $1 AND revision = $2 AND body = $4";

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Rows that were sealed anew.
    pub resealed: u64,
    /// Values that each key seals, as far as they were read; after this walk.
    pub by_key: BTreeMap<String, u64>,
    /// Rows that do not open, with why.
    pub broken: Vec<(String, SealError)>,
}

#[derive(FromRow)]
struct Tokens {
    id: AccountId,
    access_token: Option<String>,
    refresh_token: Option<String>,
    id_token: Option<String>,
}

#[derive(FromRow)]
struct Body {
    no: AreaNo,
    #[sqlx(default)]
    revision: i64,
    id: AreaId,
    body: String,
}

/// A walk over every sealed column. With `ring` it seals anew; else it only counts.
pub async fn walk(db: &Db, ring: Option<&KeyRing>) -> sqlx::Result<Walked> {
    let mut walked = Walked::default();
    accounts(db, ring, &mut walked).await?;
    sources(db, ring, &mut walked).await?;
    areas(db, ring, &mut walked).await?;
    revisions(db, ring, &mut walked).await?;
    Ok(walked)
}

impl Walked {
    fn count(&mut self, sealed: impl IntoIterator<Item = impl AsRef<str>>) {
        for text in sealed {
            if let Some(key) = KeyRing::key_of(text.as_ref()) {
                *self.by_key.entry(key.to_owned()).or_default() += 1;
            }
        }
    }

    /// What a row is to hold, if that is something new.
    fn judge<T>(&mut self, at: impl FnOnce() -> String, resealed: Result<Option<T>, SealError>) -> Option<T> {
        resealed.unwrap_or_else(|error| {
            self.broken.push((at(), error));
            None
        })
    }
}

async fn accounts(db: &Db, ring: Option<&KeyRing>, walked: &mut Walked) -> sqlx::Result<()> {
    let mut after = AccountId(uuid::Uuid::nil());
    loop {
        let page: Vec<Tokens> = on!(db, pool => sqlx::query_as(ACCOUNTS).bind(after).bind(PAGE).fetch_all(pool).await)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        for row in page {
            let old =
                [&row.access_token, &row.refresh_token, &row.id_token].map(|text| text.clone().unwrap_or_default());
            let new = ring.map_or(Ok(None), |ring| reseal_tokens(&row, ring));
            let new = walked.judge(|| format!("next_auth_accounts {}", row.id), new);
            let Some([access, refresh, id_token]) = new else {
                walked.count(&old);
                continue;
            };
            walked.count([&access, &refresh, &id_token].into_iter().flatten());
            let done = on_write!(db, pool => {
                let write = sqlx::query(WRITE_ACCOUNT).bind(row.id).bind(&access).bind(&refresh).bind(&id_token);
                write.bind(&old[0]).bind(&old[1]).bind(&old[2]).execute(pool).await.map(|d| d.rows_affected())
            })?;
            walked.resealed += done;
        }
    }
}

/// The three of a row, if any of them is sealed with an old key.
fn reseal_tokens(row: &Tokens, ring: &KeyRing) -> Result<Option<[Option<String>; 3]>, SealError> {
    let columns =
        [("access_token", &row.access_token), ("refresh_token", &row.refresh_token), ("id_token", &row.id_token)];
    if !columns.iter().any(|(_, text)| text.as_deref().is_some_and(|text| ring.is_old(text))) {
        return Ok(None);
    }
    let mut new = [const { None }; 3];
    for (new, (column, text)) in new.iter_mut().zip(columns) {
        *new = match text {
            Some(text) if ring.is_old(text) => {
                let at = place(row.id, column);
                Some(ring.seal(&at, &ring.open(&at, text)?))
            }
            other => other.clone(),
        };
    }
    Ok(Some(new))
}

async fn sources(db: &Db, ring: Option<&KeyRing>, walked: &mut Walked) -> sqlx::Result<()> {
    let mut after = SourceId(i64::MIN);
    loop {
        let page: Vec<(SourceId, String)> =
            on!(db, pool => sqlx::query_as(SOURCES).bind(after).bind(PAGE).fetch_all(pool).await)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = *last;
        for (id, old) in page {
            let new = ring.map_or(Ok(None), |ring| reseal_params(id, &old, ring));
            let new = walked.judge(|| format!("sources {id}"), new);
            walked.count(sealed(new.as_ref().unwrap_or(&old)));
            if let Some(new) = new {
                let done = on_write!(db, pool => sqlx::query(WRITE_SOURCE).bind(id).bind(&new).bind(&old).execute(pool).await.map(|d| d.rows_affected()))?;
                walked.resealed += done;
            }
        }
    }
}

async fn areas(db: &Db, ring: Option<&KeyRing>, walked: &mut Walked) -> sqlx::Result<()> {
    let mut after = AreaNo(i64::MIN);
    loop {
        let page: Vec<Body> = on!(db, pool => sqlx::query_as(AREAS).bind(after).bind(PAGE).fetch_all(pool).await)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.no;
        for row in page {
            let Some(new) = reseal_body(&row, ring, walked) else { continue };
            let done = on_write!(db, pool => sqlx::query(WRITE_AREA).bind(row.no).bind(&new).bind(&row.body).execute(pool).await.map(|d| d.rows_affected()))?;
            walked.resealed += done;
        }
    }
}

async fn revisions(db: &Db, ring: Option<&KeyRing>, walked: &mut Walked) -> sqlx::Result<()> {
    let mut after = (AreaNo(i64::MIN), 0);
    loop {
        let page: Vec<Body> = on!(db, pool => {
            sqlx::query_as(REVISIONS).bind(after.0).bind(after.1).bind(PAGE).fetch_all(pool).await
        })?;
        let Some(last) = page.last() else { return Ok(()) };
        after = (last.no, last.revision);
        for row in page {
            let Some(new) = reseal_body(&row, ring, walked) else { continue };
            let done = on_write!(db, pool => {
                let write = sqlx::query(WRITE_REVISION).bind(row.no).bind(row.revision).bind(&new).bind(&row.body);
                write.execute(pool).await.map(|d| d.rows_affected())
            })?;
            walked.resealed += done;
        }
    }
}

fn reseal_body(row: &Body, ring: Option<&KeyRing>, walked: &mut Walked) -> Option<String> {
    let anew = |ring: &KeyRing| {
        let mut body: Value = serde_json::from_str(&row.body).map_err(|_| SealError::Form)?;
        Ok(secrets::reseal(&mut body, row.id, ring)?.then(|| body.to_string()))
    };
    let new = walked.judge(|| format!("the AREA {}", row.id), ring.map_or(Ok(None), anew));
    walked.count(sealed(new.as_ref().unwrap_or(&row.body)));
    new
}

/// The sealed texts in a stored JSON text.
fn sealed(text: &str) -> Vec<String> {
    serde_json::from_str(text).map(|value: Value| secrets::sealed(&value)).unwrap_or_default()
}
