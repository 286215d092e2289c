//! Archives of layouts: hostile members, compression, and what cannot be read at offsets.

use crate::support::*;
use banger_oci::{Error, ErrorKind, Image, OpenOptions, Source};
use std::io::Write;

fn open_archive(bytes: &[u8]) -> Result<Image, Error> {
    let file = save(bytes);
    open(&format!("oci-archive:{}", file.path().display()))
}

#[test]
fn members_may_be_named_in_many_ways() {
    let layout = simple();
    let plain = layout.archive();
    for prefix in ["./", "/", ".//./"] {
        let mut tar = Tar::default();
        tar.entry("./", b'5', "", b"");
        for (name, content) in files(&layout) {
            tar.file(&format!("{prefix}{name}"), &content);
        }
        let image = open_archive(&tar.finish()).unwrap();
        assert_eq!(contents(&image), [b"the only layer"]);
    }
    // Without the two blocks that mark the end, with one of them, and with more behind them.
    for end in [&[][..], &[0; 512], &[0; 10240], &[&[0; 1024][..], b"garbage"].concat()] {
        let image = open_archive(&[plain.unfinished(), end].concat()).unwrap();
        assert_eq!(contents(&image), [b"the only layer"]);
    }
}

/// Every file of a layout, by its name in it.
fn files(layout: &Layout) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut directories = vec![layout.path().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in directory.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(layout.path()).unwrap().to_str().unwrap().to_owned();
                found.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    found
}

#[test]
fn hostile_members_are_harmless() {
    let layout = simple();
    let secret = save(b"secret");
    let mut tar = Tar::default();
    // None of these is ever asked for, and none is written anywhere.
    tar.file("../../../../tmp/banger-escaped", b"x")
        .file("/etc/banger-escaped", b"x")
        .file("a/../../x", b"x")
        .file("", b"x")
        .symlink("..", "/")
        .symlink("blobs", "/etc")
        .hardlink("passwd", "/etc/passwd")
        .symlink("loop", "loop")
        .entry("device", b'3', "", b"")
        .entry("fifo", b'6', "", b"")
        .entry("unknown", b'Z', "", b"content of an unknown type")
        .file(&"n".repeat(5000), b"x");
    let bytes = [tar.unfinished(), &layout.archive().finish()].concat();
    assert_eq!(contents(&open_archive(&bytes).unwrap()), [b"the only layer"]);
    assert!(!std::path::Path::new("/tmp/banger-escaped").exists());
    assert!(!std::path::Path::new("/etc/banger-escaped").exists());

    // A link in the place of something that is asked for stays inside the archive.
    let blob = layout.blob(LAYER, b"the only layer");
    let name = digest_of(&blob).blob_path();
    for (target, text) in [
        (secret.path().to_str().unwrap(), "outside of the archive"),
        ("../../../../etc/passwd", "outside of the archive"),
        ("nothing", "a link to nothing"),
        (name.rsplit('/').next().unwrap(), "too many other links"),
    ] {
        let mut tar = Tar::default();
        for (file, content) in files(&layout) {
            if file == name {
                tar.symlink(&file, target);
            } else {
                tar.file(&file, &content);
            }
        }
        let error = open_archive(&tar.finish()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity);
        assert!(error.to_string().contains(text), "{target}: {error}");
    }
}

#[test]
fn links_to_other_members_are_followed() {
    let layout = simple();
    let name = digest_of(&layout.blob(LAYER, b"the only layer")).blob_path();
    for link in [b'1', b'2'] {
        let mut tar = Tar::default();
        tar.file("elsewhere/layer", b"the only layer");
        for (file, content) in files(&layout) {
            match (file == name, link) {
                (true, b'1') => tar.hardlink(&file, "./elsewhere/layer"),
                (true, _) => tar.symlink(&file, "../../elsewhere/layer"),
                (false, _) => tar.file(&file, &content),
            };
        }
        assert_eq!(contents(&open_archive(&tar.finish()).unwrap()), [b"the only layer"]);
    }
}

