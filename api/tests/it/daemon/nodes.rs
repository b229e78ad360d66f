//! Several nodes on one database: one is stopped past its lease and wakes, one is killed, hooks come to whoever is there.

use std::collections::BTreeSet;

use super::place::Place;
use super::process::{Binary, Daemon};
use super::receiver::Request;
use super::world::World;
use super::{Duration, Instant, until};

/// How long a silent node keeps what it owns.
const LEASE: &str = "3s";
/// How long one may take to notice, to take over and to work.
const SOON: Duration = Duration::from_secs(60);

struct Pair {
    world: World,
    beside: Place,
    first: Daemon,
    second: Daemon,
}

/// Two nodes that share the work; each signs its requests with its name.
async fn pair() -> Option<Pair> {
    let place = Place::postgres().await?.with(&[("AREA_NODE__LEASE", LEASE)]);
    let mut world = World::new(place).await?;
    let beside = world.place.beside();
    world.sender = world.sender.also_at(&world.place.url(), &beside.url());
    let first = start(&world.place, "first").await;
    world.spread().await;
    let second = start(&beside, "second").await;
    Some(Pair { world, beside, first, second })
}

async fn start(place: &Place, name: &str) -> Daemon {
    place.launch(Binary::Released, &[("AREA_NET__USER_AGENT", name), ("AREA_NODE__NAME", name)]).ready().await
}

fn nodes<'a>(requests: impl IntoIterator<Item = &'a Request>) -> BTreeSet<&'a str> {
    requests.into_iter().map(|request| request.agent.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_fire_once_whichever_node_they_come_to_and_whichever_node_dies() {
    let Some(Pair { world, beside, first, mut second }) = pair().await else { return };
    let load = world.load();
    let both = async || nodes(&world.receiver.requests()).len() == 2 && world.produced.counts().hooks > 60;
    assert!(until(SOON, both).await, "the nodes do not share the work\n{}", first.tail());
    second.kill9();
    let (hooks, list) = (world.produced.counts().hooks, world.produced.counts().list);
    let goes_on = async || world.produced.counts().hooks > hooks + 40 && world.produced.counts().list > list + 40;
    assert!(until(SOON, goes_on).await, "the node that is left does not go on\n{}", first.tail());
    let second = start(&beside, "second").await;
    load.stop().await;
    let figures = world.settle(&first).await;
    world.quiet().await;
    first.stop().await;
    second.stop().await;
    world.recorded_once().await;
    println!("{:?}, {figures:?}", world.produced.counts());
}

/// Requests that lay between the last look at the lease and the socket when a process was stopped: nothing calls those back, and they
/// carry the key and the bytes of the first.
const BEING_WRITTEN: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_slept_past_its_lease_changes_nothing_when_it_wakes() {
    let Some(Pair { mut world, beside: _beside, first, second }) = pair().await else { return };
    world.sender = world.sender.first_alone();
    let load = world.load();
    let by_second = |requests: &[Request]| requests.iter().filter(|r| r.agent == "second").count();
    let works = async || by_second(&world.receiver.requests()) > 40;
    assert!(until(SOON, works).await, "the second node has no work\n{}", second.tail());
    // It falls asleep in the middle of calls.
    world.receiver.hold(true);
    let held = world.receiver.count() + 5;
    assert!(until(SOON, async || world.receiver.count() > held).await);
    second.signal("STOP");
    // What it had sent before is still on its way.
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.receiver.hold(false);
    let asleep = by_second(&world.receiver.requests());
    let list = world.produced.counts().list;
    let all_first = async || world.produced.counts().list > list + 100 && world.open_runs().await < 60;
    assert!(until(SOON, all_first).await, "nobody took over\n{}", first.tail());
    load.stop().await;
    world.settle(&first).await;
    assert_eq!(by_second(&world.receiver.requests()), asleep, "a process that is stopped sent something");
    let before = world.facts().await;
    let done: BTreeSet<String> = world.receiver.requests().into_iter().map(|r| r.path).collect();
    let woke = Instant::now();
    second.signal("CONT");
    let woken = async || second.log().contains("taken for dead");
    assert!(until(SOON, woken).await, "it did not notice that it slept\n{}", second.tail());
    let load = world.load();
    let shares = async || by_second(&world.receiver.requests()) > asleep + 20;
    assert!(until(SOON, shares).await, "it has no work again\n{}", second.tail());
    load.stop().await;
    world.settle(&first).await;
    let again = |r: &&Request| r.at > woke && r.agent == "second" && done.contains(&r.path);
    let again: Vec<String> = world.receiver.requests().iter().filter(again).map(|r| r.path.clone()).collect();
    assert!(again.len() <= BEING_WRITTEN, "it did again what the other had done: {again:?}");
    let after = world.facts().await;
    assert!(before.is_subset(&after), "it changed {:?}", before.difference(&after).next());
    first.stop().await;
    second.stop().await;
    world.recorded_once().await;
}
