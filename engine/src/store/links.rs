//! Linking accounts to their owners, and unlinking them: what `next_auth_accounts`, `account_state` and `users.connect_data` say of
//! a link changes together. Refreshing is in `accounts`, signing in with an account in `arrivals`.

use serde_json::{Value, json};
use sqlx::FromRow;

use super::Db;
use crate::clock::Micros;
use crate::ids::{AccountId, AreaId, UserId};
use crate::{in_tx, on};

const FIND: &str =
    "SELECT a.id, a.\"userId\" AS user_id, a.refresh_token, s.state, s.reason, COALESCE(s.version, 0) AS version,
    COALESCE(s.signs_in, FALSE) AS signs_in, s.linked_at
    FROM next_auth_accounts a LEFT JOIN account_state s ON s.account_id = a.id
    WHERE a.provider = $1 AND a.\"providerAccountId\" = $2";
pub(super) const ADD: &str =
    "INSERT INTO next_auth_accounts (id, \"userId\", type, provider, \"providerAccountId\", access_token,
    refresh_token, expires_at, token_type, scope, id_token) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT DO NOTHING";
const RENEW: &str =
    "UPDATE next_auth_accounts SET access_token = $3, refresh_token = COALESCE($4, refresh_token), expires_at = $5,
    token_type = $6, scope = $7, id_token = $8 WHERE id = $1 AND \"userId\" = $2";
pub(super) const STATE: &str = "INSERT INTO account_state (account_id, provider, part, who, version, linked_at, refresh_at, ends_at,
    signs_in) VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8)
    ON CONFLICT (account_id) DO UPDATE SET state = 'ok', reason = NULL, who = excluded.who, version = account_state.version + 1,
    linked_at = excluded.linked_at, refreshed_at = NULL, refresh_at = excluded.refresh_at, ends_at = excluded.ends_at, failures = 0,
    failing = NULL, not_before = NULL, claim_node = NULL, in_doubt = FALSE, lost_at = NULL, told_at = NULL, warned_at = NULL";
/// Locks the user's row too: what is read is still so when it is written.
pub(super) const CONNECTED: &str = "UPDATE users SET connect_data = connect_data WHERE id = $1 RETURNING connect_data";
pub(super) const CONNECT: &str = "UPDATE users SET connect_data = $2 WHERE id = $1";
/// The seed's word for whoever signs in with Google.
pub(super) const GOOGLE: &str = "UPDATE users SET is_google_authed = EXISTS (SELECT 1 FROM next_auth_accounts a
    JOIN account_state s ON s.account_id = a.id AND s.signs_in WHERE a.\"userId\" = users.id AND a.provider = 'google') WHERE id = $1";
const LIST: &str = "SELECT a.id, a.provider, a.scope, s.who, COALESCE(s.state, 'ok') AS state, s.reason, s.failing, s.linked_at,
    s.refreshed_at, s.refresh_at, s.ends_at, a.expires_at, COALESCE(s.signs_in, FALSE) AS signs_in FROM next_auth_accounts a LEFT JOIN account_state s ON s.account_id = a.id
    WHERE a.\"userId\" = $1 ORDER BY a.id";
const AREAS: &str = "SELECT x.account_id, r.id, r.name, r.state FROM area_accounts x JOIN areas r ON r.no = x.area_no
    WHERE r.user_id = $1 ORDER BY r.no";
const STOPPED: &str = "SELECT r.id FROM area_accounts x JOIN areas r ON r.no = x.area_no
    WHERE x.account_id = $1 AND r.user_id = $2 AND r.state = 'faulted' AND r.reason = $3 ORDER BY r.no";
const REMOVE: &str = "DELETE FROM next_auth_accounts WHERE id = $1 AND \"userId\" = $2";

