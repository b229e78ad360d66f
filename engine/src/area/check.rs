//! Everything that is wrong with a document, told at once when it is saved: nothing that can be known now is left for the first
//! event to find out.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::document::{ActionRef, Document, ReactionRef};
use super::{catalog, origin, pointer, schema};
use crate::ids::AccountId;
use crate::limits::{AREA_BYTES, AREA_NAME_CHARS, AREA_STEPS, EVERY_MAX, STEP_ID_CHARS};
use crate::net::{Http, literal_origin};
use crate::port::{ActionSpec, Cadence, FeedKind, Invalid, ReactionSpec, Service, Services};
use crate::template::{Condition, Expr, Mold};

/// The mark of secrets in schemas.
pub const SECRET: &str = "writeOnly";
/// The mark of URLs that a user gave.
pub const GUARDED: &str = "x-guard";

/// Everything that is wrong with `document` (its secrets in the clear), by JSON pointer.
pub fn check(document: &Document, services: Services, http: &Http) -> Vec<Invalid> {
    let mut check = Check { services, http, wrong: Vec::new() };
    check.size(document);
    check.name(&document.name);
    check.action(&document.action);
    if let Some(when) = &document.when {
        check.condition("/when", when, &Sight::default());
    }
    check.steps(&document.reactions);
    if let Some(policy) = &document.policy {
        check.wrong.extend(policy.check().into_iter().map(|wrong| wrong.under("/policy")));
    }
    check.wrong
}

struct Check<'a> {
    services: Services,
    http: &'a Http,
    wrong: Vec<Invalid>,
}

/// What an expression may see beside `event`, `area` and `now`.
#[derive(Default)]
struct Sight<'a> {
    /// The ids of the steps before this one.
    earlier: &'a [String],
    /// Whether it is inside a `for_each`.
    item: bool,
}

