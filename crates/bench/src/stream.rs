//! One layer: read, hashed, inflated, hashed again.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::Result;
use crate::layout::Layer;

/// Small enough for a core's second-level cache, together with the decompressor's window.
const PIECE: usize = 64 << 10;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Checks a layer's size and both digests; the number of uncompressed bytes.
pub(crate) fn check(layer: &Layer) -> Result<u64> {
    let mut blob = BufReader::with_capacity(PIECE, Hashed::new(File::open(&layer.path)?));
    let start = blob.fill_buf()?;
    let (diff_id, bytes) = if start.starts_with(&GZIP) {
        digest(MultiGzDecoder::new(&mut blob))?
    } else if start.starts_with(&ZSTD) {
        digest(zstd::Decoder::with_buffer(&mut blob)?)?
    } else {
        digest(&mut blob)?
    };
    std::io::copy(&mut blob, &mut std::io::sink())?;
    let blob = blob.into_inner();
    let (found, size) = (hex(blob.sha256), blob.bytes);
    if found != layer.digest || size != layer.size || diff_id != layer.diff_id {
        return Err(format!("{found}, {size} bytes, diff ID {diff_id}: not what the image says").into());
    }
    Ok(bytes)
}

fn digest(mut stream: impl Read) -> Result<(String, u64)> {
    let mut piece = vec![0; PIECE];
    let (mut sha256, mut bytes) = (Sha256::new(), 0);
    loop {
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Ok((hex(sha256), bytes));
        }
        sha256.update(piece.get(..count).unwrap_or_default());
        bytes += count as u64;
    }
}

fn hex(sha256: Sha256) -> String {
    sha256.finalize().iter().fold("sha256:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Hashes and counts what is read through it.
struct Hashed<R> {
    inner: R,
    sha256: Sha256,
    bytes: u64,
}

impl<R> Hashed<R> {
    fn new(inner: R) -> Self {
        Self { inner, sha256: Sha256::new(), bytes: 0 }
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.sha256.update(buffer.get(..count).unwrap_or_default());
        self.bytes += count as u64;
        Ok(count)
    }
}
