//! Whose AREAs a command speaks of.

use engine::store::Db;
use engine::store::people::{self, User};

use super::{Code, Failure};
use crate::apply::samples;

/// The user with this address.
pub async fn named(db: &Db, email: &str) -> Result<User, Failure> {
    let none = || {
        let mend = format!("area user create --email {email}");
        Failure::new(Code::NotFound, format!("there is no user with the e-mail address {email}; create one: {mend}"))
    };
    people::by_email(db, email).await?.ok_or_else(none)
}

/// The user with this address; without one the only user there is, the examples' owner aside.
pub async fn of(db: &Db, email: Option<&str>) -> Result<User, Failure> {
    if let Some(email) = email {
        return named(db, email).await;
    }
    let all = people::list(db).await?;
    let (examples, mut others): (Vec<User>, Vec<User>) = all.into_iter().partition(|u| u.email == samples::OWNER);
    match (others.pop(), others.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => examples.into_iter().next().ok_or_else(|| {
            Failure::new(Code::NotFound, "there is no user yet; create one: area user create --email me@example.org")
        }),
        (Some(_), false) => {
            Err(Failure::new(Code::Usage, "there are several users: say whose AREAs you mean with --user"))
        }
    }
}
