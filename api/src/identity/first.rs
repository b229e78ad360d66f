//! The first SUPER-ADMIN: by a code that the daemon prints at its start as long as there is none. Who reads that is the operator; who
//! merely comes first is nobody.

use engine::secret::Secret;
use engine::store::audit::Entry;
use engine::store::people::{self, NewUser, PeopleError, User};
use engine::store::{Db, meta, tokens};

use super::sign_up::SignUp;
use super::{Identity, Origin, throttled, token};
use crate::rest::problem::{Kind, Problem};

/// A new code, in the place of an earlier one; `None`: there is a SUPER-ADMIN.
///
/// # Errors
/// The database's.
pub async fn code(db: &Db) -> sqlx::Result<Option<Secret>> {
    if people::has_super_admin(db).await? {
        return Ok(None);
    }
    let code = token::code();
    meta::set(db, people::FIRST_CODE, &stored(code.expose())).await?;
    Ok(Some(code))
}

fn stored(code: &str) -> String {
    hex::encode(tokens::hash(code.trim()))
}

impl Identity {
    /// Makes the first SUPER-ADMIN.
    ///
    /// # Errors
    /// 403 where the code is not the one that was printed last, 409 where the address is taken, 422, 429.
    pub async fn first(&self, code: &str, new: &SignUp, origin: &Origin) -> Result<User, Problem> {
        throttled(&self.throttle.sign_up_address, origin.address.counted())?;
        let (email, password) = self.accepted(new).await?;
        let person =
            NewUser { email: &email, display_name: &new.name, password: Some(&password), ..NewUser::default() };
        let from = origin.address.to_string();
        let entry = Entry { action: "first_super_admin", address: &from, ..Entry::default() };
        match people::create_first(&self.db, &stored(code), &person, &entry, self.clock.now()).await {
            Ok(Some(user)) => Ok(user),
            Ok(None) => {
                let why =
                    "the code is not the one that the daemon printed at its last start, or there is a SUPER-ADMIN";
                Err(Problem::new(Kind::Forbidden, why))
            }
            Err(PeopleError::Taken(_)) => {
                let mend =
                    "this address has an account already: `area token create --role SUPER-ADMIN` changes its role";
                Err(Problem::new(Kind::Conflict, mend))
            }
            Err(PeopleError::Sqlx(error)) => Err(error.into()),
            Err(error @ PeopleError::Email(_)) => Err(Problem::internal(error)),
        }
    }
}
