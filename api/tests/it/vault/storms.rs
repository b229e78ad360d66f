//! Three processes want the same expired token while its provider is at its worst.

use std::time::Duration;

use super::World;
use super::process::{PATIENT, Process};
use crate::daemon::until;

const SOON: Duration = Duration::from_secs(60);
/// Expiries under each fault.
const ROUNDS: i64 = 3;

/// Everybody asks until they have it: all the same, and by one refresh that the provider knows of.
async fn storm(w: &World, fault: &str, times: usize) {
    let account = w.linked().await;
    let mut processes: Vec<Process> = (0..3).map(|n| Process::start(w, &format!("{fault}-{n}"), &[PATIENT])).collect();
    for round in 1..=ROUNDS {
        let before = w.oidc.counts().await;
        w.expire(account).await;
        w.oidc.faults(fault, times).await;
        let mut tokens = Vec::new();
        let all = until(SOON, async || {
            processes.iter_mut().for_each(|process| process.want(account, 16));
            let said: Vec<String> = processes.iter_mut().map(|process| process.answer().unwrap()).collect();
            // Those who came too early were told so, and nothing else.
            assert!(
                said.iter().all(|s| s.starts_with("token ") || s.starts_with("later ")),
                "{fault} {round}: {said:?}"
            );
            tokens = said;
            tokens.iter().all(|said| said.starts_with("token "))
        });
        assert!(all.await, "{fault} {round}: {tokens:?}");
        tokens.dedup();
        let token = tokens[0].strip_prefix("token ").unwrap();
        assert!(tokens.len() == 1 && w.oidc.takes(token).await, "{fault} {round}: {tokens:?}");
        let after = w.oidc.counts().await;
        let grew = |name: &str| after[name].as_i64().unwrap() - before[name].as_i64().unwrap();
        assert_eq!((grew("refreshes"), grew("refused"), grew("revoked")), (1, 0, 0), "{fault} {round}");
        assert_eq!(w.armed().await, 0, "{fault} {round}: the fault came");
    }
}

#[tokio::test]
async fn a_slow_provider_is_waited_for_and_asked_once() {
    let Some(w) = World::new().await else { return };
    storm(&w, "slow", 1).await;
}

#[tokio::test]
async fn a_provider_that_is_down_or_answers_with_a_page_is_asked_again_by_one_process_at_a_time() {
    let Some(w) = World::new().await else { return };
    storm(&w, "down", 2).await;
    storm(&w, "page", 2).await;
}

#[tokio::test]
async fn an_answer_without_an_end_is_good_and_asked_for_once() {
    let Some(w) = World::new().await else { return };
    storm(&w, "endless", 1).await;
}

#[tokio::test]
async fn an_answer_without_a_refresh_token_keeps_the_one_that_was_there() {
    let Some(w) = World::with(&[("ROTATE", "0")]).await else { return };
    storm(&w, "bare", 1).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_costs_nothing_where_the_old_token_is_still_taken_and_else_one_reported_reconnect() {
    for (rotates, costs) in [("0", false), ("1", true)] {
        let Some(w) = World::with(&[("ROTATE", rotates)]).await else { return };
        let account = w.linked().await;
        let mut processes: Vec<Process> =
            (0..3).map(|n| Process::start(&w, &format!("node-{n}"), &[PATIENT])).collect();
        w.oidc.faults("cut", 1).await;
        let mut said = Vec::new();
        let ended = until(SOON, async || {
            processes.iter_mut().for_each(|process| process.want(account, 16));
            said = processes.iter_mut().map(|process| process.answer().unwrap()).collect();
            said.dedup();
            said.len() == 1 && !said[0].starts_with("later ")
        });
        assert!(ended.await, "{rotates}: {said:?}");
        match costs {
            false => assert!(said[0].starts_with("token "), "{said:?}"),
            true => assert!(said[0].starts_with("reconnect ") && said[0].contains("was cut off"), "{said:?}"),
        }
    }
}
