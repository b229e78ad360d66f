//! A person's first minute: `area` in an empty folder says where to go and fires; told to stop, it drains.

use std::process::Command;

use reqwest::Method;
use serde_json::json;

use super::place::Place;
use super::process::{Binary, Daemon, client};
use super::world::{World, tell};
use super::{Duration, Instant, until};

/// The first firing comes within ten seconds of the start; here others run beside it.
const FIRST_FIRING: Duration = Duration::from_secs(20);
/// How long anything else may take on a busy machine.
const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn in_an_empty_folder_it_says_where_to_go_and_fires_within_ten_seconds() {
    // Nothing but its port is set.
    let place = Place::sqlite();
    let mut command = Command::new(Binary::Released.path());
    command.current_dir(place.folder()).env_clear().env("AREA_LISTEN", place.url().trim_start_matches("http://"));
    let began = Instant::now();
    let daemon = Daemon::start(command, place.url(), &place.file("log"));
    let fired = until(FIRST_FIRING, async || daemon.log().contains("the first firing since the start")).await;
    assert!(fired, "{}", daemon.tail());
    let took = began.elapsed();
    let log = daemon.log();
    assert!(log.contains(&place.url()) && log.contains("area token create"), "{log}");
    let line = log.lines().find(|line| line.contains("the first firing")).unwrap();
    let run: String = line.split("run=").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
    let args = ["token", "create", "--email", "demo@localhost"];
    let made =
        Command::new(Binary::Released.path()).args(args).current_dir(place.folder()).env_clear().output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let token = String::from_utf8(made.stdout).unwrap();
    let asked = client().get(format!("{}/v1/runs/{run}", place.url())).bearer_auth(token.trim()).send().await.unwrap();
    let run: serde_json::Value = serde_json::from_str(&asked.text().await.unwrap()).unwrap();
    assert_eq!(run["state"], "done", "{run}");
    daemon.stop().await;
    println!("the first firing came {took:?} after the start");
}

/// Starts a daemon with a run in flight: its request has arrived and waits for an answer.
async fn in_flight(place: Place) -> Option<(World, Daemon)> {
    let mut world = World::new(place).await?;
    let daemon = world.place.start().await;
    let action = json!({ "service": "webhook", "name": "received", "data": { "verify": { "kind": "none" } } });
    let slow = tell(&world.receiver.url, "tell", "slow", json!(null));
    world.create(json!({ "name": "slow", "action": action, "reactions": [slow] })).await;
    world.receiver.hold(true);
    let hook = world.hook_url("slow").await;
    assert_eq!(client().post(hook).body("{}").send().await.unwrap().status(), 202);
    let arrived = async || world.receiver.requests().iter().any(|r| r.path == "slow");
    assert!(until(SOON, arrived).await, "{}", daemon.tail());
    Some((world, daemon))
}

fn slow_ones(world: &World) -> Vec<super::receiver::Request> {
    world.receiver.requests().into_iter().filter(|r| r.path == "slow").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_lets_what_is_in_flight_finish_and_does_not_repeat_it() {
    let Some((world, mut daemon)) = in_flight(Place::sqlite()).await else { return };
    daemon.signal("TERM");
    let gone = async || client().get(format!("{}/healthz", daemon.url)).send().await.is_err();
    assert!(until(SOON, gone).await, "it still answers");
    assert!(daemon.runs(), "it did not wait for its run\n{}", daemon.tail());
    world.receiver.hold(false);
    let ended = daemon.end(SOON).await;
    assert_eq!(ended.and_then(|status| status.code()), Some(0), "{}", daemon.tail());
    let daemon = world.place.start().await;
    world.quiet().await;
    assert_eq!(slow_ones(&world).len(), 1, "{}", daemon.tail());
    let runs = world.api.ask(Method::GET, &format!("{}/runs", world.area("slow")), None).await;
    assert_eq!(runs["items"][0]["state"], "done", "{runs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_finish_in_the_named_time_is_handed_back_and_repeated_with_the_same_key() {
    let place = Place::sqlite().with(&[("AREA_NODE__DRAIN", "2s")]);
    let Some((world, mut daemon)) = in_flight(place).await else { return };
    let told = Instant::now();
    daemon.signal("TERM");
    let ended = daemon.end(SOON).await;
    assert_eq!(ended.and_then(|status| status.code()), Some(0), "{}", daemon.tail());
    // What is in flight may take two seconds, open HTTP requests five more; the default is 20.
    assert!(told.elapsed() < Duration::from_secs(18), "it took {:?}", told.elapsed());
    world.receiver.hold(false);
    let daemon = world.place.start().await;
    assert!(until(SOON, async || slow_ones(&world).len() == 2).await, "{}", daemon.tail());
    let both = slow_ones(&world);
    assert_eq!((&both[0].key, &both[0].body), (&both[1].key, &both[1].body));
    world.quiet().await;
}
