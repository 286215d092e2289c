//! Where the daemon listens: a Unix socket of mode 0600 in a directory of the same user's; or the one that a service manager
//! has made (sd_listen_fds(3)).
//!
//! Whoever listens holds a lock on the file of the same name with `.lock` after it, for as long as it lives. So there is one
//! daemon at most, and a socket that nobody holds the lock of is one that a kill left behind: it is replaced. It gets its name
//! when it is ready, by one rename, so that who connects to it is never refused.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A socket that is listened on.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    removal: Removal,
}

/// A socket that this process has made.
#[derive(Debug)]
struct Own {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    _lock: File,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// There is a daemon already.
    #[error("another daemon listens on {}", .0.display())]
    Taken(PathBuf),
    /// Somebody else could put another socket in its place.
    #[error("{} is no directory for a socket: {why}", path.display())]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// The path has no last part, or one that is too long.
    #[error("{} cannot be the path of a socket", .0.display())]
    Path(PathBuf),
    /// What the service manager passed on is of no use.
    #[error("the service manager has passed on {0}")]
    Activation(String),
    /// Something else.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl SocketError {
    /// For `map_err`: what was done to what.
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}

impl Socket {
    /// The socket that a service manager has passed on, if one has.
    ///
    /// # Errors
    /// It has passed on something else, or several.
    pub fn activated() -> Result<Option<Self>, SocketError> {
        let mut passed = listenfd::ListenFd::from_env();
        let wrong = |what: &dyn std::fmt::Display| SocketError::Activation(what.to_string());
        match passed.len() {
            0 => Ok(None),
            1 => match passed.take_unix_listener(0) {
                Ok(Some(listener)) => Ok(Some(Self { listener, removal: Removal(None) })),
                Ok(None) => Err(wrong(&"a descriptor twice")),
                Err(error) => Err(wrong(&format_args!("something that is no Unix socket: {error}"))),
            },
            count => Err(wrong(&format_args!("{count} sockets: one is wanted"))),
        }
    }

    /// Makes a socket. The path may be longer than the address of a socket can be.
    ///
    /// # Errors
    /// [`SocketError::Taken`] where a daemon listens there; the others as they say.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let path = std::path::absolute(path).map_err(SocketError::io("find", path))?;
        let no_path = || SocketError::Path(path.clone());
        let (parent, name) = (path.parent().ok_or_else(no_path)?, path.file_name().ok_or_else(no_path)?);
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(SocketError::io("create", parent))?;
        check_directory(parent)?;
        let lock = lock(&path)?;
        // A service manager listens without holding the lock.
        let directory = File::open(parent).map_err(SocketError::io("open", parent))?;
        let place = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
        if UnixStream::connect(place.join(name)).is_ok() {
            return Err(SocketError::Taken(path));
        }
        let hidden = place.join(".bangerd.new");
        match std::fs::remove_file(&hidden) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(SocketError::io("replace", &parent.join(".bangerd.new"))(error));
            }
            _ => {}
        }
        let listener = UnixListener::bind(&hidden).map_err(SocketError::io("make the socket", &path))?;
        let publish = || {
            std::fs::set_permissions(&hidden, Permissions::from_mode(0o600))?;
            let metadata = std::fs::symlink_metadata(&hidden)?;
            std::fs::rename(&hidden, place.join(name))?;
            Ok((metadata.dev(), metadata.ino()))
        };
        let identity = publish().map_err(|error| {
            let _ = std::fs::remove_file(&hidden);
            SocketError::io("make the socket", &path)(error)
        })?;
        Ok(Self { listener, removal: Removal(Some(Own { path, identity, _lock: lock })) })
    }

    /// Its path, where this process has made it.
    pub fn path(&self) -> Option<&Path> {
        self.removal.0.as_ref().map(|own| own.path.as_path())
    }

    /// The listener, and what removes the socket when it is dropped.
    pub(crate) fn split(self) -> (UnixListener, Removal) {
        (self.listener, self.removal)
    }
}

/// Removes the socket when it is dropped, unless another stands in its place by now. What a service manager made is its own.
#[derive(Debug)]
pub(crate) struct Removal(Option<Own>);

impl Drop for Removal {
    fn drop(&mut self) {
        let Some(own) = &self.0 else { return };
        let found = std::fs::symlink_metadata(&own.path);
        if found.is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == own.identity) {
            let _ = std::fs::remove_file(&own.path);
        }
    }
}

/// Nobody else may be able to put something in the socket's place: clients would show their secrets to it.
fn check_directory(path: &Path) -> Result<(), SocketError> {
    let metadata = std::fs::metadata(path).map_err(SocketError::io("look at", path))?;
    let wrong = |why| Err(SocketError::Unsafe { path: path.to_owned(), why });
    if !metadata.is_dir() {
        return wrong("it is none");
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return wrong("it belongs to somebody else");
    }
    if metadata.mode() & 0o022 != 0 {
        return wrong("others may write into it");
    }
    Ok(())
}

fn lock(socket: &Path) -> Result<File, SocketError> {
    let mut path = socket.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = open.map_err(SocketError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SocketError::Taken(socket.to_owned())),
        Err(TryLockError::Error(error)) => Err(SocketError::io("lock", &path)(error)),
    }
}
