//! The AREA as people write it: its shape, its words for forms and docs, and the way from JSON text to [`Document`] with every
//! slip named at its place.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::pointer;
use super::schema::Schema;
use super::secrets::is_shown_secret;
use crate::duration::Span;
use crate::ids::AccountId;
use crate::policy::Policy;
use crate::port::Invalid;

/// A stored action wired to an ordered list of reactions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "AREA")]
pub struct Document {
    /// What its owner calls it.
    pub name: String,
    /// What is watched.
    pub action: ActionRef,
    /// An expression over `event`, `area` and `now`: where it does not hold, nothing happens. `'invoice' in event.subject|lower`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// What is done, in this order. `reaction` with one of them, or with a list, means the same.
    pub reactions: Vec<ReactionRef>,
    /// How runs are ordered, held back, retried and delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// What is watched: an action of a service.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionRef {
    /// The service's name, as the catalogue has it: `http`.
    pub service: String,
    /// The action's name within the service: `new_item`.
    pub name: String,
    /// The action's settings, by its own schema.
    #[serde(default)]
    pub data: Map<String, Value>,
    /// The linked account to watch, where the service needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// How often to look: `30s`, `5m`. Absent: the action's default. All of an owner's AREAs on one feed are served by the
    /// shortest of their intervals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// Fire also for what is already there at the first look.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backfill: bool,
}

/// One step: a reaction of a service.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReactionRef {
    /// The name under which later steps see this one's output, `steps.ID`: small letters, digits and `_`. Absent: `step1` for
    /// the first, and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The service's name, as the catalogue has it: `http`.
    pub service: String,
    /// The reaction's name within the service: `request`.
    pub name: String,
    /// The reaction's settings, by its own schema. Strings may hold `{{ expressions }}` over `event`, `steps`, `area`, `now`, and
    /// `item` under `for_each`.
    #[serde(default)]
    pub data: Map<String, Value>,
    /// The linked account to act with, where the service needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// An expression over `event`, `steps`, `area` and `now`: where it does not hold, the step is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// An expression that gives a list: the step is done once for each element, which it sees as `item`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<String>,
    /// What follows when the step fails for good.
    #[serde(default, skip_serializing_if = "OnError::is_stop")]
    pub on_error: OnError,
}

/// What follows when a step fails for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The run has failed; later steps are not done.
    #[default]
    Stop,
    /// The later steps are done all the same; `steps.ID` is none.
    Continue,
}

impl OnError {
    fn is_stop(&self) -> bool {
        *self == Self::Stop
    }
}

/// `data` may hold secrets in the clear: it is not printed.
impl std::fmt::Debug for ActionRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ActionRef").field("service", &self.service).field("name", &self.name).finish_non_exhaustive()
    }
}

/// `data` may hold secrets in the clear: it is not printed.
impl std::fmt::Debug for ReactionRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReactionRef").field("service", &self.service).field("name", &self.name).finish_non_exhaustive()
    }
}

impl ReactionRef {
    /// The step's id: as written, or by its place in the list (counted from 0).
    pub fn step_id(&self, index: usize) -> String {
        self.id.clone().unwrap_or_else(|| format!("step{}", index + 1))
    }
}

/// The document's own schema: the settings of actions and reactions are checked by theirs.
pub static SCHEMA: LazyLock<Result<Schema, String>> =
    LazyLock::new(|| Schema::compile(schemars::schema_for!(Document).to_value()));

impl Document {
    /// Reads a document whose list of reactions is spelled `reactions` (see [`Spelling::unify`]). Everything that is wrong with
    /// its shape is told at once.
    pub fn read(json: &Value) -> Result<Self, Vec<Invalid>> {
        let schema = SCHEMA.as_ref().map_err(|why| vec![Invalid::new("", why.clone())])?;
        let errors = schema.errors(json, &Default::default());
        if !errors.is_empty() {
            return Err(errors);
        }
        serde_path_to_error::deserialize(json)
            .map_err(|e| vec![Invalid::new(path_pointer(e.path()), e.inner().to_string())])
    }
}

fn path_pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |at, segment| match segment {
        Segment::Seq { index } => format!("{at}/{index}"),
        Segment::Map { key } => pointer::join(&at, key),
        Segment::Enum { .. } | Segment::Unknown => at,
    })
}

/// How the writer spelled the list of reactions; errors are told in that spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `"reactions": [ … ]`.
    Reactions,
    /// `"reactions": { … }`.
    OneReactions,
    /// `"reaction": [ … ]`.
    Reaction,
    /// `"reaction": { … }`.
    OneReaction,
}

impl Spelling {
    /// Respells the list of reactions in `json` (a document or a patch of one) as `reactions`.
    pub fn unify(json: &mut Value) -> Result<Self, Vec<Invalid>> {
        let Some(members) = json.as_object_mut() else {
            return Err(vec![Invalid::new("", "must be an object")]);
        };
        let Some(reaction) = members.remove("reaction") else {
            return Ok(match members.get_mut("reactions") {
                Some(one @ Value::Object(_)) => {
                    *one = Value::Array(vec![one.take()]);
                    Self::OneReactions
                }
                _ => Self::Reactions,
            });
        };
        if members.contains_key("reactions") {
            return Err(vec![Invalid::new(
                "/reaction",
                "must be absent where `reactions` is given: they mean the same",
            )]);
        }
        let (list, spelling) = match reaction {
            one @ Value::Object(_) => (Value::Array(vec![one]), Self::OneReaction),
            other => (other, Self::Reaction),
        };
        members.insert("reactions".into(), list);
        Ok(spelling)
    }

    /// The errors, their pointers in the writer's spelling.
    pub fn respell(self, errors: Vec<Invalid>) -> Vec<Invalid> {
        let (from, to) = match self {
            Self::Reactions => return errors,
            Self::OneReactions => ("/reactions/0", "/reactions"),
            Self::Reaction => ("/reactions", "/reaction"),
            Self::OneReaction => ("/reactions/0", "/reaction"),
        };
        let respell = |mut error: Invalid| {
            if pointer::within(&error.pointer, from) {
                error.pointer.replace_range(..from.len(), to);
            } else if self == Self::OneReaction && error.pointer == "/reactions" {
                error.pointer = "/reaction".into();
            }
            error
        };
        errors.into_iter().map(respell).collect()
    }
}

/// RFC 7396: `patch` laid over `target`. A null takes the member away. What stands for a secret is one value: it is kept or
/// replaced, never laid over.
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() || is_shown_secret(target) {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else { return };
    for (name, change) in changes {
        match change {
            Value::Null => {
                members.remove(name);
            }
            _ => merge_patch(members.entry(name.clone()).or_insert(Value::Null), change),
        }
    }
}
