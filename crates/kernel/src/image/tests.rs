use proptest::prelude::*;

use super::*;
use crate::testing::{bzimage, gzip, image, module};

/// An ELF program for amd64 with one segment of that kind, and this in it.
fn elf(kind: u16, segment: u32, content: &[u8]) -> Vec<u8> {
    let mut elf = vec![0; 64 + 56];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    elf[16..18].copy_from_slice(&kind.to_le_bytes());
    elf[18..20].copy_from_slice(&62_u16.to_le_bytes());
    elf[32..40].copy_from_slice(&64_u64.to_le_bytes());
    elf[54..56].copy_from_slice(&56_u16.to_le_bytes());
    elf[56..58].copy_from_slice(&1_u16.to_le_bytes());
    elf[64..68].copy_from_slice(&segment.to_le_bytes());
    elf[72..80].copy_from_slice(&120_u64.to_le_bytes());
    elf[96..104].copy_from_slice(&(content.len() as u64).to_le_bytes());
    elf.extend_from_slice(content);
    elf
}

/// An EFI zboot with this in it.
fn zboot(compression: &str, payload: &[u8]) -> Vec<u8> {
    let mut file = b"MZ\0\0zimg".to_vec();
    file.extend(64_u32.to_le_bytes());
    file.extend((payload.len() as u32).to_le_bytes());
    file.resize(24, 0);
    file.extend_from_slice(compression.as_bytes());
    file.resize(64, 0);
    file.extend_from_slice(payload);
    file
}

/// A bytes of a file, with some of them changed.
fn with(mut file: Vec<u8>, changes: &[(usize, &[u8])]) -> Vec<u8> {
    for (at, bytes) in changes {
        file[*at..*at + bytes.len()].copy_from_slice(bytes);
    }
    file
}

const BANNER: &[u8] = b"..Linux version 6.1.0+ (me@here) (gcc) #1 SMP";

fn of_file(bytes: &[u8]) -> Result<Image> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kernel");
    std::fs::write(&path, bytes).unwrap();
    Image::of_file(&path)
}

#[test]
fn kernels_say_what_they_are() {
    let riscv = with(image("6.1.0-arm64"), &[(0x38, b"RSC\x05")]);
    for (file, format, architecture, version) in [
        (bzimage("6.1.0-9-cloud-amd64"), Format::BzImage, "amd64", Some("6.1.0-9-cloud-amd64")),
        (bzimage("../../etc"), Format::BzImage, "amd64", None),
        (with(bzimage("6.1.0"), &[(0x236, &[0])]), Format::BzImage, "386", Some("6.1.0")),
        (with(bzimage("6.1.0"), &[(0x206, &[9, 2])]), Format::BzImage, "386", Some("6.1.0")),
        (with(bzimage("6.1.0"), &[(0x20e, &[0, 0])]), Format::BzImage, "amd64", None),
        (with(bzimage("6.1.0"), &[(0x20e, &[0xff, 0xff])]), Format::BzImage, "amd64", None),
        (with(bzimage("6.1.0"), &[(0x1f1, &[1]), (0x1f4, &[0x40])]), Format::BzImage, "amd64", Some("6.1.0")),
        (image("6.1.0-arm64"), Format::Image, "arm64", Some("6.1.0-arm64")),
        (image("6.1.0-arm64")[..0x40].to_vec(), Format::Image, "arm64", None),
        (riscv, Format::Image, "riscv64", Some("6.1.0-arm64")),
        (elf(2, 1, BANNER), Format::Vmlinux, "amd64", Some("6.1.0+")),
        (with(elf(3, 1, BANNER), &[(18, &[183])]), Format::Vmlinux, "arm64", Some("6.1.0+")),
    ] {
        let expected = Image { format, architecture, version: version.map(str::to_owned) };
        assert_eq!(of_file(&file).unwrap(), expected);
    }
}

