//! The whole path on both engines: an AREA joins, an item comes, its run fires once, whatever is stopped and started.

use std::sync::Arc;
use std::time::Duration;

use engine::again;
use engine::fault::Fault;
use engine::history;
use engine::hooks::{self, HookAnswer, Request};
use engine::ids::{AreaId, UserId};
use engine::limits::Limits;
use engine::node::{Engine, Steps};
use engine::rehearse;
use engine::testkit::databases;
use serde_json::{Value, json};

use crate::scripted::world;
use crate::stage::{SECOND, Stage, area, item, parts, start};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_does_not_fire_and_what_comes_fires_once() {
    for test in databases().await {
        let name = format!("once-{}", test.label);
        let mut stage = Stage::set(&test.db).await;
        world(&name, |w| w.items = vec![item(1), item(2), item(3)]);
        let id = stage.create(area(&name, json!({}))).await;
        stage.joined(id).await;
        world(&name, |w| w.items.push(item(4)));
        stage.received(&name, 1).await;
        stage.restart().await;
        world(&name, |w| w.items.extend([item(5), item(6)]));
        let got = stage.received(&name, 3).await;
        let polls = world(&name, |w| w.polls);
        stage.until("another poll", async || world(&name, |w| w.polls) > polls).await;
        let texts: Vec<&str> = got.iter().map(|(_, p)| p["text"].as_str().unwrap()).collect();
        assert_eq!(texts, ["t4", "t5", "t6"], "{name}");
        assert_eq!(world(&name, |w| w.received.len()), 3, "{name}");
        let mut states = Vec::new();
        stage
            .until("all runs done", async || {
                let runs = history::runs(&test.db, stage.user, id, None, None, 10).await.unwrap();
                states = runs.iter().map(|r| r.state.clone()).collect();
                states == ["done", "done", "done"]
            })
            .await;
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_area_of_a_source_sees_its_events_by_its_own_data() {
    for test in databases().await {
        let name = format!("seen-{}", test.label);
        let stage = Stage::set(&test.db).await;
        let watch = |zone: &str, more: Value| {
            let mut area = area(&name, json!({"when": format!("event.seen_in == '{zone}'")}));
            area["action"]["data"]["zone"] = json!(zone);
            area["reactions"][0]["data"]["text"] = json!("{{ event }}");
            engine::area::document::merge_patch(&mut area, &more);
            area
        };
        let digest = json!({"policy": {"digest": {"every": "1h", "max": 1}}});
        for (zone, more) in [("a", json!({})), ("b", json!({})), ("c", digest)] {
            let id = stage.create(watch(zone, more)).await;
            stage.joined(id).await;
        }
        world(&name, |w| w.items.push(json!({"id": 1})));
        let got = stage.received(&name, 3).await;
        let mut seen: Vec<Value> = got.into_iter().map(|(_, params)| params["text"].clone()).collect();
        seen.sort_by_key(Value::to_string);
        let one = |zone: &str| json!({"id": 1, "seen_in": zone});
        assert_eq!(seen, [json!({"count": 1, "events": [one("c")]}), one("a"), one("b")], "{name}");
        let sources = "SELECT COUNT(*) FROM sources";
        let (count,): (i64,) = engine::on!(&test.db, pool => sqlx::query_as(sources).fetch_one(pool).await).unwrap();
        assert_eq!(count, 1, "{name}");
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_step_is_tried_again_with_the_same_key_and_what_succeeded_is_not() {
    for test in databases().await {
        let (name, second) = (format!("retry-{}", test.label), format!("retry2-{}", test.label));
        let mut stage = Stage::set(&test.db).await;
        let two = json!({"reactions": [
            {"id": "one", "service": "script", "name": "send", "data": {"world": name, "text": "{{ event.text }}"}},
            {"id": "two", "service": "script", "name": "send", "data": {"world": second, "text": "{{ steps.one.echo }}"}}
        ]});
        let id = stage.create(area(&name, two)).await;
        stage.joined(id).await;
        world(&second, |w| w.refusals = vec![Fault::later("503"), Fault::later("503")]);
        world(&name, |w| w.items.push(item(1)));
        stage.received(&second, 1).await;
        stage
            .until("waits", async || {
                let runs = history::runs(&test.db, stage.user, id, None, None, 10).await.unwrap();
                runs.first().is_some_and(|r| r.state == "waiting")
            })
            .await;
        stage.restart().await;
        for attempt in 2..=3 {
            stage.received(&second, attempt).await;
        }
        let calls = stage.received(&second, 3).await;
        assert!(calls.iter().all(|call| *call == calls[0]), "{name}: the same key and the same bytes, {calls:?}");
        assert_eq!(world(&name, |w| w.received.len()), 1, "{name}: the first step succeeded once");
        stage
            .until("done", async || {
                let runs = history::runs(&test.db, stage.user, id, None, None, 10).await.unwrap();
                runs.first().is_some_and(|r| r.state == "done")
            })
            .await;
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_back_waits_and_that_is_no_attempt() {
    for test in databases().await {
        let name = format!("held-{}", test.label);
        let stage = Stage::set(&test.db).await;
        let id = stage.create(area(&name, json!({"policy": {"retry": {"attempts": 1}}}))).await;
        stage.joined(id).await;
        let until = |seconds| stage.clock.now() + chrono::TimeDelta::seconds(seconds);
        world(&name, |w| {
            w.refusals = (1..=3).map(|n| Fault::Held { until: until(n * 60), why: "a quota".into() }).collect();
            w.items.push(item(1));
        });
        stage.received(&name, 1).await;
        let runs = async || history::runs(&test.db, stage.user, id, None, None, 10).await.unwrap();
        stage.until("it waits", async || runs().await[0].reason.as_deref() == Some("step `one`: a quota")).await;
        assert!(stage.why(id).await["events"][0]["why"].as_str().unwrap().contains("a quota"), "{name}");
        stage.received(&name, 4).await;
        stage.until("it is done", async || runs().await[0].state == "done").await;
        let attempts = runs().await[0].detail.as_deref().unwrap().matches("\"number\":").count();
        assert_eq!((attempts, world(&name, |w| w.repeated.clone())), (1, vec![false; 4]), "{name}");
        // Not for ever: three days after its birth it is an attempt, here the only one.
        world(&name, |w| {
            w.refusals = vec![Fault::Held { until: until(60), why: "a quota".into() }];
            w.refusals.extend(vec![Fault::Held { until: until(4 * 86_400), why: "a quota".into() }; 2]);
            w.items.push(item(2));
        });
        stage.received(&name, 6).await;
        stage.clock.set(stage.clock.micros() + 4 * 86_400 * SECOND);
        stage.until("it failed", async || runs().await[0].state == "failed").await;
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_told_whether_an_earlier_call_of_it_may_have_taken_effect() {
    for test in databases().await {
        let name = format!("repeated-{}", test.label);
        let mut stage = Stage::set(&test.db).await;
        let mut two = area(&name, json!({}));
        let mut second = two["reactions"][0].clone();
        second["id"] = json!("two");
        two["reactions"].as_array_mut().unwrap().push(second);
        let id = stage.create(two).await;
        stage.joined(id).await;
        world(&name, |w| {
            w.refusals.push(Fault::later("503"));
            w.items.push(item(1));
        });
        stage.received(&name, 3).await;
        // The daemon dies in the middle of a call.
        let (open, gate) = tokio::sync::watch::channel(false);
        world(&name, |w| {
            w.gate = Some(gate);
            w.items.push(item(2));
        });
        stage.received(&name, 4).await;
        stage.engine.stop(Duration::ZERO).await;
        stage.engine = start(&test.db, &stage.ring, &stage.clock).await;
        open.send_replace(true);
        stage.received(&name, 6).await;
        let repeated = world(&name, |w| w.repeated.clone());
        assert_eq!(repeated[..5], [false, true, false, false, true], "{name}");
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_of_a_list_that_fails_gives_nothing_and_the_next_ones_are_tried() {
    for test in databases().await {
        let name = format!("each-{}", test.label);
        let stage = Stage::set(&test.db).await;
        let send = |more: Value| {
            let mut step = json!({"service": "script", "name": "send", "data": {"world": name}});
            engine::area::document::merge_patch(&mut step, &more);
            step
        };
        let steps = json!([
            send(
                json!({"id": "each", "for_each": "event.parts", "on_error": "continue", "data": {"text": "{{ item }}"}})
            ),
            send(json!({"id": "last", "data": {"text": "{{ steps.each }}"}}))
        ]);
        let id = stage.create(area(&name, json!({"reactions": steps}))).await;
        stage.joined(id).await;
        let why = "bad item";
        world(&name, |w| {
            w.refusals = vec![Fault::rejected(why)];
            w.items.push(json!({"id": 1, "text": "t1", "parts": ["a", "b", "c"]}));
        });
        let got = stage.received(&name, 4).await;
        let texts: Vec<&Value> = got.iter().map(|(_, params)| &params["text"]).collect();
        let given = json!([null, {"echo": "b"}, {"echo": "c"}]);
        assert_eq!(texts, [&json!("a"), &json!("b"), &json!("c"), &given], "{name}");
        let mut run = None;
        stage
            .until("the run is done", async || {
                run = history::runs(&test.db, stage.user, id, None, None, 1).await.unwrap().pop();
                run.as_ref().is_some_and(|run| run.state == "done")
            })
            .await;
        let detail: Value = serde_json::from_str(&run.unwrap().detail.unwrap()).unwrap();
        let told = &detail["steps"][0];
        assert_eq!((&told["state"], &told["output"]), (&json!("done"), &given), "{name}");
        assert_eq!(told["attempts"][0]["fault"], why, "{name}");
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_held_takes_the_place_of_the_one_that_goes() {
    for test in databases().await {
        let name = format!("restart-{}", test.label);
        let stage = Stage::set(&test.db).await;
        let id = stage.create(area(&name, json!({"policy": {"order": "restart", "debounce": "15s"}}))).await;
        stage.joined(id).await;
        let (open, gate) = tokio::sync::watch::channel(false);
        world(&name, |w| {
            w.gate = Some(gate);
            w.items.push(item(1));
        });
        stage.received(&name, 1).await;
        // The first one's call is not answered; the second one is held, and goes when it is due.
        world(&name, |w| w.items.push(item(2)));
        let got = stage.received(&name, 2).await;
        assert_eq!(got[1].1["text"], "t2", "{name}");
        open.send(true).unwrap();
        let mut told = Vec::new();
        stage
            .until("the second one is done, the first one was cancelled", async || {
                let runs = history::runs(&test.db, stage.user, id, None, None, 10).await.unwrap();
                told = runs.into_iter().map(|run| (run.state, run.reason.unwrap_or_default())).collect();
                told[0].0 == "done"
            })
            .await;
        assert_eq!(told[1], ("cancelled".into(), "a newer run took its place".into()), "{name}");
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_during_its_users_pause_is_skipped_also_by_an_area_that_asked_for_what_was_there() {
    for test in databases().await {
        let name = format!("backfill-{}", test.label);
        let stage = Stage::set(&test.db).await;
        world(&name, |w| w.items = vec![item(1), item(2)]);
        let id = stage.create(area(&name, json!({"action": {"backfill": true}}))).await;
        stage.received(&name, 2).await;
        stage.joined(id).await;
        let changed = stage.engine.desk().pause(stage.user, id, None).await.unwrap();
        stage.engine.changed(&changed).await;
        world(&name, |w| w.items.push(item(3)));
        let changed = stage.engine.desk().resume(stage.user, id, None).await.unwrap();
        stage.engine.changed(&changed).await;
        stage.joined(id).await;
        world(&name, |w| w.items.push(item(4)));
        let got = stage.received(&name, 3).await;
        let texts: Vec<&str> = got.iter().map(|(_, p)| p["text"].as_str().unwrap()).collect();
        assert_eq!(texts, ["t1", "t2", "t4"], "{name}");
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_during_its_users_pause_is_skipped_also_when_a_fault_pauses_it_before_it_joins_again() {
    for test in databases().await {
        let name = format!("refault-{}", test.label);
        let stage = Stage::set(&test.db).await;
        world(&name, |w| w.items = vec![item(1), item(2)]);
        let id = stage.create(area(&name, json!({"action": {"backfill": true}}))).await;
        stage.received(&name, 2).await;
        stage.joined(id).await;
        let changed = stage.engine.desk().pause(stage.user, id, None).await.unwrap();
        stage.engine.changed(&changed).await;
        world(&name, |w| {
            w.items.push(item(3));
            w.faults = vec![Fault::rejected("no"); 5];
        });
        let changed = stage.engine.desk().resume(stage.user, id, None).await.unwrap();
        stage.engine.changed(&changed).await;
        let row = async || stage.engine.desk().get(stage.user, id).await.unwrap();
        let faulted = async || row().await.state == engine::store::areas::AreaState::Faulted;
        stage
            .until("faulted", async || {
                // A poll that is refused is not soon repeated.
                stage.clock.set(stage.clock.micros() + 60 * SECOND);
                world(&name, |w| w.faults.is_empty()) && faulted().await
            })
            .await;
        stage.joined(id).await;
        world(&name, |w| w.items.push(item(4)));
        let recorded =
            async || history::events_of(&test.db, stage.user, row().await.source_id, None, 10).await.unwrap();
        stage.until("recorded", async || recorded().await.len() == 4).await;
        let changed = stage.engine.desk().resume(stage.user, id, None).await.unwrap();
        stage.engine.changed(&changed).await;
        let got = stage.received(&name, 3).await;
        let texts: Vec<&str> = got.iter().map(|(_, p)| p["text"].as_str().unwrap()).collect();
        assert_eq!(texts, ["t1", "t2", "t4"], "{name}");
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_fires_and_a_delivery_id_is_taken_once() {
    for test in databases().await {
        let name = format!("hook-{}", test.label);
        let stage = Stage::set(&test.db).await;
        let hook = json!({"action": {"service": "script", "name": "received", "data": {"world": name}, "every": null}});
        let id = stage.create(area(&name, hook)).await;
        stage.until("owned", async || !stage.engine.leases.held().is_empty()).await;
        let key = engine::area::hook_key::of(id, &stage.ring);
        let send = async |body: &str| {
            let request = Request { method: "POST", url: "http://x/", query: "", headers: &[], body: body.as_bytes() };
            hooks::receive(&stage.engine, &key, &request).await
        };
        assert!(matches!(send(r#"{"id":"d1","text":"one"}"#).await, HookAnswer::Accepted(_)), "{name}");
        assert_eq!(send(r#"{"id":"d1","text":"one"}"#).await, HookAnswer::Duplicate, "{name}");
        assert!(matches!(send("{").await, HookAnswer::Malformed(_)), "{name}");
        assert_eq!(stage.received(&name, 1).await[0].1["text"], "one");
        let paused = stage.engine.desk().pause(stage.user, id, None).await.unwrap();
        stage.engine.changed(&paused).await;
        stage.until("dropped", async || matches!(send(r#"{"text":"two"}"#).await, HookAnswer::Dropped(_))).await;
        let gone = stage.engine.desk().delete(stage.user, id, None).await.unwrap();
        stage.engine.changed(&gone).await;
        stage.until("gone", async || send(r#"{"text":"three"}"#).await == HookAnswer::Gone).await;
        assert_eq!(world(&name, |w| w.received.len()), 1, "{name}");
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_over_decides_nothing_before_it_has_queued_what_was_open() {
    for test in databases().await {
        let name = format!("loaded-{}", test.label);
        let stage = Stage::set(&test.db).await;
        let id = stage.create(area(&name, json!({"action": {"name": "received", "every": null}}))).await;
        let key = engine::area::hook_key::of(id, &stage.ring);
        let body = |number: i64| json!({"id": number.to_string(), "text": format!("t{number}")}).to_string();
        let send = async |engine: &Arc<Engine>, number| {
            let body = body(number);
            let request = Request { method: "POST", url: "http://x/", query: "", headers: &[], body: body.as_bytes() };
            assert!(matches!(hooks::receive(engine, &key, &request).await, HookAnswer::Accepted(_)), "{name}");
        };
        world(&name, |w| w.refusals = vec![Fault::later("503")]);
        send(&stage.engine, 1).await;
        stage.received(&name, 1).await;
        stage.engine.stop(Duration::from_secs(5)).await;
        // Another node owns all, and has not read what is open.
        let (next, wakes) = Engine::new(parts(&test.db, &stage.ring, &stage.clock)).await.unwrap();
        next.leases.round().await.unwrap();
        send(&next, 2).await;
        let runs = async || {
            let sql = "SELECT COUNT(*) FROM runs";
            let (count,): (i64,) = engine::on!(&test.db, pool => sqlx::query_as(sql).fetch_one(pool).await).unwrap();
            count
        };
        assert_eq!(runs().await, 1, "{name}: durable, and not decided yet");
        Steps::of(&next, wakes).look_again().await;
        assert_eq!(runs().await, 2, "{name}: decided when the older one is queued");
        next.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_queued_before_its_partition_was_lost_and_gained_again_is_read_again() {
    for test in databases().await {
        let name = format!("regained-{}", test.label);
        let stage = Stage::set(&test.db).await;
        let id = stage.create(area(&name, json!({"action": {"name": "received", "every": null}}))).await;
        stage.engine.stop(Duration::from_secs(5)).await;
        let (node, wakes) = Engine::new(parts(&test.db, &stage.ring, &stage.clock)).await.unwrap();
        node.leases.round().await.unwrap();
        let steps = Steps::of(&node, wakes);
        steps.look_again().await;
        let key = engine::area::hook_key::of(id, &stage.ring);
        let body = json!({"id": "1", "text": "t1"}).to_string();
        let request = Request { method: "POST", url: "http://x/", query: "", headers: &[], body: body.as_bytes() };
        assert!(matches!(hooks::receive(&node, &key, &request).await, HookAnswer::Accepted(_)), "{name}");
        // It stands still; another node has the partition, works the run, and is gone.
        for sql in ["UPDATE leases SET epoch = epoch + 1", "UPDATE runs SET state = 'done', ended_at = 1"] {
            engine::on_write!(&test.db, pool => sqlx::query(sql).execute(pool).await.map(drop)).unwrap();
        }
        node.leases.round().await.unwrap();
        steps.react().await;
        node.stop(Duration::from_secs(5)).await;
        assert_eq!(world(&name, |w| w.received.len()), 0, "{name}: what is done is not done again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baseline_whose_wake_was_lost_is_found_also_where_one_was_open_before() {
    for test in databases().await {
        let name = format!("lost-{}", test.label);
        let stage = Stage::set(&test.db).await;
        stage.engine.stop(Duration::from_secs(5)).await;
        let (node, wakes) = Engine::new(parts(&test.db, &stage.ring, &stage.clock)).await.unwrap();
        node.leases.round().await.unwrap();
        let steps = Steps::of(&node, wakes);
        steps.look_again().await;
        let heard = async |changed| {
            node.changed(&changed).await;
            while let Some(wake) = steps.next_wake() {
                steps.hear(wake).await;
            }
        };
        let desk = node.desk();
        let created = desk.create(stage.user, &area(&name, json!({})), false).await.unwrap();
        let id = created.area.id;
        heard(created).await;
        heard(desk.pause(stage.user, id, None).await.unwrap()).await;
        // This one nobody hears.
        desk.resume(stage.user, id, None).await.unwrap();
        steps.scan().await;
        steps.poll().await;
        let joined = async || desk.get(stage.user, id).await.unwrap().joined_at.is_some();
        stage.until("joined", joined).await;
        node.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_that_is_full_before_it_was_queued_fires_at_once() {
    for test in databases().await {
        let name = format!("full-{}", test.label);
        let stage = Stage::set(&test.db).await;
        let digest = json!({"action": {"name": "received", "every": null}, "policy": {"digest": {"every": "1d", "max": 2}},
            "reactions": [{"id": "one", "service": "script", "name": "send",
                "data": {"world": name, "text": "{{ event.count }} came"}}]});
        let id = stage.create(area(&name, digest)).await;
        let key = engine::area::hook_key::of(id, &stage.ring);
        let send = async |engine: &Arc<Engine>, number: i64| {
            let body = json!({"id": number.to_string(), "text": "t"}).to_string();
            let request = Request { method: "POST", url: "http://x/", query: "", headers: &[], body: body.as_bytes() };
            assert!(matches!(hooks::receive(engine, &key, &request).await, HookAnswer::Accepted(_)), "{name}");
        };
        send(&stage.engine, 1).await;
        stage.engine.stop(Duration::from_secs(5)).await;
        let (node, wakes) = Engine::new(parts(&test.db, &stage.ring, &stage.clock)).await.unwrap();
        node.leases.round().await.unwrap();
        let steps = Steps::of(&node, wakes);
        // It is on no page that is read: as if it had moved from one that was to come to one that was read.
        for (sql, look) in [("UPDATE runs SET part = part + 1000", true), ("UPDATE runs SET part = part - 1000", false)]
        {
            engine::on_write!(&test.db, pool => sqlx::query(sql).execute(pool).await.map(drop)).unwrap();
            if look {
                steps.look_again().await;
            }
        }
        send(&node, 2).await;
        let received = async || {
            steps.react().await;
            world(&name, |w| w.received.len()) == 1
        };
        stage.until("received", received).await;
        assert_eq!(world(&name, |w| w.received[0].1["text"].clone()), "2 came", "{name}");
        node.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_is_a_list_also_of_one_and_when_it_is_tried_out() {
    for test in databases().await {
        let name = format!("list-{}", test.label);
        let stage = Stage::set(&test.db).await;
        let mut digest = area(&name, json!({"policy": {"digest": {"every": "1h", "max": 1}}}));
        digest["reactions"][0]["data"]["text"] = json!("{{ event.count }} {{ event.events[0].text }}");
        let id = stage.create(digest.clone()).await;
        stage.joined(id).await;
        let row = stage.engine.desk().get(stage.user, id).await.unwrap();
        let plan = stage.engine.desk().planned(&row, &digest).await.unwrap();
        let rehearsed = rehearse::on_sample(&plan, &stage.clock, &Limits::default());
        assert_eq!(rehearsed.steps[0].params.as_ref().unwrap()["text"], "1 a sample", "{rehearsed:?}");
        again::test(&stage.engine, stage.user, id, again::With::Sample).await.unwrap();
        assert_eq!(stage.received(&name, 1).await[0].1["text"], "1 a sample");
        world(&name, |w| w.items.push(item(1)));
        assert_eq!(stage.received(&name, 2).await[1].1["text"], "1 t1");
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_filter_and_why_says_which_value() {
    for test in databases().await {
        let name = format!("why-{}", test.label);
        let stage = Stage::set(&test.db).await;
        let id = stage.create(area(&name, json!({"when": "event.kind == 'wanted'"}))).await;
        stage.joined(id).await;
        world(&name, |w| w.items.extend([item(1), json!({"id": 2, "kind": "wanted", "text": "x"})]));
        stage.received(&name, 1).await;
        let mut why = Value::Null;
        stage
            .until("fired", async || {
                why = stage.why(id).await;
                why["events"][0]["why"] == "every step is done"
            })
            .await;
        assert_eq!(why["events"][0]["verdict"], "fired", "{name}: {why}");
        assert_eq!(why["events"][1]["verdict"], "filtered", "{name}: {why}");
        assert_eq!(why["events"][1]["values"][0], json!(["event.kind", "k"]), "{name}: {why}");
        assert_eq!(why["poll"]["answer"], "200", "{name}: {why}");
        let other = UserId::new();
        assert!(engine::why::why(&stage.engine, other, id, 10, async |_| None).await.unwrap().is_none());
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_got_on_goes_on_when_it_is_told_and_a_wait_beyond_its_interval_is_a_fault() {
    for test in databases().await {
        let name = format!("pace-{}", test.label);
        let stage = Stage::set(&test.db).await;
        let id = stage.create(area(&name, json!({}))).await;
        stage.joined(id).await;
        let mut why = Value::Null;
        let mut waits = async |seconds: i64, at: &str, said: &str| {
            world(&name, |w| {
                w.behind = Some(chrono::TimeDelta::seconds(seconds));
                w.items.push(item(seconds));
            });
            let told = async || {
                why = stage.why(id).await;
                why.pointer(at).is_some_and(|text| text == said)
            };
            stage.until(said, told).await;
            let instant =
                |of: &str| why["poll"][of].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
            ((instant("next_at") - instant("last_at")).num_seconds(), why["fault"].clone())
        };
        assert_eq!(waits(3, "/poll/answer", "200; the rest waits: slowly").await, (3, Value::Null), "{name}");
        let (wait, fault) = waits(3_600, "/fault/why", "slowly").await;
        assert_eq!((wait, &fault["kind"]), (3_600, &json!("later")), "{name}");
        assert_eq!(stage.received(&name, 2).await.len(), 2, "{name}: what had come before is not lost");
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_area_that_keeps_failing_pauses_and_catches_up_when_it_is_resumed() {
    for test in databases().await {
        let (name, told) = (format!("fault-{}", test.label), format!("told-{}", test.label));
        let stage = Stage::set(&test.db).await;
        let id = stage.create(area(&name, json!({}))).await;
        let watch = json!({"name": "watch", "action": {"name": "run_failed", "service": "area", "data": {"world": "-"}, "every": null},
            "reactions": [{"service": "script", "name": "send", "data": {"world": told, "text": "{{ event.reason }}"}}]});
        stage.create(area(&name, watch)).await;
        stage.joined(id).await;
        world(&name, |w| {
            w.refusals = vec![Fault::rejected("no"), Fault::rejected("no")];
            w.items.extend([item(1), item(2)]);
        });
        stage
            .until("faulted", async || {
                let row = stage.engine.desk().get(stage.user, id).await.unwrap();
                row.state == engine::store::areas::AreaState::Faulted
            })
            .await;
        assert!(stage.received(&told, 2).await[0].1["text"].as_str().unwrap().contains("no"), "{name}");
        world(&name, |w| w.items.push(item(3)));
        stage
            .until("recorded", async || {
                let row = stage.engine.desk().get(stage.user, id).await.unwrap();
                history::events_of(&test.db, stage.user, row.source_id, None, 10).await.unwrap().len() == 3
            })
            .await;
        assert_eq!(world(&name, |w| w.received.len()), 2, "{name}: nothing fires meanwhile");
        let resumed = stage.engine.desk().resume(stage.user, id, None).await.unwrap();
        stage.engine.changed(&resumed).await;
        assert_eq!(stage.received(&name, 3).await[2].1["text"], "t3", "{name}");
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_births_than_a_commit_may_hold_follow_by_a_mark_and_none_is_missed() {
    for test in databases().await {
        let name = format!("crowd-{}", test.label);
        let stage = Stage::set(&test.db).await;
        let mut last = None;
        for number in 0..25 {
            last = Some(stage.create(area(&name, json!({"name": format!("a{number}")}))).await);
        }
        stage.joined(last.unwrap()).await;
        world(&name, |w| w.items.extend((1..=8).map(item)));
        // 25 AREAs and 8 items: 200 births, of which the stage's limit allows 20 at once.
        let got = stage.received(&name, 200).await;
        let mut keys: Vec<&String> = got.iter().map(|(key, _)| key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 200, "{name}");
        stage
            .until("all ended", async || engine::store::work::undecided_parts(&test.db).await.unwrap().is_empty())
            .await;
        assert_eq!(world(&name, |w| w.received.len()), 200, "{name}");
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_digest_took_out_of_order_is_not_caught_up_again() {
    for test in databases().await {
        let name = format!("took-{}", test.label);
        let stage = Stage::set(&test.db).await;
        let id = stage.create(area(&name, json!({}))).await;
        stage.joined(id).await;
        world(&name, |w| w.items.extend((1..=12).map(item)));
        stage.received(&name, 12).await;
        let open = "SELECT COUNT(*) FROM runs WHERE ended_at IS NULL";
        stage
            .until("all ended", async || {
                let (count,): (i64,) =
                    engine::on!(&test.db, pool => sqlx::query_as(open).fetch_one(pool).await).unwrap();
                count == 0
            })
            .await;
        // As if the run of the first item had been a digest that took the last one too, in a catching up that began again since.
        for sql in [
            "UPDATE runs SET detail = (SELECT '{\"events\":[\"' || MIN(id) || '\",\"' || MAX(id) || '\"]}' FROM events)
             WHERE event_id = (SELECT MIN(id) FROM events)",
            "DELETE FROM runs WHERE event_id = (SELECT MAX(id) FROM events)",
            "UPDATE areas SET state = 'faulted', mark = (SELECT MAX(id) - 1 FROM events)",
        ] {
            engine::on_write!(&test.db, pool => sqlx::query(sql).execute(pool).await.map(drop)).unwrap();
        }
        let resumed = stage.engine.desk().resume(stage.user, id, None).await.unwrap();
        stage.engine.changed(&resumed).await;
        world(&name, |w| w.items.push(item(13)));
        let got = stage.received(&name, 13).await;
        assert_eq!(got[12].1["text"], "t13", "{name}: what a digest took is not fired again");
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_cursor_is_searched_from_where_the_area_began_and_a_gap_is_shown_also_after_a_restart() {
    for test in databases().await {
        let name = format!("gap-{}", test.label);
        let mut stage = Stage::set(&test.db).await;
        let id = stage.create(area(&name, json!({}))).await;
        stage.joined(id).await;
        let joined = stage.engine.desk().get(stage.user, id).await.unwrap().joined_at.unwrap();
        // Nothing was ever recorded: what came since it joined must be found all the same.
        world(&name, |w| {
            w.items.push(item(1));
            w.faults.push(Fault::resync("410"));
            w.gap = Some("before yesterday".to_owned());
        });
        stage.received(&name, 1).await;
        assert_eq!(world(&name, |w| w.searched[0].timestamp_micros()), joined, "{name}");
        for _ in 0..2 {
            stage.until("a gap", async || gap(&stage, id).await.as_deref() == Some("before yesterday")).await;
            stage.restart().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_search_finds_of_the_time_before_an_area_joined_is_old_to_it() {
    for test in databases().await {
        let name = format!("searched-{}", test.label);
        let stage = Stage::set(&test.db).await;
        let new = stage.create(area(&name, json!({}))).await;
        stage.joined(new).await;
        let joined = stage.engine.desk().get(stage.user, new).await.unwrap().joined_at.unwrap();
        let at = |id: i64, seconds: i64| {
            let mut item = item(id);
            item["at"] = json!(engine::clock::from_micros(joined + seconds * SECOND));
            item
        };
        // None of them was ever read; the second came while the baseline may have been read.
        world(&name, |w| {
            w.items.extend([at(1, -3_600), at(2, -60), at(3, 60)]);
            w.faults.push(Fault::resync("404"));
        });
        stage.received(&name, 2).await;
        stage.until("said", async || stage.why(new).await["events"][2]["verdict"] == "before it watched").await;
        // Without a search it is how a feed tells the time, and fires.
        world(&name, |w| w.items.push(at(4, -3_600)));
        let got = stage.received(&name, 3).await;
        let texts: Vec<&str> = got.iter().map(|(_, params)| params["text"].as_str().unwrap()).collect();
        assert_eq!(texts, ["t2", "t3", "t4"], "{name}");
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

async fn gap(stage: &Stage, id: AreaId) -> Option<String> {
    let engine = &stage.engine;
    let why =
        engine::why::why(engine, stage.user, id, 1, async |source| Some(engine.seen(source))).await.unwrap().unwrap();
    why.gap.map(|gap| gap.what)
}
