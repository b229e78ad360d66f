//! People. A person is one row of `users` and one of `next_auth_users` under the same id, so that an Auth.js site can share the
//! database: both are written in one transaction. A person whom such a site made is adopted by id, never by an address: whoever
//! merely claims an address would else walk into somebody's account. E-mail addresses are kept in lower case. Tokens are in
//! `tokens`, sessions in `sessions`, what a person says of themselves in `profile`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use super::Db;
use super::audit::{self, Entry};
use crate::ids::UserId;
use crate::{in_tx, on, on_write};

/// Bytes of an e-mail address (RFC 5321).
pub const EMAIL_BYTES: usize = 254;

pub(super) const ADD: &str = "INSERT INTO users (id, email, password, display_name, role, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT DO NOTHING";
/// A site's own user keeps the address there: it is unique, and which of the two is meant is not ours to say.
pub(super) const ADD_NEXT_AUTH: &str = "INSERT INTO next_auth_users (id, name, email, \"emailVerified\") SELECT $1, $2,
    CASE WHEN EXISTS (SELECT 1 FROM next_auth_users WHERE lower(email) = $3) THEN NULL ELSE $3 END, $4";
pub(super) const ADD_PROFILE: &str = "INSERT INTO profile (user_id, created_at) VALUES ($1, $2)";
const NEXT_AUTH: &str =
    "SELECT id, name, email, \"emailVerified\" AS verified_at, image FROM next_auth_users WHERE id = $1";
const BY_EMAIL: &str =
    "SELECT id, email, display_name, role, suspended_at, created_at FROM users WHERE lower(email) = $1";
const BY_ID: &str = "SELECT id, email, display_name, role, suspended_at, created_at FROM users WHERE id = $1";
const LIST: &str = "SELECT id, email, display_name, role, suspended_at, created_at FROM users ORDER BY email";
const SET_ROLE: &str = "UPDATE users SET role = $2, updated_at = $3 WHERE id = $1";
const COUNT: &str = "SELECT COUNT(*) FROM users";
const PAGE: &str = "SELECT id, email, display_name, role, suspended_at, created_at FROM users
    WHERE ($1 IS NULL OR id > $1) AND ($2 IS NULL OR lower(email) LIKE $2 ESCAPE '\\') ORDER BY id LIMIT $3";
const OTHER_SUPER_ADMINS: &str =
    "SELECT COUNT(*) FROM users WHERE role = 'SUPER-ADMIN' AND suspended_at IS NULL AND id <> $1";
const HAS_SUPER_ADMIN: &str = "SELECT EXISTS (SELECT 1 FROM users WHERE role = 'SUPER-ADMIN')";
const TAKE_CODE: &str = "DELETE FROM meta WHERE key = $1 AND value = $2
    AND NOT EXISTS (SELECT 1 FROM users WHERE role = 'SUPER-ADMIN')";
const SUSPEND: &str = "UPDATE users SET suspended_at = $2, updated_at = $3 WHERE id = $1";
const END_SESSIONS: &str = "DELETE FROM next_auth_sessions WHERE \"userId\" = $1";

/// What a person may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub enum Role {
    /// Everything, administrators included.
    SuperAdmin,
    /// Everything of the installation.
    Admin,
    /// Their own AREAs.
    #[default]
    Editor,
    /// Reads their own AREAs.
    Viewer,
}

impl Role {
    /// Every role, the mightiest first.
    pub const ALL: [Self; 4] = [Self::SuperAdmin, Self::Admin, Self::Editor, Self::Viewer];

    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SuperAdmin => "SUPER-ADMIN",
            Self::Admin => "ADMIN",
            Self::Editor => "EDITOR",
            Self::Viewer => "VIEWER",
        }
    }

    /// May change their own AREAs.
    pub fn may_write(self) -> bool {
        self != Self::Viewer
    }

    /// May see and change what belongs to the installation.
    pub fn may_administrate(self) -> bool {
        matches!(self, Self::SuperAdmin | Self::Admin)
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let same = |r: &Self| r.as_str().eq_ignore_ascii_case(s);
        Self::ALL.into_iter().find(same).ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            format!("`{s}` is no role: there are {all}")
        })
    }
}

