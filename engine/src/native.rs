//! What the engine itself offers as the service `area`: events about a user's own AREAs, and reactions upon them. Everything stays
//! within one owner.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::area::desk::AreaError;
use crate::fault::Fault;
use crate::ids::{AreaId, EventId, RunId, SourceId, UserId};
use crate::ledger::{NewEvent, Refused, Unit};
use crate::node::{Engine, Wake};
use crate::on;
use crate::port::{AreaPort, Boxed, Started};
use crate::store::areas::AreaRow;

/// The service and the feed whose items the engine makes.
pub const FEED: (&str, &str) = ("area", "changes");

const SOURCE: &str =
    "SELECT id, part FROM sources WHERE user_id = $1 AND service = $2 AND feed = $3 AND every_us IS NOT NULL";
const PART: &str = "SELECT part FROM sources WHERE id = $1";

/// Something that happened to an AREA.
#[derive(Clone, Debug)]
pub struct Happening {
    /// `paused`, `run_failed`, `silent`.
    pub kind: &'static str,
    /// The AREA.
    pub area: AreaId,
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
    /// The run, where one is the cause.
    pub run: Option<RunId>,
}

/// Adds what happened to `unit` as undecided events of the owner's `area` source, if the owner watches it. An event that lies too
/// deep in the chain of causes is left out, loudly.
pub async fn append(engine: &Engine, user: UserId, happenings: Vec<Happening>, depth: i64, unit: &mut Unit) {
    if happenings.is_empty() {
        return;
    }
    if depth >= engine.limits.depth {
        tracing::warn!(%user, depth, "a chain of AREAs that trigger AREAs is too long; what happened is not handed on");
        return;
    }
    let (source, part) = match source(engine, user, FEED).await {
        Ok(Some(found)) => found,
        Ok(None) => return,
        Err(error) => return tracing::warn!(%error, "cannot tell an owner's AREAs what happened"),
    };
    for happening in happenings {
        let id = EventId(engine.ids.next());
        let body = json!({
            "kind": happening.kind,
            "area": { "id": happening.area, "name": happening.name },
            "reason": happening.reason,
            "run": happening.run,
            "at": engine.clock.now(),
        });
        unit.events.push(NewEvent {
            id,
            source,
            key: format!("{}:{id}", happening.kind),
            body: body.to_string(),
            at: Some(engine.clock.micros()),
            fresh: true,
            undecided: Some(part),
            mark: None,
            only_area: None,
            depth: depth + 1,
        });
    }
}

/// The owner's source on a native feed with its partition, if somebody watches it.
pub(crate) async fn source(
    engine: &Engine,
    user: UserId,
    (service, feed): (&str, &str),
) -> sqlx::Result<Option<(SourceId, i64)>> {
    on!(&engine.db, pool => sqlx::query_as(SOURCE).bind(user).bind(service).bind(feed).fetch_optional(pool).await)
}

/// The AREAs of one owner, as `area.*` reactions may touch them.
pub struct OwnAreas<'a> {
    /// The engine.
    pub engine: &'a Arc<Engine>,
    /// The owner.
    pub user: UserId,
    /// How many AREAs stand before this one in the chain of causes.
    pub depth: i64,
}

impl OwnAreas<'_> {
    async fn find(&self, area: AreaId) -> Result<AreaRow, Fault> {
        self.engine.desk().get(self.user, area).await.map_err(fault)
    }

    async fn start(&self, area: AreaId, event: &Value, key: &str) -> Result<Started, Fault> {
        let depth = self.depth + 1;
        if depth > self.engine.limits.depth {
            let most = self.engine.limits.depth;
            return Err(Fault::rejected(format!("an AREA that triggers an AREA …: the chain is longer than {most}")));
        }
        let row = self.find(area).await?;
        let (part,): (i64,) =
            on!(&self.engine.db, pool => sqlx::query_as(PART).bind(row.source_id).fetch_one(pool).await)
                .map_err(|e| Fault::later(format!("the database did not answer: {e}")))?;
        let id = EventId(self.engine.ids.next());
        let event = NewEvent {
            id,
            source: row.source_id,
            key: format!("run:{key}"),
            body: crate::intake::stored(event.clone(), self.engine.limits.item_bytes).map_err(Fault::rejected)?.1,
            at: Some(self.engine.clock.micros()),
            fresh: false,
            undecided: Some(part),
            mark: None,
            only_area: Some(row.no),
            depth,
        };
        match self.engine.ledger.commit(Unit { events: vec![event], ..Unit::default() }).await {
            Ok(()) | Err(Refused::Duplicate(_)) => {}
            Err(refused) => return Err(Fault::later(refused.to_string())),
        }
        self.engine.wake(Wake::Undecided { part }).await;
        Ok(Started { event: id.to_string() })
    }

    async fn change(&self, area: AreaId, pause: bool) -> Result<(), Fault> {
        let desk = self.engine.desk();
        let done = match pause {
            true => desk.pause(self.user, area, None).await,
            false => desk.resume(self.user, area, None).await,
        };
        let changed = done.map_err(fault)?;
        self.engine.changed(&changed).await;
        Ok(())
    }
}

impl AreaPort for OwnAreas<'_> {
    fn run<'a>(&'a self, area: AreaId, event: &'a Value, key: &'a str) -> Boxed<'a, Result<Started, Fault>> {
        Box::pin(self.start(area, event, key))
    }

    fn pause<'a>(&'a self, area: AreaId) -> Boxed<'a, Result<(), Fault>> {
        Box::pin(self.change(area, true))
    }

    fn resume<'a>(&'a self, area: AreaId) -> Boxed<'a, Result<(), Fault>> {
        Box::pin(self.change(area, false))
    }
}

fn fault(error: AreaError) -> Fault {
    match error {
        AreaError::NotFound | AreaError::Invalid(_) | AreaError::Unreadable(_) => Fault::rejected(error.to_string()),
        AreaError::Stale(_) | AreaError::Busy | AreaError::Sqlx(_) => Fault::later(error.to_string()),
    }
}
