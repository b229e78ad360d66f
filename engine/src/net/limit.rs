//! How often one host is called (a governor limit), and how soon again after it could not be reached (a circuit breaker).
//! Both live in the time that callers pass in. A host is remembered by a keyed hash: nothing is allocated for a call, and two
//! hosts that collide merely share a limit.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use tokio::time::Instant;
use url::Url;

/// Connections that must fail in a row before a host's circuit opens.
pub const FAILURES_TO_OPEN: u32 = 5;
/// The first pause of an open circuit; it doubles with every failed probe.
pub const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause of an open circuit.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long a half-open circuit waits for its probe before it lets another through.
const PROBE: Duration = Duration::from_secs(15);
/// Hosts in trouble that are remembered; beyond it the one whose turn comes soonest is forgotten.
const MAX_TROUBLED: usize = 4096;
/// Hosts that were not called lately are forgotten every so many calls.
const CALLS_PER_SWEEP: u64 = 8192;

/// A host, as limits and breakers know it.
pub(super) type HostKey = u64;

/// Why a call was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// Its host is called too often already.
    Busy(Duration),
    /// Its host could not be reached lately.
    Open(Duration),
}

/// The limits of all hosts.
#[derive(Debug)]
pub(super) struct Limits {
    hasher: RandomState,
    time: Time,
    rate: Option<Rate>,
    calls: AtomicU64,
    troubled: Mutex<HashMap<HostKey, Breaker>>,
    /// How many are in `troubled`: while it is zero, which is nearly always, no lock is taken.
    trouble: AtomicUsize,
}

type Rate = RateLimiter<HostKey, DashMapStateStore<HostKey>, Time, NoOpMiddleware<Nanos>>;

#[derive(Clone, Copy, Debug, Default)]
struct Breaker {
    failures: u32,
    /// No call before this.
    until: u64,
}

impl Limits {
    /// At most `per_second` calls to a host, in bursts of as many.
    pub(super) fn new(per_second: Option<NonZeroU32>) -> Self {
        let time = Time::default();
        let rate = per_second.map(|n| Rate::dashmap_with_clock(Quota::per_second(n), time.clone()));
        Self {
            hasher: RandomState::new(),
            time,
            rate,
            calls: AtomicU64::new(0),
            troubled: Mutex::default(),
            trouble: AtomicUsize::new(0),
        }
    }

    /// The host of `url`: its scheme counts, for a port may speak plain HTTP and fail at TLS.
    pub(super) fn host(&self, url: &Url) -> HostKey {
        self.hasher.hash_one((url.scheme(), url.host_str(), url.port_or_known_default()))
    }

    /// Whether the rate allows a call now.
    pub(super) fn check_rate(&self, host: HostKey, now: DateTime<Utc>) -> Result<(), Hold> {
        let Some(rate) = &self.rate else { return Ok(()) };
        self.time.pass(now);
        if self.calls.fetch_add(1, Relaxed) % CALLS_PER_SWEEP == CALLS_PER_SWEEP - 1 {
            rate.retain_recent();
        }
        rate.check_key(&host).map_err(|not_until| Hold::Busy(not_until.wait_time_from(self.time.now())))
    }

