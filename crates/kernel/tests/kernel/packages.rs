//! A kernel in several Debian packages: which are taken together, and what is said of those that are not there.

use std::path::{Path, PathBuf};

use banger_kernel::{Error, ErrorKind, Format, Imported, import};

use crate::testing::{bzimage, module};
use crate::{empty, files, run, write};

/// A version as Debian's kernels have it since they come in several packages.
const KERNEL: &str = "7.0.1+deb14-cloud-amd64";
const VERSION: &str = "7.0.1-1";
/// All packages of such a kernel.
const PARTS: [&str; 4] = ["image", "binary", "modules", "base"];

fn name(part: &str) -> String {
    format!("linux-{part}-{KERNEL}")
}

/// Makes a package of that name and version with these files, and dependencies on others of the same version.
fn package(directory: &Path, name: &str, version: &str, depends: &[&str], content: &[(&str, &[u8])]) -> PathBuf {
    let root = tempfile::tempdir().unwrap();
    let depends: Vec<String> = depends.iter().map(|other| format!("{other} (= {version})")).collect();
    let depends = ["kmod | linux-initramfs-tool".to_owned()].into_iter().chain(depends).collect::<Vec<_>>().join(", ");
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: nobody <n@b.de>\nDepends: {depends}\nDescription: a part\n"
    );
    write(root.path(), &[("DEBIAN/control", control.as_bytes()), ("usr/share/doc/x", b"free\n")]);
    write(root.path(), content);
    let file = directory.join(format!("{name}_{version}_amd64.deb"));
    let arguments = ["--root-owner-group", "-Znone", "-b", root.path().to_str().unwrap(), file.to_str().unwrap()];
    run("dpkg-deb", &arguments, Path::new("/"));
    file
}

/// One of the packages of a kernel, shaped as Debian's are.
fn part(directory: &Path, part: &str, version: &str) -> PathBuf {
    let [binary, modules, base] = ["binary", "modules", "base"].map(name);
    let below = |file: &str| format!("usr/lib/modules/{KERNEL}/{file}");
    let module = module(KERNEL, "");
    let kernel = bzimage(KERNEL);
    let (depends, content): (Vec<&str>, Vec<(String, &[u8])>) = match part {
        "image" => (vec![&base, &binary, &modules], Vec::new()),
        "binary" => (vec![&base], vec![(below("vmlinuz"), &kernel)]),
        "modules" => (vec![&base], vec![(below("kernel/a.ko"), &module), (below("kernel/deep/b.ko"), &module)]),
        _ => (
            Vec::new(),
            vec![
                (below("modules.builtin"), b"kernel/fs/ext4/ext4.ko\n"),
                (below("modules.builtin.modinfo"), b"ext4.license=GPL\0"),
                (below("modules.order"), b"kernel/a.ko\nkernel/deep/b.ko\n"),
            ],
        ),
    };
    let content: Vec<(&str, &[u8])> = content.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    package(directory, &name(part), version, &depends, &content)
}

fn take(packages: &[&Path]) -> (tempfile::TempDir, Result<Imported, Error>) {
    let into = tempfile::tempdir().unwrap();
    let result = import(packages, into.path(), &());
    (into, result)
}

#[test]
fn whichever_package_is_named_the_others_are_found_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let packages = PARTS.map(|kind| part(directory.path(), kind, VERSION));
    let meta = package(directory.path(), "linux-image-cloud-amd64", VERSION, &[&name("image")], &[]);
    // Of another version, and something else altogether.
    part(directory.path(), "modules", "7.0.0-9");
    package(directory.path(), "linux-headers-7.0.1", VERSION, &[], &[]);
    let mut digests = Vec::new();
    let all: Vec<&Path> = packages.iter().map(PathBuf::as_path).collect();
    let cases = packages.iter().chain([&meta]).map(|one| vec![one.as_path()]).chain([all]);
    for case in cases {
        let (into, imported) = take(&case);
        let imported = imported.unwrap_or_else(|error| panic!("{case:?}: {error}"));
        assert_eq!(imported.notes, [""; 0], "{case:?}");
        assert_eq!(imported.name.as_deref(), Some("linux-7.0.1-deb14-cloud-amd64"));
        assert_eq!(imported.triple.version.as_deref(), Some(KERNEL));
        assert_eq!(imported.triple.format, Format::BzImage);
        let found = files(into.path());
        for file in ["bzImage", "modules/kernel/a.ko", "modules/kernel/deep/b.ko", "modules/modules.builtin"] {
            assert!(found.contains(&format!("{file} -r--r--r--")), "{file}: {found:?}");
        }
        assert!(!found.iter().any(|file| file.contains("vmlinuz")), "the kernel is there once: {found:?}");
        let builtin = std::fs::read(into.path().join("modules/modules.builtin.bin")).unwrap();
        assert!(builtin.windows(4).any(|name| name == b"ext4"), "what is built in is in the index of depmod");
        digests.push(imported.triple.digest(&()).unwrap());
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "the same kernel, whichever was named");
}

