//! Sends calls with an account's token: spend, send, refresh once and repeat once, judge.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use engine::clock::Instant;
use engine::fault::Fault;
use engine::net::{Answer, Call, Http, Trust};
use engine::port::{Api, Auth, OptionsCx, PollCx, ReactCx};
use engine::secret::Secret;
use serde::de::DeserializeOwned;

use super::ask::{ApiSpec, Ask};
use super::judge::{Reason, Refused, judge};

/// How long a poll or a list of options waits for room in a share; a poll comes again by itself.
const MOMENT: TimeDelta = TimeDelta::seconds(1);
/// How long each call of a reaction waits: what its earlier calls spent would be spent in vain.
const PATIENCE: TimeDelta = TimeDelta::seconds(10);

/// Who calls: an account, now.
pub struct Caller<'a> {
    auth: &'a dyn Auth,
    http: &'a Http,
    /// The instant of the poll, reaction or list that these calls are for.
    pub now: DateTime<Utc>,
    /// When it was `now`.
    began: Instant,
    /// How long each call waits for room in a share.
    patience: TimeDelta,
    /// Something was written: whatever stops the calls behind it, not nothing was done.
    pub(super) has_written: AtomicBool,
}

impl<'a> Caller<'a> {
    /// For a poll.
    pub fn poll(cx: &PollCx<'a>) -> Result<Self, Fault> {
        Self::new(cx.auth, cx.http, cx.now, MOMENT)
    }

    /// For a reaction.
    pub fn react(cx: &ReactCx<'a>) -> Result<Self, Fault> {
        Self::new(cx.auth, cx.http, cx.now, PATIENCE)
    }

    /// For a list of options.
    pub fn options(cx: &OptionsCx<'a>) -> Result<Self, Fault> {
        Self::new(cx.auth, cx.http, cx.now, MOMENT)
    }

    fn new(auth: Option<&'a dyn Auth>, http: &'a Http, now: DateTime<Utc>, patience: TimeDelta) -> Result<Self, Fault> {
        let auth = auth.ok_or_else(|| Fault::rejected("there is no account to call with"))?;
        Ok(Self { auth, http, now, began: Instant::now(), patience, has_written: AtomicBool::new(false) })
    }

    /// Now: some time has passed since it began.
    pub(super) fn moment(&self) -> DateTime<Utc> {
        self.now + TimeDelta::from_std(self.began.elapsed()).unwrap_or_default()
    }

    /// Sends a call.
    ///
    /// # Errors
    /// See [`Reason`]; by `?` its fault.
    pub async fn send(&self, ask: &Ask) -> Result<Answer, Refused> {
        let answer = self.sent(ask).await.map_err(|refused| self.so_far(refused))?;
        self.has_written.fetch_or(!ask.is_safe(), Ordering::Relaxed);
        Ok(answer)
    }

    async fn sent(&self, ask: &Ask) -> Result<Answer, Refused> {
        let api = self.api(ask.call.api)?;
        self.spend(&api, ask.call.name, ask.call.units).await?;
        let measured = api.measure(ask.call.name);
        let result = self.exchanged(ask, &api).await;
        measured.ended(result.as_ref().map_or_else(|refused| refused.reason.as_str(), |_| "ok"));
        result
    }

    /// Sends a call and reads its answer.
    ///
    /// # Errors
    /// As [`send`](Self::send); an answer of another shape is `Broken`.
    pub async fn json<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T, Refused> {
        self.read(ask, &self.send(ask).await?)
    }

    /// Reads an answer that was sent for.
    ///
    /// # Errors
    /// An answer of another shape is `Broken`.
    pub fn read<T: DeserializeOwned>(&self, ask: &Ask, answer: &Answer) -> Result<T, Refused> {
        read(ask, answer).map_err(|refused| self.so_far(refused))
    }

    /// A refusal, and what was done before it: who has written is held back in the middle, and that is an attempt.
    pub(super) fn so_far(&self, mut refused: Refused) -> Refused {
        if self.has_written.load(Ordering::Relaxed) {
            refused.fault = match refused.fault {
                Fault::Later { not_before, why, .. } => Fault::Later { not_before, why, maybe_done: true },
                Fault::Held { until, why } => Fault::Later { not_before: Some(until), why, maybe_done: true },
                other => other,
            };
        }
        refused
    }

    /// Takes what a call costs from the shares.
    pub(super) async fn spend(&self, api: &Api<'_>, call: &'static str, units: u32) -> Result<(), Refused> {
        let spent = api.spend_soon(units, self.moment(), self.patience).await;
        spent.inspect_err(|_| api.held_back(call)).map_err(Refused::from)
    }

    async fn exchanged(&self, ask: &Ask, api: &Api<'_>) -> Result<Answer, Refused> {
        let request = ask.request(api.base)?;
        let answer =
            self.authorized(&request, ask.call.name, ask.call.units, api, |answer| tells_token(ask, answer)).await;
        judge(ask, answer.map_err(|fault| unharmed(ask, fault))?, api, self.moment())
    }

    /// Sends `request`, whose units are spent, with a bearer; once more with the next one, where `is_token` says that the first is no
    /// longer good.
    pub(super) async fn authorized(
        &self,
        request: &Call,
        call: &'static str,
        units: u32,
        api: &Api<'_>,
        is_token: impl Fn(&Answer) -> bool,
    ) -> Result<Answer, Refused> {
        let token = self.auth.bearer().await?;
        let answer = self.bearing(request, &token).await?;
        if !is_token(&answer) {
            return Ok(answer);
        }
        let next = self.auth.refused(&token).await?;
        self.spend(api, call, units).await?;
        Ok(self.bearing(request, &next).await?)
    }

    async fn bearing(&self, request: &Call, token: &Secret) -> Result<Answer, Fault> {
        self.http.send(Trust::Provider, request.clone().bearer(token)?, self.moment()).await
    }

    /// The API, where the operator says it is.
    pub(crate) fn api<'s>(&'s self, spec: &'static ApiSpec) -> Result<Api<'s>, Fault> {
        self.auth.api(spec.name).ok_or_else(|| {
            Fault::rejected(format!("{} has no base URL: the provider's `apis` must name `{}`", spec.title, spec.name))
        })
    }
}

/// Reads an answer.
pub(super) fn read<T: DeserializeOwned>(ask: &Ask, answer: &Answer) -> Result<T, Refused> {
    let value = answer.json()?;
    serde_json::from_value(value).map_err(|e| {
        let (title, name) = (ask.call.api.title, ask.call.name);
        Fault::later(format!("{title} answered {name} with another shape: {e}")).into()
    })
}

/// Whether the answer is about the token: a 401, unless its body says that something else is missing.
pub(super) fn tells_token(ask: &Ask, answer: &Answer) -> bool {
    let by_body = || (ask.call.api.said)(answer).and_then(|said| said.reason);
    answer.status == 401 && by_body().is_none_or(|reason| reason == Reason::Unauthorized)
}

/// What only reads has done nothing, however it ended.
pub(super) fn unharmed(ask: &Ask, mut refused: Refused) -> Refused {
    if let Fault::Later { maybe_done, .. } = &mut refused.fault {
        *maybe_done &= !ask.is_safe();
    }
    refused
}
