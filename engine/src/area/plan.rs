//! An AREA ready to run: what intake decides by and react executes. Compiled from a stored row, secrets in the clear, so it never
//! leaves memory and is never printed.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::document::{Document, OnError, ReactionRef};
use super::{catalog, pointer, schema, secrets};
use crate::clock::{Micros, from_micros};
use crate::ids::{AccountId, AreaId, AreaNo, SourceId, UserId};
use crate::policy::Policy;
use crate::port::{ActionSpec, Cadence, FeedKind, FeedSpec, Invalid, ReactionSpec, Service, Services};
use crate::store::areas::AreaRow;
use crate::template::{Condition, Expr, Mold, Scope, touches, unread};
use crate::vault::KeyRing;

/// One AREA at one revision.
pub struct Plan {
    /// What the ledger's rows refer to.
    pub no: AreaNo,
    /// What people see.
    pub id: AreaId,
    /// Its owner.
    pub user: UserId,
    /// Its name, `area.name` in templates.
    pub name: String,
    /// The revision that was compiled.
    pub revision: i64,
    /// What it watches.
    pub source_id: SourceId,
    /// The action's service.
    pub service: &'static Service,
    /// The action.
    pub action: &'static ActionSpec,
    /// The account that is watched.
    pub account: Option<AccountId>,
    /// The action's `data`, defaults filled in.
    pub data: Value,
    /// The AREA's condition.
    pub when: Option<Condition>,
    /// The condition as written.
    pub when_text: Option<String>,
    /// The reactions, in order.
    pub steps: Vec<Step>,
    /// Its policies, or their defaults.
    pub policy: Policy,
    /// The interval that it asks for.
    pub every: Option<Duration>,
    /// Whether it fires for what is there at the first look.
    pub backfill: bool,
    /// Whether a template or condition reads what its action calls large.
    pub wants_large: bool,
}

/// One reaction of a plan.
pub struct Step {
    /// `steps.ID`.
    pub id: String,
    /// The reaction's service.
    pub service: &'static Service,
    /// The reaction.
    pub reaction: &'static ReactionSpec,
    /// Its `data`, defaults filled in; gives the params of a call when rendered.
    pub data: Mold,
    /// The reaction's schema, for the rendered params.
    pub validator: Arc<jsonschema::Validator>,
    /// The step's condition.
    pub when: Option<Condition>,
    /// What gives the list that it is done over.
    pub for_each: Option<Expr>,
    /// What follows when it fails for good.
    pub on_error: OnError,
    /// The account that it acts with.
    pub account: Option<AccountId>,
}

/// What an AREA watches.
pub struct Watch {
    /// The feed.
    pub feed: &'static FeedSpec,
    /// What it fetches: defaults filled in, secrets in the clear.
    pub params: Value,
    /// The interval that this AREA asks for; `None` where the feed is not asked at an interval.
    pub interval: Option<Duration>,
}

/// `data` holds secrets in the clear: it is not printed.
impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("id", &self.id).field("revision", &self.revision).finish_non_exhaustive()
    }
}

/// `data` holds secrets in the clear: it is not printed.
impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Step").field("id", &self.id).field("reaction", self.reaction).finish_non_exhaustive()
    }
}

/// `params` may hold secrets in the clear: they are not printed.
impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("feed", self.feed).field("interval", &self.interval).finish_non_exhaustive()
    }
}

impl Plan {
    /// Compiles a stored AREA.
    ///
    /// # Errors
    /// What keeps it from running: a service that this program no longer has, a key that the ring has lost, a template that no
    /// longer compiles.
    pub fn compile(row: &AreaRow, services: Services, ring: &KeyRing) -> Result<Self, Vec<Invalid>> {
        let mut body: Value = serde_json::from_str(&row.body).map_err(|e| one("", e.to_string()))?;
        secrets::open(&mut body, row.id, ring)?;
        Self::of(row, Document::read(&body)?, services)
    }

    /// The plan of `document` (secrets in the clear) as the AREA of `row`.
    ///
    /// # Errors
    /// As [`Plan::compile`].
    pub fn of(row: &AreaRow, document: Document, services: Services) -> Result<Self, Vec<Invalid>> {
        let service = catalog::service(services, &document.action.service).map_err(|e| one("/action/service", e))?;
        let action = catalog::action(service, &document.action.name).map_err(|e| one("/action/name", e))?;
        let mut data = Value::Object(document.action.data);
        schema::of_action(action).map_err(|e| vec![e.under("/action/data")])?.fill(&mut data);
        let steps = document.reactions.into_iter().enumerate().map(|(i, step)| Step::compile(i, step, services));
        let steps = steps.collect::<Result<Vec<_>, _>>()?;
        let when = condition("", document.when.as_deref())?;
        let policy = document.policy.unwrap_or_default();
        // In a digest an event is one of a list, of which paths do not tell the fields.
        let reads = |name: &&str| policy.digest.is_some() || reads(when.as_ref(), &steps, &format!("event.{name}"));
        let wants_large = action.about.large.iter().any(reads);
        Ok(Self {
            no: row.no,
            id: row.id,
            user: row.user_id,
            name: document.name,
            revision: row.revision,
            source_id: row.source_id,
            service,
            action,
            account: document.action.account,
            data,
            when,
            when_text: document.when,
            steps,
            policy,
            every: document.action.every.map(|every| every.duration()),
            backfill: document.action.backfill,
            wants_large,
        })
    }

