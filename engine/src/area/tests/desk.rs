//! AREAs in the database, on both engines.

use serde_json::{Value, json};
use sqlx::FromRow;

use super::{START, area, desk, put, user, with};
use crate::area::{AreaError, Desk, Plan, source};
use crate::ids::{SourceId, UserId};
use crate::store::areas::{self, AreaRow, AreaState, Changed, Filter};
use crate::store::{Db, revisions};
use crate::testkit::databases;
use crate::{on, on_write};

#[derive(Debug, PartialEq, FromRow)]
struct Source {
    id: SourceId,
    part: i64,
    params: String,
    every_us: Option<i64>,
    cursor: Option<String>,
    version: i64,
}

async fn sources(db: &Db) -> Vec<Source> {
    let sql = "SELECT id, part, params, every_us, cursor, version FROM sources ORDER BY id";
    on!(db, pool => sqlx::query_as(sql).fetch_all(pool).await).unwrap()
}

/// As the engine would: the source was polled and the AREA has joined.
async fn joined(db: &Db, row: &AreaRow) {
    let sql = (
        "UPDATE sources SET cursor = '\"c\"', version = version + 1 WHERE id = $1",
        "UPDATE areas SET joined_at = 7, silent_at = 8 WHERE no = $1",
    );
    on_write!(db, pool => sqlx::query(sql.0).bind(row.source_id).execute(pool).await.map(drop)).unwrap();
    on_write!(db, pool => sqlx::query(sql.1).bind(row.no).execute(pool).await.map(drop)).unwrap();
}

async fn made(desk: &Desk, user: UserId, json: Value) -> AreaRow {
    desk.create(user, &json, false).await.unwrap().area
}

fn every(span: &str) -> Value {
    with("/action/every", json!(span))
}

fn hook() -> Value {
    with("/action", json!({"service": "http", "name": "received", "data": {"url": "https://example.com"}}))
}

#[tokio::test]
async fn areas_on_one_feed_share_a_source_that_is_asked_as_often_as_the_keenest_wants() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let bob = user(&t, "bob@example.org").await;
        let slow = made(&desk, ann, every("10m")).await;
        let fast = made(&desk, ann, put(every("30s"), "/action/data/size", json!(3))).await;
        let other = made(&desk, bob, every("5s")).await;
        assert_eq!(slow.source_id, fast.source_id, "{}: the size is no part of what is fetched", t.label);
        assert_ne!(slow.source_id, other.source_id, "{}: never shared between users", t.label);
        let of = async || sources(&t.db).await.into_iter().find(|s| s.id == slow.source_id).unwrap();
        assert_eq!(of().await.every_us, Some(30_000_000), "{}", t.label);
        joined(&t.db, &slow).await;

        let paused = desk.pause(ann, fast.id, None).await.unwrap();
        assert_eq!(paused.sources[0].source, slow.source_id);
        assert_eq!((paused.area.state, paused.area.version), (AreaState::Paused, 2), "{}", t.label);
        assert_eq!((of().await.every_us, of().await.cursor), (Some(600_000_000), Some("\"c\"".into())), "{}", t.label);
        let before = of().await.version;
        desk.delete(ann, slow.id, None).await.unwrap();
        assert_eq!((of().await.every_us, of().await.cursor), (None, None), "{}: nobody watches", t.label);
        assert_eq!(of().await.version, before + 1, "{}: a poll under way loses", t.label);
        desk.resume(ann, fast.id, None).await.unwrap();
        assert_eq!(of().await.every_us, Some(30_000_000), "{}", t.label);
    }
}

