//! The clock is set while the daemon works: an hour back, then ahead. The monotonic clock goes on as real ones do.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::json;

use super::place::Place;
use super::process::Binary;
use super::world::World;
use super::{Duration, until};

/// Debian's libfaketime for programs with threads.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|file| file.is_file())
}

/// Sets the daemon's clock so many seconds beside the real one.
fn set(file: &Path, seconds: i64) {
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{seconds:+}\n")).unwrap();
    std::fs::rename(new, file).unwrap();
}

async fn set_back_and_forward(place: Place) {
    let Some(library) = library() else { return engine::testkit::skip("libfaketime is not installed") };
    let Some(world) = World::new(place).await else { return };
    let file = world.place.file("clock");
    set(&file, 0);
    let env = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("FAKETIME_NO_CACHE", "1"),
    ];
    let daemon = world.place.launch(Binary::Released, &env).ready().await;
    // The sender's clock is right; the daemon's is not.
    let patient = json!({ "action": { "data": { "verify": { "tolerance": "30d" } } } });
    world.api.ask(Method::PATCH, &world.area("hook"), Some(&patient)).await;
    world.receiver.refuse_each(11);
    let load = world.load();
    for seconds in [0, -3_600, 300, -10] {
        set(&file, seconds);
        let counts = world.produced.counts();
        let last =
            |prefix: &str| world.receiver.requests().iter().filter(|r| r.path.starts_with(prefix)).count() as u64;
        let flows = async || {
            ["list", "feed", "hook"]
                .iter()
                .zip([counts.list, counts.feed, counts.hooks])
                .all(|(of, n)| last(of) > n + 5)
        };
        let flowed = until(Duration::from_secs(60), flows).await;
        assert!(flowed, "{}, clock at {seconds:+} s: nothing flows\n{}", world.place.label, daemon.tail());
    }
    load.stop().await;
    world.receiver.refuse_each(0);
    let figures = world.settle(&daemon).await;
    world.quiet().await;
    let log = daemon.log();
    assert!(log.contains("the clock was set back"), "{log}");
    daemon.stop().await;
    world.recorded_once().await;
    println!("{}: {:?}, {figures:?}", world.place.label, world.produced.counts());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_loses_nothing_with_sqlite() {
    set_back_and_forward(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_loses_nothing_with_postgres() {
    let Some(place) = Place::postgres().await else { return };
    set_back_and_forward(place).await;
}
