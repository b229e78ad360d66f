//! `cargo bench`: one table of ratios to bare baselines of the same run. Figures are medians of several repetitions, in which engine
//! and baseline take turns, so that what else the machine does hits both. Nothing here fails because of a time.
//!
//! What is measured is the binary `area` itself, in a process of its own (`daemon`), on a database that `seed` filled. The far side
//! (servers, receivers, load: `peer`, speaking HTTP by `wire`) and the baselines (`bare`) are processes of their own too, made of
//! this program, so that memory and CPU are those of one side alone. `machine` reads them from /proc, `table` prints.
//!
//! `cargo bench -- polls hooks ledger million vault idle people mailbox` runs the scenes that are named; without a name all of them run.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

mod bare;
mod daemon;
mod flood;
#[path = "../../tests/it/peers/gmail.rs"]
mod gmail;
mod hooks;
mod idle;
mod ledger;
mod machine;
mod mailbox;
mod million;
mod peer;
mod people;
mod polls;
mod seed;
mod table;
mod vault;
mod wire;

use std::time::Duration;

use engine::testkit::postgres::{Options, Server};
use tokio::runtime::{Builder, Runtime};

use daemon::Install;
use peer::Peer;
use table::Table;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often each figure is taken; the median is printed.
const REPEATS: usize = 3;

/// What the scenes share.
struct Kit {
    runtime: Runtime,
    peer: Peer,
    postgres: Option<Server>,
}

impl Kit {
    fn new() -> Self {
        let postgres = Server::start(Options { durable: true });
        let postgres = postgres.map_err(|why| eprintln!("without PostgreSQL: {why}")).ok();
        Self { runtime: runtime(), peer: Peer::spawn(), postgres }
    }

    fn sleep(&self, time: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }

    /// A fresh installation on each engine there is.
    fn installs(&self) -> Vec<Install> {
        let url = |server: &Server| self.runtime.block_on(server.create_database()).unwrap();
        let shared = self.postgres.as_ref().map(|server| Install::postgres(url(server)));
        std::iter::once(Install::sqlite()).chain(shared).collect()
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().enable_all().build().unwrap()
}

/// The middle of some figures.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One part of the table: measures and adds its rows.
type Part = fn(&mut Kit, &mut Table);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["peer"] => peer::main(),
        ["bare-polls", url, seconds] => bare::polls(url, seconds),
        ["bare-relay", to] => bare::relay(to),
        ref scenes => run(scenes),
    }
}

fn run(scenes: &[&str]) {
    let all: [(&str, Part); 8] = [
        ("polls", polls::run),
        ("hooks", hooks::run),
        ("ledger", ledger::run),
        ("million", million::run),
        ("vault", vault::run),
        ("idle", idle::run),
        ("people", people::run),
        ("mailbox", mailbox::run),
    ];
    let mut table = Table::new();
    let mut kit = Kit::new();
    for (name, scene) in all {
        if scenes.is_empty() || scenes.contains(&name) {
            eprintln!("{name} …");
            scene(&mut kit, &mut table);
        }
    }
    table.print();
}