/// An account that is already known under a provider's id.
#[derive(Clone, FromRow)]
pub struct Known {
    /// The account.
    pub id: AccountId,
    /// Whose it is.
    pub user_id: Option<UserId>,
    /// Sealed or plain.
    pub refresh_token: Option<String>,
    /// `ok` or `needs_reconnect`; `None`: the vault has not met it.
    pub state: Option<String>,
    /// Why it needs to be linked again.
    pub reason: Option<String>,
    /// Grows with every new token.
    pub version: i64,
    /// Whether its owner chose to sign in with it.
    pub signs_in: bool,
    /// When it was linked here; `None`: an Auth.js site did.
    pub linked_at: Option<Micros>,
}

/// What a link writes. Tokens are sealed, unless the operator wants them plain.
#[derive(Clone)]
pub struct Link<'a> {
    /// The account: a known one, or a new id.
    pub id: AccountId,
    /// Whose.
    pub user: UserId,
    /// `oauth`, `oidc` or `key`: Auth.js's `type`.
    pub kind: &'a str,
    /// Who issues its tokens.
    pub provider: &'a str,
    /// Its id at the provider.
    pub provider_account: &'a str,
    /// Its name to people.
    pub who: Option<&'a str>,
    /// The access token, or the key; `None`: it is there for signing in alone.
    pub access_token: Option<String>,
    /// `None`: the one that is stored stays.
    pub refresh_token: Option<String>,
    /// Unix seconds.
    pub expires_at: Option<i64>,
    /// What was granted, between spaces.
    pub scope: String,
    /// The provider's id token.
    pub id_token: Option<String>,
    /// The partition whose owner refreshes it.
    pub part: i64,
    /// Now.
    pub at: Micros,
    /// When it is refreshed ahead of time.
    pub refresh_at: Option<Micros>,
    /// The known end of its life.
    pub ends_at: Option<Micros>,
    /// Whether its owner signs in with it. An account that is known stays what it is.
    pub signs_in: bool,
}

/// A linked account as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Linked {
    /// The account.
    pub id: AccountId,
    /// Who issues its tokens.
    pub provider: String,
    /// What was granted, between spaces.
    pub scope: Option<String>,
    /// Its name to people.
    pub who: Option<String>,
    /// `ok` or `needs_reconnect`.
    pub state: String,
    /// Why it needs to be linked again.
    pub reason: Option<String>,
    /// Why the last refresh came to nothing.
    pub failing: Option<String>,
    /// When it was linked; `None`: an Auth.js site did.
    pub linked_at: Option<Micros>,
    /// When it was refreshed last.
    pub refreshed_at: Option<Micros>,
    /// When it is refreshed next.
    pub refresh_at: Option<Micros>,
    /// The known end of its life.
    pub ends_at: Option<Micros>,
    /// When the access token ends, Unix seconds.
    pub expires_at: Option<i64>,
    /// Whether its owner signs in with it.
    pub signs_in: bool,
}

/// An AREA that needs an account.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Using {
    /// The account.
    pub account_id: AccountId,
    /// The AREA.
    pub id: AreaId,
    /// Its name.
    pub name: String,
    /// `active`, `paused` or `faulted`.
    pub state: String,
}

/// The account with this id at its provider.
pub async fn find(db: &Db, provider: &str, provider_account: &str) -> sqlx::Result<Option<Known>> {
    on!(db, pool => sqlx::query_as(FIND).bind(provider).bind(provider_account).fetch_optional(pool).await)
}

/// Adds an account within the transaction `$tx`; false where it is known.
macro_rules! add_account {
    ($tx:ident, $new:expr) => {{
        let new: &$crate::store::links::Link<'_> = $new;
        let add = sqlx::query($crate::store::links::ADD).bind(new.id).bind(new.user).bind(new.kind).bind(new.provider);
        let add = add.bind(new.provider_account).bind(&new.access_token).bind(&new.refresh_token);
        let add = add.bind(new.expires_at).bind("bearer").bind(&new.scope).bind(&new.id_token);
        add.execute(&mut *$tx).await?.rows_affected() == 1
    }};
}

