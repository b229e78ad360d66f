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
        }
    }
}

#[test]
fn a_wrong_name_is_told_what_there_is() {
    let area = Area::new();
    area.run(&["catalog", "timr"]).fails(3, &["timr", "timer"]);
    area.run(&["catalog", "timer.evry"]).fails(3, &["evry", "every"]);
}
