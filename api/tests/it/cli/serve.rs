//! `area serve`: starts in an empty folder, tells where to go, ends when told to.

use crate::kit::Area;

#[tokio::test]
async fn it_starts_in_an_empty_folder_says_where_to_go_and_ends_well_when_told_to() {
    for area in Area::all().await {
        for signal in ["TERM", "INT"] {
            let mut daemon = area.serve(&[]);
            daemon.line("area token create");
            let health = reqwest::Client::builder()
                .no_proxy()
                .build()
                .unwrap()
                .get(format!("{}/healthz", daemon.url))
                .send()
                .await
                .unwrap();
            assert_eq!(health.status(), 200, "{}", area.label);
            daemon.signal(signal);
            assert_eq!(daemon.end(), Some(0), "{} {signal}", area.label);
        }
    }
}

#[test]
fn a_second_daemon_on_the_same_folder_or_port_is_told_why_it_cannot_start() {
    let area = Area::new();
    let daemon = area.serve(&[]);
    area.run(&["serve", "--listen", "127.0.0.1:0"]).fails(5, &["another `area` is running on data"]);
    let address = daemon.url.trim_start_matches("http://");
    Area::new().run(&["serve", "--listen", address]).fails(1, &[address, "--listen"]);
    let check = area.run(&["check"]).ok();
    assert!(check.contains("is running on data"), "{check}");
}

#[test]
fn for_programs_it_logs_one_json_object_a_line() {
    let area = Area::new();
    let mut daemon = area.serve(&["--set", "log.format=json"]);
    daemon.signal("TERM");
    let stopped: serde_json::Value = serde_json::from_str(&daemon.line("stopped")).unwrap();
    assert_eq!((stopped["level"].as_str(), stopped["message"].as_str()), (Some("INFO"), Some("stopped")));
}

#[test]
fn a_wrong_log_filter_is_told_before_anything_starts() {
    let area = Area::new();
    area.run(&["serve", "--set", "log.filter=engine=loud"]).fails(2, &["log.filter", "info,engine=debug"]);
    assert_eq!(std::fs::read_dir(area.folder()).unwrap().count(), 0);
}

#[test]
fn on_a_first_start_an_example_fires_and_examples_are_loaded_only_once() {
    let area = Area::new();
    let mut daemon = area.serve(&[]);
    daemon.line("Tick 1");
    let firing = daemon.line("the first firing");
    assert!(firing.contains("Heartbeat") && firing.contains("run="), "{firing}");
    daemon.signal("TERM");
    assert_eq!(daemon.end(), Some(0));
    let loaded = area.run(&["export", "--user", "demo@localhost"]).json();
    assert!((4..=6).contains(&loaded.as_array().unwrap().len()), "{loaded}");

    std::fs::write(area.file("none.json"), "[]").unwrap();
    std::fs::write(area.file("one.json"), loaded[0].to_string()).unwrap();
    area.run(&["apply", "none.json", "--prune", "--user", "demo@localhost"]).ok();
    assert_eq!(area.run(&["export", "--user", "demo@localhost"]).json(), loaded, "apply did not make them");
    let mut daemon = area.serve(&[]);
    daemon.line("area token create");
    daemon.signal("TERM");
    daemon.end();
    assert_eq!(area.run(&["export", "--user", "demo@localhost"]).json(), loaded);
}

#[test]
fn examples_are_not_loaded_where_there_are_areas_or_the_setting_says_no() {
    let area = Area::new();
    let mut daemon = area.serve(&["--set", "samples.load=false"]);
    daemon.signal("TERM");
    daemon.end();
    assert_eq!(area.run(&["user", "list"]).ok(), "");
    area.run(&["user", "create", "--email", "me@b"]).ok();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/areas/working-morning.json");
    area.run(&["apply", sample]).ok();
    let mut daemon = area.serve(&[]);
    daemon.signal("TERM");
    daemon.end();
    assert!(!area.run(&["user", "list"]).ok().contains("demo@localhost"));
}
