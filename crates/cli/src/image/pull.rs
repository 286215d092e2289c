//! `banger pull`

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use banger_api::image::{BuildOptions, PullImage};
use banger_oci::source::Input;
use banger_oci::{Reference, Source};
use banger_operations::source::Origin;
use banger_protocol::boot::Init;

use super::{absolute, kernel, refresh, summarise};
use crate::access;
use crate::args::{GuestLayer, PullArgs, ServiceOptions};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::guest;
use crate::output::{Answered, json, print};
use crate::progress::{Shown, Task};
use crate::registry;
use crate::service;

pub(crate) fn pull(pull: &PullArgs, options: &ServiceOptions) -> Result<ExitCode, Failure> {
    match &pull.source {
        Some(source) => one(pull, source, options).map(|()| ExitCode::SUCCESS),
        None => refresh::all(pull, &*service::open(options)?),
    }
}

fn one(pull: &PullArgs, source: &OsStr, options: &ServiceOptions) -> Result<(), Failure> {
    let wanted = Wanted::parse(source)?;
    let request = request(pull, &wanted)?;
    // The daemon's standard input is not ours.
    let service = if wanted.is_stdin { service::in_process(options)? } else { service::open(options)? };
    let shown = Arc::new(Shown::interruptible(Task::Build, pull.quiet)?);
    let image = service::follow_with(&shown, |observer| service.image_pull(&request, observer))?;
    let from = shown.hosts();
    registry::say_unasked(&pull.registry, &from);
    if pull.json {
        print(&json(&Answered { report: &image, from })?)
    } else if pull.quiet {
        print(&image.name)
    } else {
        summarise(&image);
        Ok(())
    }
}

fn request(pull: &PullArgs, wanted: &Wanted) -> Result<PullImage, Failure> {
    Ok(PullImage {
        source: wanted.source.clone(),
        name: pull.name.clone(),
        platform: pull.platform.as_ref().map(ToString::to_string),
        kernel: kernel(&pull.kernel)?,
        build: build(pull)?,
        replace: pull.replace,
        registry: access::requested(&pull.registry, wanted.reference.as_ref(), !wanted.is_name)?,
    })
}

fn build(pull: &PullArgs) -> Result<BuildOptions, Failure> {
    let settings = guest::layer(&pull.guest)?.unwrap_or_default();
    Ok(BuildOptions {
        size: pull.size,
        label: pull.label.clone(),
        bare: pull.guest.guest == GuestLayer::None,
        hostname: settings.hostname,
        ssh_keys: settings.ssh_keys,
        env: settings.env.into_iter().collect(),
        sysctls: settings.sysctls,
        ulimits: settings.ulimits.into_iter().map(|(name, limit)| (name, limit.to_string())).collect(),
        entrypoint: settings.entrypoint,
        command: settings.command,
        user: settings.user,
        directory: settings.directory,
        init: Some(settings.init).filter(|init| *init != Init::Auto).map(|init| init.to_string()),
        sshd: settings.sshd,
    })
}

/// What an image is to be made from.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Wanted {
    /// As whoever does the work understands it, in whatever directory.
    source: String,
    /// Where it is in a registry, if it is there.
    pub(super) reference: Option<Reference>,
    /// Whether it may as well be a name in a catalog.
    pub(super) is_name: bool,
    /// Whether it comes by standard input.
    is_stdin: bool,
}

impl Wanted {
    pub(super) fn parse(text: &OsStr) -> Result<Self, Failure> {
        let is_name = text.to_str().is_some_and(is_name);
        let as_typed = |text: &OsStr| text.to_str().map(str::to_owned).ok_or_else(|| not_utf8(text));
        match Origin::parse(text) {
            Ok(Origin::Local(mut source)) => {
                let is_stdin = make_absolute(&mut source)?;
                Ok(Self { source: source.to_string(), reference: None, is_name: false, is_stdin })
            }
            Ok(Origin::Registry(reference)) => {
                Ok(Self { source: as_typed(text)?, reference: Some(reference), is_name, is_stdin: false })
            }
            Ok(Origin::Demo) => Ok(Self { source: as_typed(text)?, reference: None, is_name: false, is_stdin: false }),
            // Not every name of a catalog is one that a registry could have.
            Err(_) if is_name => Ok(Self { source: as_typed(text)?, reference: None, is_name, is_stdin: false }),
            Err(problem) => Err(problem.into()),
        }
    }
}

/// Whether a catalog could have it: neither a path nor a tag.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

/// Whoever does the work may be in another directory. Says whether the source is standard input.
fn make_absolute(source: &mut Source) -> Result<bool, Failure> {
    let path = match source {
        Source::Oci { directory, .. } => directory,
        Source::OciArchive { file, .. } | Source::DockerArchive { file, .. } | Source::Tar { file } => match file {
            Input::Path(path) => path,
            Input::Stdin => return Ok(true),
        },
        // What is no file means the same everywhere.
        _ => return Ok(false),
    };
    *path = absolute(path)?;
    if path.to_str().is_none() {
        return Err(not_utf8(path.as_os_str()));
    }
    Ok(false)
}

fn not_utf8(text: &OsStr) -> Failure {
    let what = format!("{} is not UTF-8", Path::new(text).display());
    Failure::new(Exit::Usage, what).hint("`banger build` takes any name, and `banger image register` its image")
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn what_is_typed_means_the_same_to_whoever_does_it() {
        let here = std::env::current_dir().unwrap();
        let below = |kind: &str, rest: &str| format!("{kind}:{}/{rest}", here.display());
        for (text, source, reference, is_name, is_stdin) in [
            ("debian", "debian".to_owned(), Some("docker.io/library/debian:latest"), true, false),
            ("debian:12", "debian:12".to_owned(), Some("docker.io/library/debian:12"), false, false),
            ("ghcr.io/o/i", "ghcr.io/o/i".to_owned(), Some("ghcr.io/o/i:latest"), false, false),
            ("a..b", "a..b".to_owned(), None, true, false),
            ("demo:", "demo:".to_owned(), None, false, false),
            ("oci:images:bookworm", below("oci", "images:bookworm"), None, false, false),
            ("oci:/a/images", "oci:/a/images".to_owned(), None, false, false),
            ("tar:../x.tar", below("tar", "../x.tar"), None, false, false),
            ("docker-archive:-", "docker-archive:-".to_owned(), None, false, true),
        ] {
            let wanted = Wanted::parse(OsStr::new(text)).unwrap();
            let reference = reference.map(|reference| Reference::parse(reference).unwrap());
            assert_eq!(wanted, Wanted { source, reference, is_name, is_stdin }, "{text}");
        }
        for text in [OsStr::new("Debian"), OsStr::new("./disk"), OsStr::new(""), OsStr::from_bytes(b"oci:\xff")] {
            assert!(Wanted::parse(text).is_err(), "{text:?}");
        }
    }
}
