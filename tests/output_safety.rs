//! The output appears when it is complete, and whatever happens before that leaves nothing but what was there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::args;
use crate::judges;
use crate::support::image::{assert_same, build};
use crate::support::judge::{ask, e2fsck};
use crate::support::mount::Mount;
use crate::support::program::{PROGRAM, banger, source};
use crate::support::{Corpus, Layout, Tar, scratch};

/// Everything in a directory: names and, of files, content.
fn snapshot(directory: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).ok())
    });
    entries.collect()
}

fn small_layout(directory: &Path) -> Layout {
    let many =
        (0..2000).fold(Tar::new(), |tar, number| tar.file(&format!("many/{number}"), format!("{number}").repeat(1500)));
    Layout::of(directory, [many.file("large", vec![b'x'; 3 << 20]), Tar::new().whiteout("many/1")])
}

/// An empty image of another kind, at the place where the image shall be.
const BEFORE: &[u8] = b"what was there before";

#[test]
fn an_existing_file_is_replaced_only_with_force() {
    let scratch = scratch();
    let layout = small_layout(&scratch.path().join("layout"));
    let image = scratch.path().join("image");
    std::fs::write(&image, BEFORE).unwrap();
    let source = source("oci", layout.path());
    banger(args!["build", source, "-o", image]).expect(2).says("hint: replace it with --force");
    assert_eq!(std::fs::read(&image).unwrap(), BEFORE);
    banger(args!["build", source, "-o", image, "--force"]).ok();
    e2fsck(&image, &[]);
}

/// A link is not followed: what it points to stays as it is.
#[test]
fn a_link_at_the_output_is_replaced_and_not_followed() {
    let scratch = scratch();
    let layout = small_layout(&scratch.path().join("layout"));
    let [image, precious] = ["image", "precious"].map(|name| scratch.path().join(name));
    std::fs::write(&precious, BEFORE).unwrap();
    for target in [precious.as_path(), Path::new("dangling")] {
        std::os::unix::fs::symlink(target, &image).unwrap();
        banger(args!["build", source("oci", layout.path()), "-o", image]).expect(2);
        assert!(image.is_symlink());
        banger(args!["build", source("oci", layout.path()), "-o", image, "--force"]).ok();
        assert!(!image.is_symlink());
        std::fs::remove_file(&image).unwrap();
    }
    assert_eq!(std::fs::read(&precious).unwrap(), BEFORE);
    assert!(!scratch.path().join("dangling").exists());
}

#[test]
fn an_error_leaves_what_was_there() {
    let scratch = scratch();
    let outputs = scratch.path().join("outputs");
    std::fs::create_dir(&outputs).unwrap();
    std::fs::write(outputs.join("old"), BEFORE).unwrap();
    // The second layer is bad: the first one has been written when that is found.
    let layout = Layout::of(
        scratch.path().join("layout"),
        [Tar::new().file("large", vec![b'x'; 8 << 20]), Tar::new().hardlink("link", "nothing")],
    );
    let before = snapshot(&outputs);
    for name in ["old", "new"] {
        banger(args!["build", source("oci", layout.path()), "-o", outputs.join(name), "--force"]).expect(6);
        assert_eq!(snapshot(&outputs), before);
    }
}

/// As little room as there can be, then more and more, so that it runs out at every stage.
#[test]
fn a_full_disk_leaves_what_was_there() {
    judges!("root", "mount", "e2fsck");
    let scratch = scratch();
    let layout = small_layout(&scratch.path().join("layout"));
    let mut failures = 0;
    for room in (1..).map(|step| step << 19) {
        let disk = Mount::tmpfs(&scratch.path().join("disk"), room);
        let image = disk.path().join("image");
        std::fs::write(&image, BEFORE).unwrap();
        let before = snapshot(disk.path());
        let run = banger(args!["build", source("oci", layout.path()), "-o", image, "--force"]);
        if run.code() == Some(0) {
            e2fsck(&image, &[]);
            disk.unmount();
            break;
        }
        run.expect(7).says("No space left on device").says("hint: make room on the disk of ");
        assert_eq!(snapshot(disk.path()), before, "with room for {room} bytes");
        disk.unmount();
        failures += 1;
        assert!(room < 256 << 20, "it never fits");
    }
    assert!(failures > 10, "the disk was full only {failures} times");
}

