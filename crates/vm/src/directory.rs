//! What a machine has on the host: a directory of its own, below one for all machines of a user.
//!
//! ```text
//! MACHINES/lock             held while directories are made or cleaned up
//! MACHINES/ID/lock          held as long as the machine has somebody who looks after it
//! MACHINES/ID/machine.json  [`Record`]
//! MACHINES/ID/serial.log    its serial console
//! MACHINES/ID/qemu.log      what QEMU and its helper printed
//! MACHINES/ID/overlay.qcow2 what its disk has on top of the image
//! MACHINES/ID/*.pid         its processes
//! MACHINES/ID/sockets/      its sockets, unless the path is too long for them
//! ```
//!
//! Locks end with their process. So a directory that nobody holds was left by somebody who has gone, perhaps in a crash: what still runs
//! of it is killed, and the directory is removed if that was to be done at the end.

use std::fs::{DirBuilder, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::error::{At, Error, Result};
use crate::limits::RECORD_BYTES;

const LOCK: &str = "lock";
const RECORD: &str = "machine.json";
/// Hexadecimal digits of a machine's id.
const ID_DIGITS: usize = 12;
/// Bytes of a unix socket's path (unix(7), `sun_path`, less the zero at its end).
const SOCKET_PATH: usize = 107;
/// Bytes of the longest name of a socket, of what is put beside it, and the slash before it.
const SOCKET_NAME: usize = 16;
/// The directory of sockets in a machine's own.
const SOCKETS: &str = "sockets";
/// Bytes that `st_blocks` counts in, whatever the file system.
const STAT_BLOCK: u64 = 512;
/// Only the user: a machine's console, disk and sockets are nobody else's business.
const MODE: u32 = 0o700;

/// What the next one must know of a machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Whether the directory is removed when the machine ends.
    pub remove: bool,
    /// The image that it runs from, as it was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Where its sockets are.
    pub sockets: PathBuf,
    /// The socket that leads to each vsock port of the guest, where it is reached that way: `CONNECT PORT\n` is answered with `OK …\n`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vsock: Option<PathBuf>,
}

/// A machine's directory, which is ours.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    id: String,
    record: Record,
    _lock: Lock,
}

impl Directory {
    /// Makes one, and cleans up what others have left. With `remove` it is removed when this is dropped.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(machines: &Path, remove: bool) -> Result<Self> {
        let machines = &std::path::absolute(machines).at("find", machines)?;
        DirBuilder::new().recursive(true).mode(MODE).create(machines).at("create", machines)?;
        let _all = lock_all(machines)?;
        clean(machines);
        let id = id();
        let path = machines.join(&id);
        DirBuilder::new().mode(MODE).create(&path).at("create", &path)?;
        let lock = lock_file(&path)?;
        lock.0.try_lock().map_err(io::Error::from).at("lock", &path.join(LOCK))?;
        let sockets = sockets(&path, &id)?;
        let record = Record { remove, image: None, sockets, vsock: None };
        let directory = Self { path, id, record, _lock: lock };
        directory.write_record()?;
        Ok(directory)
    }

    /// It is not removed at the end.
    pub(crate) fn keep(&mut self) -> Result<()> {
        self.record.remove = false;
        self.write_record()
    }

    /// The machine runs from this image.
    ///
    /// # Errors
    /// That cannot be recorded.
    pub fn set_image(&mut self, image: &str) -> Result<()> {
        self.record.image = Some(image.to_owned());
        self.write_record()
    }

    /// The machine's vsock is behind this socket.
    pub(crate) fn leads_by(&mut self, socket: &Path) -> Result<()> {
        self.record.vsock = Some(socket.to_owned());
        self.write_record()
    }

    /// Another process sees the one record or the next, never half of one.
    fn write_record(&self) -> Result<()> {
        let file = self.file(RECORD);
        let text = serde_json::to_vec_pretty(&self.record).map_err(io::Error::from).at("write", &file)?;
        let next = self.file("machine.json.next");
        std::fs::write(&next, text).at("write", &next)?;
        std::fs::rename(&next, &file).at("write", &file)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the machine is called.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A socket, of which the path is not too long.
    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        self.record.sockets.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed now, the next one removes.
        let _ = std::fs::remove_dir_all(&self.record.sockets);
        if self.record.remove {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// A machine that has ended, and was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What it was called.
    pub id: String,
    /// The image that it ran from, as it was named.
    pub image: Option<String>,
    /// When it was started.
    pub started: Option<SystemTime>,
    /// Bytes on the disk that its directory takes up.
    pub size: u64,
}

/// The machines that have ended and were kept, by their ids; `remove` has their directories removed.
///
/// # Errors
/// The directory of machines cannot be read, or one of them cannot be removed.
pub fn ended(machines: &Path, remove: bool) -> Result<Vec<Ended>> {
    if !machines.is_dir() {
        return Ok(Vec::new());
    }
    let _all = lock_all(machines)?;
    clean(machines);
    let mut ended = Vec::new();
    for entry in std::fs::read_dir(machines).at("read", machines)?.flatten() {
        let name = entry.file_name();
        let Some(id) = name.to_str().filter(|name| is_id(name)) else { continue };
        let path = entry.path();
        let lock = lock_file(&path)?;
        if lock.0.try_lock().is_err() {
            continue;
        }
        // The lock is made when the machine is started, and never written to.
        let started = lock.0.metadata().and_then(|metadata| metadata.modified()).ok();
        let image = read_record(&path).and_then(|record| record.image);
        ended.push(Ended { id: id.to_owned(), image, started, size: size(&path) });
        if remove {
            std::fs::remove_dir_all(&path).at("remove", &path)?;
        }
    }
    ended.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(ended)
}

/// The machines that a process looks after, by their ids.
///
/// # Errors
/// The directory of machines cannot be read.
pub fn running(machines: &Path) -> Result<Vec<String>> {
    if !machines.is_dir() {
        return Ok(Vec::new());
    }
    let _all = lock_all(machines)?;
    let mut running = Vec::new();
    for entry in std::fs::read_dir(machines).at("read", machines)?.flatten() {
        let name = entry.file_name();
        let Some(id) = name.to_str().filter(|name| is_id(name)) else { continue };
        if lock_file(&entry.path())?.0.try_lock().is_err() {
            running.push(id.to_owned());
        }
    }
    running.sort();
    Ok(running)
}

/// Bytes on the disk of the files in a directory that have no other name.
fn size(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| entry.metadata().ok()).filter(|file| file.nlink() == 1);
    files.map(|file| file.blocks().saturating_mul(STAT_BLOCK)).fold(0, u64::saturating_add)
}

