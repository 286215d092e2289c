//! Which kernel an image gets, and how it comes to stand beside it.
//!
//! The order is: the kernel that is named; the one that the bundle names; files; and where nothing is said, the one of the
//! settings, or the newest that is kept here. Whichever it is, it is checked: what it is, whether all of it belongs together,
//! whether it is for the image's architecture, and before one that is kept here is used, whether it is what came here.

use std::path::Path;
use std::sync::Arc;

use banger_api::event::Step;
use banger_api::kernel::{DEBIAN, KernelChoice, PullKernel};
use banger_api::{ErrorKind, Observer, Problem, Result};
use banger_guest::agent;
use banger_kernel::{Triple, place};
use banger_store::{Shared, image};
use banger_vm::initrd;

use crate::engine::watching::{Watching, step, warn};
use crate::engine::{Engine, kernels};
use crate::kernel::{Kept, kept, newest, verify};
use crate::problem::{of_file, of_kernel, of_store};

/// The name of an initial RAM disk that is made here.
const INITRD: &str = "initrd.img";

/// A kernel that was chosen, and checked.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// The name that it was found by, of one that is kept here.
    pub(crate) name: Option<String>,
    pub(crate) triple: Triple,
    /// Digest of all of it.
    pub(crate) digest: String,
    /// Keeps it from being removed meanwhile.
    kept: Option<Shared>,
}

impl Chosen {
    /// Checks that a kernel that is kept here is still what came here: before it is used, and only then, as all of it is read.
    pub(crate) fn verify(&self, observer: &Arc<dyn Observer>) -> Result<()> {
        let Some(name) = self.name.as_ref().filter(|_| self.kept.is_some()) else { return Ok(()) };
        verify(name, &self.triple, &self.digest, &Watching::new(observer, 0))
    }
}

/// Chooses the kernel of an image for this architecture. `of_bundle` is the name of the one that it came with.
pub(crate) fn choose(
    engine: &Engine,
    choice: &KernelChoice,
    of_bundle: Option<&str>,
    architecture: &str,
    observer: &Arc<dyn Observer>,
) -> Result<Option<Chosen>> {
    check(choice)?;
    if choice.none {
        return Ok(None);
    }
    if let Some(name) = choice.name.as_deref().or(of_bundle) {
        return named(engine, name, architecture, observer).map(Some);
    }
    if let Some(image) = &choice.image {
        return files(image, choice, Some(architecture), observer).map(Some);
    }
    let settings = engine.settings()?;
    let name = match settings.kernel {
        Some(name) => name,
        None => newest(&engine.store, architecture)?.ok_or_else(|| none_here(architecture))?,
    };
    named(engine, &name, architecture, observer).map(Some)
}

/// Checks what was said of the kernel as far as that can be done before anything is known of the image.
pub(crate) fn check_early(engine: &Engine, choice: &KernelChoice, observer: &Arc<dyn Observer>) -> Result<()> {
    check(choice)?;
    if let (Some(name), false) = (&choice.name, choice.none) {
        let here = engine.store.kernels().map_err(|error| of_store(&error))?.iter().any(|row| row.name == *name);
        if !here && name != DEBIAN {
            kernels::look_up(engine, name, agent::architecture(), observer)?;
        }
    } else if let Some(image) = &choice.image {
        let triple = banger_kernel::check(image, choice.initrd.as_deref(), choice.modules.as_deref(), None);
        triple.map_err(|error| of_kernel(&error))?;
    }
    Ok(())
}

fn check(choice: &KernelChoice) -> Result<()> {
    let says_something = choice.name.is_some() || choice.image.is_some();
    if choice.none && says_something {
        return Err(Problem::new(ErrorKind::Usage, "both a kernel and none are asked for"));
    }
    if choice.image.is_none() && (choice.initrd.is_some() || choice.modules.is_some()) {
        let what = "an initial RAM disk or modules are named, but not the kernel that they are for";
        return Err(Problem::new(ErrorKind::Usage, what).hint("name it with --kernel FILE"));
    }
    Ok(())
}

/// The kernel of that name: one that is kept here, or one that a catalog has.
fn named(engine: &Engine, name: &str, architecture: &str, observer: &Arc<dyn Observer>) -> Result<Chosen> {
    let found = kept(&engine.store, name, architecture)?;
    let Kept { row, triple, shared } = match found {
        Some(found) => found,
        None => {
            let request =
                PullKernel { name: name.to_owned(), rename: None, architecture: Some(architecture.to_owned()) };
            // Its name here may be another one: Debian's is called after its version.
            let pulled = kernels::pull(engine, &request, observer)?;
            kept(&engine.store, &pulled.name, architecture)?.ok_or_else(|| {
                Problem::new(ErrorKind::NotFound, format!("the kernel {name} was removed while it was needed"))
            })?
        }
    };
    Ok(Chosen { name: Some(row.name), triple, digest: row.digest, kept: Some(shared) })
}