#[test]
fn what_is_no_kernel_is_refused_for_what_it_is() {
    let tar = with(vec![0; 1024], &[(0, b"name"), (0x101, b"ustar")]);
    let ext4 = with(vec![0; 2048], &[(0x438, b"\x53\xef")]);
    let pe =
        with(vec![b' '; 512], &[(0, b"MZ"), (0x3c, &[64, 0, 0, 0]), (64, b"PE\0\0"), (70, &[2, 0]), (84, &[16, 0])]);
    let unified = with(pe.clone(), &[(64 + 24 + 16 + 40, b".linux\0\0")]);
    for (file, looks) in [
        (Vec::new(), "an empty file"),
        (vec![0; 5000], "nothing but zeros"),
        (crate::testing::cpio(), "an initial RAM disk (cpio)"),
        (gzip(&crate::testing::cpio()), "an initial RAM disk (cpio), compressed with gzip"),
        (zstd::encode_all(&crate::testing::cpio()[..], 1).unwrap(), "an initial RAM disk (cpio), compressed with zstd"),
        (gzip(b"nothing known"), "data compressed with gzip"),
        (gzip(&elf(2, 1, BANNER)), "a program (ELF), compressed with gzip"),
        (b"\xfd7zXZ\0\0\0".to_vec(), "data compressed with xz: an initial RAM disk, or an archive"),
        (tar, "a tar archive"),
        (ext4, "a file system (ext2, ext3 or ext4)"),
        (b"!<arch>\ndebian-binary   17".to_vec(), "a Debian package"),
        (b"!<arch>\na.o/            ".to_vec(), "an ar archive, or a library"),
        (b"QFI\xfb\0\0\0\x03".to_vec(), "a disk image (qcow2)"),
        (b"#!/bin/sh\necho\n".to_vec(), "a script"),
        ("gr\u{fc}n\n".into(), "a text"),
        (b"<!DOCTYPE html>\n".to_vec(), "a web page"),
        (pe, "an EFI or Windows program"),
        (unified, "a unified kernel image (EFI), which has a kernel in it that would have to be taken out"),
        (elf(2, 1, b"Linux version %s"), "a program (ELF)"),
        (elf(2, 3, BANNER), "a program (ELF)"),
        (with(elf(2, 1, BANNER), &[(18, &[0xff, 0xff])]), "a program (ELF)"),
        (with(elf(3, 1, BANNER), &[(56, &[0xff, 0xff])]), "a program or a library (ELF)"),
        (with(elf(3, 1, BANNER), &[(32, &[0xff; 8])]), "a program or a library (ELF)"),
        (module("6.1.0", ""), "a kernel module or an object file (ELF)"),
        (with(elf(4, 1, BANNER), &[]), "a core dump (ELF)"),
        (b"\x7fELF".to_vec(), "a broken program (ELF)"),
        (with(vec![0xee; 512], &[(0x1fe, b"\x55\xaa")]), "a disk image with a boot sector"),
        (with(bzimage("6.1.0"), &[(0x1fe, b"\0\0")]), "something else"),
        (vec![0xee; 512], "something else"),
    ] {
        let error = of_file(&file).unwrap_err();
        assert!(matches!(&error, Error::NotAKernel { .. }), "{error:?}");
        let error = error.to_string();
        assert!(error.ends_with(&format!("kernel is no Linux kernel: it looks like {looks}")), "{looks}: {error}");
    }
}

#[test]
fn kernels_that_are_cut_off_are_damaged() {
    for (file, reason) in [
        (with(bzimage("6.1.0"), &[(0x1f1, &[1]), (0x1f4, &[0x42])]), "it is shorter than its header says"),
        (elf(2, 1, BANNER)[..150].to_vec(), "it is shorter than its program headers say"),
        (zboot("gzip", &gzip(&image("6.1.0-arm64")))[..100].to_vec(), "it is shorter than its header says"),
        (b"MZ\0\0zimg\0".to_vec(), "it ends within its header"),
    ] {
        let error = of_file(&file).unwrap_err().to_string();
        assert!(error.ends_with(&format!("kernel is damaged: {reason}")), "{error}");
    }
}

