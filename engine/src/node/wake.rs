//! What changed, told to the owner of its partition: on this node through a channel, to other nodes by NOTIFY. A wake that is
//! lost costs time, never an event: the slow scan finds what waits.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::postgres::PgListener;
use tokio::sync::mpsc;

use super::{Engine, pauses, take_over};
use crate::ids::{RunId, SourceId};
use crate::store::Db;
use crate::store::db::answered;
use crate::store::sources::Touched;

/// The channel of PostgreSQL that wakes travel on.
const CHANNEL: &str = "area";
const NOTIFY: &str = "SELECT pg_notify('area', $1)";
/// The number of a sender that is no node.
const NOBODY: i64 = 0;
/// How often the connection that listens is asked whether it is well: one that was cut without a word would be silent for ever.
const LISTEN_CHECK: Duration = Duration::from_secs(10);
/// Between two tries to listen.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// Something that the owner of a partition must look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wake {
    /// AREAs on this source came, went or changed: what is cached of it no longer stands, and its next poll is a baseline for
    /// those that joined.
    Source {
        /// Its partition.
        part: i64,
        /// The source.
        source: SourceId,
    },
    /// Poll this source now.
    Poll {
        /// Its partition.
        part: i64,
        /// The source.
        source: SourceId,
    },
    /// Undecided events wait in this partition.
    Undecided {
        /// The partition.
        part: i64,
    },
    /// A run was inserted or let go (replay, test, resume).
    Run {
        /// Its partition.
        part: i64,
        /// The run.
        run: RunId,
    },
    /// A run was ended by its user.
    Ended {
        /// Its partition.
        part: i64,
        /// The run.
        run: RunId,
    },
    /// A provider asked for a long pause.
    Paused,
}

impl Wake {
    /// The partition whose owner it is for; `None`: it is for every node.
    pub fn part(&self) -> Option<i64> {
        match self {
            Self::Source { part, .. }
            | Self::Poll { part, .. }
            | Self::Undecided { part }
            | Self::Run { part, .. }
            | Self::Ended { part, .. } => Some(*part),
            Self::Paused => None,
        }
    }
}

impl Engine {
    /// Wakes the owner, wherever it is. Call it after the commit.
    pub async fn wake(&self, wake: Wake) {
        if let Wake::Source { source, .. } = wake {
            // At once: who is told that the change is made may send the next event before the wake is heard.
            self.plans.forget(source);
        }
        let _ = self.wakes.send(wake).await;
        if let Db::Postgres(pool) = &self.db {
            let Ok(text) = serde_json::to_string(&Notice { from: self.leases.node(), wake }) else { return };
            if let Err(error) = answered(sqlx::query(NOTIFY).bind(text).execute(pool)).await {
                tracing::warn!(%error, "could not wake the other nodes; the slow scan will find it");
            }
        }
    }
}

/// Tells every node that these sources changed; for a process that is no node. On SQLite nobody can be told: the node looks.
pub async fn announce(db: &Db, touched: &[Touched]) -> sqlx::Result<()> {
    let Db::Postgres(pool) = db else { return Ok(()) };
    for Touched { part, source } in touched {
        let wake = Wake::Source { part: *part, source: *source };
        let text = serde_json::to_string(&Notice { from: NOBODY, wake }).map_err(|e| sqlx::Error::Encode(e.into()))?;
        sqlx::query(NOTIFY).bind(text).execute(pool).await?;
    }
    Ok(())
}

/// A wake on its way to other nodes.
#[derive(Serialize, Deserialize)]
struct Notice {
    /// The sender, which has heard it already.
    from: i64,
    wake: Wake,
}

/// Hears wakes until the node stops.
pub async fn hear(engine: Arc<Engine>, mut wakes: mpsc::Receiver<Wake>) {
    loop {
        let wake = tokio::select! {
            wake = wakes.recv() => wake,
            () = engine.stop.cancelled() => return,
        };
        let Some(wake) = wake else { return };
        act(&engine, wake).await;
    }
}

/// Listens to the other nodes until the node stops.
pub async fn listen(engine: Arc<Engine>) {
    let Db::Postgres(pool) = &engine.db else { return };
    while !engine.stop.is_cancelled() {
        let listener = async {
            let mut listener = PgListener::connect_with(pool).await?;
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        let mut listener = match answered(listener).await {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(%error, "cannot listen to the other nodes; trying again");
                tokio::time::sleep(LISTEN_AGAIN).await;
                continue;
            }
        };
        loop {
            let heard = tokio::select! {
                heard = listener.try_recv() => heard,
                () = tokio::time::sleep(LISTEN_CHECK) => match is_well(&mut listener).await {
                    true => continue,
                    false => Ok(None),
                },
                () = engine.stop.cancelled() => return,
            };
            match heard {
                Ok(Some(notice)) => {
                    if let Ok(notice) = serde_json::from_str::<Notice>(notice.payload())
                        && notice.from != engine.leases.node()
                    {
                        act(&engine, notice.wake).await;
                    }
                }
                // The connection was lost: what was said meanwhile is found by looking.
                Ok(None) | Err(_) => {
                    tracing::warn!("the connection on which other nodes wake this one was lost");
                    take_over::look_again(&engine).await;
                    break;
                }
            }
        }
    }
}

async fn is_well(listener: &mut PgListener) -> bool {
    tokio::time::timeout(LISTEN_AGAIN, sqlx::query("SELECT 1").execute(listener)).await.is_ok_and(|done| done.is_ok())
}

/// What one wake asks for.
pub(super) async fn act(engine: &Arc<Engine>, wake: Wake) {
    if let Wake::Source { source, .. } = wake {
        engine.plans.forget(source);
    }
    if wake.part().is_some_and(|part| !engine.leases.holds(part)) {
        return;
    }
    match wake {
        Wake::Source { source, .. } => take_over::refresh(engine, source).await,
        Wake::Poll { source, .. } => {
            let now = engine.clock.micros();
            if engine.due().wake(source, now) {
                engine.due_changed.notify_one();
            }
        }
        Wake::Undecided { part } => crate::hooks::decide_undecided(engine, part).await,
        Wake::Run { part, run } => crate::react::take_in(engine, part, run).await,
        Wake::Ended { run, .. } => {
            engine.run_superseded(run);
            engine.queue_changed.notify_one();
        }
        Wake::Paused => pauses::learn(engine).await,
    }
}