#[tokio::test]
async fn an_edit_is_a_revision_and_an_edit_that_changes_nothing_is_none() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let row = made(&desk, ann, area()).await;
        assert_eq!((row.revision, row.version, row.joined_at), (1, 1, None), "{}", t.label);
        let same = desk.replace(ann, row.id, &area(), Some(1)).await.unwrap();
        assert_eq!((same.area.revision, same.area.version, same.sources.len()), (1, 1, 0), "{}", t.label);
        let patched = desk.patch(ann, row.id, &json!({"name": "Newer"}), Some(1)).await.unwrap().area;
        assert_eq!((patched.revision, patched.version, patched.name.as_str()), (2, 2, "Newer"), "{}", t.label);
        let stale = desk.patch(ann, row.id, &json!({"name": "Newest"}), Some(1)).await;
        assert!(matches!(stale, Err(AreaError::Stale(2))), "{}", t.label);
        let back = desk.rollback(ann, row.id, 1, None).await.unwrap().area;
        assert_eq!((back.revision, back.name.as_str()), (3, "News"), "{}", t.label);
        assert!(matches!(desk.rollback(ann, row.id, 9, None).await, Err(AreaError::NotFound)), "{}", t.label);
        let heads = revisions::list(&t.db, ann, row.id, None, 2).await.unwrap();
        assert_eq!(heads.iter().map(|h| h.revision).collect::<Vec<_>>(), [3, 2], "{}", t.label);
        let rest = revisions::list(&t.db, ann, row.id, Some(2), 2).await.unwrap();
        assert_eq!(rest.iter().map(|h| h.revision).collect::<Vec<_>>(), [1], "{}", t.label);
        let pinned = revisions::body(&t.db, row.no, 2).await.unwrap().unwrap();
        assert!(pinned.contains("Newer"), "{}", t.label);
    }
}

#[tokio::test]
async fn what_it_watches_decides_whether_an_edit_is_a_new_join() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        for (edit, rejoins, moves) in [
            (with("/name", json!("Other")), false, false),
            (with("/reactions/0/data/text", json!("other")), false, false),
            (every("7m"), false, false),
            (with("/when", json!("event.a")), false, false),
            (with("/action/data/size", json!(4)), true, false),
            (with("/action/data/url", json!("https://example.com/other")), true, true),
        ] {
            let row = made(&desk, ann, area()).await;
            joined(&t.db, &row).await;
            let Changed { area: new, sources } = desk.replace(ann, row.id, &edit, None).await.unwrap();
            assert_eq!(new.joined_at, if rejoins { None } else { Some(7) }, "{}: {edit}", t.label);
            assert_eq!(new.source_id != row.source_id, moves, "{}: {edit}", t.label);
            assert_eq!(sources.len(), if moves { 2 } else { 1 }, "{}: {edit}", t.label);
            desk.delete(ann, row.id, None).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_users_pause_joins_anew_and_a_faults_pause_catches_up() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let row = made(&desk, ann, area()).await;
        joined(&t.db, &row).await;
        let fault = "UPDATE areas SET state = 'faulted', reason = 'why', mark = 5, failures = 3, failing_at = 4, \
                     version = version + 1 WHERE no = $1";
        on_write!(&t.db, pool => sqlx::query(fault).bind(row.no).execute(pool).await.map(drop)).unwrap();
        assert_eq!(sources(&t.db).await[0].every_us, Some(60_000_000), "{}: still asked", t.label);
        let up = desk.resume(ann, row.id, None).await.unwrap().area;
        assert_eq!(
            (up.state, up.reason.as_deref(), up.joined_at, up.mark),
            (AreaState::Active, None, Some(7), Some(5)),
            "{}",
            t.label
        );
        assert_eq!((up.failures, up.failing_at), (0, None), "{}", t.label);
        desk.pause(ann, row.id, None).await.unwrap();
        let up = desk.resume(ann, row.id, None).await.unwrap();
        assert_eq!((up.area.joined_at, up.area.mark), (None, None), "{}", t.label);
        let again = desk.resume(ann, row.id, Some(up.area.version)).await.unwrap();
        assert_eq!((again.area.version, again.sources.len()), (up.area.version, 0), "{}: nothing changes", t.label);
        assert!(matches!(desk.pause(ann, row.id, Some(1)).await, Err(AreaError::Stale(_))), "{}", t.label);
    }
}

