//! System calls that have no safe binding in the standard library or in rustix: the only unsafe code of the project.
//!
//! - between fork and exec: [`prepare`] gives a [`Command`] its [`Credentials`], its [`Session`] and its [`MountNamespace`]
//! - namespaces: [`new_pid_namespace`], for the processes that a thread starts
//! - signals: [`kill`] (of any number), [`block_signals`], [`wait_signal`]
//! - vsock(7): [`vsock_listen`], [`vsock_accept`]
//! - [`bind_to_device`] (socket(7)), [`grow_ext4`] (the kernel's `EXT4_IOC_RESIZE_FS`)
//!
//! Each is as thin as it can be: what is done with it, and when, is decided elsewhere.

#![expect(unsafe_code, reason = "each block says why it is sound; nothing outside of this file needs any")]

use std::ffi::{CString, c_int};
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Gid, Uid};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use crate::rlimits::Limits;

/// Whom a process is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// The session that a process is to be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// The one of its parent.
    Inherited,
    /// A new one, which it leads, as it does its process group.
    New,
    /// A new one, whose terminal is its standard input.
    Terminal,
}

/// The mount namespace that a process is to be in.
#[derive(Clone, Debug)]
pub enum MountNamespace {
    /// The one of its parent.
    Inherited,
    /// A new one, a copy of its parent's but for a `/proc` of the process's own PID namespace.
    OwnProc,
    /// The one behind this file of `/proc/PID/ns/mnt`. There the process begins in a directory.
    Joined(Arc<OwnedFd>, CString),
}

/// What a process is to be.
#[derive(Clone, Debug)]
pub struct Preparation {
    /// The user; its parent's where there is none.
    pub credentials: Option<Credentials>,
    /// The session.
    pub session: Session,
    /// The mount namespace.
    pub mount: MountNamespace,
    /// Limits, in place of its parent's.
    pub limits: Limits,
}

impl Preparation {
    /// A process of its parent's user, which sees what its parent sees.
    pub fn plain(session: Session) -> Self {
        Self { credentials: None, session, mount: MountNamespace::Inherited, limits: Limits::new() }
    }
}

/// Where the kernel has it how ready a process is to be killed when memory ends (proc(5)).
const OOM_SCORE: &std::ffi::CStr = c"/proc/self/oom_score_adj";

/// What [`Command`] is to do between fork and exec. No signal is blocked any more ([`block_signals`] would be inherited), the agent's own
/// protection from the end of memory is given up, and the mask of new files is the usual one. Setting the user comes last: what comes
/// before may need root.
pub fn prepare(command: &mut Command, preparation: Preparation) {
    let Preparation { credentials, session, mount: namespace, limits } = preparation;
    let credentials = credentials.map(|credentials| {
        let groups: Vec<Gid> = credentials.groups.iter().map(|&gid| Gid::from_raw(gid)).collect();
        (Uid::from_raw(credentials.uid), Gid::from_raw(credentials.gid), groups)
    });
    let none = signal_set(&[]);
    let before_exec = move || {
        set_signal_mask(libc::SIG_SETMASK, &none)?;
        rustix::process::umask(Mode::WGRP | Mode::WOTH);
        // It is inherited. Where it cannot be written (no /proc, a test of another user), the agent has not set it either.
        if let Ok(score) = rustix::fs::open(OOM_SCORE, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            let _ = rustix::io::write(score, b"0");
        }
        enter(&namespace)?;
        for (resource, limit) in &limits {
            rustix::process::setrlimit(*resource, *limit)?;
        }
        if session != Session::Inherited {
            rustix::process::setsid()?;
        }
        if session == Session::Terminal {
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
        }
        if let Some((uid, gid, groups)) = &credentials {
            rustix::thread::set_thread_groups(groups)?;
            rustix::thread::set_thread_res_gid(*gid, *gid, *gid)?;
            rustix::thread::set_thread_res_uid(*uid, *uid, *uid)?;
        }
        Ok(())
    };
    // SAFETY: the closure makes plain system calls, allocates nothing and takes no lock, so that it may run in the child of a process
    // with several threads (signal-safety(7)). The child has one thread, whose credentials are those of the process.
    unsafe { command.pre_exec(before_exec) };
}

