//! What to do about an error. The libraries say what is wrong; what can be typed instead is known here.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use banger_layers::decompress::DecompressError;
use banger_layers::limits::ZSTD_WINDOW_MAX;
use banger_oci::source::Selector;
use banger_oci::{Location, Reference, Source, SourceError};
use banger_registry::credentials::Lapse;
use banger_rootfs::{Error, LayerError};

use banger_api::{ErrorKind, Problem};

use crate::problem::KEEP_TYPE;
use crate::source::Finished;

pub(crate) const DAMAGED: &str = "fetch or copy the image again: these are not the bytes that were published";

/// What to do when the store's disk is full.
pub(crate) const MAKE_ROOM: &str =
    "make room with `banger prune` or `banger image rm`, or choose another disk with --root";

const LAYOUT: &str = "an OCI image layout is a directory such as `banger fetch debian --to oci:DIR` writes";

/// What was asked for, as far as hints depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// As it was typed.
    pub text: &'a OsStr,
    /// Where that is.
    pub place: Place<'a>,
    /// What was said of registries.
    pub said: Said,
}

/// What was said of registries, as far as hints depend on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said {
    /// The option that keeps a registry from being asked.
    pub offline: Option<&'static str>,
    /// Whether somebody has said who asks.
    pub credentials: bool,
}

