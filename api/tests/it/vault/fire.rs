use serde_json::json;

use super::World;
use super::process::{PATIENT, Process};

/// How often the token expires; `.ci/soak` asks for hundreds.
const EXPIRIES: &str = "AREA_TEST_EXPIRIES";
/// Tasks of each process: 64 in all.
const TASKS: [usize; 3] = [22, 21, 21];

#[tokio::test]
async fn three_processes_with_64_tasks_that_want_an_expired_token_cost_one_refresh_each_time() {
    let Some(w) = World::new().await else { return };
    let expiries: u64 = std::env::var(EXPIRIES).ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let account = w.linked().await;
    let mut processes: Vec<Process> = (0..3).map(|n| Process::start(&w, &format!("node-{n}"), &[PATIENT])).collect();
    let mut last = String::new();
    for round in 1..=expiries {
        w.expire(account).await;
        for (process, tasks) in processes.iter_mut().zip(TASKS) {
            process.want(account, tasks);
        }
        let mut all: Vec<String> = processes.iter_mut().map(|p| p.answer().unwrap()).collect();
        all.dedup();
        assert_eq!(all.len(), 1, "round {round}: everybody got the same: {all:?}");
        let token = all[0].strip_prefix("token ").unwrap_or_else(|| panic!("round {round}: {all:?}")).to_owned();
        assert_ne!(token, last, "round {round}");
        let counts = w.oidc.counts().await;
        let want = json!({ "codes": 1, "refreshes": round, "refused": 0, "revoked": 0, "armed": 0 });
        assert_eq!(counts, want, "round {round}");
        last = token;
    }
    assert!(w.oidc.takes(&last).await);
    println!("{expiries} expiries, 64 tasks in 3 processes: {expiries} refreshes, no family revoked");
}

#[tokio::test]
async fn without_the_claim_in_the_row_the_same_fire_revokes_the_family() {
    let Some(w) = World::new().await else { return };
    let account = w.linked().await;
    let without = [("AREA_CRASH_WITHOUT", "vault.claim")];
    let mut processes: Vec<Process> = (0..3).map(|n| Process::start(&w, &format!("node-{n}"), &without)).collect();
    for _ in 0..20 {
        w.expire(account).await;
        processes.iter_mut().for_each(|process| process.want(account, 8));
        let all: Vec<String> = processes.iter_mut().map(|p| p.answer().unwrap()).collect();
        if w.oidc.counts().await["refused"] != 0 {
            return;
        }
        assert!(all.iter().any(|got| got.starts_with("token ")), "{all:?}");
    }
    panic!("three processes without a claim never met: the test above could not fail");
}