impl TryFrom<String> for Role {
    type Error = String;
    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct User {
    /// The id, in `users` and in `next_auth_users`.
    pub id: UserId,
    /// In lower case.
    pub email: String,
    /// For people.
    pub display_name: String,
    /// What they may do.
    #[sqlx(try_from = "String")]
    pub role: Role,
    /// Since when they may do nothing; `None`: they may.
    pub suspended_at: Option<DateTime<Utc>>,
    /// When they came.
    pub created_at: DateTime<Utc>,
}

/// A person as an Auth.js site knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct SiteUser {
    /// The id, of `users` too where we know them.
    pub id: UserId,
    /// What the site calls them.
    pub name: Option<String>,
    /// The address that the site has.
    pub email: Option<String>,
    /// When the site proved it; `None`: it never did.
    pub verified_at: Option<DateTime<Utc>>,
    /// Where their picture is.
    pub image: Option<String>,
}

/// Someone who is to be created.
#[derive(Clone, Debug, Default)]
pub struct NewUser<'a> {
    /// Any case, spaces around it are dropped.
    pub email: &'a str,
    /// For people; may be empty.
    pub display_name: &'a str,
    /// What they may do.
    pub role: Role,
    /// An argon2id string; `None`: they cannot log in with a password.
    pub password: Option<&'a str>,
    /// When the address was proved; `None`: it was not.
    pub verified_at: Option<DateTime<Utc>>,
}

/// Why a person was not created.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// Not an address.
    #[error("`{0}` is no e-mail address: it needs a name, an @ and a host, at most 254 bytes, without spaces")]
    Email(String),
    /// There is somebody with this address.
    #[error("there is already a user with the e-mail address {0}")]
    Taken(String),
    /// The database said no.
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
}

/// The address as it is stored: trimmed, in lower case. `demo@localhost` is one.
pub fn email(text: &str) -> Result<String, PeopleError> {
    let wrong = || PeopleError::Email(text.trim().chars().take(EMAIL_BYTES).collect());
    let trimmed = text.trim();
    let (name, host) = trimmed.rsplit_once('@').ok_or_else(wrong)?;
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if name.is_empty() || host.is_empty() || name.contains('@') || trimmed.len() > EMAIL_BYTES || trimmed.contains(odd)
    {
        return Err(wrong());
    }
    Ok(trimmed.to_lowercase())
}

/// Adds a person's rows within the transaction `$tx`; false where the address or the id is taken. `$site`: a site made their row.
macro_rules! add_person {
    ($tx:ident, $id:expr, $address:expr, $new:expr, $now:expr, $site:expr) => {{
        let new = $new;
        let add =
            sqlx::query($crate::store::people::ADD).bind($id).bind($address).bind(new.password).bind(new.display_name);
        let added = add.bind(new.role.as_str()).bind($now).execute(&mut *$tx).await?.rows_affected() == 1;
        if added {
            sqlx::query($crate::store::people::ADD_PROFILE).bind($id).bind($now).execute(&mut *$tx).await?;
        }
        if added && !$site {
            let name = (!new.display_name.is_empty()).then_some(new.display_name);
            let add = sqlx::query($crate::store::people::ADD_NEXT_AUTH)
                .bind($id)
                .bind(name)
                .bind($address)
                .bind(new.verified_at);
            add.execute(&mut *$tx).await?;
        }
        added
    }};
}

pub(super) use add_person;

/// Creates a person, in `users`, `profile` and `next_auth_users`.
pub async fn create(db: &Db, new: &NewUser<'_>, now: DateTime<Utc>) -> Result<User, PeopleError> {
    let (id, address) = (UserId::new(), email(new.email)?);
    let added: sqlx::Result<bool> = in_tx!(db, tx => Ok(add_person!(tx, id, &address, new, now, false)));
    created(db, id, address, added?).await
}

/// Takes in a person whom an Auth.js site made, under the id that they have there.
pub async fn adopt(db: &Db, id: UserId, new: &NewUser<'_>, now: DateTime<Utc>) -> Result<User, PeopleError> {
    let address = email(new.email)?;
    let added: sqlx::Result<bool> = in_tx!(db, tx => Ok(add_person!(tx, id, &address, new, now, true)));
    created(db, id, address, added?).await
}

