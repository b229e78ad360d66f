//! AREAs as code: decided as data, carried out by name.

use serde_json::{Value, json};

use super::{area, desk, put, user};
use crate::area::{ApplyError, Desk};
use crate::ids::UserId;
use crate::store::areas::{self, Filter};
use crate::testkit::databases;

fn named(name: &str) -> Value {
    put(area(), "/name", json!(name))
}

/// What would be done, as `name: change` and the paths that differ.
async fn planned(desk: &Desk, user: UserId, documents: &[Value], prune: bool) -> Vec<String> {
    let steps = desk.plan_apply(user, documents, prune).await.unwrap();
    let told = |step: &crate::area::ApplyStep| {
        let what = serde_json::to_value(&step.what).unwrap();
        let paths =
            what["diff"].as_array().into_iter().flatten().map(|op| format!(" {}", op["path"].as_str().unwrap()));
        format!("{}: {}{}", step.name, what["change"].as_str().unwrap(), paths.collect::<String>())
    };
    steps.iter().map(told).collect()
}

async fn apply(desk: &Desk, user: UserId, documents: &[Value], prune: bool) -> usize {
    let steps = desk.plan_apply(user, documents, prune).await.unwrap();
    let mut last = 0;
    desk.carry_out(user, &steps, true, |done| last = done).await.unwrap();
    assert_eq!(last, steps.len(), "progress ends at the end");
    steps.len()
}

async fn names(desk: &Desk, user: UserId) -> Vec<String> {
    let all = areas::list(&desk.db, user, None, 5000, &Filter::default()).await.unwrap();
    let mut names: Vec<String> = all.into_iter().map(|row| row.name).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_is_new_is_created_what_differs_is_edited_and_the_rest_left_alone() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let first = [named("a"), named("b")];
        assert_eq!(planned(&desk, ann, &first, false).await, ["a: create", "b: create"], "{}", t.label);
        assert_eq!(names(&desk, ann).await, [""; 0], "deciding changes nothing");
        apply(&desk, ann, &first, false).await;
        let edited = put(named("b"), "/action/data/size", json!(7));
        let second = [named("a"), edited, named("c")];
        let want = ["a: same", "b: update /action/data/size", "c: create"];
        assert_eq!(planned(&desk, ann, &second, false).await, want, "{}", t.label);
        apply(&desk, ann, &second, false).await;
        assert_eq!(planned(&desk, ann, &second, false).await, ["a: same", "b: same", "c: same"], "{}", t.label);
        let rows = areas::list(&t.db, ann, None, 10, &Filter::default()).await.unwrap();
        let revision = |name: &str| rows.iter().find(|row| row.name == name).unwrap().revision;
        assert_eq!((revision("a"), revision("b"), revision("c")), (1, 2, 1), "{}", t.label);
    }
}

#[tokio::test]
async fn prune_takes_away_only_what_apply_made_and_only_of_this_owner() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let bob = user(&t, "bob@example.org").await;
        desk.create(ann, &named("by hand"), false).await.unwrap();
        apply(&desk, ann, &[named("a"), named("b")], false).await;
        apply(&desk, bob, &[named("a")], false).await;
        assert_eq!(planned(&desk, ann, &[named("b")], true).await, ["b: same", "a: delete"], "{}", t.label);
        assert_eq!(planned(&desk, ann, &[named("b")], false).await, ["b: same"], "{}", t.label);
        apply(&desk, ann, &[named("b")], true).await;
        assert_eq!(names(&desk, ann).await, ["b", "by hand"], "{}", t.label);
        assert_eq!(names(&desk, bob).await, ["a"], "{}", t.label);
    }
}

#[tokio::test]
async fn one_wrong_document_stops_all_and_everything_wrong_is_told() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        for name in ["twin", "twin"] {
            desk.create(ann, &named(name), false).await.unwrap();
        }
        let wrong = put(named("wrong"), "/when", json!("1 +"));
        let all = [named("good"), wrong, named("good"), json!({}), named("twin")];
        let Err(ApplyError::Invalid(told)) = desk.plan_apply(ann, &all, true).await else { panic!("{}", t.label) };
        let told: Vec<(usize, &str)> = told.iter().map(|(i, wrong)| (*i, wrong[0].pointer.as_str())).collect();
        assert_eq!(told[0], (1, "/when"), "{}", t.label);
        assert_eq!((told[1], told[2].0, told[3]), ((2, "/name"), 3, (4, "/name")), "{}", t.label);
        assert_eq!(names(&desk, ann).await, ["twin", "twin"], "{}", t.label);
    }
}

#[tokio::test]
async fn a_secret_that_changes_is_an_update_that_does_not_show_it() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let secret = |value: &str| put(named("a"), "/action/data/headers", json!({"authorization": value}));
        apply(&desk, ann, &[secret("hunter2")], false).await;
        assert_eq!(planned(&desk, ann, &[secret("hunter2")], false).await, ["a: same"], "{}", t.label);
        let steps = desk.plan_apply(ann, &[secret("hunter3")], false).await.unwrap();
        let told = serde_json::to_string(&steps[0].what).unwrap();
        assert!(told.contains("/action/data/headers") && !told.contains("hunter"), "{}: {told}", t.label);
    }
}

#[tokio::test]
async fn thousands_are_stored_in_batches_and_share_their_sources() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let url = |i: u32| json!(format!("https://example.com/{}", i % 10));
        let all: Vec<Value> = (0..1200).map(|i| put(named(&format!("{i}")), "/action/data/url", url(i))).collect();
        assert_eq!(apply(&desk, ann, &all, false).await, 1200);
        assert_eq!(names(&desk, ann).await.len(), 1200, "{}", t.label);
        let sql = "SELECT COUNT(*) FROM sources WHERE every_us IS NOT NULL";
        let sources: i64 = crate::on!(&t.db, pool => sqlx::query_scalar(sql).fetch_one(pool).await).unwrap();
        assert_eq!(sources, 10, "{}", t.label);
    }
}
