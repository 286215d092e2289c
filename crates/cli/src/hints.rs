//! What to do about an error of a build. The libraries say what is wrong; what can be typed instead is known here.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use banger_oci::source::Selector;
use banger_oci::{Source, SourceError};
use banger_rootfs::{Error, ErrorKind, LayerError};

use crate::args::Build;
use crate::exit::Exit;
use crate::failure::Failure;

const DAMAGED: &str = "fetch or copy the image again: these are not the bytes that were published";

/// A source that cannot be understood as it was written.
pub(crate) fn for_source(error: &SourceError, source: &OsStr) -> Failure {
    let failure = Failure::of(Exit::Usage, error);
    match guess(Path::new(source)) {
        Some(guess) => failure.hint(format!("there is such a path: perhaps {guess}")),
        None => failure.hint("`banger build --help` shows each kind of source"),
    }
}

/// A build that failed.
pub(crate) fn for_build(error: &Error, source: &Source, build: &Build) -> Failure {
    let failure = Failure::of(error.kind().into(), error);
    let hint = match error {
        Error::OutputExists { .. } => Some("replace it with --force, or choose another file".to_owned()),
        Error::OutputIsDirectory { path } => {
            Some(format!("name a file in it, such as {}", path.join("disk.ext4").display()))
        }
        Error::Io { source, path, .. } => for_io(source, path, build),
        Error::Source(error) => for_source_error(error, source),
        Error::Layer { source: layer, .. } => match layer.as_ref() {
            LayerError::Open(error) => for_source_error(error, source),
            LayerError::Blob(_) | LayerError::DiffId(_) => Some(DAMAGED.to_owned()),
            _ => None,
        },
        Error::FileSystem(banger_ext4::Error::TooSmall { needed, .. }) => {
            Some(format!("--size {} is enough", as_argument(*needed)))
        }
        _ => None,
    };
    // The disk can be full at every step.
    let full = || (error.kind() == ErrorKind::NoSpace).then(|| make_room(build));
    match hint.or_else(full) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn for_source_error(error: &banger_oci::Error, source: &Source) -> Option<String> {
    use banger_oci::Error;
    match error {
        Error::SeveralImages { images, .. } | Error::NoImage { images, .. } => {
            let image = images.first()?;
            Some(format!("name one of them, such as {}", with_image(source, image)))
        }
        Error::NoPlatform { available, .. } => {
            let platform = available.first()?;
            Some(format!("choose one of them, such as --platform {platform}"))
        }
        Error::Integrity { .. } => Some(DAMAGED.to_owned()),
        _ => None,
    }
}

fn for_io(error: &io::Error, path: &Path, build: &Build) -> Option<String> {
    let directory = directory_of(&build.output);
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            if path == directory || path == build.output =>
        {
            Some("choose an output in a directory that you may write".to_owned())
        }
        io::ErrorKind::NotFound if path == directory => {
            Some(format!("make the directory first: mkdir -p {}", directory.display()))
        }
        _ => None,
    }
}

fn make_room(build: &Build) -> String {
    format!("make room on the disk of {}, or choose an output elsewhere", directory_of(&build.output).display())
}

fn directory_of(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The same source with another image of it.
fn with_image(source: &Source, image: &str) -> String {
    let mut source = source.clone();
    match &mut source {
        Source::Oci { image, .. } | Source::OciArchive { image, .. } | Source::DockerArchive { image, .. } => {
            *image = Selector::default();
        }
        // A flat archive has no images to choose from.
        _ => {}
    }
    // Images without a name are listed by what selects them: `@digest`.
    let separator = if image.starts_with('@') { "" } else { ":" };
    format!("{source}{separator}{image}")
}

/// What was perhaps meant by a path.
fn guess(path: &Path) -> Option<String> {
    let shown = path.display();
    if path.is_dir() {
        Some(format!("oci:{shown}"))
    } else if path.is_file() {
        Some(format!("oci-archive:{shown}, docker-archive:{shown} or tar:{shown}"))
    } else {
        None
    }
}

/// A size as `--size` takes it.
fn as_argument(bytes: u64) -> String {
    for (shift, unit) in [(30, "G"), (20, "M"), (10, "K")] {
        if bytes != 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_can_be_given_back() {
        for (bytes, argument) in [(3 << 30, "3G"), (1537 << 20, "1537M"), (5 << 10, "5K"), (1234, "1234"), (0, "0")] {
            assert_eq!(as_argument(bytes), argument);
            assert_eq!(crate::values::size(argument), Ok(bytes));
        }
    }

    #[test]
    fn images_are_put_in_their_place() {
        for (source, image, expected) in [
            ("oci:images", "bookworm", "oci:images:bookworm"),
            ("oci:images:nosuch", "bookworm", "oci:images:bookworm"),
            ("oci:images:nosuch", "@sha256:00", "oci:images@sha256:00"),
            ("docker-archive:a.tar:x:1", "y:2", "docker-archive:a.tar:y:2"),
        ] {
            assert_eq!(with_image(&Source::parse(source).unwrap(), image), expected);
        }
    }
}
