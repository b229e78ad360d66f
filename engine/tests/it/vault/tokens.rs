use super::*;
use engine::fault::Fault;

#[tokio::test]
async fn a_good_token_is_handed_out_as_an_authjs_site_wrote_it_and_nobody_is_asked() {
    for w in World::all().await {
        let id = w.linked("plain", Some("r0"), Some(3600)).await;
        assert_eq!((w.access(id).await, w.access(id).await), ("plain".to_owned(), "plain".to_owned()), "{}", w.t.label);
        let forever = w.linked("for ever", None, None).await;
        assert_eq!(w.access(forever).await, "for ever", "{}", w.t.label);
        w.pass(3530);
        assert_eq!(w.access(forever).await, "for ever", "{}", w.t.label);
        assert_eq!(w.calls().await, 0, "{}", w.t.label);
        let row = w.row(id).await;
        assert_eq!((row.access_token.as_deref(), row.known), (Some("plain"), false), "{}", w.t.label);
    }
}

#[tokio::test]
async fn within_the_margin_it_is_refreshed_and_what_is_stored_is_sealed() {
    for w in World::all().await {
        let id = w.linked("a0", Some("r0"), Some(3600)).await;
        w.answers("r0", tokens("a1", "r1")).await;
        w.answers("r1", tokens("a2", "r2")).await;
        assert_eq!(w.access(id).await, "a0", "{}", w.t.label);
        w.pass(3541);
        assert_eq!(w.access(id).await, "a1", "{}", w.t.label);
        let row = w.row(id).await;
        assert_eq!(w.opened(id, "access_token", row.access_token.as_deref()), "a1", "{}", w.t.label);
        assert_eq!(w.opened(id, "refresh_token", row.refresh_token.as_deref()), "r1", "{}", w.t.label);
        assert_eq!(row.expires_at, Some(w.clock.micros() / SECOND + 3600), "{}", w.t.label);
        let ahead = row.refresh_at.unwrap() - w.clock.micros();
        assert!((2520 * SECOND..=3240 * SECOND).contains(&ahead), "{} {ahead}", w.t.label);
        w.pass(3600);
        assert_eq!(w.access(id).await, "a2", "{}", w.t.label);
        assert_eq!((w.calls().await, w.row(id).await.version), (2, 2), "{}", w.t.label);
    }
}

#[tokio::test]
async fn many_who_want_it_at_once_cost_one_refresh_also_when_the_first_gives_up() {
    for w in World::all().await {
        let id = w.linked("a0", Some("r0"), Some(1)).await;
        w.answers("r0", tokens("a1", "r1").set_delay(Duration::from_millis(200))).await;
        let impatient = w.vault.clone();
        let gone = tokio::time::timeout(Duration::from_millis(50), impatient.access(id)).await;
        assert!(gone.is_err(), "{}", w.t.label);
        let all = (0..64).map(|_| {
            let vault = w.vault.clone();
            tokio::spawn(async move { vault.access(id).await.unwrap().expose().to_owned() })
        });
        for one in all.collect::<Vec<_>>() {
            assert_eq!(one.await.unwrap(), "a1", "{}", w.t.label);
        }
        assert_eq!(w.calls().await, 1, "{}", w.t.label);
    }
}

#[tokio::test]
async fn what_an_answer_leaves_out_stays_as_it_was_and_odd_forms_are_understood() {
    for w in World::all().await {
        let check = async |answer: Value, dies_in: Option<i64>, refresh: &str, scope: &str| {
            let id = w.linked("a0", Some("r0"), Some(1)).await;
            w.provider.reset().await;
            w.answers("r0", ok(answer)).await;
            assert_eq!(w.access(id).await, "a1", "{}", w.t.label);
            let row = w.row(id).await;
            let now = w.clock.micros() / SECOND;
            assert_eq!(row.expires_at.map(|at| at - now), dies_in, "{}", w.t.label);
            assert_eq!(w.opened(id, "refresh_token", row.refresh_token.as_deref()), refresh, "{}", w.t.label);
            assert_eq!(row.scope.as_deref(), Some(scope), "{}", w.t.label);
        };
        check(json!({"access_token": "a1", "expires_in": 60}), Some(60), "r0", "read").await;
        check(json!({"access_token": "a1", "token_type": "odd", "refresh_token": "r1"}), None, "r1", "read").await;
        check(json!({"access_token": "a1", "expires_in": "60", "scope": ["b", "c"]}), Some(60), "r0", "b c").await;
        check(json!({"access_token": "a1", "expires_in": 59.9, "scope": "b,c"}), Some(59), "r0", "b c").await;
        check(json!({"access_token": "a1", "expires_in": null, "refresh_token": ""}), None, "r0", "read").await;
    }
}

