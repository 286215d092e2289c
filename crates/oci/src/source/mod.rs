//! Sources: where an image is read from, named as skopeo names them.
//!
//! | source | what it is |
//! |---|---|
//! | `oci:DIR[:REF]` | an OCI image layout in a directory |
//! | `oci-archive:FILE[:REF]` | a tar archive of such a layout |
//! | `docker-archive:FILE[:REF]` | what `docker save` writes, in its old and its new form |
//! | `tar:FILE` | a flat root file system: what `docker export` writes |
//!
//! `FILE` may be `-`, the standard input. `REF` begins after the first colon of what follows the transport, so `DIR`
//! and `FILE` cannot have one (of `tar:` they can: it has no `REF`). It is one of
//! - a name: in a layout the annotation `org.opencontainers.image.ref.name`, in a docker archive one of the
//!   repository tags, where `debian` and `docker.io/library/debian:latest` are the same;
//! - `@DIGEST`, alone or after a name: of an entry of the layout, also one inside an index; in a docker archive the
//!   digest of the config, which is the image's ID;
//! - `@N`: the entry at a place, from 0.
//!
//! Without `REF` the source must hold exactly one image. The entries of a layout whose names are the same, or that
//! have none, are one image when each names a platform: they are chosen from as from an index.

mod archive;
mod directory;
mod docker;
mod flat;
mod input;
mod layout;
mod parse;

pub use parse::{Location, SourceError};

use crate::digest::Digest;
use crate::error::Result;
use crate::image::Image;
use crate::platform::Platform;
use std::fmt;
use std::path::PathBuf;

/// Where an image is read from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// A layout in a directory.
    Oci {
        /// The directory.
        directory: PathBuf,
        /// Which image of the layout.
        image: Selector,
    },
    /// An archive of a layout.
    OciArchive {
        /// The archive.
        file: Input,
        /// Which image of the layout.
        image: Selector,
    },
    /// An archive made by `docker save`.
    DockerArchive {
        /// The archive.
        file: Input,
        /// Which image of the archive.
        image: Selector,
    },
    /// An archive of a root file system.
    Tar {
        /// The archive.
        file: Input,
    },
}

/// A file, or the standard input.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// A file by its path.
    Path(PathBuf),
    /// The standard input, a pipe or a file.
    Stdin,
}

/// Which image of a source that may hold several. All that is given must agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    /// By its name.
    pub name: Option<String>,
    /// By its digest.
    pub digest: Option<Digest>,
    /// By its place among the entries, from 0.
    pub position: Option<usize>,
}

/// What matters when a source is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// The platform that was asked for. `None` looks for the host's architecture, and takes an image for another
    /// where there is no choice.
    pub platform: Option<Platform>,
    /// Where an archive is unpacked to when it is compressed or comes through a pipe, in a file without a name.
    /// `None` is `$TMPDIR`, or else `/var/tmp`, which unlike `/tmp` is meant for large files.
    pub temporary: Option<PathBuf>,
}

impl Source {
    /// Opens the image that the source names, and checks all of it but the content of the layers.
    ///
    /// An archive that is compressed (gzip, zstd), or is not a regular file, is first copied to a temporary file,
    /// because its members are read at offsets and in another order. A flat archive is not: it streams.
    ///
    /// # Errors
    /// See [`crate::ErrorKind`].
    pub fn open(&self, options: &OpenOptions) -> Result<Image> {
        let name = self.to_string();
        match self {
            Source::Oci { directory, image } => {
                layout::open(directory::Directory::new(directory.clone(), name), image, options)
            }
            Source::OciArchive { file, image } => {
                layout::open(archive::Archive::index(input::seekable(file, &name, options)?, name)?, image, options)
            }
            Source::DockerArchive { file, image } => {
                docker::open(archive::Archive::index(input::seekable(file, &name, options)?, name)?, image, options)
            }
            Source::Tar { file } => flat::open(file, name),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Oci { directory, image } => write!(f, "oci:{}{image}", directory.display()),
            Source::OciArchive { file, image } => write!(f, "oci-archive:{file}{image}"),
            Source::DockerArchive { file, image } => write!(f, "docker-archive:{file}{image}"),
            Source::Tar { file } => write!(f, "tar:{file}"),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Path(path) => path.display().fmt(f),
            Input::Stdin => f.write_str("-"),
        }
    }
}

impl fmt::Display for Selector {
    /// With the colon before it; nothing where nothing is selected.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Selector::default() {
            return Ok(());
        }
        write!(f, ":{}", self.name.as_deref().unwrap_or_default())?;
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        if let Some(position) = self.position {
            // Behind a name without a colon it would be part of the name.
            let colon = if self.name.is_some() { ":" } else { "" };
            write!(f, "{colon}@{position}")?;
        }
        Ok(())
    }
}
