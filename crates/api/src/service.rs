//! Everything that can be asked, by the names that the operations have.

use std::sync::Arc;

use crate::catalog::{Archive, MakeBundle, Offer};
use crate::event::Observer;
use crate::image::{
    ExportImage, Exported, Image, ImageDetails, PromoteImage, PullImage, PushImage, Pushed, RegisterImage, RemoveImage,
    Removed, RenameImage,
};
use crate::kernel::{ExportKernel, ImportKernel, Kernel, PullKernel, RemoveKernel};
use crate::problem::Result;
use crate::system::{Info, PruneRequest, Pruned, Usage};

/// Who does what is asked: this process, or the daemon that it asks.
///
/// What fails leaves nothing half done. All can be called from several threads and processes at once.
pub trait Service {
    /// The name that `image.pull` would give, as far as that can be told without asking anybody.
    fn image_name(&self, request: &PullImage) -> Option<String> {
        request.name.clone()
    }
    /// `image.pull`
    fn image_pull(&self, request: &PullImage, observer: &Arc<dyn Observer>) -> Result<Image>;
    /// `image.register`
    fn image_register(&self, request: &RegisterImage) -> Result<Image>;
    /// `image.list`: by name.
    fn image_list(&self) -> Result<Vec<Image>>;
    /// `image.show`: of the image with this name, or with an id that begins like this.
    fn image_show(&self, image: &str) -> Result<ImageDetails>;
    /// `image.remove`
    fn image_remove(&self, request: &RemoveImage) -> Result<Removed>;
    /// `image.rename`
    fn image_rename(&self, request: &RenameImage) -> Result<Image>;
    /// `image.promote`
    fn image_promote(&self, request: &PromoteImage, observer: &Arc<dyn Observer>) -> Result<Image>;
    /// `image.export`
    fn image_export(&self, request: &ExportImage, observer: &Arc<dyn Observer>) -> Result<Exported>;
    /// `image.push`
    fn image_push(&self, request: &PushImage, observer: &Arc<dyn Observer>) -> Result<Pushed>;
    /// `bundle.make`
    fn bundle_make(&self, request: &MakeBundle, observer: &Arc<dyn Observer>) -> Result<Archive>;
    /// `kernel.list`: by name.
    fn kernel_list(&self) -> Result<Vec<Kernel>>;
    /// `kernel.pull`
    fn kernel_pull(&self, request: &PullKernel, observer: &Arc<dyn Observer>) -> Result<Kernel>;
    /// `kernel.import`
    fn kernel_import(&self, request: &ImportKernel, observer: &Arc<dyn Observer>) -> Result<Kernel>;
    /// `kernel.export`
    fn kernel_export(&self, request: &ExportKernel, observer: &Arc<dyn Observer>) -> Result<Archive>;
    /// `kernel.remove`
    fn kernel_remove(&self, request: &RemoveKernel) -> Result<Removed>;
    /// `catalog.list`: what all catalogs offer, in the order in which they are looked through. A catalog that cannot be read is
    /// told to the observer, as a warning.
    fn catalog_list(&self, observer: &Arc<dyn Observer>) -> Result<Vec<Offer>>;
    /// `system.df`
    fn system_df(&self) -> Result<Usage>;
    /// `system.prune`
    fn system_prune(&self, request: &PruneRequest) -> Result<Pruned>;
    /// `system.info`
    fn system_info(&self) -> Result<Info>;
}