#[test]
fn packages_that_are_not_there_are_named() {
    let [image, binary, modules, base] = PARTS.map(name);
    // Which are there, and which are missing.
    let cases: [(&[&str], &[&String]); 6] = [
        (&["image"], &[&binary, &modules, &base]),
        (&["binary"], &[&modules, &base]),
        (&["modules"], &[&binary, &base]),
        (&["base"], &[&binary, &modules]),
        (&["image", "binary", "base"], &[&modules]),
        (&["binary", "modules"], &[&base]),
    ];
    for (here, missing) in cases {
        let directory = tempfile::tempdir().unwrap();
        let packages: Vec<PathBuf> = here.iter().map(|kind| part(directory.path(), kind, VERSION)).collect();
        let (_into, result) = take(&[&packages[0]]);
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let text = error.to_string();
        let missing: Vec<&str> = missing.iter().map(|name| name.as_str()).collect();
        assert!(text.ends_with(&format!("there is no {}", missing.join(", no "))), "{text}");
        assert!(!text.contains(&image) || here.contains(&"image"), "the empty one is not needed: {text}");
        let hint = error.hint().unwrap();
        let command = format!("cd {} && apt-get download {}", directory.path().display(), missing.join(" "));
        assert!(hint.contains(&command), "{hint}");
    }
}

#[test]
fn packages_in_several_places_are_named_each() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let binary = part(here.path(), "binary", VERSION);
    let [modules, base] = ["modules", "base"].map(|kind| part(there.path(), kind, VERSION));
    let (_into, imported) = take(&[&binary, &modules, &base]);
    assert!(imported.unwrap().triple.modules.is_some());
    // Those beside the second count too, and a package that is named twice is there once.
    let (_into, imported) = take(&[&binary, &modules, &modules]);
    assert!(imported.unwrap().triple.modules.is_some());
}

#[test]
fn packages_that_do_not_belong_together_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let packages = PARTS.map(|kind| part(directory.path(), kind, VERSION));
    let others = empty(directory.path(), "others");
    let older = part(&others, "modules", "7.0.1-0");
    let other = package(&others, "linux-modules-7.0.2+deb14-amd64", VERSION, &[], &[]);
    let twice =
        package(&others, &name("extra"), VERSION, &[], &[(&format!("usr/lib/modules/{KERNEL}/kernel/a.ko"), b"x")]);
    let text = others.join("text");
    std::fs::write(&text, "I am a text.\n").unwrap();
    let cases: [(&Path, &str); 6] = [
        (&older, "is of the version 7.0.1-0, and "),
        (&other, "there are several kernels in "),
        (&twice, "modules-7.0.1+deb14-cloud-amd64_7.0.1-1_amd64.deb is refused for its entry"),
        (&text, "of several files each must be a Debian package, and "),
        (&others, "is no file, but a directory"),
        (&others.join("gone"), "cannot open "),
    ];
    for (wrong, expected) in cases {
        let (_into, result) = take(&[&packages[1], wrong]);
        let text = result.unwrap_err().to_string();
        assert!(text.contains(expected), "{text}: {expected}");
    }
    assert!(matches!(take(&[]).1, Err(Error::NothingNamed)));
    // One that is damaged is not passed over as if it were not there.
    std::fs::write(&packages[2], "!<arch>\nx").unwrap();
    let text = take(&[&packages[0]]).1.unwrap_err().to_string();
    assert!(text.contains("is damaged"), "{text}");
}
