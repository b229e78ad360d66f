//! The lease keeper's loop: a heartbeat, what was gained, what was lost, what another node should have.

use std::sync::Arc;

use super::{Engine, take_over};

/// Keeps this node alive and its partitions in step with the rows. Nothing that takes long is done here: a heartbeat that waits
/// for a hand-over would lose what is left.
pub async fn keep(engine: Arc<Engine>) {
    loop {
        beat(&engine).await;
        tokio::select! {
            () = tokio::time::sleep(engine.leases.beat_every()) => {}
            () = engine.stop.cancelled() => return,
        }
    }
}

/// One heartbeat, and what follows from it.
pub async fn beat(engine: &Arc<Engine>) {
    let changes = match engine.leases.round().await {
        Ok(changes) => changes,
        Err(error) => return tracing::warn!(%error, "cannot keep the lease; what is due waits"),
    };
    if !changes.lost.is_empty() {
        take_over::drop_parts(engine, &changes.lost);
    }
    let gained: Vec<i64> = changes.gained.iter().copied().filter(|part| !changes.surplus.contains(part)).collect();
    if !changes.surplus.is_empty() {
        let node = Arc::clone(engine);
        engine.spawn(async move { take_over::hand_over(&node, &changes.surplus).await });
    }
    if !gained.is_empty() {
        let node = Arc::clone(engine);
        engine.spawn(async move { take_over::take(&node, &gained).await });
    }
}

/// Keeps a node that drains alive: what is in flight may still be recorded.
pub async fn stay(engine: &Engine) {
    loop {
        if let Err(error) = engine.leases.stay().await {
            tracing::warn!(%error, "cannot keep the lease while draining");
        }
        tokio::time::sleep(engine.leases.beat_every()).await;
    }
}
