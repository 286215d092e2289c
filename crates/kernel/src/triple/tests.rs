use std::fs::File;

use super::*;
use crate::testing::{bzimage, cpio, image, module};

/// A directory with files: paths and contents.
fn directory(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    directory
}

/// Checks what is called like this in the directory.
fn check_in(directory: &Path, initrd: &str, modules: &str, architecture: &str) -> Result<Triple> {
    let path = |name: &str| (!name.is_empty()).then(|| directory.join(name));
    let architecture = Some(architecture).filter(|architecture| !architecture.is_empty());
    check(&directory.join("kernel"), path(initrd).as_deref(), path(modules).as_deref(), architecture)
}

#[test]
fn what_belongs_together_is_a_triple() {
    let directory = directory(&[
        ("kernel", bzimage("6.1.0")),
        ("initrd", cpio()),
        ("modules/kernel/a.ko", module("6.1.0", "")),
        ("modules/updates/b.ko", module("6.1.0", "")),
        ("modules/vdso/vdso64.so", Vec::new()),
    ]);
    let top = directory.path();
    let triple = check_in(top, "initrd", "modules", "amd64").unwrap();
    let expected = Triple {
        image: top.join("kernel"),
        initrd: Some(top.join("initrd")),
        modules: Some(top.join("modules")),
        format: Format::BzImage,
        architecture: "amd64",
        version: Some("6.1.0".to_owned()),
    };
    assert_eq!(triple, expected);
    let alone = check_in(top, "", "", "").unwrap();
    assert_eq!((alone.initrd, alone.modules), (None, None));
    // Where the kernel does not say its version, its modules do.
    std::fs::write(top.join("kernel"), bzimage("?")).unwrap();
    assert_eq!(check_in(top, "", "modules", "").unwrap().version.as_deref(), Some("6.1.0"));
    assert_eq!(check_in(top, "", "", "").unwrap().version, None);
    // Links are followed.
    std::os::unix::fs::symlink("modules", top.join("also")).unwrap();
    assert_eq!(check_in(top, "", "also", "").unwrap().modules, Some(top.join("also")));
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let directory = directory(&[
        ("kernel", bzimage("6.1.0")),
        ("text", b"text".to_vec()),
        ("lib/6.1.0/kernel/a.ko", module("6.1.0", "")),
        ("lib/6.10.0/kernel/a.ko", module("6.10.0", "")),
        ("mixed/kernel/a.ko", module("6.1.0", "")),
        ("mixed/updates/a.ko", module("6.2.0", "")),
        ("none/modules.order", Vec::new()),
        ("broken/kernel/a.ko", b"text".to_vec()),
    ]);
    let top = directory.path();
    for (initrd, modules, architecture, expected) in [
        ("", "", "arm64", "kernel is a kernel for amd64, not for arm64"),
        ("text", "", "", "text is no initial RAM disk: it looks like a text"),
        ("kernel", "", "", "kernel is no initial RAM disk: it looks like a Linux kernel"),
        ("lib", "", "", "lib is no file, but a directory"),
        ("gone", "", "", "gone"),
        ("", "lib", "", "lib has the modules of several kernels in it, each in a directory: 6.1.0, 6.10.0"),
        ("", "lib/6.10.0", "", "lib/6.10.0 are for the kernel 6.10.0, not for 6.1.0"),
        ("", "mixed", "", "mixed/updates are for the kernel 6.2.0, not for 6.1.0"),
        ("", "none", "", "none"),
        ("", "broken", "", "a.ko is no kernel module: it has no section .modinfo"),
        ("", "kernel", "", "kernel"),
        ("", "gone", "", "gone"),
    ] {
        let error = check_in(top, initrd, modules, architecture).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
    let error = check_in(top, "", "lib", "").unwrap_err();
    assert_eq!(error.hint().unwrap(), format!("name one of them: {}", top.join("lib/6.10.0").display()));
    std::fs::write(top.join("kernel"), image("6.1.0-arm64")).unwrap();
    let error = check_in(top, "", "", "amd64").unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Usage);
}

#[test]
fn the_digest_is_of_names_sizes_and_contents_alone() {
    let files = [
        ("kernel", bzimage("6.1.0")),
        ("initrd", cpio()),
        ("modules/kernel/a.ko", module("6.1.0", "")),
        ("modules/kernel-b", b"b".to_vec()),
    ];
    // What sha256sum says of the files, in a list whose digest it says too.
    let list = files.iter().map(|(name, content)| {
        let name = match *name {
            "kernel" => "bzImage",
            "initrd" => "initrd.img",
            name => name,
        };
        (name, format!("{name} {} {}\n", content.len(), hex(&Sha256::digest(content))))
    });
    let mut list: Vec<(&str, String)> = list.collect();
    list.sort();
    let expected = hex(&Sha256::digest(list.into_iter().map(|(_, line)| line).collect::<String>()));
    let (one, other) = (directory(&files), directory(&files));
    let digest = |directory: &Path| check_in(directory, "initrd", "modules", "").unwrap().digest(&()).unwrap();
    assert_eq!(digest(one.path()), expected);
    let old = File::options().write(true).open(other.path().join("kernel")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH).unwrap();
    crate::place::set_mode(&other.path().join("initrd"), 0o600).unwrap();
    std::fs::create_dir(other.path().join("modules/empty")).unwrap();
    std::os::unix::fs::symlink("/usr/src", other.path().join("modules/source")).unwrap();
    assert_eq!(digest(other.path()), expected);

    // Each change is one of the digest, and noticed.
    let triple = check_in(other.path(), "initrd", "modules", "").unwrap();
    triple.verify(&expected, &()).unwrap();
    for (name, content) in [
        ("modules/kernel-b", b"c".to_vec()),
        ("modules/kernel-b", b"bb".to_vec()),
        ("modules/kernel/c", b"b".to_vec()),
        ("initrd", [cpio(), vec![0]].concat()),
    ] {
        let path = other.path().join(name);
        let before = std::fs::read(&path).ok();
        std::fs::write(&path, content).unwrap();
        let error = triple.verify(&expected, &()).unwrap_err();
        assert!(matches!(&error, Error::Digest { .. }) && error.kind() == crate::ErrorKind::Integrity, "{error}");
        match before {
            Some(before) => std::fs::write(&path, before).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
    }
    triple.verify(&expected, &()).unwrap();
    let without = check_in(one.path(), "", "modules", "").unwrap().digest(&()).unwrap();
    assert_ne!(without, expected);
}

#[test]
fn many_files_have_the_digest_that_they_have_one_by_one() {
    let files: Vec<(String, Vec<u8>)> = (0..300)
        .map(|number| (format!("modules/kernel/{number}.ko"), module("6.1.0", &"x,".repeat(number))))
        .chain([("kernel".to_owned(), bzimage("6.1.0"))])
        .collect();
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(name, content)| (&name[..], content.clone())).collect();
    let directory = directory(&files);
    let triple = check_in(directory.path(), "", "modules", "").unwrap();
    let first = triple.digest(&()).unwrap();
    let members = crate::member::members(&triple).unwrap();
    let one_by_one: Vec<String> = members.iter().map(|member| sha256(&member.path, &()).unwrap()).collect();
    assert_eq!(digests(&members, &()).unwrap(), one_by_one);
    for _ in 0..20 {
        assert_eq!(triple.digest(&()).unwrap(), first);
    }
}
