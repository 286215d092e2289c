//! Layers as others write them: without an end, and with large windows.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::args;
use crate::judges;
use crate::support::image::plain;
use crate::support::judge::{ask, e2fsck};
use crate::support::program::{PROGRAM, banger, source};
use crate::support::{Layout, Tar, scratch};

/// `umoci insert` writes a layer whose last member has nothing behind its data, not even what fills the block.
#[test]
fn layers_of_umoci_insert_are_read() {
    judges!("umoci", "e2fsck");
    let scratch = scratch();
    let layout = Layout::of(scratch.path().join("layout"), [Tar::new().file("etc/base", b"base")]);
    let file = scratch.path().join("file");
    std::fs::write(&file, "inserted, and no multiple of a block").unwrap();
    let image = format!("{}:latest", layout.path().display());
    ask("umoci", args!["insert", "--rootless", "--image", image, file, "/srv/file"]).ok();
    let out = scratch.path().join("image");
    plain(source("oci", layout.path()), &out, args![]);
    e2fsck(&out, &[]);
    let found = banger(args!["cat", out, "/srv/file"]).ok().stdout();
    assert_eq!(found, "inserted, and no multiple of a block");
}

const MIB: usize = 1 << 20;

/// A layer of zeros, compressed by `zstd` with a window of 2^`log` bytes.
fn with_window(log: u32, number: usize, size: usize) -> (Vec<u8>, Vec<u8>) {
    let archive = Tar::new().file(&format!("file{number}"), vec![0; size]).finish();
    let mut zstd = Command::new("zstd")
        .args(["-1", "-q", "-c", &format!("--long={log}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = zstd.stdin.take().unwrap();
    let blob = std::thread::scope(|scope| {
        let archive = &archive;
        scope.spawn(move || stdin.write_all(archive).unwrap());
        zstd.wait_with_output().unwrap().stdout
    });
    (archive, blob)
}

/// Several layers with windows of 512 MiB, which the decoders of containerd and podman take: they are read one after the
/// other, however many threads there are, so that memory is that of one.
#[test]
fn large_windows_of_zstd_take_turns() {
    judges!("zstd", "e2fsck");
    const SIZE: usize = 192 * MIB;
    let scratch = scratch();
    let layers = [0, 1, 2, 3].map(|number| with_window(29, number, SIZE));
    let layout = Layout::of_zstd(scratch.path().join("layout"), layers);
    let out = scratch.path().join("image");
    // Not through `command`, which has a process of its own to watch the time.
    let mut child = Command::new(PROGRAM)
        .env_clear()
        .stdin(Stdio::null())
        .args(args!["build", source("oci", layout.path()), "-o", out, "--no-sync", "--guest", "none", "--jobs", "4"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;
    let status = loop {
        let text = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    assert!(status.success());
    let peak: usize = peak * 1024;
    // One window with what has been written of it, and what any build takes.
    assert!((SIZE..SIZE + 128 * MIB).contains(&peak), "{} MiB", peak / MIB);
    e2fsck(&out, &[]);
    for number in 0..4 {
        let listed = banger(args!["stat", "--json", out, format!("/file{number}")]).ok().stdout();
        let facts: serde_json::Value = serde_json::from_str(&listed).unwrap();
        assert_eq!(facts["size"], SIZE, "{listed}");
    }
}

#[test]
fn the_largest_window_of_zstd_can_be_set() {
    judges!("zstd");
    let scratch = scratch();
    let layout = Layout::of_zstd(scratch.path().join("layout"), [with_window(30, 0, 5)]);
    let out = scratch.path().join("image");
    let build = || args!["build", source("oci", layout.path()), "-o", out, "--no-sync", "--guest", "none", "--json"];
    banger(build())
        .expect(6)
        .says("needs a window of 1073741824 bytes, more than the 536870912 allowed")
        .says("where there is memory for it, set zstd_window_mib = 1024 in config.toml");
    let config = scratch.path().join("config.toml");
    std::fs::write(&config, "zstd_window_mib = 1024\n").unwrap();
    banger(build().into_iter().chain(args!["--config", config])).ok();
    assert_eq!(banger(args!["cat", out, "/file0"]).ok().stdout(), "\0\0\0\0\0");
}