/// Where an image comes from.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// A file or a directory of this machine.
    Local(&'a Source),
    /// A registry.
    Registry(&'a Reference),
    /// In this program.
    Demo,
}

/// A source that cannot be understood as it was written.
pub fn for_source(error: &SourceError, source: &OsStr) -> Problem {
    let problem = Problem::of(ErrorKind::Usage, error);
    match guess(Path::new(source)) {
        Some(guess) => problem.hint(guess),
        None => problem.hint("`banger build --help` shows each kind of source"),
    }
}

/// Parses a reference to a registry, where nothing else will do.
///
/// # Errors
/// It is none.
pub fn reference(text: &OsStr) -> Result<Reference, Problem> {
    let problem = match Location::parse(text) {
        Ok(Location::Registry(reference)) => return Ok(reference),
        Ok(Location::Local(source)) => Problem::new(ErrorKind::Usage, format!("{source} is not in a registry")),
        Err(error) => Problem::of(ErrorKind::Usage, &error),
    };
    Err(problem.hint("name an image in a registry as docker does, such as debian:bookworm"))
}

/// Parses the name of a repository: a reference without a tag and a digest.
///
/// # Errors
/// It is none.
pub fn repository(text: &OsStr) -> Result<Reference, Problem> {
    let reference = reference(text)?;
    let last = text.to_string_lossy();
    let last = last.rsplit('/').next().unwrap_or_default();
    if last.contains([':', '@']) {
        let what = format!("{reference} is one image, and tags are those of a repository");
        return Err(Problem::new(ErrorKind::Usage, what).hint(format!("`banger tags {}`", reference.name())));
    }
    Ok(reference)
}

/// Tags that could not be listed. `has_credentials` is whether the command line says who asks.
pub fn for_tags(error: &banger_registry::Error, repository: &Reference, has_credentials: bool) -> Problem {
    let domain = repository.domain();
    let hint = match error.kind() {
        ErrorKind::Unauthorized => Some(match error {
            banger_registry::Error::Lapse { lapse, .. } => lapse.hint.clone(),
            _ if has_credentials => "check the user, the password and the name of the repository".to_owned(),
            _ => format!("log in with `banger login {domain}`"),
        }),
        ErrorKind::Network => for_connection(error, domain),
        _ => None,
    };
    hint.into_iter().fold(Problem::of(error.kind(), error), Problem::hint)
}

/// A fetch or a look that failed.
pub fn for_image(error: &banger_oci::Error, asked: &Asked<'_>) -> Problem {
    let problem = Problem::of(error.kind(), error);
    let full = || (problem.kind == ErrorKind::NoSpace).then(make_room_in_cache);
    let full = full();
    for_source_error(error, asked).into_iter().chain(full).fold(problem, Problem::hint)
}

/// A build that failed, of the image file `output`, or of one in the store.
pub fn for_build(error: &Error, asked: &Asked<'_>, output: Option<&Path>) -> Problem {
    let problem = Problem::of(error.kind(), error);
    let mut hints = match error {
        Error::OutputExists { .. } => vec!["replace it with --force, or choose another file".to_owned()],
        Error::OutputIsDirectory { path } => {
            vec![format!("name a file in it, such as {}", path.join("disk.ext4").display())]
        }
        Error::Io { source, path, .. } => output.and_then(|output| for_io(source, path, output)).into_iter().collect(),
        Error::Source(error) => for_source_error(error, asked),
        Error::Layer { source: layer, .. } => for_layer(layer, asked),
        Error::Architecture { found, agent } => {
            // An image that is kept here has a kernel too, unless none is wanted.
            let option = if output.is_some() { "--guest none" } else { "--guest none --no-kernel" };
            vec![
                format!("--platform linux/{agent} takes the image for this machine, where there is one"),
                format!(
                    "{option} takes the image as it is; to boot it, take a banger that is built for {}",
                    found.architecture()
                ),
            ]
        }
        Error::NoInit(_) => {
            vec!["--init auto takes what the image has, --init none runs its command without an init".to_owned()]
        }
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
    hints.into_iter().fold(problem, Problem::hint)
}

/// A push that failed.
pub(crate) fn for_push(error: &banger_distribution::Error, asked: &Asked<'_>) -> Vec<String> {
    let Place::Registry(reference) = asked.place else { return Vec::new() };
    let domain = reference.domain();
    match error.kind() {
        ErrorKind::Unauthorized if let Some(lapse) = lapse(error) => vec![lapse.hint.clone()],
        ErrorKind::Unauthorized if asked.said.credentials => {
            vec!["check the user, the password, and whether that user may push there".to_owned()]
        }
        ErrorKind::Unauthorized => vec![format!("log in with `banger login {domain}`")],
        ErrorKind::NotFound => {
            vec![format!("some registries want the repository {} to be made first", reference.path())]
        }
        ErrorKind::Network => for_connection(error, domain).into_iter().collect(),
        ErrorKind::NoSpace => vec![MAKE_ROOM.to_owned()],
        _ => Vec::new(),
    }
}

fn for_layer(error: &LayerError, asked: &Asked<'_>) -> Vec<String> {
    match (image_error(error), error) {
        (Some(error), _) => for_source_error(error, asked),
        (None, LayerError::Blob(_) | LayerError::DiffId(_)) => vec![DAMAGED.to_owned()],
        (None, LayerError::Content(banger_layers::Error::Decompress(error))) => for_window(error).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// A window of zstd that is larger than is allowed.
fn for_window(error: &DecompressError) -> Option<String> {
    let DecompressError::WindowTooLarge { window, .. } = error else { return None };
    Some(if *window > ZSTD_WINDOW_MAX {
        format!("compress the layer with a window of {} MiB at most", ZSTD_WINDOW_MAX >> 20)
    } else {
        format!("where there is memory for it, set zstd_window_mib = {} in config.toml", window.div_ceil(1 << 20))
    })
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
    if let Some(hint) = for_finished(error, asked) {
        return vec![hint];
    }
    let hint = match (error, asked.place) {
        (Error::NoPlatform { available, .. }, _) => {
            available.first().map(|platform| format!("choose one of them, such as --platform {platform}"))
        }
        (Error::Artifact { .. } | Error::Empty { .. }, Place::Registry(reference)) => {
            Some(format!("name an image; `banger tags {}` lists what else is there", reference.name()))
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

/// What to do with an image that `image push` made, where only layers will do.
fn for_finished(error: &banger_oci::Error, asked: &Asked<'_>) -> Option<String> {
    let banger_oci::Error::Place(place) = error else { return None };
    if place.error.is::<Finished>() {
        let text = asked.text.to_string_lossy();
        return Some(format!("`banger pull {text}` keeps it here under a name, which `banger run` then takes"));
    }
    let altered = matches!(place.error.downcast_ref()?, banger_distribution::Error::Altered);
    altered.then(|| KEEP_TYPE.to_owned())
}

fn for_registry(error: &banger_oci::Error, reference: &Reference, asked: &Asked<'_>) -> Vec<String> {
    let domain = reference.domain();
    let mut hints = Vec::new();
    match error.kind() {
        ErrorKind::NotFound if let Some(option) = asked.said.offline => {
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
                format!("`banger tags {name}` lists the tags that there are")
            });
        }
        ErrorKind::Unauthorized if let Some(lapse) = lapse(error) => hints.push(lapse.hint.clone()),
        ErrorKind::Unauthorized if asked.said.credentials => {
            hints.push("check the user, the password and the name of the repository".to_owned());
        }
        ErrorKind::Unauthorized => {
            hints.push(format!("log in with `banger login {domain}`"));
            hints.push("check the name: of a repository that does not exist, registries often say the same".to_owned());
        }
        ErrorKind::Integrity => {
            hints.push(format!("try again; if it stays so, {domain} or what stands before it gives out other content"));
        }
        ErrorKind::Network => hints.extend(for_connection(error, asked_host(error).unwrap_or(domain))),
        _ => {}
    }
    hints.extend(guess(Path::new(asked.text)));
    hints
}

/// What kept credentials from being found, where a registry wanted some. To log in would not help: the same place would
/// be asked again.
fn lapse<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Lapse> {
    let found = |error: &'a (dyn std::error::Error + 'static)| match error.downcast_ref()? {
        banger_registry::Error::Lapse { lapse, .. } => Some(lapse),
        _ => None,
    };
    let of_place = |error: &'a (dyn std::error::Error + 'static)| match error.downcast_ref()? {
        banger_oci::Error::Place(place) => found(&*place.error),
        _ => None,
    };
    let of_push = |error: &'a (dyn std::error::Error + 'static)| match error.downcast_ref()? {
        banger_distribution::Error::Registry(error) => found(error),
        _ => None,
    };
    of_place(error).or_else(|| of_push(error))
}

/// The host that a connection failed to: it may have been a mirror.
fn asked_host(error: &banger_oci::Error) -> Option<&str> {
    let banger_oci::Error::Place(place) = error else { return None };
    match place.error.downcast_ref() {
        Some(banger_registry::Error::Connection { host, .. }) => Some(host),
        _ => None,
    }
}

/// Certificates and encryption, where the connection failed for one of them. Of a certificate that is for another name or has
/// expired nothing is said: whoever trusts it all the same knows why.
fn for_connection(error: &dyn std::error::Error, host: &str) -> Option<String> {
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

fn make_room(output: Option<&Path>) -> String {
    match output {
        Some(output) => {
            format!("make room on the disk of {}, or choose an output elsewhere", directory_of(output).display())
        }
        None => MAKE_ROOM.to_owned(),
    }
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
    let is_context = ["Dockerfile", "Containerfile"].iter().any(|name| path.join(name).exists());
    if path.is_dir() && (is_context || path == Path::new(".")) && !path.join("oci-layout").exists() {
        let save = "`docker build -t app . && docker save app -o app.tar`";
        Some(format!("banger reads images, not Dockerfiles: {save}, then docker-archive:app.tar is a source"))
    } else if path.is_dir() {
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
