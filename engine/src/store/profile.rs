//! What a person says of themselves, and their pictures. Every statement carries the person.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use super::Db;
use crate::ids::UserId;
use crate::{in_tx, on};

/// Pictures that a person may keep.
pub const AVATARS: i64 = 20;

const GET: &str = "SELECT u.id, u.email, u.role, u.display_name, u.username, u.first_name, u.last_name, u.phone, u.city, u.info,
    u.image, u.is_google_authed, u.auth_provider, COALESCE(p.description, '') AS description, p.last_login, u.created_at,
    u.updated_at, n.\"emailVerified\" AS email_verified_at, u.password IS NOT NULL AS has_password
    FROM users u LEFT JOIN profile p ON p.user_id = u.id LEFT JOIN next_auth_users n ON n.id = u.id WHERE u.id = $1";
const SET: &str =
    "UPDATE users SET display_name = $2, username = $3, first_name = $4, last_name = $5, phone = $6, city = $7,
    info = $8, updated_at = $9 WHERE id = $1
    AND NOT EXISTS (SELECT 1 FROM users WHERE lower(username) = lower($3) AND id <> $1)";
const SET_NAME: &str = "UPDATE next_auth_users SET name = $2 WHERE id = $1";
const DESCRIBE: &str = "INSERT INTO profile (user_id, description, created_at) VALUES ($1, $2, $3)
    ON CONFLICT (user_id) DO UPDATE SET description = excluded.description";
const AVATAR: &str =
    "SELECT id, is_active, is_random, media_type, uploaded_at FROM avatars WHERE user_id = $1 ORDER BY id";
const COUNT: &str = "SELECT COUNT(*) FROM avatars WHERE user_id = $1";
const ADD: &str = "INSERT INTO avatars (id, user_id, is_active, is_random, media_type, body, uploaded_at)
    VALUES ($1, $2, FALSE, $3, $4, $5, $6)";
const BODY: &str = "SELECT media_type, body FROM avatars WHERE user_id = $1 AND id = $2";
const ACTIVE: &str = "SELECT media_type, body FROM avatars WHERE user_id = $1 AND is_active";
const NONE_ACTIVE: &str = "UPDATE avatars SET is_active = FALSE WHERE user_id = $1 AND is_active";
const ACTIVATE: &str = "UPDATE avatars SET is_active = TRUE WHERE user_id = $1 AND id = $2";
const IMAGE: &str = "UPDATE users SET image = $2, updated_at = $3 WHERE id = $1";
const REMOVE: &str = "DELETE FROM avatars WHERE user_id = $1 AND id = $2 RETURNING is_active";

/// A person as they see themselves.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct Profile {
    /// The id.
    pub id: UserId,
    /// Where mail goes.
    pub email: String,
    /// What they may do.
    pub role: String,
    /// How they are shown.
    pub display_name: String,
    /// Unique, in any case.
    pub username: Option<String>,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
    /// The telephone.
    pub phone: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// A line about them.
    pub info: String,
    /// Where their picture is.
    pub image: Option<String>,
    /// Whether they signed in with Google.
    pub is_google_authed: bool,
    /// How they came: `email`, `google` …
    pub auth_provider: String,
    /// What they say of themselves.
    pub description: String,
    /// When they last signed in.
    pub last_login: Option<DateTime<Utc>>,
    /// When they came.
    pub created_at: DateTime<Utc>,
    /// When they last changed something here.
    pub updated_at: DateTime<Utc>,
    /// When the address was proved.
    pub email_verified_at: Option<DateTime<Utc>>,
    /// Whether they can sign in with a password.
    pub has_password: bool,
}

/// A picture, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct Avatar {
    /// Its id.
    pub id: Uuid,
    /// Whether it is the one that is shown.
    pub is_active: bool,
    /// Whether it was drawn from its id.
    pub is_random: bool,
    /// `image/png` or `image/svg+xml`.
    pub media_type: String,
    /// When it came.
    pub uploaded_at: DateTime<Utc>,
}

