//! Kernel archives: GNU tar and zstd read what is written; what others write is read, unless it is refused.

use std::path::Path;

use banger_kernel::{ErrorKind, Triple, archive, import};
use tar_core::EntryType;
use tar_core::builder::EntryBuilder;

use crate::testing::{bzimage, cpio, module};
use crate::{VERSION, empty, files, run, write};

fn kernel(directory: &Path) -> Triple {
    let long = format!("modules/kernel/{}/b.ko", "a-long-name/".repeat(12));
    write(
        directory,
        &[
            ("bzImage", &bzimage(VERSION)),
            ("initrd.img", &cpio()),
            ("modules/kernel/a.ko", &module(VERSION, "b")),
            (&long, &module(VERSION, "")),
            ("modules/modules.order", b""),
        ],
    );
    Triple::in_directory(directory, None).unwrap()
}

#[test]
fn what_is_written_others_can_read_and_so_can_we() {
    let directory = tempfile::tempdir().unwrap();
    let triple = kernel(&empty(directory.path(), "kernel"));
    let out = empty(directory.path(), "out");
    let written = archive::write(&triple, "linux-test", &out, &()).unwrap();
    let name = format!("linux-test-{}.tar.zst", &written.sha256[..16]);
    assert_eq!(written.path, out.join(&name));
    assert_eq!(run("sha256sum", &[&name], &out), format!("{}  {name}\n", written.sha256));
    assert_eq!(written.size, written.path.metadata().unwrap().len());
    run("zstd", &["-q", "-t", &name], &out);

    let by_tar = empty(directory.path(), "by-tar");
    run("tar", &["--zstd", "-xf", written.path.to_str().unwrap()], &by_tar);
    assert_eq!(Triple::in_directory(&by_tar, None).unwrap().digest(&()).unwrap(), triple.digest(&()).unwrap());
    let listing = run("tar", &["--zstd", "--numeric-owner", "--utc", "-tvf", written.path.to_str().unwrap()], &out);
    assert_eq!(listing.lines().count(), 5);
    for line in listing.lines() {
        let fields: Vec<_> = line.split_whitespace().collect();
        assert_eq!(
            (fields[0], fields[1], fields[3], fields[4]),
            ("-rw-r--r--", "0/0", "1970-01-01", "00:00"),
            "{line}"
        );
    }

    let into = empty(directory.path(), "into");
    archive::unpack(&written.path, &into, &()).unwrap();
    let expected: Vec<String> = files(&by_tar).iter().map(|line| line.replace("-rw-r--r--", "-r--r--r--")).collect();
    assert_eq!(files(&into), expected);
    Triple::in_directory(&into, Some("amd64")).unwrap().verify(&triple.digest(&()).unwrap(), &()).unwrap();
}

