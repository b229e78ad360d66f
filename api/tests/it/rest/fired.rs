//! What fired, and what its owner does with it: hooks, events, runs, why, tests, replays, backtests, the stream.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Api, Said, path, said};

/// How long a test waits for something at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// Orders over 100 are written to the log; one without a customer cannot be.
fn orders() -> Value {
    json!({
        "name": "orders",
        "action": {"service": "webhook", "name": "received",
            "data": {"verify": {"kind": "none"}, "delivery_id": {"pointer": "/id"}}},
        "when": "event.body.total > 100",
        "reactions": [
            {"id": "first", "service": "log", "name": "write", "data": {"text": "total {{ event.body.total }}"}},
            {"id": "second", "service": "log", "name": "write", "data": {"text": "{{ event.body.customer }}: {{ steps.first.text }}"}}],
        "policy": {"retry": {"attempts": 1}},
    })
}

/// Posts at the AREA's hook.
async fn post(api: &Api, area: &Value, body: &Value) -> Said {
    let key = area["hook_url"].as_str().unwrap().rsplit('/').next().unwrap();
    said(api.bare("POST", &format!("/hooks/{key}")).json(body)).await
}

/// Asks until the answer is so.
async fn until(api: &Api, path: &str, so: impl Fn(&Value) -> bool) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = api.call("GET", path).await.ok(200);
        if so(&answer) {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "in vain: {answer:#}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The AREA's runs, when there are so many and all have ended.
async fn runs(api: &Api, area: &Value, count: usize) -> Vec<Value> {
    let ended = |list: &Value| {
        let items = list["items"].as_array().unwrap();
        items.len() == count && items.iter().all(|run| !run["ended_at"].is_null())
    };
    let list = until(api, &format!("{}/runs", path(area)), ended).await;
    list["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_is_answered_when_its_event_is_durable_and_its_run_shows_every_step() {
    for api in Api::at_work().await {
        let area = api.made(&orders()).await;
        let first = post(&api, &area, &json!({"id": "d1", "customer": "Ann", "total": 250})).await.ok(202);
        let again = post(&api, &area, &json!({"id": "d1", "customer": "Ann", "total": 250})).await.ok(202);
        assert_eq!(again, json!({"duplicate": true}), "{}", api.label);
        let run = &runs(&api, &area, 1).await[0];
        assert_eq!((&run["state"], &run["event_id"]), (&json!("done"), &first["event"]), "{run:#}");
        let shown = api.call("GET", &format!("/v1/runs/{}", run["id"].as_str().unwrap())).await.ok(200);
        assert_eq!(shown["steps"][1]["output"]["text"], "Ann: total 250", "{shown:#}");
        assert_eq!(shown["steps"][1]["attempts"][0]["sent"]["text"], "Ann: total 250", "{shown:#}");
        assert_eq!(shown["event"]["body"]["body"]["total"], 250, "{shown:#}");
        let events = api.call("GET", "/v1/events").await.ok(200);
        assert_eq!(events["items"][0]["id"], first["event"], "{events:#}");
        post(&api, &area, &json!({"id": "d2", "total": 5})).await.ok(202);
        let why = api.call("GET", &format!("{}/why", path(&area))).await.ok(200);
        assert_eq!(why["events"][0]["verdict"], "filtered", "{why:#}");
        assert_eq!(why["events"][0]["values"], json!([["event.body.total", 5]]), "{why:#}");
        assert_eq!(why["events"][1]["verdict"], "fired", "{why:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_of_unknown_deleted_and_paused_areas_are_told_apart() {
    for api in Api::at_work().await {
        let area = api.made(&orders()).await;
        said(api.bare("POST", "/hooks/AAAA").json(&json!({}))).await.problem(404, "not-found", &[]);
        api.call("POST", &format!("{}/pause", path(&area))).await.ok(200);
        let dropped = until_dropped(&api, &area).await;
        assert!(dropped["dropped"].as_str().unwrap().contains("paused"), "{dropped}");
        // Where the node does not decide for the partition yet, the event is recorded first and decided a little later.
        let there = |list: &Value| list["items"].as_array().is_some_and(|items| !items.is_empty());
        let list = until(&api, &format!("{}/runs?state=dropped", path(&area)), there).await;
        assert_eq!(list["items"][0]["reason"], "paused by its user", "{list:#}");
        api.call("DELETE", &path(&area)).await.ok(204);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let gone = post(&api, &area, &json!({"total": 500})).await;
            if gone.status == 410 {
                break gone.problem(410, "gone", &[]);
            }
            assert!(tokio::time::Instant::now() < deadline, "{gone:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn until_dropped(api: &Api, area: &Value) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = post(api, area, &json!({"total": 500, "customer": "x"})).await.ok(202);
        if answer.get("dropped").is_some() {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "{answer}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_is_replayed_from_its_failed_step_with_the_mended_area() {
    for api in Api::at_work().await {
        let area = api.made(&orders()).await;
        post(&api, &area, &json!({"id": "d1", "total": 300})).await.ok(202);
        let failed = runs(&api, &area, 1).await.remove(0);
        assert_eq!(failed["state"], "failed", "{failed:#}");
        assert!(failed["reason"].as_str().unwrap().contains("customer"), "{failed:#}");
        let mended = json!({"reactions": [orders()["reactions"][0],
            {"id": "second", "service": "log", "name": "write", "data": {"text": "mended: {{ steps.first.text }}"}}]});
        api.send("PATCH", &path(&area), &mended).await.ok(200);
        let at = format!("/v1/runs/{}/replay", failed["id"].as_str().unwrap());
        let new = api.send("POST", &at, &json!({"from": "failed", "at": "current"})).await.ok(202);
        let all = runs(&api, &area, 2).await;
        let replay = all.iter().find(|run| run["id"] == new["run"]).unwrap();
        assert_eq!(
            (&replay["kind"], &replay["of"], &replay["state"]),
            (&json!("replay"), &failed["id"], &json!("done"))
        );
        assert_eq!(replay["steps"][1]["output"]["text"], "mended: total 300", "{replay:#}");
        assert_eq!(replay["steps"][0]["attempts"], failed["steps"][0]["attempts"], "the first step is not repeated");
        api.send("POST", &at, &json!({"from": "middle"})).await.problem(422, "invalid", &["/from"]);
        let cancel = format!("/v1/runs/{}/cancel", failed["id"].as_str().unwrap());
        api.call("POST", &cancel).await.problem(409, "conflict", &[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_run_is_cancelled_and_stays_so() {
    for api in Api::at_work().await {
        let mut sleeper = orders();
        sleeper["reactions"] = json!([{"service": "timer", "name": "delay", "data": {"for": "1h"}}]);
        let area = api.made(&sleeper).await;
        post(&api, &area, &json!({"id": "d1", "total": 300})).await.ok(202);
        let list = format!("{}/runs", path(&area));
        let waiting = until(&api, &list, |list| list["items"][0]["state"] == "waiting").await;
        let at = format!("/v1/runs/{}/cancel", waiting["items"][0]["id"].as_str().unwrap());
        api.call("POST", &at).await.ok(204);
        let list = api.call("GET", &list).await.ok(200);
        assert_eq!(list["items"][0]["state"], "cancelled", "{list:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_area_is_tried_out_with_a_sample_and_an_event_whatever_its_condition_says() {
    for api in Api::at_work().await {
        let area = api.made(&orders()).await;
        let at = format!("{}/test", path(&area));
        let event = json!({"body": {"total": 1, "customer": "Zoe"}});
        let run = api.send("POST", &at, &json!({ "event": event })).await.ok(202);
        let done = &runs(&api, &area, 1).await[0];
        assert_eq!(
            (&done["id"], &done["kind"], &done["state"]),
            (&run["run"], &json!("test"), &json!("done")),
            "{done:#}"
        );
        assert_eq!(done["steps"][1]["output"]["text"], "Zoe: total 1");
        api.send("POST", &at, &json!({"with": "sample"})).await.ok(202);
        runs(&api, &area, 2).await;
        api.send("POST", &at, &json!({"with": "nothing"})).await.problem(422, "invalid", &[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_says_where_an_edit_differs_from_what_fired() {
    for api in Api::at_work().await {
        let area = api.made(&orders()).await;
        for (id, total) in [("a", 50), ("b", 150), ("c", 250)] {
            post(&api, &area, &json!({"id": id, "customer": "Ann", "total": total})).await.ok(202);
        }
        runs(&api, &area, 2).await;
        let at = format!("{}/backtest", path(&area));
        let same = api.send("POST", &at, &json!({})).await.ok(200);
        assert_eq!(
            (&same["events"], &same["fired"], &same["would_fire"]),
            (&json!(3), &json!(2), &json!(2)),
            "{same:#}"
        );
        assert_eq!(same["differences"], json!([]));
        let mut edited = orders();
        edited["when"] = json!("event.body.total < 200");
        let differs = api.send("POST", &at, &json!({ "area": edited })).await.ok(200);
        let said: Vec<(&str, &str)> = differs["differences"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| (d["was"].as_str().unwrap(), d["would_be"].as_str().unwrap()))
            .collect();
        assert_eq!(said, [("done", "filtered"), ("none", "fires")], "{differs:#}");
        assert_eq!(differs["differences"][1]["steps"][0]["params"]["text"], "total 50", "{differs:#}");
        runs(&api, &area, 2).await;
        api.send("POST", &at, &json!({"events": 0})).await.problem(422, "invalid", &["/events"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_polls_for_real_and_fires_nothing() {
    for api in Api::at_work().await {
        let mut timer = orders();
        timer["action"] = json!({"service": "timer", "name": "every", "data": {"every": "1h"}});
        timer["when"] = Value::Null;
        timer.as_object_mut().unwrap().remove("when");
        let area = api.made(&timer).await;
        let found = api.send("POST", &format!("{}/dry-run", path(&area)), &json!({})).await.ok(200);
        assert!(found["items"].is_array(), "{found:#}");
        runs(&api, &area, 0).await;
        let hook = api.made(&orders()).await;
        api.send("POST", &format!("{}/dry-run", path(&hook)), &json!({})).await.problem(409, "conflict", &[]);
        api.call("POST", &format!("{}/poll", path(&hook))).await.problem(409, "conflict", &[]);
        assert_eq!(api.call("POST", &format!("{}/poll", path(&area))).await.status, 202);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_tells_of_ones_own_runs_alone() {
    for api in Api::at_work().await {
        let other = api.user("bob@example.org", engine::store::people::Role::Editor, Default::default()).await;
        let mut own = api.ask("GET", "/v1/runs/stream").send().await.unwrap();
        let mut foreign = api.bare("GET", "/v1/runs/stream").bearer_auth(other).send().await.unwrap();
        assert_eq!(own.headers()["content-type"], "text/event-stream");
        let area = api.made(&orders()).await;
        post(&api, &area, &json!({"id": "d1", "customer": "Ann", "total": 250})).await.ok(202);
        let chunk = tokio::time::timeout(PATIENCE, own.chunk()).await.unwrap().unwrap().unwrap();
        let text = String::from_utf8(chunk.to_vec()).unwrap();
        assert!(text.contains("event: run") && text.contains(r#""state":"done""#), "{text}");
        let nothing = tokio::time::timeout(Duration::from_millis(300), foreign.chunk()).await;
        assert!(nothing.is_err(), "{nothing:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_users_runs_events_and_areas_are_not_there() {
    for api in Api::at_work().await {
        let area = api.made(&orders()).await;
        post(&api, &area, &json!({"id": "d1", "customer": "Ann", "total": 250})).await.ok(202);
        let run = runs(&api, &area, 1).await.remove(0);
        let other = api.user("bob@example.org", engine::store::people::Role::Editor, Default::default()).await;
        let run = format!("/v1/runs/{}", run["id"].as_str().unwrap());
        let at = |end: &str| format!("{}{end}", path(&area));
        let reads = [run.clone(), at("/runs"), at("/why")];
        for path in reads {
            said(api.bare("GET", &path).bearer_auth(&other)).await.problem(404, "not-found", &[]);
        }
        let writes = [
            format!("{run}/replay"),
            format!("{run}/cancel"),
            at("/test"),
            at("/backtest"),
            at("/dry-run"),
            at("/poll"),
        ];
        for path in writes {
            let sent = api.bare("POST", &path).bearer_auth(&other).json(&json!({}));
            said(sent).await.problem(404, "not-found", &[]);
        }
        let events = said(api.bare("GET", "/v1/events").bearer_auth(&other)).await.ok(200);
        assert_eq!(events["items"], json!([]));
    }
}
