//! The audit log: who did what to whom, from where. Rows are only added: triggers on both engines refuse anything else, and let go
//! of what is older than a year. Knows no password, token or mail: what is written here is read by administrators.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use super::Db;
use crate::clock::Micros;
use crate::ids::UserId;
use crate::{on, on_write};

pub(super) const ADD: &str =
    "INSERT INTO audit (id, at, actor, subject, action, address, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)";
const LIST: &str = "SELECT id, at, actor, subject, action, address, detail FROM audit
    WHERE ($1 IS NULL OR id < $1) AND ($2 IS NULL OR actor = $2 OR subject = $2) AND ($3 IS NULL OR action = $3)
    ORDER BY id DESC LIMIT $4";
const PURGE: &str = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < $1 ORDER BY id LIMIT $2)";

/// Something that happened, to be added.
#[derive(Clone, Debug, Default)]
pub struct Entry<'a> {
    /// Who did it; `None`: nobody known, or the daemon.
    pub actor: Option<UserId>,
    /// Whom it concerns.
    pub subject: Option<UserId>,
    /// What, as `signed_in`.
    pub action: &'a str,
    /// Where the request came from.
    pub address: &'a str,
    /// More, for people.
    pub detail: &'a str,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct Happened {
    /// Its id, ordered by time.
    pub id: Uuid,
    /// When.
    #[serde(skip)]
    pub at: Micros,
    /// Who did it.
    pub actor: Option<UserId>,
    /// Whom it concerns.
    pub subject: Option<UserId>,
    /// What.
    pub action: String,
    /// Where the request came from.
    pub address: String,
    /// More, for people.
    pub detail: String,
}

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those by or about this person.
    pub user: Option<UserId>,
    /// Only those of this action.
    pub action: Option<String>,
}

/// Adds an entry within the transaction `$tx`.
macro_rules! note {
    ($tx:ident, $entry:expr, $now:expr) => {{
        let (entry, now): (&$crate::store::audit::Entry<'_>, chrono::DateTime<chrono::Utc>) = ($entry, $now);
        let add = sqlx::query($crate::store::audit::ADD).bind(uuid::Uuid::now_v7()).bind(now.timestamp_micros());
        let add = add.bind(entry.actor).bind(entry.subject).bind(entry.action).bind(entry.address).bind(entry.detail);
        add.execute(&mut *$tx).await?;
    }};
}

pub(super) use note;

/// Adds an entry.
pub async fn add(db: &Db, entry: &Entry<'_>, now: DateTime<Utc>) -> sqlx::Result<()> {
    on_write!(db, pool => {
        let add = sqlx::query(ADD).bind(Uuid::now_v7()).bind(now.timestamp_micros()).bind(entry.actor);
        let add = add.bind(entry.subject).bind(entry.action).bind(entry.address).bind(entry.detail);
        add.execute(pool).await.map(drop)
    })
}

/// Up to `limit` entries, the newest first, from before `before`.
pub async fn list(db: &Db, before: Option<Uuid>, limit: i64, filter: &Filter) -> sqlx::Result<Vec<Happened>> {
    on!(db, pool => {
        let list = sqlx::query_as(LIST).bind(before).bind(filter.user).bind(&filter.action);
        list.bind(limit).fetch_all(pool).await
    })
}

/// Forgets up to `most` of what is older than `before`, which is to be a year ago or more.
pub async fn purge(db: &Db, before: Micros, most: i64) -> sqlx::Result<u64> {
    on_write!(db, pool => Ok(sqlx::query(PURGE).bind(before).bind(most).execute(pool).await?.rows_affected()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::testkit::databases;

    const YEAR: Micros = 365 * 86_400 * 1_000_000;

    #[tokio::test]
    async fn what_happened_is_listed_newest_first_and_by_whom_it_concerns() {
        for t in databases().await {
            let (ann, bob, now) = (UserId::new(), UserId::new(), Clock::system().now());
            for (actor, subject, action) in [(ann, ann, "signed_in"), (ann, bob, "suspended"), (bob, bob, "signed_in")]
            {
                let entry = Entry { actor: Some(actor), subject: Some(subject), action, ..Default::default() };
                add(&t.db, &entry, now).await.unwrap();
            }
            let of = async |before, filter: Filter| list(&t.db, before, 10, &filter).await.unwrap();
            let all = of(None, Filter::default()).await;
            assert_eq!(
                all.iter().map(|e| e.actor).collect::<Vec<_>>(),
                [Some(bob), Some(ann), Some(ann)],
                "{}",
                t.label
            );
            assert_eq!(of(Some(all[0].id), Filter::default()).await.len(), 2, "{}", t.label);
            assert_eq!(of(None, Filter { user: Some(bob), action: None }).await.len(), 2, "{}", t.label);
            let suspended = of(None, Filter { user: Some(ann), action: Some("suspended".into()) }).await;
            assert_eq!(suspended.len(), 1, "{}", t.label);
        }
    }

    #[tokio::test]
    async fn the_database_itself_refuses_a_change_and_lets_go_after_a_year() {
        for t in databases().await {
            let now = Clock::system().now();
            let old = now - std::time::Duration::from_micros(YEAR.unsigned_abs() + 60_000_000);
            for at in [old, now] {
                add(&t.db, &Entry { action: "signed_in", ..Default::default() }, at).await.unwrap();
            }
            for sql in ["UPDATE audit SET action = 'x'", "DELETE FROM audit"] {
                let done = on_write!(&t.db, pool => sqlx::query(sql).execute(pool).await.map(drop));
                assert!(done.unwrap_err().to_string().contains("audit log"), "{}: {sql}", t.label);
            }
            assert_eq!(purge(&t.db, now.timestamp_micros() - YEAR, 10).await.unwrap(), 1, "{}", t.label);
            assert_eq!(list(&t.db, None, 10, &Filter::default()).await.unwrap().len(), 1, "{}", t.label);
        }
    }
}