#[test]
fn a_link_with_a_size_has_no_content() {
    let layout = simple();
    let mut tar = Tar::default();
    tar.header("hard", b'1', "index.json", 5000);
    tar.header("directory", b'5', "", 5000);
    let bytes = [tar.unfinished(), &layout.archive().finish()].concat();
    assert!(open_archive(&bytes).is_ok());
}

#[test]
fn a_document_that_occurs_twice_is_ambiguous() {
    for document in ["index.json", "oci-layout"] {
        let layout = simple();
        let mut tar = layout.archive();
        tar.file(document, &std::fs::read(layout.path().join(document)).unwrap());
        let error = open_archive(&tar.finish()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity);
        assert!(error.to_string().contains("more than once"), "{error}");
    }
}

#[test]
fn damaged_archives() {
    let layout = simple();
    let tar = layout.archive();
    let good = tar.finish();

    let error = open_archive(b"").unwrap_err();
    assert!(error.to_string().ends_with("it is empty"), "{error}");
    let error = open_archive(&[b'x'; 2000]).unwrap_err();
    assert!(error.to_string().contains("not a tar archive, or is damaged at byte 0"), "{error}");
    let error = open_archive(b"too short").unwrap_err();
    assert!(error.to_string().contains("in the middle of a header"), "{error}");

    // Cut off everywhere: never a panic, and never an image with other bytes.
    for length in (0..good.len()).step_by(100) {
        match open_archive(&good[..length]) {
            Ok(image) => assert_eq!(contents(&image), [b"the only layer"]),
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::Integrity | ErrorKind::NotFound),
                "{length}: {}",
                chain(&error)
            ),
        }
    }

    let mut flipped = good.clone();
    flipped[0] ^= 1;
    let error = open_archive(&flipped).unwrap_err();
    assert!(matches!(&error, Error::Archive { offset: 0, .. }), "{error}");

    let mut huge = Tar::default();
    huge.header("huge", b'0', "", 0o77777777777);
    let error = open_archive(&[huge.unfinished(), &good].concat()).unwrap_err();
    assert!(error.to_string().starts_with("huge in oci-archive:"), "{error}");
}

#[test]
fn endless_headers_are_refused() {
    // A PAX header of 2 GiB.
    let mut large = Tar::default();
    large.header("pax", b'x', "", 2 << 30);
    // A sparse map whose first line has no end: the parser wants ever more of it.
    let mut map = Tar::default();
    map.pax(&["GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=1000000"]);
    map.entry("file", b'0', "", &vec![b'1'; 4 << 20]);
    // Extension headers without an end.
    let mut endless = Tar::default();
    for _ in 0..100_000 {
        endless.entry("global", b'g', "", b"");
    }
    let mut chain_of_names = Tar::default();
    for _ in 0..20_000 {
        chain_of_names.header("././@LongLink", b'L', "", 1).content(b"\0");
    }
    for (case, tar) in [("2 GiB", &large), ("map", &map), ("names", &chain_of_names)] {
        let error = open_archive(&tar.finish()).expect_err(case);
        assert_eq!(error.kind(), ErrorKind::Integrity, "{case}: {}", chain(&error));
    }
    assert!(matches!(open_archive(&endless.finish()), Err(Error::Missing { .. })));
}

#[test]
fn times_before_1970_are_no_reason_to_refuse() {
    let layout = simple();
    let mut tar = Tar::default();
    tar.pax(&["mtime=-62135596800.5"]);
    assert!(open_archive(&[tar.unfinished(), &layout.archive().finish()].concat()).is_ok());
}

