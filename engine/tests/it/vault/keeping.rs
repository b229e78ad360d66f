use super::*;
use engine::vault::Keeper;

const AREA: &str =
    "INSERT INTO areas (no, id, user_id, name, state, revision, version, body, source_id, created_at, updated_at)
    VALUES ($1, $2, $3, 'a', $4, 1, 1, '{}', 1, 0, 0)";
const SOURCE: &str = "INSERT INTO sources (id, user_id, service, feed, identity, part, params, created_at)
    VALUES (1, $1, 's', 'f', $2, 0, '{}', 0)";
const USES: &str = "INSERT INTO area_accounts (area_no, account_id) VALUES ($1, $2)";

/// An AREA that names the account.
async fn used(w: &World, no: i64, id: AccountId, state: &str) {
    on_write!(&w.t.db, pool => {
        let area = sqlx::query(AREA).bind(no).bind(uuid::Uuid::now_v7()).bind(w.user).bind(state);
        area.execute(pool).await.unwrap();
        sqlx::query(USES).bind(no).bind(id).execute(pool).await.map(drop)
    })
    .unwrap();
}

async fn settled(w: &World, keeper: &Keeper) -> usize {
    let begun = keeper.step().await;
    for _ in 0..6_000 {
        if w.vault.is_quiet() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    begun
}

#[tokio::test]
async fn accounts_that_active_areas_need_are_refreshed_ahead_of_time_and_the_others_rest() {
    for w in World::all().await {
        let keeper = Keeper::new(&w.vault);
        on_write!(&w.t.db, pool => sqlx::query(SOURCE).bind(w.user).bind(&[1_u8][..]).execute(pool).await.map(drop))
            .unwrap();
        let (needed, paused) = (w.linked("a0", Some("r0"), Some(1)).await, w.linked("a0", Some("p0"), Some(1)).await);
        used(&w, 1, needed, "active").await;
        used(&w, 2, paused, "paused").await;
        w.answers("r0", tokens("a1", "r1")).await;
        w.answers("p0", tokens("p1", "p1")).await;
        w.answers("r1", tokens("a2", "r2")).await;
        w.pass(2);
        for id in [needed, paused] {
            w.access(id).await;
        }
        assert_eq!((settled(&w, &keeper).await, w.calls().await), (0, 2), "{}: nothing is due", w.t.label);
        w.pass(3300);
        assert_eq!(settled(&w, &keeper).await, 2, "{}", w.t.label);
        assert_eq!((w.calls().await, w.row(needed).await.version), (3, 2), "{}", w.t.label);
        assert_eq!((w.row(paused).await.version, w.row(paused).await.refresh_at), (1, None), "{}", w.t.label);
        assert_eq!(settled(&w, &keeper).await, 0, "{}", w.t.label);
        // Before its old token died.
        assert_eq!((w.access(needed).await, w.calls().await), ("a2".to_owned(), 3), "{}", w.t.label);
    }
}

#[tokio::test]
async fn an_account_that_is_lost_pauses_its_active_areas_and_says_which() {
    for w in World::all().await {
        on_write!(&w.t.db, pool => sqlx::query(SOURCE).bind(w.user).bind(&[1_u8][..]).execute(pool).await.map(drop))
            .unwrap();
        let (id, other) = (w.linked("a0", Some("r0"), Some(1)).await, w.linked("b0", None, None).await);
        for (no, account, state) in [(1, id, "active"), (2, id, "paused"), (3, other, "active")] {
            used(&w, no, account, state).await;
        }
        w.answers("r0", refusal(400, "invalid_grant")).await;
        w.vault.access(id).await.unwrap_err();
        let paused = w.vault.lost().await;
        assert_eq!(paused.len(), 1, "{}", w.t.label);
        assert!(paused[0].reason.contains("invalid_grant"), "{}", w.t.label);
        let states = "SELECT state FROM areas ORDER BY no";
        let states: Vec<String> = on!(&w.t.db, pool => sqlx::query_scalar(states).fetch_all(pool).await).unwrap();
        assert_eq!(states, ["faulted", "paused", "active"], "{}", w.t.label);
        let marked = "SELECT COUNT(*) FROM areas WHERE mark IS NOT NULL";
        let marked: i64 = on!(&w.t.db, pool => sqlx::query_scalar(marked).fetch_one(pool).await).unwrap();
        assert_eq!(marked, 1, "{}: what comes meanwhile is caught up with", w.t.label);
        w.vault.give_up(other, "the scope is missing").await.unwrap();
        assert_eq!((w.vault.lost().await.len(), w.row(other).await.state.as_str()), (1, "needs_reconnect"));
    }
}

#[tokio::test]
async fn the_state_of_an_account_goes_with_the_account() {
    for w in World::all().await {
        let id = w.linked("a0", Some("r0"), Some(1)).await;
        accounts::know(&w.t.db, &w.row(id).await, 7, None).await.unwrap();
        let gone = "DELETE FROM next_auth_accounts WHERE id = $1";
        on_write!(&w.t.db, pool => sqlx::query(gone).bind(id).execute(pool).await.map(drop)).unwrap();
        let left = "SELECT COUNT(*) FROM account_state";
        let left: i64 = on!(&w.t.db, pool => sqlx::query_scalar(left).fetch_one(pool).await).unwrap();
        assert_eq!(left, 0, "{}", w.t.label);
    }
}
