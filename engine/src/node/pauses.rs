//! Long pauses that providers asked for: who begins one writes it down and wakes the other nodes; a node reads those that stand when
//! it begins, when it is woken and with the slow scan. What is not long costs nobody a write.

use std::sync::Arc;

use super::{Engine, Wake};
use crate::store::pauses;

/// Writes them down until the node stops.
pub async fn keep(engine: Arc<Engine>) {
    loop {
        tokio::select! {
            () = engine.vault.usage().begins() => tell(&engine).await,
            () = engine.stop.cancelled() => return,
        }
    }
}

/// Writes down what began here, and wakes the others.
pub(super) async fn tell(engine: &Engine) {
    let begun = engine.vault.usage().begun();
    for pause in &begun {
        if let Err(error) = pauses::add(&engine.db, pause).await {
            tracing::warn!(%error, why = pause.why, "a pause could not be written down: it holds on this node alone");
        }
    }
    if !begun.is_empty() {
        engine.wake(Wake::Paused).await;
    }
}

/// Honours what began elsewhere.
pub(super) async fn learn(engine: &Engine) {
    match pauses::standing(&engine.db, engine.clock.micros()).await {
        Ok(standing) => engine.vault.usage().learn(standing, engine.clock.now()),
        Err(error) => tracing::warn!(%error, "could not look for pauses that began on other nodes"),
    }
}
