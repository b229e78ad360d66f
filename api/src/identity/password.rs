//! Passwords: argon2id on blocking threads, a few at once, a named number waiting. Whether or not there is a person, whether or not
//! they have a password, a sign-in costs one hash: its time tells nothing.

use std::sync::{Arc, OnceLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::{Semaphore, TryAcquireError};
use zxcvbn::zxcvbn;

use crate::settings;

/// Characters of a password: more than anybody types, and a bound on the work.
pub const LONGEST: usize = 128;

/// Words of this product, which whoever guesses tries first.
const OWN_WORDS: [&str; 4] = ["area", "runner", "arearunner", "automation"];

/// Hashes and checks passwords. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Passwords {
    params: Params,
    strength: u8,
    shortest: usize,
    /// Who works and who waits.
    places: Arc<Semaphore>,
    /// Who works.
    workers: Arc<Semaphore>,
    /// The hash of nothing anybody knows.
    dummy: Arc<OnceLock<String>>,
}

/// Too many wait already, or the hashing itself failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unhashed {
    /// Too many wait.
    Busy,
    /// Our own mistake.
    Failed(String),
}

/// What came of checking a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It does not fit.
    Wrong,
    /// It fits.
    Right,
    /// It fits; this is its hash by the parameters of today.
    Upgraded(String),
}

impl Passwords {
    /// By these settings, which were checked.
    pub fn new(settings: &settings::Passwords) -> Self {
        let params = Params::new(settings.memory_kib, settings.passes, 1, None).unwrap_or_default();
        Self {
            params,
            strength: settings.strength,
            shortest: settings.shortest,
            places: Arc::new(Semaphore::new(settings.at_once + settings.queue)),
            workers: Arc::new(Semaphore::new(settings.at_once)),
            dummy: Arc::default(),
        }
    }

    /// The argon2id string of a password.
    ///
    /// # Errors
    /// [`Unhashed`].
    pub async fn hash(&self, password: &str) -> Result<String, Unhashed> {
        let (own, password) = (self.clone(), password.to_owned());
        self.work(move || own.hash_now(&password)).await?
    }

    /// Checks a password against what is stored; against `None` as long, and in vain.
    ///
    /// # Errors
    /// [`Unhashed`].
    pub async fn check(&self, password: &str, stored: Option<&str>) -> Result<Checked, Unhashed> {
        let (own, password, stored) = (self.clone(), password.to_owned(), stored.map(str::to_owned));
        self.work(move || own.check_now(&password, stored.as_deref())).await?
    }

    /// Why a new password will not do; `None`: it will. `own` is what others know of its person.
    pub fn weakness(&self, password: &str, own: &[&str]) -> Option<String> {
        let characters = password.chars().count();
        if characters < self.shortest {
            return Some(format!("must have {} characters or more", self.shortest));
        }
        if characters > LONGEST {
            return Some(format!("must have {LONGEST} characters or fewer"));
        }
        let theirs = own.iter().flat_map(|text| text.split(['@', '.', ' ']).chain([*text]));
        let own: Vec<&str> = theirs.chain(OWN_WORDS).collect();
        let found = zxcvbn(password, &own);
        if u8::from(found.score()) >= self.strength {
            return None;
        }
        let said = found.feedback();
        let why = said.and_then(|f| f.warning()).map(|w| w.to_string()).unwrap_or_else(|| "It can be guessed.".into());
        let mend = said.and_then(|f| f.suggestions().first()).map(|s| format!(" {s}")).unwrap_or_default();
        Some(format!("is too easy to guess: {why}{mend}"))
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Unhashed> {
        let _place = match self.places.try_acquire() {
            Ok(place) => place,
            Err(TryAcquireError::NoPermits) => return Err(Unhashed::Busy),
            Err(TryAcquireError::Closed) => return Err(Unhashed::Failed("the queue is closed".into())),
        };
        let permit = Arc::clone(&self.workers).acquire_owned().await.map_err(|e| Unhashed::Failed(e.to_string()))?;
        // The permit goes along: work that nobody waits for any more still takes its core.
        let worked = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        worked.await.map_err(|e| Unhashed::Failed(e.to_string()))
    }

    fn argon2(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone())
    }

    fn hash_now(&self, password: &str) -> Result<String, Unhashed> {
        let hash = self.argon2().hash_password(password.as_bytes());
        hash.map(|hash: PasswordHash| hash.to_string()).map_err(|e| Unhashed::Failed(e.to_string()))
    }

