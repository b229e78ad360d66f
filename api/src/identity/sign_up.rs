//! Signing up: a password and a mailed link. The link opens nothing without the password that was chosen with it, so whoever signs
//! somebody else's address up gains nothing when that person opens it. Whether an address is known shows in no answer: the same
//! words, the same work, one letter either way.

use engine::port::Invalid;
use engine::store::audit::{self, Entry};
use engine::store::pending::{self, NewPending};
use engine::store::people::User;
use engine::store::{credentials, tokens};
use serde::Deserialize;

use super::password::Checked;
use super::sessions::Opened;
use super::{Identity, Origin, email, throttled, token, unhashed};
use crate::rest::problem::{Kind, Problem};

/// Characters of a name.
pub const NAME_CHARS: usize = 100;
/// Characters of what somebody says of themselves.
pub const INFO_CHARS: usize = 1_000;

/// Who signs up.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignUp {
    /// Where the link goes.
    pub email: String,
    /// The password.
    pub password: String,
    /// How they want to be shown.
    #[serde(default)]
    pub name: String,
    /// What they say of themselves.
    #[serde(default)]
    pub info: String,
}

impl Identity {
    /// Takes a sign-up and mails its link.
    ///
    /// # Errors
    /// 403 where nobody may sign up, 422 for what is wrong with it, 429.
    pub async fn register(&self, new: &SignUp, origin: &Origin) -> Result<(), Problem> {
        throttled(&self.throttle.sign_up_address, origin.address.counted())?;
        if !self.settings.people.open {
            return Err(Problem::new(Kind::Forbidden, "nobody may sign up here: ask an administrator"));
        }
        let (address, password) = self.accepted(new).await?;
        let from = origin.address.to_string();
        let known = credentials::by_email(&self.db, &address).await?;
        let subject = known.as_ref().map(|person| person.id);
        let entry = Entry { subject, action: "signed_up", address: &from, ..Entry::default() };
        if known.is_some() {
            audit::add(&self.db, &entry, self.clock.now()).await?;
            self.mail_asked(self.letters.known(&address));
            return Ok(());
        }
        let (link, now) = (token::random(), self.clock.now());
        let expires_at = now + self.settings.people.confirm.duration();
        let hash = tokens::hash(&link);
        let (name, info) = (new.name.trim(), new.info.trim());
        let pending = NewPending { email: &address, password: &password, name, info, token: hash, expires_at };
        pending::add(&self.db, pending, &entry, now).await?;
        self.mail_asked(self.letters.verify(&address, &link, &self.settings.people.confirm.to_string()));
        Ok(())
    }

    /// The address and the hashed password of a sign-up that will do.
    pub(super) async fn accepted(&self, new: &SignUp) -> Result<(String, String), Problem> {
        let address = email(&new.email)?;
        let long = |at: &str, text: &str, most: usize| {
            (text.chars().count() > most).then(|| Invalid::new(at, format!("must have {most} characters or fewer")))
        };
        let odd = |at: &str, text: &str| {
            let odd = text.contains(|c: char| c.is_control() && c != '\n');
            odd.then(|| Invalid::new(at, "must have no control characters"))
        };
        let lengths = long("/name", &new.name, NAME_CHARS).into_iter().chain(long("/info", &new.info, INFO_CHARS));
        let wrong: Vec<Invalid> = lengths.chain(odd("/name", &new.name)).chain(odd("/info", &new.info)).collect();
        if !wrong.is_empty() {
            return Err(Problem::invalid(wrong));
        }
        self.strong("/password", &new.password, &[&address, &new.name])?;
        let hash = self.hash(&new.password).await?;
        Ok((address, hash))
    }

    /// Mails the link of a sign-up again; the one before ends.
    ///
    /// # Errors
    /// 422 for what is no address, 429.
    pub async fn resend(&self, address: &str, origin: &Origin) -> Result<(), Problem> {
        throttled(&self.throttle.sign_up_address, origin.address.counted())?;
        let (address, link, now) = (email(address)?, token::random(), self.clock.now());
        let from = origin.address.to_string();
        let known = credentials::by_email(&self.db, &address).await?;
        let subject = known.as_ref().map(|person| person.id);
        let entry = Entry { subject, action: "asked_for_link", address: &from, ..Entry::default() };
        let expires = now + self.settings.people.confirm.duration();
        let waits = pending::again(&self.db, &address, tokens::hash(&link), expires, &entry, now).await?;
        match (known.is_some(), waits) {
            (true, _) => self.mail_asked(self.letters.known(&address)),
            (false, true) => {
                self.mail_asked(self.letters.verify(&address, &link, &self.settings.people.confirm.to_string()));
            }
            (false, false) => {}
        }
        Ok(())
    }

    /// Makes a person of a sign-up, by its link and its password, and signs them in.
    ///
    /// # Errors
    /// 401 where they do not fit, 409 where the address was taken meanwhile, 429.
    pub async fn verify(&self, link: &str, password: &str, origin: &Origin) -> Result<(User, Opened), Problem> {
        throttled(&self.throttle.sign_in_address, origin.address.counted())?;
        let now = self.clock.now();
        let found = pending::by_token(&self.db, &tokens::hash(link), now).await?;
        let stored = found.as_ref().map(|pending| pending.password.as_str());
        let checked = self.passwords.check(password, stored).await.map_err(unhashed)?;
        let Some(pending) = found else { return Err(unfit()) };
        if checked == Checked::Wrong {
            pending::tried(&self.db, pending.id, now).await?;
            return Err(unfit());
        }
        let from = origin.address.to_string();
        let (actor, subject) = (Some(pending.id), Some(pending.id));
        let entry = Entry { actor, subject, action: "joined", address: &from, ..Entry::default() };
        let made = pending::settle(&self.db, &pending, &entry, now).await?;
        let user = made.ok_or_else(|| Problem::new(Kind::Conflict, "this address has an account already: sign in"))?;
        let opened = self.open(user.id, None, origin).await?;
        Ok((user, opened))
    }
}

fn unfit() -> Problem {
    let detail = "the link is unknown, used or too old, or this is not the password that was chosen with it";
    Problem::unauthorized(detail, "Bearer realm=\"area\"")
}
