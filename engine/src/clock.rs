//! The one door through which time comes in: UTC, whole microseconds (PostgreSQL keeps no more). A test moves it by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
/// For how long something takes: a test can pause it.
pub use tokio::time::Instant;

/// A point in time as it is stored: UTC microseconds since 1970-01-01.
pub type Micros = i64;

/// The longest that a sleeper trusts one timer: a wall clock that was set is noticed within this time.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// Where the engine reads the time. Clones share one clock.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still at `start` until it is moved.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self(Some(Arc::new(AtomicI64::new(start.timestamp_micros()))))
    }

    /// Now, in whole microseconds.
    pub fn now(&self) -> DateTime<Utc> {
        from_micros(self.micros())
    }

    /// Now, as it is stored.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn micros(&self) -> Micros {
        match &self.0 {
            Some(at) => at.load(Ordering::SeqCst),
            None => Utc::now().timestamp_micros(),
        }
    }

    /// Moves a manual clock to `to`; the machine's clock cannot be moved and ignores it.
    pub fn set(&self, to: Micros) {
        if let Some(at) = &self.0 {
            at.store(to, Ordering::SeqCst);
        }
    }

    /// Sleeps towards `at`, at most a second at a time: the caller looks at the clock again afterwards.
    pub async fn nap_until(&self, at: Micros) {
        let left = Duration::from_micros(u64::try_from(at - self.micros()).unwrap_or(0));
        tokio::time::sleep(left.min(LONGEST_NAP)).await;
    }
}

/// The instant that `at` stores. What lies outside chrono's 262,000 years becomes the epoch.
pub fn from_micros(at: Micros) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at).unwrap_or_default()
}
