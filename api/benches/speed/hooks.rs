//! A request at a hook URL becomes a durable event, and its reaction is delivered: against a relay of axum and reqwest that hands
//! on and keeps nothing. 1,000 AREAs; first as fast as it goes, then 1,000 requests a second and how long each takes.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use engine::area::hook_key;
use serde_json::json;

use crate::daemon::Install;
use crate::flood::{Flood, Flooded, Pace, Paced, Target};
use crate::peer::Order;
use crate::table::{Aim, Table};
use crate::{Kit, REPEATS, median, seed};

const AREAS: i64 = 1_000;
const USERS: i64 = 100;
/// Connections of the load.
const CONNECTIONS: usize = 128;
/// Messages that are sent and not delivered.
const WINDOW: usize = 1_024;
const SECONDS: f64 = 3.0;
/// Messages a second of the open loop.
const RATE: f64 = 1_000.0;

/// The baseline. Dropped: killed.
struct Relay {
    child: Child,
    target: Target,
}

impl Relay {
    fn start(to: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.args(["bare-relay", to]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, target: Target { port: line.trim().parse().unwrap(), paths: vec!["/hooks/any".into()] } }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn run(kit: &mut Kit, table: &mut Table) {
    let to = format!("http://127.0.0.1:{}/in", kit.peer.receiver);
    let relay = Relay::start(&to);
    for install in kit.installs() {
        let area = json!({
            "name": "Bench",
            "action": {"service": "webhook", "name": "received", "data": {"verify": {"kind": "none"}}},
            "reactions": [{"service": "http", "name": "request", "data": {"url": to, "json": "{{ event.body }}"}}]
        });
        kit.runtime.block_on(seed::fill(&install, &area, AREAS, USERS));
        let daemon = install.start();
        let ring = install.ring();
        let key = |i: i64| format!("/hooks/{}", hook_key::of(seed::area(i as u128), &ring));
        let target = Target { port: daemon.port, paths: (1..=AREAS).map(key).collect() };
        scene(kit, table, &install, &target, &relay.target);
    }
}

fn scene(kit: &mut Kit, table: &mut Table, install: &Install, hooks: &Target, relay: &Target) {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        ours.push(flood(kit, hooks));
        bare.push(flood(kit, relay));
    }
    let (mut paced, mut bare_paced) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        paced.push(pace(kit, hooks));
        bare_paced.push(pace(kit, relay));
    }
    let what = format!("hook → event → reaction, {}", install.label);
    let aim = if install.file().is_some() { 0.5 } else { 0.3 };
    table.ratio(&what, "/s", median(ours), median(bare), Aim::AtLeast(aim));
    let mid = |paced: &[Paced], figure: fn(&Paced) -> f64| median(paced.iter().map(figure).collect());
    let (p50, p99) = (|p: &Paced| p.p50, |p: &Paced| p.p99);
    table.ratio(&format!("{what}: p50 at 1,000/s"), "ms", mid(&paced, p50), mid(&bare_paced, p50), Aim::None);
    table.ratio(
        &format!("{what}: p99 at 1,000/s"),
        "ms",
        mid(&paced, p99),
        mid(&bare_paced, p99),
        Aim::Figure("< 15 ms"),
    );
}

fn flood(kit: &mut Kit, target: &Target) -> f64 {
    let flood = Flood { target: target.clone(), connections: CONNECTIONS, window: WINDOW, seconds: SECONDS };
    let came: Flooded = kit.peer.tell(&Order::Flood(flood));
    if came.lost != 0 || came.refused != 0 {
        eprintln!("    {} lost (negative: doubled), {} refused", came.lost, came.refused);
    }
    came.rate
}

fn pace(kit: &mut Kit, target: &Target) -> Paced {
    let pace = Pace { target: target.clone(), connections: CONNECTIONS, rate: RATE, seconds: SECONDS };
    let came: Paced = kit.peer.tell(&Order::Pace(pace));
    if came.lost != 0 {
        eprintln!("    {} lost (negative: doubled)", came.lost);
    }
    came
}