async fn created(db: &Db, id: UserId, address: String, added: bool) -> Result<User, PeopleError> {
    match added {
        true => by_id(db, id).await?.ok_or_else(|| sqlx::Error::RowNotFound.into()),
        false => Err(PeopleError::Taken(address)),
    }
}

/// The fact of `meta` that holds the hash of the code which makes the first SUPER-ADMIN.
pub const FIRST_CODE: &str = "first_code";

/// Whether somebody may do everything.
pub async fn has_super_admin(db: &Db) -> sqlx::Result<bool> {
    on!(db, pool => sqlx::query_scalar(HAS_SUPER_ADMIN).fetch_one(pool).await)
}

/// Uses the code with this hash up for the first SUPER-ADMIN. `None`: it is not the code, or there is a SUPER-ADMIN already.
pub async fn create_first(
    db: &Db,
    code: &str,
    new: &NewUser<'_>,
    entry: &Entry<'_>,
    now: DateTime<Utc>,
) -> Result<Option<User>, PeopleError> {
    let (id, address) = (UserId::new(), email(new.email)?);
    let new = NewUser { role: Role::SuperAdmin, ..new.clone() };
    let added: Result<bool, PeopleError> = in_tx!(db, tx => {
        if sqlx::query(TAKE_CODE).bind(FIRST_CODE).bind(code).execute(&mut *tx).await?.rows_affected() == 0 {
            return Ok(false);
        }
        if !add_person!(tx, id, &address, &new, now, false) {
            return Err(PeopleError::Taken(address.clone()));
        }
        let entry = Entry { actor: Some(id), subject: Some(id), ..entry.clone() };
        audit::note!(tx, &entry, now);
        Ok(true)
    });
    if added? { Ok(by_id(db, id).await?) } else { Ok(None) }
}

/// The person whom an Auth.js site knows under this id.
pub async fn site_user(db: &Db, id: UserId) -> sqlx::Result<Option<SiteUser>> {
    on!(db, pool => sqlx::query_as(NEXT_AUTH).bind(id).fetch_optional(pool).await)
}

/// The person with this address, in any case.
pub async fn by_email(db: &Db, address: &str) -> sqlx::Result<Option<User>> {
    let address = address.trim().to_lowercase();
    on!(db, pool => sqlx::query_as(BY_EMAIL).bind(address).fetch_optional(pool).await)
}

/// The person with this id.
pub async fn by_id(db: &Db, id: UserId) -> sqlx::Result<Option<User>> {
    on!(db, pool => sqlx::query_as(BY_ID).bind(id).fetch_optional(pool).await)
}

/// Everybody, by address.
pub async fn list(db: &Db) -> sqlx::Result<Vec<User>> {
    on!(db, pool => sqlx::query_as(LIST).fetch_all(pool).await)
}

