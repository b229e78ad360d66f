//! What an AREA's policies remember between events: committed with the runs that they decide.

use serde::{Deserialize, Serialize};

use super::model::{LONGEST_HOLD, Over, Throttle};
use crate::clock::Micros;

/// The memory of one AREA's policies. Small: one instant more than the throttle's `max` (the latest may yet be given back), one
/// held run and one digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyState {
    /// The instants of the latest runs that the throttle let through, some of them yet to come; in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) slots: Vec<Micros>,
    /// The run that the debounce holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) held: Option<Held>,
    /// The digest that collects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<Open>,
}

/// A run that a newer event may yet replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    pub event: i64,
    /// Until then a newer event replaces it.
    pub until: Micros,
    /// When it runs: later than `until` where another policy holds it too.
    pub due: Micros,
}

/// A digest that still takes events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Open {
    /// Its first event: the run is this one's.
    pub event: i64,
    pub count: u32,
    pub due: Micros,
}

impl PolicyState {
    /// Nothing is remembered: there is nothing to store.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The run that collects has begun: it takes no further event.
    pub fn digest_began(&mut self) {
        self.digest = None;
    }

    /// The run that the debounce held has begun: nothing replaces it.
    pub fn held_began(&mut self) {
        self.held = None;
    }

    /// Reads what was stored; what cannot be read counts as nothing.
    pub fn parse(text: Option<&str>) -> Self {
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// The first instant from `ready` on that the throttle has free; `None` where it drops.
    pub(super) fn free(&self, throttle: &Throttle, ready: Micros) -> Option<Micros> {
        let max = usize::try_from(throttle.max).unwrap_or(usize::MAX).max(1);
        let oldest = self.slots.len().checked_sub(max).and_then(|place| self.slots.get(place));
        let free = oldest.map_or(ready, |oldest| oldest.saturating_add(throttle.per.micros()).max(ready));
        match throttle.over {
            Over::Hold => {
                let last = self.slots.last().copied().unwrap_or(ready);
                Some(free.max(last)).filter(|free| *free - ready <= LONGEST_HOLD.micros())
            }
            Over::Drop => Some(free).filter(|free| *free == ready),
        }
    }

    /// Takes the instant `at` for a run.
    pub(super) fn take(&mut self, throttle: Option<&Throttle>, at: Micros) {
        let Some(throttle) = throttle else { return };
        self.slots.push(at);
        self.slots.sort_unstable();
        self.trim(throttle);
    }

    /// Forgets what lies too far back to matter, even if the latest instant is given back.
    pub(super) fn trim(&mut self, throttle: &Throttle) {
        let kept = usize::try_from(throttle.max).unwrap_or(usize::MAX).max(1).saturating_add(1);
        self.slots.drain(..self.slots.len().saturating_sub(kept));
    }

    /// Gives back the instant of a run that will not be.
    pub(super) fn give_back(&mut self, at: Micros) {
        if let Some(place) = self.slots.iter().rposition(|slot| *slot == at) {
            self.slots.remove(place);
        }
    }
}
