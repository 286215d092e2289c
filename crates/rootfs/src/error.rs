//! What can go wrong while an image is built.

use std::io;
use std::path::{Path, PathBuf};

use banger_error::ErrorKind;
use banger_oci::Mismatch;

/// An error of a build; its chain of sources ends at the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The output exists already and may not be replaced.
    #[error("{} exists already", path.display())]
    OutputExists {
        /// Where the image should have appeared.
        path: PathBuf,
    },
    /// The output is a directory, or has no name.
    #[error("{} is a directory, not a name for a file", path.display())]
    OutputIsDirectory {
        /// Where the image should have appeared.
        path: PathBuf,
    },
    /// What should be added has a kind that no image can hold, or no valid place in it.
    #[error("cannot add {}: {reason}", path.display())]
    Addition {
        /// The file or directory on the host.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of the host could not be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The source could not be read as an image.
    #[error(transparent)]
    Source(Box<banger_oci::Error>),
    /// A layer could not be read.
    #[error("layer {number} of {count} ({name})")]
    Layer {
        /// Position of the layer, the lowest is 1.
        number: usize,
        /// How many layers there are.
        count: usize,
        /// Its digest, or where it comes from.
        name: String,
        /// What is wrong with it.
        source: Box<LayerError>,
    },
    /// The image is for another architecture than the agent that would be put into it.
    #[error("the image is for {found}, and the agent of this program for {agent}")]
    Architecture {
        /// The image's platform.
        found: banger_oci::Platform,
        /// What the agent runs on.
        agent: &'static str,
    },
    /// The image does not have the init that is wanted.
    #[error("{0}")]
    NoInit(String),
    /// The modules of a kernel cannot be had.
    #[error(transparent)]
    Modules(#[from] banger_kmod::Error),
    /// What is put on top of the image did not fit there.
    #[error("cannot put {what} on top of the image")]
    Guest {
        /// The guest layer, or a kernel's modules.
        what: &'static str,
        /// Why.
        source: Box<LayerError>,
    },
    /// The attributes of the files could not be completed when all layers were merged.
    #[error("cannot complete the attributes of the files")]
    Attributes {
        /// Why.
        source: Box<LayerError>,
    },
    /// An entry of the merged tree does not fit into the file system.
    #[error("{} does not fit into the file system", path.escape_ascii())]
    Entry {
        /// Its path in the image.
        path: Vec<u8>,
        /// Why.
        source: Box<banger_ext4::Error>,
    },
    /// The file system could not be written.
    #[error("cannot write the file system")]
    FileSystem(#[from] banger_ext4::Error),
    /// Whoever wanted the image has said that it is not wanted any more.
    #[error("cancelled")]
    Cancelled,
}

impl From<banger_disk::output::Error> for Error {
    fn from(error: banger_disk::output::Error) -> Self {
        use banger_disk::output::Error;
        match error {
            Error::Exists { path } => Self::OutputExists { path },
            Error::IsDirectory { path } => Self::OutputIsDirectory { path },
            Error::Io { action, path, source } => Self::Io { action, path, source },
        }
    }
}

impl From<banger_oci::Error> for Error {
    fn from(error: banger_oci::Error) -> Self {
        Self::Source(Box::new(error))
    }
}

/// What can be wrong with one layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// Its blob could not be opened.
    #[error(transparent)]
    Open(Box<banger_oci::Error>),
    /// Its blob could not be read.
    #[error("cannot read the blob")]
    Read(#[source] io::Error),
    /// Its blob is not what the descriptor says.
    #[error("the blob is damaged or was tampered with")]
    Blob(#[source] Mismatch),
    /// What was decompressed is not what the config says.
    #[error("the decompressed layer is not the one that the config names by its diff ID")]
    DiffId(#[source] Mismatch),
    /// Its content could not be decompressed, parsed or merged.
    #[error(transparent)]
    Content(#[from] banger_layers::Error),
    /// Its file contents could not be written into the image.
    #[error("cannot write the content of its files")]
    Write(#[from] banger_ext4::Error),
    /// Files of the host could not be read as a layer.
    #[error(transparent)]
    Addition(Box<Error>),
    /// Nobody wants it any more.
    #[error("cancelled")]
    Cancelled,
}

impl From<banger_oci::Error> for LayerError {
    fn from(error: banger_oci::Error) -> Self {
        Self::Open(Box::new(error))
    }
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// The class of the error, by its cause.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::OutputExists { .. }
            | Self::OutputIsDirectory { .. }
            | Self::Addition { .. }
            | Self::Architecture { .. }
            | Self::NoInit(_) => ErrorKind::Usage,
            Self::Modules(error) => of_modules(error),
            Self::Guest { source, .. } | Self::Attributes { source } => source.kind(),
            Self::Io { source, .. } => source.into(),
            Self::Source(error) => error.kind(),
            Self::Layer { source, .. } => source.kind(),
            Self::Entry { .. } => ErrorKind::Integrity,
            Self::FileSystem(error) => of_file_system(error),
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}

impl LayerError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Open(error) => error.kind(),
            Self::Read(error) => of_read(error),
            Self::Blob(_) | Self::DiffId(_) => ErrorKind::Integrity,
            Self::Content(error) => match (sink_error(error), place_error(error)) {
                (Some(error), _) => of_file_system(error),
                (None, Some(error)) => error.kind(),
                (None, None) => ErrorKind::Integrity,
            },
            Self::Write(error) => of_file_system(error),
            Self::Addition(error) => error.kind(),
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}

/// The error of the place that the layer is read from, in an error of what decompresses it while it arrives.
fn place_error(error: &banger_layers::Error) -> Option<&banger_oci::Error> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(error) =
            error.downcast_ref::<io::Error>().and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref())
        {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

/// The writer's error in an error of the archive's reader, which passes on what its sink says.
fn sink_error(error: &banger_layers::Error) -> Option<&banger_ext4::Error> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

/// Of a blob's reader, which may be the source's own.
fn of_read(error: &io::Error) -> ErrorKind {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(error) => banger_oci::Error::kind(error),
        None => error.into(),
    }
}

fn of_modules(error: &banger_kmod::Error) -> ErrorKind {
    use banger_kmod::Error;
    match error {
        Error::Io { source, .. } => source.into(),
        Error::NoModules { .. } => ErrorKind::Usage,
        Error::NoHostVersion { .. } | Error::NoHost => ErrorKind::NotFound,
        _ => ErrorKind::Integrity,
    }
}

fn of_file_system(error: &banger_ext4::Error) -> ErrorKind {
    match error {
        banger_ext4::Error::Io { source, .. } => source.into(),
        banger_ext4::Error::TooSmall { .. } => ErrorKind::NoSpace,
        banger_ext4::Error::Label { .. } | banger_ext4::Error::TooLarge { .. } => ErrorKind::Usage,
        banger_ext4::Error::Misuse(_) => ErrorKind::Other,
        _ => ErrorKind::Integrity,
    }
}

/// Says what was being done to which file when a system call failed.
pub(crate) trait IoContext<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> IoContext<T> for Result<T, E> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|error| Error::io(action, path, error.into()))
    }
}