/// Gives a person another role; false: there is no such person.
pub async fn set_role(db: &Db, id: UserId, role: Role, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let role = role.as_str();
    on_write!(db, pool => {
        let done = sqlx::query(SET_ROLE).bind(id).bind(role).bind(now).execute(pool).await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Up to `limit` people in the order that they came, from after `after`; those whose address contains `part`.
pub async fn page(db: &Db, after: Option<UserId>, part: Option<&str>, limit: i64) -> sqlx::Result<Vec<User>> {
    let escaped = |part: &str| part.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let part = part.map(|part| format!("%{}%", escaped(part)));
    on!(db, pool => sqlx::query_as(PAGE).bind(after).bind(part).bind(limit).fetch_all(pool).await)
}

/// How many others may do everything.
pub async fn other_super_admins(db: &Db, than: UserId) -> sqlx::Result<i64> {
    on!(db, pool => sqlx::query_scalar(OTHER_SUPER_ADMINS).bind(than).fetch_one(pool).await)
}

/// Gives a person another role, and notes it.
pub async fn give_role(db: &Db, id: UserId, role: Role, entry: &Entry<'_>, now: DateTime<Utc>) -> sqlx::Result<()> {
    in_tx!(db, tx => {
        sqlx::query(SET_ROLE).bind(id).bind(role.as_str()).bind(now).execute(&mut *tx).await?;
        audit::note!(tx, entry, now);
        Ok(())
    })
}

/// Suspends a person, which ends their sessions, or lets them in again; and notes it.
pub async fn suspend(
    db: &Db,
    id: UserId,
    since: Option<DateTime<Utc>>,
    entry: &Entry<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    in_tx!(db, tx => {
        sqlx::query(SUSPEND).bind(id).bind(since).bind(now).execute(&mut *tx).await?;
        if since.is_some() {
            sqlx::query(END_SESSIONS).bind(id).execute(&mut *tx).await?;
        }
        audit::note!(tx, entry, now);
        Ok(())
    })
}

/// How many people there are.
pub async fn count(db: &Db) -> sqlx::Result<i64> {
    on!(db, pool => sqlx::query_scalar(COUNT).fetch_one(pool).await)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_micros;
    use crate::testkit::databases;

    fn now() -> DateTime<Utc> {
        from_micros(1_800_000_000_123_456)
    }

    fn ann(email: &str) -> NewUser<'_> {
        NewUser { email, display_name: "Ann", role: Role::Admin, ..NewUser::default() }
    }

    #[tokio::test]
    async fn a_person_is_found_by_their_address_in_any_case_and_has_one_id_in_both_tables() {
        for t in databases().await {
            let made = create(&t.db, &ann(" Ann@Example.org "), now()).await.unwrap();
            assert_eq!((made.email.as_str(), made.role, made.created_at), ("ann@example.org", Role::Admin, now()));
            assert_eq!(by_email(&t.db, "ANN@example.ORG").await.unwrap(), Some(made.clone()), "{}", t.label);
            let sql = "SELECT id, email FROM next_auth_users";
            let other: (UserId, String) = on!(&t.db, pool => sqlx::query_as(sql).fetch_one(pool).await).unwrap();
            assert_eq!(other, (made.id, made.email), "{}", t.label);
        }
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_refused_and_leaves_nothing_behind() {
        for t in databases().await {
            create(&t.db, &ann("a@b"), now()).await.unwrap();
            let again = create(&t.db, &ann("A@B"), now()).await;
            assert!(matches!(again, Err(PeopleError::Taken(a)) if a == "a@b"), "{}", t.label);
            assert_eq!(count(&t.db).await.unwrap(), 1, "{}", t.label);
        }
    }

    async fn site(db: &Db, email: &str) -> UserId {
        let id = UserId::new();
        let sql = "INSERT INTO next_auth_users (id, email) VALUES ($1, $2)";
        on_write!(db, pool => sqlx::query(sql).bind(id).bind(email).execute(pool).await.map(drop)).unwrap();
        id
    }

    #[tokio::test]
    async fn a_person_whom_a_site_created_is_adopted_by_id() {
        for t in databases().await {
            let id = site(&t.db, "Site@B").await;
            assert_eq!(adopt(&t.db, id, &ann("site@b"), now()).await.unwrap().id, id, "{}", t.label);
            assert_eq!(site_user(&t.db, id).await.unwrap().unwrap().email.as_deref(), Some("Site@B"), "{}", t.label);
            assert!(matches!(adopt(&t.db, id, &ann("c@b"), now()).await, Err(PeopleError::Taken(_))), "{}", t.label);
        }
    }

    #[tokio::test]
    async fn whoever_claims_the_address_of_a_sites_user_is_somebody_else() {
        for t in databases().await {
            let id = site(&t.db, "Site@B").await;
            let claimed = create(&t.db, &ann("site@b"), now()).await.unwrap().id;
            assert_ne!(claimed, id, "{}", t.label);
            assert_eq!(site_user(&t.db, id).await.unwrap().unwrap().email.as_deref(), Some("Site@B"), "{}", t.label);
            assert_eq!(site_user(&t.db, claimed).await.unwrap().unwrap().email, None, "{}", t.label);
        }
    }

    #[tokio::test]
    async fn a_role_changes_for_the_person_named_alone() {
        for t in databases().await {
            let (a, b) =
                (create(&t.db, &ann("a@b"), now()).await.unwrap(), create(&t.db, &ann("b@b"), now()).await.unwrap());
            assert!(set_role(&t.db, a.id, Role::Viewer, now()).await.unwrap());
            assert!(!set_role(&t.db, UserId::new(), Role::Viewer, now()).await.unwrap());
            let role = async |u: &User| by_id(&t.db, u.id).await.unwrap().unwrap().role;
            assert_eq!((role(&a).await, role(&b).await), (Role::Viewer, Role::Admin), "{}", t.label);
        }
    }

    #[tokio::test]
    async fn people_are_paged_and_whoever_is_suspended_has_no_session_and_no_token() {
        use crate::store::{sessions, tokens};
        for t in databases().await {
            let (a, b) = (
                create(&t.db, &ann("a_a@b"), now()).await.unwrap(),
                create(&t.db, &ann("axa@b"), now()).await.unwrap(),
            );
            let all = page(&t.db, None, None, 10).await.unwrap();
            assert_eq!(all, [a.clone(), b.clone()], "{}", t.label);
            assert_eq!(page(&t.db, Some(a.id), None, 10).await.unwrap(), [b], "{}", t.label);
            assert_eq!(page(&t.db, None, Some("A_"), 10).await.unwrap(), std::slice::from_ref(&a), "{}", t.label);
            let (_, token) = tokens::create(&t.db, a.id, &tokens::NewToken::default(), now()).await.unwrap();
            let expires = now() + std::time::Duration::from_secs(60);
            let session =
                sessions::NewSession { user: a.id, token: "s", expires, agent: "", address: "", provider: None };
            sessions::open(&t.db, session, now()).await.unwrap();
            let opens = async || {
                let token = tokens::caller_by_token(&t.db, &tokens::hash(token.expose()), now()).await.unwrap();
                (sessions::by_token(&t.db, "s", now()).await.unwrap().is_some(), token.is_some())
            };
            assert_eq!(opens().await, (true, true), "{}", t.label);
            suspend(&t.db, a.id, Some(now()), &Entry::default(), now()).await.unwrap();
            assert_eq!(opens().await, (false, false), "{}", t.label);
            suspend(&t.db, a.id, None, &Entry::default(), now()).await.unwrap();
            assert_eq!(opens().await, (false, true), "{}: tokens work again, sessions are gone", t.label);
            give_role(&t.db, a.id, Role::SuperAdmin, &Entry::default(), now()).await.unwrap();
            assert_eq!(other_super_admins(&t.db, a.id).await.unwrap(), 0, "{}", t.label);
            assert_eq!(other_super_admins(&t.db, UserId::new()).await.unwrap(), 1, "{}", t.label);
        }
    }

    #[tokio::test]
    async fn the_first_code_makes_one_super_admin_and_is_not_used_up_by_a_slip() {
        for t in databases().await {
            create(&t.db, &ann("taken@b"), now()).await.unwrap();
            crate::store::meta::set(&t.db, FIRST_CODE, "hash").await.unwrap();
            let first = async |code, email| create_first(&t.db, code, &ann(email), &Entry::default(), now()).await;
            assert!(first("other", "a@b").await.unwrap().is_none(), "{}", t.label);
            assert!(matches!(first("hash", "taken@b").await, Err(PeopleError::Taken(_))), "{}", t.label);
            assert_eq!(first("hash", "a@b").await.unwrap().unwrap().role, Role::SuperAdmin, "{}", t.label);
            crate::store::meta::set(&t.db, FIRST_CODE, "hash").await.unwrap();
            assert!(first("hash", "c@b").await.unwrap().is_none(), "{}: there is one", t.label);
            assert!(has_super_admin(&t.db).await.unwrap(), "{}", t.label);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@b", "a".repeat(EMAIL_BYTES));
        for wrong in ["", "a", "@b", "a@", "a b@c", "a@b@c", "a\u{0}@b", &long] {
            assert!(email(wrong).is_err(), "{wrong}");
        }
        assert_eq!(email(" Demo@Localhost").unwrap(), "demo@localhost");
    }

    #[test]
    fn a_role_reads_in_any_case_and_a_wrong_one_is_told_which_there_are() {
        for role in Role::ALL {
            assert_eq!(role.as_str().to_lowercase().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert_eq!(
            "root".parse::<Role>(),
            Err("`root` is no role: there are SUPER-ADMIN, ADMIN, EDITOR, VIEWER".into())
        );
    }
}
