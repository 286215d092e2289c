//! A service that keeps everything in memory, and does what the source that is pulled says:
//!
//! - `until:PATH`: waits until there is a file at this path, or it is cancelled
//! - `bytes:COUNT`: downloads so many bytes, each told on its own
//! - `kind:KIND`: fails in this way
//! - `panic`: has a bug

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use banger_api::catalog::{Archive, MakeBundle, Offer, What};
use banger_api::event::Step;
use banger_api::image::{
    ExportImage, Exported, Image, ImageDetails, PromoteImage, PullImage, PushImage, Pushed, RegisterImage, RemoveImage,
    Removed, RenameImage,
};
use banger_api::kernel::{ExportKernel, ImportKernel, Kernel, PullKernel, RemoveKernel};
use banger_api::system::{API_VERSION, Info, Part, PruneRequest, Pruned, PrunedItem, Usage, UsagePart};
use banger_api::{ErrorKind, Event, Observer, Problem, Result, Service};

#[derive(Debug, Default)]
pub(crate) struct Memory {
    images: Mutex<BTreeMap<String, Image>>,
    kernels: Mutex<BTreeMap<String, Kernel>>,
    version: String,
}

const DIGEST: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

fn missing(what: &str) -> Problem {
    Problem::new(ErrorKind::NotFound, format!("there is no {what:?}"))
}

fn named(name: &str) -> Result<&str> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if name.is_empty() || !name.bytes().all(fits) {
        return Err(Problem::new(ErrorKind::Usage, format!("{name:?} is no name")));
    }
    Ok(name)
}

fn image(name: &str, source: &str, managed: bool) -> Image {
    Image {
        id: DIGEST.to_owned(),
        name: name.to_owned(),
        source: source.to_owned(),
        digest: None,
        platform: Some("linux/amd64".to_owned()),
        boot: None,
        kernel: None,
        content_id: None,
        size: 1 << 20,
        allocated: 4096,
        created: "2026-01-01T00:00:00Z".to_owned(),
        managed,
        rootfs: PathBuf::from("/images/rootfs.ext4"),
        replaced: None,
    }
}

impl Memory {
    /// With the version that it says it is of.
    pub(crate) fn new(version: &str) -> Self {
        Self { version: version.to_owned(), ..Self::default() }
    }

    fn find(&self, name: &str) -> Result<Image> {
        self.images.lock().unwrap().get(name).cloned().ok_or_else(|| missing(name))
    }

    fn keep(&self, image: Image) -> Result<Image> {
        let mut images = self.images.lock().unwrap();
        if images.contains_key(&image.name) {
            return Err(Problem::new(ErrorKind::Conflict, format!("there is an image {:?} already", image.name)));
        }
        images.insert(image.name.clone(), image.clone());
        Ok(image)
    }

    fn keep_kernel(&self, name: &str, source: &str) -> Kernel {
        let kernel = Kernel {
            name: name.to_owned(),
            version: None,
            architecture: "amd64".to_owned(),
            format: "bzimage".to_owned(),
            digest: DIGEST.to_owned(),
            size: 7,
            source: source.to_owned(),
            created: "2026-01-01T00:00:00Z".to_owned(),
            image: PathBuf::from("/kernels/bzImage"),
            initrd: None,
            modules: None,
        };
        self.kernels.lock().unwrap().insert(name.to_owned(), kernel.clone());
        kernel
    }
}

