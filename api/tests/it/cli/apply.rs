//! `area apply` and `area export`: AREAs as code.

use serde_json::{Value, json};

use crate::kit::Area;

fn timer(name: &str, every: &str) -> Value {
    json!({
        "name": name,
        "action": {"service": "timer", "name": "every", "data": {"every": every}},
        "reactions": [{"service": "log", "name": "write", "data": {"text": "{{ event.tick }} of {{ area.name }}"}}],
    })
}

fn write(area: &Area, name: &str, json: &Value) {
    let file = area.file(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, json.to_string()).unwrap();
}

/// What an apply did or would do, as `change name`.
fn changes(answer: &Value) -> Vec<String> {
    let items = answer["items"].as_array().unwrap().iter();
    items.map(|i| format!("{} {}", i["change"].as_str().unwrap(), i["name"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_folder_is_applied_shown_as_a_diff_applied_again_and_pruned() {
    for area in Area::all().await {
        area.run(&["user", "create", "--email", "me@b"]).ok();
        write(&area, "areas/1.json", &timer("one", "1h"));
        write(&area, "areas/2.json", &json!([timer("two", "1h"), timer("three", "1h")]));
        let diff = || changes(&area.run(&["apply", "areas", "--prune", "--diff", "--json"]).json());
        assert_eq!(diff(), ["create one", "create two", "create three"], "{}", area.label);
        assert_eq!(diff().len(), 3, "a diff changes nothing");
        let told = area.run(&["apply", "areas"]);
        assert!(told.err.contains("3 created, 0 updated, 0 unchanged, 0 deleted"), "{told:?}");
        assert_eq!(diff(), ["same one", "same two", "same three"], "{}", area.label);

        write(&area, "areas/1.json", &timer("one", "2h"));
        write(&area, "areas/2.json", &timer("two", "1h"));
        assert_eq!(diff(), ["update one", "same two", "delete three"], "{}", area.label);
        let shown = area.run(&["apply", "areas", "--diff"]).ok();
        assert!(shown.contains("/action/data/every: \"1h\" -> \"2h\""), "{shown}");
        assert_eq!(changes(&area.run(&["apply", "areas", "--json"]).json()), ["update one", "same two"]);
        area.run(&["apply", "areas", "--prune"]).ok();
        let exported = area.run(&["export"]).json();
        let names: Vec<&str> = exported.as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["one", "two"], "{}", area.label);
    }
}

#[test]
fn everything_wrong_is_told_with_file_and_pointer_and_nothing_is_changed() {
    let area = Area::new();
    area.run(&["user", "create", "--email", "me@b"]).ok();
    let mut bad = timer("bad", "soon");
    bad["reactions"][0]["data"]["txt"] = json!(1);
    write(&area, "areas.json", &json!([timer("good", "1h"), bad, {"name": "empty"}]));
    let ran = area.run(&["apply", "areas.json"]);
    assert_eq!(ran.code, 6, "{ran:?}");
    for part in
        ["areas.json#/1/action/data/every", "areas.json#/1/reactions/0/data/txt", "areas.json#/2/action", "2 of 3"]
    {
        assert!(ran.err.contains(part), "no `{part}` in {}", ran.err);
    }
    assert_eq!(area.run(&["export"]).json(), json!([]));
    std::fs::write(area.file("broken.json"), "{\n  \"name\": }").unwrap();
    area.run(&["apply", "broken.json"]).fails(6, &["broken.json", "line 2 column 11"]);
    area.run(&["apply", "none.json"]).fails(3, &["none.json"]);
}

#[test]
fn secrets_come_from_the_environment_and_leave_as_its_names() {
    let area = Area::new();
    area.run(&["user", "create", "--email", "me@b"]).ok();
    let hook = json!({
        "name": "Hook",
        "action": {"service": "webhook", "name": "received",
                   "data": {"verify": {"kind": "token", "header": "x-token", "token": {"$env": "HOOK_TOKEN"}}}},
        "reaction": {"service": "log", "name": "write", "data": {"text": "x"}},
    });
    write(&area, "hook.json", &hook);
    let unset = area.run(&["apply", "hook.json"]);
    assert!(unset.code == 6 && unset.err.contains("hook.json#/action/data/verify/token"), "{unset:?}");
    assert!(unset.err.contains("HOOK_TOKEN"), "{unset:?}");
    area.run_with(&[("HOOK_TOKEN", "hunter2hunter2")], &["apply", "hook.json"]).ok();
    let exported = area.run(&["export"]);
    assert!(!exported.out.contains("hunter2"), "{exported:?}");
    let name = exported.json()[0]["action"]["data"]["verify"]["token"]["$env"].as_str().unwrap().to_owned();
    let database = std::fs::read(area.file("data/area.db")).unwrap();
    assert!(!String::from_utf8_lossy(&database).contains("hunter2"), "sealed at rest");

    area.run(&["export", "-o", "out.json"]).ok();
    area.run(&["user", "create", "--email", "other@b"]).ok();
    let other = ["apply", "out.json", "--user", "other@b", "--json"];
    assert_eq!(changes(&area.run_with(&[(&name, "hunter2hunter2")], &other).json()), ["create Hook"]);
    let again = area.run_with(&[(&name, "hunter3hunter3")], &["apply", "out.json", "--user", "other@b", "--diff"]).ok();
    assert!(again.contains("~ Hook") && !again.contains("hunter"), "{again}");
}

#[test]
fn whose_areas_are_meant_is_never_guessed() {
    let area = Area::new();
    write(&area, "one.json", &timer("one", "1h"));
    area.run(&["apply", "one.json"]).fails(3, &["area user create"]);
    area.run(&["user", "create", "--email", "a@b"]).ok();
    area.run(&["apply", "one.json"]).ok();
    area.run(&["user", "create", "--email", "b@b"]).ok();
    area.run(&["apply", "one.json"]).fails(2, &["--user"]);
    area.run(&["apply", "one.json", "--user", "c@b"]).fails(3, &["c@b"]);
    assert_eq!(changes(&area.run(&["apply", "one.json", "--user", "b@b", "--json"]).json()), ["create one"]);
    assert_eq!(changes(&area.run(&["apply", "one.json", "--user", "a@b", "--json"]).json()), ["same one"]);
}

#[test]
fn an_export_goes_through_a_pipe_into_a_folder_and_back() {
    let area = Area::new();
    area.run(&["user", "create", "--email", "a@b"]).ok();
    let all: Vec<Value> = (0..3).map(|i| timer(&format!("Nr. {i}/{}", "ä".repeat(i)), "1h")).collect();
    write(&area, "all.json", &json!(all));
    area.run(&["apply", "all.json"]).ok();
    std::fs::create_dir(area.file("out")).unwrap();
    area.run(&["export", "-o", "out"]).ok();
    assert_eq!(std::fs::read_dir(area.file("out")).unwrap().count(), 3);
    assert_eq!(
        changes(&area.run(&["apply", "out", "--json"]).json()).iter().filter(|c| c.starts_with("same")).count(),
        3
    );
    let text = area.run(&["export"]).ok();
    let ran = area.run_fed(&text, &["apply", "-", "--json"]);
    assert_eq!(changes(&ran.json()).iter().filter(|c| c.starts_with("same")).count(), 3);
}

#[tokio::test]
async fn what_is_applied_beside_a_running_daemon_fires_at_once() {
    for area in Area::all().await {
        area.run(&["user", "create", "--email", "me@b"]).ok();
        let mut daemon = area.serve(&["--set", "samples.load=false", "--set", "limits.scan=1h"]);
        write(&area, "one.json", &timer("one", "1s"));
        let started = std::time::Duration::from_secs(60);
        area.run(&["apply", "one.json"]).ok();
        let line = tokio::task::spawn_blocking(move || daemon.line("1 of one"));
        tokio::time::timeout(started, line).await.expect(area.label).unwrap();
    }
}

#[test]
fn thousands_are_applied_in_seconds() {
    let area = Area::new();
    area.run(&["user", "create", "--email", "me@b"]).ok();
    let all: Vec<Value> = (0..3000).map(|i| timer(&format!("{i}"), &format!("{}h", i % 100 + 1))).collect();
    write(&area, "all.json", &json!(all));
    let before = tokio::time::Instant::now();
    let told = area.run(&["apply", "all.json"]);
    assert!(told.err.contains("3000 created"), "{told:?}");
    // Measured 3 s in a build without optimisation on two busy cores.
    assert!(before.elapsed().as_secs() < 60, "{:?}", before.elapsed());
}