impl Check<'_> {
    fn say(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.wrong.push(Invalid::new(pointer, detail));
    }

    fn size(&mut self, document: &Document) {
        let bytes = serde_json::to_vec(document).map_or(usize::MAX, |json| json.len());
        if bytes > AREA_BYTES {
            self.say("", format!("{bytes} bytes are more than the {AREA_BYTES} that an AREA may have"));
        }
    }

    fn name(&mut self, name: &str) {
        let chars = name.chars().count();
        if name.trim().is_empty() {
            self.say("/name", "must not be empty");
        } else if chars > AREA_NAME_CHARS {
            self.say("/name", format!("must have at most {AREA_NAME_CHARS} characters, this one has {chars}"));
        } else if name.chars().any(char::is_control) {
            self.say("/name", "must not have control characters (line breaks, tabs)");
        }
    }

    fn service(&mut self, at: &str, name: &str, account: Option<AccountId>) -> Option<&'static Service> {
        let service = match catalog::service(self.services, name) {
            Ok(service) => service,
            Err(why) => {
                self.say(pointer::join(at, "service"), why);
                return None;
            }
        };
        match (service.provider, account) {
            (Some(provider), None) => self.say(
                pointer::join(at, "account"),
                format!("is required: the id of a linked {provider} account, which {} acts with", service.name),
            ),
            (None, Some(_)) => {
                self.say(pointer::join(at, "account"), format!("must be absent: {} needs no account", service.name));
            }
            _ => {}
        }
        Some(service)
    }

    fn action(&mut self, action: &ActionRef) {
        let Some(service) = self.service("/action", &action.service, action.account) else { return };
        let spec = match catalog::action(service, &action.name) {
            Ok(spec) => spec,
            Err(why) => return self.say("/action/name", why),
        };
        self.every(spec, action);
        let schema = match schema::of_action(spec) {
            Ok(schema) => schema,
            Err(why) => return self.wrong.push(why.under("/action/data")),
        };
        let mut data = Value::Object(action.data.clone());
        self.reserved("/action/data", &data);
        schema.fill(&mut data);
        let errors = schema.errors(&data, &BTreeSet::new());
        if errors.is_empty() {
            self.wrong.extend((spec.check)(&data).into_iter().map(|wrong| wrong.under("/action/data")));
            self.urls("/action/data", &data, &schema, &BTreeSet::new());
        }
        self.wrong.extend(errors.into_iter().map(|wrong| wrong.under("/action/data")));
    }

    fn every(&mut self, spec: &ActionSpec, action: &ActionRef) {
        let asked = action.every.map(|every| every.duration());
        match &spec.feed.kind {
            FeedKind::Polled { floor, default, cadence: Cadence::Interval, .. } => {
                if asked.is_some_and(|every| every < *floor) {
                    self.say("/action/every", format!("must be at least {}s for {}", floor.as_secs_f64(), spec.name));
                } else if asked.is_some_and(|every| every > EVERY_MAX.max(*default)) {
                    self.say("/action/every", format!("must be at most {} days", EVERY_MAX.as_secs() / 86_400));
                }
            }
            _ if asked.is_some() => {
                self.say("/action/every", format!("must be absent: {} is not asked at an interval", spec.name));
            }
            _ => {}
        }
        if action.backfill && !matches!(spec.feed.kind, FeedKind::Polled { cadence: Cadence::Interval, .. }) {
            self.say("/action/backfill", format!("must be absent: {} has nothing from before", spec.name));
        }
    }

    fn steps(&mut self, reactions: &[ReactionRef]) {
        if reactions.is_empty() {
            self.say("/reactions", "must not be empty: name at least one reaction");
        }
        if reactions.len() > AREA_STEPS {
            let steps = reactions.len();
            return self.say("/reactions", format!("{steps} steps are more than the {AREA_STEPS} that are allowed"));
        }
        let ids: Vec<String> = reactions.iter().enumerate().map(|(i, step)| step.step_id(i)).collect();
        let mut seen = HashSet::new();
        for (i, step) in reactions.iter().enumerate() {
            let at = format!("/reactions/{i}");
            if !seen.insert(&ids[i]) {
                self.say(pointer::join(&at, "id"), format!("{:?} is already the id of an earlier step", ids[i]));
            }
            self.step_id(&at, &ids[i]);
            self.step(&at, step, &ids[..i]);
        }
    }

    fn step_id(&mut self, at: &str, id: &str) {
        let fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if id.is_empty()
            || id.len() > STEP_ID_CHARS
            || !id.chars().all(fit)
            || id.starts_with(|c: char| c.is_ascii_digit())
        {
            let right =
                format!("must be 1 to {STEP_ID_CHARS} small letters, digits and `_`, and not begin with a digit");
            self.say(pointer::join(at, "id"), right);
        }
    }

    fn step(&mut self, at: &str, step: &ReactionRef, earlier: &[String]) {
        let sight = Sight { earlier, item: false };
        if let Some(when) = &step.when {
            self.condition(&pointer::join(at, "when"), when, &sight);
        }
        if let Some(list) = &step.for_each {
            let at = pointer::join(at, "for_each");
            match Expr::compile(list) {
                Ok(list) => self.paths(&at, &list.paths(), &sight),
                Err(why) => self.say(at, why),
            }
        }
        let Some(service) = self.service(at, &step.service, step.account) else { return };
        match catalog::reaction(service, &step.name) {
            Ok(spec) => self.step_data(at, spec, step, &Sight { earlier, item: step.for_each.is_some() }),
            Err(why) => self.say(pointer::join(at, "name"), why),
        }
    }

    fn step_data(&mut self, at: &str, spec: &'static ReactionSpec, step: &ReactionRef, sight: &Sight<'_>) {
        let at = pointer::join(at, "data");
        let schema = match schema::of_reaction(spec) {
            Ok(schema) => schema,
            Err(why) => return self.wrong.push(why.under(&at)),
        };
        let mut data = Value::Object(step.data.clone());
        self.reserved(&at, &data);
        schema.fill(&mut data);
        let templates: BTreeSet<String> = match Mold::compile(&data) {
            Ok(mold) => mold.template_pointers().iter().cloned().collect(),
            Err(wrong) => return self.wrong.extend(wrong.into_iter().map(|w| w.under(&at))),
        };
        for place in &templates {
            // One string alone, so that what it reads is told at its own place.
            let alone = data.pointer(place).and_then(|text| Mold::compile(text).ok());
            alone.into_iter().for_each(|mold| self.paths(&format!("{at}{place}"), mold.paths(), sight));
        }
        let errors = schema.errors(&data, &templates);
        if errors.is_empty() {
            self.wrong.extend((spec.check)(&data).into_iter().map(|wrong| wrong.under(&at)));
            self.urls(&at, &data, &schema, &templates);
        }
        self.wrong.extend(errors.into_iter().map(|wrong| wrong.under(&at)));
    }

    fn condition(&mut self, at: &str, text: &str, sight: &Sight<'_>) {
        match Condition::compile(text) {
            Ok(condition) => self.paths(at, &condition.paths(), sight),
            Err(why) => self.say(at, why),
        }
    }

    /// Refuses what can never be seen there: steps that are not earlier ones, `item` without `for_each`.
    fn paths(&mut self, at: &str, paths: &BTreeSet<String>, sight: &Sight<'_>) {
        for path in paths {
            let root = path.split(['.', '[']).next().unwrap_or_default();
            match root {
                "item" | "index" if !sight.item => {
                    self.say(at, format!("`{root}` is known only in the `data` of a step with `for_each`"));
                }
                "steps" => {
                    let Some(id) = step_of(path) else { continue };
                    if !sight.earlier.contains(&id) {
                        self.say(at, not_earlier(&id, sight.earlier));
                    }
                }
                _ => {}
            }
        }
    }

    /// Refuses the objects that stand for secrets: they are replaced before a document comes here.
    fn reserved(&mut self, at: &str, data: &Value) {
        let mut found = Vec::new();
        pointer::walk(data, &mut |place, value| {
            let member = value.as_object().filter(|m| m.len() == 1).and_then(|m| m.keys().next());
            let Some(name) = member.filter(|name| ["$secret", "$sealed", "$env"].contains(&name.as_str())) else {
                return true;
            };
            let why = match name.as_str() {
                "$secret" => "no secret is stored at this place: send it",
                "$env" => "only `area apply` reads the environment: send the value itself",
                _ => "sealed values cannot be sent: send the value itself",
            };
            found.push(Invalid::new(format!("{at}{place}"), why));
            false
        });
        self.wrong.extend(found);
    }

    /// URLs that a user gave: refused where the literal tells that they may not be called; and where a secret goes along, the
    /// origin must be literal.
    fn urls(&mut self, at: &str, data: &Value, schema: &schema::Schema, templates: &BTreeSet<String>) {
        let secret = schema.marked(SECRET, data).iter().any(|p| data.pointer(p).is_some_and(origin::is_given));
        for place in schema.marked(GUARDED, data) {
            let Some(text) = data.pointer(&place).and_then(Value::as_str) else { continue };
            let here = format!("{at}{place}");
            let is_template = templates.contains(&place);
            if is_template && secret && literal_origin(text).is_none() {
                let right = "must begin with a literal origin (`https://host/`): a secret goes along, and expressions \
                             may fill only path and query";
                self.say(here, right);
                continue;
            }
            let refused = match is_template {
                true => self.http.check_url_template(text).err(),
                false => self.http.check_url(text).err(),
            };
            if let Some(why) = refused {
                self.say(here, why);
            }
        }
    }
}

/// The step that a path reads: `steps.sum.text` and `steps['sum']` read `sum`.
fn step_of(path: &str) -> Option<String> {
    let rest = path.strip_prefix("steps")?;
    match rest.strip_prefix("['") {
        Some(quoted) => quoted.split_once("']").map(|(id, _)| id.to_owned()),
        None => rest.strip_prefix('.')?.split(['.', '[']).next().map(str::to_owned),
    }
}

fn not_earlier(id: &str, earlier: &[String]) -> String {
    match earlier {
        [] => format!("`steps.{id}` is not known here: no step comes before"),
        _ => format!("`steps.{id}` is not an earlier step: known here are {}", earlier.join(", ")),
    }
}