/// Writes what is known of a link beside its tokens, within the transaction `$tx`.
macro_rules! note_link {
    ($tx:ident, $new:expr) => {{
        let new: &$crate::store::links::Link<'_> = $new;
        let state =
            sqlx::query($crate::store::links::STATE).bind(new.id).bind(new.provider).bind(new.part).bind(new.who);
        let state = state.bind(new.at).bind(new.refresh_at).bind(new.ends_at).bind(new.signs_in);
        state.execute(&mut *$tx).await?;
        $crate::store::links::note_connected!($tx, new.user, new.provider, new.id, new.who, new.at);
    }};
}

/// Writes a link into its owner's `connect_data`, within the transaction `$tx`.
macro_rules! note_connected {
    ($tx:ident, $user:expr, $provider:expr, $account:expr, $who:expr, $at:expr) => {{
        use $crate::store::links;
        let stored = sqlx::query_scalar(links::CONNECTED).bind($user).fetch_optional(&mut *$tx).await?;
        let mut data = links::connected(stored);
        let linked_at = $crate::clock::from_micros($at);
        data[$provider] = serde_json::json!({ "account": $account, "who": $who, "linked_at": linked_at });
        sqlx::query(links::CONNECT).bind($user).bind(data.to_string()).execute(&mut *$tx).await?;
    }};
}

pub(super) use {add_account, note_connected, note_link};

/// Links. False: the account is somebody else's, or was linked under another id meanwhile.
pub async fn link(db: &Db, new: &Link<'_>, known: bool) -> sqlx::Result<bool> {
    in_tx!(db, tx => {
        let wrote = match known {
            true => {
                let renew = sqlx::query(RENEW).bind(new.id).bind(new.user).bind(&new.access_token).bind(&new.refresh_token);
                let renew = renew.bind(new.expires_at).bind("bearer").bind(&new.scope).bind(&new.id_token);
                renew.execute(&mut *tx).await?.rows_affected() == 1
            }
            false => add_account!(tx, new),
        };
        if wrote {
            note_link!(tx, new);
        }
        Ok(wrote)
    })
}

/// The accounts of `user`, the oldest first.
pub async fn list(db: &Db, user: UserId) -> sqlx::Result<Vec<Linked>> {
    on!(db, pool => sqlx::query_as(LIST).bind(user).fetch_all(pool).await)
}

/// Which AREAs of `user` need which accounts.
pub async fn areas(db: &Db, user: UserId) -> sqlx::Result<Vec<Using>> {
    on!(db, pool => sqlx::query_as(AREAS).bind(user).fetch_all(pool).await)
}

/// The AREAs of `user` that stopped when the account was lost with `reason`.
pub async fn stopped(db: &Db, user: UserId, account: AccountId, reason: &str) -> sqlx::Result<Vec<AreaId>> {
    on!(db, pool => sqlx::query_scalar(STOPPED).bind(account).bind(user).bind(reason).fetch_all(pool).await)
}

/// Unlinks. False: `user` has no such account.
pub async fn remove(db: &Db, user: UserId, id: AccountId) -> sqlx::Result<bool> {
    in_tx!(db, tx => {
        if sqlx::query(REMOVE).bind(id).bind(user).execute(&mut *tx).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let stored: Option<String> = sqlx::query_scalar(CONNECTED).bind(user).fetch_optional(&mut *tx).await?;
        let mut data = connected(stored);
        if let Some(all) = data.as_object_mut() {
            all.retain(|_, of| of["account"] != json!(id));
        }
        sqlx::query(CONNECT).bind(user).bind(data.to_string()).execute(&mut *tx).await?;
        sqlx::query(GOOGLE).bind(user).execute(&mut *tx).await?;
        Ok(true)
    })
}

