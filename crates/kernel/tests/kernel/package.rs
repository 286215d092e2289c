//! Debian packages: made by dpkg-deb, and made to be refused.

use std::path::{Path, PathBuf};

use banger_kernel::{Error, ErrorKind, Format, import};

use crate::testing::{bzimage, module};
use crate::{VERSION, empty, files, run, write};

/// A package's files below `root`, with this in `control`.
fn control(root: &Path, more: &str) {
    let control = format!(
        "Package: linux-image-test\nVersion: 1\nArchitecture: amd64\nMaintainer: nobody <n@b.de>\nDescription: a kernel\n{more}"
    );
    write(root, &[("DEBIAN/control", control.as_bytes())]);
}

fn with_kernel(root: &Path, modules: &str) {
    let (kernel, a, b) = (bzimage(VERSION), module(VERSION, "b-c"), module(VERSION, ""));
    write(
        root,
        &[
            (&format!("boot/vmlinuz-{VERSION}"), &kernel),
            (&format!("boot/config-{VERSION}"), b"CONFIG_X=y\n"),
            (&format!("{modules}/{VERSION}/kernel/a.ko"), &a),
            (&format!("{modules}/{VERSION}/kernel/deep/b-c.ko"), &b),
            (&format!("{modules}/{VERSION}/modules.order"), b"kernel/a.ko\nkernel/deep/b-c.ko\n"),
            ("usr/share/doc/linux-image-test/copyright", b"free\n"),
        ],
    );
    for link in ["build", "source"] {
        let link = root.join(modules).join(VERSION).join(link);
        std::os::unix::fs::symlink("/usr/src/linux-headers-test", link).unwrap();
    }
}

fn build(root: &Path, compression: &str) -> PathBuf {
    let package = root.with_extension("deb");
    run(
        "dpkg-deb",
        &["--root-owner-group", compression, "-b", root.to_str().unwrap(), package.to_str().unwrap()],
        Path::new("/"),
    );
    package
}

#[test]
fn a_kernel_comes_out_of_a_package_of_any_compression() {
    for (modules, compression) in
        [("lib/modules", "-Zxz"), ("usr/lib/modules", "-Zzstd"), ("lib/modules", "-Zgzip"), ("lib/modules", "-Znone")]
    {
        let directory = tempfile::tempdir().unwrap();
        let root = empty(directory.path(), "root");
        control(&root, "");
        with_kernel(&root, modules);
        let package = build(&root, compression);
        let into = empty(directory.path(), "into");
        let imported = import(&[&package], &into, &()).unwrap();
        let triple = imported.triple;
        assert_eq!(imported.name.as_deref(), Some("linux-6.1.0-9-test-1"));
        assert_eq!(imported.notes, Vec::<String>::new());
        assert_eq!((triple.format, triple.architecture), (Format::BzImage, "amd64"));
        assert_eq!(triple.version.as_deref(), Some(VERSION));
        assert_eq!(triple.image, into.join("bzImage"));
        assert_eq!(triple.modules.as_deref(), Some(&*into.join("modules")));
        let expected = [
            "bzImage",
            "modules/kernel/a.ko",
            "modules/kernel/deep/b-c.ko",
            "modules/modules.alias",
            "modules/modules.alias.bin",
            "modules/modules.builtin.alias.bin",
            "modules/modules.builtin.bin",
            "modules/modules.dep",
            "modules/modules.dep.bin",
            "modules/modules.devname",
            "modules/modules.order",
            "modules/modules.softdep",
        ];
        assert_eq!(files(&into), expected.map(|name| format!("{name} -r--r--r--")), "{compression}");
        let unpacked = root.join("boot").join(format!("vmlinuz-{VERSION}"));
        assert_eq!(std::fs::read(&triple.image).unwrap(), std::fs::read(unpacked).unwrap());

        // What modprobe makes of the indexes that the package did not have.
        let system = empty(directory.path(), "system");
        std::fs::create_dir_all(system.join("lib/modules")).unwrap();
        let modules = system.join("lib/modules").join(VERSION);
        std::os::unix::fs::symlink(into.join("modules"), &modules).unwrap();
        let options = ["-d", system.to_str().unwrap(), "-S", VERSION, "--show-depends", "a"];
        let needed = run("modprobe", &options, Path::new("/"));
        let names: Vec<_> = needed.lines().map(|line| line.trim().rsplit('/').next().unwrap().to_owned()).collect();
        assert_eq!(names, ["b-c.ko", "a.ko"]);
    }
}

