//! Nodes that are killed at random times while they refresh: `AREA_TEST_KILLS` says how often.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::Duration;

use engine::ids::AccountId;
use engine::store::accounts;

use super::World;
use super::process::Process;
use crate::daemon::until;

/// Kills, unless the environment says otherwise.
const KILLS: u32 = 8;
/// Accounts that are refreshed all the time.
const ACCOUNTS: usize = 24;
/// The longest that a node lives after it was told to work, in milliseconds.
const LIVES: u64 = 600;
/// How long the provider takes to answer after it gave a token, in milliseconds: a kill meets some refresh there.
const ANSWER: &str = "20";
/// So many kills cannot all have met nothing.
const MANY: u32 = 50;
const SOON: Duration = Duration::from_secs(120);

/// What became of it all.
struct Outcome {
    kills: u32,
    refreshes: i64,
    /// Of those, how many were done once more, because whoever had the answer was killed.
    repeated: i64,
    /// Why accounts must be linked again.
    lost: Vec<String>,
}

async fn killed(rotates: &str, seed: u64) -> Option<Outcome> {
    let w = World::with(&[("ROTATE", rotates), ("ANSWER_MS", ANSWER)]).await?;
    let kills = std::env::var("AREA_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let mut random = StdRng::seed_from_u64(seed);
    let mut all = Vec::new();
    for _ in 0..ACCOUNTS {
        all.push(w.linked().await);
    }
    let mut lost = Vec::new();
    let start = |n: usize| Process::start(&w, &format!("node-{n}"), &[]);
    let mut processes: Vec<Process> = (0..3).map(start).collect();
    for kill in 0..kills {
        for account in &all {
            w.expire(*account).await;
        }
        for process in &mut processes {
            all.iter().for_each(|account| process.want(*account, 2));
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..LIVES))).await;
        let dies = random.random_range(0..processes.len());
        processes[dies].kill9();
        for (_, process) in processes.iter_mut().enumerate().filter(|(n, _)| *n != dies) {
            all.iter().for_each(|account| drop(process.answer().unwrap_or_else(|| panic!("kill {kill}: {account}"))));
        }
        processes[dies] = start(dies);
        lost.extend(w.replaced(&mut all).await);
    }
    // Whoever is left works: there is nothing that a kill left undone.
    for account in &all {
        w.expire(*account).await;
        let mut said = String::new();
        let works = until(SOON, async || {
            processes[0].want(*account, 2);
            said = processes[0].answer().unwrap();
            !said.starts_with("later ")
        });
        assert!(works.await, "{said}");
        match said.strip_prefix("token ") {
            Some(token) => assert!(w.oidc.takes(token).await, "{account}"),
            None => lost.push(said),
        }
    }
    let refreshes = w.oidc.counts().await["refreshes"].as_i64().unwrap();
    let repeated = refreshes - i64::from(kills + 1) * ACCOUNTS as i64;
    Some(Outcome { kills, refreshes, repeated, lost })
}

impl World {
    /// Accounts that are lost make room for new ones; why they were.
    async fn replaced(&self, all: &mut [AccountId]) -> Vec<String> {
        let mut lost = Vec::new();
        for account in all {
            let row = accounts::get(&self.db, *account).await.unwrap().unwrap();
            if row.state != "ok" {
                lost.push(row.reason.unwrap_or_default());
                *account = self.linked().await;
            }
        }
        lost
    }
}

#[tokio::test]
async fn no_kill_loses_an_account_whose_provider_takes_a_refresh_token_again() {
    let Some(done) = killed("0", 1).await else { return };
    assert!(done.repeated > 0 || done.kills < MANY, "no kill met a refresh");
    assert_eq!(done.lost, [""; 0]);
    println!(
        "{} kills, {ACCOUNTS} accounts, {} refreshes, {} of them once more after a kill: 0 accounts lost",
        done.kills, done.refreshes, done.repeated
    );
}

#[tokio::test]
async fn a_kill_loses_at_most_the_account_whose_answer_from_a_rotating_provider_it_cut_off_and_says_so() {
    let Some(done) = killed("1", 2).await else { return };
    assert!(!done.lost.is_empty() || done.kills < MANY, "no kill met a refresh");
    assert!(done.lost.iter().all(|why| why.contains("was cut off")), "{:?}", done.lost);
    assert!(done.lost.len() <= done.kills as usize, "{:?}", done.lost);
    println!(
        "{} kills, {ACCOUNTS} accounts of a rotating provider, {} refreshes: {} accounts to link again, each killed between its answer \
         and the store and reported; 0 accounts lost otherwise",
        done.kills,
        done.refreshes,
        done.lost.len()
    );
}