/// Kills what is left of machines that nobody looks after any more, and removes what was to be removed. What fails is left for the next.
fn clean(machines: &Path) {
    let Ok(entries) = std::fs::read_dir(machines) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(id) = name.to_str().filter(|name| is_id(name)) else { continue };
        let path = entry.path();
        let Ok(lock) = lock_file(&path) else { continue };
        if lock.0.try_lock().is_ok() {
            clean_one(&path, id);
        }
    }
}

fn clean_one(path: &Path, id: &str) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        let file = entry.path();
        if file.extension().is_some_and(|extension| extension == "pid") {
            kill_recorded(&file, id);
            let _ = std::fs::remove_file(&file);
        }
    }
    let record = read_record(path);
    if let Some(record) = &record {
        let _ = std::fs::remove_dir_all(&record.sockets);
    }
    // Who was killed before there was a record had not begun.
    if record.is_none_or(|record| record.remove) {
        let _ = std::fs::remove_dir_all(path);
    }
}

/// Kills the process of which the id stands in a file, if it is still the one of which it was written: the machine's id stands in the
/// command line of each.
fn kill_recorded(file: &Path, id: &str) -> Option<()> {
    let text = std::fs::read_to_string(file).ok()?;
    let pid = Pid::from_raw(text.trim().parse().ok().filter(|pid: &i32| *pid > 0)?)?;
    // First a hold on the process, so that what is looked at and what is killed are the same.
    let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_pid())).ok()?;
    if line.windows(id.len()).any(|window| window == id.as_bytes()) {
        pidfd_send_signal(process, Signal::KILL).ok()?;
    }
    Some(())
}

fn read_record(path: &Path) -> Option<Record> {
    let mut text = Vec::new();
    File::open(path.join(RECORD)).ok()?.take(RECORD_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Makes a directory for sockets: in the machine's own, unless its path is too long or has what lists of options use otherwise.
fn sockets(path: &Path, id: &str) -> Result<PathBuf> {
    let fits = |path: &Path| {
        let bytes = path.as_os_str().as_bytes();
        let plain = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+@ ".contains(byte));
        plain && bytes.len() <= SOCKET_PATH.saturating_sub(SOCKET_NAME)
    };
    let own = path.join(SOCKETS);
    if fits(&own) {
        DirBuilder::new().mode(MODE).create(&own).at("create", &own)?;
        return Ok(own);
    }
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let places = runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]);
    for place in places.filter(|place| place.is_absolute()) {
        let sockets = place.join(format!("banger-{id}"));
        // Made anew, so it is ours: nobody else can have put anything into it.
        if fits(&sockets) && DirBuilder::new().mode(MODE).create(&sockets).is_ok() {
            return Ok(sockets);
        }
    }
    Err(Error::TooLarge { what: "the path of the machine's directory", size: path.as_os_str().len() as u64 })
}

/// The file of a lock. A process that is just being started has a copy of it for a moment, so closing it does not let the lock go.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Where that fails it goes with the last copy.
        let _ = self.0.unlock();
    }
}

