//! What owners of accounts must be told by mail. A letter is written down in the transaction that marks its account as told, so it is
//! written once, whoever tells and however often; a node claims it before it is sent, and it is gone when the server has taken it.
//! A node that dies in the moment between those two leaves it to be sent once more: a letter is rather doubled than lost.

use sqlx::FromRow;

use super::Db;
use crate::clock::Micros;
use crate::crash;
use crate::ids::{AccountId, UserId};
use crate::lease::clocked;
use crate::{in_tx, on, on_write};

const TOLD: &str = "UPDATE account_state SET told_at = $2 WHERE account_id = $1 AND told_at IS NULL AND lost_at = $3";
const WARNED: &str =
    "UPDATE account_state SET warned_at = $2 WHERE account_id = $1 AND warned_at IS NULL AND ends_at = $3";
const ADD: &str = "INSERT INTO account_letters (account_id, kind, at, due_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (account_id, kind) DO UPDATE SET at = excluded.at, due_at = excluded.due_at, tries = 0, node = NULL";
const DUE: &str =
    "SELECT l.account_id, l.kind, l.at, l.tries, a.\"userId\" AS user_id, u.email, s.provider, s.who, s.reason,
    CASE l.kind WHEN 'expires_soon' THEN s.ends_at ELSE s.lost_at END AS stands, s.state
    FROM account_letters l JOIN account_state s ON s.account_id = l.account_id
    JOIN next_auth_accounts a ON a.id = l.account_id LEFT JOIN users u ON u.id = a.\"userId\"
    WHERE l.due_at <= $1 ORDER BY l.due_at LIMIT $2";
const CLAIM: (&str, &str) = clocked!("UPDATE account_letters SET node = $3, tries = tries + 1
    WHERE account_id = $2 AND kind = $4 AND at = $5 AND tries = $6
    AND (node IS NULL OR node = $3 OR NOT EXISTS (SELECT 1 FROM nodes n WHERE n.no = node AND n.until_at > " NOW "))");
const DONE: &str = "DELETE FROM account_letters WHERE account_id = $1 AND kind = $2 AND at = $3";
const LATER: &str =
    "UPDATE account_letters SET node = NULL, due_at = $4 WHERE account_id = $1 AND kind = $2 AND at = $3";

/// What a letter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The account must be linked again.
    NeedsReconnect,
    /// It ends soon.
    ExpiresSoon,
}

impl About {
    /// As it is stored; also the name of service `account`'s action.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeedsReconnect => "needs_reconnect",
            Self::ExpiresSoon => "expires_soon",
        }
    }
}

impl TryFrom<String> for About {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let all = [Self::NeedsReconnect, Self::ExpiresSoon];
        all.into_iter().find(|about| about.as_str() == text).ok_or_else(|| format!("`{text}` is no kind of letter"))
    }
}

/// A letter that is due.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Due {
    /// The account.
    pub account_id: AccountId,
    /// What it is about.
    #[sqlx(try_from = "String")]
    pub kind: About,
    /// When the account was lost, or when it ends.
    pub at: Micros,
    /// How often it was tried to send it.
    pub tries: i64,
    /// Whose the account is.
    pub user_id: Option<UserId>,
    /// Their address; `None`: only a site knows them.
    pub email: Option<String>,
    /// Who issues the account's tokens.
    pub provider: String,
    /// The account's name to people.
    pub who: Option<String>,
    /// Why it was lost.
    pub reason: Option<String>,
    /// What `at` would be now: another value, and the letter is no longer true.
    stands: Option<Micros>,
    state: String,
}

impl Due {
    /// Whether what it says is still so: the account was not linked again meanwhile.
    pub fn is_true(&self) -> bool {
        let state = self.kind == About::ExpiresSoon || self.state == "needs_reconnect";
        state && self.stands == Some(self.at)
    }
}

/// The owner of an account has been told what became of it, as far as an event goes; the letter follows. False: that
/// was done before, or `at` is past: it was linked again meanwhile.
pub async fn add(db: &Db, account: AccountId, about: About, at: Micros, now: Micros) -> sqlx::Result<bool> {
    let told = if about == About::NeedsReconnect { TOLD } else { WARNED };
    in_tx!(db, tx => {
        if sqlx::query(told).bind(account).bind(now).bind(at).execute(&mut *tx).await?.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(ADD).bind(account).bind(about.as_str()).bind(at).bind(now).execute(&mut *tx).await?;
        Ok(true)
    })
}

/// The letters that are due, the oldest first.
pub async fn due(db: &Db, now: Micros, most: i64) -> sqlx::Result<Vec<Due>> {
    on!(db, pool => sqlx::query_as(DUE).bind(now).bind(most).fetch_all(pool).await)
}

/// Claims a letter for `node`. False: another node that lives has it, or had it.
pub async fn claim(db: &Db, due: &Due, node: i64, now: Micros) -> sqlx::Result<bool> {
    let sql = if matches!(db, Db::Sqlite { .. }) { CLAIM.0 } else { CLAIM.1 };
    on_write!(db, pool => {
        let claim = sqlx::query(sql).bind(now).bind(due.account_id).bind(node).bind(due.kind.as_str());
        claim.bind(due.at).bind(due.tries).execute(pool).await.map(|done| done.rows_affected() > 0)
    })
    .inspect(|_| crash::point("letter.claimed"))
}

/// It is sent, or nobody needs it any more.
pub async fn done(db: &Db, due: &Due) -> sqlx::Result<()> {
    crash::point("letter.sent");
    on_write!(db, pool => {
        sqlx::query(DONE).bind(due.account_id).bind(due.kind.as_str()).bind(due.at).execute(pool).await.map(drop)
    })
}

/// It could not be sent: it is tried again at `due_at`.
pub async fn later(db: &Db, due: &Due, due_at: Micros) -> sqlx::Result<()> {
    on_write!(db, pool => {
        let later = sqlx::query(LATER).bind(due.account_id).bind(due.kind.as_str()).bind(due.at).bind(due_at);
        later.execute(pool).await.map(drop)
    })
}
