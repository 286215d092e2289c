//! From rows of the store to answers, and back.

use banger_api::image::{Boot, Image, ImageKernel};
use banger_api::kernel::Kernel;
use banger_store::{image, kernel};

/// What is known of an image.
pub(super) fn image(row: image::Row) -> Image {
    Image {
        id: row.id,
        name: row.name,
        source: row.source,
        digest: row.digest,
        platform: row.platform,
        boot: row.boot.map(|boot| Boot { mode: boot.mode, why: boot.why }),
        kernel: row.kernel.map(|kernel| ImageKernel {
            name: kernel.name,
            version: kernel.version,
            digest: kernel.digest,
            image: kernel.image,
            initrd: kernel.initrd,
            modules: kernel.modules,
        }),
        content_id: row.content_id,
        size: row.size,
        allocated: row.allocated,
        created: row.created,
        managed: row.managed,
        rootfs: row.rootfs,
    }
}

/// What is known of a kernel.
pub(super) fn kernel(row: kernel::Row) -> Kernel {
    Kernel {
        name: row.name,
        version: row.version,
        architecture: row.architecture,
        format: row.format,
        digest: row.digest,
        size: row.size,
        source: row.source,
        created: row.created,
        image: row.image,
        initrd: row.initrd,
        modules: row.modules,
    }
}