    /// What is said of an event that lacks what the AREA uses, as nobody did when it was read.
    pub fn unread(&self, event: &Value) -> Option<String> {
        let wants = self.wants_large && self.policy.digest.is_none();
        let lacks = |name: &&&str| wants && event.get(name).is_none();
        self.action.about.large.iter().find(lacks).map(|name| unread(name))
    }

    /// An event, or the events of a digest, as its expressions see them.
    pub fn seen<'e>(&self, event: &'e Value) -> Cow<'e, Value> {
        let Some(view) = self.action.view else { return Cow::Borrowed(event) };
        let mut event = event.clone();
        match event.get_mut("events").and_then(Value::as_array_mut).filter(|_| self.policy.digest.is_some()) {
            Some(events) => events.iter_mut().for_each(|event| view(&self.data, event)),
            None => view(&self.data, &mut event),
        }
        Cow::Owned(event)
    }

    /// What its expressions see, for a run that is born at `born`.
    pub fn scope(&self, event: &Value, born: Micros) -> Scope {
        let scope = Scope::new(&self.seen(event), &self.id.to_string(), &self.name, from_micros(born));
        match self.policy.digest {
            None => scope.with_large(self.action.about.large),
            Some(_) => scope,
        }
    }

    /// What it watches.
    pub fn source(&self) -> Watch {
        Watch {
            feed: self.action.feed,
            params: (self.action.feed_params)(&self.data),
            interval: interval(self.action.feed, self.every),
        }
    }
}

/// The interval of a feed for an AREA that asks for `every`: never under the feed's floor; `None` where the feed names its own
/// instants or is pushed.
pub fn interval(feed: &FeedSpec, every: Option<Duration>) -> Option<Duration> {
    match &feed.kind {
        FeedKind::Polled { floor, default, cadence: Cadence::Interval, .. } => {
            Some(every.unwrap_or(*default).max(*floor))
        }
        FeedKind::Polled { cadence: Cadence::At(_), .. } | FeedKind::Hook { .. } | FeedKind::Native => None,
    }
}

impl Step {
    fn compile(index: usize, step: ReactionRef, services: Services) -> Result<Self, Vec<Invalid>> {
        let at = format!("/reactions/{index}");
        let member = |name: &str| pointer::join(&at, name);
        let service = catalog::service(services, &step.service).map_err(|e| one(member("service"), e))?;
        let reaction = catalog::reaction(service, &step.name).map_err(|e| one(member("name"), e))?;
        let schema = schema::of_reaction(reaction).map_err(|e| vec![e.under(&member("data"))])?;
        let id = step.step_id(index);
        let mut data = Value::Object(step.data);
        schema.fill(&mut data);
        let under_data = |wrong: Vec<Invalid>| wrong.into_iter().map(|w| w.under(&member("data"))).collect::<Vec<_>>();
        Ok(Self {
            id,
            service,
            reaction,
            data: Mold::compile(&data).map_err(under_data)?,
            validator: schema.validator.clone(),
            when: condition(&at, step.when.as_deref())?,
            for_each: step
                .for_each
                .as_deref()
                .map(Expr::compile)
                .transpose()
                .map_err(|e| one(member("for_each"), e))?,
            on_error: step.on_error,
            account: step.account,
        })
    }
}

/// Whether a condition, a list or a template reads `path`.
fn reads(when: Option<&Condition>, steps: &[Step], path: &str) -> bool {
    let step = |step: &Step| {
        let (when, list) = (step.when.as_ref().map(Condition::paths), step.for_each.as_ref().map(Expr::paths));
        step.data.uses(path) || when.into_iter().chain(list).any(|paths| touches(&paths, path))
    };
    when.is_some_and(|when| touches(&when.paths(), path)) || steps.iter().any(step)
}

fn condition(at: &str, text: Option<&str>) -> Result<Option<Condition>, Vec<Invalid>> {
    text.map(Condition::compile).transpose().map_err(|e| one(pointer::join(at, "when"), e))
}

fn one(pointer: impl Into<String>, detail: String) -> Vec<Invalid> {
    vec![Invalid::new(pointer, detail)]
}
