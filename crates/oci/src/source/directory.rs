//! A layout in a directory.

use super::layout::Files;
use crate::blob::{BlobReader, Blobs, read_limited};
use crate::descriptor::Descriptor;
use crate::error::{Error, Result};
use crate::verify::Mismatch;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads files below a directory. No path is built from anything but constants and digests.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    name: String,
}

impl Directory {
    pub(crate) fn new(path: PathBuf, name: String) -> Self {
        Directory { path, name }
    }
}

/// Opens a regular file and gives its size. `None` when there is nothing of that name.
fn open_regular(path: &Path) -> Result<Option<(File, u64)>> {
    let shown = path.display().to_string();
    let not_regular = || Error::malformed(shown.clone(), "it is not a regular file");
    // Looked at before it is opened: opening a FIFO would wait for a writer.
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() => return Err(not_regular()),
        Ok(_) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(Error::io("open", shown)(error)),
    }
    let file = File::open(path).map_err(Error::io("open", shown.clone()))?;
    let metadata = file.metadata().map_err(Error::io("look at", shown.clone()))?;
    if !metadata.is_file() {
        return Err(not_regular());
    }
    Ok(Some((file, metadata.len())))
}

impl Blobs for Directory {
    fn open(&self, descriptor: &Descriptor) -> Result<BlobReader> {
        let (file, size) = open_regular(&self.path.join(descriptor.digest.blob_path()))?
            .ok_or_else(|| Error::Missing { what: format!("blob {}", descriptor.digest), place: self.place() })?;
        if size != descriptor.size {
            return Err(Error::Integrity {
                what: format!("blob {} in {}", descriptor.digest, self.place()),
                source: Mismatch::Size { expected: descriptor.size, actual: size },
            });
        }
        Ok(BlobReader::range(Arc::new(file), 0, size))
    }

    fn place(&self) -> String {
        self.name.clone()
    }
}

impl Files for Directory {
    fn file(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let path = self.path.join(name);
        let shown = path.display().to_string();
        let Some((file, size)) = open_regular(&path)? else { return Ok(None) };
        let bytes = read_limited(file, limit, &shown)?;
        bytes.map(Some).ok_or(Error::Limit { what: shown, actual: size, limit, unit: "bytes" })
    }

    fn absence(&self) -> Result<()> {
        let shown = self.path.display().to_string();
        let metadata = self.path.metadata().map_err(Error::io("open", shown.clone()))?;
        if metadata.is_file() {
            let reason = "it is a file; an archive is named as oci-archive:FILE, docker-archive:FILE or tar:FILE";
            return Err(Error::unsupported(shown, reason));
        }
        Ok(())
    }
}
