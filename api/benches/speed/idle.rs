//! A daemon that nobody uses, started in an empty folder on its defaults.

use std::time::Duration;

use crate::daemon::Install;
use crate::table::Table;
use crate::{Kit, REPEATS, machine, median};

/// How long it rests before its memory is read.
const REST: Duration = Duration::from_secs(3);

pub fn run(kit: &mut Kit, table: &mut Table) {
    let (mut first, mut again, mut resident) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        let install = Install::sqlite();
        first.push(install.start_with(&[]).ready.as_secs_f64());
        let daemon = install.start_with(&[]);
        again.push(daemon.ready.as_secs_f64());
        kit.sleep(REST);
        resident.push(machine::memory(daemon.pid()).0);
    }
    table.figure("idle daemon: resident", "MB", median(resident), "< 25");
    table.figure("idle daemon: ready after, first start", "s", median(first), "");
    table.figure("idle daemon: ready after", "s", median(again), "< 0.2");
}
