//! What to do about an error. The libraries say what is wrong; what can be typed instead is known here.

use std::error::Error as _;
use std::ffi::OsStr;
use std::io;
use std::path::Path;

use banger_oci::source::Selector;
use banger_oci::{Location, Reference, Source, SourceError};
use banger_rootfs::{Error, ErrorKind, LayerError};

use crate::args::{Pull, RegistryOptions};
use crate::exit::Exit;
use crate::failure::Failure;

const DAMAGED: &str = "fetch or copy the image again: these are not the bytes that were published";

const LAYOUT: &str = "an OCI image layout is a directory such as `banger fetch debian --to oci:DIR` writes";

/// What was asked for, as far as hints depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// As it was typed.
    pub(crate) text: &'a OsStr,
    pub(crate) place: Place<'a>,
    pub(crate) options: &'a RegistryOptions,
}

/// Where an image comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    Local(&'a Source),
    Registry(&'a Reference),
    /// In this program.
    Demo,
}

impl<'a> From<&'a Location> for Place<'a> {
    fn from(location: &'a Location) -> Self {
        match location {
            Location::Local(source) => Self::Local(source),
            Location::Registry(reference) => Self::Registry(reference),
        }
    }
}

/// A source that cannot be understood as it was written.
pub(crate) fn for_source(error: &SourceError, source: &OsStr) -> Failure {
    let failure = Failure::of(Exit::Usage, error);
    match guess(Path::new(source)) {
        Some(guess) => failure.hint(guess),
        None => failure.hint("`banger build --help` shows each kind of source"),
    }
}

/// Parses a reference to a registry, where nothing else will do.
pub(crate) fn reference(text: &OsStr) -> Result<Reference, Failure> {
    let failure = match Location::parse(text) {
        Ok(Location::Registry(reference)) => return Ok(reference),
        Ok(Location::Local(source)) => Failure::new(Exit::Usage, format!("{source} is not in a registry")),
        Err(error) => Failure::of(Exit::Usage, &error),
    };
    Err(failure.hint("name an image in a registry as docker does, such as debian:bookworm"))
}

/// A fetch or a look that failed.
pub(crate) fn for_image(error: &banger_oci::Error, asked: &Asked<'_>) -> Failure {
    let failure = Failure::of(error.into(), error);
    let full = || (Exit::from(error) == Exit::NoSpace).then(make_room_in_cache);
    for_source_error(error, asked).into_iter().chain(full()).fold(failure, Failure::hint)
}

/// A build of the image file `output` that failed.
pub(crate) fn for_build(error: &Error, asked: &Asked<'_>, output: &Path) -> Failure {
    let failure = Failure::of(error.kind().into(), error);
    let mut hints = match error {
        Error::OutputExists { .. } => vec!["replace it with --force, or choose another file".to_owned()],
        Error::OutputIsDirectory { path } => {
            vec![format!("name a file in it, such as {}", path.join("disk.ext4").display())]
        }
        Error::Io { source, path, .. } => for_io(source, path, output).into_iter().collect(),
        Error::Source(error) => for_source_error(error, asked),
        Error::Layer { source: layer, .. } => for_layer(layer, asked),
        Error::Architecture { found, .. } => vec![format!(
            "--guest none builds the image as it is; to boot it, take a banger that is built for {}",
            found.architecture()
        )],
        Error::Modules(banger_kmod::Error::NoModules { below: Some(below), .. }) => {
            vec![format!("name the directory of one kernel's modules, such as {}", below.display())]
        }
        Error::FileSystem(banger_ext4::Error::TooSmall { needed, .. }) => {
            vec![format!("--size {} is enough", as_argument(*needed))]
        }
        _ => Vec::new(),
    };
    // The disk can be full at every step: that of the image, or that of the cache.
    if hints.is_empty() && error.kind() == ErrorKind::NoSpace {
        hints.push(if of_image(error).is_some() { make_room_in_cache() } else { make_room(output) });
    }
    hints.into_iter().fold(failure, Failure::hint)
}

fn for_layer(error: &LayerError, asked: &Asked<'_>) -> Vec<String> {
    match (image_error(error), error) {
        (Some(error), _) => for_source_error(error, asked),
        (None, LayerError::Blob(_) | LayerError::DiffId(_)) => vec![DAMAGED.to_owned()],
        _ => Vec::new(),
    }
}

/// What the place that the image comes from has to say, in an error of a build.
fn of_image(error: &Error) -> Option<&banger_oci::Error> {
    match error {
        Error::Source(error) => Some(error),
        Error::Layer { source, .. } => image_error(source),
        _ => None,
    }
}

