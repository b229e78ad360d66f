//! The engine under simulation: the production's code, stepped by a seed over a real database, while everything around it breaks.
//!
//! - `dice`: chance. `far`: the far side. `areas`: what each AREA must fire for. `recorded`: what was written, in order.
//! - `world`: database, clocks, nodes. `steps`: what may happen next. `laws`, `policies`: what must hold. `mutations`: breaches that
//!   the laws must find.
//!
//! `AREA_SIM_SEED=7` repeats one seed and prints its trace; `AREA_SIM_SEEDS=1000` takes so many.

mod areas;
mod dice;
mod far;
mod laws;
mod mutations;
mod policies;
mod recorded;
mod steps;
mod world;

use std::time::Duration;

use mutations::Mutation;
use world::{HOUR, START, Tally, World};

/// Seeds that the test takes by default.
const SEEDS: u64 = 12;
/// Steps of a seed before it heals.
const STEPS: u64 = 3_000;
/// Steps that healing may take.
const HEALING: u64 = 60_000;
/// Time that passes after everything has healed, so that every source is polled and every wait is over.
const AFTERWARDS: i64 = 8 * 24 * HOUR;

/// How a seed went.
struct Went {
    tally: Tally,
    hash: u64,
    days: i64,
}

fn play(seed: u64, nodes: usize, mutation: Mutation, print: bool) -> Went {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        // As long as this waits, tokio's clock moves by hand alone.
        let (over, wait) = std::sync::mpsc::channel::<()>();
        let still = tokio::task::spawn_blocking(move || wait.recv());
        let went = live(seed, nodes, mutation, print).await;
        drop(over);
        let _ = still.await;
        went
    })
}

async fn live(seed: u64, nodes: usize, mutation: Mutation, print: bool) -> Went {
    let mut world = World::new(seed, nodes, mutation).await;
    world.print = print;
    for _ in 0..STEPS {
        world.step().await;
    }
    heal(&mut world).await;
    if mutation != Mutation::None {
        world.mutate().await;
    }
    world.judge_all().await;
    for at in 0..nodes {
        world.crash(at).await;
    }
    Went { tally: world.tally, hash: world.hash, days: (world.now() - START) / (24 * HOUR) }
}

/// Nothing breaks any more, nobody does anything, and time passes.
async fn heal(world: &mut World) {
    world.healed = true;
    world.turns.crash_at(None);
    for place in ["ledger.begin", "ledger.commit"] {
        world.turns.lose(place, 0);
    }
    world.trace(|| "all heals".to_owned());
    let since = world.now();
    for _ in 0..HEALING {
        world.step().await;
        let quiet = world.now() - since > AFTERWARDS && world.deliveries.iter().all(|d| d.taken);
        let faulted = world.areas.iter().any(|area| area.state() == "faulted");
        if quiet && !faulted && world.changes.is_empty() && world.open().await == (0, 0, 0) {
            return;
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// One node in even seeds, two in odd ones.
fn nodes_of(seed: u64) -> usize {
    if seed.is_multiple_of(2) { 1 } else { 2 }
}

#[test]
fn seeds() {
    if let Some(seed) = number("AREA_SIM_SEED") {
        play(seed, nodes_of(seed), Mutation::None, true);
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "the real time that it took is what is told")]
    let began = std::time::Instant::now();
    let (mut all, mut days) = (Tally::default(), 0);
    for seed in 0..number("AREA_SIM_SEEDS").unwrap_or(SEEDS) {
        let went = play(seed, nodes_of(seed), Mutation::None, false);
        days += went.days;
        all.steps += went.tally.steps;
        all.polls += went.tally.polls;
        all.calls += went.tally.calls;
        all.items += went.tally.items;
        all.crashes += went.tally.crashes;
        all.changes += went.tally.changes;
    }
    let took: Duration = began.elapsed();
    eprintln!("{days} days in {took:.1?}: {all:?}, {:.0} steps/s", all.steps as f64 / took.as_secs_f64());
}

#[test]
fn a_seed_repeats_step_by_step() {
    for seed in [1, 2, 3] {
        let hashes = [(); 2].map(|()| play(seed, nodes_of(seed), Mutation::None, false).hash);
        assert_eq!(hashes[0], hashes[1], "seed {seed}");
    }
}

#[test]
fn each_law_finds_its_breach() {
    for (mutation, law) in mutations::ALL {
        let played = std::panic::catch_unwind(|| play(4, 1, mutation, false));
        let said = played.err().and_then(|said| said.downcast::<String>().ok());
        let said = said.unwrap_or_else(|| panic!("{mutation:?} was not found"));
        assert!(said.contains(law), "{mutation:?}: {said}");
        assert!(said.contains("AREA_SIM_SEED=4 cargo test"), "{mutation:?} says how to repeat it");
    }
}