#[test]
fn sparse_members_are_refused_by_name() {
    let mut tar = Tar::default();
    tar.pax(&["GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.map=0,512", "GNU.sparse.size=512"]);
    tar.file("blob", &[1; 512]);
    let error = open_archive(&tar.finish()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{}", chain(&error));
    assert!(error.to_string().contains("--sparse"), "{error}");
}

#[test]
fn more_members_than_the_limit_are_refused() {
    let mut tar = Tar::default();
    for number in 0..=banger_oci::limits::ARCHIVE_MEMBERS {
        tar.header(&number.to_string(), b'0', "", 0);
    }
    let error = open_archive(&tar.finish()).unwrap_err();
    assert!(matches!(error, Error::Limit { unit: "members", .. }), "{error}");

    let mut tar = Tar::default();
    for number in 0..20 {
        tar.entry(&format!("{number}{}", "n".repeat(1 << 20).split_at(1 << 20 >> 1).0), b'0', "", b"");
    }
    for number in 20..60 {
        tar.entry(&format!("{number}{}", "n".repeat(1 << 19)), b'0', "", b"");
    }
    let error = open_archive(&tar.finish()).unwrap_err();
    assert!(matches!(error, Error::Limit { unit: "bytes of names", .. }), "{error}");
}

#[test]
fn compressed_archives_are_unpacked_to_a_file_without_a_name() {
    let layout = simple();
    let tar = layout.archive().finish();
    let (first, second) = tar.split_at(tar.len() / 2);
    let zstd = |bytes: &[u8]| zstd::stream::encode_all(bytes, 1).unwrap();
    let temporary = tempfile::tempdir().unwrap();
    for (case, bytes) in [
        ("gzip", gzip(&tar)),
        ("gzip of two members", [gzip(first), gzip(second)].concat()),
        ("zstd", zstd(&tar)),
        ("zstd of two frames", [zstd(first), zstd(second)].concat()),
        ("zstd after a skippable frame", [&b"\x50\x2a\x4d\x18\x04\0\0\0skip"[..], &zstd(&tar)].concat()),
    ] {
        let file = save(&bytes);
        let source = Source::parse(format!("oci-archive:{}", file.path().display())).unwrap();
        let options = OpenOptions { temporary: Some(temporary.path().to_owned()), ..OpenOptions::default() };
        let image = source.open(&options).unwrap_or_else(|e| panic!("{case}: {}", chain(&e)));
        assert_eq!(temporary.path().read_dir().unwrap().count(), 0, "{case}");
        assert_eq!(contents(&image), [b"the only layer"], "{case}");
    }
}

#[test]
fn damaged_compression_is_malformed() {
    let tar = simple().archive().finish();
    let gzip = gzip(&tar);
    let zstd = zstd::stream::encode_all(&tar[..], 1).unwrap();
    let mut flipped = gzip.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    // A frame that asks for a window of 2 GiB.
    let window = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8][..], &[0; 100]].concat();
    for (case, bytes) in [
        ("gzip cut off", &gzip[..gzip.len() - 10]),
        ("gzip flipped", &flipped),
        ("gzip and garbage", &[&gzip[..], b"garbage behind the end"].concat()),
        ("zstd cut off", &zstd[..zstd.len() - 10]),
        ("zstd and garbage", &[&zstd[..], b"garbage behind the end"].concat()),
        ("zstd window", &window),
    ] {
        let error = open_archive(bytes).expect_err(case);
        assert_eq!(error.kind(), ErrorKind::Integrity, "{case}: {}", chain(&error));
        assert!(error.to_string().contains("cannot be decompressed"), "{case}: {error}");
    }
    for (magic, program) in [(&b"\xfd7zXZ\0"[..], "xz"), (b"BZh91AY", "bzip2")] {
        let error = open_archive(magic).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(program), "{error}");
    }
}

#[test]
fn a_named_pipe_is_read_like_a_file() {
    let layout = simple();
    for bytes in [layout.archive().finish(), gzip(&layout.archive().finish())] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut pipe = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
                pipe.write_all(&bytes).unwrap();
            });
            let image = open(&format!("oci-archive:{}", path.display())).unwrap();
            assert_eq!(contents(&image), [b"the only layer"]);
        });
    }
}

#[test]
fn other_kinds_of_archive_are_recognised() {
    let mut docker = Tar::default();
    docker.file("manifest.json", b"[]");
    let mut root = Tar::default();
    root.entry("etc", b'5', "", b"");
    for (tar, text) in [(docker, "docker-archive:FILE"), (root, "tar:FILE")] {
        let error = open_archive(&tar.finish()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(text), "{error}");
    }
}
