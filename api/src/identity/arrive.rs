//! Signing in with an account at a provider, and signing up with one. `link` decides whose an arrival is; here it is done: signed in,
//! made a person, linked, or refused with what to do.

use engine::ids::{AccountId, UserId};
use engine::store::arrivals::{self, ArrivalError};
use engine::store::audit::Entry;
use engine::store::links::{self, Known};
use engine::store::people::{self, NewUser};
use engine::vault::Vault;
use engine::vault::connect::Arrived;

use super::caller::Caller;
use super::link::{Arrival, Whose, whose};
use super::rights::Need;
use super::sessions::Opened;
use super::sign_in::account_words;
use super::sign_up::NAME_CHARS;
use super::{Identity, Origin, throttled};
use crate::rest::problem::{Kind, Problem};

/// How often it is decided again because somebody was faster.
const TRIES: u32 = 3;

/// What became of an arrival.
#[derive(Debug)]
pub enum Welcome {
    /// They are signed in.
    SignedIn(UserId, Opened),
    /// They are new, and signed in.
    SignedUp(UserId, Opened),
    /// They were signed in, and may sign in with the account from now on.
    Linked(UserId),
}

impl Identity {
    /// Lets in who came back from a provider. `caller`: whose session the browser has.
    ///
    /// # Errors
    /// 403 where nobody may sign up, where they are suspended, may not link or did not prove who they are; 409 where the account is
    /// somebody else's, or who they are must be shown another way first; 429.
    pub async fn arrive(
        &self,
        vault: &Vault,
        arrived: &Arrived,
        caller: Option<&Caller>,
        origin: &Origin,
    ) -> Result<Welcome, Problem> {
        let title = vault.provider(&arrived.provider).map_or(arrived.provider.as_str(), |p| p.title.as_str());
        for _ in 0..TRIES {
            let known = links::find(&self.db, &arrived.provider, &arrived.id).await?;
            let arrival = self.arrival(arrived, known.as_ref(), caller).await?;
            let welcome = match (whose(&arrival), caller) {
                (Whose::SignIn(owner), _) => self.arrive_as(owner, arrived, origin).await?,
                (Whose::Link(_), Some(caller)) => self.choose(vault, arrived, known.as_ref(), caller, origin).await?,
                (Whose::SignUp(address), _) => self.join(vault, arrived, &address, origin).await?,
                (not, _) => return Err(refused(&not, title)),
            };
            if let Some(welcome) = welcome {
                return Ok(welcome);
            }
        }
        Err(Problem::new(Kind::Conflict, "the account changed hands meanwhile: begin again"))
    }

    async fn arrival(
        &self,
        arrived: &Arrived,
        known: Option<&Known>,
        caller: Option<&Caller>,
    ) -> Result<Arrival, Problem> {
        let email = arrived.email.as_ref().and_then(|(text, proved)| Some((people::email(text).ok()?, *proved)));
        let email_known = match &email {
            Some((address, _)) => people::by_email(&self.db, address).await?.is_some(),
            None => false,
        };
        Ok(Arrival {
            linked: known.and_then(|known| known.user_id),
            // What a site linked is for signing in, where the operator trusts the site's sign-ins.
            signs_in: known.is_some_and(|k| k.signs_in || (k.linked_at.is_none() && self.settings.sessions.authjs)),
            signed_in: caller.map(|caller| caller.user).filter(|user| arrived.began == Some(*user)),
            email,
            email_known,
            open: self.settings.people.open,
        })
    }

    /// Signs the account's owner in. `None`: they are gone.
    async fn arrive_as(&self, owner: UserId, arrived: &Arrived, origin: &Origin) -> Result<Option<Welcome>, Problem> {
        if people::by_id(&self.db, owner).await?.is_none() {
            self.adopt(owner).await?;
        }
        let Some(person) = people::by_id(&self.db, owner).await? else { return Ok(None) };
        if person.suspended_at.is_some() {
            self.note("sign_in_refused", Some(owner), None, origin).await?;
            return Err(Problem::new(Kind::Forbidden, "this account is suspended: ask an administrator"));
        }
        let opened = self.open(owner, Some(&arrived.provider), origin).await?;
        Ok(Some(Welcome::SignedIn(owner, opened)))
    }

