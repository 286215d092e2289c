//! The kernel that a machine is started with, found as `banger pull` finds that of an image.
//!
//! The order is: the kernel that is named, by a file or by the name that it is kept under; the image's own; the one of the settings; the
//! newest that is kept here; one in this machine's `/boot`. Where there is none, a person at a terminal is offered to get one.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use banger_api::Observer;
use banger_api::kernel::{DEBIAN, PullKernel};
use banger_config::Directories;
use banger_operations::kernel::{self, Kept};
use banger_operations::problem::{of_kernel, of_store};
use banger_store::name::nearest;
use banger_store::{Shared, Store, completion, name};
use banger_vm::{Error, Kernel};

use super::failures;
use super::image::Own;
use crate::args::{Run, ServiceOptions};
use crate::directories;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::password;
use crate::progress::{Shown, Task};
use crate::service;

/// A kernel, and what it is started with.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) kernel: Kernel,
    /// The initial RAM disk that it came with.
    pub(super) initrd: Option<PathBuf>,
    /// Keeps its files from being removed.
    _shared: Option<Shared>,
}

/// Where kernels are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search<'a> {
    pub(super) run: &'a Run,
    pub(super) options: &'a ServiceOptions,
    pub(super) directories: &'a Directories,
    /// The kernel that the image is kept with.
    pub(super) own: Option<&'a Own>,
}

impl Search<'_> {
    /// Finds the kernel. None if there is none at all.
    pub(super) fn find(&self) -> Result<Option<Chosen>, Failure> {
        let modules = self.run.modules.as_deref();
        if let Some(named) = &self.run.kernel {
            return self.named(named).map(Some);
        }
        if let Some(own) = self.own {
            return self.of_image(own).map(Some);
        }
        if let Some(name) = directories::settings(self.run.registry.hosts.config.as_deref())?.kernel {
            return self.set(&name).map(Some);
        }
        if let Some(store) = self.store()?
            && let Some(name) = kernel::newest(&store, architecture())?
        {
            return self.kept(&store, &name);
        }
        match Kernel::of_host(modules) {
            Ok(kernel) => Ok(Some(Chosen { kernel, initrd: None, _shared: None })),
            Err(Error::NoKernel { .. }) => Ok(None),
            Err(error) => Err(failures::of(&error)),
        }
    }

    /// Finds a kernel after there was none: offers to get one, where somebody can answer.
    pub(super) fn get(&self) -> Result<Chosen, Failure> {
        if self.is_wanted()? {
            self.pull(DEBIAN)?;
        }
        self.find()?.ok_or_else(|| missing(self.run.modules.as_deref()))
    }

    /// A kernel by its file, or by the name that it is kept under.
    fn named(&self, named: &Path) -> Result<Chosen, Failure> {
        let name = named.to_str().filter(|text| name::check(text).is_ok() && !named.exists());
        let Some(name) = name else { return self.file(named) };
        if let Some(store) = self.store()?
            && let Some(chosen) = self.kept(&store, name)?
        {
            return Ok(chosen);
        }
        let kernels = completion::names(&self.directories.root()?).kernels;
        let what = format!("there is no file {name}, and no kernel of that name is kept here");
        let failure = Failure::new(Exit::NotFound, what);
        Err(match nearest(name, kernels).first() {
            Some(nearest) => failure.hint(format!("perhaps {nearest} is meant")),
            None if name == DEBIAN => {
                failure.hint("`banger kernel pull debian` gets it; without --kernel it is then taken")
            }
            None => failure.hint("`banger kernel ls` lists those that are kept here"),
        })
    }

    fn file(&self, image: &Path) -> Result<Chosen, Failure> {
        let kernel = Kernel::named(image, self.run.modules.as_deref()).map_err(|error| failures::of(&error))?;
        Ok(Chosen { kernel, initrd: None, _shared: None })
    }

    /// The kernel of an image that is kept here, if it is still the one that it was kept with.
    fn of_image(&self, own: &Own) -> Result<Chosen, Failure> {
        let triple = banger_kernel::check(&own.image, own.initrd.as_deref(), own.modules.as_deref(), None);
        let verified = triple.and_then(|triple| triple.verify(&own.digest, &()));
        verified.map_err(|error| of_kernel(&error))?;
        let modules = self.run.modules.as_deref().or(own.modules.as_deref());
        let kernel = Kernel::named(&own.image, modules).map_err(|error| failures::of(&error))?;
        Ok(Chosen { kernel, initrd: own.initrd.clone(), _shared: None })
    }

    /// The kernel that the settings name: it is fetched where it is not here.
    fn set(&self, name: &str) -> Result<Chosen, Failure> {
        if let Some(store) = self.store()?
            && let Some(chosen) = self.kept(&store, name)?
        {
            return Ok(chosen);
        }
        let name = self.pull(name)?;
        let store = Store::open(&self.directories.root()?).map_err(|error| Failure::from(of_store(&error)))?;
        let removed = || Failure::new(Exit::NotFound, format!("the kernel {name} was removed while it was needed"));
        self.kept(&store, &name)?.ok_or_else(removed)
    }

    /// The kernel that is kept here by this name, checked as whenever one is used.
    fn kept(&self, store: &Store, name: &str) -> Result<Option<Chosen>, Failure> {
        let Some(Kept { row, triple, shared }) = kernel::kept(store, name, architecture())? else { return Ok(None) };
        kernel::verify(&row.name, &triple, &row.digest, &())?;
        let modules = self.run.modules.as_deref().or(triple.modules.as_deref());
        let kernel = Kernel::named(&triple.image, modules).map_err(|error| failures::of(&error))?;
        Ok(Some(Chosen { kernel, initrd: triple.initrd, _shared: Some(shared) }))
    }

    /// The store, if kernels are kept in it. None is made.
    fn store(&self) -> Result<Option<Store>, Failure> {
        let root = self.directories.root()?;
        if completion::names(&root).kernels.is_empty() {
            return Ok(None);
        }
        Store::open(&root).map(Some).map_err(|error| of_store(&error).into())
    }

    /// Fetches a kernel, and returns the name that it has here.
    fn pull(&self, name: &str) -> Result<String, Failure> {
        let service = service::open(self.options)?;
        let request = PullKernel { name: name.to_owned(), rename: None, architecture: None };
        // Ctrl-C ends it as if there were no progress to be shown: signals are watched later, for the machine.
        let progress = Arc::new(Shown::new(Task::Build, self.run.quiet));
        let observer: Arc<dyn Observer> = Arc::<Shown>::clone(&progress);
        let pulled = service.kernel_pull(&request, &observer);
        progress.finish();
        Ok(pulled?.name)
    }

    /// Asks whether to get a kernel. Where nobody can answer, nobody is asked.
    fn is_wanted(&self) -> Result<bool, Failure> {
        if self.run.quiet || !std::io::stderr().is_terminal() {
            return Ok(false);
        }
        let question = "There is no Linux kernel to start the machine with. Get Debian's? It is some 40 MB. [Y/n] ";
        let answer = password::ask(question)?;
        Ok(answer.is_some_and(|answer| matches!(answer.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes")))
    }
}

fn architecture() -> &'static str {
    banger_guest::agent::architecture()
}

fn missing(modules: Option<&Path>) -> Failure {
    let reason = match Kernel::of_host(modules) {
        Err(Error::NoKernel { reason }) => reason,
        Err(error) => return failures::of(&error),
        // It has come meanwhile.
        Ok(kernel) => format!("{} was not there", kernel.image.display()),
    };
    let reason = format!("none for {} is kept here, and {reason}", architecture());
    failures::of(&Error::NoKernel { reason })
}
