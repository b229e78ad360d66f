//! The ledger on both engines: recorded once, refused whole, repeated without harm.

use engine::clock::Clock;
use engine::ids::{AreaNo, EventId, RunId, SourceId, UserId};
use engine::ledger::{CursorMove, Ledger, NewEvent, NewRun, Proof, Refused, RunState, RunUpdate, Unit};
use engine::store::Db;
use engine::testkit::databases;

const PART: i64 = 7;

/// A user with one source and one AREA, in a database where epoch 1 of partition 7 is held.
async fn scene(db: &Db) {
    let user = UserId::new();
    let now = Clock::system().now();
    engine::on_write!(db, pool => {
        sqlx::query("INSERT INTO users (id, email, created_at, updated_at) VALUES ($1, 'a@example.org', $2, $2)")
            .bind(user).bind(now).execute(pool).await.unwrap();
        sqlx::query("INSERT INTO sources (id, user_id, service, feed, identity, part, params, every_us, created_at)
             VALUES (1, $1, 's', 'f', $2, 7, '{}', 1, 0)").bind(user).bind(vec![1_u8]).execute(pool).await.unwrap();
        sqlx::query("INSERT INTO areas (no, id, user_id, name, state, revision, version, body, source_id, created_at, updated_at)
             VALUES (1, $1, $2, 'n', 'active', 1, 1, '{}', 1, 0, 0)")
            .bind(engine::ids::AreaId::new()).bind(user).execute(pool).await.unwrap();
        sqlx::query("UPDATE leases SET node = 1, epoch = 1 WHERE part = 7").execute(pool).await.map(drop)
    })
    .unwrap();
}

fn event(id: i64, key: &str) -> NewEvent {
    NewEvent {
        id: EventId(id),
        source: SourceId(1),
        key: key.to_owned(),
        body: r#"{"text":"a \"quoted\" word\n1e2"}"#.to_owned(),
        at: None,
        fresh: false,
        undecided: None,
        mark: None,
        only_area: None,
        depth: 0,
    }
}

fn run(id: i64, event: i64) -> NewRun {
    NewRun {
        id: RunId(id),
        area: AreaNo(1),
        event: EventId(event),
        replay: 0,
        revision: 1,
        part: PART,
        state: RunState::Ready,
        reason: None,
        due_at: 5,
        ended_at: None,
        detail: None,
    }
}

fn owned() -> Unit {
    Unit { proof: Some(Proof { part: PART, epoch: 1 }), ..Unit::default() }
}

async fn count(db: &Db, sql: &'static str) -> i64 {
    let (count,): (i64,) = engine::on!(db, pool => sqlx::query_as(sql).fetch_one(pool).await).unwrap();
    count
}

#[tokio::test]
async fn a_unit_is_recorded_whole_and_a_repetition_changes_nothing() {
    for test in databases().await {
        let db = &test.db;
        scene(db).await;
        let (ledger, _writer) = Ledger::start(db.clone());
        let unit = Unit {
            events: vec![event(10, "a"), event(11, "b")],
            runs: vec![run(20, 10), run(21, 11)],
            standing: vec![(AreaNo(1), 1)],
            cursor: Some(CursorMove { source: SourceId(1), from: 0, to: Some("{\"n\":1}".into()) }),
            ..owned()
        };
        ledger.commit(unit.clone()).await.unwrap();
        // The answer was lost: the same unit again. Its AREA was edited since, which is no reason to decide again what stands.
        let edit = "UPDATE areas SET version = 2";
        engine::on_write!(db, pool => sqlx::query(edit).execute(pool).await.map(drop)).unwrap();
        ledger.commit(unit).await.unwrap();
        assert_eq!(count(db, "SELECT COUNT(*) FROM events").await, 2, "{}", test.label);
        assert_eq!(count(db, "SELECT COUNT(*) FROM runs").await, 2, "{}", test.label);
        assert_eq!(count(db, "SELECT version FROM sources").await, 1, "{}", test.label);
        let (body,): (String,) =
            engine::on!(db, pool => sqlx::query_as("SELECT body FROM events WHERE id = 10").fetch_one(pool).await)
                .unwrap();
        assert_eq!(body, event(10, "a").body, "{}: bodies come back byte for byte", test.label);
    }
}

#[tokio::test]
async fn what_no_longer_stands_is_refused_and_leaves_nothing() {
    for test in databases().await {
        let db = &test.db;
        scene(db).await;
        let (ledger, _writer) = Ledger::start(db.clone());
        ledger.commit(Unit { events: vec![event(1, "known")], ..owned() }).await.unwrap();
        let other_epoch = Some(Proof { part: PART, epoch: 2 });
        let moved = Some(CursorMove { source: SourceId(1), from: 5, to: None });
        let cases = [
            (Unit { proof: other_epoch, events: vec![event(2, "x")], ..Unit::default() }, Refused::Lost),
            (
                Unit { standing: vec![(AreaNo(1), 9)], events: vec![event(2, "x")], ..owned() },
                Refused::Stale(vec![AreaNo(1)]),
            ),
            (
                Unit { events: vec![event(2, "x"), event(3, "known")], ..owned() },
                Refused::Duplicate(vec!["known".into()]),
            ),
            (Unit { cursor: moved, events: vec![event(2, "x")], ..owned() }, Refused::Moved),
        ];
        for (unit, refused) in cases {
            assert_eq!(ledger.commit(unit).await, Err(refused), "{}", test.label);
            assert_eq!(count(db, "SELECT COUNT(*) FROM events").await, 1, "{}", test.label);
        }
    }
}

#[tokio::test]
async fn a_guilty_unit_does_not_take_its_neighbours_with_it() {
    for test in databases().await {
        let db = &test.db;
        scene(db).await;
        let (ledger, _writer) = Ledger::start(db.clone());
        let units = (0..40).map(|n| {
            let mut one = event(100 + n, &format!("k{n}"));
            // Event 100 again under another key: an id that collides is the unit's own fault.
            if n == 17 {
                one.id = EventId(100);
            }
            ledger.commit(Unit { events: vec![one], ..owned() })
        });
        let answers = futures::future::join_all(units).await;
        let refused: Vec<usize> = (0..40).filter(|n| answers[*n].is_err()).collect();
        assert_eq!(refused, [17], "{}: {:?}", test.label, answers[17]);
        assert!(matches!(answers[17], Err(Refused::Broken(_))), "{}", test.label);
        assert_eq!(count(db, "SELECT COUNT(*) FROM events").await, 39, "{}", test.label);
    }
}

#[tokio::test]
async fn a_run_that_was_cancelled_meanwhile_stays_cancelled() {
    for test in databases().await {
        let db = &test.db;
        scene(db).await;
        let (ledger, _writer) = Ledger::start(db.clone());
        ledger.commit(Unit { events: vec![event(1, "a")], runs: vec![run(2, 1)], ..owned() }).await.unwrap();
        let update =
            |state, ended_at| RunUpdate { id: RunId(2), state, reason: None, due_at: 0, ended_at, detail: None };
        ledger.commit(Unit { updates: vec![update(RunState::Cancelled, Some(1))], ..owned() }).await.unwrap();
        ledger.commit(Unit { updates: vec![update(RunState::Done, Some(2))], ..owned() }).await.unwrap();
        assert_eq!(count(db, "SELECT COUNT(*) FROM runs WHERE state = 'cancelled'").await, 1, "{}", test.label);
    }
}

#[tokio::test]
async fn one_key_sent_twice_at_once_is_recorded_once() {
    for test in databases().await {
        let db = &test.db;
        scene(db).await;
        let (ledger, _writer) = Ledger::start(db.clone());
        let sends = (0..20).map(|n| ledger.commit(Unit { events: vec![event(500 + n, "delivery")], ..owned() }));
        let answers = futures::future::join_all(sends).await;
        assert_eq!(answers.iter().filter(|a| a.is_ok()).count(), 1, "{}", test.label);
        assert!(
            answers.iter().all(|a| a.is_ok() || matches!(a, Err(Refused::Duplicate(_)))),
            "{}: {answers:?}",
            test.label
        );
        assert_eq!(count(db, "SELECT COUNT(*) FROM events").await, 1, "{}", test.label);
    }
}

/// What a unit that decides for the AREA rests on.
fn standing() -> Unit {
    Unit { standing: vec![(AreaNo(1), 1)], ..owned() }
}

#[tokio::test]
async fn a_fault_that_comes_while_an_area_catches_up_does_not_move_its_mark_ahead() {
    for test in databases().await {
        let db = &test.db;
        scene(db).await;
        let (ledger, _writer) = Ledger::start(db.clone());
        for (stands, fault, expected) in [(None, 9, 9), (Some(5), 9, 5), (Some(9), 5, 5)] {
            let set = "UPDATE areas SET state = 'active', version = 1, mark = $1";
            engine::on_write!(db, pool => sqlx::query(set).bind(stands).execute(pool).await.map(drop)).unwrap();
            let faulted = Unit { faulted: vec![(AreaNo(1), "x".into(), EventId(fault))], ..owned() };
            ledger.commit(faulted).await.unwrap();
            let mark = count(db, "SELECT COALESCE(mark, -1) FROM areas WHERE state = 'faulted'").await;
            assert_eq!(mark, expected, "{}: from {stands:?} by {fault}", test.label);
        }
    }
}

#[tokio::test]
async fn a_fault_in_the_commit_that_ends_catching_up_leaves_its_mark() {
    for test in databases().await {
        let db = &test.db;
        scene(db).await;
        let (ledger, _writer) = Ledger::start(db.clone());
        for (caught_up, fault_first, expected) in
            [(None, true, 9), (None, false, 9), (Some(EventId(7)), true, 7), (Some(EventId(7)), false, 7)]
        {
            let set = "UPDATE areas SET state = 'active', version = 1, mark = 5";
            engine::on_write!(db, pool => sqlx::query(set).execute(pool).await.map(drop)).unwrap();
            let fault = Unit { faulted: vec![(AreaNo(1), "x".into(), EventId(9))], ..owned() };
            let marks = Unit { marks: vec![(AreaNo(1), caught_up)], ..standing() };
            let (first, second) = if fault_first { (fault, marks) } else { (marks, fault) };
            // Handed in at once: they share a commit.
            let (first, second) = futures::future::join(ledger.commit(first), ledger.commit(second)).await;
            assert_eq!((first, second), (Ok(()), Ok(())), "{}", test.label);
            let mark = count(db, "SELECT COALESCE(mark, -1) FROM areas WHERE state = 'faulted'").await;
            assert_eq!(mark, expected, "{}: caught up to {caught_up:?}", test.label);
        }
    }
}
