//! The disk is full: what cannot be kept is not accepted, what was kept stays, and all goes on when there is room.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::place::Place;
use super::world::World;
use super::{Duration, until};

/// Enough for a database and its log, soon full.
const SIZE: &str = "size=24m";
/// How long the disk is full.
const FULL: Duration = Duration::from_secs(9);

/// A small disk. Dropped: unmounted.
struct Disk(PathBuf);

impl Disk {
    /// Mounts it in `folder`; `None` where only root may, and we are not.
    fn mount(folder: &Path) -> Option<Self> {
        let at = folder.join("disk");
        std::fs::create_dir(&at).unwrap();
        for sudo in [&[][..], &["sudo", "-n"]] {
            let mut words = sudo.iter().copied().chain(["mount", "-t", "tmpfs", "-o", SIZE, "tmpfs"]);
            let mut command = Command::new(words.next().unwrap());
            if command.args(words).arg(&at).output().is_ok_and(|done| done.status.success()) {
                return Some(Self(at));
            }
        }
        eprintln!("SKIPPED: no disk is filled, since this user may not mount one");
        let id = Command::new("id").arg("-u").output().unwrap();
        if id.stdout.trim_ascii() == b"0" {
            engine::testkit::skip("root cannot mount a tmpfs here");
        }
        None
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let lazily = |program: &mut Command| program.arg("-l").arg(&self.0).output().is_ok_and(|o| o.status.success());
        let _ = lazily(&mut Command::new("umount")) || lazily(Command::new("sudo").args(["-n", "umount"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing_and_is_over_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path()) else { return };
    let Some(world) = World::new(Place::sqlite().storing_in(&disk.0)).await else { return };
    let daemon = world.place.start().await;
    let load = world.load();
    let flows = async |more: u64| {
        let items = world.produced.counts().all();
        let grown = async || world.produced.counts().hooks > 10 && world.produced.counts().all() > items + more;
        assert!(until(Duration::from_secs(60), grown).await, "nothing flows\n{}", daemon.tail());
    };
    flows(60).await;
    disk.fill();
    let before = world.sender.answers();
    tokio::time::sleep(FULL).await;
    let during = world.sender.answers();
    disk.make_room();
    let told = during.get(&503).unwrap_or(&0) - before.get(&503).unwrap_or(&0);
    assert!(told > 0 && !during.contains_key(&0), "{before:?}, then {during:?}\n{}", daemon.tail());
    flows(60).await;
    load.stop().await;
    let figures = world.settle(&daemon).await;
    world.edits_stand().await;
    world.quiet().await;
    let log = daemon.log();
    assert!(log.contains("disk is full"), "{log}");
    daemon.stop().await;
    world.recorded_once().await;
    println!("{:?}, {figures:?}, hooks: {:?}", world.produced.counts(), world.sender.answers());
}
