//! The corpus: real images, made from Debian packages by `tests/corpus/build.sh` when they are needed first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use super::judge;

/// Images that cost minutes and gigabytes to make: tested where they are there.
pub(crate) const LARGE: [&str; 2] = ["debian-dev", "debian-dev-zstd"];

/// A real image, with what must come out of it.
#[derive(Clone)]
pub(crate) struct Corpus {
    /// The OCI layout.
    pub(crate) layout: PathBuf,
    /// The oracle's listing.
    pub(crate) expected: PathBuf,
}

impl Corpus {
    /// The image with this name. None where it cannot be made and need not be.
    pub(crate) fn get(name: &str) -> Option<Self> {
        static MADE: OnceLock<Mutex<BTreeMap<String, Arc<OnceLock<bool>>>>> = OnceLock::new();
        let made = MADE.get_or_init(Mutex::default).lock().unwrap().entry(name.to_owned()).or_default().clone();
        let directory = directory();
        let made = *made.get_or_init(|| make(&directory, name));
        made.then(|| Self { layout: directory.join(name), expected: directory.join(format!("{name}.expected.jsonl")) })
    }
}

/// Where the corpus is: beside what cargo builds, or where `BANGER_CORPUS` says.
fn directory() -> PathBuf {
    match std::env::var_os("BANGER_CORPUS") {
        Some(directory) => directory.into(),
        None => repository().join("target/corpus"),
    }
}

/// The project's directory.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Whether an image is there already.
pub(crate) fn is_made(name: &str) -> bool {
    directory().join(format!("{name}.expected.jsonl")).exists()
}

/// Makes an image, or finds that it is there; it is made anew when its recipe has changed.
fn make(directory: &Path, name: &str) -> bool {
    for needed in ["root", "mmdebstrap", "python3", "gzip", "zstd"] {
        if !judge::is_here(needed) {
            if !is_made(name) {
                judge::missing(needed, &format!("the image {name} of the corpus"));
            }
            return is_made(name);
        }
    }
    let status = Command::new(repository().join("tests/corpus/build.sh")).arg(directory).arg(name).status().unwrap();
    assert!(status.success(), "the image {name} of the corpus could not be made");
    true
}