#[tokio::test]
async fn hooks_have_a_source_each_native_events_one_a_user_and_both_are_joined_at_once() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let (one, two) = (made(&desk, ann, hook()).await, made(&desk, ann, hook()).await);
        assert_ne!(one.source_id, two.source_id, "{}", t.label);
        assert_eq!((one.joined_at, one.every_us), (Some(START), Some(source::NO_INTERVAL)), "{}", t.label);
        desk.clock.set(START + 1);
        let edit = put(hook(), "/action/data/verify", json!({"kind": "token", "token": "abc"}));
        let edited = desk.replace(ann, one.id, &edit, None).await.unwrap().area;
        assert_eq!((edited.source_id, edited.joined_at), (one.source_id, Some(START + 1)), "{}", t.label);
        let native =
            |name: &str| put(with("/action", json!({"service": "http", "name": "paused"})), "/name", json!(name));
        let (one, two) = (made(&desk, ann, native("a")).await, made(&desk, ann, native("b")).await);
        assert_eq!(one.source_id, two.source_id, "{}", t.label);
        let found = areas::by_hook(&t.db, one.id).await.unwrap().unwrap();
        assert_eq!(found.user_id, ann, "{}", t.label);
    }
}

#[tokio::test]
async fn secrets_are_sealed_in_every_row_and_kept_by_a_patch() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let secret = with("/action/data/headers", json!({"authorization": "hunter2"}));
        let row = made(&desk, ann, secret.clone()).await;
        let stored = sources(&t.db).await.remove(0);
        assert!(!row.body.contains("hunter2") && !stored.params.contains("hunter2"), "{}", t.label);
        let params = source::open_params(stored.id, &stored.params, &desk.ring).unwrap();
        assert_eq!(params["headers"]["authorization"], "hunter2", "{}", t.label);
        assert!(source::open_params(SourceId(1), &stored.params, &desk.ring).is_err(), "{}", t.label);
        assert_eq!(Desk::shown(&row.body).unwrap()["action"]["data"]["headers"], json!({"$secret": true}));
        let same =
            desk.patch(ann, row.id, &json!({"action": {"data": {"headers": {"$secret": true}}}}), None).await.unwrap();
        assert_eq!(same.area.revision, 1, "{}", t.label);
        let patched = desk.patch(ann, row.id, &json!({"name": "b"}), None).await.unwrap().area;
        assert_eq!((patched.revision, patched.source_id), (2, row.source_id), "{}", t.label);
        let plan = Plan::compile(&patched, desk.services, &desk.ring).unwrap();
        assert_eq!(plan.data["headers"]["authorization"], "hunter2", "{}", t.label);
        let revision = revisions::get(&t.db, ann, row.id, 1).await.unwrap().unwrap();
        assert!(!revision.body.contains("hunter2"), "{}", t.label);
        let evil = json!({"action": {"data": {"url": "https://evil.example/"}}});
        let Err(AreaError::Invalid(wrong)) = desk.patch(ann, row.id, &evil, None).await else { panic!("{}", t.label) };
        assert_eq!(wrong[0].pointer, "/action/data/headers", "{}", t.label);
    }
}

#[tokio::test]
async fn another_users_area_is_not_there() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let bob = user(&t, "bob@example.org").await;
        let row = made(&desk, ann, area()).await;
        assert!(matches!(desk.get(bob, row.id).await, Err(AreaError::NotFound)), "{}", t.label);
        assert!(matches!(desk.replace(bob, row.id, &area(), None).await, Err(AreaError::NotFound)), "{}", t.label);
        assert!(matches!(desk.pause(bob, row.id, None).await, Err(AreaError::NotFound)), "{}", t.label);
        assert!(matches!(desk.delete(bob, row.id, None).await, Err(AreaError::NotFound)), "{}", t.label);
        assert!(revisions::list(&t.db, bob, row.id, None, 9).await.unwrap().is_empty(), "{}", t.label);
        assert!(areas::list(&t.db, bob, None, 9, &Filter::default()).await.unwrap().is_empty(), "{}", t.label);
        assert!(desk.get(ann, row.id).await.is_ok(), "{}", t.label);
    }
}

