//! AREAs: the rows that people write. Every statement carries the owner; every change is one transaction together with the sources
//! that it touches and names the version that it was decided on: what moved meanwhile is decided again by the caller.

use sqlx::FromRow;

use super::Db;
use super::sources::{FIND_OR_MAKE, FORGET, LOCK, NewSource, SET_EVERY, Touched, find_or_make, settle};
use crate::clock::Micros;
use crate::ids::{AccountId, AreaId, AreaNo, SourceId, UserId};
use crate::{in_tx, on};

/// The columns of [`AreaRow`] of a table with the alias `a`.
#[macro_export]
macro_rules! area_columns {
    () => {
        "a.no, a.id, a.user_id, a.name, a.state, a.reason, a.revision, a.version, a.body, a.source_id, a.every_us, \
         a.joined_at, a.has_joined, a.mark, a.policy, a.failures, a.failing_at, a.silent_at, a.applied, a.created_at, a.updated_at"
    };
}

const GET: &str = concat!("SELECT ", area_columns!(), " FROM areas a WHERE a.user_id = $1 AND a.id = $2");
const BY_HOOK: &str = concat!("SELECT ", area_columns!(), " FROM areas a WHERE a.id = $1");
const LIST: &str = concat!(
    "SELECT ",
    area_columns!(),
    " FROM areas a WHERE a.user_id = $1 AND a.no < $2 AND ($3 IS NULL OR a.state = $3)
       AND ($4 IS NULL OR lower(a.name) LIKE lower($4) ESCAPE '\\')
       AND ($5 IS NULL OR EXISTS (SELECT 1 FROM sources s WHERE s.id = a.source_id AND s.service = $5))
     ORDER BY a.no DESC LIMIT $6"
);
const AFTER: &str = concat!("SELECT ", area_columns!(), " FROM areas a WHERE a.no > $1 ORDER BY a.no LIMIT $2");
const COUNT: &str = "SELECT COUNT(*) FROM areas";
const ANY: &str = "SELECT EXISTS (SELECT 1 FROM areas)";
const ADD: &str = "INSERT INTO areas (no, id, user_id, name, state, revision, version, body, source_id, every_us, joined_at,
     silent_at, applied, created_at, updated_at) VALUES ($1, $2, $3, $4, 'active', 1, 1, $5, $6, $7, $8, $9, $10, $11, $11)";
const EDIT: &str = "UPDATE areas SET name = $4, revision = $5, body = $6, source_id = $7, every_us = $8,
     joined_at = CASE WHEN $9 THEN $10 ELSE joined_at END, mark = CASE WHEN $9 THEN NULL ELSE mark END,
     has_joined = CASE WHEN $9 THEN FALSE ELSE has_joined END,
     silent_at = CASE WHEN $11 THEN $12 ELSE silent_at END, updated_at = $13, version = version + 1
     WHERE user_id = $1 AND id = $2 AND version = $3";
const SET_STATE: &str = "UPDATE areas SET state = $4, reason = $9, failures = 0, failing_at = NULL, silent_at = $5,
     joined_at = CASE WHEN $6 THEN $7 ELSE joined_at END, mark = CASE WHEN $6 THEN NULL ELSE mark END,
     has_joined = has_joined OR ($6 AND joined_at IS NOT NULL), updated_at = $8, version = version + 1
     WHERE user_id = $1 AND id = $2 AND version = $3";
const ADD_REVISION: &str = "INSERT INTO area_revisions (area_no, revision, body, created_at) VALUES ($1, $2, $3, $4)";
const UNLIST_ACCOUNTS: &str = "DELETE FROM area_accounts WHERE area_no = $1";
const LIST_ACCOUNT: &str = "INSERT INTO area_accounts (area_no, account_id) VALUES ($1, $2)";
const CANCEL_RUNS: &str = "UPDATE runs SET state = 'cancelled', reason = 'the AREA was deleted', ended_at = $2
     WHERE area_no = $1 AND ended_at IS NULL";
const DELETE: &str = "DELETE FROM areas WHERE user_id = $1 AND id = $2 AND version = $3";

/// Writes down which accounts the AREA `$no` watches and acts with.
macro_rules! list_accounts {
    ($tx:ident, $no:expr, $content:expr) => {
        for account in &$content.accounts {
            sqlx::query(LIST_ACCOUNT).bind($no).bind(account).execute(&mut *$tx).await?;
        }
    };
}

