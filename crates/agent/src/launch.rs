//! How a program of the guest is started, by the workload and by `/exec` alike: looked for in the guest's `PATH`, as the right user, with
//! the right environment, in the right directory.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::namespace::Namespaces;
use crate::rlimits::Limits;
use crate::settings::Settings;
use crate::sys::{self, Preparation, Session};
use crate::users::{self, User, UserError};

/// Where programs are looked for when the environment has no `PATH`.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program to be started.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// The program, looked for in `PATH` where it has no slash, and its arguments.
    pub argv: &'a [String],
    /// All its variables. `PATH`, `HOME` and `HOSTNAME` are added where they are missing.
    pub env: BTreeMap<String, String>,
    /// `User` of the image specification; root where there is none.
    pub user: Option<&'a str>,
    /// Its directory, which must be there; `/` where there is none.
    pub directory: Option<&'a str>,
    /// The namespaces that it is started in, with [`Namespaces::spawn`].
    pub namespaces: &'a Namespaces,
    /// Its limits, where they are not the agent's.
    pub limits: &'a Limits,
}

/// Why a program cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// Nothing to be started.
    #[error("there is no command")]
    Empty,
    /// Something with a NUL in it, or a variable whose name is empty or has a `=`.
    #[error("{0:?} can be no argument, variable or directory")]
    Malformed(String),
    /// No such user.
    #[error(transparent)]
    User(#[from] UserError),
    /// No such directory.
    #[error("directory {directory:?}: {error}")]
    Directory {
        /// Which.
        directory: String,
        /// Why.
        error: io::Error,
    },
    /// No such program.
    #[error("there is no program {0:?}")]
    NotFound(String),
    /// It is there, and cannot be executed.
    #[error("{program:?} cannot be executed: {error}")]
    NotExecutable {
        /// Which.
        program: String,
        /// Why.
        error: io::Error,
    },
    /// The kernel did not start it.
    #[error("{program:?} was not started: {error}")]
    Failed {
        /// Which.
        program: String,
        /// Why.
        error: io::Error,
    },
}

impl LaunchError {
    /// The exit status with which a shell, or a container's runtime, says this.
    pub fn status(&self) -> i32 {
        match self {
            Self::NotFound(_) => 127,
            Self::NotExecutable { .. } => 126,
            _ => 125,
        }
    }

    /// What it means that [`Command::spawn`] failed.
    pub fn from_spawn(program: &str, error: io::Error) -> Self {
        let program = program.to_owned();
        match error.raw_os_error() {
            // The program was found: what is not there is its interpreter or its dynamic loader.
            Some(libc::ENOENT | libc::EACCES | libc::ENOEXEC | libc::EISDIR | libc::EPERM) => {
                Self::NotExecutable { program, error }
            }
            _ => Self::Failed { program, error },
        }
    }
}

impl Launch<'_> {
    /// The command, ready but for standard input, output and error; and whom it will run as.
    ///
    /// # Errors
    /// It cannot be started, as far as that can be seen beforehand.
    pub fn command(mut self, session: Session) -> Result<(Command, User), LaunchError> {
        let root = Path::new("/");
        let (name, arguments) = self.argv.split_first().ok_or(LaunchError::Empty)?;
        let variable = |name: &&String| name.is_empty() || name.contains(['=', '\0']);
        let text = self.argv.iter().chain(self.env.values()).find(|text| text.contains('\0'));
        if let Some(malformed) = self.env.keys().find(variable).or(text) {
            return Err(LaunchError::Malformed(malformed.clone()));
        }
        let user = users::look_up(root, self.user)?;
        let directory = self.directory.filter(|directory| !directory.is_empty()).unwrap_or("/");
        if !directory.starts_with('/') || directory.contains('\0') {
            return Err(LaunchError::Malformed(directory.to_owned()));
        }
        let wrong = |error| LaunchError::Directory { directory: directory.to_owned(), error };
        if !fs::metadata(directory).map_err(wrong)?.is_dir() {
            return Err(wrong(io::ErrorKind::NotADirectory.into()));
        }
        let path = self.env.entry("PATH".to_owned()).or_insert_with(|| PATH.to_owned());
        let program = find(name, path, Path::new(directory))?;
        // As container runtimes do: a HOME that is empty is none.
        let home = self.env.entry("HOME".to_owned()).or_default();
        if home.is_empty() {
            home.clone_from(&user.home);
        }
        let hostname = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        self.env.entry("HOSTNAME".to_owned()).or_insert_with(hostname);

        let mut command = Command::new(program);
        command.arg0(name).args(arguments).env_clear().envs(&self.env).current_dir(directory);
        let start = CString::new(directory).map_err(|_| LaunchError::Malformed(directory.to_owned()))?;
        let credentials = Some(user.credentials.clone());
        sys::prepare(
            &mut command,
            Preparation { credentials, session, mount: self.namespaces.mount(start), limits: self.limits.clone() },
        );
        Ok((command, user))
    }
}