#[tokio::test]
async fn an_account_must_be_the_users_own_and_of_the_right_provider() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let bob = user(&t, "bob@example.org").await;
        let sql = "INSERT INTO next_auth_accounts (id, type, provider, \"providerAccountId\", \"userId\") VALUES ($1, 'oauth', $2, $3, $4)";
        for (owner, provider, fine) in [(ann, "google", true), (ann, "spotify", false), (bob, "google", false)] {
            let id = crate::ids::AccountId::new();
            on_write!(&t.db, pool => {
                sqlx::query(sql).bind(id).bind(provider).bind(id.to_string()).bind(owner).execute(pool).await.map(drop)
            })
            .unwrap();
            let mail = with("/action", json!({"service": "post", "name": "mailed", "account": id}));
            match desk.create(ann, &mail, false).await {
                Ok(_) => assert!(fine, "{}", t.label),
                Err(AreaError::Invalid(wrong)) => {
                    assert!(!fine && wrong[0].pointer == "/action/account", "{}", t.label)
                }
                Err(error) => panic!("{}: {error}", t.label),
            }
        }
    }
}

#[tokio::test]
async fn which_accounts_an_area_names_is_written_down_with_every_edit() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let add = "INSERT INTO next_auth_accounts (id, type, provider, \"providerAccountId\", \"userId\") VALUES ($1, 'oauth', 'google', $2, $3)";
        let (one, two) = (crate::ids::AccountId::new(), crate::ids::AccountId::new());
        for id in [one, two] {
            on_write!(&t.db, pool => sqlx::query(add).bind(id).bind(id.to_string()).bind(ann).execute(pool).await.map(drop))
                .unwrap();
        }
        let listed = async || {
            let sql = "SELECT account_id FROM area_accounts ORDER BY account_id";
            on!(&t.db, pool => sqlx::query_scalar::<_, crate::ids::AccountId>(sql).fetch_all(pool).await).unwrap()
        };
        let mail = |id| with("/action", json!({"service": "post", "name": "mailed", "account": id}));
        let twice = |a, b| {
            put(
                mail(a),
                "/reactions/0",
                json!({"service": "post", "name": "write", "data": {"text": "a"}, "account": b}),
            )
        };
        let row = made(&desk, ann, twice(one, one)).await;
        assert_eq!(listed().await, [one], "{}", t.label);
        desk.replace(ann, row.id, &twice(one, two), None).await.unwrap();
        assert_eq!(listed().await, [one, two], "{}", t.label);
        desk.replace(ann, row.id, &mail(two), None).await.unwrap();
        assert_eq!(listed().await, [two], "{}", t.label);
        desk.delete(ann, row.id, None).await.unwrap();
        assert_eq!(listed().await, [], "{}", t.label);
    }
}

#[tokio::test]
async fn lists_page_newest_first_and_filter() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        for name in ["100% a", "b", "B_2", "hook"] {
            made(&desk, ann, put(if name == "hook" { hook() } else { area() }, "/name", json!(name))).await;
        }
        let names = async |before, limit, filter: Filter| {
            let rows = areas::list(&t.db, ann, before, limit, &filter).await.unwrap();
            (rows.iter().map(|r| r.name.clone()).collect::<Vec<_>>(), rows.last().map(|r| r.no))
        };
        let (first, last) = names(None, 3, Filter::default()).await;
        assert_eq!(first, ["hook", "B_2", "b"], "{}", t.label);
        assert_eq!(names(last, 3, Filter::default()).await.0, ["100% a"], "{}", t.label);
        let called = |name: &str| Filter { name: Some(name.into()), ..Filter::default() };
        for (part, want) in [("b", vec!["B_2", "b"]), ("_", vec!["B_2"]), ("%", vec!["100% a"]), ("\\", vec![])] {
            assert_eq!(names(None, 9, called(part)).await.0, want, "{} {part}", t.label);
        }
        let paused = Filter { state: Some(AreaState::Paused), ..Filter::default() };
        assert!(names(None, 9, paused).await.0.is_empty(), "{}", t.label);
        let of = |service: &str| Filter { service: Some(service.into()), ..Filter::default() };
        assert_eq!(names(None, 9, of("http")).await.0.len(), 4, "{}", t.label);
        assert!(names(None, 9, of("post")).await.0.is_empty(), "{}", t.label);
    }
}

