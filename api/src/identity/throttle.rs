//! How often strangers may try: by address and by person, in bursts of a minute's worth. Who never comes back is forgotten by a
//! timer, so that memory does not grow with the world.

use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::time::{MissedTickBehavior, interval};

use crate::settings;

/// How often those are forgotten who may try as often as anybody.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// One limit. A key is remembered as its hash under a key of this process: two that collide merely share the limit.
#[derive(Debug)]
pub struct Limit {
    limiter: Option<DefaultKeyedRateLimiter<u64>>,
    clock: DefaultClock,
    hasher: RandomState,
}

impl Limit {
    fn per_minute(n: u32) -> Self {
        let limiter = NonZeroU32::new(n).map(|n| RateLimiter::dashmap(Quota::per_minute(n)));
        Self { limiter, clock: DefaultClock::default(), hasher: RandomState::new() }
    }

    /// Counts a try.
    ///
    /// # Errors
    /// How long to wait.
    pub fn take(&self, key: impl Hash) -> Result<(), Duration> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        let taken = limiter.check_key(&self.hasher.hash_one(key));
        taken.map_err(|until| until.wait_time_from(self.clock.now()))
    }

    fn forget(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }

    #[cfg(test)]
    fn remembered(&self) -> usize {
        self.limiter.as_ref().map_or(0, RateLimiter::len)
    }
}

/// Every limit.
#[derive(Debug)]
pub struct Throttle {
    /// Sign-ins by address.
    pub sign_in_address: Limit,
    /// Sign-ins by person.
    pub sign_in_user: Limit,
    /// Sign-ups and requests for mail by address.
    pub sign_up_address: Limit,
    /// Mails by whom they go to.
    pub mail_user: Limit,
    /// Requests to hooks by address.
    pub hooks_address: Limit,
}

impl Throttle {
    /// By these settings. The timer ends with the last clone.
    pub fn start(settings: &settings::Throttle) -> Arc<Self> {
        let all = Arc::new(Self {
            sign_in_address: Limit::per_minute(settings.sign_in_per_address),
            sign_in_user: Limit::per_minute(settings.sign_in_per_user),
            sign_up_address: Limit::per_minute(settings.sign_up_per_address),
            mail_user: Limit::per_minute(settings.mail_per_user),
            hooks_address: Limit::per_minute(settings.hooks_per_address),
        });
        let weak = Arc::downgrade(&all);
        tokio::spawn(async move {
            let mut every = interval(FORGET_EVERY);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                every.tick().await;
                let Some(all) = weak.upgrade() else { return };
                all.forget();
            }
        });
        all
    }

    fn forget(&self) {
        let all =
            [&self.sign_in_address, &self.sign_in_user, &self.sign_up_address, &self.mail_user, &self.hooks_address];
        all.into_iter().for_each(Limit::forget);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_own_burst_and_is_told_how_long_to_wait() {
        let limit = Limit::per_minute(3);
        for _ in 0..3 {
            assert!(limit.take("a").is_ok());
        }
        let wait = limit.take("a").unwrap_err();
        assert!((Duration::from_secs(15)..=Duration::from_secs(20)).contains(&wait), "{wait:?}");
        assert!(limit.take("b").is_ok());
        assert!((0..1_000).all(|_| Limit::per_minute(0).take("a").is_ok()), "0 is no limit");
    }

    #[test]
    fn who_may_try_as_often_as_anybody_is_forgotten() {
        let limit = Limit::per_minute(60_000);
        (0..1_000).for_each(|n| limit.take(n).unwrap());
        assert!(limit.remembered() > 0);
        // A thousandth of a second gives a key its burst back.
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        while limit.remembered() > 0 && tokio::time::Instant::now() < deadline {
            limit.forget();
            std::thread::yield_now();
        }
        assert_eq!(limit.remembered(), 0);
    }
}
