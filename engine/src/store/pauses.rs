//! Long pauses that providers asked for, for other nodes and for who restarts. A row is written when a pause begins and deleted when it
//! is long over (`retention`), or with its account.

use sqlx::FromRow;

use super::Db;
use crate::clock::Micros;
use crate::ids::AccountId;
use crate::{on, on_write};

const ADD: &str = "INSERT INTO pauses (provider, api, account_id, until_at, why) VALUES ($1, $2, $3, $4, $5)";
const STANDING: &str = "SELECT provider, api, account_id, until_at, why FROM pauses WHERE until_at > $1";

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Pause {
    /// Who asked for it.
    pub provider: String,
    /// For which of its APIs.
    pub api: String,
    /// Whose alone it is; `None`: everybody's.
    pub account_id: Option<AccountId>,
    /// Until when.
    pub until_at: Micros,
    /// One sentence for the owner, without secrets.
    pub why: String,
}

/// A pause began.
pub async fn add(db: &Db, pause: &Pause) -> sqlx::Result<()> {
    on_write!(db, pool => {
        let add = sqlx::query(ADD).bind(&pause.provider).bind(&pause.api).bind(pause.account_id);
        add.bind(pause.until_at).bind(&pause.why).execute(pool).await.map(drop)
    })
}

/// Those that are not over.
pub async fn standing(db: &Db, now: Micros) -> sqlx::Result<Vec<Pause>> {
    on!(db, pool => sqlx::query_as(STANDING).bind(now).fetch_all(pool).await)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::store::retention;
    use crate::testkit::databases;

    const NOW: Micros = 1_800_000_000_000_000;
    const ACCOUNT: &str = "INSERT INTO next_auth_accounts (id, type, provider, \"providerAccountId\", \"userId\")
        VALUES ($1, 'oauth', 'acme', 'ann', NULL)";

    async fn run(db: &Db, sql: &'static str, id: AccountId) {
        on_write!(db, pool => sqlx::query(sql).bind(id).execute(pool).await.map(drop)).unwrap();
    }

    #[tokio::test]
    async fn a_pause_stands_until_it_is_over_or_its_account_is_gone() {
        for t in databases().await {
            let account = AccountId::new();
            run(&t.db, ACCOUNT, account).await;
            let pause = |account_id: Option<AccountId>, until_at| {
                let text = str::to_owned;
                Pause { provider: text("acme"), api: text("mail"), account_id, until_at, why: text("429 \u{1f6d1}") }
            };
            let (all, own) = (pause(None, NOW + 10), pause(Some(account), NOW + 20));
            add(&t.db, &all).await.unwrap();
            add(&t.db, &own).await.unwrap();
            let stands = async |now| standing(&t.db, now).await.unwrap();
            assert_eq!(stands(NOW + 10).await, vec![own.clone()], "{}", t.label);
            assert_eq!(stands(NOW).await.len(), 2, "{}", t.label);
            retention::step(&t.db, NOW + 10, &Limits::default()).await.unwrap();
            assert_eq!(stands(NOW).await, vec![own], "{}: what is over is forgotten", t.label);
            run(&t.db, "DELETE FROM next_auth_accounts WHERE id = $1", account).await;
            assert_eq!(stands(NOW).await, [], "{}", t.label);
        }
    }
}
