//! Disks that are full: of the store, and of the cache. Needs root, for file systems of any size.

use super::bench::{Bench, SMALL, import, keep, layers};
use crate::judges;
use crate::support::mount::Mount;
use crate::support::registry::user::soundness;
use crate::support::{Managed, Run};

const KIB: u64 = 1 << 10;

/// What a pull says of a disk that is full.
#[track_caller]
fn check(run: &Run, context: &str) {
    assert_eq!(run.code(), Some(7), "{context}: {run}");
    assert!(run.stderr().lines().any(|line| line.starts_with("error: ")), "{context}: {run}");
    assert!(run.stderr().contains("hint: "), "{context}: {run}");
    assert!(!run.stderr().contains("panicked"), "{context}: {run}");
}

/// Less room than it takes, a little more each time; in the end there is enough. What was kept before stays whole.
fn room(bench: &Bench, fills: &std::path::Path, more: &[&str]) {
    let (mut failed, mut succeeded) = (0, 0);
    for free in [0, 4, 16, 40, 80, 120, 200, 400, 800, 1600, 8000] {
        bench.reset();
        let ballast = fills.join("ballast");
        let available = available(fills);
        std::fs::write(&ballast, vec![1; usize::try_from(available.saturating_sub(free * KIB)).unwrap()]).unwrap();
        let mut command = bench.managed.command(bench.arguments());
        let run = Run::of(command.args(more));
        // The database itself wants some room to be read.
        std::fs::remove_file(&ballast).unwrap();
        let context = format!("{free} KiB of room");
        let is_there = bench.judge(&context);
        assert_eq!(is_there, run.code() == Some(0), "{context}: {run}");
        if is_there {
            succeeded += 1;
        } else {
            failed += 1;
            check(&run, &context);
        }
    }
    assert!(failed >= 3 && succeeded >= 1, "{failed} failed, {succeeded} succeeded");
}

/// Bytes that are free on a file system.
fn available(path: &std::path::Path) -> u64 {
    let run = crate::support::judge::ask(
        "df",
        [std::ffi::OsStr::new("--output=avail"), "--block-size=1".as_ref(), path.as_os_str()],
    );
    run.ok().stdout().lines().nth(1).unwrap().trim().parse().unwrap()
}

#[test]
fn the_disk_of_the_store_is_full() {
    judges!("root", "mount", "df");
    let managed = Managed::new();
    let mount = Mount::tmpfs(&managed.root(), 8 << 20);
    let bench = Bench::layers(managed);
    room(&bench, mount.path(), &[]);
    drop(bench);
    mount.unmount();
}

#[test]
fn the_disk_of_the_store_is_full_when_a_bundle_comes() {
    judges!("root", "mount", "df");
    let managed = Managed::new();
    let mount = Mount::tmpfs(&managed.root(), 8 << 20);
    let bench = Bench::bundle(managed);
    room(&bench, mount.path(), &[]);
    drop(bench);
    mount.unmount();
}

#[test]
fn the_disk_of_the_cache_is_full() {
    judges!("root", "mount", "df");
    let managed = Managed::new();
    let place = managed.user.path("cache-disk");
    let mount = Mount::tmpfs(&place, 2 << 20);
    let bench = Bench::layers(managed);
    let cache = place.join("cache");
    let (mut failed, mut succeeded) = (0, 0);
    for free in [0, 4, 16, 40, 60, 80, 100, 600] {
        bench.reset();
        let _ = std::fs::remove_dir_all(&cache);
        let ballast = place.join("ballast");
        let size = available(&place).saturating_sub(free * KIB);
        std::fs::write(&ballast, vec![1; usize::try_from(size).unwrap()]).unwrap();
        let run = Run::of(bench.managed.command(bench.arguments()).arg("--cache").arg(&cache));
        let context = format!("{free} KiB of room");
        let is_there = bench.judge(&context);
        assert_eq!(is_there, run.code() == Some(0), "{context}: {run}");
        soundness(&cache).unwrap_or_else(|reason| panic!("{context}: {reason}"));
        if is_there {
            succeeded += 1;
        } else {
            failed += 1;
            check(&run, &context);
        }
        std::fs::remove_file(&ballast).unwrap();
    }
    assert!(failed >= 3 && succeeded >= 1, "{failed} failed, {succeeded} succeeded");
    mount.unmount();
}

/// A store that does not even fit: nothing of it is in the way afterwards.
#[test]
fn a_store_on_a_disk_that_is_full() {
    judges!("root", "mount");
    for size in [4, 16, 64, 128] {
        let managed = Managed::new();
        let mount = Mount::tmpfs(&managed.root(), size * KIB);
        let run = managed.run(["pull", "demo:", "--no-kernel", "--quiet", "--size", "64M"]);
        check(&run, &format!("{size} KiB"));
        mount.unmount();
        let mount = Mount::tmpfs(&managed.root(), 16 << 20);
        keep(&managed, "fits", layers(5, 1000), &["--no-kernel"]);
        import(&managed, "linux");
        managed.assert_sound();
        assert_eq!(managed.images(), ["fits"], "{SMALL:?}");
        mount.unmount();
    }
}
