//! The harness itself: with a mechanism taken out, it must notice. A test that cannot fail shows nothing.

use super::Duration;
use super::place::Place;
use super::process::Binary;
use super::world::World;

/// How long a reaction may be late before it counts as lost; without its mechanism it never comes.
const PATIENCE: Duration = Duration::from_secs(8);
/// A daemon is killed so often before the harness has failed to notice.
const TRIES: u32 = 6;

/// Kills at `point` a daemon without `mechanism`; what the harness then says must contain `told`.
async fn check(mechanism: &str, point: &str, told: &str) {
    assert!(engine::crash::MECHANISMS.contains(&mechanism));
    let Some(world) = World::new(Place::sqlite()).await else { return };
    let mut said = String::new();
    for _ in 0..TRIES {
        let load = world.load();
        let env = [("AREA_CRASH_WITHOUT", mechanism), ("AREA_CRASH_POINT", point)];
        let mut daemon = world.place.launch(Binary::CrashPoints, &env);
        assert!(daemon.end(Duration::from_secs(60)).await.is_some(), "nothing came to {point}\n{}", daemon.log());
        let daemon = world.place.launch(Binary::CrashPoints, &env[..1]).ready().await;
        load.stop().await;
        if let Err(wrong) = world.settled(PATIENCE).await {
            said = wrong.to_string();
            if said.contains(told) {
                return println!("without {mechanism}, dying at {point}: {said}");
            }
        }
        drop(daemon);
    }
    panic!("without {mechanism} the harness noticed nothing but {said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_before_the_commit_is_noticed_as_a_loss() {
    check("ledger.durable", "ledger.before_commit:30", "lost").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_id_that_is_not_looked_at_is_noticed_as_a_double() {
    check("hook.key", "hook.recorded:10", "two keys").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_are_not_taken_up_again_are_noticed_as_a_loss() {
    check("react.load", "react.before_call:20", "lost").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_does_not_stand_is_noticed() {
    check("run.key", "react.after_call:20", "two keys").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_do_not_stand_are_noticed() {
    check("run.birth", "react.after_call:20", "other bytes").await;
}
