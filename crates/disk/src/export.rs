//! An image as a file of another kind, which appears when it is complete.

use std::io::BufWriter;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::copy::copy_into;
use crate::error::{Error, IoContext, Result};
use crate::files::Files;
use crate::limits::READ_BYTES;
use crate::observer::Observer;
use crate::output::Output;
use crate::raw::Raw;
use crate::{qcow2, tar};

/// What an image can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The file system as it is; holes stay holes.
    Raw,
    /// A disk image of QEMU's, version 3.
    Qcow2,
    /// An archive of the files in it.
    Tar(tar::Holes),
}

/// A file that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Its length in bytes.
    pub size: u64,
    /// Bytes that it occupies on the disk, as far as the file system counts them: what it shares with the image is counted.
    pub allocated: u64,
}

/// Bytes that `st_blocks` counts in, whatever the file system's block size.
const STAT_BLOCK: u64 = 512;

/// Writes an image as a file of another kind. The file stands at `target` when this returns, complete and synced, or there is what
/// was there before. Only with `replace` that may be a file.
///
/// # Errors
/// Something is in the way at `target`, the image cannot be read or the file not be written, or it was cancelled.
pub fn export(image: &Path, format: Format, target: &Path, replace: bool, observer: &dyn Observer) -> Result<Exported> {
    let raw = Raw::open(image)?;
    if raw.is_at(target) {
        return Err(Error::Itself { path: target.to_owned() });
    }
    let output = Output::create(target, replace)?;
    match format {
        Format::Raw => drop(copy_into(&raw, output.file(), target, observer)?),
        Format::Qcow2 => drop(qcow2::write(&raw, output.file(), target, observer)?),
        Format::Tar(holes) => {
            let mut out = BufWriter::with_capacity(READ_BYTES, output.file());
            tar::write(&Files::open(image)?, &mut out, holes, observer)?;
        }
    }
    output.sync()?;
    let metadata = output.file().metadata().at("read the size of", target)?;
    output.publish(true)?;
    Ok(Exported { size: metadata.size(), allocated: metadata.blocks() * STAT_BLOCK })
}