/// The directory that the settings have for the image's programs. It is made, as container runtimes do: an image may name one that it
/// does not have. Whether it is one then, [`Launch::command`] sees.
pub(crate) fn working_directory(settings: &Settings) -> Option<&str> {
    let directory = settings.directory.as_deref()?;
    if directory.starts_with('/') {
        let _ = fs::create_dir_all(directory);
    }
    Some(directory)
}

/// The file that `name` means: itself where it has a slash, else the first in `path` that can be executed.
fn find(name: &str, path: &str, directory: &Path) -> Result<PathBuf, LaunchError> {
    let not_executable = |error| LaunchError::NotExecutable { program: name.to_owned(), error };
    let candidates: Vec<PathBuf> = if name.is_empty() {
        Vec::new()
    } else if name.contains('/') {
        vec![directory.join(name)]
    } else {
        // An empty part of PATH means the directory that the program starts in.
        path.split(':').map(|part| directory.join(part).join(name)).collect()
    };
    let mut first = None;
    for candidate in candidates {
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => _ = first.get_or_insert(error),
        }
    }
    Err(first.map_or_else(|| LaunchError::NotFound(name.to_owned()), not_executable))
}

/// Whether a file can be executed, by anybody: whether by this user, the kernel says.
fn executable(path: &Path) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if metadata.permissions().mode() & 0o111 == 0 { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(argv: &[&str]) -> Result<Command, LaunchError> {
        let argv: Vec<String> = argv.iter().map(|&text| text.to_owned()).collect();
        let launch = Launch {
            argv: &argv,
            env: BTreeMap::new(),
            user: None,
            directory: Some("/usr"),
            namespaces: &Namespaces::Machine,
            limits: &Limits::new(),
        };
        Ok(launch.command(Session::Inherited)?.0)
    }

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        for name in ["sh", "/bin/sh", "../bin/sh"] {
            assert!(Path::new(launch(&[name]).unwrap().get_program()).is_absolute(), "{name}");
        }
        let status = |argv: &[&str]| launch(argv).unwrap_err().status();
        assert_eq!(status(&["no-such-program"]), 127);
        assert_eq!(status(&["/no/such/program"]), 127);
        assert_eq!(status(&[""]), 127);
        assert_eq!(status(&["/etc/passwd"]), 126);
        assert_eq!(status(&["/usr"]), 126);
        assert_eq!(status(&["/etc/passwd/x"]), 127);
        assert_eq!(status(&[]), 125);
        assert!(matches!(launch(&["a\0b"]), Err(LaunchError::Malformed(_))));
    }

    #[test]
    fn the_environment_is_what_was_given_with_path_and_home() {
        let argv = ["env".to_owned()];
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let env = [("A", "b c"), ("HOME", "")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let launch = Launch {
            argv: &argv,
            env,
            user: None,
            directory: None,
            namespaces: &Namespaces::Machine,
            limits: &Limits::new(),
        };
        let (command, user) = launch.command(Session::Inherited).unwrap();
        let variables: Vec<_> =
            command.get_envs().map(|(name, value)| (name.to_str(), value.unwrap().to_str())).collect();
        assert_eq!(
            variables,
            [
                (Some("A"), Some("b c")),
                (Some("HOME"), Some(&*user.home)),
                (Some("HOSTNAME"), Some(&*hostname)),
                (Some("PATH"), Some(PATH))
            ]
        );
    }

    #[test]
    fn directories_must_be_there() {
        for directory in ["/no/such", "/etc/passwd"] {
            let argv = ["sh".to_owned()];
            let (env, namespaces, limits) = (BTreeMap::new(), &Namespaces::Machine, &Limits::new());
            let launch = Launch { argv: &argv, env, user: None, directory: Some(directory), namespaces, limits };
            assert!(matches!(launch.command(Session::New), Err(LaunchError::Directory { .. })));
        }
    }
}
