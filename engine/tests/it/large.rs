//! What is large is read where an AREA uses it, and nowhere else; who wants it afterwards is told.

use std::time::Duration;

use engine::again::{self, At, From};
use engine::history;
use engine::ids::AreaId;
use engine::rehearse;
use engine::testkit::databases;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::scripted::world;
use crate::stage::{Stage, area};

const UNREAD: &str = "the event has no `whole`: it was read when no AREA used that, and what comes from now on has it";

fn item(id: i64) -> Value {
    json!({"id": id, "kind": "k", "text": format!("t{id}"), "whole": format!("w{id}")})
}

/// An AREA whose reaction sends this.
fn sending(world: &str, text: &str) -> Value {
    let mut area = area(world, json!({}));
    area["reactions"][0]["data"]["text"] = json!(text);
    area
}

async fn edit(stage: &Stage, id: AreaId, document: &Value) {
    let changed = stage.engine.desk().replace(stage.user, id, document, None).await.unwrap();
    stage.engine.changed(&changed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_large_is_read_while_an_area_uses_it() {
    for test in databases().await {
        let name = format!("large-{}", test.label);
        let stage = Stage::set(&test.db).await;
        let lean = stage.create(sending(&name, "{{ event.text }}")).await;
        stage.joined(lean).await;
        world(&name, |w| w.items.push(item(1)));
        stage.received(&name, 1).await;
        let whole = stage.create(sending(&name, "{{ event.whole }}")).await;
        stage.joined(whole).await;
        world(&name, |w| w.items.push(item(2)));
        let got = stage.received(&name, 3).await;
        let mut texts: Vec<&str> = got.iter().map(|(_, params)| params["text"].as_str().unwrap()).collect();
        texts.sort_unstable();
        assert_eq!(texts, ["t1", "t2", "w2"], "{name}");
        let paused = stage.engine.desk().pause(stage.user, whole, None).await.unwrap();
        stage.engine.changed(&paused).await;
        world(&name, |w| w.items.push(item(3)));
        stage.received(&name, 4).await;
        let wanted = world(&name, |w| w.wanted.clone());
        assert_eq!((wanted.first(), wanted.last()), (Some(&false), Some(&false)), "{name}: {wanted:?}");
        assert!(wanted.contains(&true), "{name}: {wanted:?}");
        let source = stage.engine.desk().get(stage.user, lean).await.unwrap().source_id;
        let events = history::events_of(&test.db, stage.user, source, None, 10).await.unwrap();
        let has: Vec<bool> = events.iter().rev().map(|event| event.body.contains("\"whole\"")).collect();
        assert_eq!(has, [false, true, false], "{name}");
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_begins_to_use_it_while_a_poll_reads_is_read_for_again() {
    for test in databases().await {
        let name = format!("large-soon-{}", test.label);
        let stage = Stage::set(&test.db).await;
        let id = stage.create(sending(&name, "{{ event.text }}")).await;
        stage.joined(id).await;
        let (open, slow) = watch::channel(false);
        world(&name, |w| {
            w.slow = Some(slow);
            w.items.push(item(1));
        });
        stage.until("it reads", async || world(&name, |w| w.slow.is_none())).await;
        edit(&stage, id, &sending(&name, "{{ event.whole }}")).await;
        open.send_replace(true);
        let got = stage.received(&name, 1).await;
        let wanted = world(&name, |w| w.wanted.clone());
        assert_eq!((&got[0].1["text"], &wanted[..2]), (&json!("w1"), &[false, true][..]), "{name}");
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_what_was_not_read_is_told() {
    for test in databases().await {
        let name = format!("large-late-{}", test.label);
        let stage = Stage::set(&test.db).await;
        let id = stage.create(sending(&name, "{{ event.text }}")).await;
        stage.joined(id).await;
        world(&name, |w| w.items.push(item(1)));
        stage.received(&name, 1).await;
        let runs = async || history::runs(&test.db, stage.user, id, None, None, 10).await.unwrap();
        stage.until("it ended", async || runs().await.iter().all(|run| run.ended_at.is_some())).await;

        let row = stage.engine.desk().get(stage.user, id).await.unwrap();
        let mut judging = sending(&name, "{{ event.text }}");
        judging["when"] = json!("'w' in event['whole']");
        let plan = stage.engine.desk().planned(&row, &judging).await.unwrap();
        let found = rehearse::backtest(&stage.engine, stage.user, &row, &plan, 10).await.unwrap();
        let why = found.differences[0].why.as_deref().unwrap();
        assert_eq!(why, format!("`'w' in event['whole']` cannot be judged: {UNREAD}"), "{name}");

        edit(&stage, id, &sending(&name, "{{ event.whole }}")).await;
        let run = runs().await[0].id;
        let again = again::replay(&stage.engine, stage.user, run, From::Start, At::Current).await.unwrap();
        stage.until("it failed", async || runs().await.iter().any(|run| run.state == "failed")).await;
        let failed = history::run(&test.db, stage.user, again).await.unwrap().unwrap();
        assert!(failed.reason.as_deref().is_some_and(|why| why.contains(UNREAD)), "{name}: {:?}", failed.reason);
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_catches_up_on_what_lacks_it_leaves_that_out_and_says_so() {
    for test in databases().await {
        let name = format!("large-back-{}", test.label);
        let stage = Stage::set(&test.db).await;
        let lean = stage.create(sending(&name, "{{ event.text }}")).await;
        stage.joined(lean).await;
        world(&name, |w| w.items.extend([item(1), item(2)]));
        stage.received(&name, 2).await;
        let mut back = sending(&name, "{{ event.whole }}");
        back["action"]["backfill"] = json!(true);
        back["when"] = json!("event.id != 1 or 'w' in event.whole");
        let back = stage.create(back).await;
        stage.until("all is told", async || stage.why(back).await["events"][0]["verdict"] == "dropped").await;
        for event in stage.why(back).await["events"].as_array().unwrap() {
            assert_eq!((&event["verdict"], &event["why"]), (&json!("dropped"), &json!(UNREAD)), "{name}");
        }
        world(&name, |w| w.items.push(item(3)));
        let got = stage.received(&name, 4).await;
        assert!(got.iter().any(|(_, params)| params["text"] == "w3"), "{name}: {got:?}");
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_use_it_counts() {
    let test = &databases().await[0];
    let stage = Stage::set(&test.db).await;
    let base = sending("large-ways", "{{ event.text }}");
    let id = stage.create(base.clone()).await;
    let row = stage.engine.desk().get(stage.user, id).await.unwrap();
    let wants = async |patch: Value| {
        let mut document = base.clone();
        engine::area::document::merge_patch(&mut document, &patch);
        stage.engine.desk().planned(&row, &document).await.unwrap().wants_large
    };
    let step = |more: Value| {
        let mut step = base["reactions"][0].clone();
        engine::area::document::merge_patch(&mut step, &more);
        json!({ "reactions": [step] })
    };
    for small in [
        json!({}),
        json!({"when": "event.kind == 'k' and event.wholesome is defined"}),
        step(json!({"data": {"text": "{{ event['text'] }} {{ steps }}", "more": [{"x": "{{ event.kind | upper }}"}]}})),
        step(json!({"for_each": "[event.text]", "data": {"text": "{{ item }}"}})),
    ] {
        assert!(!wants(small.clone()).await, "{small}");
    }
    for large in [
        json!({"when": "event.whole"}),
        json!({"when": "event.kind == 'k' or 'x' in event['whole']"}),
        json!({"when": "event[event.kind] == 'x'"}),
        json!({"policy": {"digest": {"every": "1h"}}}),
        step(json!({"when": "event.whole is defined"})),
        step(json!({"for_each": "event.whole | split(' ')"})),
        step(json!({"for_each": "[event]", "data": {"text": "{{ item.whole }}"}})),
        step(json!({"data": {"text": "{{ event }}"}})),
        step(json!({"data": {"more": {"list": ["a", "{{ event.text }} {{ event.whole.x | default('-') }}"]}}})),
    ] {
        assert!(wants(large.clone()).await, "{large}");
    }
    stage.engine.stop(Duration::from_secs(5)).await;
}
