//! The ledger: the only writer of events, runs and cursors. Units that arrive while a commit is under way share the next one, so
//! a busy daemon makes few, large commits and an idle one commits at once; nothing waits on a timer.
//!
//! Every unit is safe to repeat: events are unique by (source, key), runs by (AREA, event, replay), cursors move by compare and
//! swap, updates name an open run. So a commit whose answer was lost is simply done again. A batch that the database refuses is
//! halved until the guilty unit stands alone.

mod sql;
mod unit;
mod write;

pub use unit::{CursorMove, Join, NewEvent, NewRun, Proof, Refused, RunState, RunUpdate, Unit};

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::store::Db;

/// Units that wait for the writer before a sender has to wait for room.
const QUEUE: usize = 4_096;
/// Units that share one transaction at most.
pub const UNITS_PER_COMMIT: usize = 1_024;
/// Rows (events and runs) after which a transaction takes no further unit.
pub const ROWS_PER_COMMIT: usize = 4_096;
/// How long a commit is repeated while the database is away, before its sender hears so.
const AWAY_AFTER: Duration = Duration::from_secs(5);
/// The same for what comes while it is known to be away: whoever waits behind many others is told soon too.
const STILL_AWAY_AFTER: Duration = Duration::from_secs(1);
/// Between two tries while the database is away.
const AWAY_NAP: Duration = Duration::from_millis(200);

/// Where units are handed in. Clones share the writer.
#[derive(Clone, Debug)]
pub struct Ledger {
    queue: mpsc::Sender<Waiting>,
}

/// A unit whose sender waits.
struct Waiting {
    unit: Unit,
    answer: oneshot::Sender<Result<(), Refused>>,
}

impl Ledger {
    /// Starts the writer. It ends when every `Ledger` is gone and all that was handed in is committed.
    pub fn start(db: Db) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, inbox) = mpsc::channel(QUEUE);
        (Self { queue }, tokio::spawn(crate::turns::taken(serve(db, inbox))))
    }

    /// Commits `unit`. When this returns `Ok`, all of it is durable; on a refusal nothing of it is there.
    pub async fn commit(&self, unit: Unit) -> Result<(), Refused> {
        let (answer, told) = oneshot::channel();
        crate::crash::point("ledger.before_write");
        self.queue.send(Waiting { unit, answer }).await.map_err(|_| Refused::Closed)?;
        if crate::crash::without("ledger.durable") {
            return Ok(());
        }
        told.await.unwrap_or(Err(Refused::Closed))
    }

    /// Commits `unit` however long the database is away; for what already happened outside and must be recorded.
    pub async fn commit_surely(&self, unit: Unit) -> Result<(), Refused> {
        loop {
            match self.commit(unit.clone()).await {
                Err(Refused::Away) => tokio::time::sleep(AWAY_NAP).await,
                other => return other,
            }
        }
    }
}

async fn serve(db: Db, mut inbox: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(UNITS_PER_COMMIT);
    let mut away = false;
    while let Some(first) = inbox.recv().await {
        let mut rows = first.unit.rows();
        batch.push(first);
        while batch.len() < UNITS_PER_COMMIT && rows < ROWS_PER_COMMIT {
            let Ok(next) = inbox.try_recv() else { break };
            rows += next.unit.rows();
            batch.push(next);
        }
        metrics::histogram!("area_ledger_units_per_commit").record(batch.len() as f64);
        away = settle(&db, std::mem::take(&mut batch), away).await;
    }
}

/// Commits a batch, halving it where the database refuses it, until every sender has its answer. `away`: the database was, and
/// whether it is then.
async fn settle(db: &Db, batch: Vec<Waiting>, mut away: bool) -> bool {
    let mut work = vec![(batch, false)];
    while let Some((mut batch, repeated)) = work.pop() {
        let patience = if away { STILL_AWAY_AFTER } else { AWAY_AFTER };
        match write_until_away(db, &batch, repeated, patience).await {
            Ok(answers) => {
                if std::mem::take(&mut away) {
                    tracing::info!("the database is back");
                }
                for (waiting, answer) in batch.into_iter().zip(answers) {
                    // The sender may have gone; what is committed stays committed.
                    let _ = waiting.answer.send(answer);
                }
            }
            Err(error) if crate::store::batch::is_passing(&error) => {
                tracing::error!(%error, units = batch.len(), "the database is away; what waits is told so");
                away = true;
                for waiting in batch {
                    let _ = waiting.answer.send(Err(Refused::Away));
                }
            }
            Err(error) if batch.len() > 1 => {
                tracing::warn!(%error, units = batch.len(), "a commit was refused; halving it to find the guilty unit");
                let second = batch.split_off(batch.len() / 2);
                work.push((second, true));
                work.push((batch, true));
            }
            // A key that another node appended meanwhile: the repetition sees it and says so.
            Err(_) if !repeated => work.push((batch, true)),
            Err(error) => {
                tracing::error!(%error, "the database refuses a unit");
                for waiting in batch {
                    let _ = waiting.answer.send(Err(Refused::Broken(error.to_string())));
                }
            }
        }
    }
    away
}

/// One commit, repeated while the database is away. A repetition looks at everything that it is about to insert, since the
/// first try may have got through although its answer was lost.
async fn write_until_away(
    db: &Db,
    batch: &[Waiting],
    repeated: bool,
    patience: Duration,
) -> sqlx::Result<Vec<Result<(), Refused>>> {
    let units: Vec<&Unit> = batch.iter().map(|w| &w.unit).collect();
    let deadline = Instant::now() + patience;
    let mut repeated = repeated;
    loop {
        let written = match db {
            // What SQLite began it ends; its own patience is shorter than ours.
            Db::Sqlite { .. } => write::write(db, &units, repeated).await,
            Db::Postgres(_) => tokio::time::timeout_at(deadline, write::write(db, &units, repeated))
                .await
                .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))),
        };
        match written {
            Err(error) if crate::store::batch::is_passing(&error) && Instant::now() < deadline => {
                tracing::warn!(%error, "the database is away; trying again");
                repeated = true;
                tokio::time::sleep(AWAY_NAP).await;
            }
            other => return other,
        }
    }
}
