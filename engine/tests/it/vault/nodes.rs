use super::*;
use engine::fault::Fault;

const LAPSE: &str = "UPDATE nodes SET until_at = 0 WHERE no = $1";

#[tokio::test]
async fn the_claim_of_a_node_that_lives_is_waited_for_and_that_of_a_dead_one_is_taken_over() {
    for w in World::all().await {
        if w.t.db.is_alone() {
            // There one process works at a time: a claim of any other is a dead one's.
            continue;
        }
        let id = w.linked("a0", Some("r0"), Some(1)).await;
        let other = node(&w.t, &w.clock, "two").await;
        w.pass(2);
        assert!(accounts::know(&w.t.db, &w.row(id).await, 0, None).await.is_ok());
        let claim = accounts::claim(&w.t.db, id, 0, other.node(), w.clock.micros()).await.unwrap().unwrap();
        assert!(!claim.in_doubt, "{}", w.t.label);
        assert_eq!(accounts::claim(&w.t.db, id, 0, w.leases.node(), w.clock.micros()).await.unwrap(), None);
        w.answers("r0", tokens("a1", "r1")).await;
        let waiting = tokio::spawn({
            let vault = w.vault.clone();
            async move { vault.access(id).await.unwrap().expose().to_owned() }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!waiting.is_finished() && w.calls().await == 0, "{}: it lives", w.t.label);
        on_write!(&w.t.db, pool => sqlx::query(LAPSE).bind(other.node()).execute(pool).await.map(drop)).unwrap();
        assert_eq!(waiting.await.unwrap(), "a1", "{}", w.t.label);
        assert_eq!(w.calls().await, 1, "{}", w.t.label);
        // What the dead one would still do changes nothing.
        let lost = accounts::lose(&w.t.db, id, (0, Some(claim.claim)), "late", w.clock.micros()).await.unwrap();
        assert_eq!((lost, w.access(id).await), (None, "a1".to_owned()), "{}", w.t.label);
    }
}

#[tokio::test]
async fn a_claim_that_this_nodes_former_process_left_is_taken_over_and_the_old_token_tried() {
    for w in World::all().await {
        let id = w.linked("a0", Some("r0"), Some(1)).await;
        w.pass(2);
        accounts::know(&w.t.db, &w.row(id).await, 0, None).await.unwrap();
        accounts::claim(&w.t.db, id, 0, w.leases.node(), w.clock.micros()).await.unwrap().unwrap();
        w.answers("r0", refusal(400, "invalid_grant")).await;
        let fault = w.vault.access(id).await.unwrap_err();
        assert!(fault.why().contains("an earlier refresh was cut off"), "{}: {fault}", w.t.label);
        assert_eq!(w.calls().await, 1, "{}", w.t.label);
    }
}

#[tokio::test]
async fn a_command_beside_the_daemon_reads_and_refreshes_nothing() {
    for w in World::all().await {
        let vault = vault(&w.t, &w.provider, &w.clock, &w.ring, None, VaultConfig::default());
        let id = w.linked("a0", Some("r0"), Some(90)).await;
        assert_eq!(vault.access(id).await.unwrap().expose(), "a0", "{}", w.t.label);
        w.pass(60);
        assert_eq!(vault.access(id).await.unwrap().expose(), "a0", "{}", w.t.label);
        w.pass(60);
        let fault = vault.access(id).await.unwrap_err();
        assert!(matches!(&fault, Fault::Later { why, .. } if why.contains("daemon")), "{}: {fault}", w.t.label);
        assert_eq!(w.calls().await, 0, "{}", w.t.label);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_the_holder_keeps_trying_to_store_what_it_was_given() {
    use engine::testkit::postgres::{Options, Server, Stop};
    let server = match tokio::task::spawn_blocking(|| Server::start(Options::default())).await.unwrap() {
        Ok(server) => Arc::new(server),
        Err(why) => return engine::testkit::skip(&why),
    };
    let w = World::on(engine::testkit::on(&server).await, VaultConfig::default()).await;
    let id = w.linked("a0", Some("r0"), Some(1)).await;
    w.pass(2);
    w.answers("r0", tokens("a1", "r1").set_delay(Duration::from_secs(2))).await;
    let waiting = tokio::spawn({
        let vault = w.vault.clone();
        async move { vault.access(id).await.unwrap().expose().to_owned() }
    });
    while w.calls().await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let stopped = Arc::clone(&server);
    tokio::task::spawn_blocking(move || stopped.stop(Stop::Immediate)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!waiting.is_finished(), "a token that is not stored is used by nobody");
    let started = Arc::clone(&server);
    tokio::task::spawn_blocking(move || started.start_again()).await.unwrap();
    assert_eq!(waiting.await.unwrap(), "a1");
    let row = w.row(id).await;
    assert_eq!(w.opened(id, "refresh_token", row.refresh_token.as_deref()), "r1");
    assert_eq!((row.version, w.calls().await), (1, 1));
}
