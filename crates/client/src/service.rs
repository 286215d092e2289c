//! All that can be asked, asked of the daemon.

use std::sync::Arc;

use banger_api::catalog::{Archive, MakeBundle, Offer, Offers};
use banger_api::image::{
    ExportImage, Exported, Image, ImageDetails, PromoteImage, PullImage, PushImage, Pushed, RegisterImage, RemoveImage,
    Removed, RenameImage,
};
use banger_api::job::Outcome;
use banger_api::kernel::{ExportKernel, ImportKernel, Kernel, PullKernel, RemoveKernel};
use banger_api::system::{Info, PruneRequest, Pruned, Usage};
use banger_api::{Event, Observer, Result, Service};

use crate::client::{Client, encode, nonsense};

/// What came of a job, where it is of the kind that its operation has.
macro_rules! expect {
    ($outcome:expr, $kind:ident) => {
        match $outcome? {
            Outcome::$kind(value) => Ok(value),
            _ => Err(nonsense()),
        }
    };
}

impl Service for Client {
    fn image_pull(&self, request: &PullImage, observer: &Arc<dyn Observer>) -> Result<Image> {
        expect!(self.perform("image.pull", request, observer), Image).map(|image| *image)
    }

    fn image_register(&self, request: &RegisterImage) -> Result<Image> {
        self.post("image.register", request)
    }

    fn image_list(&self) -> Result<Vec<Image>> {
        self.get("image.list")
    }

    fn image_show(&self, image: &str) -> Result<ImageDetails> {
        self.get(&format!("image.show?image={}", encode(image)))
    }

    fn image_remove(&self, request: &RemoveImage) -> Result<Removed> {
        self.post("image.remove", request)
    }

    fn image_rename(&self, request: &RenameImage) -> Result<Image> {
        self.post("image.rename", request)
    }

    fn image_promote(&self, request: &PromoteImage, observer: &Arc<dyn Observer>) -> Result<Image> {
        expect!(self.perform("image.promote", request, observer), Image).map(|image| *image)
    }

    fn image_export(&self, request: &ExportImage, observer: &Arc<dyn Observer>) -> Result<Exported> {
        expect!(self.perform("image.export", request, observer), Exported)
    }

    fn image_push(&self, request: &PushImage, observer: &Arc<dyn Observer>) -> Result<Pushed> {
        expect!(self.perform("image.push", request, observer), Pushed)
    }

    fn bundle_make(&self, request: &MakeBundle, observer: &Arc<dyn Observer>) -> Result<Archive> {
        expect!(self.perform("bundle.make", request, observer), Archive)
    }

    fn kernel_list(&self) -> Result<Vec<Kernel>> {
        self.get("kernel.list")
    }

    fn kernel_pull(&self, request: &PullKernel, observer: &Arc<dyn Observer>) -> Result<Kernel> {
        expect!(self.perform("kernel.pull", request, observer), Kernel).map(|kernel| *kernel)
    }

    fn kernel_import(&self, request: &ImportKernel, observer: &Arc<dyn Observer>) -> Result<Kernel> {
        expect!(self.perform("kernel.import", request, observer), Kernel).map(|kernel| *kernel)
    }

    fn kernel_export(&self, request: &ExportKernel, observer: &Arc<dyn Observer>) -> Result<Archive> {
        expect!(self.perform("kernel.export", request, observer), Archive)
    }

    fn kernel_remove(&self, request: &RemoveKernel) -> Result<Removed> {
        self.post("kernel.remove", request)
    }

    fn catalog_list(&self, observer: &Arc<dyn Observer>) -> Result<Vec<Offer>> {
        let Offers { offers, warnings } = self.get("catalog.list")?;
        for message in warnings {
            observer.event(Event::Warning { message });
        }
        Ok(offers)
    }

    fn system_df(&self) -> Result<Usage> {
        self.get("system.df")
    }

    fn system_prune(&self, request: &PruneRequest) -> Result<Pruned> {
        self.post("system.prune", request)
    }

    fn system_info(&self) -> Result<Info> {
        self.get("system.info")
    }
}
