use super::*;
use engine::fault::Fault;

#[tokio::test]
async fn a_dead_grant_marks_the_account_once_and_is_never_tried_again() {
    for (status, error) in [(400, "invalid_grant"), (200, "invalid_grant")] {
        for w in World::all().await {
            let id = w.linked("a0", Some("CANARY-r0"), Some(1)).await;
            let said = json!({ "error": error, "error_description": "CANARY-r0 was revoked" });
            w.answers("CANARY-r0", ResponseTemplate::new(status).set_body_json(said)).await;
            for _ in 0..3 {
                let fault = w.vault.access(id).await.unwrap_err();
                let Fault::Reconnect { provider, why } = &fault else { panic!("{}: {fault:?}", w.t.label) };
                assert_eq!(provider, "acme", "{}", w.t.label);
                assert!(why.contains("invalid_grant (… was revoked)") && !why.contains("CANARY"), "{why}");
            }
            let row = w.row(id).await;
            assert_eq!((row.state.as_str(), w.calls().await), ("needs_reconnect", 1), "{}", w.t.label);
            assert!(!row.reason.unwrap().contains("CANARY"), "{}", w.t.label);
        }
    }
}

#[tokio::test]
async fn what_is_passing_waits_and_the_old_token_is_used_while_it_lives() {
    let garbage = ResponseTemplate::new(200).set_body_string("<html>CANARY</html>");
    let no_token = ok(json!({ "token": "CANARY" }));
    let odd_token = ok(json!({ "access_token": "CANARY\nX: y" }));
    let asked = ResponseTemplate::new(429).insert_header("retry-after", "120");
    let moved = ResponseTemplate::new(302).insert_header("location", "/elsewhere");
    let answers = [
        (ResponseTemplate::new(500), 2),
        (refusal(503, "temporarily_unavailable"), 2),
        (refusal(400, "invalid_client"), 2),
        (asked, 120),
        (garbage, 2),
        (no_token, 2),
        (odd_token, 2),
        (ResponseTemplate::new(400), 2),
        (moved, 2),
    ];
    for w in World::all().await {
        for (answer, wait) in &answers {
            w.provider.reset().await;
            let id = w.linked("a0", Some("r0"), Some(30)).await;
            w.answers("r0", answer.clone()).await;
            assert_eq!((w.access(id).await, w.access(id).await), ("a0".to_owned(), "a0".to_owned()));
            assert_eq!(w.calls().await, 1, "{}: it waits", w.t.label);
            w.pass(31);
            if *wait > 31 {
                let fault = w.vault.access(id).await.unwrap_err();
                let Fault::Later { not_before: Some(at), .. } = fault else { panic!("{}: {fault:?}", w.t.label) };
                assert_eq!(at.timestamp_micros(), w.clock.micros() + (wait - 31) * SECOND, "{}", w.t.label);
                w.pass(wait - 31);
            }
            let fault = w.vault.access(id).await.unwrap_err();
            assert!(
                matches!(&fault, Fault::Later { .. }) && !fault.why().contains("CANARY"),
                "{}: {fault:?}",
                w.t.label
            );
            assert_eq!((w.calls().await, w.row(id).await.failures), (2, 2), "{}", w.t.label);
            w.provider.reset().await;
            w.answers("r0", tokens("a1", "r1")).await;
            w.pass(300);
            assert_eq!((w.access(id).await, w.row(id).await.failures), ("a1".to_owned(), 0), "{}", w.t.label);
        }
    }
}

#[tokio::test]
async fn a_provider_that_hangs_is_given_up_and_asked_again_with_the_same_token() {
    for t in databases().await {
        let w = World::on(t, VaultConfig { timeout: Duration::from_millis(200), ..VaultConfig::default() }).await;
        let id = w.linked("a0", Some("r0"), Some(1)).await;
        w.pass(2);
        w.answers("r0", tokens("a1", "r1").set_delay(Duration::from_secs(60))).await;
        let fault = w.vault.access(id).await.unwrap_err();
        assert!(fault.why().contains("did not answer"), "{}: {fault}", w.t.label);
        w.provider.reset().await;
        w.answers("r0", refusal(400, "invalid_grant")).await;
        w.pass(3);
        let fault = w.vault.access(id).await.unwrap_err();
        let why = "an earlier refresh was cut off, and may have used the token up";
        assert!(matches!(&fault, Fault::Reconnect { .. }) && fault.why().contains(why), "{}: {fault}", w.t.label);
    }
}

#[tokio::test]
async fn without_a_refresh_token_only_the_owner_can_help_once_the_token_is_dead() {
    for w in World::all().await {
        let id = w.linked("a0", None, Some(120)).await;
        assert_eq!(w.access(id).await, "a0", "{}", w.t.label);
        w.pass(121);
        let fault = w.vault.access(id).await.unwrap_err();
        assert!(matches!(fault, Fault::Reconnect { .. }), "{}: {fault}", w.t.label);
        let refused = w.linked("a0", None, None).await;
        let token = w.vault.access(refused).await.unwrap();
        let fault = w.vault.refused(refused, &token).await.unwrap_err();
        assert!(matches!(fault, Fault::Reconnect { .. }), "{}: {fault}", w.t.label);
        let gone = w.vault.access(AccountId::new()).await.unwrap_err();
        assert!(matches!(gone, Fault::Reconnect { .. }), "{}: {gone}", w.t.label);
    }
}