/// A picture's bytes.
#[derive(Clone, Debug, FromRow)]
pub struct Picture {
    /// What they are.
    pub media_type: String,
    /// Themselves.
    pub body: Vec<u8>,
}

/// The profile of `user`.
pub async fn get(db: &Db, user: UserId) -> sqlx::Result<Option<Profile>> {
    on!(db, pool => sqlx::query_as(GET).bind(user).fetch_optional(pool).await)
}

/// Stores what a person may change of `profile`; false: the user name is somebody else's.
pub async fn set(db: &Db, profile: &Profile, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let p = profile;
    in_tx!(db, tx => {
        let set = sqlx::query(SET).bind(p.id).bind(&p.display_name).bind(&p.username).bind(&p.first_name);
        let set = set.bind(&p.last_name).bind(&p.phone).bind(&p.city).bind(&p.info).bind(now);
        if set.execute(&mut *tx).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let name = (!p.display_name.is_empty()).then_some(&p.display_name);
        sqlx::query(SET_NAME).bind(p.id).bind(name).execute(&mut *tx).await?;
        sqlx::query(DESCRIBE).bind(p.id).bind(&p.description).bind(now).execute(&mut *tx).await?;
        Ok(true)
    })
}

/// The pictures of `user`, the oldest first.
pub async fn avatars(db: &Db, user: UserId) -> sqlx::Result<Vec<Avatar>> {
    on!(db, pool => sqlx::query_as(AVATAR).bind(user).fetch_all(pool).await)
}

/// Keeps a picture under an id that was chosen before; false: there are as many as may be.
pub async fn add_avatar(
    db: &Db,
    user: UserId,
    id: Uuid,
    random: bool,
    picture: &Picture,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    in_tx!(db, tx => {
        let there: i64 = sqlx::query_scalar(COUNT).bind(user).fetch_one(&mut *tx).await?;
        if there >= AVATARS {
            return Ok(false);
        }
        let add = sqlx::query(ADD).bind(id).bind(user).bind(random).bind(&picture.media_type).bind(&picture.body);
        add.bind(now).execute(&mut *tx).await?;
        Ok(true)
    })
}

/// A picture of `user`.
pub async fn picture(db: &Db, user: UserId, id: Uuid) -> sqlx::Result<Option<Picture>> {
    on!(db, pool => sqlx::query_as(BODY).bind(user).bind(id).fetch_optional(pool).await)
}

/// The picture that `user` shows.
pub async fn active(db: &Db, user: UserId) -> sqlx::Result<Option<Picture>> {
    on!(db, pool => sqlx::query_as(ACTIVE).bind(user).fetch_optional(pool).await)
}

/// Shows a picture of `user`, found at `image`; false: they have no such picture.
pub async fn activate(db: &Db, user: UserId, id: Uuid, image: &str, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let done: sqlx::Result<()> = in_tx!(db, tx => {
        sqlx::query(NONE_ACTIVE).bind(user).execute(&mut *tx).await?;
        let shown = sqlx::query(ACTIVATE).bind(user).bind(id).execute(&mut *tx).await?.rows_affected();
        sqlx::query(IMAGE).bind(user).bind(image).bind(now).execute(&mut *tx).await?;
        // What was shown before stays where there is no such picture.
        if shown == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
    });
    match done {
        Err(sqlx::Error::RowNotFound) => Ok(false),
        done => done.map(|()| true),
    }
}