#[test]
fn packages_without_one_kernel_are_refused() {
    type Case = (fn(&Path), &'static str, &'static str, Option<&'static str>);
    let table: [Case; 6] = [
        (
            |_| {},
            "Depends: linux-image-6.1.0-56-amd64 (= 6.1.1-1), other\n",
            "there is no kernel in the package linux-image-test (DEB), which only depends on linux-image-6.1.0-56-amd64",
            Some(
                "`banger kernel pull debian` gets Debian's kernel with all its packages; `apt-get download linux-image-6.1.0-56-amd64` \
                 gets the package that has this one, or depends on those that do",
            ),
        ),
        (
            |root| write(root, &[("usr/bin/true", b"true")]),
            "",
            "there is no kernel in the package linux-image-test (DEB)",
            None,
        ),
        (
            |root| write(root, &[("lib/modules/6.1.0/kernel/a.ko", &module("6.1.0", ""))]),
            "",
            "there is no kernel in the package linux-image-test (DEB)",
            None,
        ),
        (
            |root| {
                write(
                    root,
                    &[
                        ("boot/vmlinuz-6.1.0", &bzimage("6.1.0")),
                        ("boot/vmlinuz-6.10.0", b""),
                        ("boot/vmlinuz-6.9.0", b""),
                    ],
                )
            },
            "",
            "there are several kernels in DEB: 6.1.0, 6.9.0, 6.10.0",
            Some("name the file of one with --kernel, or import a directory that has only one"),
        ),
        (
            |root| std::os::unix::fs::symlink("/etc/shadow", root.join("boot/vmlinuz-6.1.0")).unwrap(),
            "",
            "DEB is refused for its entry ./boot/vmlinuz-6.1.0: a kernel was expected, which is a file",
            None,
        ),
        (
            |root| {
                write(root, &[("boot/vmlinuz-6.1.0", &bzimage("6.1.0")), ("lib/modules/6.1.0/a.ko", b"")]);
                std::os::unix::fs::symlink("/etc", root.join("lib/modules/6.1.0/kernel")).unwrap();
            },
            "",
            "DEB is refused for its entry ./lib/modules/6.1.0/kernel: among the modules there are only files",
            None,
        ),
    ];
    for (fill, fields, expected, hint) in table {
        let directory = tempfile::tempdir().unwrap();
        let root = empty(directory.path(), "root");
        std::fs::create_dir(root.join("boot")).unwrap();
        control(&root, fields);
        fill(&root);
        let package = build(&root, "-Znone");
        let error = import(&[&package], &empty(directory.path(), "into"), &()).unwrap_err();
        assert_eq!(error.to_string().replace(package.to_str().unwrap(), "DEB"), expected);
        assert_eq!(error.hint().as_deref(), hint);
    }
}

#[test]
fn what_is_in_a_package_is_checked_as_anything_else() {
    let directory = tempfile::tempdir().unwrap();
    let root = empty(directory.path(), "root");
    control(&root, "");
    with_kernel(&root, "lib/modules");
    write(&root, &[(&format!("lib/modules/{VERSION}/kernel/a.ko"), &module("6.2.0", ""))]);
    let error = import(&[&build(&root, "-Znone")], &empty(directory.path(), "one"), &()).unwrap_err();
    assert!(error.to_string().starts_with("cannot import "), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.ends_with(&format!("are for the kernel 6.2.0, not for {VERSION}")), "{cause}");

    std::fs::remove_dir_all(root.join("lib")).unwrap();
    let imported = import(&[&build(&root, "-Znone")], &empty(directory.path(), "two"), &()).unwrap();
    assert_eq!(imported.notes, ["the package linux-image-test has a kernel, but no modules"]);
    control(&root, &format!("Depends: linux-base, linux-modules-{VERSION}\n").to_lowercase());
    let imported = import(&[&build(&root, "-Znone")], &empty(directory.path(), "three"), &()).unwrap();
    let expected = "the package linux-image-test has no modules; they are in linux-modules-6.1.0-9-test+1: \
                    `apt-get download linux-modules-6.1.0-9-test+1` beside it, and import it again";
    assert_eq!(imported.notes, [expected]);
}

/// A member of an ar archive.
fn member(name: &str, content: &[u8]) -> Vec<u8> {
    let mut member = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, content.len()).into_bytes();
    member.extend_from_slice(content);
    if content.len() % 2 == 1 {
        member.push(b'\n');
    }
    member
}

