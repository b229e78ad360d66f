//! A million stored AREAs, each on a source of its own that is polled every ten minutes.

use std::time::Duration;

use serde_json::json;

use crate::daemon::Install;
use crate::peer::Order;
use crate::table::Table;
use crate::{Kit, machine, seed};

const AREAS: i64 = 1_000_000;
const USERS: i64 = 10_000;
/// How long it is watched.
const WATCH: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(20);

pub fn run(kit: &mut Kit, table: &mut Table) {
    let install = Install::sqlite();
    let area = json!({
        "name": "Bench",
        "action": {"service": "http", "name": "new_item", "every": "10m",
            "data": {"url": format!("http://127.0.0.1:{}/304/{}", kit.peer.lists, seed::NUMBER), "items": "/items", "key": "/id"}},
        "reactions": [{"service": "log", "name": "write", "data": {"text": "{{ event.id }}"}}]
    });
    kit.runtime.block_on(seed::fill(&install, &area, AREAS, USERS));
    let polls = |kit: &mut Kit| -> u64 { kit.peer.tell(&Order::Polls) };
    let before = polls(kit);
    let daemon = install.start();
    let (mut first, mut all) = (f64::NAN, f64::NAN);
    while daemon.started.elapsed() < WATCH {
        let now = daemon.started.elapsed().as_secs_f64();
        if first.is_nan() && polls(kit) > before {
            first = now;
        }
        if all.is_nan() && daemon.metric("area_sources_scheduled").is_some_and(|sources| sources >= AREAS as f64) {
            all = now;
        }
        kit.sleep(LOOK);
    }
    let (now, highest) = machine::memory(daemon.pid());
    table.figure("1,000,000 AREAs: resident", "MB", now, "< 250");
    table.figure("1,000,000 AREAs: resident at most", "MB", highest, "");
    table.figure("1,000,000 AREAs: first poll after", "s", first, "< 1");
    table.figure("1,000,000 AREAs: all scheduled after", "s", all, "< 10");
    table.figure("1,000,000 AREAs: polls in 15 s", "", (polls(kit) - before) as f64, "");
}
