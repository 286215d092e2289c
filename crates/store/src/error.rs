//! What can go wrong with the store, in kinds that a caller can act on.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use banger_error::ErrorKind;

use crate::name::NameError;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a name is the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// An image.
    Image,
    /// A kernel.
    Kernel,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "image",
            Self::Kernel => "kernel",
        })
    }
}

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be a name.
    #[error("{name:?} cannot be the name of {}", article(*what))]
    Name {
        /// What was to have the name.
        what: What,
        /// The name.
        name: String,
        /// Why not.
        source: NameError,
    },
    /// It cannot be an id.
    #[error("{id:?} is not an id: 64 hexadecimal digits in lower case")]
    Id {
        /// What was given.
        id: String,
    },
    /// A path has bytes that are not UTF-8: it can neither be recorded nor shown.
    #[error("the path {} is not UTF-8", path.display())]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// Something else has the name.
    #[error("there is {} named {name:?} already", article(*what))]
    NameTaken {
        /// What has the name.
        what: What,
        /// The name.
        name: String,
    },
    /// Somebody else is making something that is to have the name.
    #[error("{} named {name:?} is being made by somebody else", article(*what))]
    BeingMade {
        /// What is being made.
        what: What,
        /// The name.
        name: String,
    },
    /// There is nothing of that name, and no id that begins like it.
    #[error("there is no {what} {name:?}")]
    NotFound {
        /// What was looked for.
        what: What,
        /// The name, or the id's beginning.
        name: String,
        /// Names that are like it.
        nearest: Vec<String>,
    },
    /// Several images have an id that begins like this.
    #[error("{text:?} is the beginning of several ids: {}", candidates.join(", "))]
    Ambiguous {
        /// What was looked for.
        text: String,
        /// The ids and their names.
        candidates: Vec<String>,
    },
    /// Somebody uses the files.
    #[error("{what} {name:?} is in use")]
    InUse {
        /// What is in use.
        what: What,
        /// Its name.
        name: String,
    },
    /// The files of the image are kept here already.
    #[error("image {name:?} is managed already")]
    Managed {
        /// Its name.
        name: String,
    },
    /// The id belongs to an image whose files are kept here.
    #[error("the id {id} is that of a managed image")]
    ManagedId {
        /// The id.
        id: String,
    },
    /// The files are not what was recorded.
    #[error("{what} {name:?} is damaged: {reason}")]
    Damaged {
        /// What is damaged.
        what: What,
        /// A name that it has, or its id.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What was staged is not what is to be recorded.
    #[error("what is to become {} is not complete: {reason}", article(*what))]
    Incomplete {
        /// What was staged.
        what: What,
        /// What is wrong with it.
        reason: String,
    },
    /// The database was made by a newer version of this program.
    #[error("{} was made by a newer version of banger (schema {found}, this one knows {supported})", path.display())]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// The schema that it has.
        found: i64,
        /// The newest schema that is known here.
        supported: i64,
    },
    /// The database is something else's.
    #[error("{} is not a database of banger's", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// There are files where a store would keep its own, but no database that knows of them.
    #[error(
        "{} has content, but there is no {}: either this directory is used for something else, or the database was lost",
        directory.display(), database.display()
    )]
    Unknown {
        /// The directory that is not empty.
        directory: PathBuf,
        /// Where the database would be.
        database: PathBuf,
    },
    /// The database is damaged.
    #[error("{} is damaged, or is not a database at all", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What SQLite found.
        source: rusqlite::Error,
    },
    /// Other processes write to the database all the time.
    #[error("cannot {doing} in {}: others have kept it busy for too long", path.display())]
    Busy {
        /// What was to be done.
        doing: &'static str,
        /// The database.
        path: PathBuf,
    },
    /// The database cannot be read or written.
    #[error("cannot {doing} in {}", path.display())]
    Database {
        /// What was to be done.
        doing: &'static str,
        /// The database.
        path: PathBuf,
        /// Why not.
        source: rusqlite::Error,
    },
    /// A system call failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The action: "open", "rename", ...
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Whoever asked does not want it any more.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// What the error means to whoever asked.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Name { .. } | Self::Id { .. } | Self::Path { .. } | Self::Ambiguous { .. } => ErrorKind::Usage,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::NameTaken { .. }
            | Self::BeingMade { .. }
            | Self::InUse { .. }
            | Self::Managed { .. }
            | Self::ManagedId { .. } => ErrorKind::Conflict,
            Self::Damaged { .. } | Self::Corrupt { .. } => ErrorKind::Integrity,
            Self::Database { source, .. } if is_no_space(source) => ErrorKind::NoSpace,
            Self::Io { source, .. } => source.into(),
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Incomplete { .. }
            | Self::NewerSchema { .. }
            | Self::Foreign { .. }
            | Self::Unknown { .. }
            | Self::Busy { .. }
            | Self::Database { .. } => ErrorKind::Other,
        }
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    pub(crate) fn sqlite(doing: &'static str, path: &Path, source: rusqlite::Error) -> Error {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, DatabaseLocked, NotADatabase};
        let path = path.to_owned();
        match code(&source) {
            Some(DatabaseCorrupt | NotADatabase) => Self::Corrupt { path, source },
            Some(DatabaseBusy | DatabaseLocked) => Self::Busy { doing, path },
            _ => Self::Database { doing, path, source },
        }
    }
}

fn code(error: &rusqlite::Error) -> Option<rusqlite::ErrorCode> {
    error.sqlite_error_code()
}

/// Whether the disk is full. The file of shared memory has a code of its own for that.
fn is_no_space(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_FULL, SQLITE_IOERR_SHMSIZE};
    error.sqlite_error().is_some_and(|error| matches!(error.extended_code, SQLITE_FULL | SQLITE_IOERR_SHMSIZE))
}

fn article(what: What) -> &'static str {
    match what {
        What::Image => "an image",
        What::Kernel => "a kernel",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let io = |kind: io::ErrorKind| Error::io("write", Path::new("x"))(kind.into()).kind();
        let sqlite = |code| {
            let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
            Error::sqlite("write", Path::new("x"), error).kind()
        };
        for (found, expected) in [
            (io(io::ErrorKind::StorageFull), ErrorKind::NoSpace),
            (io(io::ErrorKind::QuotaExceeded), ErrorKind::NoSpace),
            (io(io::ErrorKind::PermissionDenied), ErrorKind::Other),
            (sqlite(rusqlite::ffi::SQLITE_FULL), ErrorKind::NoSpace),
            (sqlite(rusqlite::ffi::SQLITE_IOERR_SHMSIZE), ErrorKind::NoSpace),
            (sqlite(rusqlite::ffi::SQLITE_CORRUPT), ErrorKind::Integrity),
            (sqlite(rusqlite::ffi::SQLITE_NOTADB), ErrorKind::Integrity),
            (sqlite(rusqlite::ffi::SQLITE_IOERR_FSYNC), ErrorKind::Other),
        ] {
            assert_eq!(found, expected);
        }
    }
}