#[test]
fn packages_that_are_malformed_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let root = empty(directory.path(), "root");
    control(&root, "");
    with_kernel(&root, "lib/modules");
    let good = std::fs::read(build(&root, "-Zxz")).unwrap();
    let version = member("debian-binary", b"2.0\n");
    write(directory.path(), &[("tar/control", b"Package: x\n")]);
    run("tar", &["-cf", "control.tar", "-C", "tar", "control"], directory.path());
    let tar = std::fs::read(directory.path().join("control.tar")).unwrap();
    let control = member("control.tar", &tar);
    let data = member("data.tar", &tar);
    let package = |parts: &[&[u8]]| [b"!<arch>\n", &parts.concat()[..]].concat();
    let foreign = member("data.tar", &[&tar[..], b"more"].concat());
    // Within the compressed files, which a flipped bit spoils.
    let mut flipped = good.clone();
    let at = good.len() - 200;
    flipped[at] ^= 0x10;
    for (bytes, expected) in [
        (package(&[]), "DEB is damaged: it is no Debian package of format 2"),
        (package(&[&member("debian-binary", b"3.0\n")]), "DEB is damaged: it is no Debian package of format 2"),
        (package(&[&control, &version]), "DEB is damaged: it is no Debian package of format 2"),
        (package(&[&version]), "DEB is damaged: it has no archive of files"),
        (package(&[&version, &control]), "DEB is damaged: it has no archive of files"),
        (package(&[&version, &data, &control]), "DEB is damaged: its files come before its control archive"),
        (package(&[&version, &member("x", b""), &control]), "DEB is damaged: it has an unknown part x"),
        (package(&[&version, &member("control.tar", b"")]), "DEB is damaged: it does not say which package it is"),
        (package(&[&version, &control, &member("_x", b"y"), &data]), "there is no kernel in the package x (DEB)"),
        (package(&[&version, &control, &foreign]), "DEB is damaged: something follows the end of the archive"),
        (package(&[&version, &control, &member("data.tar", b"BZh9")]), "cannot decompress DEB"),
        (
            package(&[&version, &control, &member("data.tar", b"\x5d\0\0\x80")]),
            "DEB is damaged: it is compressed with lzma, as packages have not been for long",
        ),
        (
            package(&[&version, &control, &member("data.tar", b"\xfd7zXZ\0")]),
            "DEB is damaged: it cannot be decompressed: ",
        ),
        (package(&[&version, &control, &member("data.tar", &[7; 600])]), "cannot read the archive DEB"),
        (
            package(&[&version, &control, &member("data.tar", &tar[..1024])]),
            "DEB is damaged: the archive in it has no end",
        ),
        (package(&[&version, &control, b"data.tar"]), "DEB is damaged: the ar archive ends too early, after "),
        (flipped, ""),
        (good[..good.len() - 40].to_vec(), ""),
        (good[..good.len() / 2].to_vec(), ""),
    ] {
        let path = directory.path().join("x.deb");
        std::fs::write(&path, bytes).unwrap();
        let into = tempfile::tempdir().unwrap();
        let error = import(&[&path], into.path(), &()).unwrap_err();
        let text = error.to_string().replace(path.to_str().unwrap(), "DEB");
        assert!(text.starts_with(expected), "{text}: {expected}");
        let kind =
            if matches!(error, Error::NoKernelInPackage { .. }) { ErrorKind::Usage } else { ErrorKind::Integrity };
        assert_eq!(error.kind(), kind, "{error:?}");
    }
}

#[test]
fn a_file_of_holes_is_no_way_around_the_limits() {
    let directory = tempfile::tempdir().unwrap();
    let root = empty(directory.path(), "data");
    std::fs::create_dir(root.join("boot")).unwrap();
    let kernel = std::fs::File::create(root.join("boot/vmlinuz-6.1.0")).unwrap();
    kernel.set_len(9 << 30).unwrap();
    run("tar", &["--sparse", "-cf", "data.tar", "-C", "data", "."], directory.path());
    write(directory.path(), &[("tar/control", b"Package: x\n")]);
    run("tar", &["-cf", "control.tar", "-C", "tar", "./control"], directory.path());
    write(directory.path(), &[("debian-binary", b"2.0\n")]);
    run("ar", &["rc", "x.deb", "debian-binary", "control.tar", "data.tar"], directory.path());
    let error = import(&[&directory.path().join("x.deb")], &empty(directory.path(), "into"), &()).unwrap_err();
    assert!(error.to_string().ends_with("x.deb has more than 8589934592 bytes in it"), "{error}");
}
