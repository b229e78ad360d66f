//! PostgreSQL crashes, comes back, is cut off. Hooks are told to come again, nothing is lost, and nobody has to do anything.

use std::sync::Arc;

use engine::testkit::postgres::{Server, Stop};

use super::place::Place;
use super::process::Daemon;
use super::proxy::Wire;
use super::world::World;
use super::{Duration, until};

/// How long the database is away.
const AWAY: Duration = Duration::from_secs(10);
/// Crashes with a start at once, before the long one.
const CRASHES: u32 = 3;

async fn crash(server: &Arc<Server>) {
    let server = Arc::clone(server);
    tokio::task::spawn_blocking(move || server.stop(Stop::Immediate)).await.unwrap();
}

async fn come_back(server: &Arc<Server>) {
    let server = Arc::clone(server);
    tokio::task::spawn_blocking(move || server.start_again()).await.unwrap();
}

/// Waits until more has come than was there.
async fn flows(world: &World, daemon: &Daemon) {
    let (items, arrived) = (world.produced.counts().all(), world.receiver.count());
    let more = async || world.produced.counts().all() > items + 30 && world.receiver.count() > arrived + 60;
    assert!(until(Duration::from_secs(60), more).await, "nothing flows\n{}", daemon.tail());
}

/// While the database is away hooks are answered, all of them, and with 503.
async fn stay_away(world: &World) {
    let before = world.sender.answers();
    tokio::time::sleep(AWAY).await;
    let during = world.sender.answers();
    let new = |status: u16| during.get(&status).unwrap_or(&0) - before.get(&status).unwrap_or(&0);
    assert!(new(503) > 0 && new(0) == 0, "{before:?}, then {during:?}");
}

/// Everything is there in the end.
async fn is_whole(world: World, daemon: Daemon) {
    let figures = world.settle(&daemon).await;
    world.edits_stand().await;
    world.quiet().await;
    let log = daemon.log();
    assert!(log.contains("the database is away"), "{log}");
    daemon.stop().await;
    world.recorded_once().await;
    println!("{:?}, {figures:?}, hooks: {:?}", world.produced.counts(), world.sender.answers());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_crashes_and_stays_away_loses_nothing() {
    let Some(place) = Place::own_postgres().await else { return };
    let server = place.server.clone().unwrap();
    let Some(world) = World::new(place).await else { return };
    let daemon = world.place.start().await;
    let load = world.load();
    for _ in 0..CRASHES {
        flows(&world, &daemon).await;
        crash(&server).await;
        come_back(&server).await;
    }
    flows(&world, &daemon).await;
    crash(&server).await;
    stay_away(&world).await;
    come_back(&server).await;
    flows(&world, &daemon).await;
    load.stop().await;
    is_whole(world, daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_is_cut_off_without_a_word_loses_nothing() {
    let Some(place) = Place::own_postgres().await else { return };
    let wire = Wire::to(place.server.as_ref().unwrap().port()).await;
    let Some(world) = World::new(place.through(wire.port)).await else { return };
    let daemon = world.place.start().await;
    let load = world.load();
    flows(&world, &daemon).await;
    wire.cut();
    stay_away(&world).await;
    wire.mend();
    flows(&world, &daemon).await;
    load.stop().await;
    is_whole(world, daemon).await;
}
