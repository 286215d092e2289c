//! `kernel pull debian`: Debian's kernel for virtual machines, in the version that this system's apt has.
//!
//! Where there is no apt, or it knows no such kernel, the catalog that is a part of banger has one (`banger_catalog::embedded`). The kernel
//! is named after its version, so that a newer one can be fetched beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use banger_api::event::{Event, Step};
use banger_api::kernel::{Kernel, PullKernel};
use banger_api::{ErrorKind, Observer, Problem, Result};
use banger_kernel::control::Control;
use banger_kernel::packages;
use banger_store::Reservation;

use super::super::watching::step;
use super::{Engine, Input, keep, of_version};
use crate::apt::Apt;
use crate::problem::{of_file, of_store};

/// Metapackages of Debian that depend on its newest kernel: the flavour for virtual machines, which has no drivers for hardware, first.
const METAPACKAGES: [&str; 2] = ["linux-image-cloud-", "linux-image-"];
/// Where lists of packages are kept in the cache.
const LISTS: &str = "apt";
/// Where packages are put in the directory of a kernel that is being made.
const PACKAGES: &str = ".packages";

/// The kernel that apt would install.
#[derive(Debug)]
struct Candidate {
    /// Its package, `linux-image-VERSION`.
    image: Control,
    /// All its packages, as apt takes them: `NAME:ARCHITECTURE=VERSION`.
    packages: Vec<String>,
}

/// Fetches Debian's kernel by apt. None if there is no apt here, or it has no such kernel for the architecture.
pub(super) fn pull(
    engine: &Engine,
    request: &PullKernel,
    architecture: &str,
    reservation: &mut Option<Reservation>,
    observer: &Arc<dyn Observer>,
) -> Result<Option<Kernel>> {
    let Some(mut apt) = Apt::find() else { return Ok(None) };
    let go_on = || !observer.is_cancelled();
    let lists = engine.cache()?.join(LISTS);
    let mut is_current = false;
    if !apt.has_lists(&go_on)? {
        step(observer, Step::Download, "lists of packages, by apt");
        apt.update(&lists, &go_on)?;
        is_current = true;
    }
    loop {
        let Some(candidate) = find(&apt, architecture, &go_on)? else { return Ok(None) };
        if request.rename.is_none()
            && let Some(version) = candidate.image.package.strip_prefix("linux-image-")
            && let Some(known) = of_version(engine, version)?
        {
            return Ok(Some(known));
        }
        let unnamed = engine.store.stage_kernel_unnamed().map_err(|error| of_store(&error))?;
        let directory = unnamed.path().join(PACKAGES);
        std::fs::create_dir(&directory).map_err(|error| of_file("create", &directory, &error))?;
        match download(&apt, &candidate, &directory, observer) {
            Ok(()) => {}
            Err(problem) if is_current || problem.kind == ErrorKind::Cancelled => return Err(advised(problem)),
            // The lists may be older than what the mirror has.
            Err(_) => {
                step(observer, Step::Download, "lists of packages, by apt");
                apt.update(&lists, &go_on).map_err(advised)?;
                is_current = true;
                continue;
            }
        }
        let files = files(&directory)?;
        let source = format!("apt:{}", candidate.packages.first().map(String::as_str).unwrap_or_default());
        let from =
            Input { files: &files, scratch: Some(&directory), source: &source, architecture: Some(architecture) };
        return keep(engine, unnamed, reservation.take(), &from, observer).map(Some);
    }
}

/// Asks apt for the newest kernel of an architecture, and all its packages.
fn find(apt: &Apt, architecture: &str, go_on: &dyn Fn() -> bool) -> Result<Option<Candidate>> {
    for prefix in METAPACKAGES {
        let meta = format!("{prefix}{architecture}");
        let Some(meta) = apt.show(&format!("{meta}:{architecture}"), go_on)? else { continue };
        let image = packages::of_kernel(&meta).find(|other| other.package.starts_with("linux-image-"));
        let Some(image) = image else { continue };
        let named = |package: &str, version: &Option<String>| match version {
            Some(version) => format!("{package}:{architecture}={version}"),
            None => format!("{package}:{architecture}"),
        };
        let Some(image) = apt.show(&named(&image.package, &image.version), go_on)? else { continue };
        let others = packages::of_kernel(&image).map(|other| named(&other.package, &other.version));
        let packages = [named(&image.package, &image.version)].into_iter().chain(others).collect();
        return Ok(Some(Candidate { image, packages }));
    }
    Ok(None)
}

fn download(apt: &Apt, candidate: &Candidate, directory: &Path, observer: &Arc<dyn Observer>) -> Result<()> {
    let go_on = || !observer.is_cancelled();
    let files = apt.files(&candidate.packages, &go_on)?;
    let total = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
    let subject = match candidate.packages.len() {
        1 => format!("{} by apt", candidate.image.package),
        count => format!("{} by apt, in {count} packages", candidate.image.package),
    };
    step(observer, Step::Download, subject);
    let progress = |done: u64| {
        if total > 0 {
            observer.event(Event::Advanced { done: done.min(total), total });
        }
    };
    apt.download(&candidate.packages, directory, &progress, &go_on)
}

/// The packages in a directory.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: std::io::Error| of_file("list", directory, &error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn advised(problem: Problem) -> Problem {
    match problem.kind {
        ErrorKind::Cancelled => problem,
        _ => problem.hint(
            "check that `apt-get update` works; a kernel can also be taken from files: `banger kernel import --help`",
        ),
    }
}
