//! Kernels for tests, made on the spot.

#[path = "../../crates/kernel/src/testing/kernels.rs"]
mod made;

use std::path::Path;

pub(crate) use self::made::cpio as initrd;
pub(crate) use self::made::module;

/// A kernel for this machine, of that version: a bzImage, or an Image for arm64.
pub(crate) fn image(version: &str) -> Vec<u8> {
    if cfg!(target_arch = "aarch64") { made::image(version) } else { made::bzimage(version) }
}

/// A kernel for another machine.
pub(crate) fn foreign(version: &str) -> Vec<u8> {
    if cfg!(target_arch = "aarch64") { made::bzimage(version) } else { made::image(version) }
}

/// The name that a kernel for this machine has in a directory.
pub(crate) fn name() -> &'static str {
    if cfg!(target_arch = "aarch64") { "Image" } else { "bzImage" }
}

/// Writes a kernel with an initial RAM disk and one module into a directory, as `kernel import` takes it.
pub(crate) fn write(directory: &Path, version: &str) {
    let modules = directory.join("modules/kernel/drivers");
    std::fs::create_dir_all(&modules).unwrap();
    std::fs::write(directory.join(name()), image(version)).unwrap();
    std::fs::write(directory.join("initrd.img"), initrd()).unwrap();
    std::fs::write(modules.join("some.ko"), module(version, "")).unwrap();
}
