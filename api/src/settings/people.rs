//! The tables of the file that are about people: how they sign up and in, how long that lasts, how they are written to.

use engine::duration::Span;
use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};

use super::values::Hidden;

/// `[people]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct People {
    /// Whether anybody may sign up.
    pub open: bool,
    /// How long the link of a sign-up or of a new address is good.
    pub confirm: Span,
    /// How long the link for a new password is good.
    pub reset: Span,
    /// Bytes of a picture that is uploaded.
    pub avatar_bytes: usize,
    /// Pixels of a picture that is uploaded.
    pub avatar_pixels: u32,
}

impl Default for People {
    fn default() -> Self {
        let (confirm, reset) = (Span::from_secs(86_400), Span::from_secs(1_800));
        Self { open: true, confirm, reset, avatar_bytes: 5 << 20, avatar_pixels: 16_000_000 }
    }
}

/// `[passwords]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Passwords {
    /// Memory that argon2id takes for one password.
    pub memory_kib: u32,
    /// Times that argon2id goes over it.
    pub passes: u32,
    /// What zxcvbn must say of a new one: 0 to 4.
    pub strength: u8,
    /// Characters of a new one.
    pub shortest: usize,
    /// Passwords that are hashed at once on a node.
    pub at_once: usize,
    /// Passwords that may wait for that; beyond it sign-ins are answered 503.
    pub queue: usize,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { memory_kib: 65_536, passes: 2, strength: 3, shortest: 8, at_once: 2, queue: 32 }
    }
}

/// `[sessions]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sessions {
    /// How long a session lives that is not used.
    pub idle: Span,
    /// How long it lives at most.
    pub absolute: Span,
    /// How often its use is written down.
    pub touch: Span,
    /// Whether the sessions of an Auth.js site on the same database are taken.
    pub authjs: bool,
}

impl Default for Sessions {
    fn default() -> Self {
        let days = |n: u64| Span::from_secs(n * 86_400);
        Self { idle: days(14), absolute: days(90), touch: Span::from_secs(300), authjs: false }
    }
}

/// `[mail]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mail {
    /// The server that takes mail. Empty: none, so links go to the log.
    pub smtp: Hidden,
    /// What letters are from.
    pub from: String,
    /// How long the server may take.
    pub timeout: Span,
    /// Letters that may wait to be sent.
    pub queue: usize,
}

impl Default for Mail {
    fn default() -> Self {
        let from = "AREA Runner <area@localhost>".to_owned();
        Self { smtp: Hidden::default(), from, timeout: Span::from_secs(20), queue: 1_000 }
    }
}

/// `[throttle]`, each a minute; 0: no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Throttle {
    /// Sign-ins from one address.
    pub sign_in_per_address: u32,
    /// Sign-ins as one person.
    pub sign_in_per_user: u32,
    /// Sign-ups and requests for mail from one address.
    pub sign_up_per_address: u32,
    /// Mails to one address that somebody asked for who need not be its owner.
    pub mail_per_user: u32,
    /// Requests to hooks from one address.
    pub hooks_per_address: u32,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            sign_in_per_address: 30,
            sign_in_per_user: 10,
            sign_up_per_address: 10,
            mail_per_user: 3,
            hooks_per_address: 6_000,
        }
    }
}

/// What types cannot say.
pub(super) fn check(people: &People, passwords: &Passwords, sessions: &Sessions, mail: &Mail) -> Result<(), String> {
    let spans = [
        ("people.confirm", people.confirm),
        ("people.reset", people.reset),
        ("sessions.idle", sessions.idle),
        ("sessions.absolute", sessions.absolute),
        ("mail.timeout", mail.timeout),
    ];
    if let Some((key, _)) = spans.into_iter().find(|(_, span)| span.is_zero()) {
        return Err(format!("{key}: must not be 0"));
    }
    let counts = [
        ("people.avatar_bytes", people.avatar_bytes),
        ("passwords.at_once", passwords.at_once),
        ("passwords.shortest", passwords.shortest),
        ("mail.queue", mail.queue),
    ];
    if let Some((key, _)) = counts.into_iter().find(|(_, n)| *n == 0) {
        return Err(format!("{key}: must not be 0"));
    }
    if passwords.strength > 4 {
        return Err(format!("passwords.strength = {}: must be 0 to 4", passwords.strength));
    }
    if let Err(error) = argon2::Params::new(passwords.memory_kib, passwords.passes, 1, None) {
        return Err(format!("passwords.memory_kib, passwords.passes: {error}; 65536 and 2 are good"));
    }
    if sessions.touch >= sessions.idle {
        return Err(format!("sessions.touch = {}: must be less than sessions.idle", sessions.touch));
    }
    if mail.from.parse::<Mailbox>().is_err() {
        return Err(format!("mail.from = {}: must be like AREA Runner <area@example.org>", mail.from));
    }
    crate::mail::transport(mail).map(drop).map_err(|why| format!("mail.smtp: {why}"))
}
