//! What a file is, by its first bytes: for messages about files that were taken for something else.

use std::io::Read;

use crate::image::{Recognised, recognise, u16_at, u32_at};
use crate::initrd;

/// What is known by bytes at a place.
const MAGICS: &[(usize, &[u8], &str)] = &[
    (0, b"!<arch>\ndebian-binary", "a Debian package"),
    (0, b"!<arch>\n", "an ar archive, or a library"),
    (0, b"\xed\xab\xee\xdb", "an RPM package"),
    (0, b"QFI\xfb", "a disk image (qcow2)"),
    (0, b"hsqs", "a squashfs image"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"SQLite format 3\0", "a database (SQLite)"),
    (0, b"\x27\x05\x19\x56", "a kernel or an initial RAM disk for U-Boot (uImage)"),
    (0, b"\xd0\x0d\xfe\xed", "a device tree, or a FIT image for U-Boot"),
    (0, b"ANDROID!", "a boot image of Android"),
    (0x24, b"\x18\x28\x6f\x01", "a kernel for ARM of 32 bits (zImage)"),
    (0x101, b"ustar", "a tar archive"),
    (0x438, b"\x53\xef", "a file system (ext2, ext3 or ext4)"),
    (0x8001, b"CD001", "an image of a CD (ISO 9660)"),
    (0, b"XFSB", "a file system (XFS)"),
    (0, b"#!", "a script"),
    (0, b"-----BEGIN ", "a key or a certificate"),
];

/// Compressions whose content is not looked at.
const COMPRESSED: &[(&[u8], &str)] = &[
    (b"\xfd7zXZ\0", "data compressed with xz"),
    (b"\x04\x22\x4d\x18", "data compressed with lz4"),
    (b"\x02\x21\x4c\x18", "data compressed with lz4"),
    (b"BZh", "data compressed with bzip2"),
    (b"\x5d\0\0", "data compressed with lzma"),
    (b"\x89LZO\0", "data compressed with lzop"),
];

/// Bytes of compressed data that are looked into.
const INSIDE: u64 = 0x8100;

/// What a file that begins like this looks like, in words that go behind "it looks like".
pub(crate) fn like(head: &[u8]) -> String {
    if head.is_empty() {
        return "an empty file".to_owned();
    }
    match recognise(head, u64::MAX) {
        Recognised::BzImage { .. } | Recognised::Image { .. } => return "a Linux kernel".to_owned(),
        Recognised::Wrapped(_) => return "a compressed Linux kernel".to_owned(),
        // Whether a program is one would have to be sought.
        Recognised::Elf { .. } | Recognised::Damaged(_) | Recognised::Other => {}
    }
    if head.starts_with(b"\x7fELF") {
        return elf(head).to_owned();
    }
    if head.starts_with(b"MZ") {
        return efi(head).to_owned();
    }
    for (name, inside) in [("gzip", gzip(head)), ("zstd", zstd(head))] {
        let Some(inside) = inside else { continue };
        return match known(&inside) {
            Some(known) => format!("{known}, compressed with {name}"),
            None if inside.starts_with(b"\x7fELF") => format!("{}, compressed with {name}", elf(&inside)),
            None => format!("data compressed with {name}"),
        };
    }
    if let Some(known) = known(head) {
        return known.to_owned();
    }
    if let Some((_, name)) = COMPRESSED.iter().find(|(magic, _)| head.starts_with(magic)) {
        return format!("{name}: an initial RAM disk, or an archive");
    }
    if head.iter().all(|&byte| byte == 0) {
        return "nothing but zeros".to_owned();
    }
    let start = head.get(..1024).unwrap_or(head);
    if is_text(start) {
        let web =
            [&b"<!DOCTYPE"[..], b"<!doctype", b"<html"].iter().any(|tag| start.trim_ascii_start().starts_with(tag));
        return if web { "a web page" } else { "a text" }.to_owned();
    }
    if u16_at(head, 0x1fe) == Some(0xaa55) {
        return "a disk image with a boot sector".to_owned();
    }
    "something else".to_owned()
}

fn known(head: &[u8]) -> Option<&'static str> {
    if initrd::is_cpio(head) {
        return Some("an initial RAM disk (cpio)");
    }
    let found = MAGICS.iter().find(|(at, magic, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    found.map(|(_, _, name)| *name)
}

fn elf(head: &[u8]) -> &'static str {
    // `e_type`, whose bytes are in the machine's order: one of them is 0.
    match head.get(16).zip(head.get(17)).map(|(one, other)| one | other) {
        Some(1) => "a kernel module or an object file (ELF)",
        Some(2) => "a program (ELF)",
        Some(3) => "a program or a library (ELF)",
        Some(4) => "a core dump (ELF)",
        _ => "a broken program (ELF)",
    }
}

/// A program of DOS, EFI or Windows: perhaps one with a kernel in a section `.linux` (systemd-stub(7)).
fn efi(head: &[u8]) -> &'static str {
    let sections = || {
        let start = usize::try_from(u32_at(head, 0x3c)?).ok()?;
        head.get(start..)?.starts_with(b"PE\0\0").then_some(())?;
        let optional = u16_at(head, start.checked_add(20)?)?;
        let table = start.checked_add(24)?.checked_add(optional.into())?;
        let count = usize::from(u16_at(head, start.checked_add(6)?)?);
        Some(head.get(table..)?.chunks_exact(40).take(count))
    };
    if sections().is_some_and(|mut sections| sections.any(|section| section.starts_with(b".linux\0"))) {
        return "a unified kernel image (EFI), which has a kernel in it that would have to be taken out";
    }
    "an EFI or Windows program"
}

fn gzip(head: &[u8]) -> Option<Vec<u8>> {
    head.starts_with(b"\x1f\x8b").then(|| some(flate2::bufread::GzDecoder::new(head)))
}

fn zstd(head: &[u8]) -> Option<Vec<u8>> {
    if !head.starts_with(b"\x28\xb5\x2f\xfd") {
        return None;
    }
    Some(zstd::Decoder::with_buffer(head).map(some).unwrap_or_default())
}

/// What can be had of it: it is cut off.
fn some(reader: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = reader.take(INSIDE).read_to_end(&mut bytes);
    bytes
}

fn is_text(start: &[u8]) -> bool {
    let printable = |byte: &u8| !byte.is_ascii_control() || b"\t\n\r\x0c\x1b".contains(byte);
    start.iter().all(printable) && start.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).count() <= 1
}
