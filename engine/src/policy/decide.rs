//! What becomes of an event, decided once, when it comes; every wait has an instant from the beginning. The policies stand in one
//! order, because each must see what the one before it left:
//!
//! 1. `expires_at`: an AREA that is over takes nothing, and remembers nothing of it.
//! 2. `order`: `single` drops while a run goes, before the event could wait for anything; `restart` cancels that run.
//! 3. `quiet_hours` that drop: by when the event *came*. (What came before them and would run in them waits for their end, in 6.)
//! 4. `debounce` or `digest` (never both): from many events one run, and when it is due. The later policies count runs.
//! 5. `throttle`: the first free instant from then on, after the quiet hours. It stands last, so that a burst that was debounced
//!    or collected takes one place, not many.
//! 6. `quiet_hours` that hold: no instant that comes out of 4 and 5 lies in them.
//! 7. `expires_at` again: what would run only then is dropped now, not later in silence.
//!
//! A throttle remembers instants. Should the clock have been set back, instants further ahead than [`LONGEST_HOLD`] are forgotten.

use serde::{Deserialize, Serialize};

use super::model::{DIGEST_EVENTS, Digest, LONGEST_HOLD, Order, Over, Policy};
use super::state::{Held, Open, PolicyState};
use crate::clock::{Micros, from_micros};
use crate::duration::Span;
use crate::schedule::cron::Cron;

/// An event at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its id.
    pub event: i64,
    /// The instant of the decision.
    pub now: Micros,
    /// Whether a run of the AREA goes or waits for a retry (held ones do not count).
    pub going: bool,
}

/// What is to be recorded. For one arrival there is exactly one of `Run`, `Hold`, `Drop` and `Collect` that names its event, as the
/// last entry; before it what happens to earlier runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Birth {
    /// A run that may go at once.
    Run {
        /// Its event.
        event: i64,
    },
    /// A run that may go at `until`.
    Hold {
        /// Its event.
        event: i64,
        /// When it may go.
        until: Micros,
        /// Which policy holds it longest.
        reason: Reason,
    },
    /// A run that ends before it began.
    Drop {
        /// Its event.
        event: i64,
        /// Which policy dropped it.
        reason: Reason,
    },
    /// The event joins a digest: no run of its own; the run of `into` gets it, and its new instant.
    Collect {
        /// The event.
        event: i64,
        /// The digest's first event, whose held run carries it.
        into: i64,
        /// When that run may go.
        until: Micros,
    },
    /// The held run of an earlier event is dropped: a newer event came.
    Replace {
        /// The earlier event.
        event: i64,
    },
    /// The runs of the AREA that go or wait are cancelled.
    Restart,
}

/// Which policy held or dropped a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The AREA is over, or would be before the run's turn.
    Expired,
    /// `order: single`, and a run was going.
    Single,
    /// Quiet hours.
    QuietHours,
    /// It waits whether a newer event comes.
    Debounce,
    /// It collects further events.
    Digest,
    /// Too many runs in the window.
    Throttle,
}

impl Reason {
    /// The word that stands in the run's row.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Single => "single",
            Self::QuietHours => "quiet_hours",
            Self::Debounce => "debounce",
            Self::Digest => "digest",
            Self::Throttle => "throttle",
        }
    }
}

/// The word in the row of a run that a newer event replaced.
pub const DEBOUNCED: &str = "debounced";

/// Decides about one event and remembers what later ones need.
pub fn decide(policy: &Policy, state: &mut PolicyState, arrival: Arrival) -> Vec<Birth> {
    let Arrival { event, now, going } = arrival;
    forget(policy, state, now);
    let dropped = |reason| vec![Birth::Drop { event, reason }];
    let expires = policy.expires_at.map_or(Micros::MAX, |at| at.timestamp_micros());
    if now >= expires {
        return dropped(Reason::Expired);
    }
    if policy.order == Order::Single && going {
        return dropped(Reason::Single);
    }
    if policy.quiet_hours.as_ref().is_some_and(|quiet| quiet.over == Over::Drop && quiet.end(now).is_some()) {
        return dropped(Reason::QuietHours);
    }
    let mut births = match policy.digest.as_ref() {
        Some(digest) => collect(policy, digest, state, event, now, expires),
        None => single_run(policy, state, event, now, expires),
    };
    if policy.order == Order::Restart && going && births.iter().any(|birth| matches!(birth, Birth::Run { .. })) {
        births.insert(0, Birth::Restart);
    }
    births
}

/// When `area.silent` is raised, counted from the last event (or from when the AREA joined); `None`: not asked for.
pub fn silence_due(policy: &Policy, last_event_at: Micros) -> Option<Micros> {
    policy.silence.map(|silence| last_event_at.saturating_add(silence.micros()))
}