fn files(
    image: &Path,
    choice: &KernelChoice,
    architecture: Option<&str>,
    observer: &Arc<dyn Observer>,
) -> Result<Chosen> {
    let triple = banger_kernel::check(image, choice.initrd.as_deref(), choice.modules.as_deref(), architecture);
    let triple = triple.map_err(|error| of_kernel(&error))?;
    let digest = triple.digest(&Watching::new(observer, 0)).map_err(|error| of_kernel(&error))?;
    Ok(Chosen { name: None, triple, digest, kept: None })
}

fn none_here(architecture: &str) -> Problem {
    let problem = Problem::new(ErrorKind::NotFound, format!("there is no kernel for {architecture} here"));
    let of_other =
        if architecture == agent::architecture() { String::new() } else { format!(" --arch {architecture}") };
    problem
        .hint(format!("`banger kernel pull debian{of_other}` gets one"))
        .hint("--kernel FILE takes a file of this machine, --no-kernel does without")
}

/// Puts a kernel into the directory of an image that is being made, with an initial RAM disk where it has modules, but none.
pub(crate) fn put(chosen: &Chosen, directory: &Path, observer: &Arc<dyn Observer>) -> Result<image::Kernel> {
    step(observer, Step::Kernel, title(chosen.name.as_deref(), &chosen.triple));
    let watching = Watching::new(observer, 0);
    let means = if chosen.kept.is_some() { place::Means::Link } else { place::Means::Copy };
    let placed = place::place(&chosen.triple, directory, means, &watching);
    let triple = placed.map_err(|error| of_kernel(&error))?;
    complete(chosen.name.clone(), triple, chosen.digest.clone(), directory, observer)
}

/// Makes an initial RAM disk for a kernel in the directory of an image, where it has modules, but none.
fn complete(
    name: Option<String>,
    mut triple: Triple,
    mut digest: String,
    directory: &Path,
    observer: &Arc<dyn Observer>,
) -> Result<image::Kernel> {
    if triple.initrd.is_none() && triple.modules.is_some() {
        if triple.architecture == agent::architecture() {
            let bytes = initrd::build(agent::BYTES, triple.modules.as_deref());
            let bytes = bytes.map_err(|error| Problem::of(ErrorKind::Other, &error))?;
            let path = directory.join(INITRD);
            std::fs::write(&path, bytes).map_err(|error| of_file("write", &path, &error))?;
            triple.initrd = Some(path);
            digest = triple.digest(&Watching::new(observer, 0)).map_err(|error| of_kernel(&error))?;
        } else {
            warn(
                observer,
                format!("no initial RAM disk was made: that can be done for {} alone", agent::architecture()),
            );
        }
    }
    let Triple { image, initrd, modules, version, .. } = triple;
    Ok(image::Kernel { name, version, digest, image, initrd, modules })
}

/// What a kernel is called in messages.
fn title(name: Option<&str>, triple: &Triple) -> String {
    name.or(triple.version.as_deref()).unwrap_or("without a version").to_owned()
}

/// Unpacks the kernel that an image came with into the directory of the image, which is to be called `name`.
pub(crate) fn unpack(
    archive: &Path,
    directory: &Path,
    name: &str,
    architecture: &str,
    observer: &Arc<dyn Observer>,
) -> Result<image::Kernel> {
    step(observer, Step::Extract, format!("the kernel of {name}"));
    let watching = Watching::new(observer, 0);
    banger_kernel::archive::unpack(archive, directory, &watching).map_err(|error| of_kernel(&error))?;
    let triple = Triple::in_directory(directory, Some(architecture)).map_err(|error| of_kernel(&error))?;
    step(observer, Step::Kernel, title(None, &triple));
    let digest = triple.digest(&watching).map_err(|error| of_kernel(&error))?;
    complete(None, triple, digest, directory, observer)
}

/// What is recorded of a kernel whose files stay where they are.
pub(crate) fn record(chosen: Chosen) -> image::Kernel {
    let Chosen { name, triple, digest, kept: _ } = chosen;
    let Triple { image, initrd, modules, version, .. } = triple;
    image::Kernel { name, version, digest, image, initrd, modules }
}

/// Checks the kernel of an image that is known here, to take its files.
pub(crate) fn again(kernel: &image::Kernel, observer: &Arc<dyn Observer>) -> Result<Chosen> {
    let choice = KernelChoice {
        image: Some(kernel.image.clone()),
        initrd: kernel.initrd.clone(),
        modules: kernel.modules.clone(),
        ..KernelChoice::default()
    };
    let chosen = files(&kernel.image, &choice, None, observer)?;
    if chosen.digest != kernel.digest {
        let what = format!("the kernel {} is not what it was when the image was registered", kernel.image.display());
        return Err(Problem::new(ErrorKind::Integrity, what));
    }
    Ok(chosen)
}
