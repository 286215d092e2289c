//! From rows of the store to answers, and back.

use std::os::unix::fs::MetadataExt;

use banger_api::image::{Boot, Image, ImageKernel};
use banger_api::kernel::Kernel;
use banger_store::{image, kernel};

/// The unit of `st_blocks`, whatever the file system's blocks are (stat(3type)).
const STAT_BLOCK: u64 = 512;

/// What is known of an image.
pub(super) fn image(row: image::Row) -> Image {
    let allocated = if row.managed { row.allocated } else { allocated(&row) };
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
        allocated,
        created: row.created,
        managed: row.managed,
        rootfs: row.rootfs,
        replaced: None,
    }
}

/// Bytes that the files of a registered image occupy now: they are not the store's, and may change.
fn allocated(row: &image::Row) -> u64 {
    let kernel = row.kernel.iter().flat_map(|kernel| [Some(&kernel.image), kernel.initrd.as_ref()]).flatten();
    let files = [&row.rootfs].into_iter().chain(kernel).filter_map(|path| path.metadata().ok());
    files.map(|file| file.blocks().saturating_mul(STAT_BLOCK)).fold(0, u64::saturating_add)
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