/// Goes to a mount namespace. All paths are C strings already, so that nothing is allocated for them.
fn enter(namespace: &MountNamespace) -> io::Result<()> {
    match namespace {
        MountNamespace::Inherited => {}
        MountNamespace::OwnProc => {
            // SAFETY: no file descriptors are unshared, which is all that can be unsound about it.
            unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
            // What is mounted elsewhere is seen on both sides, as long as it was shared before; this one is for this process alone.
            mount_change(c"/proc", MountPropagationFlags::PRIVATE)?;
            let flags = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
            mount(c"proc", c"/proc", c"proc", flags, None)?;
        }
        MountNamespace::Joined(file, directory) => {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Mount))?;
            rustix::process::chdir(directory.as_c_str())?;
        }
    }
    Ok(())
}

/// What this thread starts from now on is in a new PID namespace: the first process is PID 1 of it, and with its end all others end
/// (pid_namespaces(7)). The thread itself stays where it is, and can start no thread any more.
///
/// # Errors
/// As unshare(2).
pub fn new_pid_namespace() -> io::Result<()> {
    // SAFETY: no file descriptors are unshared, which is all that can be unsound about it.
    Ok(unsafe { unshare_unsafe(UnshareFlags::NEWPID) }?)
}

/// Sends a signal: to a process, to a process group (negative), to all (-1).
///
/// # Errors
/// As kill(2).
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill(2) takes two numbers.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// From now on these signals wait until [`wait_signal`] asks for them: in this thread and in the threads and programs that it starts, but
/// for those that [`prepare`] has prepared.
///
/// # Errors
/// As pthread_sigmask(3).
pub fn block_signals(signals: &[i32]) -> io::Result<()> {
    set_signal_mask(libc::SIG_BLOCK, &signal_set(signals))
}

