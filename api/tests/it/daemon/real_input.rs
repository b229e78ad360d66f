//! Real input, end to end: what nginx serves, what others sign, what time brings, all of it arrives once.

use super::place::Place;
use super::world::World;
use super::{Duration, until};

async fn end_to_end(place: Place) {
    let Some(world) = World::new(place).await else { return };
    // Some are refused at first: what is tried again must be the same.
    world.receiver.refuse_each(9);
    let daemon = world.place.start().await;
    let load = world.load();
    let enough = async || {
        let counts = world.produced.counts();
        counts.list >= 120 && counts.feed >= 30 && counts.hooks >= 100
    };
    assert!(until(Duration::from_secs(120), enough).await, "{:?}\n{}", world.produced.counts(), daemon.tail());
    load.stop().await;
    world.receiver.refuse_each(0);
    let figures = world.settle(&daemon).await;
    assert!(figures.repeated > 10, "{figures:?}");
    world.quiet().await;
    daemon.stop().await;
    world.recorded_once().await;
    println!("{}: {:?}, {figures:?}", world.place.label, world.produced.counts());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_item_of_nginx_webhooks_and_timer_arrives_once_with_sqlite() {
    end_to_end(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_item_of_nginx_webhooks_and_timer_arrives_once_with_postgres() {
    let Some(place) = Place::postgres().await else { return };
    end_to_end(place).await;
}