fn lock_all(machines: &Path) -> Result<Lock> {
    let lock = lock_file(machines)?;
    lock.0.lock().at("lock", &machines.join(LOCK))?;
    Ok(lock)
}

fn lock_file(directory: &Path) -> Result<Lock> {
    let path = directory.join(LOCK);
    File::options().create(true).truncate(false).write(true).open(&path).at("open", &path).map(Lock)
}

fn id() -> String {
    // Hash maps are seeded with random numbers.
    let random = RandomState::new().build_hasher().finish();
    let digits = format!("{random:016x}");
    digits.get(..ID_DIGITS).unwrap_or(&digits).to_owned()
}

fn is_id(name: &str) -> bool {
    name.len() == ID_DIGITS && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// What a crash leaves: nobody holds the lock, and nothing was cleaned up.
    fn abandon(directory: Directory) -> PathBuf {
        let Directory { path, .. } = &directory;
        let copy = path.clone();
        let saved = path.with_extension("saved");
        std::fs::rename(path, &saved).unwrap();
        drop(directory);
        std::fs::rename(saved, &copy).unwrap();
        copy
    }

    #[test]
    fn it_is_private_and_goes_when_it_is_to() {
        use std::os::unix::fs::PermissionsExt;
        let machines = tempfile::tempdir().unwrap();
        for remove in [true, false] {
            let directory = Directory::create(machines.path(), remove).unwrap();
            let path = directory.path().to_owned();
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, MODE);
            drop(directory);
            assert_eq!(path.exists(), !remove);
        }
    }

    #[test]
    fn what_a_crash_leaves_is_cleaned_up_by_the_next() {
        let machines = tempfile::tempdir().unwrap();
        let held = Directory::create(machines.path(), true).unwrap();
        let gone = abandon(Directory::create(machines.path(), true).unwrap());
        let kept = abandon(Directory::create(machines.path(), false).unwrap());
        let half = machines.path().join("0123456789ab");
        std::fs::create_dir(&half).unwrap();
        let foreign = machines.path().join("somebody's");
        std::fs::create_dir(&foreign).unwrap();
        drop(Directory::create(machines.path(), true).unwrap());
        assert!(held.path().exists() && kept.exists() && foreign.exists());
        assert!(!gone.exists() && !half.exists());
    }

    #[test]
    fn machines_that_have_ended_can_be_listed_and_removed() {
        let machines = tempfile::tempdir().unwrap();
        assert_eq!(ended(&machines.path().join("none"), true).unwrap(), []);
        let running = Directory::create(machines.path(), false).unwrap();
        let over = Directory::create(machines.path(), false).unwrap();
        std::fs::write(over.file("overlay.qcow2"), [1; 10_000]).unwrap();
        let (id, path) = (over.id().to_owned(), over.path().to_owned());
        drop(over);
        assert_eq!(super::running(machines.path()).unwrap(), [running.id()]);
        assert_eq!(super::running(&machines.path().join("none")).unwrap(), [""; 0]);
        let found = ended(machines.path(), false).unwrap();
        assert_eq!(found.iter().map(|ended| &ended.id).collect::<Vec<_>>(), [&id]);
        assert!(found[0].size >= 10_000 && path.exists());
        assert_eq!(ended(machines.path(), true).unwrap(), found);
        assert!(!path.exists() && running.path().exists());
        assert_eq!(ended(machines.path(), true).unwrap(), []);
    }

    #[test]
    fn processes_that_are_left_are_killed_and_others_are_not() {
        let machines = tempfile::tempdir().unwrap();
        let directory = Directory::create(machines.path(), false).unwrap();
        let sleep = |name: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", "echo; read -r _", name]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            // What has just been started has no command line yet.
            child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
            child
        };
        let (mut ours, mut other) = (sleep(directory.id()), sleep("other"));
        std::fs::write(directory.file("qemu.pid"), format!("{}\n", ours.id())).unwrap();
        std::fs::write(directory.file("vsock.pid"), format!("{}\n", other.id())).unwrap();
        std::fs::write(directory.file("bad.pid"), "-1\n").unwrap();
        let path = abandon(directory);
        drop(Directory::create(machines.path(), true).unwrap());
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ours.wait().unwrap()), Some(9));
        assert!(other.try_wait().unwrap().is_none());
        drop(other.stdin.take());
        assert!(other.wait().is_ok());
        assert!(path.exists() && !path.join("qemu.pid").exists());
    }

    #[test]
    fn sockets_have_short_paths() {
        let machines = tempfile::tempdir().unwrap();
        let deep = machines.path().join("x".repeat(100));
        let directory = Directory::create(&deep, true).unwrap();
        let socket = directory.socket("s0");
        assert!(socket.as_os_str().len() <= SOCKET_PATH);
        std::os::unix::net::UnixListener::bind(&socket).unwrap();
        drop(directory);
        assert!(!socket.parent().unwrap().exists());
    }
}
