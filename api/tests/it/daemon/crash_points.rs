//! Each named crash point once, on each database: the daemon dies there under load, comes back, and nothing is lost or doubled.

use engine::crash::POINTS;

use super::Duration;
use super::place::Place;
use super::process::Binary;
use super::world::World;

/// What the points of accounts begin with.
const ACCOUNTS: [&str; 3] = ["vault.", "account.", "letter."];

/// How long a daemon under load may take to reach a point.
const REACHED: Duration = Duration::from_secs(60);

/// At which passing it dies: points that every start passes die at the first.
fn passing(point: &str) -> u32 {
    match point {
        "lease.before_claim" | "lease.after_claim" | "node.loaded" | "node.before_leave" => 1,
        "store.before_write" | "store.after_write" => 6,
        "store.before_commit" | "store.after_commit" | "poll.recorded" => 2,
        _ => 12,
    }
}

async fn die_at_each_point(place: Place) {
    let Some(world) = World::new(place).await else { return };
    let label = world.place.label;
    // Accounts are not part of this load: `vault::killed` and `connect::told` die at their points.
    for point in POINTS.into_iter().filter(|point| !ACCOUNTS.iter().any(|prefix| point.starts_with(prefix))) {
        let load = world.load();
        let wanted = format!("{point}:{}", passing(point));
        let mut daemon = world.place.launch(Binary::CrashPoints, &[("AREA_CRASH_POINT", &wanted)]);
        if point == "node.before_leave" {
            daemon = daemon.ready().await;
            daemon.signal("TERM");
        }
        let died = daemon.end(REACHED).await;
        assert!(died.is_some(), "{label}: nothing came to {wanted}\n{}", daemon.tail());
        assert!(daemon.log().contains(&format!("crash point {point}\n")), "{label} {wanted}\n{}", daemon.tail());
        let daemon = world.place.start().await;
        load.stop().await;
        world.settle(&daemon).await;
        world.edits_stand().await;
        daemon.stop().await;
    }
    let daemon = world.place.start().await;
    world.quiet().await;
    daemon.stop().await;
    world.recorded_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dying_at_any_named_point_loses_or_doubles_nothing_on_sqlite() {
    die_at_each_point(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dying_at_any_named_point_loses_or_doubles_nothing_on_postgres() {
    let Some(place) = Place::postgres().await else { return };
    die_at_each_point(place).await;
}
