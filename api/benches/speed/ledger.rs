//! What the ledger commits, an event with its run and then the run's outcome, against the same rows inserted in batches by plain
//! SQL without a look at anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use engine::ids::{AreaNo, EventId, RunId, SourceId};
use engine::ledger::{Ledger, NewEvent, NewRun, Proof, RunState, RunUpdate, Unit};
use engine::store::Db;
use engine::{in_tx, on, on_write};
use serde_json::json;
use tokio::time::Instant;

use crate::daemon::Install;
use crate::table::{Aim, Table};
use crate::{Kit, REPEATS, median, seed};

/// Events of one repetition.
const EVENTS: i64 = 40_000;
/// Who commit at once; and the rows of a bare batch.
const AT_ONCE: i64 = 500;
const PART: i64 = 7;
/// Far from what a generator makes.
const FIRST: i64 = 1 << 40;

const BODY: &str = r#"{"body":{"n":123456,"order":{"customer":"Ann","total":19.9,"status":"paid","note":"leave it at the door, please"}},"headers":{"content-type":"application/json","host":"127.0.0.1"},"query":{},"method":"POST","at":"2026-11-20T09:00:00Z"}"#;
const DETAIL: &str = r#"{"steps":[{"id":"0","state":"done","output":{"status":200,"headers":{"content-type":"application/json"},"json":{"ok":true}},"attempts":[{"number":1,"at":1800000000000000,"ms":2,"sent":{"method":"POST","url":"http://127.0.0.1:8080/in","json":{"n":123456,"order":{"customer":"Ann","total":19.9}}}}]}]}"#;

/// The three statements of a bare batch; `$1` is an array of ids as JSON.
const BARE_SQLITE: [&str; 3] = [
    "INSERT INTO events (id, source_id, key, body) SELECT value, $2, 'k' || value, $3 FROM json_each($1)",
    "INSERT INTO runs (id, area_no, event_id, revision, part, state, due_at) SELECT value, $2, value, 1, 7, 'ready', $3
     FROM json_each($1)",
    "UPDATE runs SET state = 'done', ended_at = $2, detail = $3 WHERE id IN (SELECT value FROM json_each($1))",
];
const BARE_POSTGRES: [&str; 3] = [
    "INSERT INTO events (id, source_id, key, body) SELECT v::bigint, $2, 'k' || v, $3 FROM json_array_elements_text($1::json) v",
    "INSERT INTO runs (id, area_no, event_id, revision, part, state, due_at) SELECT v::bigint, $2, v::bigint, 1, 7, 'ready', $3
     FROM json_array_elements_text($1::json) v",
    "UPDATE runs SET state = 'done', ended_at = $2, detail = $3 FROM json_array_elements_text($1::json) v WHERE id = v::bigint",
];

struct Scene {
    db: Db,
    area: AreaNo,
    source: SourceId,
    next: AtomicI64,
}

pub fn run(kit: &mut Kit, table: &mut Table) {
    for install in kit.installs() {
        let (engine, bare) = kit.runtime.block_on(both(&install));
        let what = format!("ledger: event, run, outcome, {}", install.label);
        table.ratio(&what, "/s", median(engine), median(bare), Aim::AtLeast(0.5));
    }
}

async fn both(install: &Install) -> (Vec<f64>, Vec<f64>) {
    let scene = Arc::new(set(install).await);
    let (mut engine, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        let began = Instant::now();
        by_the_ledger(&scene).await;
        engine.push(EVENTS as f64 / began.elapsed().as_secs_f64());
        let began = Instant::now();
        by_hand(&scene).await.unwrap();
        bare.push(EVENTS as f64 / began.elapsed().as_secs_f64());
    }
    let (done,): (i64,) =
        on!(&scene.db, pool => sqlx::query_as("SELECT COUNT(*) FROM runs WHERE state = 'done'").fetch_one(pool).await)
            .unwrap();
    assert_eq!(done, 2 * EVENTS * REPEATS as i64);
    scene.db.close().await;
    (engine, bare)
}

/// A partition that is ours, with a source and an AREA.
async fn set(install: &Install) -> Scene {
    let area = json!({
        "name": "Bench",
        "action": {"service": "webhook", "name": "received", "data": {"verify": {"kind": "none"}}},
        "reactions": [{"service": "log", "name": "write", "data": {"text": "x"}}]
    });
    seed::fill(install, &area, 1, 1).await;
    let db = install.db().await;
    let own = "UPDATE leases SET node = 1, epoch = 1 WHERE part = $1";
    on_write!(&db, pool => sqlx::query(own).bind(PART).execute(pool).await.map(drop)).unwrap();
    let (area, source) =
        on!(&db, pool => sqlx::query_as("SELECT MIN(no), MIN(source_id) FROM areas").fetch_one(pool).await).unwrap();
    Scene { db, area, source, next: AtomicI64::new(FIRST) }
}

async fn by_the_ledger(scene: &Arc<Scene>) {
    let (ledger, _writer) = Ledger::start(scene.db.clone());
    let tasks = (0..AT_ONCE).map(|_| {
        let (ledger, scene) = (ledger.clone(), Arc::clone(scene));
        tokio::spawn(async move {
            for _ in 0..EVENTS / AT_ONCE {
                let (born, ended) = units(&scene, scene.next.fetch_add(1, Ordering::Relaxed));
                ledger.commit(born).await.unwrap();
                ledger.commit(ended).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// The birth of a run with its event, and its outcome.
fn units(scene: &Scene, id: i64) -> (Unit, Unit) {
    let proof = Some(Proof { part: PART, epoch: 1 });
    let event = NewEvent {
        id: EventId(id),
        source: scene.source,
        key: format!("k{id}"),
        body: BODY.to_owned(),
        at: None,
        fresh: false,
        undecided: None,
        mark: None,
        only_area: None,
        depth: 0,
    };
    let run = NewRun {
        id: RunId(id),
        area: scene.area,
        event: EventId(id),
        replay: 0,
        revision: 1,
        part: PART,
        state: RunState::Ready,
        reason: None,
        due_at: id,
        ended_at: None,
        detail: None,
    };
    let update = RunUpdate {
        id: RunId(id),
        state: RunState::Done,
        reason: None,
        due_at: id,
        ended_at: Some(id),
        detail: Some(DETAIL.to_owned()),
    };
    let standing = vec![(scene.area, 1)];
    let born = Unit { proof, standing, events: vec![event], runs: vec![run], ..Unit::default() };
    (born, Unit { proof, updates: vec![update], ..Unit::default() })
}

async fn by_hand(scene: &Scene) -> sqlx::Result<()> {
    let [events, runs, outcomes] = match scene.db {
        Db::Sqlite { .. } => BARE_SQLITE,
        Db::Postgres(_) => BARE_POSTGRES,
    };
    for _ in 0..EVENTS / AT_ONCE {
        let first = scene.next.fetch_add(AT_ONCE, Ordering::Relaxed);
        let ids = serde_json::to_string(&(first..first + AT_ONCE).collect::<Vec<_>>()).unwrap();
        let done: sqlx::Result<()> = in_tx!(&scene.db, tx => {
            sqlx::query(events).bind(&ids).bind(scene.source).bind(BODY).execute(&mut *tx).await?;
            sqlx::query(runs).bind(&ids).bind(scene.area).bind(first).execute(&mut *tx).await?;
            sqlx::query(outcomes).bind(&ids).bind(first).bind(DETAIL).execute(&mut *tx).await?;
            Ok(())
        });
        done?;
    }
    Ok(())
}