/// Deletes a picture of `user`; false: they have no such picture.
pub async fn remove_avatar(db: &Db, user: UserId, id: Uuid, now: DateTime<Utc>) -> sqlx::Result<bool> {
    in_tx!(db, tx => {
        let was: Option<bool> = sqlx::query_scalar(REMOVE).bind(user).bind(id).fetch_optional(&mut *tx).await?;
        if was == Some(true) {
            sqlx::query(IMAGE).bind(user).bind(None::<String>).bind(now).execute(&mut *tx).await?;
        }
        Ok(was.is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_micros;
    use crate::store::people::{self, NewUser};
    use crate::testkit::databases;

    fn now() -> DateTime<Utc> {
        from_micros(1_800_000_000_000_000)
    }

    async fn user(db: &Db, email: &str) -> UserId {
        people::create(db, &NewUser { email, ..Default::default() }, now()).await.unwrap().id
    }

    #[tokio::test]
    async fn a_profile_is_stored_but_for_what_is_not_a_persons_own_to_change() {
        for t in databases().await {
            let (ann, bob) = (user(&t.db, "ann@b").await, user(&t.db, "bob@b").await);
            let mut profile = get(&t.db, ann).await.unwrap().unwrap();
            profile.username = Some("Ann".into());
            profile.description = "climbs".into();
            profile.role = "SUPER-ADMIN".into();
            profile.email = "other@b".into();
            assert!(set(&t.db, &profile, now()).await.unwrap(), "{}", t.label);
            let got = get(&t.db, ann).await.unwrap().unwrap();
            assert_eq!((got.description.as_str(), got.username.as_deref()), ("climbs", Some("Ann")), "{}", t.label);
            assert_eq!((got.role.as_str(), got.email.as_str()), ("EDITOR", "ann@b"), "{}", t.label);
            let mut other = get(&t.db, bob).await.unwrap().unwrap();
            other.username = Some("aNN".into());
            assert!(!set(&t.db, &other, now()).await.unwrap(), "{}: somebody else's name", t.label);
        }
    }

    #[tokio::test]
    async fn one_picture_is_shown_at_most_and_nobody_elses_is_touched() {
        for t in databases().await {
            let (ann, bob) = (user(&t.db, "ann@b").await, user(&t.db, "bob@b").await);
            let picture = Picture { media_type: "image/png".into(), body: vec![0, 1, 255] };
            let ids: Vec<Uuid> = (0..AVATARS).map(|_| Uuid::now_v7()).collect();
            for id in &ids {
                assert!(add_avatar(&t.db, ann, *id, false, &picture, now()).await.unwrap());
            }
            let one_more = add_avatar(&t.db, ann, Uuid::now_v7(), false, &picture, now()).await.unwrap();
            assert!(!one_more, "{}: there are enough", t.label);
            for id in &ids[..2] {
                assert!(activate(&t.db, ann, *id, "/v1/avatars/x", now()).await.unwrap(), "{}", t.label);
            }
            assert!(!activate(&t.db, bob, ids[0], "x", now()).await.unwrap(), "{}: somebody else's", t.label);
            assert!(!activate(&t.db, ann, Uuid::now_v7(), "x", now()).await.unwrap(), "{}", t.label);
            assert!(!remove_avatar(&t.db, bob, ids[1], now()).await.unwrap(), "{}", t.label);
            let shown: Vec<Uuid> =
                avatars(&t.db, ann).await.unwrap().iter().filter(|a| a.is_active).map(|a| a.id).collect();
            assert_eq!(shown, [ids[1]], "{}", t.label);
            assert_eq!(active(&t.db, ann).await.unwrap().unwrap().body, [0, 1, 255], "{}", t.label);
            assert!(get(&t.db, ann).await.unwrap().unwrap().image.is_some(), "{}", t.label);
            assert!(remove_avatar(&t.db, ann, ids[1], now()).await.unwrap(), "{}", t.label);
            assert!(active(&t.db, ann).await.unwrap().is_none(), "{}", t.label);
            assert_eq!(get(&t.db, ann).await.unwrap().unwrap().image, None, "{}", t.label);
            assert!(picture_of(&t.db, bob, ids[0]).await.is_none(), "{}", t.label);
        }
    }

    async fn picture_of(db: &Db, user: UserId, id: Uuid) -> Option<Picture> {
        picture(db, user, id).await.unwrap()
    }
}
