//! Exports: complete or not there.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use banger_disk::tar::Holes;
use banger_disk::{Error, ErrorKind, Exported, Format, Raw, Silent, export};

use crate::fixture;
use crate::judge;
use crate::watcher::Watcher;

const FORMATS: [Format; 3] = [Format::Raw, Format::Qcow2, Format::Tar(Holes::Zeros)];

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// An image with a file of some megabytes.
fn image() -> tempfile::NamedTempFile {
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join("file"), vec![3; 5_000_000]).unwrap();
    fixture::image(Some(tree.path()), "32M", &[])
}

#[test]
fn a_file_of_each_kind_appears_complete() {
    if !judge::present("a_file_of_each_kind_appears_complete", &["mke2fs", "qemu-img", "tar"]) {
        return;
    }
    let image = image();
    let directory = tempfile::tempdir().unwrap();
    for format in FORMATS {
        let target = directory.path().join(format!("{format:?}"));
        let watcher = Watcher::default();
        let Exported { size, allocated } = export(image.path(), format, &target, false, &watcher).unwrap();
        watcher.check();
        let metadata = target.metadata().unwrap();
        assert_eq!((size, allocated), (metadata.len(), metadata.blocks() * 512));
        assert!((5_000_000..12 << 20).contains(&allocated), "{format:?}: {allocated}");
        let content = fs::read(&target).unwrap();
        match format {
            Format::Raw => assert!(content == fs::read(image.path()).unwrap()),
            Format::Qcow2 => {
                let said = judge::run("qemu-img", &["check".as_ref(), target.as_os_str()]);
                assert!(said.contains("No errors were found"), "{said}");
            }
            Format::Tar(_) => {
                let said = judge::run("tar", &["-tf".as_ref(), target.as_os_str()]);
                assert_eq!(said.lines().collect::<Vec<_>>(), ["./", "file"]);
            }
        }
        // Twice the same, over what is there only when told to.
        let error = export(image.path(), format, &target, false, &Silent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().ends_with(" exists already"), "{error}");
        fs::write(&target, "another").unwrap();
        export(image.path(), format, &target, true, &Silent).unwrap();
        assert!(fs::read(&target).unwrap() == content);
    }
    assert_eq!(names(directory.path()).len(), 3);
}

#[test]
fn what_fails_or_is_cancelled_leaves_what_was_there() {
    if !judge::present("what_fails_or_is_cancelled_leaves_what_was_there", &["mke2fs"]) {
        return;
    }
    let image = image();
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("target");
    fs::write(&target, "before").unwrap();
    for format in FORMATS {
        let patient = Watcher::default();
        export(image.path(), format, &directory.path().join("patient"), true, &patient).unwrap();
        fs::remove_file(directory.path().join("patient")).unwrap();
        for patience in 0..patient.asked() {
            let error = export(image.path(), format, &target, true, &Watcher::with_patience(patience)).unwrap_err();
            assert!(matches!(error, Error::Cancelled), "{format:?} after {patience}: {error}");
        }
        let table = [
            (image.path().with_extension("absent"), target.clone(), ErrorKind::NotFound),
            (directory.path().to_owned(), target.clone(), ErrorKind::Usage),
            (image.path().to_owned(), directory.path().to_owned(), ErrorKind::Usage),
            (image.path().to_owned(), image.path().to_owned(), ErrorKind::Usage),
            (image.path().to_owned(), directory.path().join("absent/target"), ErrorKind::NotFound),
        ];
        for (image, target, kind) in table {
            let error = export(&image, format, &target, true, &Silent).unwrap_err();
            assert_eq!(error.kind(), kind, "{format:?}: {error}");
        }
        assert_eq!(fs::read(&target).unwrap(), b"before");
        assert_eq!(names(directory.path()), ["target"]);
    }
    // What is no file system has no files in it.
    let text = directory.path().join("text");
    fs::write(&text, "text").unwrap();
    let error = export(&text, Format::Tar(Holes::Zeros), &target, true, &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    assert!(error.to_string().starts_with("cannot read the file system in "), "{error}");
    assert_eq!(fs::read(&target).unwrap(), b"before");
    assert!(Raw::open(image.path()).is_ok());
}
