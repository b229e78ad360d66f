//! A node whose loops do not run by themselves: a simulation takes their steps, one at a time, in the order that its seed says.

use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::Mutex;

use super::housekeeping::{self, BEGINNING, Place};
use super::timing::Timing;
use super::{Engine, Wake, Wakes, lease, take_over, wake};
use crate::clock::Micros;

/// The steps of a node's loops; each is what one turn of the loop does.
#[derive(Debug)]
pub struct Steps {
    engine: Arc<Engine>,
    wakes: Mutex<Wakes>,
    timing: Mutex<Timing>,
    place: Mutex<Place>,
}

impl Steps {
    /// The steps of a node that does not run.
    pub fn of(engine: &Arc<Engine>, wakes: Wakes) -> Self {
        let timing = Mutex::new(Timing::new(engine));
        Self { engine: Arc::clone(engine), wakes: Mutex::new(wakes), timing, place: Mutex::new(BEGINNING) }
    }

    /// A heartbeat; what it gains and hands over is done by tasks of their own.
    pub async fn beat(&self) {
        lease::beat(&self.engine).await;
    }

    /// Polls who is due; says when to look again.
    pub async fn poll(&self) -> Micros {
        self.timing.lock().await.look(&self.engine).await
    }

    /// Whether the schedule changed since it was asked last, so that `poll` should look at once.
    pub fn due_changed(&self) -> bool {
        self.engine.due_changed.notified().now_or_never().is_some()
    }

    /// Sets going what may go; says when to look again.
    pub async fn react(&self) -> Micros {
        crate::react::start_what_may_go(&self.engine).await
    }

    /// Whether the queue changed since it was asked last, so that `react` should look at once.
    pub fn queue_changed(&self) -> bool {
        self.engine.queue_changed.notified().now_or_never().is_some()
    }

    /// The next wake that waits to be heard.
    pub fn next_wake(&self) -> Option<Wake> {
        self.wakes.try_lock().ok()?.0.try_recv().ok()
    }

    /// Acts upon a wake, its own or another node's.
    pub async fn hear(&self, wake: Wake) {
        wake::act(&self.engine, wake).await;
    }

    /// Looks for what wakes that were lost left behind.
    pub async fn scan(&self) {
        housekeeping::slow_scan(&self.engine, &mut *self.place.lock().await).await;
    }

    /// The connection that wakes come by was lost: everything is read again.
    pub async fn look_again(&self) {
        take_over::look_again(&self.engine).await;
    }

    /// Raises silence.
    pub async fn silence(&self) {
        housekeeping::raise_silence(&self.engine).await;
    }

    /// A few small steps of retention.
    pub async fn purge(&self) {
        housekeeping::purge(&self.engine).await;
    }

    /// Writes the cursors that moved without items.
    pub async fn cursors(&self) {
        self.engine.write_cursors(&self.engine.leases.held()).await;
    }
}
