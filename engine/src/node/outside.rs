//! Changes that another process made to an embedded database: `area apply` beside the daemon. There is no NOTIFY on SQLite, but
//! the connection that writes can tell at no cost whether anybody else has written since. Then the AREAs that changed meanwhile are
//! looked up. What is missed here is found by the ledger, which refuses births that rest on less than what stands.

use std::sync::Arc;
use std::time::Duration;

use super::{Engine, Wake};
use crate::clock::Micros;
use crate::on;
use crate::store::Db;
use crate::store::sources::Touched;

/// How often one looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How far back changes are looked for: the other process's commit came after the instant that it wrote.
const BACK: Micros = 60_000_000;

const DATA_VERSION: &str = "PRAGMA data_version";
const CHANGED: &str = "SELECT DISTINCT s.part, s.id AS source FROM areas a JOIN sources s ON s.id = a.source_id
    WHERE a.updated_at >= $1";

/// Looks until the node stops.
pub async fn look(engine: Arc<Engine>) {
    let (mut known, mut since) = (engine.as_it_was, engine.clock.micros() - BACK);
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = engine.stop.cancelled() => return,
        }
        let Ok(version) = data_version(&engine.db).await else { continue };
        if known == Some(version) {
            continue;
        }
        let now = engine.clock.micros();
        match changed(&engine.db, since).await {
            Ok(sources) => {
                (known, since) = (Some(version), now - BACK);
                for Touched { part, source } in sources {
                    engine.wake(Wake::Source { part, source }).await;
                }
            }
            Err(error) => tracing::warn!(%error, "cannot read what another process changed; trying again"),
        }
    }
}

/// A number that changes when another connection than the one that writes has written. `Err` on PostgreSQL.
pub(super) async fn data_version(db: &Db) -> sqlx::Result<i64> {
    match db {
        Db::Sqlite { write, .. } => sqlx::query_scalar(DATA_VERSION).fetch_one(write).await,
        Db::Postgres(_) => Err(sqlx::Error::RowNotFound),
    }
}

async fn changed(db: &Db, since: Micros) -> sqlx::Result<Vec<Touched>> {
    on!(db, pool => sqlx::query_as(CHANGED).bind(since).fetch_all(pool).await)
}
