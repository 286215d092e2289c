//! Image bundles.
//!
//! - What was extracted is as long as the manifest says, and has its digest.
//! - Of what was refused nothing is left.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use banger_catalog::{Watch, bundle};
use banger_oci::Digest;

use crate::check_messages;

/// How often a bundle is asked whether to go on: a hole of a terabyte takes minutes to hash, and finds nothing.
const PATIENCE: u32 = 64;

struct Patience(AtomicU32);

impl Watch for Patience {
    fn go_on(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) < PATIENCE
    }
}

/// Reads the bytes as a bundle.
pub fn check(data: &[u8]) {
    let directory = std::env::temp_dir().join(format!("banger-fuzz-bundle-{}", std::process::id()));
    // What a run before this one left behind, if it was ended.
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a directory can be made");
    let names = || fs::read_dir(&directory).expect("it is there").count();
    match bundle::read(data, &directory, &Patience(AtomicU32::new(0))) {
        Err(error) => {
            check_messages(&error);
            assert_eq!(names(), 0, "something is left: {error}");
        }
        Ok(extracted) => {
            let found = fs::read(&extracted.rootfs).expect("it can be read");
            assert_eq!(found.len() as u64, extracted.manifest.rootfs.size);
            assert_eq!(Digest::sha256(&found).hex(), extracted.manifest.rootfs.sha256);
            assert_eq!(names(), 1);
        }
    }
    fs::remove_dir_all(&directory).expect("the directory can be removed");
}
