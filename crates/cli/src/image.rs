//! `banger image`: images that are kept here.

mod diff;
mod export;
mod history;
mod list;
mod pull;
mod push;
mod refresh;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use banger_api::Service;
use banger_api::image::{Image, PromoteImage, RegisterImage, RemoveImage, Removed, RenameImage};
use banger_api::kernel::KernelChoice;
use banger_oci::Platform;
use banger_store::name::check;

use crate::args::{
    ImageCommand, ImagePromote, ImageRegister, ImageRename, ImageRm, KernelOptions, RemoveOutput, ServiceOptions,
};
use crate::failure::Failure;
use crate::output::{json, print, say};
use crate::service;
use crate::text::{Bytes, Line};

pub(crate) use self::list::list;
pub(crate) use self::pull::pull;
pub(crate) use self::show::facts;

/// Characters of an id that are shown.
const SHORT_ID: usize = 12;

pub(crate) fn run(command: &ImageCommand, options: &ServiceOptions) -> Result<ExitCode, Failure> {
    match command {
        ImageCommand::Pull(pull) => return self::pull(pull, options),
        ImageCommand::Ls(ls) => list(ls, options),
        ImageCommand::Show(show) => show::run(show, &*service::open(options)?),
        ImageCommand::Rm(rm) => return remove(rm, &*service::open(options)?),
        ImageCommand::Rename(rename) => self::rename(rename, &*service::open(options)?),
        ImageCommand::History(history) => history::run(history, &*service::open(options)?),
        ImageCommand::Diff(diff) => return diff::run(diff, &*service::open(options)?),
        ImageCommand::Register(register) => self::register(register, &*service::open(options)?),
        ImageCommand::Promote(promote) => self::promote(promote, &*service::open(options)?),
        ImageCommand::Export(export) => export::run(export, &*service::open(options)?),
        ImageCommand::Push(push) => push::run(push, options),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// All of them, or none.
fn remove(rm: &ImageRm, service: &dyn Service) -> Result<ExitCode, Failure> {
    let mut images = rm.images.iter().cloned();
    let request = RemoveImage { image: images.next().unwrap_or_default(), more: images.collect(), force: rm.force };
    each([service.image_remove(&request)].into_iter(), &rm.output)
}

/// Tells of each thing that was removed, or why it was not.
pub(crate) fn each(
    results: impl Iterator<Item = banger_api::Result<Removed>>,
    output: &RemoveOutput,
) -> Result<ExitCode, Failure> {
    let mut first = None;
    for result in results {
        match result {
            Ok(removed) if output.json => print(&json(&removed)?)?,
            Ok(removed) if output.quiet => removed.names.iter().try_for_each(|name| print(&Line(name).to_string()))?,
            Ok(removed) => {
                say(&format!("removed {}; {} became free", removed.names.join(", "), Bytes(removed.freed)));
            }
            Err(problem) => {
                let code = Failure::from(problem).report();
                first.get_or_insert(code);
            }
        }
    }
    Ok(first.unwrap_or(ExitCode::SUCCESS))
}

fn rename(rename: &ImageRename, service: &dyn Service) -> Result<(), Failure> {
    let request = RenameImage { image: rename.image.clone(), name: rename.name.clone() };
    let image = service.image_rename(&request)?;
    if rename.json {
        return print(&json(&image)?);
    }
    say(&format!("{} is called {} now", rename.image, image.name));
    Ok(())
}

fn register(register: &ImageRegister, service: &dyn Service) -> Result<(), Failure> {
    let request = RegisterImage {
        name: register.name.clone(),
        rootfs: absolute(&register.rootfs)?,
        kernel: kernel(&register.kernel)?,
    };
    let image = service.image_register(&request)?;
    if register.json {
        return print(&json(&image)?);
    }
    summarise(&image);
    Ok(())
}

fn promote(promote: &ImagePromote, service: &dyn Service) -> Result<(), Failure> {
    let request = PromoteImage { image: promote.image.clone() };
    let image = service::follow(promote.quiet, |observer| service.image_promote(&request, observer))?;
    if promote.json {
        return print(&json(&image)?);
    }
    if !promote.quiet {
        summarise(&image);
    }
    Ok(())
}

/// The kernel that was asked for. The process that does the work may be in another directory.
fn kernel(options: &KernelOptions) -> Result<KernelChoice, Failure> {
    let path = |path: &Option<PathBuf>| path.as_deref().map(absolute).transpose();
    let file = options.kernel.as_ref();
    let name = file.and_then(|file| file.to_str()).filter(|text| check(text).is_ok() && !Path::new(text).exists());
    Ok(KernelChoice {
        name: options.kernel_ref.clone().or(name.map(str::to_owned)),
        image: if name.is_some() { None } else { path(&options.kernel)? },
        initrd: path(&options.initrd)?,
        modules: path(&options.modules)?,
        none: options.no_kernel,
    })
}

/// A path that means the same in every directory.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::file("find", path, &error))
}

/// For people, so on standard error.
fn summarise(image: &Image) {
    let Image { name, size, allocated, .. } = image;
    match &image.replaced {
        Some(id) if *id == image.id => say(&format!("{name} was up to date: nothing has changed")),
        Some(id) => say(&format!("{name} was {}, which stays under this id until `banger prune`", short(id))),
        None => {}
    }
    say(&format!("{name}: {}, {} on disk{}", Bytes(*size), Bytes(*allocated), place(image)));
    if let Some(boot) = &image.boot {
        say(&format!("boot mode  {}: {}", boot.mode, boot.why));
    }
    say(&format!("kernel     {}", kernel_of(image).unwrap_or_else(|| "none".to_owned())));
    say(&format!("id         {}", image.id));
    say(&start(image));
}

/// How an image is started, or why it cannot be here.
fn start(image: &Image) -> String {
    let name = &image.name;
    let host = Platform::host();
    let platform = image.platform.as_deref().and_then(|platform| platform.parse::<Platform>().ok());
    match platform {
        Some(platform) if platform.architecture() != host.architecture() => {
            let (found, host) = (platform.architecture().to_owned(), host.architecture().to_owned());
            format!("it is for {found}, so `banger run` cannot start it on this machine, which is {host}")
        }
        _ if image.boot.is_none() => {
            format!("it has no agent: `banger run {name} --console` starts it and shows its console, and nothing more")
        }
        _ => format!("start it with `banger run {name}`"),
    }
}

/// Where the files of an image are, as far as that is not the store.
fn place(image: &Image) -> &'static str {
    if image.managed { "" } else { " (external)" }
}

