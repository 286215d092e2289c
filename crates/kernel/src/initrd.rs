//! What an initial RAM disk is: cpio archives (Documentation/driver-api/early-userspace/buffer-format.rst), each compressed in
//! one of the ways that kernels know, or not at all. In front of the others may stand one with microcode, not compressed
//! (Documentation/arch/x86/microcode.rst).
//!
//! What is in it is the kernel's business: it is looked at as far as to say that it is one.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::limits::INITRD_BYTES;
use crate::{looks, open};

/// How the kernel's usr/Makefile and lib/decompress.c name what they can unpack, and how that begins.
const COMPRESSIONS: [(&[u8], &str); 8] = [
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"BZh", "bzip2"),
    (b"\x5d\0\0", "lzma"),
    (b"\x89LZO\0", "lzo"),
];

/// Magic numbers of an entry of a cpio archive in the format newc, without and with checksums.
const CPIO: [&[u8]; 2] = [b"070701", b"070702"];
/// Bytes of the header of such an entry.
const CPIO_HEADER: usize = 110;

/// Checks that a file is an initial RAM disk. Says how it is compressed: `cpio` where it is not.
///
/// # Errors
/// It is no regular file, cannot be read, or is none; the error says what it is instead.
pub fn check(path: &Path) -> Result<&'static str> {
    let (file, length) = open::file(path)?;
    if length > INITRD_BYTES {
        return Err(Error::limit(path, INITRD_BYTES, "bytes"));
    }
    recognise(&file, path)
}

fn recognise(file: &File, path: &Path) -> Result<&'static str> {
    let head = open::head(file, path)?;
    of_bytes(&head).ok_or_else(|| Error::NotAnInitrd { path: path.to_owned(), looks: looks::like(&head) })
}

/// What kind of initial RAM disk begins like this; none where it is something else.
pub(crate) fn of_bytes(head: &[u8]) -> Option<&'static str> {
    if is_cpio(head) {
        return Some("cpio");
    }
    let (_, name) = COMPRESSIONS.iter().find(|(magic, _)| head.starts_with(magic))?;
    // The two that can be looked into say whether it is a cpio archive.
    let is_right = match *name {
        "gzip" => starts_cpio(flate2::bufread::GzDecoder::new(head)),
        "zstd" => zstd::Decoder::with_buffer(head).is_ok_and(starts_cpio),
        _ => true,
    };
    is_right.then_some(*name)
}

/// Whether an entry of a cpio archive stands here.
pub(crate) fn is_cpio(head: &[u8]) -> bool {
    CPIO.iter().any(|magic| head.starts_with(magic))
        && head.get(..CPIO_HEADER).is_some_and(|header| header.iter().all(u8::is_ascii_hexdigit))
}

fn starts_cpio(reader: impl Read) -> bool {
    let mut start = Vec::new();
    // Of what is cut off an error is the end; what came before it counts.
    let _ = reader.take(CPIO_HEADER as u64).read_to_end(&mut start);
    is_cpio(&start)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::testing;

    #[test]
    fn cpio_archives_are_known_compressed_or_not() {
        let cpio = testing::cpio();
        let gzip = testing::gzip(&cpio);
        let zstd = zstd::encode_all(&cpio[..], 1).unwrap();
        for (bytes, expected) in [
            (cpio.clone(), Some("cpio")),
            (gzip, Some("gzip")),
            (zstd, Some("zstd")),
            (b"\xfd7zXZ\0...".to_vec(), Some("xz")),
            (b"\x02\x21\x4c\x18...".to_vec(), Some("lz4")),
            (b"\x04\x22\x4d\x18...".to_vec(), Some("lz4")),
            (b"BZh9...".to_vec(), Some("bzip2")),
            (b"\x5d\0\0\x80\0...".to_vec(), Some("lzma")),
            (b"070701".to_vec(), None),
            (testing::gzip(b"something else"), None),
            (testing::gzip(&testing::image("6.1.0-arm64")), None),
            (b"\x1f\x8b".to_vec(), None),
            (b"\x28\xb5\x2f\xfd".to_vec(), None),
            (testing::bzimage("6.1.0"), None),
            (Vec::new(), None),
        ] {
            assert_eq!(of_bytes(&bytes), expected, "{:?}", bytes.get(..8));
        }
    }

    #[test]
    fn other_files_are_refused_for_what_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("initrd.img");
        for (bytes, looks) in [
            (&b""[..], "an empty file"),
            (b"#!/bin/sh\n", "a script"),
            (b"!<arch>\ndebian-binary   ", "a Debian package"),
            (&testing::gzip(&[&[0; 0x101][..], b"ustar"].concat()), "a tar archive, compressed with gzip"),
            (&testing::gzip(b"text"), "data compressed with gzip"),
        ] {
            File::create(&path).unwrap().write_all(bytes).unwrap();
            let error = check(&path).unwrap_err().to_string();
            assert!(error.ends_with(&format!("initrd.img is no initial RAM disk: it looks like {looks}")), "{error}");
        }
        std::fs::write(&path, testing::cpio()).unwrap();
        assert_eq!(check(&path).unwrap(), "cpio");
        let error = check(directory.path()).unwrap_err().to_string();
        assert!(error.ends_with("is no file, but a directory"), "{error}");
    }
}
