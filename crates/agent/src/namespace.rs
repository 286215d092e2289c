//! PID namespaces: the workload as PID 1, and others beside it.
//!
//! A program that is written for containers expects to be PID 1: supervisors insist on it, and all of them expect that their children are
//! the only ones. So the workload gets a PID namespace, with a `/proc` that shows that namespace, and what the host runs beside it joins it.
//! The kernel ends all processes of a namespace when its PID 1 has ended (pid_namespaces(7)).
//!
//! Nothing else is apart: the machine is the workload's own, its disks, its network and its name. What is mounted on one side appears on
//! the other, but for `/proc`: the mounts are shared.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::sys::{self, MountNamespace};

/// Where the kernel shows the PID namespace of this process, if it knows any.
const OWN: &str = "/proc/self/ns/pid";

/// The namespaces of a process, which others can join.
#[derive(Clone, Debug)]
pub struct NamespaceHandle {
    pid: Arc<OwnedFd>,
    mount: Arc<OwnedFd>,
}

impl NamespaceHandle {
    /// Returns the namespaces of a child; `None` where it has ended already.
    pub fn of(child: &Child) -> Option<Self> {
        let open = |name| File::open(format!("/proc/{}/ns/{name}", child.id())).ok();
        Some(Self { pid: Arc::new(open("pid")?.into()), mount: Arc::new(open("mnt")?.into()) })
    }
}

/// The namespaces that a command is started in.
#[derive(Clone, Debug)]
pub enum Namespaces {
    /// Those of the agent: all processes of the machine are seen.
    Machine,
    /// New ones, in which it is PID 1.
    New,
    /// Those of another process.
    Joined(NamespaceHandle),
}

impl Namespaces {
    /// Returns [`New`](Self::New) where this kernel has PID namespaces.
    pub fn new_where_known() -> Option<Self> {
        Path::new(OWN).exists().then_some(Self::New)
    }

    /// Returns the mount namespace that goes with it; `directory` is where a process begins that joins one.
    pub(crate) fn mount(&self, directory: CString) -> MountNamespace {
        match self {
            Self::Machine => MountNamespace::Inherited,
            Self::New => MountNamespace::OwnProc,
            Self::Joined(handle) => MountNamespace::Joined(Arc::clone(&handle.mount), directory),
        }
    }

    /// Starts a command that [`Launch`](crate::launch::Launch) has prepared for them.
    ///
    /// # Errors
    /// As [`Command::spawn`]; `ENOMEM` where PID 1 of a joined namespace has ended.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        if matches!(self, Self::Machine) {
            return command.spawn();
        }
        let start = || {
            match self {
                Self::Machine => {}
                Self::New => sys::new_pid_namespace()?,
                Self::Joined(handle) => {
                    move_into_link_name_space(handle.pid.as_fd(), Some(LinkNameSpaceType::ProcessID))?;
                }
            }
            command.spawn()
        };
        // The namespace for new processes is a thread's, and one that has left the machine's can start no thread: so it is
        // a thread that does nothing else.
        thread::scope(|scope| {
            let thread = thread::Builder::new().name("starter".into()).spawn_scoped(scope, start)?;
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that starts it has panicked")))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;
    use std::process::Stdio;

    use super::*;
    use crate::launch::Launch;
    use crate::sys::Session;

    /// Starts a shell script; its output goes to a pipe.
    fn start(namespaces: &Namespaces, directory: &str, script: &str) -> Child {
        let argv = ["sh", "-c", script].map(str::to_owned);
        let launch = Launch {
            argv: &argv,
            env: BTreeMap::new(),
            user: None,
            directory: Some(directory),
            namespaces,
            limits: &Vec::new(),
        };
        let (mut command, _) = launch.command(Session::New).unwrap();
        namespaces.spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped())).unwrap()
    }

    fn output(child: Child) -> String {
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }

    #[test]
    fn the_first_is_pid_1_and_others_join_it() {
        if !crate::testing::is_root() {
            return;
        }
        let first = start(&Namespaces::New, "/", "echo $$; read -r line");
        let handle = NamespaceHandle::of(&first).unwrap();
        let joined =
            start(&Namespaces::Joined(handle), "/usr", "pwd; tr '\\0' ' ' </proc/1/cmdline; ls -d /proc/[0-9]*");
        let seen = output(joined);
        assert!(seen.starts_with("/usr\nsh -c echo $$; read -r line "), "{seen}");
        // The first, the shell that joined it, and its `ls`.
        assert!(seen.lines().filter(|line| line.contains("/proc/")).count() <= 4, "{seen}");
        assert_eq!(output(first), "1\n");
    }

    #[test]
    fn all_end_with_the_first() {
        if !crate::testing::is_root() {
            return;
        }
        let mut first = start(&Namespaces::New, "/", "read -r line");
        let namespaces = Namespaces::Joined(NamespaceHandle::of(&first).unwrap());
        let mut other = start(&namespaces, "/", "echo here; exec sleep 1000");
        let mut here = [0; 5];
        other.stdout.as_mut().unwrap().read_exact(&mut here).unwrap();
        assert_eq!(&here, b"here\n");
        drop(first.stdin.take());
        // The kernel holds up the first one's end until its parent has waited for the others.
        assert_eq!(output(other), "");
        assert!(first.wait().is_ok());
        let mut command = Command::new("/bin/true");
        assert_eq!(namespaces.spawn(&mut command).unwrap_err().raw_os_error(), Some(libc::ENOMEM));
    }
}