#[tokio::test]
async fn changes_at_the_same_time_are_all_made() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let row = made(&desk, ann, area()).await;
        let urls = ["https://a.example/", "https://b.example/", "https://a.example/", "https://c.example/"];
        let edits = urls.into_iter().enumerate().map(|(n, url)| {
            let json = put(put(area(), "/action/data/url", json!(url)), "/name", json!(format!("n{n}")));
            let desk = desk.clone();
            tokio::spawn(async move { desk.replace(ann, row.id, &json, None).await })
        });
        let edits: Vec<_> = edits.collect();
        for edit in edits {
            edit.await.unwrap().unwrap();
        }
        let now = desk.get(ann, row.id).await.unwrap();
        assert_eq!((now.revision, now.version), (5, 5), "{}", t.label);
        let watched: Vec<_> = sources(&t.db).await.into_iter().filter(|s| s.every_us.is_some()).map(|s| s.id).collect();
        assert_eq!(watched, [now.source_id], "{}", t.label);
    }
}

#[tokio::test]
async fn deleting_ends_open_runs() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let row = made(&desk, ann, area()).await;
        let add = "INSERT INTO runs (id, area_no, event_id, revision, part, state, due_at) VALUES (1, $1, 1, 1, 0, 'waiting', 5)";
        on_write!(&t.db, pool => sqlx::query(add).bind(row.no).execute(pool).await.map(drop)).unwrap();
        desk.delete(ann, row.id, None).await.unwrap();
        let run: (String, Option<i64>) =
            on!(&t.db, pool => sqlx::query_as("SELECT state, ended_at FROM runs").fetch_one(pool).await).unwrap();
        assert_eq!(run, ("cancelled".into(), Some(START)), "{}", t.label);
        assert!(revisions::body(&t.db, row.no, 1).await.unwrap().is_none(), "{}", t.label);
    }
}

#[tokio::test]
async fn a_plan_is_what_the_document_says_with_defaults() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let mut json = with("/action/data/verify", json!({"kind": "token", "token": "abc"}));
        json["when"] = json!("event.a");
        json["reactions"][0]["for_each"] = json!("event.list");
        let row = made(&desk, ann, json).await;
        let plan = Plan::compile(&row, desk.services, &desk.ring).unwrap();
        assert_eq!(
            plan.data,
            json!({"url": "https://example.com/feed", "items": "", "headers": {}, "size": 10,
            "verify": {"kind": "token", "token": "abc", "header": "x-token"}}),
            "{}",
            t.label
        );
        assert_eq!((plan.steps[0].id.as_str(), plan.steps[0].for_each.is_some()), ("step1", true));
        let watch = plan.source();
        assert_eq!((watch.feed.name, watch.interval), ("items", Some(std::time::Duration::from_secs(60))));
        assert!(plan.when.is_some() && plan.when_text.as_deref() == Some("event.a"));
        assert!(!format!("{plan:?} {row:?}").contains("abc"));
    }
}

#[tokio::test]
async fn silence_is_counted_from_the_join_and_from_a_change_of_the_policy() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let silent = |span: &str| with("/policy", json!({"silence": span}));
        let row = made(&desk, ann, silent("1h")).await;
        assert_eq!(row.silent_at, Some(START + 3_600_000_000), "{}", t.label);
        joined(&t.db, &row).await;
        desk.clock.set(START + 5);
        let named = desk.replace(ann, row.id, &put(silent("1h"), "/name", json!("b")), None).await.unwrap().area;
        assert_eq!(named.silent_at, Some(8), "{}: untouched", t.label);
        let longer = desk.replace(ann, row.id, &silent("2h"), None).await.unwrap().area;
        assert_eq!(longer.silent_at, Some(START + 5 + 7_200_000_000), "{}", t.label);
        assert_eq!(desk.pause(ann, row.id, None).await.unwrap().area.silent_at, None, "{}", t.label);
        desk.clock.set(START + 6);
        let up = desk.resume(ann, row.id, None).await.unwrap().area;
        assert_eq!(up.silent_at, Some(START + 6 + 7_200_000_000), "{}", t.label);
        let none = desk.patch(ann, row.id, &json!({"policy": null}), None).await.unwrap().area;
        assert_eq!(none.silent_at, None, "{}", t.label);
    }
}