fn obey(source: &str, observer: &Arc<dyn Observer>) -> Result<()> {
    observer.event(Event::Step { step: Step::Download, subject: source.to_owned() });
    let Some((order, value)) = source.split_once(':') else {
        assert_ne!(source, "panic", "a bug");
        return Ok(());
    };
    match order {
        "until" => {
            while !Path::new(value).exists() {
                if observer.is_cancelled() {
                    return Err(Problem::cancelled());
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        "bytes" => {
            observer.event(Event::Downloading { digest: "sha256:a".to_owned(), resumed: 0 });
            for _ in 0..value.parse().unwrap() {
                observer.event(Event::Downloaded { digest: "sha256:a".to_owned(), bytes: 1 });
            }
            observer.event(Event::Complete { digest: "sha256:a".to_owned() });
        }
        "kind" => {
            let kind = serde_json::from_value(serde_json::json!(value));
            let kind = kind.map_err(|_| Problem::new(ErrorKind::Usage, format!("there is no kind {value:?}")))?;
            return Err(Problem::new(kind, format!("failed by {value}")));
        }
        _ => {}
    }
    Ok(())
}

impl Service for Memory {
    fn image_pull(&self, request: &PullImage, observer: &Arc<dyn Observer>) -> Result<Image> {
        obey(&request.source, observer)?;
        self.keep(image(named(request.name.as_deref().unwrap_or("unnamed"))?, &request.source, true))
    }

    fn image_register(&self, request: &RegisterImage) -> Result<Image> {
        obey(&request.rootfs.display().to_string(), &(Arc::new(banger_api::Silent) as _))?;
        self.keep(image(named(&request.name)?, "file", false))
    }

    fn image_list(&self) -> Result<Vec<Image>> {
        Ok(self.images.lock().unwrap().values().cloned().collect())
    }

    fn image_show(&self, image: &str) -> Result<ImageDetails> {
        let image = self.find(image)?;
        Ok(ImageDetails { image, shared_with: Vec::new(), history: Vec::new(), request: None, config: None })
    }

    fn image_remove(&self, request: &RemoveImage) -> Result<Removed> {
        let gone = self.images.lock().unwrap().remove(&request.image).ok_or_else(|| missing(&request.image))?;
        Ok(Removed { names: vec![gone.name], freed: gone.allocated })
    }

    fn image_rename(&self, request: &RenameImage) -> Result<Image> {
        let mut image = self.find(&request.image)?;
        image.name = named(&request.name)?.to_owned();
        let image = self.keep(image)?;
        self.images.lock().unwrap().remove(&request.image);
        Ok(image)
    }

    fn image_promote(&self, request: &PromoteImage, _: &Arc<dyn Observer>) -> Result<Image> {
        self.find(&request.image)
    }

    fn image_export(&self, request: &ExportImage, _: &Arc<dyn Observer>) -> Result<Exported> {
        self.find(&request.image)?;
        Ok(Exported { path: request.output.clone(), size: 1, allocated: 1 })
    }

    fn image_push(&self, request: &PushImage, _: &Arc<dyn Observer>) -> Result<Pushed> {
        self.find(&request.image)?;
        Ok(Pushed { reference: request.reference.clone(), digest: format!("sha256:{DIGEST}"), size: 1, sent: 1 })
    }

    fn bundle_make(&self, request: &MakeBundle, _: &Arc<dyn Observer>) -> Result<Archive> {
        self.find(&request.image)?;
        Ok(Archive { path: request.directory.join("x"), what: What::Image, sha256: DIGEST.to_owned(), size: 1 })
    }

    fn kernel_list(&self) -> Result<Vec<Kernel>> {
        Ok(self.kernels.lock().unwrap().values().cloned().collect())
    }

    fn kernel_pull(&self, request: &PullKernel, _: &Arc<dyn Observer>) -> Result<Kernel> {
        Ok(self.keep_kernel(request.rename.as_deref().unwrap_or(&request.name), "catalog"))
    }

    fn kernel_import(&self, request: &ImportKernel, _: &Arc<dyn Observer>) -> Result<Kernel> {
        Ok(self.keep_kernel(request.name.as_deref().unwrap_or("imported"), "file"))
    }

    fn kernel_export(&self, request: &ExportKernel, _: &Arc<dyn Observer>) -> Result<Archive> {
        Ok(Archive { path: request.directory.join("x"), what: What::Kernel, sha256: DIGEST.to_owned(), size: 1 })
    }

    fn kernel_remove(&self, request: &RemoveKernel) -> Result<Removed> {
        let gone = self.kernels.lock().unwrap().remove(&request.name).ok_or_else(|| missing(&request.name))?;
        Ok(Removed { names: vec![gone.name], freed: gone.size })
    }

    fn catalog_list(&self, observer: &Arc<dyn Observer>) -> Result<Vec<Offer>> {
        observer.event(Event::Warning { message: "a catalog cannot be read".to_owned() });
        Ok(Vec::new())
    }

    fn system_df(&self) -> Result<Usage> {
        Ok(Usage { parts: vec![UsagePart { part: Part::Images, count: 1, size: 2, reclaimable: 0 }] })
    }

    fn system_prune(&self, _: &PruneRequest) -> Result<Pruned> {
        Ok(Pruned {
            items: vec![PrunedItem { part: Part::Layers, name: "x".to_owned(), image: None, date: None, size: 3 }],
            freed: 3,
        })
    }

    fn system_info(&self) -> Result<Info> {
        Ok(Info {
            version: self.version.clone(),
            api: API_VERSION,
            root: PathBuf::from("/root"),
            cache: PathBuf::from("/cache"),
            architecture: "amd64".to_owned(),
            pid: None,
            images: 0,
            kernels: 0,
            jobs: 0,
        })
    }
}
