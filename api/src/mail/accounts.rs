//! Tells owners of accounts by mail what `engine::store::letters` keeps for them: that an account must be linked again, or ends soon.
//! A letter is claimed before it is sent and forgotten after the server has taken it, so that of many nodes one sends it, and none
//! that dies loses it. One that was sent in the very moment of a crash is sent once more, under the same `Message-ID`.

use std::sync::Arc;

use engine::clock::{Micros, from_micros};
use engine::node::Engine;
use engine::store::letters::{self, About, Due};
use engine::store::links;

use super::{Letter, Undelivered};
use crate::identity::Identity;
use crate::identity::letters::Account;
use crate::rest::App;

/// Letters that one round takes.
const STEP: i64 = 200;
/// After a letter that was not sent, the first wait; each further one is twice as long.
const FIRST_WAIT: Micros = 30 * 1_000_000;
/// The longest wait.
const LONGEST_WAIT: Micros = 6 * 3_600 * 1_000_000;
/// Tries until a letter is given up: about three days.
const TRIES: i64 = 20;

/// Sends what is due until the node stops.
pub async fn keep(app: Arc<App>) {
    let engine = &app.engine;
    let stopping = engine.stopping();
    while !stopping.is_cancelled() {
        if let Err(error) = round(engine, &app.identity).await {
            tracing::warn!(%error, "cannot look for letters to send; trying again");
        }
        tokio::select! {
            () = stopping.cancelled() => {}
            () = engine.letters.notified() => {}
            () = tokio::time::sleep(engine.limits.scan) => {}
        }
    }
}

async fn round(engine: &Engine, identity: &Identity) -> sqlx::Result<()> {
    for due in letters::due(&engine.db, engine.clock.micros(), STEP).await? {
        if engine.stopping().is_cancelled() || !engine.leases.is_live() {
            return Ok(());
        }
        if !letters::claim(&engine.db, &due, engine.leases.node(), engine.clock.micros()).await? {
            continue;
        }
        let Some(letter) = letter(engine, identity, &due).await? else {
            letters::done(&engine.db, &due).await?;
            continue;
        };
        match identity.deliver(&letter).await {
            Ok(()) => letters::done(&engine.db, &due).await?,
            Err(error) => {
                let is_away = matches!(error, Undelivered::Away(_));
                failed(engine, &due, error).await?;
                if is_away {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

async fn failed(engine: &Engine, due: &Due, error: Undelivered) -> sqlx::Result<()> {
    let (account, tries) = (due.account_id, due.tries + 1);
    if tries >= TRIES {
        metrics::counter!("area_mail_total", "state" => "failed").increment(1);
        tracing::error!(%error, %account, tries, "the letter about an account could not be sent and is given up");
        return letters::done(&engine.db, due).await;
    }
    let wait = again_after(tries);
    tracing::warn!(%error, %account, tries, "the letter about an account could not be sent; again in {} s", wait / 1_000_000);
    letters::later(&engine.db, due, engine.clock.micros() + wait).await
}

fn again_after(tries: i64) -> Micros {
    FIRST_WAIT.saturating_mul(1 << (tries - 1).clamp(0, 20)).min(LONGEST_WAIT)
}

/// What is written. `None`: nobody can be, or it is no longer so.
async fn letter(engine: &Engine, identity: &Identity, due: &Due) -> sqlx::Result<Option<Letter>> {
    let (Some(user), Some(to)) = (due.user_id, &due.email) else { return Ok(None) };
    if !due.is_true() {
        return Ok(None);
    }
    if to.ends_with(".invalid") {
        tracing::info!(account = %due.account_id, "the owner of an account has no address that a letter could go to");
        return Ok(None);
    }
    let state = if due.kind == About::NeedsReconnect { "faulted" } else { "active" };
    let using = links::areas(&engine.db, user).await?;
    let using = using.into_iter().filter(|area| area.account_id == due.account_id && area.state == state);
    let provider = engine.vault.provider(&due.provider);
    let account = Account {
        provider: &due.provider,
        title: provider.map_or(&due.provider, |provider| &provider.title),
        is_key: provider.is_some_and(|provider| provider.oauth.is_none()),
        who: due.who.as_deref(),
        areas: using.map(|area| area.name).collect(),
    };
    let letters = identity.letters();
    let mut letter = match due.kind {
        About::NeedsReconnect => letters.lost(to, &account, due.reason.as_deref().unwrap_or("it is no longer taken")),
        About::ExpiresSoon => letters.ends(to, &account, from_micros(due.at)),
    };
    letter.id = Some(letters.id(&format!("{}.{}.{}", due.kind.as_str(), due.account_id, due.at)));
    Ok(Some(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_tried_for_about_three_days() {
        let all: Micros = (1..TRIES).map(again_after).sum();
        assert_eq!((again_after(1), again_after(2), again_after(TRIES)), (30_000_000, 60_000_000, LONGEST_WAIT));
        let hours = all / 3_600_000_000;
        assert!((60..80).contains(&hours), "{hours}");
    }
}
