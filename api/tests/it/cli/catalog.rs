//! `area catalog`: what there is, what a part needs, and what the nearest name is.

use crate::kit::Area;

#[test]
fn every_service_action_and_reaction_is_listed_and_can_be_shown() {
    let area = Area::new();
    let all = area.run(&["catalog", "--json"]).json();
    let listed = area.run(&["catalog"]).ok();
    let services = all["items"].as_array().unwrap();
    assert!(services.len() >= 4, "{all}");
    for service in services {
        let name = service["name"].as_str().unwrap();
        let full = area.run(&["catalog", name, "--json"]).json();
        for (kind, part) in
            ["actions", "reactions"].iter().flat_map(|k| full[k].as_array().unwrap().iter().map(move |p| (k, p)))
        {
            let path = format!("{name}.{}", part["name"].as_str().unwrap());
            assert!(listed.contains(&path), "{path} is not listed");
            assert_eq!(&area.run(&["catalog", &path, "--json"]).json(), part);
            let shown = area.run(&["catalog", &path]).ok();
            assert!(shown.contains(kind.trim_end_matches('s')) && shown.contains("schema"), "{shown}");
            // What it needs and what comes out of it is told in full.
            let words = ["cost", "tried"].map(|what| part[what].as_str().unwrap());
            let scopes = part["scopes"].as_array().unwrap().iter().map(|scope| scope.as_str().unwrap());
            let gives = &part[if *kind == "actions" { "event_schema" } else { "output_schema" }]["properties"];
            let fields =
                gives.as_object().into_iter().flatten().map(|(_, field)| field["description"].as_str().unwrap());
            for word in words.into_iter().chain(scopes).chain(fields) {
                assert!(shown.contains(&word.replace('\n', " ")), "{path}: {word}\n{shown}");
            }
            assert_eq!(shown.contains("the id of a linked"), service["provider"].is_string(), "{shown}");
        }
    }
}

#[test]
fn a_wrong_name_is_told_what_there_is() {
    let area = Area::new();
    area.run(&["catalog", "timr"]).fails(3, &["timr", "timer"]);
    area.run(&["catalog", "timer.evry"]).fails(3, &["evry", "every"]);
}
