//! Linked accounts: the columns of `next_auth_accounts` that Auth.js knows, and beside them what the vault must know. Whatever is
//! secret in a row is sealed, or plain as an Auth.js site wrote it: only the vault reads it.
//!
//! A refresh is claimed in the row before the provider is called, so that one process at a time holds a refresh token in its hand;
//! and it stores by compare and swap of the row's `version`, so that whatever it believes, nothing newer is lost.

use serde::Serialize;
use sqlx::FromRow;

use super::Db;
use crate::clock::Micros;
use crate::ids::{AccountId, AreaId, SourceId, UserId, first_id_at};
use crate::lease::clocked;
use crate::{in_tx, on, on_write};

const GRANTED: &str = "SELECT provider, scope FROM next_auth_accounts WHERE id = $1 AND \"userId\" = $2";
const OF: &str = "SELECT id, provider, \"providerAccountId\" AS provider_account_id, type AS kind, scope
    FROM next_auth_accounts WHERE \"userId\" = $1 ORDER BY id";
const GET: &str = "SELECT a.id, a.provider, a.\"userId\" AS user_id, a.access_token, a.refresh_token, a.expires_at, a.scope,
    COALESCE(s.state, 'ok') AS state, s.reason, COALESCE(s.version, 0) AS version, s.linked_at, s.refreshed_at, s.refresh_at,
    s.not_before, COALESCE(s.failures, 0) AS failures, s.failing, s.account_id IS NOT NULL AS known
    FROM next_auth_accounts a LEFT JOIN account_state s ON s.account_id = a.id WHERE a.id = $1";
const KNOW: &str = "INSERT INTO account_state (account_id, provider, part, refresh_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (account_id) DO NOTHING";
const CLAIM: (&str, &str) = clocked!("UPDATE account_state SET in_doubt = in_doubt OR claim_node IS NOT NULL, claim = claim + 1,
    claim_node = $3, claimed_at = " NOW " WHERE account_id = $2 AND version = $4 AND state = 'ok'
    AND (claim_node IS NULL OR claim_node = $3
      OR NOT EXISTS (SELECT 1 FROM nodes n WHERE n.no = claim_node AND n.until_at > " NOW "))
    RETURNING claim, in_doubt");
const RELEASE: &str =
    "UPDATE account_state SET claim_node = NULL, failures = failures + 1, failing = $3, not_before = $4,
    refresh_at = CASE WHEN refresh_at IS NULL THEN NULL ELSE $4 END, in_doubt = $5
    WHERE account_id = $1 AND claim = $2 AND claim_node IS NOT NULL";
const RENEW_STATE: &str =
    "UPDATE account_state SET version = version + 1, claim_node = NULL, in_doubt = FALSE, failures = 0,
    failing = NULL, not_before = NULL, refreshed_at = $3, refresh_at = $4, state = 'ok', reason = NULL, lost_at = NULL
    WHERE account_id = $1 AND version = $2";
const RENEW: &str = "UPDATE next_auth_accounts SET access_token = $2, refresh_token = $3, expires_at = $4,
    scope = COALESCE($5, scope), id_token = COALESCE($6, id_token) WHERE id = $1";
const LOSE: &str =
    "UPDATE account_state SET state = 'needs_reconnect', reason = $3, claim_node = NULL, refresh_at = NULL,
    not_before = NULL, lost_at = $4, told_at = NULL WHERE account_id = $1 AND version = $2 AND state = 'ok' AND ($5 IS NULL OR claim = $5)";
/// As a fault pauses an AREA anywhere: what nobody has decided yet is caught up with, and what comes.
const PAUSE: &str = "UPDATE areas SET state = 'faulted', reason = $2, version = version + 1, updated_at = $4,
    mark = COALESCE((SELECT MIN(e.id) - 1 FROM events e WHERE e.source_id = areas.source_id AND e.undecided IS NOT NULL), $3)
    WHERE state = 'active' AND no IN (SELECT x.area_no FROM area_accounts x WHERE x.account_id = $1) 
    RETURNING id, user_id, name, reason, source_id, (SELECT s.part FROM sources s WHERE s.id = areas.source_id) AS part";
const DUE: &str = "SELECT s.account_id, s.version FROM account_state s JOIN leases l ON l.part = s.part AND l.node = $3
    WHERE s.provider = $1 AND s.refresh_at <= $2 AND s.state = 'ok' ORDER BY s.refresh_at LIMIT $4";
const IN_USE: &str = "SELECT COUNT(*) FROM area_accounts x JOIN areas a ON a.no = x.area_no AND a.state = 'active'
    WHERE x.account_id = $1";
const REST: &str = "UPDATE account_state SET refresh_at = NULL WHERE account_id = $1 AND version = $2";

/// An account as the vault reads it.
#[derive(Clone, FromRow)]
pub struct AccountRow {
    /// Its id.
    pub id: AccountId,
    /// Who issues its tokens.
    pub provider: String,
    /// Whose it is.
    pub user_id: Option<UserId>,
    /// Sealed or plain.
    pub access_token: Option<String>,
    /// Sealed or plain.
    pub refresh_token: Option<String>,
    /// Unix seconds.
    pub expires_at: Option<i64>,
    /// As the provider wrote them.
    pub scope: Option<String>,
    /// `ok` or `needs_reconnect`.
    pub state: String,
    /// Why it needs to be linked again.
    pub reason: Option<String>,
    /// Grows with every new token.
    pub version: i64,
    /// When it was linked here.
    pub linked_at: Option<Micros>,
    /// When it was last refreshed.
    pub refreshed_at: Option<Micros>,
    /// When it is refreshed next.
    pub refresh_at: Option<Micros>,
    /// No further try before.
    pub not_before: Option<Micros>,
    /// Refreshes in a row that came to nothing.
    pub failures: i64,
    /// Why the last one did.
    pub failing: Option<String>,
    /// Whether the vault has met it before.
    pub known: bool,
}

/// The row holds tokens.
impl std::fmt::Debug for AccountRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut row = f.debug_struct("AccountRow");
        row.field("id", &self.id).field("state", &self.state).field("version", &self.version).finish_non_exhaustive()
    }
}