pub(super) fn connected(stored: Option<String>) -> Value {
    let data = stored.and_then(|text| serde_json::from_str(&text).ok()).filter(Value::is_object);
    data.unwrap_or_else(|| json!({}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_micros;
    use crate::store::people::{self, NewUser};
    use crate::testkit::databases;

    const AT: Micros = 1_800_000_000_000_000;

    async fn person(db: &Db, email: &str) -> UserId {
        people::create(db, &NewUser { email, ..Default::default() }, from_micros(AT)).await.unwrap().id
    }

    fn of(user: UserId, id: AccountId, provider_account: &str) -> Link<'_> {
        Link {
            id,
            user,
            kind: "oauth",
            provider: "acme",
            provider_account,
            who: Some("ann"),
            access_token: Some("access".to_owned()),
            refresh_token: Some("refresh".to_owned()),
            expires_at: Some(1_800_000_060),
            scope: "read".to_owned(),
            id_token: None,
            part: 3,
            at: AT,
            refresh_at: Some(AT + 1),
            ends_at: None,
            signs_in: false,
        }
    }

    async fn connect_data(db: &Db, user: UserId) -> Value {
        const SQL: &str = "SELECT connect_data FROM users WHERE id = $1";
        let stored: Option<String> = on!(db, pool => sqlx::query_scalar(SQL).bind(user).fetch_one(pool).await).unwrap();
        connected(stored)
    }

    #[tokio::test]
    async fn an_account_is_linked_renewed_and_removed_by_its_owner_alone() {
        for t in databases().await {
            let (ann, bob) = (person(&t.db, "ann@b").await, person(&t.db, "bob@b").await);
            let id = AccountId::new();
            assert!(links(&t.db, &of(ann, id, "1"), false).await, "{}", t.label);
            let linked = connect_data(&t.db, ann).await;
            assert_eq!(
                (&linked["acme"]["account"], &linked["acme"]["who"]),
                (&json!(id), &json!("ann")),
                "{}",
                t.label
            );
            // Linked meanwhile under another id, or by somebody else: nothing of it is written.
            assert!(!links(&t.db, &of(ann, AccountId::new(), "1"), false).await, "{}", t.label);
            assert!(!links(&t.db, &of(bob, id, "1"), true).await, "{}", t.label);
            assert_eq!(
                (list(&t.db, bob).await.unwrap(), connect_data(&t.db, bob).await),
                (vec![], json!({})),
                "{}",
                t.label
            );

            // No refresh token comes with the second consent: the first stays.
            let wider = Link { refresh_token: None, scope: "read write".to_owned(), at: AT + 5, ..of(ann, id, "1") };
            assert!(links(&t.db, &wider, true).await, "{}", t.label);
            let known = find(&t.db, "acme", "1").await.unwrap().unwrap();
            assert_eq!((known.id, known.user_id, known.version), (id, Some(ann), 2), "{}", t.label);
            assert_eq!(known.refresh_token.as_deref(), Some("refresh"), "{}", t.label);
            let all = list(&t.db, ann).await.unwrap();
            assert_eq!((all.len(), all[0].scope.as_deref(), all[0].linked_at), (1, Some("read write"), Some(AT + 5)));

            assert!(!remove(&t.db, bob, id).await.unwrap(), "{}", t.label);
            assert!(remove(&t.db, ann, id).await.unwrap() && !remove(&t.db, ann, id).await.unwrap(), "{}", t.label);
            assert_eq!(
                (find(&t.db, "acme", "1").await.unwrap().is_none(), connect_data(&t.db, ann).await),
                (true, json!({}))
            );
        }
    }

    async fn links(db: &Db, new: &Link<'_>, known: bool) -> bool {
        link(db, new, known).await.unwrap()
    }

    #[tokio::test]
    async fn of_two_who_link_one_new_account_at_once_one_has_it() {
        for t in databases().await {
            let (ann, bob) = (person(&t.db, "ann@b").await, person(&t.db, "bob@b").await);
            let (a, b) = (of(ann, AccountId::new(), "1"), of(bob, AccountId::new(), "1"));
            let (first, second) = tokio::join!(links(&t.db, &a, false), links(&t.db, &b, false));
            assert!(first ^ second, "{}", t.label);
            let (anns, bobs) = (list(&t.db, ann).await.unwrap().len(), list(&t.db, bob).await.unwrap().len());
            assert_eq!((anns, bobs), (usize::from(first), usize::from(second)), "{}", t.label);
        }
    }
}
