//! Leaving: a person deletes their account, with everything, by their password.

use engine::store::audit::Entry;
use engine::store::leaving;
use engine::store::people::{self, Role};
use engine::store::sources::Touched;

use super::caller::Caller;
use super::{Identity, Origin};
use crate::rest::problem::{Kind, Problem};

impl Identity {
    /// Deletes the caller with everything that is theirs, and gives the sources whose owners have to hear of it.
    ///
    /// # Errors
    /// 403 where the password is wrong, 409 where nobody would be left who may do everything, 429.
    pub async fn leave(&self, caller: &Caller, password: &str, origin: &Origin) -> Result<Vec<Touched>, Problem> {
        let person = self.proved(caller, password, origin).await?;
        if caller.role == Role::SuperAdmin && people::other_super_admins(&self.db, caller.user).await? == 0 {
            let why = "you are the last SUPER-ADMIN: make another one first (PATCH /v1/admin/users/{id})";
            return Err(Problem::new(Kind::Conflict, why));
        }
        let from = origin.address.to_string();
        let (actor, subject) = (Some(caller.user), Some(caller.user));
        let entry = Entry { actor, subject, action: "left", address: &from, ..Entry::default() };
        let touched = leaving::leave(&self.db, caller.user, &entry, self.clock.now()).await?;
        self.mail(self.letters.left(&person.email));
        Ok(touched)
    }
}
