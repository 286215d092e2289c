//! A flat root file system: one tar archive, perhaps compressed, that stands for a single layer.
//!
//! There is no config, no digest and no platform, so there is nothing to check it against; what it is is known once it
//! has been read. A regular file can be opened many times, a pipe once.

use super::Input;
use super::input::{self, Opened};
use crate::error::{Error, Result};
use crate::image::{Image, Layer, Opener};
use std::sync::{Arc, Mutex};

/// Opens the archive.
pub(crate) fn open(file: &Input, name: String) -> Result<Image> {
    let Opened { file, regular } = input::open(file, &name)?;
    let (opener, size) = match regular {
        Some((_, 0)) => return Err(Error::malformed(name, "it is empty")),
        Some((offset, size)) => (Opener::Range(Arc::new(file), offset), Some(size)),
        None => (Opener::Stream(Mutex::new(Some(file))), None),
    };
    Ok(Image {
        source: name,
        name: None,
        manifest_digest: None,
        manifest: None,
        config: None,
        platform: None,
        layers: vec![Layer { media_type: None, size, digest: None, diff_id: None, opener }],
        warnings: Vec::new(),
    })
}
