//! What a refusal means, by the provider's own error body first and by the status else, and what follows from it.

use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use engine::net::{Answer, printable};
use engine::port::{Api, Share};

use super::ask::Ask;

/// A pause that the provider asks for is told as a long one from here on.
const LONG: TimeDelta = TimeDelta::minutes(5);
/// How long a quota that is used up is left alone, where the provider does not say when it begins anew.
const QUOTA_PAUSE: TimeDelta = TimeDelta::minutes(15);
/// Characters of a provider's words.
const WORDS: usize = 200;

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Called too often: it may be called again soon.
    Busy(Share),
    /// A quota is used up: not for a while.
    Quota(Share),
    /// The token lacks a scope.
    Scope,
    /// The account may not do this, or the app may not.
    Forbidden,
    /// There is no such thing, or no such endpoint any more.
    Missing,
    /// The cursor is dead.
    Dead,
    /// The token is no longer good.
    Unauthorized,
    /// The request itself is wrong.
    Wrong,
    /// The far side is broken, or the way to it.
    Broken,
}

/// What an error body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Why, where the body tells; `None`: by the status.
    pub reason: Option<Reason>,
    /// In the provider's words.
    pub words: String,
}

/// A call that brought no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// What follows.
    pub fault: Fault,
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        refused.fault
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        let reason = match fault {
            Fault::Later { .. } => Reason::Broken,
            Fault::Held { .. } => Reason::Busy(Share::App),
            Fault::Reconnect { .. } => Reason::Unauthorized,
            Fault::Resync { .. } => Reason::Dead,
            Fault::Rejected { .. } => Reason::Wrong,
        };
        Self { reason, fault }
    }
}

impl Reason {
    /// In metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Busy(_) => "busy",
            Self::Quota(_) => "quota",
            Self::Scope => "scope",
            Self::Forbidden => "forbidden",
            Self::Missing => "missing",
            Self::Dead => "dead",
            Self::Unauthorized => "unauthorized",
            Self::Wrong => "wrong",
            Self::Broken => "broken",
        }
    }

    fn by_status(status: u16) -> Self {
        match status {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 | 410 => Self::Missing,
            429 => Self::Busy(Share::App),
            408 | 421 | 423 | 425 => Self::Broken,
            300..=499 | 501 | 505 => Self::Wrong,
            _ => Self::Broken,
        }
    }
}

/// Judges an answer; `Ok` where it is none of refusal.
pub(super) fn judge(ask: &Ask, answer: Answer, api: &Api<'_>, now: DateTime<Utc>) -> Result<Answer, Refused> {
    let status = answer.status.as_u16();
    if (200..=299).contains(&status) || status == 304 {
        return Ok(answer);
    }
    let said = (ask.call.api.said)(&answer);
    let by_body = said.as_ref().and_then(|said| said.reason);
    let reason = match by_body {
        _ if ask.call.dead.contains(&status) => Reason::Dead,
        Some(reason) => reason,
        None => Reason::by_status(status),
    };
    let words = said.map(|said| printable(&said.words, WORDS)).filter(|words| !words.is_empty());
    let refusal = Refusal { ask, answer: &answer, api, now, words };
    let fault = refusal.fault(reason);
    Err(Refused { reason, fault })
}

struct Refusal<'a> {
    ask: &'a Ask,
    answer: &'a Answer,
    api: &'a Api<'a>,
    now: DateTime<Utc>,
    words: Option<String>,
}

impl Refusal<'_> {
    fn fault(&self, reason: Reason) -> Fault {
        match reason {
            Reason::Busy(share) => self.busy(share),
            Reason::Quota(share) => self.quota(share),
            Reason::Scope => self.scope(),
            Reason::Dead => Fault::resync(self.sentence()),
            Reason::Unauthorized => Fault::later(format!("{}: even a fresh token is refused", self.sentence())),
            Reason::Forbidden | Reason::Missing | Reason::Wrong => match self.asked() {
                // Whatever the status: who names a time will take it then.
                not_before @ Some(_) => Fault::Later { not_before, why: self.sentence(), maybe_done: false },
                None => Fault::rejected(self.sentence()),
            },
            Reason::Broken => {
                let status = self.answer.status.as_u16();
                let maybe_done = !self.ask.is_safe() && status >= 500 && status != 503;
                Fault::Later { not_before: self.asked(), why: self.sentence(), maybe_done }
            }
        }
    }

    /// `Gmail answered 403 Forbidden to messages.get: the words`.
    fn sentence(&self) -> String {
        let (title, name, status) = (self.ask.call.api.title, self.ask.call.name, self.answer.status);
        match &self.words {
            Some(words) => format!("{title} answered {status} to {name}: {words}"),
            None => format!("{title} answered {status} to {name}"),
        }
    }

    /// When it says that it may be called again: in the header, or in words alone, as Gmail does
    /// (`User-rate limit exceeded.  Retry after 2026-11-12T11:16:42.247Z`).
    fn asked(&self) -> Option<DateTime<Utc>> {
        let in_words = || self.words.as_ref()?.split_once("Retry after ")?.1.split_whitespace().next()?.parse().ok();
        self.answer.retry_after(self.now).or_else(in_words)
    }

    fn busy(&self, share: Share) -> Fault {
        let asked = self.asked();
        let why = match asked {
            Some(until) if until - self.now >= LONG => {
                let until = until.format("%Y-%m-%d %H:%M UTC");
                format!("{}; it asks for a long pause, until {until}", self.sentence())
            }
            _ => self.sentence(),
        };
        self.pause(share, asked, why)
    }

    fn quota(&self, share: Share) -> Fault {
        let until = self.asked().unwrap_or(self.now + QUOTA_PAUSE);
        let whose = match share {
            Share::Account => "this account's quota",
            Share::App => "the quota of this installation",
        };
        let until_words = until.format("%Y-%m-%d %H:%M UTC");
        let why = format!("{}; {whose} is used up, and is tried again from {until_words}", self.sentence());
        Fault::Held { until: self.api.hold(share, until, &why, self.now), why }
    }

    /// Everybody whose share it is waits: more calls would be refused too, and held against us.
    fn pause(&self, share: Share, until: Option<DateTime<Utc>>, why: String) -> Fault {
        let not_before = until.map(|until| self.api.hold(share, until, &why, self.now));
        Fault::Later { not_before, why, maybe_done: false }
    }

    fn scope(&self) -> Fault {
        let scopes = self.ask.call.scopes.join(", ");
        let lacks = if scopes.is_empty() { "a scope".to_owned() } else { scopes };
        let provider = self.api.provider;
        Fault::rejected(format!(
            "{}: the account has not granted {lacks}; POST /v1/connect/{provider} with these scopes grants it",
            self.sentence()
        ))
    }
}