fn image_error(error: &LayerError) -> Option<&banger_oci::Error> {
    match error {
        LayerError::Open(error) => Some(error),
        LayerError::Read(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

fn for_source_error(error: &banger_oci::Error, asked: &Asked<'_>) -> Vec<String> {
    use banger_oci::Error;
    let hint = match (error, asked.place) {
        (Error::NoPlatform { available, .. }, _) => {
            available.first().map(|platform| format!("choose one of them, such as --platform {platform}"))
        }
        (_, Place::Registry(reference)) => return for_registry(error, reference, asked),
        (Error::SeveralImages { images, .. } | Error::NoImage { images, .. }, Place::Local(source)) => {
            images.first().map(|image| format!("name one of them, such as {}", with_image(source, image)))
        }
        (Error::Integrity { .. }, _) => Some(DAMAGED.to_owned()),
        (Error::Io { .. } | Error::Missing { .. }, Place::Local(Source::Oci { directory, .. }))
            if !directory.join("oci-layout").exists() =>
        {
            Some(match directory.symlink_metadata() {
                Ok(_) => LAYOUT.to_owned(),
                Err(_) => format!("there is no directory {}; {LAYOUT}", directory.display()),
            })
        }
        _ => None,
    };
    hint.into_iter().collect()
}

fn for_registry(error: &banger_oci::Error, reference: &Reference, asked: &Asked<'_>) -> Vec<String> {
    use banger_oci::ErrorKind;
    let domain = reference.domain();
    let options = asked.options;
    let offline = options.offline || options.pull == Some(Pull::Never);
    let mut hints = Vec::new();
    match error.kind() {
        ErrorKind::NotFound if offline => {
            let option = if options.offline { "--offline" } else { "--pull never" };
            hints.push(format!("without {option} it is downloaded from {domain}"));
        }
        // What is not there may be what the tag stands for.
        ErrorKind::NotFound if reference.digest().is_some() || error.to_string().contains('@') => {}
        ErrorKind::NotFound => {
            let name = reference.name();
            let implied = reference.tag() == Some("latest") && !asked.text.to_string_lossy().ends_with(":latest");
            hints.push(if implied {
                format!("without a tag it is `latest` that is asked for; name another, as in {name}:TAG")
            } else {
                format!("`skopeo list-tags docker://{name}` lists the tags that there are")
            });
        }
        ErrorKind::Unauthorized if options.creds.is_some() => {
            hints.push("check the user, the password and the name of the repository".to_owned());
        }
        ErrorKind::Unauthorized => {
            hints.push(format!("log in with `banger login {domain}`"));
            hints.push("check the name: of a repository that does not exist, registries often say the same".to_owned());
        }
        ErrorKind::Malformed => {
            hints.push(format!("try again; if it stays so, {domain} or what stands before it gives out other content"));
        }
        ErrorKind::Network => hints.extend(for_connection(error, domain)),
        _ => {}
    }
    hints.extend(guess(Path::new(asked.text)));
    hints
}

/// Certificates and encryption, where the connection failed for one of them. Of a certificate that is for another name or has
/// expired nothing is said: whoever trusts it all the same knows why.
fn for_connection(error: &banger_oci::Error, domain: &str) -> Option<String> {
    let mut host = domain;
    if let banger_oci::Error::Place(place) = error
        && let Some(banger_registry::Error::Connection { host: asked, .. }) = place.error.downcast_ref()
    {
        // It may have been a mirror.
        host = asked;
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&error.to_string());
        cause = error.source();
    }
    if text.contains("authority that is not trusted") {
        Some(format!("--ca FILE trusts the authority that has signed it, --insecure {host} whoever answers"))
    } else if text.contains("does not speak TLS") {
        Some(format!("if {host} speaks plain HTTP, --insecure {host} allows that"))
    } else {
        None
    }
}

fn for_io(error: &io::Error, path: &Path, output: &Path) -> Option<String> {
    let directory = directory_of(output);
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem if path == directory || path == output => {
            Some("choose an output in a directory that you may write".to_owned())
        }
        io::ErrorKind::NotFound if path == directory => {
            Some(format!("make the directory first: mkdir -p {}", directory.display()))
        }
        _ => None,
    }
}

fn make_room(output: &Path) -> String {
    format!("make room on the disk of {}, or choose an output elsewhere", directory_of(output).display())
}

fn directory_of(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn make_room_in_cache() -> String {
    "make room on the disk of the cache, with `banger cache prune` perhaps, or choose another with --cache".to_owned()
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
    format!("{source}:{image}")
}

/// What was perhaps meant by a path.
fn guess(path: &Path) -> Option<String> {
    let shown = path.display();
    if path.is_dir() {
        Some(format!("there is such a path: perhaps oci:{shown}"))
    } else if path.is_file() {
        Some(format!("there is such a path: perhaps oci-archive:{shown}, docker-archive:{shown} or tar:{shown}"))
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
            ("oci:images:nosuch", "@sha256:00", "oci:images:@sha256:00"),
            ("oci:images", "@0", "oci:images:@0"),
            ("docker-archive:a.tar:x:1", "y:2", "docker-archive:a.tar:y:2"),
        ] {
            assert_eq!(with_image(&Source::parse(source).unwrap(), image), expected);
        }
    }
}