#[tokio::test]
async fn a_request_that_is_taken_up_again_finds_what_it_made() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let id = crate::ids::AreaId::new();
        let first = desk.create_as(ann, id, &area(), false).await.unwrap();
        let again = desk.create_as(ann, id, &area(), false).await.unwrap();
        assert_eq!((again.area.no, again.sources.len()), (first.area.no, 0), "{}", t.label);
        assert_eq!(areas::list(&t.db, ann, None, 9, &Filter::default()).await.unwrap().len(), 1, "{}", t.label);
    }
}

#[tokio::test]
async fn an_area_whose_key_is_lost_is_mended_by_sending_its_secrets_again() {
    for t in databases().await {
        let (mut desk, ann) = desk(&t).await;
        let secret = with("/action/data/headers", json!({"authorization": "hunter2"}));
        let row = made(&desk, ann, secret.clone()).await;
        desk.ring = crate::vault::KeyRing::generate().unwrap();
        let Err(AreaError::Invalid(wrong)) = desk.patch(ann, row.id, &json!({"name": "b"}), None).await else {
            panic!("{}", t.label)
        };
        assert_eq!(wrong[0].pointer, "/action/data/headers", "{}", t.label);
        assert!(desk.pause(ann, row.id, None).await.is_ok(), "{}", t.label);
        let Err(AreaError::Invalid(wrong)) = desk.resume(ann, row.id, None).await else { panic!("{}", t.label) };
        assert_eq!(wrong[0].pointer, "/action/data/headers", "{}", t.label);
        desk.replace(ann, row.id, &secret, None).await.unwrap();
        assert_eq!(desk.resume(ann, row.id, None).await.unwrap().area.state, AreaState::Active, "{}", t.label);
    }
}

#[tokio::test]
async fn a_patch_is_told_in_its_writers_spelling() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let row = made(&desk, ann, area()).await;
        let patch = json!({"reaction": {"service": "http", "name": "write", "data": {}}});
        let Err(AreaError::Invalid(wrong)) = desk.patch(ann, row.id, &patch, None).await else { panic!("{}", t.label) };
        assert_eq!(wrong[0].pointer, "/reaction/data/text", "{}", t.label);
    }
}

#[tokio::test]
async fn a_suspended_users_areas_pause_with_that_reason_and_fire_again_with_their_user() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let (fires, own, faulted) =
            (made(&desk, ann, area()).await, made(&desk, ann, area()).await, made(&desk, ann, area()).await);
        desk.pause(ann, own.id, None).await.unwrap();
        let fault = "UPDATE areas SET state = 'faulted', reason = 'no token', version = version + 1 WHERE no = $1";
        on_write!(&t.db, pool => sqlx::query(fault).bind(faulted.no).execute(pool).await.map(drop)).unwrap();
        let stand = async || {
            let mut all = Vec::new();
            for id in [fires.id, own.id, faulted.id] {
                let row = desk.get(ann, id).await.unwrap();
                all.push((row.state, row.reason));
            }
            all
        };
        let paused = |why: &str| (AreaState::Paused, Some(why.to_owned()));
        assert_eq!(desk.suspend(ann).await.unwrap().len(), 2, "{}", t.label);
        let held = "its user is suspended; before that: no token";
        assert_eq!(
            stand().await,
            [paused("its user is suspended"), (AreaState::Paused, None), paused(held)],
            "{}",
            t.label
        );
        assert!(sources(&t.db).await.iter().all(|s| s.every_us.is_none()), "{}: nothing is polled", t.label);
        assert!(desk.suspend(ann).await.unwrap().is_empty(), "{}: once is enough", t.label);
        assert_eq!(desk.let_in(ann).await.unwrap().len(), 1, "{}", t.label);
        assert_eq!(stand().await, [(AreaState::Active, None), (AreaState::Paused, None), paused(held)], "{}", t.label);
    }
}
