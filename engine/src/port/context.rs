//! What a connector is handed: the list of what it may touch.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::Boxed;
use crate::fault::Fault;
use crate::ids::AreaId;
use crate::net::Http;
use crate::secret::Secret;
use crate::usage::Api;

/// A bearer token for this call. A 401 is answered once by `refused`, which refreshes and hands out the next.
pub trait Auth: Send + Sync {
    /// The access token to send.
    fn bearer(&self) -> Boxed<'_, Result<Secret, Fault>>;
    /// The provider refused `token`: one refresh, then the token for one retry.
    fn refused<'a>(&'a self, token: &'a Secret) -> Boxed<'a, Result<Secret, Fault>>;
    /// The provider's API of that name: where the operator says it is, and what this account may still spend there.
    fn api<'a>(&'a self, name: &'a str) -> Option<Api<'a>>;
}

/// What a feed's `poll` is handed.
#[derive(Clone, Copy)]
pub struct PollCx<'a> {
    /// The feed's params, defaults filled in, secrets unsealed.
    pub params: &'a Value,
    /// What the last page asked to remember; `None` on the first poll of a source (the baseline) and after a resync.
    pub cursor: Option<&'a Value>,
    /// After a resync: the time from which to search again (the last item's).
    pub since: Option<DateTime<Utc>>,
    /// The account's token, where the service has a provider.
    pub auth: Option<&'a dyn Auth>,
    /// The HTTP client: guarded, capped, counted.
    pub http: &'a Http,
    /// The instant of this poll.
    pub now: DateTime<Utc>,
    /// Whom to ask what the source's AREAs use; `None`: everything is wanted (a dry run).
    pub wants: Option<&'a dyn Wants>,
}

impl PollCx<'_> {
    /// Whether some AREA uses one of the fields that the action calls large ([`About::large`](super::About)). To be asked when there
    /// is something to read, and not by a poll that finds nothing.
    pub async fn wants_large(&self) -> bool {
        match self.wants {
            Some(wants) => wants.large().await,
            None => true,
        }
    }
}

/// What the AREAs of a source use of its events.
pub trait Wants: Send + Sync {
    /// Whether one of them uses a large field; in doubt they do.
    fn large(&self) -> Boxed<'_, bool>;
}

/// What a reaction is handed.
#[derive(Clone, Copy)]
pub struct ReactCx<'a> {
    /// `data`, rendered, checked against the schema, secrets unsealed.
    pub params: &'a Value,
    /// The same on every attempt of this step (and item of `for_each`): send it where the far side takes one.
    pub key: &'a str,
    /// The account's token, where the service has a provider.
    pub auth: Option<&'a dyn Auth>,
    /// The HTTP client: guarded, capped, counted.
    pub http: &'a Http,
    /// The run's birth: the same on every attempt.
    pub born: DateTime<Utc>,
    /// Now.
    pub now: DateTime<Utc>,
    /// An earlier call of this very step (and item) may have taken effect. Where it is false, none was made: nothing need be looked for.
    pub repeated: bool,
    /// The instant that this step asked to be woken at ([`Reacted::WakeAt`]), if it slept.
    pub slept_until: Option<DateTime<Utc>>,
    /// The owner's own AREAs, for `area.*`.
    pub areas: &'a dyn AreaPort,
}

/// What listing options is handed.
#[derive(Clone, Copy)]
pub struct OptionsCx<'a> {
    /// What the person has typed so far; may be empty.
    pub q: &'a str,
    /// What they are looked for in, where that has to be picked first: the spreadsheet whose sheets, the shared drive whose folders these are.
    pub within: Option<&'a str>,
    /// The account's token.
    pub auth: Option<&'a dyn Auth>,
    /// The HTTP client.
    pub http: &'a Http,
    /// Now.
    pub now: DateTime<Utc>,
}

/// What a reaction did.
#[derive(Clone, Debug, PartialEq)]
pub enum Reacted {
    /// Done; what later steps see as `steps.ID`.
    Done(Value),
    /// Nothing to hold a task for: the step is done at that instant.
    WakeAt(DateTime<Utc>),
}

/// What `area.*` may do, to AREAs of the same owner only.
pub trait AreaPort: Send + Sync {
    /// Starts `area` with `event`, once for one `key`.
    fn run<'a>(&'a self, area: AreaId, event: &'a Value, key: &'a str) -> Boxed<'a, Result<Started, Fault>>;
    /// Pauses `area` as its user would.
    fn pause<'a>(&'a self, area: AreaId) -> Boxed<'a, Result<(), Fault>>;
    /// Resumes `area`.
    fn resume<'a>(&'a self, area: AreaId) -> Boxed<'a, Result<(), Fault>>;
}

/// What `AreaPort::run` recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The event's id, as text.
    pub event: String,
}

/// A request at a hook URL, before anything of it is believed.
pub struct HookCx<'a> {
    /// The action's `data`, secrets unsealed.
    pub params: &'a Value,
    /// `POST`, `PUT` …
    pub method: &'a str,
    /// The full URL that the sender called, as the operator's public URL has it.
    pub url: &'a str,
    /// The query string, undecoded, without `?`.
    pub query: &'a str,
    /// Header names in lower case with their values; a value that is no text is left out.
    pub headers: &'a [(String, String)],
    /// The body, byte for byte.
    pub body: &'a [u8],
    /// When it arrived.
    pub now: DateTime<Utc>,
}

/// What a hook's `receive` made of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct HookItem {
    /// The sender's delivery id, or another proof of sameness; `None` where nothing tells two requests apart from a repetition.
    pub key: Option<String>,
    /// The event.
    pub body: Value,
}

/// Why a hook's request is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookRefusal {
    /// The signature or token is missing or wrong: 401. One sentence, without the expected value.
    Unauthorized(String),
    /// The body cannot be read as what it says it is: 400.
    Malformed(String),
    /// It is believed and no event: the sender tries the URL out and wants this text back, 200 (Slack's `url_verification`).
    Handshake(String),
}
