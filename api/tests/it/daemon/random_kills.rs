//! The released binary, killed at random times under load, while it starts and while it works. `AREA_TEST_KILLS` says how often.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use super::Duration;
use super::place::Place;
use super::process::Binary;
use super::world::World;

/// Kills, unless the environment says otherwise.
const KILLS: u32 = 40;
/// The longest that a daemon lives, in milliseconds from its start.
const LIVES: u64 = 1_800;

async fn kill_at_random(place: Place, seed: u64) {
    let Some(world) = World::new(place).await else { return };
    let label = world.place.label;
    let kills = std::env::var("AREA_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let mut random = StdRng::seed_from_u64(seed);
    let (began, load) = (Instant::now(), world.load());
    for _ in 0..kills {
        let mut daemon = world.place.launch(Binary::Released, &[]);
        tokio::time::sleep(Duration::from_millis(random.random_range(0..LIVES))).await;
        assert!(daemon.runs(), "{label}: the daemon ended by itself\n{}", daemon.tail());
        daemon.kill9();
    }
    let daemon = world.place.start().await;
    load.stop().await;
    let took = began.elapsed().as_secs();
    let figures = world.settle(&daemon).await;
    world.edits_stand().await;
    world.quiet().await;
    daemon.stop().await;
    world.recorded_once().await;
    let counts = world.produced.counts();
    println!(
        "{label}: {kills} kills in {took} s; {} items produced ({} list, {} feed, {} webhooks), {} reactions arrived, {} of them \
         more than once (same key, same bytes), 0 lost",
        counts.all(),
        counts.list,
        counts.feed,
        counts.hooks,
        figures.reactions,
        figures.repeated
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_loses_or_doubles_anything_on_sqlite() {
    kill_at_random(Place::sqlite(), 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_loses_or_doubles_anything_on_postgres() {
    let Some(place) = Place::postgres().await else { return };
    kill_at_random(place, 2).await;
}