/// The beginning of an id, which tells it from others.
fn short(id: &str) -> &str {
    id.get(..SHORT_ID).unwrap_or(id)
}

/// What an image's kernel is called: by its name, and by its version where that says more.
fn kernel_of(image: &Image) -> Option<String> {
    let kernel = image.kernel.as_ref()?;
    Some(match (&kernel.name, &kernel.version) {
        (Some(name), Some(version)) if !name.contains(version.as_str()) => format!("{name} ({version})"),
        (Some(name), _) => name.clone(),
        (None, Some(version)) => version.clone(),
        (None, None) => "without a version".to_owned(),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use banger_api::image::{Boot, ImageKernel};

    use super::*;

    /// An image as the store has it.
    pub(crate) fn image(name: &str) -> Image {
        Image {
            id: "a".repeat(64),
            name: name.to_owned(),
            source: format!("docker.io/library/{name}:latest"),
            digest: None,
            platform: Some("linux/amd64".to_owned()),
            boot: None,
            kernel: Some(ImageKernel {
                name: Some("linux-6.1".to_owned()),
                version: Some("6.1.0-18".to_owned()),
                digest: "sha256:00".to_owned(),
                image: "/r/vmlinux".into(),
                initrd: None,
                modules: None,
            }),
            content_id: None,
            size: 1 << 30,
            allocated: 427 << 19,
            created: "2026-11-21T10:00:42Z".to_owned(),
            managed: true,
            rootfs: "/r/rootfs.ext4".into(),
            replaced: None,
        }
    }

    #[test]
    fn only_what_can_be_started_is_said_to_be() {
        let host = Platform::host().to_string();
        let other = if host.ends_with("arm64") { "linux/amd64" } else { "linux/arm64" };
        let boot = || Some(Boot { mode: "systemd".to_owned(), why: "it is there".to_owned() });
        for (platform, boot, expected) in [
            (Some(host.as_str()), boot(), "start it with `banger run x`"),
            (None, boot(), "start it with `banger run x`"),
            (Some(&host), None, "it has no agent: `banger run x --console`"),
            (Some(other), boot(), "cannot start it on this machine"),
            (Some(other), None, "cannot start it on this machine"),
        ] {
            let image = Image { platform: platform.map(str::to_owned), boot, ..image("x") };
            assert!(start(&image).contains(expected), "{platform:?}: {}", start(&image));
        }
    }

    #[test]
    fn kernels_are_told_by_name_and_version() {
        for (name, version, expected) in [
            (Some("linux-6.1"), Some("6.1.0-18"), "linux-6.1 (6.1.0-18)"),
            (Some("linux-6.1.0-18"), Some("6.1.0-18"), "linux-6.1.0-18"),
            (None, Some("6.1.0-18"), "6.1.0-18"),
            (Some("mine"), None, "mine"),
            (None, None, "without a version"),
        ] {
            let mut image = image("x");
            let kernel = image.kernel.as_mut().unwrap();
            (kernel.name, kernel.version) = (name.map(str::to_owned), version.map(str::to_owned));
            assert_eq!(kernel_of(&image).as_deref(), Some(expected));
        }
    }
}