#[test]
fn compressed_kernels_are_known_and_can_be_unpacked() {
    let directory = tempfile::tempdir().unwrap();
    let (path, to) = (directory.path().join("kernel"), directory.path().join("to"));
    let zstd = zstd::encode_all(&image("6.1.0-arm64")[..], 1).unwrap();
    for (file, wrapping) in [
        (gzip(&image("6.1.0-arm64")), "a gzip file"),
        (zstd.clone(), "a zstd file"),
        (zboot("gzip", &gzip(&image("6.1.0-arm64"))), "an EFI program (zboot)"),
        (zboot("zstd22", &[&zstd[..], b"size"].concat()), "an EFI program (zboot)"),
    ] {
        std::fs::write(&path, &file).unwrap();
        let error = Image::of_file(&path).unwrap_err();
        assert!(matches!(&error, Error::Wrapped { wrapping: found, .. } if *found == wrapping), "{error}");
        assert!(error.hint().unwrap().contains("kernel import"));
        let Seen::Wrapped(payload) = look_at(&path).unwrap() else { panic!("{wrapping}") };
        payload.unpack(&path, &to, &()).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), image("6.1.0-arm64"));
        std::fs::remove_file(&to).unwrap();
    }
    for (file, expected) in [
        (zboot("lzma", b"..."), "kernel is a kernel compressed with lzma, which cannot be unpacked here"),
        (zboot("gzip", b"..."), "kernel is damaged: it cannot be decompressed: "),
        (zboot("gzip", &gzip(&image("6.1.0-arm64"))[..50]), "kernel is damaged: it cannot be decompressed: "),
    ] {
        std::fs::write(&path, &file).unwrap();
        let Seen::Wrapped(payload) = look_at(&path).unwrap() else { panic!("{expected}") };
        let error = payload.unpack(&path, &to, &()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        std::fs::remove_file(&to).unwrap();
    }
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    let socket = directory.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for (path, kind) in
        [(pipe.as_path(), "a named pipe"), (Path::new("/dev/null"), "a device"), (&socket, "a socket or a device")]
    {
        let error = Image::of_file(path).unwrap_err().to_string();
        assert!(error.ends_with(&format!(" is no file, but {kind}")), "{error}");
    }
    let error = Image::of_file(directory.path()).unwrap_err();
    assert!(error.to_string().ends_with("is no file, but a directory") && error.hint().is_none());
    let kernel = directory.path().join("vmlinuz-6.1.0");
    std::fs::write(&kernel, bzimage("6.1.0")).unwrap();
    let error = Image::of_file(directory.path()).unwrap_err();
    assert_eq!(error.hint().unwrap(), format!("the kernel in it is {}", kernel.display()));
    let link = directory.path().join("link");
    std::os::unix::fs::symlink("vmlinuz-6.1.0", &link).unwrap();
    assert_eq!(Image::of_file(&link).unwrap().version.as_deref(), Some("6.1.0"));
    assert!(matches!(Image::of_file(Path::new("/no/such")).unwrap_err().kind(), crate::ErrorKind::NotFound));
}

#[test]
fn banners_are_found_wherever_they_are() {
    let around = |before: usize, after: usize| [&vec![b'L'; before][..], BANNER, &vec![0; after]].concat();
    for before in [0, 1, (1 << 20) - 40, (1 << 20) - 20, (1 << 20) - 1, 1 << 20, 3 << 20] {
        for after in [0, 500] {
            let found = banner(&around(before, after)[..]).unwrap();
            assert_eq!(found.as_deref(), Some("6.1.0+"), "{before} {after}");
        }
    }
    for text in [
        &b"Linux version 6.1.0"[..],
        b"Linux version 6.1.0 ",
        b"Linux version %s (%s)",
        b"Linux version six (",
        b"Linux  version 6.1.0 (",
        b"",
    ] {
        assert_eq!(banner(text).unwrap(), None, "{}", text.escape_ascii());
    }
    // The first that is one counts.
    let two = [&b"Linux version x ("[..], BANNER].concat();
    assert_eq!(banner(&two[..]).unwrap().as_deref(), Some("6.1.0+"));
}

proptest! {
    #[test]
    fn any_bytes_are_something(
        which in 0..7_usize,
        changes in prop::collection::vec((0..0x240_usize, any::<u8>()), 0..12),
        tail in prop::collection::vec(any::<u8>(), 0..200),
        cut in 0..0x900_usize,
        length: u64,
    ) {
        let mut bytes = match which {
            0 => bzimage("6.1.0"),
            1 => image("6.1.0-arm64"),
            2 => elf(2, 1, BANNER),
            3 => zboot("gzip", &gzip(&image("6.1.0-arm64"))),
            4 => gzip(&image("6.1.0-arm64")),
            5 => crate::testing::cpio(),
            _ => Vec::new(),
        };
        bytes.truncate(cut);
        bytes.extend(tail);
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        let _ = recognise(&bytes, length);
        let _ = recognise(&bytes, bytes.len() as u64);
        prop_assert!(!looks::like(&bytes).is_empty());
        let _ = crate::initrd::of_bytes(&bytes);
        let _ = find_banner(&bytes);
    }
}