fn set_signal_mask(how: c_int, set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: `set` is initialised; the old mask is not asked for.
    match unsafe { libc::pthread_sigmask(how, std::ptr::from_ref(set), std::ptr::null_mut()) } {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Waits until one of these signals, which must be blocked, arrives: its number, or `None` when the time is over before.
///
/// # Errors
/// As sigtimedwait(2).
pub fn wait_signal(signals: &[i32], timeout: Option<Duration>) -> io::Result<Option<i32>> {
    let set = signal_set(signals);
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `set` is initialised, `timeout` is null or points to a value that lives until the end of this function.
    match check(unsafe { libc::sigtimedwait(&raw const set, std::ptr::null_mut(), timeout) }) {
        Ok(signal) => Ok(Some(signal)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn signal_set(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: a set of signals is plain bits, for which zeros are a value; sigemptyset(3) then makes it the empty one.
    let mut set = unsafe { mem::zeroed() };
    // SAFETY: `set` is a valid place to write to. Signals that do not exist are refused and change nothing.
    unsafe {
        libc::sigemptyset(&raw mut set);
        for &signal in signals {
            libc::sigaddset(&raw mut set, signal);
        }
    }
    set
}

/// Bytes of an address of the vsock family.
const VSOCK_ADDRESS: libc::socklen_t = {
    let size = mem::size_of::<libc::sockaddr_vm>();
    assert!(size < 256);
    size as libc::socklen_t
};

/// A socket that listens on a vsock port for whoever connects.
///
/// # Errors
/// As socket(2), bind(2), listen(2); `EAFNOSUPPORT` where the kernel knows no vsock.
pub fn vsock_listen(port: u32) -> io::Result<OwnedFd> {
    // SAFETY: socket(2) takes three numbers.
    let socket = check(unsafe { libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the kernel has just made it; nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: an address is plain numbers, for which zeros are values.
    let mut address: libc::sockaddr_vm = unsafe { mem::zeroed() };
    address.svm_family = VSOCK_FAMILY;
    address.svm_cid = libc::VMADDR_CID_ANY;
    address.svm_port = port;
    // SAFETY: `address` lives, and has as many bytes as is said.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), VSOCK_ADDRESS) })?;
    // SAFETY: listen(2) takes two numbers.
    check(unsafe { libc::listen(socket.as_raw_fd(), BACKLOG) })?;
    Ok(socket)
}

/// Connections that wait to be accepted.
const BACKLOG: c_int = 64;

/// The family as it stands in an address.
const VSOCK_FAMILY: libc::sa_family_t = {
    assert!(libc::AF_VSOCK == 40);
    40
};

/// Waits for a connection: its stream, and the context id of who connected.
///
/// # Errors
/// As accept(2).
pub fn vsock_accept(socket: BorrowedFd<'_>) -> io::Result<(OwnedFd, u32)> {
    // SAFETY: an address is plain numbers, for which zeros are values.
    let mut address: libc::sockaddr_vm = unsafe { mem::zeroed() };
    let mut length = VSOCK_ADDRESS;
    // SAFETY: `address` lives, and `length` says how many bytes may be written to it.
    let accepted = check(unsafe {
        libc::accept4(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut length, libc::SOCK_CLOEXEC)
    })?;
    // SAFETY: the kernel has just made it; nobody else has it.
    let accepted = unsafe { OwnedFd::from_raw_fd(accepted) };
    // An address of another length or family says nothing about who it is.
    let known = length == VSOCK_ADDRESS && address.svm_family == VSOCK_FAMILY;
    Ok((accepted, if known { address.svm_cid } else { libc::VMADDR_CID_ANY }))
}

/// Has a socket send and receive through one network interface alone (`SO_BINDTODEVICE`).
///
/// # Errors
/// As setsockopt(2).
pub fn bind_to_device(socket: BorrowedFd<'_>, interface: &str) -> io::Result<()> {
    let length = libc::socklen_t::try_from(interface.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let name = interface.as_ptr().cast();
    // SAFETY: `name` points to `length` bytes, which need no zero at the end (socket(7)).
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_BINDTODEVICE, name, length) })
        .map(drop)
}

/// Makes the ext4 file system that a file is in, which is mounted, so many blocks large.
///
/// # Errors
/// As ioctl(2); `ENOTTY` where it is no ext4.
pub fn grow_ext4(file: BorrowedFd<'_>, blocks: u64) -> io::Result<()> {
    let number = rustix::ioctl::opcode::write::<u64>(b'f', 16);
    // SAFETY: the request reads one 64-bit number through the pointer, which is valid until it returns.
    check(unsafe { libc::ioctl(file.as_raw_fd(), number.into(), &raw const blocks) }).map(drop)
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_signal_waits_to_be_asked_for() {
        // In a thread of its own, so that the mask ends with it; a signal of this process goes to any thread that takes it, and all
        // others of a test ignore SIGURG as is its default.
        std::thread::spawn(|| {
            block_signals(&[libc::SIGURG]).unwrap();
            assert_eq!(wait_signal(&[libc::SIGURG], Some(Duration::ZERO)).unwrap(), None);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn what_is_started_has_no_signal_blocked() {
        std::thread::spawn(|| {
            block_signals(&[libc::SIGINT, libc::SIGURG]).unwrap();
            // Not by way of a shell: some begin with taking away the mask.
            let mut command = Command::new("/bin/grep");
            command.args(["-q", "^SigBlk:\t0*$", "/proc/self/status"]);
            assert!(!command.status().unwrap().success(), "it would inherit them");
            prepare(&mut command, Preparation::plain(Session::Inherited));
            assert!(command.status().unwrap().success());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_new_session_is_led_by_the_process() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "read -r _ _ _ _ group session _ </proc/self/stat; test $$ = $group -a $$ = $session"]);
        prepare(&mut command, Preparation::plain(Session::New));
        assert!(command.status().unwrap().success());
    }
}
