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
use world::{HOUR, Pace, START, Tally, World};

/// Seeds that the test takes by default.
const SEEDS: u64 = 12;
/// Quiet seeds that it takes.
const QUIET_SEEDS: u64 = 8;
/// Seeds that once found a breach, and are taken too.
const KEPT: [u64; 9] = [19, 34, 39, 47, 60, 83, 87, 101, 177];
const QUIET_KEPT: [u64; 3] = [26, 30, 55];
/// Steps of a seed before it heals.
const STEPS: u64 = 3_000;
/// Steps that healing may take.
const HEALING: u64 = 60_000;
/// Steps of a quiet seed.
const QUIET_STEPS: u64 = 12_000;
/// Steps that are taken when nothing is new.
const RESTING: u64 = 150;
/// Time that passes after everything has healed, so that every source is polled and every wait is over.
const AFTERWARDS: i64 = 8 * 24 * HOUR;
const QUIET_AFTERWARDS: i64 = 40 * 24 * HOUR;

/// What is played.
#[derive(Clone, Copy)]
struct Game {
    seed: u64,
    nodes: usize,
    pace: Pace,
    steps: u64,
    mutation: Mutation,
    print: bool,
}

impl Game {
    /// A dense game: one node in even seeds, two in odd ones.
    fn dense(seed: u64) -> Self {
        let nodes = if seed.is_multiple_of(2) { 1 } else { 2 };
        Self { seed, nodes, pace: Pace::Dense, steps: STEPS, mutation: Mutation::None, print: false }
    }

    fn quiet(seed: u64) -> Self {
        Self { pace: Pace::Quiet, steps: QUIET_STEPS, ..Self::dense(seed) }
    }
}

/// How a seed went.
struct Went {
    tally: Tally,
    hash: u64,
    days: i64,
}

fn play(game: Game) -> Went {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        // As long as this waits, tokio's clock moves by hand alone.
        let (over, wait) = std::sync::mpsc::channel::<()>();
        let still = tokio::task::spawn_blocking(move || wait.recv());
        let went = live(game).await;
        drop(over);
        let _ = still.await;
        went
    })
}

async fn live(game: Game) -> Went {
    let mut world = World::new(game.seed, game.nodes, game.pace, game.mutation).await;
    world.print = game.print;
    for _ in 0..game.steps {
        world.step().await;
    }
    heal(&mut world).await;
    if game.mutation != Mutation::None {
        world.mutate().await;
    }
    world.judge_all().await;
    rest(&mut world).await;
    for at in 0..game.nodes {
        world.crash(at).await;
    }
    Went { tally: world.tally, hash: world.hash, days: (world.now() - START) / (24 * HOUR) }
}

/// Nothing breaks any more, nobody does anything, and time passes.
async fn heal(world: &mut World) {
    world.healed = true;
    far::far(|far| far.over = true);
    world.turns.crash_at(None);
    for place in ["ledger.begin", "ledger.commit"] {
        world.turns.lose(place, 0);
    }
    world.trace(|| "all heals".to_owned());
    let since = world.now();
    for _ in 0..HEALING {
        world.step().await;
        let quiet = world.now() - since > world.pace.of(AFTERWARDS, QUIET_AFTERWARDS)
            && world.deliveries.iter().all(|d| d.taken);
        let faulted = world.areas.iter().any(|area| area.state() == "faulted");
        if quiet && !faulted && world.changes.is_empty() && world.open().await == (0, 0, 0) {
            return;
        }
    }
    let untaken = world.deliveries.iter().filter(|d| !d.taken).count();
    let (changes, open) = (world.changes.len(), world.open().await);
    let hours = (world.now() - since) / HOUR;
    world.broken(&format!("after {hours} h of healing: {untaken} deliveries, {changes} changes, open {open:?}"));
}

/// Nothing is new any more, and everything is polled on.
async fn rest(world: &mut World) {
    world.still = true;
    let before = world.tally.polls;
    for _ in 0..RESTING {
        world.step().await;
    }
    let polled =
        world.areas.iter().any(|area| area.state() == "active" && area.list().is_some_and(|list| list < far::LISTS));
    assert!(!polled || world.tally.polls > before, "seed {}: nobody is polled any more", world.seed);
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn seeds() {
    take(Game::dense, SEEDS, &KEPT);
}

#[test]
fn quiet_years() {
    take(Game::quiet, QUIET_SEEDS, &QUIET_KEPT);
}

fn take(game: fn(u64) -> Game, most: u64, kept: &[u64]) {
    if let Some(seed) = number("AREA_SIM_SEED") {
        play(Game { print: true, ..game(seed) });
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "the real time that it took is what is told")]
    let began = std::time::Instant::now();
    let (mut all, mut days) = (Tally::default(), 0);
    let most = number("AREA_SIM_SEEDS").unwrap_or(most);
    for seed in (0..most).chain(kept.iter().copied().filter(|kept| *kept >= most)) {
        let went = play(game(seed));
        days += went.days;
        all.steps += went.tally.steps;
        all.polls += went.tally.polls;
        all.calls += went.tally.calls;
        all.items += went.tally.items;
        all.boots += went.tally.boots;
        all.crashes += went.tally.crashes;
        all.stops += went.tally.stops;
        all.changes += went.tally.changes;
    }
    let took: Duration = began.elapsed();
    eprintln!("{days} days in {took:.1?}: {all:?}, {:.0} steps/s", all.steps as f64 / took.as_secs_f64());
}

#[test]
fn a_seed_repeats_step_by_step() {
    for game in [Game::dense(1), Game::dense(2), Game::quiet(3)] {
        let hashes = [(); 2].map(|()| play(Game { steps: 1_500, ..game }).hash);
        assert_eq!(hashes[0], hashes[1], "seed {}", game.seed);
    }
}

#[test]
fn each_law_finds_its_breach() {
    for (mutation, law) in mutations::ALL {
        let game = Game { steps: 1_000, mutation, ..Game::dense(4) };
        let played = std::panic::catch_unwind(|| play(game));
        let said = played.err().and_then(|said| said.downcast::<String>().ok());
        let said = said.unwrap_or_else(|| panic!("{mutation:?} was not found"));
        assert!(said.contains(law), "{mutation:?}: {said}");
        assert!(said.contains("AREA_SIM_SEED=4 cargo test"), "{mutation:?} says how to repeat it");
    }
}
