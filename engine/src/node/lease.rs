//! The lease keeper's loop: a heartbeat, what was gained, what was lost, what another node should have.

use std::sync::Arc;

use super::{Engine, take_over};

/// Keeps this node alive and its partitions in step with the rows.
pub async fn keep(engine: Arc<Engine>) {
    loop {
        match engine.leases.round().await {
            Ok(changes) => {
                if !changes.lost.is_empty() {
                    take_over::drop_parts(&engine, &changes.lost);
                }
                if !changes.surplus.is_empty() {
                    take_over::hand_over(&engine, &changes.surplus).await;
                }
                let gained: Vec<i64> =
                    changes.gained.iter().copied().filter(|part| !changes.surplus.contains(part)).collect();
                if !gained.is_empty() {
                    let node = Arc::clone(&engine);
                    engine.tasks.spawn(async move { take_over::take(&node, &gained).await });
                }
            }
            Err(error) => tracing::warn!(%error, "cannot keep the lease; what is due waits"),
        }
        tokio::select! {
            () = tokio::time::sleep(engine.leases.beat_every()) => {}
            () = engine.stop.cancelled() => return,
        }
    }
}
