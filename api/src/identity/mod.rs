//! Identity: who asks, and what they may. `caller` is who, `rights` the table of who may do what, `sessions` finds and opens
//! sessions, `origin` and `address` say where a request comes from, `throttle` how often strangers may try. `sign_up`, `sign_in`,
//! `arrive` (by a provider) and `recover` are the ways in, `leave` the way out; `password` hashes, `token` makes secrets, `letters` are what people are written,
//! `link` whose an account at a provider is, `avatar` draws and re-encodes pictures.

pub mod address;
pub mod arrive;
pub mod avatar;
pub mod caller;
pub mod first;
pub mod leave;
pub mod letters;
pub mod link;
pub mod origin;
pub mod password;
pub mod recover;
pub mod rights;
pub mod sessions;
pub mod sign_in;
pub mod sign_up;
pub mod throttle;
pub mod token;

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::RETRY_AFTER;
use engine::clock::Clock;
use engine::port::Invalid;
use engine::store::Db;
use engine::store::people::{self, PeopleError};
use url::Url;

use crate::mail::{Letter, Post, Undelivered};
use crate::rest::problem::{Kind, Problem};
use crate::settings::Settings;
use address::Address;
use letters::Letters;
use password::{Passwords, Unhashed};
use throttle::{Limit, Throttle};

/// What knows people.
#[derive(Debug)]
pub struct Identity {
    db: Db,
    clock: Clock,
    settings: Settings,
    /// How others reach the API.
    pub public: Url,
    passwords: Passwords,
    /// How often strangers may try.
    pub throttle: Arc<Throttle>,
    letters: Letters,
    post: Post,
}

/// Who does something: for the audit log and the limits.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Where the request comes from.
    pub address: Address,
    /// What the browser or program calls itself.
    pub agent: String,
}

impl Identity {
    /// By these settings, which were checked.
    ///
    /// # Errors
    /// A setting that is wrong.
    pub fn new(db: Db, clock: Clock, settings: Settings) -> Result<Self, String> {
        let public = settings.public_url();
        Ok(Self {
            db,
            clock,
            passwords: Passwords::new(&settings.passwords),
            throttle: Throttle::start(&settings.throttle),
            letters: Letters::new(public.clone()),
            post: Post::open(&settings.mail)?,
            public,
            settings,
        })
    }

    /// Networks of proxies that are believed.
    pub fn trusted(&self) -> &[ipnet::IpNet] {
        &self.settings.trusted_proxies.0
    }

    /// Origins beside our own to which a browser may be sent back.
    pub fn returns(&self) -> &[Url] {
        &self.settings.connect.return_to.0
    }

    /// Whether browsers reach the API by TLS.
    pub fn is_https(&self) -> bool {
        self.public.scheme() == "https"
    }

    /// The picture limits.
    pub fn people(&self) -> &crate::settings::People {
        &self.settings.people
    }

    /// Writes letters.
    pub fn letters(&self) -> &Letters {
        &self.letters
    }

    /// Sends a letter that somebody keeps until it is sent.
    ///
    /// # Errors
    /// It is not sent.
    pub async fn deliver(&self, letter: &Letter) -> Result<(), Undelivered> {
        self.post.deliver(letter).await
    }

    fn mail(&self, letter: Letter) {
        self.post.send(letter);
    }

    /// Writes to an address that anybody may name, unless that was done too often.
    fn mail_asked(&self, letter: Letter) {
        match self.throttle.mail_user.take(&letter.to) {
            Ok(()) => self.mail(letter),
            Err(wait) => {
                tracing::info!("a letter was not sent: its address was written to too often; again in {wait:?}")
            }
        }
    }

    async fn hash(&self, password: &str) -> Result<String, Problem> {
        self.passwords.hash(password).await.map_err(unhashed)
    }

    /// Refuses a new password that will not do.
    fn strong(&self, at: &str, password: &str, own: &[&str]) -> Result<(), Problem> {
        match self.passwords.weakness(password, own) {
            Some(why) => Err(Problem::invalid(vec![Invalid::new(at, why)])),
            None => Ok(()),
        }
    }
}

/// Counts a try.
///
/// # Errors
/// 429 with the time to wait.
pub fn throttled(limit: &Limit, key: impl std::hash::Hash) -> Result<(), Problem> {
    limit.take(key).map_err(|wait| {
        metrics::counter!("area_throttled_total").increment(1);
        again_in(Kind::TooMany, "too many tries: wait a little", wait)
    })
}

/// An address as people type it.
///
/// # Errors
/// 422.
pub fn email(text: &str) -> Result<String, Problem> {
    people::email(text).map_err(|error| match error {
        PeopleError::Sqlx(error) => error.into(),
        other => Problem::invalid(vec![Invalid::new("/email", other.to_string())]),
    })
}

fn unhashed(error: Unhashed) -> Problem {
    match error {
        Unhashed::Busy => {
            again_in(Kind::Unavailable, "too many people sign in at once: try again", Duration::from_secs(1))
        }
        Unhashed::Failed(why) => Problem::internal(why),
    }
}

fn again_in(kind: Kind, detail: &str, wait: Duration) -> Problem {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Problem::new(kind, detail).with(RETRY_AFTER, HeaderValue::from(seconds.max(1)))
}
