//! Signing in with a linked account: who signs up with one becomes a person and its owner in one transaction, and so does who
//! chooses to sign in with one from now on. Whose an account is, is decided before; here a decision that was overtaken changes nothing.

use chrono::{DateTime, Utc};

use super::Db;
use super::audit::{self, Entry};
use super::links::{self, Link};
use super::pending;
use super::people::{self, NewUser, PeopleError, User};
use crate::in_tx;

const CAME_BY: &str = "UPDATE users SET auth_provider = $2 WHERE id = $1";
const CHOOSE: &str =
    "INSERT INTO account_state (account_id, provider, part, who, signs_in) VALUES ($1, $2, $3, $4, TRUE)
    ON CONFLICT (account_id) DO UPDATE SET signs_in = TRUE";
const STILL: &str = "SELECT COUNT(*) FROM next_auth_accounts WHERE id = $1 AND \"userId\" = $2";

/// Why nobody was made of an arrival.
#[derive(Debug, thiserror::Error)]
pub enum ArrivalError {
    /// Somebody else came with the same account at the same time, or took the address: decide again.
    #[error("somebody was faster")]
    Overtaken,
    /// The address is none.
    #[error(transparent)]
    Person(#[from] PeopleError),
    /// The database said no.
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
}

/// Makes a person under the id that `link` names, with the proved address of `new`, and links the account to them.
///
/// # Errors
/// See [`ArrivalError`]; nothing is left behind then.
pub async fn sign_up(
    db: &Db,
    new: &NewUser<'_>,
    link: &Link<'_>,
    entry: &Entry<'_>,
    now: DateTime<Utc>,
) -> Result<User, ArrivalError> {
    let (id, address) = (link.user, people::email(new.email)?);
    let done: Result<(), ArrivalError> = in_tx!(db, tx => {
        if !people::add_person!(tx, id, &address, new, now, false) || !links::add_account!(tx, link) {
            return Err(ArrivalError::Overtaken);
        }
        links::note_link!(tx, link);
        sqlx::query(CAME_BY).bind(id).bind(link.provider).execute(&mut *tx).await?;
        sqlx::query(links::GOOGLE).bind(id).execute(&mut *tx).await?;
        sqlx::query(pending::DONE).bind(&address).execute(&mut *tx).await?;
        audit::note!(tx, entry, now);
        Ok(())
    });
    done?;
    people::by_id(db, id).await?.ok_or_else(|| sqlx::Error::RowNotFound.into())
}

/// Lets `link`'s user sign in with the account from now on. One that is `known` keeps its tokens and what was granted: a sign-in asks for
/// less than an AREA does. False: it is another's by now, or was linked meanwhile.
pub async fn choose(
    db: &Db,
    link: &Link<'_>,
    known: bool,
    entry: &Entry<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    in_tx!(db, tx => {
        if known {
            let still: i64 = sqlx::query_scalar(STILL).bind(link.id).bind(link.user).fetch_one(&mut *tx).await?;
            if still == 0 {
                return Ok(false);
            }
            let choose = sqlx::query(CHOOSE).bind(link.id).bind(link.provider).bind(link.part).bind(link.who);
            choose.execute(&mut *tx).await?;
            links::note_connected!(tx, link.user, link.provider, link.id, link.who, link.at);
        } else {
            if !links::add_account!(tx, link) {
                return Ok(false);
            }
            links::note_link!(tx, link);
        }
        sqlx::query(links::GOOGLE).bind(link.user).execute(&mut *tx).await?;
        audit::note!(tx, entry, now);
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_micros;
    use crate::ids::{AccountId, UserId};
    use crate::on;
    use crate::testkit::databases;

    const NOW: i64 = 1_800_000_000_000_000;

    fn link(user: UserId, at_provider: &str) -> Link<'_> {
        Link {
            id: AccountId::new(),
            user,
            kind: "oidc",
            provider: "google",
            provider_account: at_provider,
            who: Some("ada@b"),
            access_token: None,
            refresh_token: None,
            expires_at: None,
            scope: "openid".to_owned(),
            id_token: None,
            part: 0,
            at: NOW,
            refresh_at: None,
            ends_at: None,
            signs_in: true,
        }
    }

    async fn came(db: &Db, email: &str, at_provider: &str) -> Result<User, ArrivalError> {
        let new = NewUser { email, ..NewUser::default() };
        sign_up(db, &new, &link(UserId::new(), at_provider), &Entry::default(), from_micros(NOW)).await
    }

    #[tokio::test]
    async fn who_was_overtaken_leaves_nothing_behind() {
        for t in databases().await {
            let ada = came(&t.db, "ada@b", "1").await.unwrap();
            for (email, at_provider) in [("eve@b", "1"), ("ada@b", "2")] {
                let late = came(&t.db, email, at_provider).await;
                assert!(matches!(late, Err(ArrivalError::Overtaken)), "{}: {late:?}", t.label);
            }
            assert!(matches!(came(&t.db, "no address", "3").await, Err(ArrivalError::Person(_))), "{}", t.label);
            assert_eq!(people::count(&t.db).await.unwrap(), 1, "{}", t.label);
            for sql in [
                "SELECT COUNT(*) FROM next_auth_users",
                "SELECT COUNT(*) FROM next_auth_accounts",
                "SELECT COUNT(*) FROM audit",
            ] {
                let rows: i64 = on!(&t.db, pool => sqlx::query_scalar(sql).fetch_one(pool).await).unwrap();
                assert_eq!(rows, 1, "{}: {sql}", t.label);
            }
            let flags = "SELECT is_google_authed, auth_provider FROM users WHERE id = $1";
            let flags: (bool, String) =
                on!(&t.db, pool => sqlx::query_as(flags).bind(ada.id).fetch_one(pool).await).unwrap();
            assert_eq!(flags, (true, "google".to_owned()), "{}", t.label);
        }
    }

    #[tokio::test]
    async fn an_account_is_chosen_by_whose_it_is_and_no_longer_when_it_is_gone() {
        for t in databases().await {
            let ada = came(&t.db, "ada@b", "1").await.unwrap().id;
            let bob = came(&t.db, "bob@b", "2").await.unwrap().id;
            let known = links::find(&t.db, "google", "1").await.unwrap().unwrap();
            let (entry, now) = (Entry::default(), from_micros(NOW));
            let of = |user| Link { id: known.id, ..link(user, "1") };
            assert!(choose(&t.db, &of(ada), true, &entry, now).await.unwrap(), "{}", t.label);
            assert!(!choose(&t.db, &of(bob), true, &entry, now).await.unwrap(), "{}", t.label);
            assert!(!choose(&t.db, &link(bob, "1"), false, &entry, now).await.unwrap(), "{}", t.label);
            assert!(links::remove(&t.db, ada, known.id).await.unwrap(), "{}", t.label);
            assert!(!choose(&t.db, &of(ada), true, &entry, now).await.unwrap(), "{}", t.label);
            assert!(choose(&t.db, &link(bob, "1"), false, &entry, now).await.unwrap(), "{}", t.label);
        }
    }
}
