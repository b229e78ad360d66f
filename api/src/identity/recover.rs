//! A new password, a new address: by the old password, or by a link that is good once and not for long.

use engine::store::audit::Entry;
use engine::store::credentials::{self, Moved, Purpose};
use engine::store::{people, tokens};

use super::caller::Caller;
use super::{Identity, Origin, email, throttled, token};
use crate::rest::problem::{Kind, Problem};
use engine::port::Invalid;

/// Addresses that no mail reaches: those of people who came from a site that proved none.
const UNREACHABLE: &str = ".invalid";

impl Identity {
    /// Changes the caller's password; every other session of theirs ends.
    ///
    /// # Errors
    /// 403 where the old one is wrong, 409 where they have none, 422 where the new one will not do, 429.
    pub async fn change_password(&self, caller: &Caller, old: &str, new: &str, origin: &Origin) -> Result<(), Problem> {
        let person = self.proved(caller, old, origin).await?;
        if person.password.is_none() {
            let why = "you have no password yet: ask for a link that sets one (POST /v1/auth/password/forgot)";
            return Err(Problem::new(Kind::Conflict, why));
        }
        self.strong("/new", new, &[&person.email, &person.display_name])?;
        let (hash, from) = (self.hash(new).await?, origin.address.to_string());
        let (actor, subject) = (Some(caller.user), Some(caller.user));
        let entry = Entry { actor, subject, action: "password_changed", address: &from, ..Entry::default() };
        credentials::set_password(&self.db, caller.user, &hash, caller.session(), &entry, self.clock.now()).await?;
        self.mail(self.letters.happened(&person.email, "Your password was changed"));
        Ok(())
    }

    /// Mails a link for a new password to whoever has this address.
    ///
    /// # Errors
    /// 422 for what is no address, 429.
    pub async fn forgot(&self, address: &str, origin: &Origin) -> Result<(), Problem> {
        throttled(&self.throttle.sign_up_address, origin.address.counted())?;
        let (address, link, now) = (email(address)?, token::random(), self.clock.now());
        let known = credentials::by_email(&self.db, &address).await?;
        let subject = known.as_ref().map(|person| person.id);
        let from = origin.address.to_string();
        let entry = Entry { subject, action: "asked_for_password", address: &from, ..Entry::default() };
        let reachable = known.filter(|p| p.suspended_at.is_none() && !p.email.ends_with(UNREACHABLE));
        let purpose = reachable.as_ref().map(|person| Purpose::Reset(person.id));
        let issued = purpose.as_ref().map(|purpose| (purpose, tokens::hash(&link)));
        let good_for = self.settings.people.reset;
        credentials::issue(&self.db, issued, now + good_for.duration(), &entry, now).await?;
        if reachable.is_some() {
            self.mail_asked(self.letters.reset(&address, &link, &good_for.to_string()));
        }
        Ok(())
    }

    /// Sets a new password by a mailed link; every session of its person ends.
    ///
    /// # Errors
    /// 422 where the link is not good, or the password will not do; 429.
    pub async fn reset(&self, link: &str, new: &str, origin: &Origin) -> Result<(), Problem> {
        throttled(&self.throttle.sign_in_address, origin.address.counted())?;
        let (hash, now) = (tokens::hash(link), self.clock.now());
        let Some(Purpose::Reset(user)) = credentials::peek(&self.db, hash, now).await? else { return Err(no_link()) };
        let person = credentials::by_id(&self.db, user).await?.ok_or_else(no_link)?;
        self.strong("/password", new, &[&person.email, &person.display_name])?;
        let (password, from) = (self.hash(new).await?, origin.address.to_string());
        let entry = Entry { action: "password_reset", address: &from, ..Entry::default() };
        let person = credentials::reset(&self.db, hash, &password, &entry, now).await?.ok_or_else(no_link)?;
        self.mail(self.letters.happened(&person.email, "Your password was changed"));
        Ok(())
    }

    /// Mails a link to the address that the caller wants to have, and word of it to the one they have.
    ///
    /// # Errors
    /// 403 where the password is wrong, 422 for what is no address, 429.
    pub async fn ask_email(
        &self,
        caller: &Caller,
        wanted: &str,
        password: &str,
        origin: &Origin,
    ) -> Result<(), Problem> {
        throttled(&self.throttle.sign_up_address, origin.address.counted())?;
        let wanted = email(wanted)?;
        let person = self.proved(caller, password, origin).await?;
        let (link, now, from) = (token::random(), self.clock.now(), origin.address.to_string());
        let taken = people::by_email(&self.db, &wanted).await?.is_some();
        let purpose = Purpose::Email(caller.user, wanted.clone());
        let issued = (!taken).then(|| (&purpose, tokens::hash(&link)));
        let (actor, subject) = (Some(caller.user), Some(caller.user));
        let entry = Entry { actor, subject, action: "asked_for_address", address: &from, ..Entry::default() };
        let good_for = self.settings.people.confirm;
        credentials::issue(&self.db, issued, now + good_for.duration(), &entry, now).await?;
        match taken {
            true => self.mail_asked(self.letters.wanted(&wanted)),
            false => self.mail_asked(self.letters.new_address(&wanted, &link, &good_for.to_string())),
        }
        if !person.email.ends_with(UNREACHABLE) {
            let what = "Somebody asked to move your account to another e-mail address";
            self.mail(self.letters.happened(&person.email, what));
        }
        Ok(())
    }

    /// Gives a person the address that their link proves.
    ///
    /// # Errors
    /// 409 where somebody took it meanwhile, 422 where the link is not good, 429.
    pub async fn confirm_email(&self, link: &str, origin: &Origin) -> Result<String, Problem> {
        throttled(&self.throttle.sign_in_address, origin.address.counted())?;
        let (hash, now, from) = (tokens::hash(link), self.clock.now(), origin.address.to_string());
        let Some(Purpose::Email(user, _)) = credentials::peek(&self.db, hash, now).await? else {
            return Err(no_link());
        };
        let before = people::by_id(&self.db, user).await?.ok_or_else(no_link)?.email;
        let entry = Entry { action: "address_changed", address: &from, ..Entry::default() };
        match credentials::change_email(&self.db, hash, &entry, now).await? {
            Moved::To(_, address) => {
                if !before.ends_with(UNREACHABLE) {
                    self.mail(self.letters.happened(&before, "Your account has another e-mail address now"));
                }
                Ok(address)
            }
            Moved::Taken => Err(Problem::new(Kind::Conflict, "somebody else has this address now")),
            Moved::Unknown => Err(no_link()),
        }
    }
}

fn no_link() -> Problem {
    Problem::invalid(vec![Invalid::new("/token", "is unknown, used or too old: ask for a new link")])
}