/// A claim: this node, and nobody else, refreshes the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Claim {
    /// Its number.
    pub claim: i64,
    /// An earlier refresh with this token began, and how it ended nobody knows.
    pub in_doubt: bool,
}

/// An AREA that paused because its account is lost.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Paused {
    /// The AREA.
    pub id: AreaId,
    /// Its owner.
    pub user_id: UserId,
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
    /// What it watches.
    pub source_id: SourceId,
    /// That source's partition.
    pub part: i64,
}

/// New tokens, as they are stored.
#[derive(Clone)]
pub struct Renewed {
    /// Sealed, unless the operator wants them plain.
    pub access_token: String,
    /// The new one, or the old one again.
    pub refresh_token: Option<String>,
    /// Unix seconds.
    pub expires_at: Option<i64>,
    /// Where the provider said them.
    pub scope: Option<String>,
    /// Where there came one.
    pub id_token: Option<String>,
    /// Now.
    pub at: Micros,
    /// When it is refreshed next, ahead of time.
    pub refresh_at: Option<Micros>,
}

/// An account, without its tokens.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct Owned {
    /// Its id.
    pub id: AccountId,
    /// The provider.
    pub provider: String,
    /// Who the person is there.
    pub provider_account_id: String,
    /// `oauth`, `oidc` …
    pub kind: String,
    /// What was granted.
    pub scope: Option<String>,
}

/// What an account may do.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Granted {
    /// The provider.
    pub provider: String,
    /// The scopes, as the provider wrote them; `None`: it never said.
    pub scope: Option<String>,
}

/// What the account `id` may do, if it is an account of `user`.
pub async fn granted(db: &Db, user: UserId, id: AccountId) -> sqlx::Result<Option<Granted>> {
    on!(db, pool => sqlx::query_as(GRANTED).bind(id).bind(user).fetch_optional(pool).await)
}

/// The account `id`, whoever's it is.
pub async fn get(db: &Db, id: AccountId) -> sqlx::Result<Option<AccountRow>> {
    on!(db, pool => sqlx::query_as(GET).bind(id).fetch_optional(pool).await)
}

/// Makes the state of an account that an Auth.js site linked.
pub async fn know(db: &Db, row: &AccountRow, part: i64, refresh_at: Option<Micros>) -> sqlx::Result<()> {
    on_write!(db, pool => {
        let know = sqlx::query(KNOW).bind(row.id).bind(&row.provider).bind(part).bind(refresh_at);
        know.execute(pool).await.map(drop)
    })
}

