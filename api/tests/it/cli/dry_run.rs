//! `area dry-run`: polls a real server, tells what would fire, reacts to nothing and leaves no trace.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::json;

use crate::kit::Area;

/// Answers every request with `body`, as JSON.
fn server(body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/items", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
            let _ = stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes());
        }
    });
    url
}

#[test]
fn it_polls_for_real_and_says_for_each_item_what_would_fire_and_why_not() {
    let area = Area::new();
    // The newest first, as most lists are: it is the last that is tried.
    let url = server(json!({"items": [{"id": 2, "price": 50}, {"id": 1, "price": 5}]}).to_string());
    let document = json!({
        "name": "Cheap",
        "action": {"service": "http", "name": "new_item", "data": {"url": url, "items": "/items", "key": "/id"}},
        "when": "event.price < 10",
        "reactions": [
            {"service": "http", "name": "request", "data": {"method": "POST", "url": url, "json": {"price": "{{ event.price }}"}}},
            {"service": "log", "name": "write", "data": {"text": "{{ steps.step1.status }}"}},
        ],
    });
    std::fs::write(area.file("a.json"), document.to_string()).unwrap();
    let guarded = area.run(&["dry-run", "a.json"]);
    assert!(guarded.code == 6 && guarded.err.contains("a.json#/action/data/url"), "{guarded:?}");
    let allow = [("AREA_NET__ALLOW", "127.0.0.1")];
    let found = area.run_with(&allow, &["dry-run", "a.json", "--json"]).json();
    let items = &found["items"][0]["found"]["items"];
    let fires: Vec<bool> = items.as_array().unwrap().iter().map(|i| i["fires"].as_bool().unwrap()).collect();
    assert_eq!(fires, [true, false], "{found}");
    assert_eq!(items[0]["steps"][0]["params"]["json"], json!({"price": 5}));
    assert!(items[0]["steps"][1]["why"].is_string(), "what depends on an answer is not known: {found}");
    assert!(items[1]["why"].as_str().unwrap().contains("event.price < 10"), "{found}");
    let told = area.run_with(&allow, &["dry-run", "a.json"]).ok();
    assert!(told.contains("would fire") && told.contains("would not"), "{told}");
    assert!(!area.file("data").exists(), "nothing was written");
}

#[test]
fn events_that_come_by_themselves_are_tried_with_the_sample() {
    let area = Area::new();
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/areas");
    let found = area.run(&["dry-run", samples, "--json"]).json();
    let all = found["items"].as_array().unwrap();
    assert!(all.len() >= 4, "{found}");
    for one in all {
        assert!(one["sample"].is_object(), "{one}");
    }
    let heartbeat = all.iter().find(|one| one["name"] == "Heartbeat").unwrap();
    assert!(heartbeat["sample"]["steps"][0]["params"]["text"].as_str().unwrap().starts_with("Tick 3"), "{heartbeat}");
}

#[test]
fn what_cannot_be_polled_is_a_failure_that_says_why() {
    let area = Area::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let document = json!({
        "name": "Nobody there",
        "action": {"service": "http", "name": "new_item", "data": {"url": format!("http://127.0.0.1:{port}/"), "key": "/id"}},
        "reactions": [{"service": "log", "name": "write", "data": {"text": "x"}}],
    });
    std::fs::write(area.file("a.json"), document.to_string()).unwrap();
    let ran = area.run_with(&[("AREA_NET__ALLOW", "127.0.0.1")], &["dry-run", "a.json", "--json"]);
    assert!(ran.code == 1 && ran.out.contains("\"fault\""), "{ran:?}");
    let wrong = area.run_fed(r#"{"name": "x"}"#, &["dry-run", "-"]);
    assert!(wrong.code == 6 && wrong.err.contains("standard input#/action"), "{wrong:?}");
}
