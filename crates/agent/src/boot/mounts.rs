//! The kernel's file systems, where they belong: what is mounted already stays.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::StatVfsMountFlags;
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change, mount_remount};

use banger_protocol::paths;

use super::copy;
use crate::settings::CommandLine;

/// What programs keep there is about what runs.
const RUN: &str = "/run";

/// A file system that is mounted.
struct Mount {
    kind: &'static str,
    at: &'static str,
    flags: MountFlags,
    data: &'static std::ffi::CStr,
}

const QUIET: MountFlags = MountFlags::NOSUID.union(MountFlags::NOEXEC).union(MountFlags::NODEV);

/// What everybody needs, an init too.
const FIRST: [Mount; 3] = [
    Mount { kind: "proc", at: "/proc", flags: QUIET, data: c"" },
    Mount { kind: "sysfs", at: "/sys", flags: QUIET, data: c"" },
    Mount { kind: "devtmpfs", at: "/dev", flags: MountFlags::NOSUID, data: c"mode=755" },
];

const MEMORY: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// What an init that knows its trade mounts itself, and container runtimes do. Group 5 is tty, everywhere. /dev/shm may have half of the memory,
/// as the kernel has it: the machine's memory is the program's own, and the 64 MiB of a container are too few for browsers and databases.
const REST: [Mount; 4] = [
    Mount {
        kind: "devpts",
        at: "/dev/pts",
        flags: MountFlags::NOSUID.union(MountFlags::NOEXEC),
        data: c"gid=5,mode=620,ptmxmode=666",
    },
    Mount { kind: "tmpfs", at: "/dev/shm", flags: QUIET, data: c"mode=1777" },
    Mount { kind: "mqueue", at: "/dev/mqueue", flags: QUIET, data: c"" },
    Mount { kind: "cgroup2", at: "/sys/fs/cgroup", flags: QUIET, data: c"nsdelegate" },
];

/// What programs look for in /dev that the kernel does not make.
const LINKS: [(&str, &str); 5] = [
    ("/dev/core", "/proc/kcore"),
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// Mounts /proc, /sys and /dev; what did not work, in words.
pub(super) fn first() -> Vec<String> {
    mount_all(&FIRST)
}

/// Mounts the rest, and makes /run and /tmp usable; what did not work, in words.
///
/// `keeps_run` is for images that are written for container runtimes, which mount nothing at /run: it is the image's, and what is written
/// there stays. An init expects it to be as new at each boot.
pub(super) fn rest(keeps_run: bool) -> Vec<String> {
    let mut problems = mount_all(&REST);
    let run = if keeps_run && !is_read_only("/") { own_runtime() } else { runtime_in_memory() };
    problems.extend(run.err().map(|error| format!("{RUN}: {error}")));
    for (link, target) in LINKS {
        match symlink(target, link) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => problems.push(format!("{link}: {error}")),
            _ => {}
        }
    }
    if let Err(error) = temporary() {
        problems.push(format!("/tmp: {error}"));
    }
    problems
}

/// Without a word about it on the command line, the kernel mounts the root read-only, for an init that checks it first. Here is none, and
/// nothing to be checked: the journal has been replayed.
pub(super) fn make_root_writable(line: &CommandLine) -> io::Result<()> {
    let said = line.flag("ro") || line.flag("rw");
    if said || !is_read_only("/") {
        return Ok(());
    }
    Ok(mount_remount("/", MountFlags::empty(), c"")?)
}

/// /run is the image's: only the agent's own directory in it is in memory.
fn own_runtime() -> io::Result<()> {
    mount_one(&Mount { kind: "tmpfs", at: paths::RUN, flags: QUIET, data: c"mode=755" })
}

/// /run is in memory, and has what the image has there.
fn runtime_in_memory() -> io::Result<()> {
    let path = Path::new(RUN);
    if is_mount_point(path) {
        return Ok(());
    }
    let image = match File::open(path) {
        Ok(directory) => Some(directory),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    mount_one(&Mount { kind: "tmpfs", at: RUN, flags: MEMORY, data: c"mode=755" })?;
    // Behind its descriptor is what the image has, whatever is mounted on it now.
    image.map_or(Ok(()), |image| copy::tree(&image, path))
}

/// What is mounted by the workload, which has a mount namespace of its own, is there for the agent too, and the other way round.
pub(super) fn share() -> io::Result<()> {
    Ok(mount_change("/", MountPropagationFlags::SHARED | MountPropagationFlags::REC)?)
}

/// /tmp is the image's, where there can be one; else it is in memory.
fn temporary() -> io::Result<()> {
    let path = Path::new("/tmp");
    if !is_read_only("/") {
        if !path.exists() {
            DirBuilder::new().mode(0o1777).create(path)?;
            // The process's mask takes away what everybody needs here.
            fs::set_permissions(path, fs::Permissions::from_mode(0o1777))?;
        }
        return Ok(());
    }
    if is_mount_point(path) { Ok(()) } else { Ok(mount("tmpfs", path, "tmpfs", MEMORY, c"mode=1777")?) }
}

pub(super) fn is_read_only(path: &str) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|status| status.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn mount_all(mounts: &[Mount]) -> Vec<String> {
    mounts.iter().filter_map(|mount| mount_one(mount).err().map(|error| format!("{}: {error}", mount.at))).collect()
}

fn mount_one(wanted: &Mount) -> io::Result<()> {
    let path = Path::new(wanted.at);
    if is_mount_point(path) {
        return Ok(());
    }
    // Of what the kernel makes in its own file systems nothing is missing; on the root, an image may lack anything.
    if let Err(error) = DirBuilder::new().recursive(true).mode(0o755).create(path)
        && !path.is_dir()
    {
        return Err(error);
    }
    match mount(wanted.kind, path, wanted.kind, wanted.flags, wanted.data) {
        // EBUSY: it stands there already.
        Ok(()) | Err(Errno::BUSY) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn is_mount_point(path: &Path) -> bool {
    let Some(parent) = path.parent() else { return true };
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    device(path).is_some_and(|inside| device(parent) != Some(inside))
}

/// Standard input, output and error become the console; where there is none, they stay what they are.
pub(super) fn open_console() -> io::Result<()> {
    let console = File::options().read(true).write(true).open("/dev/console")?;
    rustix::stdio::dup2_stdin(&console)?;
    rustix::stdio::dup2_stdout(&console)?;
    rustix::stdio::dup2_stderr(&console)?;
    Ok(())
}