/// Claims the refresh of an account whose tokens are at `version`. `None`: another node that is alive has it, or it moved on.
pub async fn claim(db: &Db, id: AccountId, version: i64, node: i64, now: Micros) -> sqlx::Result<Option<Claim>> {
    let sql = if matches!(db, Db::Sqlite { .. }) { CLAIM.0 } else { CLAIM.1 };
    on_write!(db, pool => sqlx::query_as(sql).bind(now).bind(id).bind(node).bind(version).fetch_optional(pool).await)
}

/// Gives a claim back: the refresh came to nothing. `in_doubt`: the provider may have taken the old token all the same.
pub async fn release(
    db: &Db,
    id: AccountId,
    claim: i64,
    (why, not_before): (&str, Micros),
    in_doubt: bool,
) -> sqlx::Result<()> {
    on_write!(db, pool => {
        let release = sqlx::query(RELEASE).bind(id).bind(claim).bind(why).bind(not_before).bind(in_doubt);
        release.execute(pool).await.map(drop)
    })
}

/// Stores new tokens over those of `version`. False: others are stored by now.
pub async fn renew(db: &Db, id: AccountId, version: i64, new: &Renewed) -> sqlx::Result<bool> {
    in_tx!(db, tx => {
        let state = sqlx::query(RENEW_STATE).bind(id).bind(version).bind(new.at).bind(new.refresh_at);
        if state.execute(&mut *tx).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let renew = sqlx::query(RENEW).bind(id).bind(&new.access_token).bind(&new.refresh_token).bind(new.expires_at);
        renew.bind(&new.scope).bind(&new.id_token).execute(&mut *tx).await?;
        Ok(true)
    })
}

/// An account must be linked again: it says why, and its AREAs pause. `None`: it has other tokens than those of `version` by now,
/// is lost already, or somebody took the claim over. Else the AREAs.
pub async fn lose(
    db: &Db,
    id: AccountId,
    (version, claim): (i64, Option<i64>),
    why: &str,
    now: Micros,
) -> sqlx::Result<Option<Vec<Paused>>> {
    in_tx!(db, tx => {
        let lose = sqlx::query(LOSE).bind(id).bind(version).bind(why).bind(now).bind(claim);
        if lose.execute(&mut *tx).await?.rows_affected() == 0 {
            return Ok(None);
        }
        let pause = sqlx::query_as(PAUSE).bind(id).bind(why).bind(first_id_at(now)).bind(now);
        Ok(Some(pause.fetch_all(&mut *tx).await?))
    })
}

/// Pauses the AREAs that name an account which is lost or gone.
pub async fn pause(db: &Db, id: AccountId, why: &str, now: Micros) -> sqlx::Result<Vec<Paused>> {
    on_write!(db, pool => {
        sqlx::query_as(PAUSE).bind(id).bind(why).bind(first_id_at(now)).bind(now).fetch_all(pool).await
    })
}

/// Accounts of `provider` that `node` refreshes and that are due, with the versions of their tokens.
pub async fn due(db: &Db, provider: &str, node: i64, now: Micros, most: i64) -> sqlx::Result<Vec<(AccountId, i64)>> {
    on!(db, pool => sqlx::query_as(DUE).bind(provider).bind(now).bind(node).bind(most).fetch_all(pool).await)
}

/// Whether some active AREA needs the account.
pub async fn is_in_use(db: &Db, id: AccountId) -> sqlx::Result<bool> {
    let (count,): (i64,) = on!(db, pool => sqlx::query_as(IN_USE).bind(id).fetch_one(pool).await)?;
    Ok(count > 0)
}

/// Nobody needs the account: it is refreshed when somebody asks for it, and not ahead of time.
pub async fn rest(db: &Db, id: AccountId, version: i64) -> sqlx::Result<()> {
    on_write!(db, pool => sqlx::query(REST).bind(id).bind(version).execute(pool).await.map(drop))
}

/// The accounts of `user`.
pub async fn of(db: &Db, user: UserId) -> sqlx::Result<Vec<Owned>> {
    on!(db, pool => sqlx::query_as(OF).bind(user).fetch_all(pool).await)
}
