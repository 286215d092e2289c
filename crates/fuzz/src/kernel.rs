//! Kernels, initial RAM disks, and what kernels come in.
//!
//! - Contents of an ar archive's members are as long as their headers say, and no longer than the archive.
//! - What is imported are files and directories in one place, whose digest is found again; nothing is left beside them.

use std::fs;
use std::io::Read;
use std::path::Path;

use banger_kernel::ar::Archive;
use banger_kernel::{Image, import, initrd};

use crate::check_messages;

/// Takes the bytes for each of these.
pub fn check(data: &[u8]) {
    check_members(data);
    let directory = std::env::temp_dir().join(format!("banger-fuzz-kernel-{}", std::process::id()));
    let (file, into) = (directory.join("file"), directory.join("into"));
    // What a run before this one left behind, if it was ended.
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&into).expect("a directory can be made");
    fs::write(&file, data).expect("a file can be written");
    if let Err(error) = Image::of_file(&file) {
        check_messages(&error);
    }
    if let Err(error) = initrd::check(&file) {
        check_messages(&error);
    }
    match import(&[&file], &into, &()) {
        Err(error) => check_messages(&error),
        Ok(imported) => {
            let digest = imported.triple.digest(&()).expect("what was imported can be read");
            assert!(imported.triple.image.starts_with(&into));
            check_files(&into);
            imported.triple.verify(&digest, &()).expect("what was imported stays what it is");
        }
    }
    let names = fs::read_dir(&directory).expect("the directory is there").count();
    assert_eq!(names, 2, "something is beside the directory");
    fs::remove_dir_all(&directory).expect("the directory can be removed");
}

fn check_members(data: &[u8]) {
    let mut archive = match Archive::new(data) {
        Ok(archive) => archive,
        Err(error) => return check_messages(&error),
    };
    let mut total = 0;
    loop {
        match archive.next_member() {
            Ok(None) => return,
            Ok(Some(member)) => {
                let mut content = Vec::new();
                match archive.read_to_end(&mut content) {
                    Ok(count) => assert_eq!(count as u64, member.size),
                    Err(error) => return check_messages(&error),
                }
                total += content.len();
                assert!(total <= data.len(), "more than there is");
            }
            Err(error) => return check_messages(&error),
        }
    }
}

fn check_files(directory: &Path) {
    for entry in fs::read_dir(directory).expect("what was imported can be listed") {
        let path = entry.expect("what was imported can be listed").path();
        let kind = path.symlink_metadata().expect("what was imported is there").file_type();
        assert!(!path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")), "{path:?} was left");
        if kind.is_dir() {
            check_files(&path);
        } else {
            assert!(kind.is_file(), "{path:?}");
        }
    }
}
