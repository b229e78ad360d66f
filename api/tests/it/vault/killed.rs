use std::time::Duration;

use engine::store::accounts;

use super::World;
use super::process::{LEASE, Process};
use crate::daemon::until;

const CRASH: &str = "AREA_CRASH_POINT";
/// Where a process dies, and whether that may cost the account: between the provider's answer and the store it does at a provider
/// that takes a refresh token once, and nowhere else.
const POINTS: [(&str, bool); 5] = [
    ("vault.claimed", false),
    ("vault.answered", true),
    ("store.before_commit", true),
    ("store.after_commit", false),
    ("vault.stored", false),
];

#[tokio::test]
async fn a_process_that_is_killed_at_any_step_of_a_refresh_costs_at_most_the_one_reconnect_that_is_reported() {
    let Some(w) = World::new().await else { return };
    let mut heir = Process::start(&w, "heir", &[]);
    for (point, costs) in POINTS {
        let account = w.linked().await;
        let mut process = Process::start(&w, &format!("dies-at-{point}"), &[(CRASH, point)]);
        process.want(account, 8);
        assert_eq!(process.answer(), None, "{point}: it dies");
        // The heir waits for the claim until the dead one's lease is over.
        heir.want(account, 8);
        let got = heir.answer().unwrap();
        let row = accounts::get(&w.db, account).await.unwrap().unwrap();
        match costs {
            false => {
                let token = got.strip_prefix("token ").unwrap_or_else(|| panic!("{point}: {got}"));
                assert!(w.oidc.takes(token).await && row.state == "ok", "{point}");
            }
            true => {
                assert!(got.starts_with("reconnect ") && got.contains("was cut off"), "{point}: {got}");
                assert_eq!(row.state, "needs_reconnect", "{point}");
                let again = {
                    heir.want(account, 1);
                    heir.answer().unwrap()
                };
                assert_eq!(again, got, "{point}: it is not tried again");
            }
        }
    }
}

#[tokio::test]
async fn at_a_provider_that_takes_a_refresh_token_again_no_kill_costs_anything() {
    let Some(w) = World::with(&[("ROTATE", "0")]).await else { return };
    let mut heir = Process::start(&w, "heir", &[]);
    for (point, _) in POINTS {
        let account = w.linked().await;
        let mut process = Process::start(&w, &format!("dies-at-{point}"), &[(CRASH, point)]);
        process.want(account, 8);
        assert_eq!(process.answer(), None, "{point}: it dies");
        heir.want(account, 8);
        let got = heir.answer().unwrap();
        let token = got.strip_prefix("token ").unwrap_or_else(|| panic!("{point}: {got}"));
        let row = accounts::get(&w.db, account).await.unwrap().unwrap();
        assert!(w.oidc.takes(token).await && row.state == "ok", "{point}");
    }
}

#[tokio::test]
async fn a_slow_provider_whose_caller_is_killed_meanwhile_costs_at_most_the_one_reconnect_that_is_reported() {
    for (rotates, costs) in [("0", false), ("1", true)] {
        let Some(w) = World::with(&[("ROTATE", rotates)]).await else { return };
        let account = w.linked().await;
        w.oidc.faults("slow", 1).await;
        let (mut process, mut heir) = (Process::start(&w, "dies", &[]), Process::start(&w, "heir", &[]));
        process.want(account, 8);
        assert!(until(LEASE * 10, async || w.oidc.counts().await["refreshes"] == 1).await, "it asks");
        process.kill9();
        heir.want(account, 8);
        let got = heir.answer().unwrap();
        match costs {
            false => assert!(got.starts_with("token "), "{got}"),
            true => assert!(got.starts_with("reconnect ") && got.contains("was cut off"), "{got}"),
        }
        // Both refreshes reached the provider: the first with nobody there to hear it.
        assert_eq!(w.oidc.counts().await["refreshes"], if costs { 1 } else { 2 });
    }
}

#[tokio::test]
async fn a_process_that_is_killed_with_a_refusal_in_its_hand_leaves_an_account_that_is_lost_once() {
    let Some(w) = World::new().await else { return };
    let mut heir = Process::start(&w, "heir", &[]);
    for point in ["vault.answered", "vault.lost"] {
        let account = w.linked().await;
        w.refuses(account).await;
        let mut process = Process::start(&w, &format!("dies-at-{point}"), &[(CRASH, point)]);
        process.want(account, 8);
        assert_eq!(process.answer(), None, "{point}: it dies");
        heir.want(account, 8);
        let got = heir.answer().unwrap();
        assert!(got.starts_with("reconnect ") && got.contains("invalid_grant"), "{point}: {got}");
        assert_eq!(accounts::get(&w.db, account).await.unwrap().unwrap().state, "needs_reconnect", "{point}");
    }
}

#[tokio::test]
async fn a_process_that_is_killed_before_it_asks_is_followed_by_one_of_its_own_name_at_once() {
    let Some(w) = World::new().await else { return };
    let account = w.linked().await;
    let mut process = Process::start(&w, "same", &[(CRASH, "vault.claimed")]);
    process.want(account, 1);
    assert_eq!(process.answer(), None);
    let began = tokio::time::Instant::now();
    let mut next = Process::start(&w, "same", &[]);
    next.want(account, 1);
    let got = next.answer().unwrap();
    assert!(got.starts_with("token "), "{got}");
    assert!(began.elapsed() < LEASE * 4 + Duration::from_secs(20), "it waited");
}