    /// Whether the host's circuit lets a call through. An open circuit whose pause is over lets one probe through.
    pub(super) fn check_circuit(&self, host: HostKey, now: DateTime<Utc>) -> Result<(), Hold> {
        if self.trouble.load(Relaxed) == 0 {
            return Ok(());
        }
        let now = self.time.pass(now);
        let mut troubled = self.troubled();
        match troubled.get_mut(&host) {
            Some(b) if b.failures >= FAILURES_TO_OPEN && now < b.until => {
                Err(Hold::Open(Duration::from_nanos(b.until - now)))
            }
            Some(b) if b.failures >= FAILURES_TO_OPEN => {
                b.until = now + nanos(PROBE);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The host was reached.
    pub(super) fn reached(&self, host: HostKey) {
        if self.trouble.load(Relaxed) == 0 {
            return;
        }
        let mut troubled = self.troubled();
        troubled.remove(&host);
        self.trouble.store(troubled.len(), Relaxed);
    }

    /// The host could not be reached.
    pub(super) fn failed(&self, host: HostKey, now: DateTime<Utc>) {
        let now = self.time.pass(now);
        let mut troubled = self.troubled();
        if troubled.len() >= MAX_TROUBLED && !troubled.contains_key(&host) {
            let soonest = troubled.iter().min_by_key(|(_, b)| b.until).map(|(&host, _)| host);
            soonest.and_then(|host| troubled.remove(&host));
        }
        let breaker = troubled.entry(host).or_default();
        breaker.failures = breaker.failures.saturating_add(1);
        breaker.until = now + nanos(pause(breaker.failures));
        self.trouble.store(troubled.len(), Relaxed);
    }

    fn troubled(&self) -> MutexGuard<'_, HashMap<HostKey, Breaker>> {
        self.troubled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// When to try again.
    pub(super) fn until(self, now: DateTime<Utc>) -> DateTime<Utc> {
        let (Self::Busy(wait) | Self::Open(wait)) = self;
        now + TimeDelta::from_std(wait).unwrap_or_default()
    }
}

/// The pause after so many failures: none below the threshold, then doubling.
fn pause(failures: u32) -> Duration {
    match failures.checked_sub(FAILURES_TO_OPEN) {
        None => Duration::ZERO,
        Some(doublings) => FIRST_PAUSE.saturating_mul(2u32.saturating_pow(doublings)).min(LONGEST_PAUSE),
    }
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX / 2)
}

/// The time that passed, by the instants that callers bring. It never goes back, and an instant that is older than another (of a
/// caller that began long ago, or of a clock that was set back) says nothing: then it goes on as this process's own clock does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Time(Arc<Passed>);

#[derive(Debug, Default)]
struct Passed {
    newest: Mutex<Option<Newest>>,
    nanos: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct Newest {
    /// In microseconds.
    instant: i64,
    at: Instant,
}

impl Time {
    /// It is `now`, or later; the nanoseconds that have passed.
    pub(crate) fn pass(&self, now: DateTime<Utc>) -> u64 {
        let (now, at) = (now.timestamp_micros(), Instant::now());
        let mut newest = self.0.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = newest.map_or(now, |known| {
            let own = i64::try_from(at.saturating_duration_since(known.at).as_micros()).unwrap_or(i64::MAX);
            if now >= known.instant { now - known.instant } else { own }
        });
        let instant = newest.map_or(now, |known| known.instant.saturating_add(passed));
        *newest = Some(Newest { instant, at });
        let passed = u64::try_from(passed).unwrap_or(0).saturating_mul(1000);
        self.0.nanos.fetch_add(passed, Relaxed).saturating_add(passed)
    }
}

impl Clock for Time {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.nanos.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_micros;

    const START: i64 = 1_800_000_000_000_000;

    fn at(ms: i64) -> DateTime<Utc> {
        from_micros(START + ms * 1000)
    }

    fn limits(per_second: u32) -> Limits {
        Limits::new(NonZeroU32::new(per_second))
    }

    #[test]
    fn a_host_is_scheme_name_and_port() {
        let limits = limits(1);
        let host = |url: &str| limits.host(&Url::parse(url).unwrap());
        assert_eq!(host("http://a.example/x?y"), host("http://a.example:80/z"));
        for other in ["https://a.example/", "http://a.example:81/", "http://b.example/"] {
            assert_ne!(host("http://a.example/"), host(other), "{other}");
        }
    }

    #[test]
    fn a_host_called_too_often_has_to_wait_and_others_do_not() {
        let limits = limits(10);
        for _ in 0..10 {
            assert_eq!(limits.check_rate(1, at(0)), Ok(()));
        }
        let hold = limits.check_rate(1, at(0)).unwrap_err();
        assert!(matches!(hold, Hold::Busy(_)) && hold.until(at(0)) <= at(100) && hold.until(at(0)) > at(0), "{hold:?}");
        assert_eq!(limits.check_rate(2, at(0)), Ok(()));
        assert_eq!(limits.check_rate(1, at(101)), Ok(()));
        assert!(limits.check_rate(1, at(101)).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_set_back_neither_blocks_a_host_nor_frees_it() {
        let limits = limits(1);
        assert_eq!(limits.check_rate(1, at(86_400_000)), Ok(()));
        assert!(limits.check_rate(1, at(0)).is_err());
        tokio::time::advance(Duration::from_millis(1001)).await;
        assert_eq!(limits.check_rate(1, at(1001)), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_began_long_ago_does_not_make_time_go_faster() {
        let time = Time::default();
        let start = time.pass(at(0));
        for second in 1..=30 {
            tokio::time::advance(Duration::from_secs(1)).await;
            time.pass(at(0));
            time.pass(at(second * 1000));
            time.pass(at(500));
        }
        assert_eq!(time.pass(at(30_000)) - start, 30_000_000_000);
    }

    #[test]
    fn forgotten_hosts_cost_no_memory() {
        let limits = limits(1);
        for host in 0..CALLS_PER_SWEEP - 1 {
            limits.check_rate(host, at(0)).unwrap();
        }
        assert_eq!(limits.rate.as_ref().unwrap().len() as u64, CALLS_PER_SWEEP - 1);
        limits.check_rate(u64::MAX, at(60_000)).unwrap();
        assert_eq!(limits.rate.as_ref().unwrap().len(), 1);
    }

    #[test]
    fn a_circuit_opens_after_failures_in_a_row_lets_one_probe_through_and_closes_when_it_is_reached() {
        let limits = limits(1);
        for _ in 0..FAILURES_TO_OPEN {
            assert_eq!(limits.check_circuit(7, at(0)), Ok(()));
            limits.failed(7, at(0));
        }
        assert_eq!(limits.check_circuit(7, at(0)).unwrap_err().until(at(0)), at(1000));
        assert_eq!(limits.check_circuit(8, at(0)), Ok(()));
        assert_eq!(limits.check_circuit(7, at(1000)), Ok(()), "the probe");
        assert!(limits.check_circuit(7, at(1001)).is_err(), "one probe at a time");
        limits.failed(7, at(1002));
        assert_eq!(limits.check_circuit(7, at(1002)).unwrap_err().until(at(1002)), at(3002), "twice as long");
        assert_eq!(limits.check_circuit(7, at(3002)), Ok(()));
        limits.reached(7);
        assert_eq!(limits.check_circuit(7, at(3003)), Ok(()));
        assert_eq!(limits.trouble.load(Relaxed), 0);
    }

    #[test]
    fn a_probe_that_never_came_back_is_replaced() {
        let limits = limits(1);
        (0..FAILURES_TO_OPEN).for_each(|_| limits.failed(7, at(0)));
        assert_eq!(limits.check_circuit(7, at(1000)), Ok(()));
        assert!(limits.check_circuit(7, at(2000)).is_err());
        assert_eq!(limits.check_circuit(7, at(16_000)), Ok(()));
    }

    #[test]
    fn the_pause_is_bounded_and_so_is_the_memory() {
        assert_eq!(pause(FAILURES_TO_OPEN - 1), Duration::ZERO);
        assert_eq!(pause(FAILURES_TO_OPEN + 3), FIRST_PAUSE * 8);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
        let limits = limits(1);
        (0..MAX_TROUBLED as u64 + 10).for_each(|host| limits.failed(host, at(0)));
        assert_eq!(limits.troubled().len(), MAX_TROUBLED);
    }
}