#[test]
fn the_same_kernel_gives_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let out = empty(directory.path(), "out");
    let (one, other) = (empty(directory.path(), "one"), empty(directory.path(), "other"));
    let first = archive::write(&kernel(&one), "k", &out, &()).unwrap();
    kernel(&other);
    run("find", &[".", "-type", "f", "-exec", "chmod", "600", "{}", "+"], &other);
    run("find", &[".", "-exec", "touch", "-d", "2001-02-03", "{}", "+"], &other);
    let triple = Triple::in_directory(&other, None).unwrap();
    // It is there already, which is as good.
    assert_eq!(archive::write(&triple, "k", &out, &()).unwrap(), first);
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
    std::fs::write(&first.path, "else").unwrap();
    let error = archive::write(&triple, "k", &out, &()).unwrap_err();
    assert_eq!((error.kind(), std::fs::read_dir(&out).unwrap().count()), (ErrorKind::Conflict, 1));
    for name in ["", "Upper", "a/b", "-a", ".a", "a b", &"a".repeat(128)] {
        assert_eq!(archive::write(&triple, name, &out, &()).unwrap_err().kind(), ErrorKind::Usage, "{name}");
    }
    let error = archive::write(&triple, "k", &directory.path().join("gone"), &()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn archives_of_others_are_read_too_and_completed() {
    let directory = tempfile::tempdir().unwrap();
    let source = empty(directory.path(), "kernel");
    kernel(&source);
    for (number, format) in ["gnu", "posix"].into_iter().enumerate() {
        let tar = format!("--format={format}");
        run("tar", &["--zstd", "--sparse", &tar, "-cf", "../k.tar.zst", "."], &source);
        let into = empty(directory.path(), &format!("into-{number}"));
        let imported = import(&[&directory.path().join("k.tar.zst")], &into, &()).unwrap();
        assert_eq!(imported.name.as_deref(), Some("linux-6.1.0-9-test-1"));
        assert_eq!(imported.triple.initrd.as_deref(), Some(&*into.join("initrd.img")));
        let dep = std::fs::read_to_string(into.join("modules/modules.dep")).unwrap();
        let deep = format!("kernel/{}b.ko", "a-long-name/".repeat(12));
        assert_eq!(dep, format!("{deep}:\nkernel/a.ko: {deep}\n"));
        assert!(!into.join(".unpacked").exists());
    }
}

/// An entry of an archive: name, type, target of a link, content.
type Item = (&'static str, EntryType, &'static str, &'static [u8]);

fn tar(items: &[Item]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, kind, target, content) in items {
        let mut entry = EntryBuilder::new_ustar();
        entry.path(name).entry_type(*kind);
        if !target.is_empty() {
            entry.link_name(target);
        }
        entry.mode(0o777).unwrap().uid(0).unwrap().gid(0).unwrap().mtime(0).unwrap();
        entry.size(content.len() as u64).unwrap();
        if matches!(kind, EntryType::Char | EntryType::Block) {
            entry.device(1, 3).unwrap();
        }
        archive.extend(entry.finish_bytes());
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// A file, whose content is nobody's business here.
const fn file(name: &'static str) -> Item {
    (name, EntryType::Regular, "", b"x")
}

const fn directory(name: &'static str) -> Item {
    (name, EntryType::Directory, "", b"")
}

#[test]
fn what_does_not_belong_in_an_archive_is_refused() {
    const KERNEL: Item = file("vmlinux");
    const DEEP: &str = "modules/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/a";
    let unknown = "a kernel's archive has no such name";
    let unusual = "its name is not a usual one";
    let twice = "the name is there twice";
    for (items, entry, reason) in [
        (&[("vmlinux", EntryType::Symlink, "/etc/shadow", &b""[..])][..], "vmlinux", "it is a symbolic link"),
        (&[KERNEL, ("initrd.img", EntryType::Link, "vmlinux", b"")], "initrd.img", "it is a hard link"),
        (
            &[KERNEL, ("modules", EntryType::Symlink, "/lib/modules", b""), file("modules/a")],
            "modules",
            "it is a symbolic link",
        ),
        (&[("vmlinux", EntryType::Char, "", b"")], "vmlinux", "it is a special file"),
        (&[("modules/a", EntryType::Block, "", b"")], "modules/a", "it is a special file"),
        (&[("modules/a", EntryType::Fifo, "", b"")], "modules/a", "it is a special file"),
        (&[KERNEL, file("../x")], "../x", unknown),
        (&[KERNEL, file("/etc/passwd")], "/etc/passwd", unknown),
        (&[KERNEL, file("modules/../../x")], "modules/../../x", unusual),
        (&[KERNEL, file("modules/./x")], "modules/./x", unusual),
        (&[KERNEL, file("modules//x")], "modules//x", unusual),
        (&[KERNEL, file("modules/a\nb")], "modules/a\\nb", unusual),
        (&[KERNEL, file("modules/\x1b[0m")], "modules/\\u{1b}[0m", unusual),
        (&[KERNEL, file(DEEP)], DEEP, unusual),
        (&[KERNEL, file("modules")], "modules", unknown),
        (&[KERNEL, directory("modules/..")], "modules/..", unusual),
        (&[KERNEL, directory("etc")], "etc", unknown),
        (&[KERNEL, directory("vmlinux")], "vmlinux", unknown),
        (&[KERNEL, file("config")], "config", unknown),
        (&[KERNEL, file("././initrd.img")], "././initrd.img", unknown),
        (&[KERNEL, file("vmlinux ")], "vmlinux ", unknown),
        (&[KERNEL, KERNEL], "vmlinux", twice),
        (&[KERNEL, file("./vmlinux")], "./vmlinux", twice),
        (&[KERNEL, file("bzImage")], "bzImage", "there is another kernel"),
        (&[KERNEL, file("modules/a"), file("modules/a")], "modules/a", twice),
        (&[KERNEL, file("modules/a"), file("modules/a/b")], "modules/a/b", twice),
        (&[KERNEL, file("modules/a/b"), file("modules/a")], "modules/a", twice),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("k.tar.zst");
        std::fs::write(&path, zstd::encode_all(&tar(items)[..], 1).unwrap()).unwrap();
        let into = empty(directory.path(), "into");
        let error = archive::unpack(&path, &into, &()).unwrap_err();
        let expected = format!("{} is refused for its entry {entry}: {reason}", path.display());
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.kind(), ErrorKind::Integrity);
        assert!(!directory.path().join("x").exists());
    }
}

#[test]
fn archives_that_are_malformed_are_refused() {
    let good = tar(&[file("vmlinux"), file("modules/a")]);
    let packed = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let zeros = packed(&tar(&[("vmlinux", EntryType::Regular, "", &[0; 200 << 20])]));
    for (bytes, expected) in [
        (packed(&tar(&[])), "there is no kernel in the archive "),
        (packed(&tar(&[file("modules/a")])), "there is no kernel in the archive "),
        (packed(&good[..good.len() - 1024]), "k.tar.zst is damaged: the archive in it has no end"),
        (packed(&good[..600]), "k.tar.zst is damaged: the archive in it has no end"),
        (packed(&[&good[..], b"x"].concat()), "k.tar.zst is damaged: something follows the end of the archive"),
        (packed(&[&good[..], &[0; 10_000], b"x"].concat()), "k.tar.zst is damaged: something follows the end"),
        (packed(b"text"), "cannot read the archive "),
        ([&packed(&good)[..], b"more"].concat(), "cannot decompress "),
        (packed(&good)[..packed(&good).len() - 3].to_vec(), "cannot decompress "),
        (good.clone(), "k.tar.zst is damaged: it is not compressed with zstd"),
        (crate::testing::gzip(&good), "k.tar.zst is damaged: it is not compressed with zstd"),
        (zeros, "cannot decompress "),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("k.tar.zst");
        std::fs::write(&path, bytes).unwrap();
        let error = archive::unpack(&path, &empty(directory.path(), "into"), &()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}: {expected}");
        assert_eq!(error.kind(), ErrorKind::Integrity);
    }
    // What is harmless is not refused: zeros fill up what comes from tapes, and old archivers say by a slash what is a directory.
    let slash = tar(&[file("vmlinux"), file("modules/"), file("modules/a")]);
    for bytes in [[&good[..], &[0; 10_000]].concat(), slash] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("k.tar.zst");
        std::fs::write(&path, packed(&bytes)).unwrap();
        let into = empty(directory.path(), "into");
        archive::unpack(&path, &into, &()).unwrap();
        assert_eq!(crate::files(&into), ["modules/a -r--r--r--", "vmlinux -r--r--r--"]);
    }
}