    fn check_now(&self, password: &str, stored: Option<&str>) -> Result<Checked, Unhashed> {
        let Some(hash) = stored.and_then(|text| PasswordHash::new(text).ok()) else {
            let dummy = match self.dummy.get() {
                Some(dummy) => dummy,
                None => {
                    let dummy = self.hash_now(&super::token::random())?;
                    self.dummy.get_or_init(|| dummy)
                }
            };
            if let Ok(dummy) = PasswordHash::new(dummy) {
                let _ = self.argon2().verify_password(password.as_bytes(), &dummy);
            }
            return Ok(Checked::Wrong);
        };
        if self.argon2().verify_password(password.as_bytes(), &hash).is_err() {
            return Ok(Checked::Wrong);
        }
        match self.is_current(&hash) {
            true => Ok(Checked::Right),
            false => self.hash_now(password).map(Checked::Upgraded),
        }
    }

    fn is_current(&self, hash: &PasswordHash) -> bool {
        let same = |p: &Params| {
            (p.m_cost(), p.t_cost(), p.p_cost()) == (self.params.m_cost(), self.params.t_cost(), self.params.p_cost())
        };
        hash.algorithm.as_str() == "argon2id" && Params::try_from(hash).is_ok_and(|p| same(&p))
    }
}

#[cfg(test)]
mod tests {

    use tokio::time::Instant;

    use super::*;

    fn of(memory_kib: u32, at_once: usize, queue: usize) -> Passwords {
        Passwords::new(&settings::Passwords { memory_kib, passes: 1, at_once, queue, ..Default::default() })
    }

    #[tokio::test]
    async fn a_hash_fits_its_password_alone_and_is_made_anew_when_the_parameters_changed() {
        let (old, new) = (of(64, 1, 9), of(128, 1, 9));
        let hash = old.hash("correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert_ne!(hash, old.hash("correct horse").await.unwrap(), "each has its own salt");
        assert_eq!(old.check("correct horse", Some(&hash)).await, Ok(Checked::Right));
        assert_eq!(old.check("correct horsf", Some(&hash)).await, Ok(Checked::Wrong));
        let Ok(Checked::Upgraded(better)) = new.check("correct horse", Some(&hash)).await else {
            panic!("not upgraded")
        };
        assert_eq!(new.check("correct horse", Some(&better)).await, Ok(Checked::Right));
        for stored in [None, Some(""), Some("nonsense"), Some("$argon2id$v=19$m=64,t=1,p=1$")] {
            assert_eq!(old.check("", stored).await, Ok(Checked::Wrong), "{stored:?}");
        }
    }

    #[tokio::test]
    async fn whom_nobody_knows_costs_as_much_as_a_wrong_password() {
        let passwords = of(16_384, 1, 9);
        let hash = passwords.hash("correct horse").await.unwrap();
        let (mut known, mut unknown) = (f64::MAX, f64::MAX);
        // In turns, so that what the machine does meanwhile and the memory that is warm by then are the same for both.
        for _ in 0..9 {
            for (stored, best) in [(Some(hash.as_str()), &mut known), (None, &mut unknown)] {
                let began = Instant::now();
                passwords.check("wrong", stored).await.unwrap();
                *best = best.min(began.elapsed().as_secs_f64());
            }
        }
        assert!((0.4..2.5).contains(&(unknown / known)), "known {known} s, unknown {unknown} s");
    }

    #[tokio::test]
    async fn beyond_its_queue_nobody_waits() {
        let passwords = of(8_192, 1, 1);
        let all = futures::future::join_all((0..6).map(|_| passwords.hash("x"))).await;
        let busy = all.iter().filter(|done| **done == Err(Unhashed::Busy)).count();
        assert_eq!((busy, all.iter().filter(|done| done.is_ok()).count()), (4, 2));
        assert!(passwords.hash("x").await.is_ok(), "it is free again");
    }

    #[test]
    fn what_is_easy_to_guess_is_refused_with_the_reason() {
        let passwords = of(64, 1, 1);
        let check = |password: &str, part: Option<&str>| {
            let got = passwords.weakness(password, &["ann.miller@example.org", "Ann Miller"]);
            match part {
                None => assert_eq!(got, None, "{password}"),
                Some(part) => assert!(got.as_deref().is_some_and(|why| why.contains(part)), "{password}: {got:?}"),
            }
        };
        check("short", Some("8 characters"));
        check(&"ab3$".repeat(40), Some("128 characters"));
        check("password1", Some("guess"));
        check("annmiller", Some("guess"));
        check("arearunner1", Some("guess"));
        check("ann.miller@example.org", Some("guess"));
        check("qwertyuiop", Some("guess"));
        check("correct staple battery horse", None);
        check("ein längerer Satz über Äpfel", None);
    }
}