/// Whether an AREA fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AreaState {
    /// It fires.
    Active,
    /// Its user paused it: what comes meanwhile is skipped.
    Paused,
    /// A fault paused it: what comes meanwhile is caught up with when its user resumes it.
    Faulted,
}

impl AreaState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Active, Self::Paused, Self::Faulted];

    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Faulted => "faulted",
        }
    }
}

impl std::str::FromStr for AreaState {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == s);
        found.ok_or_else(|| format!("`{s}` is no state: there are active, paused, faulted"))
    }
}

impl TryFrom<String> for AreaState {
    type Error = String;
    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}

/// A stored AREA.
#[derive(Clone, FromRow)]
pub struct AreaRow {
    /// What the ledger's rows refer to; never shown.
    pub no: AreaNo,
    /// What people see.
    pub id: AreaId,
    /// Its owner.
    pub user_id: UserId,
    /// Its name.
    pub name: String,
    /// Whether it fires.
    #[sqlx(try_from = "String")]
    pub state: AreaState,
    /// Why it is not active.
    pub reason: Option<String>,
    /// The number of the body; grows with every edit.
    pub revision: i64,
    /// Grows with every change that its owner can see: the ETag.
    pub version: i64,
    /// The document as JSON, secrets sealed.
    pub body: String,
    /// What it watches.
    pub source_id: SourceId,
    /// The interval that it asks for; 0: none.
    pub every_us: Option<i64>,
    /// When its baseline began; `None`: not yet.
    pub joined_at: Option<Micros>,
    /// It joined what it watches now, once at least, and has what it asked for of what was there.
    pub has_joined: bool,
    /// Faulted: the last event that was decided for it.
    pub mark: Option<i64>,
    /// The policies' state, JSON.
    pub policy: Option<String>,
    /// Failed runs in a row.
    pub failures: i64,
    /// Since when they fail.
    pub failing_at: Option<Micros>,
    /// When silence is raised next.
    pub silent_at: Option<Micros>,
    /// Made by `area apply`.
    pub applied: bool,
    /// When it was made.
    pub created_at: Micros,
    /// When it was last changed.
    pub updated_at: Micros,
}

impl AreaRow {
    /// The row of an AREA that is not stored: `Desk::planned` makes a plan for it.
    pub fn unsaved(user_id: UserId, now: Micros) -> Self {
        Self {
            no: AreaNo(0),
            id: AreaId::new(),
            user_id,
            name: String::new(),
            state: AreaState::Active,
            reason: None,
            revision: 0,
            version: 0,
            body: String::new(),
            source_id: SourceId(0),
            every_us: None,
            joined_at: None,
            has_joined: false,
            mark: None,
            policy: None,
            failures: 0,
            failing_at: None,
            silent_at: None,
            applied: false,
            created_at: now,
            updated_at: now,
        }
    }
}

/// The body may say more of a user than a log should keep.
impl std::fmt::Debug for AreaRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut row = f.debug_struct("AreaRow");
        row.field("id", &self.id).field("state", &self.state).field("revision", &self.revision).finish_non_exhaustive()
    }
}

/// An AREA to store.
#[derive(Debug)]
pub struct NewArea {
    /// From the node's generator.
    pub no: AreaNo,
    /// Its id.
    pub id: AreaId,
    /// Its owner.
    pub user: UserId,
    /// What is stored of the document.
    pub content: Content,
    /// Hooks and native events: now. Else the first poll sets it.
    pub joined_at: Option<Micros>,
    /// When silence is raised first.
    pub silent_at: Option<Micros>,
    /// Made by `area apply`.
    pub applied: bool,
    /// Now.
    pub now: Micros,
}

/// What is stored of a document.
#[derive(Debug)]
pub struct Content {
    /// The name.
    pub name: String,
    /// JSON, secrets sealed.
    pub body: String,
    /// The interval in microseconds; 0: none.
    pub every_us: i64,
    /// What it watches.
    pub source: NewSource,
    /// The accounts that it watches and acts with, each once.
    pub accounts: Vec<AccountId>,
}

/// An edit of an AREA: its next revision.
#[derive(Debug)]
pub struct Edit {
    /// What is stored of the new document.
    pub content: Content,
    /// What it watches changed: it joins anew, at this instant or with the next poll.
    pub rejoin: Option<Option<Micros>>,
    /// When silence is raised next, where that changed.
    pub silent: Option<Option<Micros>>,
    /// Now.
    pub now: Micros,
}

