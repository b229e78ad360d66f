//! Polls that find nothing: through the engine, and by a bare loop of the same client with as many under way. More sources are due
//! than can be polled, so both run as fast as they can.

use std::process::Command;
use std::time::Duration;

use engine::store::Db;
use serde_json::json;

use crate::bare::Polled;
use crate::daemon::{Daemon, Install};
use crate::peer::Order;
use crate::table::{Aim, Table};
use crate::{Kit, REPEATS, machine, median, seed};

/// Sources, each due every second.
const SOURCES: i64 = 60_000;
const USERS: i64 = 1_000;
const WINDOW: Duration = Duration::from_millis(2_500);
/// From its start, or from when it goes on, until the engine is at full speed.
const START: Duration = Duration::from_secs(3);
const GO_ON: Duration = Duration::from_millis(800);

/// One window of the engine.
struct Seen {
    rate: f64,
    cpu: f64,
    written: f64,
}

pub fn run(kit: &mut Kit, table: &mut Table) {
    for kind in ["304", "200"] {
        for install in kit.installs() {
            let shared = install.file().is_none();
            // What the answer says makes no difference to the database.
            if !(shared && kind == "200") {
                scene(kit, table, &install, kind);
            }
        }
    }
}

fn scene(kit: &mut Kit, table: &mut Table, install: &Install, kind: &str) {
    let url = format!("http://127.0.0.1:{}/{kind}", kit.peer.lists);
    let area = json!({
        "name": "Bench",
        "action": {"service": "http", "name": "new_item", "every": "1s",
            "data": {"url": format!("{url}/{}", seed::NUMBER), "items": "/items", "key": "/id"}},
        "reactions": [{"service": "log", "name": "write", "data": {"text": "{{ event.id }}"}}]
    });
    kit.runtime.block_on(seed::fill(install, &area, SOURCES, USERS));
    let daemon = install.start();
    let db = kit.runtime.block_on(install.db());
    kit.sleep(START);
    let (mut seen, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        seen.push(window(kit, &daemon, &db));
        daemon.signal("STOP");
        bare.push(bare_window(&format!("{url}/x")));
        daemon.signal("CONT");
        kit.sleep(GO_ON);
    }
    let what = format!("polls answered {kind}, {}", install.label);
    let mid = |figure: fn(&Seen) -> f64| median(seen.iter().map(figure).collect());
    let bare_mid = |figure: fn(&Polled) -> f64| median(bare.iter().map(figure).collect());
    table.ratio(&what, "/s", mid(|s| s.rate), bare_mid(|b| b.rate), Aim::AtLeast(0.8));
    table.ratio(&format!("{what}: CPU each"), "µs", mid(|s| s.cpu), bare_mid(|b| b.cpu), Aim::AtMost(1.2));
    table.figure(&format!("{what}: written each"), "bytes", mid(|s| s.written), "0");
    kit.runtime.block_on(db.close());
}

fn window(kit: &mut Kit, daemon: &Daemon, db: &Db) -> Seen {
    let look = |kit: &mut Kit| -> [f64; 4] {
        let polls: u64 = kit.peer.tell(&Order::Polls);
        let logged = kit.runtime.block_on(seed::logged(db));
        [polls as f64, machine::cpu(daemon.pid()), machine::written(daemon.pid()) + logged, machine::seconds()]
    };
    let before = look(kit);
    kit.sleep(WINDOW);
    let after = look(kit);
    let [polls, cpu, written, seconds] = std::array::from_fn(|i| after[i] - before[i]);
    Seen { rate: polls / seconds, cpu: cpu * 1e6 / polls, written: written / polls }
}

fn bare_window(url: &str) -> Polled {
    let me = std::env::current_exe().unwrap();
    let done = Command::new(me).args(["bare-polls", url, &WINDOW.as_secs_f64().to_string()]).output().unwrap();
    serde_json::from_slice(&done.stdout).unwrap()
}
