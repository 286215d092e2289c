//! Kernels from directories, and from what is nothing of the kind.

use std::path::Path;

use banger_kernel::{Error, ErrorKind, Format, import};

use crate::testing::{bzimage, cpio, gzip, image, module};
use crate::{VERSION, empty, files, write};

#[test]
fn directories_are_copied_and_completed() {
    let directory = tempfile::tempdir().unwrap();
    let source = empty(directory.path(), "source");
    let depmod = [("modules.dep", "kernel/gone.ko:\n"), ("modules.dep.bin", ""), ("modules.symbols", "old")];
    write(
        &source,
        &[
            (&format!("boot/vmlinuz-{VERSION}"), &bzimage(VERSION)),
            (&format!("boot/initrd.img-{VERSION}"), &gzip(&cpio())),
            (&format!("lib/modules/{VERSION}/kernel/a.ko"), &module(VERSION, "")),
        ],
    );
    for (name, content) in depmod {
        write(&source, &[(&format!("lib/modules/{VERSION}/{name}"), content.as_bytes())]);
    }
    let into = empty(directory.path(), "into");
    let imported = import(&[&source], &into, &()).unwrap();
    assert_eq!(imported.triple.initrd.as_deref(), Some(&*into.join("initrd.img")));
    assert_eq!(std::fs::read_to_string(into.join("modules/modules.dep")).unwrap(), "kernel/a.ko:\n");
    assert!(!into.join("modules/modules.symbols").exists(), "it was about other modules");
    // What is complete is taken as it is.
    std::fs::create_dir(directory.path().join("again")).unwrap();
    let again = import(&[&into], &directory.path().join("again"), &()).unwrap();
    assert_eq!(files(&directory.path().join("again")), files(&into));
    assert_eq!(again.triple.digest(&()).unwrap(), imported.triple.digest(&()).unwrap());
    // And the source is what it was.
    let left = std::fs::read_to_string(source.join(format!("lib/modules/{VERSION}/modules.dep"))).unwrap();
    assert_eq!(left, depmod[0].1);
}

#[test]
fn an_image_that_is_compressed_is_unpacked() {
    let directory = tempfile::tempdir().unwrap();
    let source = empty(directory.path(), "source");
    write(&source, &[("vmlinuz-6.1.0-arm64", &gzip(&image("6.1.0-arm64")))]);
    let into = empty(directory.path(), "into");
    let imported = import(&[&source], &into, &()).unwrap();
    assert_eq!((imported.triple.format, imported.triple.architecture), (Format::Image, "arm64"));
    assert_eq!(imported.name.as_deref(), Some("linux-6.1.0-arm64"));
    assert_eq!(std::fs::read(into.join("Image")).unwrap(), image("6.1.0-arm64"));
    assert_eq!(files(&into), ["Image -r--r--r--"]);
}

#[test]
fn a_kernel_that_does_not_say_its_version_has_no_name() {
    let directory = tempfile::tempdir().unwrap();
    let source = empty(directory.path(), "source");
    write(&source, &[("bzImage", &bzimage("?"))]);
    let imported = import(&[&source], &empty(directory.path(), "into"), &()).unwrap();
    assert_eq!((imported.name, imported.triple.version), (None, None));
}

#[test]
fn what_has_no_kernel_in_it_is_refused_for_what_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let top = directory.path();
    let not = "is neither a directory, nor a Debian package, nor a kernel archive: it looks like";
    for (name, content, expected) in [
        ("text", b"text".to_vec(), format!("text {not} a text")),
        ("initrd", gzip(&cpio()), format!("initrd {not} an initial RAM disk (cpio), compressed with gzip")),
        ("vmlinuz", bzimage("6.1.0"), format!("vmlinuz {not} a kernel alone: name the directory that it is in")),
        (
            "image.zst",
            zstd::encode_all(&image("6.1.0-arm64")[..], 1).unwrap(),
            format!("{not} a kernel alone: name the directory that it is in"),
        ),
        ("empty", Vec::new(), format!("empty {not} an empty file")),
    ] {
        write(top, &[(name, &content)]);
        let into = tempfile::tempdir().unwrap();
        let error = import(&[&top.join(name)], into.path(), &()).unwrap_err();
        assert!(error.to_string().ends_with(&expected), "{error}");
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
    let into = tempfile::tempdir().unwrap();
    assert_eq!(import(&[&top.join("gone")], into.path(), &()).unwrap_err().kind(), ErrorKind::NotFound);
    let into = tempfile::tempdir().unwrap();
    assert!(matches!(import(&[Path::new("/dev/null")], into.path(), &()), Err(Error::NotAFile { .. })));
    std::fs::create_dir(top.join("none")).unwrap();
    let error = import(&[&top.join("none")], into.path(), &()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    write(top, &[("none/vmlinuz", b"#!/bin/sh\n")]);
    let error = import(&[&top.join("none")], into.path(), &()).unwrap_err().to_string();
    assert!(error.ends_with("none/vmlinuz is no Linux kernel: it looks like a script"), "{error}");
}
