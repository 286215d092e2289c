//! The operations in this process: a [`Service`] on the store, the caches and the settings of a user.
//!
//! - `pull`: an image comes here; `images`: what else is done with images
//! - `kernels`, `catalogs`, `distribution`, `system`: what their names say
//! - `layers`: the sizes of the layers that an image was made from
//! - `rows`: from rows of the store to answers; `watching`: what the libraries tell, as events

mod catalogs;
mod distribution;
mod images;
mod kernels;
mod layers;
mod pull;
mod rows;
mod system;
mod watching;

use std::path::PathBuf;
use std::sync::Arc;

use banger_api::catalog::{Archive, MakeBundle, Offer};
use banger_api::image::{
    ExportImage, Exported, Image, ImageDetails, PromoteImage, PullImage, PushImage, Pushed, RegisterImage, RemoveImage,
    Removed, RenameImage,
};
use banger_api::kernel::{ExportKernel, ImportKernel, Kernel, PullKernel, RemoveKernel};
use banger_api::system::{Info, PruneRequest, Pruned, Usage};
use banger_api::{ErrorKind, Observer, Result, Service};
use banger_config::{Directories, Settings};
use banger_store::Store;

use crate::hints::MAKE_ROOM;
use crate::problem::{of_config, of_store};

/// Does what is asked, in this process. Any number of them, in any number of processes, can work on one store.
#[derive(Clone, Debug)]
pub struct Engine {
    directories: Directories,
    /// A file of settings other than the usual one.
    config: Option<PathBuf>,
    store: Store,
}

impl Engine {
    /// Opens the store of a user, and makes it where there is none. What was left behind there is removed.
    ///
    /// # Errors
    /// There is no place for a store, or what is there is none, or a newer one.
    pub fn open(directories: Directories, config: Option<PathBuf>) -> Result<Self> {
        let root = directories.root().map_err(|error| of_config(&error))?;
        let store = Store::open(&root).map_err(|error| of_store(&error))?;
        Ok(Self { directories, config, store })
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The settings as they are now.
    fn settings(&self) -> Result<Settings> {
        let usual = self.directories.config();
        Settings::load(self.config.as_deref(), usual.as_deref()).map_err(|error| of_config(&error))
    }

    /// Where what was downloaded is kept.
    fn cache(&self) -> Result<PathBuf> {
        self.directories.cache().map_err(|error| of_config(&error))
    }
}

/// Where the disk of the store is full, says what can be done about that, unless something was said that fits better.
fn room<T>(result: Result<T>) -> Result<T> {
    result.map_err(|problem| match problem.kind {
        ErrorKind::NoSpace if problem.hints.is_empty() => problem.hint(MAKE_ROOM),
        _ => problem,
    })
}

impl Service for Engine {
    fn image_name(&self, request: &PullImage) -> Option<String> {
        pull::name(request)
    }

    fn image_pull(&self, request: &PullImage, observer: &Arc<dyn Observer>) -> Result<Image> {
        room(pull::pull(self, request, observer))
    }

    fn image_register(&self, request: &RegisterImage) -> Result<Image> {
        images::register(self, request)
    }

    fn image_list(&self) -> Result<Vec<Image>> {
        images::list(self)
    }

    fn image_show(&self, image: &str) -> Result<ImageDetails> {
        images::show(self, image)
    }

    fn image_remove(&self, request: &RemoveImage) -> Result<Removed> {
        images::remove(self, request)
    }

    fn image_rename(&self, request: &RenameImage) -> Result<Image> {
        images::rename(self, request)
    }

    fn image_promote(&self, request: &PromoteImage, observer: &Arc<dyn Observer>) -> Result<Image> {
        room(images::promote(self, request, observer))
    }

    fn image_export(&self, request: &ExportImage, observer: &Arc<dyn Observer>) -> Result<Exported> {
        distribution::export(self, request, observer)
    }

    fn image_push(&self, request: &PushImage, observer: &Arc<dyn Observer>) -> Result<Pushed> {
        distribution::push(self, request, observer)
    }

    fn bundle_make(&self, request: &MakeBundle, observer: &Arc<dyn Observer>) -> Result<Archive> {
        distribution::bundle(self, request, observer)
    }

    fn kernel_list(&self) -> Result<Vec<Kernel>> {
        kernels::list(self)
    }

    fn kernel_pull(&self, request: &PullKernel, observer: &Arc<dyn Observer>) -> Result<Kernel> {
        room(kernels::pull(self, request, observer))
    }

    fn kernel_import(&self, request: &ImportKernel, observer: &Arc<dyn Observer>) -> Result<Kernel> {
        room(kernels::import(self, request, observer))
    }

    fn kernel_export(&self, request: &ExportKernel, observer: &Arc<dyn Observer>) -> Result<Archive> {
        kernels::export(self, request, observer)
    }

    fn kernel_remove(&self, request: &RemoveKernel) -> Result<Removed> {
        kernels::remove(self, request)
    }

    fn catalog_list(&self, observer: &Arc<dyn Observer>) -> Result<Vec<Offer>> {
        catalogs::list(self, observer)
    }

    fn system_df(&self) -> Result<Usage> {
        system::df(self)
    }

    fn system_prune(&self, request: &PruneRequest) -> Result<Pruned> {
        system::prune(self, request)
    }

    fn system_info(&self) -> Result<Info> {
        system::info(self)
    }
}
