//! Image bundles: an image's root file system and what is known of it, in one file that a catalog can offer.
//!
//! A bundle is a tar archive, compressed with zstd, that has `manifest.json` and then `rootfs.ext4` in it, and nothing else. Its name
//! is `NAME-DIGEST.tar.zst`, with the first sixteen digits of its own sha256.
//!
//! - [`Manifest`]: what is in `manifest.json`
//! - [`write()`]: makes one. The same image makes the same bytes, whatever the host's file system, its holes, and the number of threads
//! - [`read()`]: takes one apart, and believes nothing in it: the root file system is what the manifest says, or it is not there
//!
//! Holes: the root file system is a sparse file in the form that GNU tar calls PAX 1.0. What is a hole depends on the content
//! alone: all blocks of 4096 zeros are. A bundle that somebody makes with `tar --zstd` has no map of holes and is read as well; its
//! zeros become holes on the disk.

mod archive;
mod image;
mod manifest;
mod output;
mod read;
mod survey;
mod write;

pub use self::manifest::{Boot, Layer, Manifest, Rootfs, VERSION};
pub use self::read::{Extracted, read};
pub use self::write::{Written, write};

/// The first member of a bundle: what it says of itself.
pub const MANIFEST: &str = "manifest.json";

/// The second member of a bundle: the root file system.
pub const ROOTFS: &str = "rootfs.ext4";

/// What a bundle's name ends with.
pub const SUFFIX: &str = ".tar.zst";

/// Bytes of a block that is a hole when all of them are zero: that of the file systems that we write, and of most that we write on.
const BLOCK: usize = 4096;

/// The bits of an offset that say where in its block it is.
const IN_BLOCK: u64 = BLOCK as u64 - 1;

const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Whether there is nothing but zeros, in at most a block.
fn is_zero(bytes: &[u8]) -> bool {
    ZEROS.get(..bytes.len()) == Some(bytes)
}

/// How many bytes there are from an offset to the end of its block.
fn to_boundary(offset: u64) -> usize {
    BLOCK.saturating_sub(usize::try_from(offset & IN_BLOCK).unwrap_or(0))
}

/// Tells a digest of so many zeros, as long as it is to go on.
fn hash_zeros(verifier: &mut banger_oci::Verifier, mut count: u64, watch: &dyn crate::Watch) -> crate::Result<()> {
    static MANY: [u8; 1 << 20] = [0; 1 << 20];
    while count > 0 {
        if !watch.go_on() {
            return Err(crate::Error::Cancelled);
        }
        let length = usize::try_from(count).unwrap_or(MANY.len()).min(MANY.len());
        verifier.update(MANY.get(..length).unwrap_or_default());
        count = count.saturating_sub(length as u64);
    }
    Ok(())
}
