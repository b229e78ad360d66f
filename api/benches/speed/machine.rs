//! What /proc says of a process and of the machine.

use std::fs;
use std::io::Write;

use tokio::time::Instant;

/// Clock ticks in which the kernel counts CPU time (`USER_HZ`).
const TICKS: f64 = 100.0;

/// CPU seconds that a process has used, all its threads.
pub fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Fields are counted behind the name, which may hold spaces: user and system time are the 12th and 13th from there.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |field: usize| fields.get(field).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS
}

/// Resident memory in MB: now, and at its highest.
pub fn memory(pid: u32) -> (f64, f64) {
    let status = format!("/proc/{pid}/status");
    (named(&status, "VmRSS:") / 1024.0, named(&status, "VmHWM:") / 1024.0)
}

/// Bytes that a process has sent to disks.
pub fn written(pid: u32) -> f64 {
    named(&format!("/proc/{pid}/io"), "write_bytes:")
}

fn named(file: &str, name: &str) -> f64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
}

/// The load of the last minute.
pub fn load() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next().unwrap_or_default().to_owned()
}

/// The kind of machine, in a line.
pub fn kind() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores of {}, {:.1} ms a synced write", model.unwrap_or("?"), sync_ms())
}

/// How long a small write takes until it is on the disk.
fn sync_ms() -> f64 {
    const WRITES: usize = 50;
    let mut file = tempfile::tempfile().unwrap();
    let began = Instant::now();
    for _ in 0..WRITES {
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
    }
    began.elapsed().as_secs_f64() * 1000.0 / WRITES as f64
}

/// Seconds since the machine started.
pub fn seconds() -> f64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split(' ').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(f64::NAN)
}
