//! Signing in and out by a password. One answer for whoever does not fit, and one hash for whoever tries.

use engine::ids::UserId;
use engine::store::audit::{self, Entry};
use engine::store::credentials::{self, Credentials};
use engine::store::{people, sessions};

use super::caller::Caller;
use super::password::Checked;
use super::sessions::Opened;
use super::{Identity, Origin, throttled, unhashed};
use crate::rest::problem::{Kind, Problem};

impl Identity {
    /// Signs somebody in.
    ///
    /// # Errors
    /// 401 where address and password do not fit, 403 where their person is suspended, 429, 503 where too many sign in at once.
    pub async fn sign_in(&self, address: &str, password: &str, origin: &Origin) -> Result<(UserId, Opened), Problem> {
        let address = address.trim().to_lowercase();
        throttled(&self.throttle.sign_in_address, origin.address.counted())?;
        throttled(&self.throttle.sign_in_user, &address)?;
        // What is no address is nobody's, and costs as much.
        let found = match people::email(&address) {
            Ok(address) => credentials::by_email(&self.db, &address).await?,
            Err(_) => None,
        };
        let stored = found.as_ref().and_then(|person| person.password.as_deref());
        let checked = self.passwords.check(password, stored).await.map_err(unhashed)?;
        let Some(person) = found.as_ref().filter(|_| checked != Checked::Wrong) else {
            self.note("sign_in_failed", found.as_ref().map(|person| person.id), None, origin).await?;
            let detail = "the address or the password is wrong";
            return Err(Problem::unauthorized(detail, "Bearer realm=\"area\""));
        };
        if person.suspended_at.is_some() {
            self.note("sign_in_refused", Some(person.id), None, origin).await?;
            return Err(Problem::new(Kind::Forbidden, "this account is suspended: ask an administrator"));
        }
        if let (Checked::Upgraded(better), Some(old)) = (&checked, &person.password) {
            credentials::upgrade(&self.db, person.id, old, better).await?;
        }
        let opened = self.open(person.id, None, origin).await?;
        Ok((person.id, opened))
    }

    /// Ends one session of the caller; 404 where it is none of theirs.
    ///
    /// # Errors
    /// As said, or the database's.
    pub async fn end(&self, caller: &Caller, session: uuid::Uuid, origin: &Origin) -> Result<(), Problem> {
        if !sessions::end(&self.db, caller.user, session).await? {
            return Err(Problem::no("session"));
        }
        self.note("signed_out", Some(caller.user), Some(caller.user), origin).await
    }

    /// Ends every session of the caller and tells how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn end_all(&self, caller: &Caller, origin: &Origin) -> Result<u64, Problem> {
        let ended = sessions::end_others(&self.db, caller.user, None).await?;
        self.note("signed_out_everywhere", Some(caller.user), Some(caller.user), origin).await?;
        Ok(ended)
    }

    /// The caller, who has shown their password once more. Who has none has nothing to show.
    ///
    /// # Errors
    /// 403 where it is wrong, 429.
    pub(super) async fn proved(
        &self,
        caller: &Caller,
        password: &str,
        origin: &Origin,
    ) -> Result<Credentials, Problem> {
        throttled(&self.throttle.sign_in_user, caller.email.as_str())?;
        let person = credentials::by_id(&self.db, caller.user).await?.ok_or_else(|| Problem::no("account"))?;
        let Some(stored) = person.password.as_deref() else { return Ok(person) };
        if self.passwords.check(password, Some(stored)).await.map_err(unhashed)? == Checked::Wrong {
            self.note("password_failed", Some(caller.user), Some(caller.user), origin).await?;
            return Err(Problem::new(Kind::Forbidden, "the password is wrong"));
        }
        Ok(person)
    }

    /// Whether the caller shows once more who they are: by their password, where they have one.
    ///
    /// # Errors
    /// 403 where it is wrong, 429.
    pub async fn is_shown(&self, caller: &Caller, password: Option<&str>, origin: &Origin) -> Result<bool, Problem> {
        if let Some(password) = password {
            return self.proved(caller, password, origin).await.map(|_| true);
        }
        let person = credentials::by_id(&self.db, caller.user).await?.ok_or_else(|| Problem::no("account"))?;
        Ok(person.password.is_none())
    }

    /// Notes that an account was linked or unlinked.
    ///
    /// # Errors
    /// The database's.
    pub async fn note_account(
        &self,
        action: &str,
        user: UserId,
        provider: &str,
        who: Option<&str>,
        origin: &Origin,
    ) -> Result<(), Problem> {
        let (address, detail) = (origin.address.to_string(), account_words(provider, who));
        let entry = Entry { actor: Some(user), subject: Some(user), action, address: &address, detail: &detail };
        Ok(audit::add(&self.db, &entry, self.clock.now()).await?)
    }

    pub(super) async fn note(
        &self,
        action: &str,
        subject: Option<UserId>,
        actor: Option<UserId>,
        origin: &Origin,
    ) -> Result<(), Problem> {
        let address = origin.address.to_string();
        let entry = Entry { actor, subject, action, address: &address, ..Entry::default() };
        Ok(audit::add(&self.db, &entry, self.clock.now()).await?)
    }
}

/// An account at a provider, as the audit log names it.
pub(super) fn account_words(provider: &str, who: Option<&str>) -> String {
    who.map_or_else(|| provider.to_owned(), |who| format!("{provider}: {who}"))
}
