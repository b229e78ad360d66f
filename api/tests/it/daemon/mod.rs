//! The real process on real input, killed and cut off. Nothing here reaches into the daemon: it is started, asked over HTTP and
//! killed, and what counts is what arrives.
//!
//! `process` runs the binary, `place` is where it lives (a folder, a database, a port). Input comes from `feeder` (an nginx whose
//! files change) and `sender` (webhooks signed by somebody else's library); `receiver` records what arrives. `world` puts them
//! together with AREAs and a `load`, `audit` compares what was produced with what arrived.

mod audit;
mod feeder;
mod load;
mod place;
pub mod process;
mod proxy;
mod receiver;
mod sender;
mod world;

mod clock;
mod crash_points;
mod database_away;
mod disk_full;
mod edits;
mod first_minute;
mod nodes;
mod random_kills;
mod real_input;
mod taken_out;

pub use receiver::Receiver;

use std::time::Duration;

use tokio::time::Instant;

/// Between two looks at something that another process does.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until `done` says so; false when it did not within `within`.
pub async fn until(within: Duration, mut done: impl AsyncFnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    loop {
        if done().await {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// A port that is free now and that no outgoing connection takes: a daemon comes back to it after it was killed.
pub fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + (u16::try_from(std::process::id() % 9_000).unwrap_or(0) + step) % 18_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