    /// Lets the caller sign in with the account from now on. `None`: somebody was faster.
    async fn choose(
        &self,
        vault: &Vault,
        arrived: &Arrived,
        known: Option<&Known>,
        caller: &Caller,
        origin: &Origin,
    ) -> Result<Option<Welcome>, Problem> {
        Need::Link.check(caller).map_err(|why| Problem::new(Kind::Forbidden, why))?;
        if !arrived.proved {
            let why = format!(
                "nobody signs in with this account yet: to do so from now on, begin with your password, \
                 POST /v1/auth/{} {{\"password\": …}}",
                arrived.provider
            );
            return Err(Problem::new(Kind::Forbidden, why));
        }
        let account = known.map_or_else(AccountId::new, |known| known.id);
        let link = vault.arrival(account, caller.user, arrived);
        let (from, words) = (origin.address.to_string(), account_words(&arrived.provider, arrived.who.as_deref()));
        let user = Some(caller.user);
        let entry = Entry { actor: user, subject: user, action: "linked_to_sign_in", address: &from, detail: &words };
        if !arrivals::choose(&self.db, &link, known.is_some(), &entry, self.clock.now()).await? {
            return Ok(None);
        }
        vault.forget(account);
        self.mail(
            self.letters.happened(&caller.email, &format!("An account at {} signs in as you now", arrived.provider)),
        );
        Ok(Some(Welcome::Linked(caller.user)))
    }

    /// Makes a person with this proved address. `None`: somebody was faster.
    async fn join(
        &self,
        vault: &Vault,
        arrived: &Arrived,
        address: &str,
        origin: &Origin,
    ) -> Result<Option<Welcome>, Problem> {
        throttled(&self.throttle.sign_up_address, origin.address.counted())?;
        let (user, now) = (UserId::new(), self.clock.now());
        let link = vault.arrival(AccountId::new(), user, arrived);
        let name: String = arrived.name.as_deref().unwrap_or_default().trim().chars().take(NAME_CHARS).collect();
        let new = NewUser { email: address, display_name: &name, verified_at: Some(now), ..NewUser::default() };
        let (from, words) = (origin.address.to_string(), account_words(&arrived.provider, arrived.who.as_deref()));
        let entry = Entry { actor: Some(user), subject: Some(user), action: "joined", address: &from, detail: &words };
        match arrivals::sign_up(&self.db, &new, &link, &entry, now).await {
            Ok(_) => {}
            Err(ArrivalError::Overtaken) => return Ok(None),
            Err(ArrivalError::Sqlx(error)) => return Err(error.into()),
            Err(ArrivalError::Person(error)) => return Err(Problem::internal(error)),
        }
        let opened = self.open(user, Some(&arrived.provider), origin).await?;
        Ok(Some(Welcome::SignedUp(user, opened)))
    }
}

/// What to do instead.
fn refused(whose: &Whose, title: &str) -> Problem {
    let (kind, why) = match whose {
        Whose::SignInFirst => (
            Kind::Conflict,
            format!(
                "somebody here has the address that {title} tells: sign in as always, or ask for a new password, then begin again to sign in with {title}"
            ),
        ),
        Whose::Taken => (
            Kind::Conflict,
            format!(
                "this {title} account belongs to another user here: they must unlink it first, or choose another account there"
            ),
        ),
        Whose::LinkedOnly => (
            Kind::Conflict,
            format!(
                "this {title} account is linked for AREAs alone: sign in as always, then begin again to sign in with {title}"
            ),
        ),
        Whose::NoAddress => (
            Kind::Forbidden,
            format!(
                "{title} tells no address that it proved: sign in as always or sign up by mail, then begin again to sign in with {title}"
            ),
        ),
        _ => (Kind::Forbidden, "nobody may sign up here: ask an administrator".to_owned()),
    };
    Problem::new(kind, why)
}
