//! The kernel's file systems, where they belong: what is mounted already stays.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::StatVfsMountFlags;
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_remount};

use crate::settings::CommandLine;

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

/// What an init that knows its trade mounts itself. Group 5 is tty, everywhere.
const REST: [Mount; 4] = [
    Mount {
        kind: "devpts",
        at: "/dev/pts",
        flags: MountFlags::NOSUID.union(MountFlags::NOEXEC),
        data: c"gid=5,mode=620,ptmxmode=666",
    },
    Mount { kind: "tmpfs", at: "/dev/shm", flags: MountFlags::NOSUID.union(MountFlags::NODEV), data: c"mode=1777" },
    Mount { kind: "tmpfs", at: "/run", flags: MountFlags::NOSUID.union(MountFlags::NODEV), data: c"mode=755" },
    Mount { kind: "cgroup2", at: "/sys/fs/cgroup", flags: QUIET, data: c"nsdelegate" },
];

/// What programs look for in /dev that the kernel does not make.
const LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// Mounts /proc, /sys and /dev; what did not work, in words.
pub(super) fn first() -> Vec<String> {
    mount_all(&FIRST)
}

/// Mounts the rest, and makes /tmp usable; what did not work, in words.
pub(super) fn rest() -> Vec<String> {
    let mut problems = mount_all(&REST);
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
    let flags = MountFlags::NOSUID.union(MountFlags::NODEV);
    if is_mount_point(path) { Ok(()) } else { Ok(mount("tmpfs", path, "tmpfs", flags, c"mode=1777")?) }
}

fn is_read_only(path: &str) -> bool {
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
