//! A root file system as it comes out of a bundle: zeros become holes, and its digest is computed meanwhile.
//!
//! The file is there under its own name while it is written, in a directory that nobody uses yet; it goes again unless it is
//! complete and right.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use banger_oci::{Algorithm, Digest, Verifier};

use super::{hash_zeros, is_zero, to_boundary};
use crate::error::{Error, Result};
use crate::watch::Watch;

/// Bytes that are collected before they are written.
const BUFFER: usize = 1 << 20;

pub(super) struct Image {
    file: File,
    path: PathBuf,
    verifier: Verifier,
    /// What is not written yet, and where it belongs.
    buffer: Vec<u8>,
    buffer_start: u64,
    keep: bool,
}

impl Image {
    /// Makes a file that must not be there.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o644).open(path);
        Ok(Self {
            file: file.map_err(Error::io("create", path))?,
            path: path.to_owned(),
            verifier: Verifier::new(Algorithm::Sha256),
            buffer: Vec::with_capacity(BUFFER),
            buffer_start: 0,
            keep: false,
        })
    }

    /// Bytes so far, holes included.
    pub(super) fn length(&self) -> u64 {
        self.verifier.size()
    }

    pub(super) fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.verifier.update(bytes);
        while !bytes.is_empty() {
            let room = BUFFER.saturating_sub(self.buffer.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            if self.buffer.len() >= BUFFER {
                self.flush()?;
            }
            bytes = later;
        }
        Ok(())
    }

    pub(super) fn append_hole(&mut self, length: u64, watch: &dyn Watch) -> Result<()> {
        self.flush()?;
        hash_zeros(&mut self.verifier, length, watch)?;
        self.buffer_start = self.verifier.size();
        Ok(())
    }

    /// The file is complete. Its digest and its length.
    pub(super) fn finish(&mut self) -> Result<(Digest, u64)> {
        self.flush()?;
        let (digest, size) = self.verifier.clone().digest();
        self.file.set_len(size).map_err(Error::io("write", &self.path))?;
        Ok((digest, size))
    }

    /// The file is right, and stays.
    pub(super) fn keep(mut self) -> PathBuf {
        self.keep = true;
        self.path.clone()
    }

    /// Writes what has been collected, but for blocks of zeros.
    fn flush(&mut self) -> Result<()> {
        let mut rest = self.buffer.as_slice();
        let mut at = self.buffer_start;
        while !rest.is_empty() {
            let mut length = 0_usize;
            // As many blocks in a row as are not zero.
            let zeros = loop {
                let behind = rest.get(length..).unwrap_or_default();
                let boundary = to_boundary(at.saturating_add(length as u64));
                let block = behind.get(..boundary).unwrap_or(behind);
                if block.is_empty() || is_zero(block) {
                    break block.len();
                }
                length = length.saturating_add(block.len());
            };
            let (data, behind) = rest.split_at(length);
            if !data.is_empty() {
                self.file.write_all_at(data, at).map_err(Error::io("write", &self.path))?;
            }
            rest = behind.get(zeros..).unwrap_or_default();
            at = at.saturating_add(length as u64).saturating_add(zeros as u64);
        }
        self.buffer.clear();
        self.buffer_start = at;
        Ok(())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if !self.keep {
            // The error to be told is another one; and who made the directory removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}