/// A change of state by the AREA's user, or because of them.
#[derive(Clone, Debug)]
pub struct StateChange {
    /// The new state.
    pub state: AreaState,
    /// Why it is not active, where its user would ask.
    pub reason: Option<String>,
    /// It joins anew, at this instant or with the next poll.
    pub rejoin: Option<Option<Micros>>,
    /// When silence is raised next.
    pub silent_at: Option<Micros>,
    /// Now.
    pub now: Micros,
}

/// A change that is committed.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The AREA as it is now; as it last was, if it is deleted.
    pub area: AreaRow,
    /// The sources whose owners have to hear of it.
    pub sources: Vec<Touched>,
}

/// Which AREAs to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those whose name contains this, in any case.
    pub name: Option<String>,
    /// Only those in this state.
    pub state: Option<AreaState>,
    /// Only those that watch this service.
    pub service: Option<String>,
}

/// The AREA `id` of `user`.
pub async fn get(db: &Db, user: UserId, id: AreaId) -> sqlx::Result<Option<AreaRow>> {
    on!(db, pool => sqlx::query_as(GET).bind(user).bind(id).fetch_optional(pool).await)
}

/// The AREA that a verified hook key names: the key is the proof that stands for the owner.
pub async fn by_hook(db: &Db, id: AreaId) -> sqlx::Result<Option<AreaRow>> {
    on!(db, pool => sqlx::query_as(BY_HOOK).bind(id).fetch_optional(pool).await)
}

/// Up to `limit` AREAs of `user`, the newest first, from below `before`.
pub async fn list(
    db: &Db,
    user: UserId,
    before: Option<AreaNo>,
    limit: i64,
    filter: &Filter,
) -> sqlx::Result<Vec<AreaRow>> {
    let before = before.map_or(i64::MAX, |no| no.0);
    let state = filter.state.map(AreaState::as_str);
    let escaped = |name: &String| name.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let name = filter.name.as_ref().map(|name| format!("%{}%", escaped(name)));
    on!(db, pool => {
        let query = sqlx::query_as(LIST).bind(user).bind(before).bind(state).bind(name);
        query.bind(&filter.service).bind(limit).fetch_all(pool).await
    })
}

/// Up to `limit` AREAs of everybody, from above `after`: for the operator's look at all of them.
pub async fn after(db: &Db, after: AreaNo, limit: i64) -> sqlx::Result<Vec<AreaRow>> {
    on!(db, pool => sqlx::query_as(AFTER).bind(after).bind(limit).fetch_all(pool).await)
}

/// How many AREAs there are.
pub async fn count(db: &Db) -> sqlx::Result<i64> {
    on!(db, pool => sqlx::query_scalar(COUNT).fetch_one(pool).await)
}

/// Whether anybody has an AREA.
pub async fn any(db: &Db) -> sqlx::Result<bool> {
    on!(db, pool => sqlx::query_scalar(ANY).fetch_one(pool).await)
}

/// Stores an AREA, its first revision and, where there is none yet, its source.
pub async fn create(db: &Db, new: &NewArea) -> sqlx::Result<Changed> {
    let (content, now) = (&new.content, new.now);
    in_tx!(db, tx => {
        let source: Touched = find_or_make!(tx, &content.source, now);
        let add = sqlx::query(ADD).bind(new.no).bind(new.id).bind(new.user).bind(&content.name).bind(&content.body);
        let add = add.bind(source.source).bind(content.every_us).bind(new.joined_at).bind(new.silent_at);
        add.bind(new.applied).bind(now).execute(&mut *tx).await?;
        sqlx::query(ADD_REVISION).bind(new.no).bind(1_i64).bind(&content.body).bind(now).execute(&mut *tx).await?;
        list_accounts!(tx, new.no, content);
        settle!(tx, source);
        let area = sqlx::query_as(GET).bind(new.user).bind(new.id).fetch_one(&mut *tx).await?;
        Ok(Changed { area, sources: vec![source] })
    })
}

