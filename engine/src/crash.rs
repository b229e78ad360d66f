//! Named crash points, for the harness that kills the real process. Without the feature `testkit` they are nothing.

/// Dies at once, as by `kill -9`, when `AREA_CRASH_POINT` names this point (`NAME` or `NAME:N` for its N-th passing).
#[cfg(feature = "testkit")]
pub fn point(name: &str) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let Ok(wanted) = std::env::var("AREA_CRASH_POINT") else { return };
    let (point, nth) = wanted.split_once(':').unwrap_or((&wanted, "1"));
    if point == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == nth.parse().unwrap_or(1) {
        std::process::abort();
    }
}

/// Nothing.
#[cfg(not(feature = "testkit"))]
#[inline(always)]
pub fn point(_name: &str) {}