#[test]
fn a_disk_that_cannot_be_written_is_an_error() {
    judges!("root", "mount");
    let scratch = scratch();
    let layout = small_layout(&scratch.path().join("layout"));
    let disk = Mount::tmpfs(&scratch.path().join("disk"), 1 << 20);
    ask("mount", args!["-o", "remount,ro", disk.path()]).ok();
    let image = disk.path().join("image");
    banger(args!["build", source("oci", layout.path()), "-o", image]).expect(1).says("Read-only file system");
    disk.unmount();
}

#[test]
fn a_size_that_is_too_small_is_answered_with_one_that_works() {
    judges!("e2fsck");
    let scratch = scratch();
    let many =
        (0..3000).fold(Tar::new(), |tar, number| tar.file(&format!("d{}/{number}", number % 17), format!("{number}")));
    let large = Tar::new().file("large", vec![b'x'; 70 << 20]);
    let superseded = Tar::new().file("old", vec![b'y'; 40 << 20]);
    let layout = Layout::of(scratch.path().join("layout"), [superseded, many, large, Tar::new().whiteout("old")]);
    let image = scratch.path().join("image");
    let tried = banger(args!["build", source("oci", layout.path()), "-o", image, "--size", "64M"]).expect(7);
    assert!(!image.exists());
    let message = tried.stderr();
    let size = message.lines().find_map(|line| line.strip_prefix("hint: --size ")).expect(&message);
    let size = size.split(' ').next().unwrap();

    let report = build(source("oci", layout.path()), &image, args!["--size", size]);
    e2fsck(&image, &[]);
    let length = image.metadata().unwrap().len();
    assert_eq!(report.0["size"], length);
    let mebibytes: u64 = size.strip_suffix('M').expect(size).parse().unwrap();
    assert_eq!(length, mebibytes << 20, "--size is not exceeded");
    let less = format!("{}M", mebibytes - 1);
    banger(args!["build", source("oci", layout.path()), "-o", image, "--force", "--size", less]).expect(7);
}

/// Lines of progress that a build of two layers prints, and one more.
const LINES: std::ops::Range<usize> = 0..8;

#[test]
fn killed_at_any_moment() {
    let between = (0..6).map(|step| Moment::After(Duration::from_millis(step * step * 25)));
    interrupted("KILL", 9, LINES.map(Moment::Line).chain(between));
}

#[test]
fn interrupted_with_ctrl_c() {
    interrupted("INT", 2, LINES.map(Moment::Line));
}

/// Sends a signal at these moments: nothing comes of the build, or all of it.
fn interrupted(signal: &str, number: i32, moments: impl Iterator<Item = Moment>) {
    judges!("kill", "e2fsck");
    let Some(corpus) = Corpus::get("debian-boot") else { return };
    let scratch = scratch();
    let outputs = scratch.path().join("outputs");
    std::fs::create_dir(&outputs).unwrap();
    std::fs::write(outputs.join("old"), BEFORE).unwrap();
    let complete = scratch.path().join("complete");
    build(source("oci", &corpus.layout), &complete, []);
    let before = snapshot(&outputs);

    let mut caught = 0;
    for moment in moments {
        for name in ["old", "new"] {
            let output = outputs.join(name);
            let mut command = Command::new(PROGRAM);
            command.env_clear().args(args!["build", source("oci", &corpus.layout), "-o", output, "--force"]);
            let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
            moment.wait_for(&mut child);
            // When the process has ended by itself, nobody is there to receive it.
            let _ = ask("kill", [format!("-{signal}"), child.id().to_string()]);
            let status = child.wait().unwrap();
            if status.signal() == Some(number) {
                caught += 1;
                if output.exists() && std::fs::metadata(&output).unwrap().len() > BEFORE.len() as u64 {
                    // It came after the last step.
                    assert_same(&complete, &output);
                } else {
                    assert_eq!(snapshot(&outputs), before, "{moment:?}");
                }
            } else {
                assert!(status.success(), "{moment:?}: {status}");
                assert_same(&complete, &output);
            }
            let _ = std::fs::remove_file(outputs.join("new"));
            std::fs::write(outputs.join("old"), BEFORE).unwrap();
        }
    }
    assert!(caught > 8, "only {caught} signals arrived in time");
}

#[derive(Debug)]
enum Moment {
    /// This many lines have been read on standard error.
    Line(usize),
    /// This much time has passed.
    After(Duration),
}

impl Moment {
    fn wait_for(&self, child: &mut Child) {
        match self {
            Self::Line(line) => {
                let stderr = BufReader::new(child.stderr.as_mut().unwrap());
                stderr.lines().take(*line).for_each(drop);
            }
            Self::After(time) => std::thread::sleep(*time),
        }
    }
}