/// Stores many AREAs in one transaction, as `create` does, and gives the sources whose owners have to hear of it.
pub async fn create_all(db: &Db, all: &[NewArea]) -> sqlx::Result<Vec<Touched>> {
    // In one order, so that two that do so at once do not wait for each other.
    let mut all: Vec<&NewArea> = all.iter().collect();
    all.sort_by(|a, b| a.content.source.identity.cmp(&b.content.source.identity).then(a.no.cmp(&b.no)));
    in_tx!(db, tx => {
        let mut sources: Vec<Touched> = Vec::new();
        for new in all {
            let (content, now) = (&new.content, new.now);
            let source: Touched = find_or_make!(tx, &content.source, now);
            let add = sqlx::query(ADD).bind(new.no).bind(new.id).bind(new.user).bind(&content.name).bind(&content.body);
            let add = add.bind(source.source).bind(content.every_us).bind(new.joined_at).bind(new.silent_at);
            add.bind(new.applied).bind(now).execute(&mut *tx).await?;
            sqlx::query(ADD_REVISION).bind(new.no).bind(1_i64).bind(&content.body).bind(now).execute(&mut *tx).await?;
            list_accounts!(tx, new.no, content);
            if sources.last() != Some(&source) {
                sources.push(source);
            }
        }
        for source in &sources {
            settle!(tx, source);
        }
        Ok(sources)
    })
}

/// Stores the next revision of `old`. `None`: the row is no longer at the version of `old`.
pub async fn edit(db: &Db, old: &AreaRow, edit: &Edit) -> sqlx::Result<Option<Changed>> {
    let (content, now, revision) = (&edit.content, edit.now, old.revision + 1);
    let done = in_tx!(db, tx => {
        let mut sources: Vec<Touched> = vec![find_or_make!(tx, &content.source, now)];
        let new = sources[0].source;
        if new != old.source_id {
            sources.push(sqlx::query_as(LOCK).bind(old.source_id).fetch_one(&mut *tx).await?);
        }
        let set = sqlx::query(EDIT).bind(old.user_id).bind(old.id).bind(old.version).bind(&content.name);
        let set = set.bind(revision).bind(&content.body).bind(new).bind(content.every_us);
        let set = set.bind(edit.rejoin.is_some()).bind(edit.rejoin.flatten());
        let set = set.bind(edit.silent.is_some()).bind(edit.silent.flatten()).bind(now);
        one_row(set.execute(&mut *tx).await?.rows_affected())?;
        let add = sqlx::query(ADD_REVISION).bind(old.no).bind(revision).bind(&content.body).bind(now);
        add.execute(&mut *tx).await?;
        sqlx::query(UNLIST_ACCOUNTS).bind(old.no).execute(&mut *tx).await?;
        list_accounts!(tx, old.no, content);
        for source in &sources {
            settle!(tx, source);
        }
        let area = sqlx::query_as(GET).bind(old.user_id).bind(old.id).fetch_one(&mut *tx).await?;
        Ok(Changed { area, sources })
    });
    unless_moved(done)
}

/// Changes the state of `old`. `None`: the row is no longer at the version of `old`.
pub async fn set_state(db: &Db, old: &AreaRow, change: StateChange) -> sqlx::Result<Option<Changed>> {
    let done = in_tx!(db, tx => {
        let source: Touched = sqlx::query_as(LOCK).bind(old.source_id).fetch_one(&mut *tx).await?;
        let set = sqlx::query(SET_STATE).bind(old.user_id).bind(old.id).bind(old.version).bind(change.state.as_str());
        let set = set.bind(change.silent_at).bind(change.rejoin.is_some()).bind(change.rejoin.flatten());
        one_row(set.bind(change.now).bind(&change.reason).execute(&mut *tx).await?.rows_affected())?;
        settle!(tx, source);
        let area = sqlx::query_as(GET).bind(old.user_id).bind(old.id).fetch_one(&mut *tx).await?;
        Ok(Changed { area, sources: vec![source] })
    });
    unless_moved(done)
}

/// Deletes `old` with its revisions and ends its open runs. `None`: the row is no longer at the version of `old`.
pub async fn delete(db: &Db, old: &AreaRow, now: Micros) -> sqlx::Result<Option<Changed>> {
    let done = in_tx!(db, tx => {
        let source: Touched = sqlx::query_as(LOCK).bind(old.source_id).fetch_one(&mut *tx).await?;
        let gone = sqlx::query(DELETE).bind(old.user_id).bind(old.id).bind(old.version);
        one_row(gone.execute(&mut *tx).await?.rows_affected())?;
        sqlx::query(CANCEL_RUNS).bind(old.no).bind(now).execute(&mut *tx).await?;
        settle!(tx, source);
        Ok(Changed { area: old.clone(), sources: vec![source] })
    });
    unless_moved(done)
}

/// Ends the transaction where the row has moved.
fn one_row(rows: u64) -> sqlx::Result<()> {
    if rows == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

fn unless_moved(done: sqlx::Result<Changed>) -> sqlx::Result<Option<Changed>> {
    match done {
        Ok(changed) => Ok(Some(changed)),
        Err(sqlx::Error::RowNotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
