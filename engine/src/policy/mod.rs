//! An AREA's policies: when its runs may be born. Pure.
//!
//! - `model`: the `policy` object of an AREA as users write it, and what a schema cannot say about it.
//! - `decide`: what becomes of an event, decided once, when it comes. The order of the policies is fixed there.
//! - `quiet`: quiet hours in their zone. `day`: a time of day.

mod day;
mod decide;
mod model;
mod quiet;
mod state;

pub use day::{TimeOfDay, Weekday};
pub use decide::{Arrival, Birth, DEBOUNCED, Reason, decide, silence_due};
pub use model::{
    At, DIGEST_EVENTS, Delivery, Digest, LONGEST_HOLD, Order, Over, PARALLEL_RUNS, Policy, QuietHours, RETRY_ATTEMPTS,
    Retry, THROTTLE_RUNS, Throttle,
};
pub use state::PolicyState;

#[cfg(test)]
mod tests;
