//! Kernels inside of something that unpacks them: an Image compressed with gzip, as Ubuntu has it for arm64, and EFI zboot, as
//! Fedora has it (the kernel's drivers/firmware/efi/libstub/zboot-header.S). Virtual machines have nothing that would.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::image::{image_architecture, u32_at};
use crate::limits::KERNEL_BYTES;
use crate::open;
use crate::watch::{Watch, go_on};

/// How a kernel is compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Zstd,
    Other(String),
}

/// A kernel in a part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    start: u64,
    length: u64,
    compression: Compression,
    is_zboot: bool,
}

/// Fields of zboot-header.S.
mod zboot {
    pub(super) const DOS_MAGIC: &[u8; 2] = b"MZ";
    pub(super) const MAGIC: (usize, &[u8; 4]) = (4, b"zimg");
    pub(super) const START: usize = 8;
    pub(super) const LENGTH: usize = 12;
    pub(super) const COMPRESSION: std::ops::Range<usize> = 24..56;
}

const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

impl Payload {
    /// Of a file of `length` bytes with this beginning. An error is what is wrong with it.
    pub(crate) fn recognise(head: &[u8], length: u64) -> Option<std::result::Result<Self, &'static str>> {
        let (at, magic) = zboot::MAGIC;
        if head.starts_with(zboot::DOS_MAGIC) && head.get(at..).is_some_and(|rest| rest.starts_with(magic)) {
            return Some(Self::of_zboot(head, length));
        }
        let compression = match head {
            _ if head.starts_with(GZIP) => Compression::Gzip,
            _ if head.starts_with(ZSTD) => Compression::Zstd,
            _ => return None,
        };
        image_architecture(&start(&compression, head)?)?;
        Some(Ok(Self { start: 0, length, compression, is_zboot: false }))
    }

    fn of_zboot(head: &[u8], length: u64) -> std::result::Result<Self, &'static str> {
        let (Some(start), Some(size)) = (u32_at(head, zboot::START), u32_at(head, zboot::LENGTH)) else {
            return Err("it ends within its header");
        };
        let (start, size) = (u64::from(start), u64::from(size));
        if start.saturating_add(size) > length {
            return Err("it is shorter than its header says");
        }
        let name = head.get(zboot::COMPRESSION).ok_or("it ends within its header")?;
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        let compression = match name {
            b"gzip" => Compression::Gzip,
            b"zstd" | b"zstd22" => Compression::Zstd,
            other => Compression::Other(other.escape_ascii().to_string()),
        };
        Ok(Self { start, length: size, compression, is_zboot: true })
    }

    /// What it is in, in words.
    pub(crate) fn wrapping(&self) -> &'static str {
        match (self.is_zboot, &self.compression) {
            (true, _) => "an EFI program (zboot)",
            (false, Compression::Gzip) => "a gzip file",
            (false, _) => "a zstd file",
        }
    }

    /// Unpacks it out of `from` into a new file.
    pub(crate) fn unpack(&self, from: &Path, to: &Path, watch: &dyn Watch) -> Result<()> {
        let (mut file, _) = open::file(from)?;
        file.seek(SeekFrom::Start(self.start)).map_err(Error::io("read", from))?;
        let packed = io::BufReader::new(file.take(self.length));
        let output = File::create_new(to).map_err(Error::io("create", to))?;
        match &self.compression {
            Compression::Gzip => copy(flate2::bufread::GzDecoder::new(packed), output, from, to, watch),
            Compression::Zstd => {
                let decoder = zstd::Decoder::with_buffer(packed).map_err(Error::io("decompress", from))?;
                copy(decoder.single_frame(), output, from, to, watch)
            }
            Compression::Other(name) => Err(Error::Compression { path: from.to_owned(), compression: name.clone() }),
        }
    }
}

/// As much of what is compressed as can be had of the first bytes.
fn start(compression: &Compression, head: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = match compression {
        Compression::Gzip => flate2::bufread::GzDecoder::new(head).take(64).read_to_end(&mut bytes),
        Compression::Zstd => zstd::Decoder::with_buffer(head).ok()?.take(64).read_to_end(&mut bytes),
        Compression::Other(_) => return None,
    };
    // That the rest is missing is no matter.
    let _ = read;
    Some(bytes)
}

fn copy(mut from: impl Read, mut to: File, source: &Path, target: &Path, watch: &dyn Watch) -> Result<()> {
    let mut buffer = vec![0; 256 << 10];
    let mut total: u64 = 0;
    loop {
        go_on(watch)?;
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::damaged(source, format!("it cannot be decompressed: {error}"))),
        };
        total = total.saturating_add(count as u64);
        if total > KERNEL_BYTES {
            return Err(Error::limit(source, KERNEL_BYTES, "bytes in it"));
        }
        to.write_all(buffer.get(..count).unwrap_or_default()).map_err(Error::io("write", target))?;
        watch.advanced(count as u64);
    }
}
