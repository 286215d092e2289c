//! What must hold of any bytes, for everything in banger that reads foreign ones.
//!
//! Each module is about one reader and has a function `check`, which takes any bytes and panics when a rule is broken. That no
//! reader panics, hangs or takes memory out of proportion is a rule in all of them; what else is one stands at each.
//! `fuzz/fuzz_targets` gives them to libFuzzer, `scripts/fuzz.sh` runs those; `tests/seeds.rs` runs each check on its seeds.
//!
//! - [`mod@reference`]: what the user writes for an image, digests, platforms
//! - [`challenge`]: a registry's `WWW-Authenticate`
//! - [`credentials`]: files of Docker and Podman
//! - [`document`]: indexes, manifests, configs
//! - [`blob`]: decompression of layers
//! - [`archive`]: a layer's entries, and their merge
//! - [`disk`]: ext4 images
//! - [`conversation`]: requests, frames, config disks
//! - [`catalog`]: catalogs, their addresses and signatures
//! - [`bundle`]: image bundles
//! - [`kernel`]: kernels, initial RAM disks, what kernels come in

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a broken rule is a panic here")]

pub mod archive;
pub mod blob;
pub mod bundle;
pub mod catalog;
pub mod challenge;
pub mod conversation;
pub mod credentials;
pub mod disk;
pub mod document;
pub mod kernel;
pub mod reference;

/// A check and its name, which is that of its target and of its seeds.
pub type Check = (&'static str, fn(&[u8]));

/// All checks.
pub const CHECKS: [Check; 11] = [
    ("archive", archive::check),
    ("blob", blob::check),
    ("bundle", bundle::check),
    ("catalog", catalog::check),
    ("challenge", challenge::check),
    ("conversation", conversation::check),
    ("credentials", credentials::check),
    ("disk", disk::check),
    ("document", document::check),
    ("kernel", kernel::check),
    ("reference", reference::check),
];

/// Every cause of an error has something to say.
fn check_messages(error: &dyn std::error::Error) {
    let mut next = Some(error);
    while let Some(error) = next {
        assert!(!error.to_string().is_empty(), "{error:?} says nothing");
        next = error.source();
    }
}
