//! What follows when an account is lost, or soon will be: its AREAs have paused, and its owner hears of it, once, however often a
//! node dies in between: as an event, and by a letter that `store::letters` keeps until whoever sends mail has sent it. Tokens are
//! refreshed ahead of time beside it.

use std::sync::Arc;

use serde_json::json;
use sqlx::FromRow;

use crate::clock::Micros;
use crate::ids::{AccountId, EventId, UserId};
use crate::ledger::{NewEvent, Refused, Unit};
use crate::native::{self, Happening};
use crate::node::{Engine, Wake};
use crate::store::accounts::Paused;
use crate::store::letters::{self, About};
use crate::vault::Keeper;
use crate::{crash, on};

/// The service and the feed whose items tell what became of accounts.
pub const FEED: (&str, &str) = ("account", "changes");
/// How long before its known end an owner hears that an account ends; where its whole life is shorter than twice that, at its half.
const SOON: Micros = 14 * 24 * 3_600 * 1_000_000;
/// Owners that are told in one step.
const STEP: i64 = 100;

const UNTOLD: &str = "SELECT s.account_id AS id, a.\"userId\" AS user_id, s.provider, s.who, s.reason, s.lost_at AS at
    FROM account_state s JOIN next_auth_accounts a ON a.id = s.account_id
    WHERE s.state = 'needs_reconnect' AND s.told_at IS NULL AND a.\"userId\" IS NOT NULL LIMIT $1";
const ENDING: &str = "SELECT s.account_id AS id, a.\"userId\" AS user_id, s.provider, s.who, s.reason, s.ends_at AS at
    FROM account_state s JOIN next_auth_accounts a ON a.id = s.account_id
    WHERE s.ends_at <= $2 AND s.warned_at IS NULL AND s.state = 'ok' AND (s.linked_at IS NULL OR s.linked_at + s.ends_at <= 2 * $3)
    AND a.\"userId\" IS NOT NULL LIMIT $1";

#[derive(FromRow)]
struct Untold {
    id: AccountId,
    user_id: UserId,
    provider: String,
    who: Option<String>,
    reason: Option<String>,
    at: Option<Micros>,
}

/// Refreshes ahead of time, and tells, until the node stops.
pub async fn keep(engine: Arc<Engine>) {
    let keeper = Keeper::new(&engine.vault);
    let telling = async {
        loop {
            tokio::select! {
                paused = engine.vault.lost() => paused_areas(&engine, paused).await,
                () = tokio::time::sleep(engine.limits.scan) => {}
            }
            tell(&engine).await;
        }
    };
    tokio::select! {
        () = keeper.keep() => {}
        () = telling => {}
        () = engine.stop.cancelled() => {}
    }
}

impl Engine {
    /// Nobody but its owner can help an account; for connectors' faults.
    pub(crate) async fn give_up(&self, account: AccountId, why: &str) {
        if let Err(error) = self.vault.give_up(account, why).await {
            tracing::warn!(%error, %account, "could not pause the AREAs of a lost account; it is tried with their next use");
        }
    }
}

/// The owners of the sources look again, and the AREAs' owner hears that they paused.
async fn paused_areas(engine: &Arc<Engine>, paused: Vec<Paused>) {
    for Paused { id, user_id, name, reason, source_id, part } in paused {
        tracing::warn!(area = %id, reason, "an AREA pauses: its account must be linked again");
        engine.wake(Wake::Source { part, source: source_id }).await;
        let happening = Happening { kind: "paused", area: id, name, reason, run: None };
        let mut unit = Unit::default();
        native::append(engine, user_id, vec![happening], 0, &mut unit).await;
        commit(engine, unit).await;
    }
}

/// Tells the owners of accounts that are lost or end soon.
pub(crate) async fn tell(engine: &Arc<Engine>) {
    if let Err(error) = try_tell(engine).await {
        tracing::warn!(%error, "cannot tell whose accounts are lost; trying again");
    }
}

async fn try_tell(engine: &Arc<Engine>) -> sqlx::Result<()> {
    let now = engine.clock.micros();
    let lost: Vec<Untold> = on!(&engine.db, pool => sqlx::query_as(UNTOLD).bind(STEP).fetch_all(pool).await)?;
    tell_all(engine, lost, About::NeedsReconnect).await?;
    let ending: Vec<Untold> =
        on!(&engine.db, pool => sqlx::query_as(ENDING).bind(STEP).bind(now + SOON).bind(now).fetch_all(pool).await)?;
    tell_all(engine, ending, About::ExpiresSoon).await
}

async fn tell_all(engine: &Arc<Engine>, accounts: Vec<Untold>, about: About) -> sqlx::Result<()> {
    for account in accounts {
        if append(engine, &account, about.as_str()).await? {
            crash::point("account.told");
            let now = engine.clock.micros();
            letters::add(&engine.db, account.id, about, account.at.unwrap_or(now), now).await?;
            engine.letters.notify_one();
        }
    }
    Ok(())
}

/// Records what became of an account as an event of its owner, if they watch it. Its key is the same whoever tells: told twice is
/// told once.
async fn append(engine: &Arc<Engine>, account: &Untold, kind: &str) -> sqlx::Result<bool> {
    let Some((source, part)) = native::source(engine, account.user_id, FEED).await? else { return Ok(true) };
    let at = account.at.map(crate::clock::from_micros);
    let mut body = json!({
        "kind": kind,
        "account": { "id": account.id, "provider": account.provider, "who": account.who },
        "at": engine.clock.now(),
    });
    match kind {
        "expires_soon" => body["ends_at"] = json!(at),
        _ => body["reason"] = json!(account.reason),
    }
    let event = NewEvent {
        id: EventId(engine.ids.next()),
        source,
        key: format!("{kind}:{}:{}", account.id, account.at.unwrap_or_default()),
        body: body.to_string(),
        at: Some(engine.clock.micros()),
        fresh: false,
        undecided: Some(part),
        mark: None,
        only_area: None,
        depth: 1,
    };
    Ok(commit(engine, Unit { events: vec![event], ..Unit::default() }).await)
}

/// Whether it is recorded, now or before.
async fn commit(engine: &Arc<Engine>, unit: Unit) -> bool {
    let woken: Vec<i64> = unit.events.iter().filter_map(|event| event.undecided).collect();
    if woken.is_empty() {
        return true;
    }
    match engine.ledger.commit(unit).await {
        Ok(()) => {}
        Err(Refused::Duplicate(_)) => return true,
        Err(refused) => {
            tracing::debug!(%refused, "what became of an account was not recorded");
            return false;
        }
    }
    for part in woken {
        engine.wake(Wake::Undecided { part }).await;
    }
    true
}