#[tokio::test]
async fn tokens_stay_plain_where_the_operator_says_so() {
    for t in databases().await {
        let w = World::on(t, VaultConfig { seal: false, ..VaultConfig::default() }).await;
        let id = w.linked("a0", Some("r0"), Some(1)).await;
        w.answers("r0", tokens("a1", "r1")).await;
        assert_eq!(w.access(id).await, "a1", "{}", w.t.label);
        let row = w.row(id).await;
        let stored = (row.access_token.as_deref(), row.refresh_token.as_deref());
        assert_eq!(stored, (Some("a1"), Some("r1")), "{}", w.t.label);
    }
}

#[tokio::test]
async fn a_refused_token_is_refreshed_once_for_all_who_hold_it_and_one_just_issued_is_not() {
    for w in World::all().await {
        let id = w.linked("a0", Some("r0"), None).await;
        w.answers("r0", tokens("a1", "r1")).await;
        let old = w.vault.access(id).await.unwrap();
        let all = (0..16).map(|_| {
            let (vault, old) = (w.vault.clone(), old.clone());
            tokio::spawn(async move { vault.refused(id, &old).await.unwrap().expose().to_owned() })
        });
        for one in all.collect::<Vec<_>>() {
            assert_eq!(one.await.unwrap(), "a1", "{}", w.t.label);
        }
        let new = w.vault.access(id).await.unwrap();
        let fault = w.vault.refused(id, &new).await.unwrap_err();
        let Fault::Later { not_before: Some(again), why, maybe_done: false } = &fault else { panic!("{fault:?}") };
        assert!(why.contains("a moment ago"), "{}: {why}", w.t.label);
        assert_eq!((w.calls().await, *again - w.clock.now()), (1, chrono::Duration::seconds(60)), "{}", w.t.label);
        // Whoever comes again then has the next one.
        w.answers("r1", tokens("a2", "r2")).await;
        w.pass(60);
        let next = w.vault.refused(id, &new).await.unwrap();
        assert_eq!((w.calls().await, next.expose()), (2, "a2"), "{}", w.t.label);
    }
}

#[tokio::test]
async fn a_row_that_another_key_sealed_says_which_and_an_account_is_its_owners_alone() {
    use engine::port::Auth;
    for w in World::all().await {
        let other = KeyRing::generate().unwrap();
        let id = AccountId::new();
        let place = format!("next_auth_accounts/{id}/access_token");
        let sealed = other.seal(&place, &Secret::new("CANARY"));
        on_write!(&w.t.db, pool => {
            let link = sqlx::query(LINK).bind(id).bind("x").bind(w.user).bind(&sealed).bind(None::<String>);
            link.bind(None::<i64>).execute(pool).await.map(drop)
        })
        .unwrap();
        let fault = w.vault.access(id).await.unwrap_err();
        assert!(fault.why().contains(&other.active()), "{}: {fault}", w.t.label);
        let id = w.linked("a0", None, None).await;
        assert_eq!(w.vault.auth(w.user, id, None).bearer().await.unwrap().expose(), "a0", "{}", w.t.label);
        let fault = w.vault.auth(UserId::new(), id, None).bearer().await.unwrap_err();
        assert!(matches!(fault, Fault::Rejected { .. }), "{}: {fault}", w.t.label);
        let refused = w.vault.auth(UserId::new(), id, None).refused(&Secret::new("a0")).await;
        assert!(refused.is_err() && w.row(id).await.state == "ok", "{}", w.t.label);
    }
}
