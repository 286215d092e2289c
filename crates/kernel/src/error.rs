//! What can be wrong with a kernel, its files, and what they come in.

use std::io;
use std::path::{Path, PathBuf};

use banger_error::ErrorKind;
use banger_layers::decompress::DecompressError;
use banger_layers::path::Shown;
use banger_layers::tar::TarError;

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no kernel, or none that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or a directory could not be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file was wanted, and it is something else.
    #[error("{} is no file, but {kind}", path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
        /// A kernel in it, where it is a directory that has one.
        inside: Option<PathBuf>,
    },
    /// A file is no kernel.
    #[error("{} is no Linux kernel: it looks like {looks}", path.display())]
    NotAKernel {
        /// The file.
        path: PathBuf,
        /// What it looks like instead.
        looks: String,
    },
    /// It is a kernel that no machine is started from as it is.
    #[error("{} is a kernel inside of {wrapping}, which has to be unpacked first", path.display())]
    Wrapped {
        /// The file.
        path: PathBuf,
        /// What it is in.
        wrapping: &'static str,
    },
    /// It is a kernel that cannot be unpacked here.
    #[error("{} is a kernel compressed with {compression}, which cannot be unpacked here", path.display())]
    Compression {
        /// The file.
        path: PathBuf,
        /// How it is compressed, in its own words.
        compression: String,
    },
    /// A kernel, or what it came in, does not add up.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is no initial RAM disk.
    #[error("{} is no initial RAM disk: it looks like {looks}", path.display())]
    NotAnInitrd {
        /// The file.
        path: PathBuf,
        /// What it looks like instead.
        looks: String,
    },
    /// A kernel is for another machine than the one it is wanted for.
    #[error("{} is a kernel for {found}, not for {wanted}", path.display())]
    Architecture {
        /// The file.
        path: PathBuf,
        /// What it is for.
        found: &'static str,
        /// What it was wanted for.
        wanted: String,
    },
    /// Modules cannot be read.
    #[error(transparent)]
    Modules(#[from] banger_kmod::Error),
    /// Modules are of another kernel.
    #[error("the modules in {} are for the kernel {found}, not for {wanted}", directory.display())]
    ModulesVersion {
        /// Their directory.
        directory: PathBuf,
        /// The kernel that they are for.
        found: String,
        /// The kernel that they are to be for.
        wanted: String,
    },
    /// It is a directory of directories of modules.
    #[error("{} has the modules of several kernels in it, each in a directory: {}", directory.display(), versions.join(", "))]
    ModulesAbove {
        /// The directory.
        directory: PathBuf,
        /// The directories in it.
        versions: Vec<String>,
    },
    /// A file of a directory of modules cannot be taken.
    #[error("{} cannot be taken: {reason}", path.display())]
    Member {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// It is more than any kernel has.
    #[error("{} has more than {limit} {unit}", path.display())]
    Limit {
        /// What is too large.
        path: PathBuf,
        /// How much is taken.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
    /// A file is not what it was when it was looked at.
    #[error("{} has changed while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The files are not those that they should be.
    #[error("the kernel {} is not what it was: its digest is {found}, not {expected}", path.display())]
    Digest {
        /// The kernel's own file.
        path: PathBuf,
        /// The digest that was expected of it and all that belongs to it.
        expected: String,
        /// What it is.
        found: String,
    },
    /// An archive does not decompress.
    #[error("cannot decompress {}", path.display())]
    Decompress {
        /// The archive.
        path: PathBuf,
        /// Why not.
        source: DecompressError,
    },
    /// An archive cannot be read.
    #[error("cannot read the archive {}", path.display())]
    Tar {
        /// The archive.
        path: PathBuf,
        /// Why not.
        source: TarError,
    },
    /// Something is in an archive that should not be.
    #[error("{} is refused for its entry {entry}: {reason}", path.display())]
    Entry {
        /// The archive.
        path: PathBuf,
        /// The entry.
        entry: Shown,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no kernel in an archive.
    #[error("there is no kernel in the archive {}", path.display())]
    NoKernelInArchive {
        /// The archive.
        path: PathBuf,
    },
    /// It is a Debian package, but without a kernel.
    #[error("there is no kernel in the package {package} ({}){}", path.display(), depends(dependencies))]
    NoKernelInPackage {
        /// The file.
        path: PathBuf,
        /// The package's name.
        package: String,
        /// Packages with kernels that it depends on: it is a metapackage then.
        dependencies: Vec<String>,
    },
    /// It is a Debian package of a kernel whose other packages are not there.
    #[error("the kernel {kernel} comes in several packages, and beside {} there is no {}", path.display(), missing.join(", no "))]
    MissingPackages {
        /// The file.
        path: PathBuf,
        /// The kernel's version.
        kernel: String,
        /// Names of the packages that are missing.
        missing: Vec<String>,
    },
    /// Two packages of one kernel are of different versions.
    #[error("{} is of the version {found}, and {} needs {wanted}", path.display(), by.display())]
    PackageVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The file of the package that needs another one.
        by: PathBuf,
        /// The version that it needs.
        wanted: String,
    },
    /// Several files were named, and one of them is no Debian package.
    #[error("of several files each must be a Debian package, and {} looks like {looks}", path.display())]
    NoPackage {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        looks: String,
    },
    /// No file was named.
    #[error("no file is named that a kernel could be in")]
    NothingNamed,
    /// There is no kernel in a directory.
    #[error("there is no kernel in {}", directory.display())]
    NoKernelInDirectory {
        /// The directory.
        directory: PathBuf,
    },
    /// There are several kernels where there should be one.
    #[error("there are several kernels in {}: {}", path.display(), kernels.join(", "))]
    SeveralKernels {
        /// The directory or package.
        path: PathBuf,
        /// Their versions or names.
        kernels: Vec<String>,
    },
    /// What kernels come in was wanted, and it is something else.
    #[error("{} is neither a directory, nor a Debian package, nor a kernel archive: it looks like {looks}", path.display())]
    NoSource {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        looks: String,
    },
    /// What was unpacked of a package or an archive is not a kernel as it should be.
    #[error("cannot import {}", path.display())]
    Import {
        /// The package or archive.
        path: PathBuf,
        /// What is wrong with what is in it.
        source: Box<Error>,
    },
    /// There is a file already, with other content.
    #[error("{} exists, and is another file", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A name cannot be the start of an archive's.
    #[error("{name:?} cannot be the name of a kernel")]
    Name {
        /// The name.
        name: String,
    },
    /// Nobody wants it any more.
    #[error("cancelled")]
    Cancelled,
}

fn depends(dependencies: &[String]) -> String {
    match dependencies {
        [] => String::new(),
        names => format!(", which only depends on {}", names.join(", ")),
    }
}

impl Error {
    /// Which sort it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } | Self::Modules(banger_kmod::Error::Io { source, .. }) => source.into(),
            Self::Decompress { source: DecompressError::Read { source, .. }, .. } => source.into(),
            Self::Import { source, .. } => source.kind(),
            Self::NoKernelInDirectory { .. }
            | Self::MissingPackages { .. }
            | Self::Modules(banger_kmod::Error::NoModules { .. }) => ErrorKind::NotFound,
            Self::NotAFile { .. }
            | Self::NotAKernel { .. }
            | Self::Wrapped { .. }
            | Self::Compression { .. }
            | Self::NotAnInitrd { .. }
            | Self::Architecture { .. }
            | Self::ModulesVersion { .. }
            | Self::ModulesAbove { .. }
            | Self::Member { .. }
            | Self::NoKernelInPackage { .. }
            | Self::SeveralKernels { .. }
            | Self::NoSource { .. }
            | Self::PackageVersion { .. }
            | Self::NoPackage { .. }
            | Self::NothingNamed
            | Self::Name { .. } => ErrorKind::Usage,
            Self::Damaged { .. }
            | Self::Limit { .. }
            | Self::Digest { .. }
            | Self::Decompress { .. }
            | Self::Tar { .. }
            | Self::Entry { .. }
            | Self::NoKernelInArchive { .. }
            | Self::Modules(_) => ErrorKind::Integrity,
            Self::Exists { .. } | Self::Changed { .. } => ErrorKind::Conflict,
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }

    /// What can be done about it, where there is something to be said.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Import { source, .. } => return source.hint(),
            Self::NotAFile { inside: Some(inside), .. } => format!("the kernel in it is {}", inside.display()),
            Self::Wrapped { .. } => "importing the kernel unpacks it: `banger kernel import --from FILE`".to_owned(),
            Self::NotAKernel { .. } => {
                "a kernel is a vmlinuz or bzImage (amd64), an Image (arm64), or an ELF vmlinux".to_owned()
            }
            Self::NotAnInitrd { .. } => "an initial RAM disk is a cpio archive, compressed or not".to_owned(),
            Self::ModulesVersion { wanted, .. } => format!("its modules are in a directory lib/modules/{wanted}"),
            Self::ModulesAbove { directory, versions } => {
                let version = versions.last().map_or("VERSION", String::as_str);
                format!("name one of them: {}", directory.join(version).display())
            }
            Self::NoKernelInPackage { dependencies, .. } => format!(
                "`banger kernel pull debian` gets Debian's kernel with all its packages; `apt-get download {}` gets the package \
                 that has this one, or depends on those that do",
                dependencies.first()?
            ),
            Self::MissingPackages { path, missing, .. } => {
                let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                format!(
                    "put them beside it with `cd {} && apt-get download {}`, and import it again",
                    directory.unwrap_or(Path::new(".")).display(),
                    missing.join(" ")
                )
            }
            Self::PackageVersion { .. } => "import packages of one version".to_owned(),
            Self::NoKernelInDirectory { .. } => {
                "what is sought is vmlinux, bzImage, Image or vmlinuz in it, or vmlinuz-VERSION in it or in its boot directory"
                    .to_owned()
            }
            Self::SeveralKernels { .. } => {
                "name the file of one with --kernel, or import a directory that has only one".to_owned()
            }
            Self::Compression { .. } => "unpack it, and import a directory that has it as Image".to_owned(),
            _ => return None,
        })
    }

    /// Says what was being done to which file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn limit(path: &Path, limit: u64, unit: &'static str) -> Self {
        Self::Limit { path: path.to_owned(), limit, unit }
    }

    pub(crate) fn entry(path: &Path, entry: &[u8], reason: impl Into<String>) -> Self {
        Self::Entry { path: path.to_owned(), entry: Shown::new(entry), reason: reason.into() }
    }
}