/// Drops from memory what is over, what no policy asks for any more, and what only a wrong clock can have written.
fn forget(policy: &Policy, state: &mut PolicyState, now: Micros) {
    state.held = state.held.filter(|held| policy.debounce.is_some() && held.until > now);
    state.digest = state.digest.filter(|open| policy.digest.is_some() && open.due > now);
    match &policy.throttle {
        Some(throttle) => {
            let furthest = now.saturating_add(LONGEST_HOLD.micros().saturating_mul(2));
            state.slots.retain(|slot| *slot <= furthest);
            state.trim(throttle);
        }
        None => state.slots.clear(),
    }
}

/// One run for one event, or for the newest of a burst.
fn single_run(policy: &Policy, state: &mut PolicyState, event: i64, now: Micros, expires: Micros) -> Vec<Birth> {
    let ready = now.saturating_add(policy.debounce.map_or(0, Span::micros));
    let older = state.held.take();
    let kept = state.slots.clone();
    older.iter().for_each(|older| state.give_back(older.due));
    let (due, reason) = match place(policy, state, ready, expires) {
        Ok(placed) => placed,
        Err(reason) => {
            // The newer event cannot run, so the older one does.
            (state.held, state.slots) = (older, kept);
            return vec![Birth::Drop { event, reason }];
        }
    };
    state.take(policy.throttle.as_ref(), due);
    state.held = policy.debounce.map(|_| Held { event, until: ready, due });
    let born = match due {
        due if due <= now => Birth::Run { event },
        until => Birth::Hold { event, until, reason: reason.unwrap_or(Reason::Debounce) },
    };
    older.map(|older| Birth::Replace { event: older.event }).into_iter().chain([born]).collect()
}

/// One run for many events.
fn collect(
    policy: &Policy,
    digest: &Digest,
    state: &mut PolicyState,
    event: i64,
    now: Micros,
    expires: Micros,
) -> Vec<Birth> {
    let most = digest.max.unwrap_or(DIGEST_EVENTS).clamp(1, DIGEST_EVENTS);
    if let Some(open) = state.digest.as_mut() {
        open.count += 1;
        let open = *open;
        let until = if open.count >= most { close(policy, state, &open, now, expires) } else { open.due };
        return vec![Birth::Collect { event, into: open.event, until }];
    }
    let ready = if most == 1 { now } else { digest.due(now) };
    let (due, reason) = match place(policy, state, ready, expires) {
        Ok(placed) => placed,
        Err(reason) => return vec![Birth::Drop { event, reason }],
    };
    state.take(policy.throttle.as_ref(), due);
    if most > 1 {
        state.digest = Some(Open { event, count: 1, due });
    }
    vec![match due {
        due if due <= now => Birth::Run { event },
        until => Birth::Hold { event, until, reason: reason.unwrap_or(Reason::Digest) },
    }]
}

/// The digest is full: it fires now, or as soon as the other policies let it, but no earlier than the run before it and no later
/// than it would have.
fn close(policy: &Policy, state: &mut PolicyState, open: &Open, now: Micros, expires: Micros) -> Micros {
    state.digest = None;
    state.give_back(open.due);
    let ready = state.slots.last().map_or(now, |before| now.max(*before));
    let due = place(policy, state, ready, expires).map_or(open.due, |(due, _)| due.min(open.due));
    state.take(policy.throttle.as_ref(), due);
    due
}

/// The instant from `ready` on at which throttle, quiet hours and expiry let a run go, and which of them held it longest.
fn place(
    policy: &Policy,
    state: &PolicyState,
    ready: Micros,
    expires: Micros,
) -> Result<(Micros, Option<Reason>), Reason> {
    let loud = |at: Micros| policy.quiet_hours.as_ref().and_then(|quiet| quiet.end(at));
    let (mut due, mut reason) = (ready, None);
    if let Some(end) = loud(due) {
        (due, reason) = (end, Some(Reason::QuietHours));
    }
    if let Some(throttle) = &policy.throttle {
        let free = state.free(throttle, due).ok_or(Reason::Throttle)?;
        if free > due {
            (due, reason) = (free, Some(Reason::Throttle));
        }
        if let Some(end) = loud(due) {
            (due, reason) = (end, Some(Reason::QuietHours));
        }
    }
    if due >= expires { Err(Reason::Expired) } else { Ok((due, reason)) }
}

impl Digest {
    /// When a digest that opens at `now` fires.
    fn due(&self, now: Micros) -> Micros {
        if let Some(every) = self.every {
            return now.saturating_add(every.micros());
        }
        let next = self.at.as_ref().and_then(|at| {
            let cron = Cron::parse(&at.cron, at.tz.as_deref()).ok()?;
            cron.next_after(from_micros(now))
        });
        // A schedule that cannot be read was refused when it was saved: better at once than never.
        next.map_or(now, |at| at.timestamp_micros())
    }
}
