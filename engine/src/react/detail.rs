//! What a run remembers of its steps: stored as JSON in the run's row, so that a step that succeeded is never repeated and every
//! attempt can be shown.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Micros;
use crate::ids::{EventId, RunId};

/// Why a run exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An event came.
    #[default]
    Event,
    /// Its owner repeated another run.
    Replay,
    /// Its owner tries the AREA out.
    Test,
}

impl Kind {
    fn is_event(&self) -> bool {
        *self == Self::Event
    }
}

/// A run's memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// Why it exists.
    #[serde(skip_serializing_if = "Kind::is_event")]
    pub kind: Kind,
    /// The run that it repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<RunId>,
    /// A digest's events, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventId>,
    /// The steps that were begun, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not finished: it is being tried, or waits for the next attempt.
    Open,
    /// Done; its output is there.
    Done,
    /// Its `when` did not hold.
    Skipped,
    /// Given up; the run went on where the step says `on_error: continue`.
    Failed,
    /// It may have happened.
    Uncertain,
}

/// One step's memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its id in the AREA.
    pub id: String,
    /// Where it stands.
    pub state: StepState,
    /// What later steps see; of a `for_each`, the list of what the items gave so far.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub output: Value,
    /// `for_each`: how many items there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<usize>,
    /// The instant that it sleeps to, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_at: Option<Micros>,
    /// What was tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

impl Step {
    /// A step that begins.
    pub fn begin(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            state: StepState::Open,
            output: Value::Null,
            of: None,
            wake_at: None,
            attempts: vec![],
        }
    }

    /// Whether item `index` did not fail in the end.
    pub fn worked(&self, index: usize) -> bool {
        self.attempts.iter().rfind(|a| a.index == Some(index)).is_some_and(|a| !a.failed())
    }

    /// Whether a call was made of item `index`.
    pub fn has_called(&self, index: Option<usize>) -> bool {
        self.attempts.iter().any(|a| a.index == index)
    }

    /// The number of the next attempt at item `index`, from 1.
    pub fn next_attempt(&self, index: Option<usize>) -> u32 {
        self.attempts.iter().filter(|a| a.index == index && a.failed()).map(|a| a.number).max().unwrap_or(0) + 1
    }
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// `for_each`: which item, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// When it began.
    pub at: Micros,
    /// How long it took, in milliseconds; absent while only its start is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// What was handed to the reaction, secrets redacted, long texts cut.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub sent: Value,
    /// What went wrong; absent when it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

impl Attempt {
    /// Whether it ended badly.
    pub fn failed(&self) -> bool {
        self.fault.is_some()
    }

    /// Whether only its start is recorded.
    pub fn only_started(&self) -> bool {
        self.ms.is_none()
    }
}

impl Detail {
    /// What the database says; a run that never began has nothing.
    pub fn parse(text: Option<&str>) -> Self {
        text.and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default()
    }

    /// As it is stored.
    pub fn text(&self) -> Option<String> {
        (*self != Self::default()).then(|| serde_json::to_string(self).ok()).flatten()
    }

    /// The step called `id`, begun if it was not.
    pub fn step(&mut self, id: &str) -> &mut Step {
        match self.steps.iter().position(|s| s.id == id) {
            Some(at) => &mut self.steps[at],
            None => {
                self.steps.push(Step::begin(id));
                let last = self.steps.len() - 1;
                &mut self.steps[last]
            }
        }
    }
}
