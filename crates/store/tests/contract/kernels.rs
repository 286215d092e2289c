//! Kernels: put together, used, removed.

use crate::support::*;
use banger_store::{ErrorKind, Store, kernel};
use std::fs;

#[test]
fn what_is_published_is_read_back_as_it_was() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    let published = make_kernel(store, "linux-6.1").unwrap();
    let directory = scratch.root().join("kernels/linux-6.1");
    let expected = kernel::Row {
        name: "linux-6.1".to_owned(),
        size: 9006,
        image: directory.join("bzImage"),
        modules: Some(directory.join("modules")),
        ..kernel_row()
    };
    assert_eq!(published, expected);
    assert_eq!(Store::open(&scratch.root()).unwrap().kernels().unwrap(), std::slice::from_ref(&expected));
    let (row, shared) = store.kernel("linux-6.1").unwrap().unwrap();
    assert_eq!((&row, shared.path()), (&expected, directory.as_path()));

    assert_eq!(sort(&store.remove_kernel("linux-6.1").unwrap_err()), "InUse");
    drop(shared);
    assert!(store.remove_kernel("linux-6.1").unwrap() >= 9006);
    assert!(store.kernel("linux-6.1").unwrap().is_none());
    assert_eq!(store.remove_kernel("linux-6.1").unwrap_err().kind(), ErrorKind::NotFound);
    check_still(store);
}

#[test]
fn names_of_images_and_of_kernels_have_nothing_to_do_with_each_other() {
    let scratch = Scratch::new();
    make(&scratch.store, "same", &id('a')).unwrap();
    make_kernel(&scratch.store, "same").unwrap();
    assert_eq!(sort(&make_kernel(&scratch.store, "same").unwrap_err()), "NameTaken");
    scratch.store.remove(&["same"]).unwrap();
    assert_eq!(scratch.store.find_kernel("same").unwrap().name, "same");
    let error = scratch.store.find_kernel("sane").unwrap_err();
    assert_eq!(error.to_string(), "there is no kernel \"sane\"");
    check_still(&scratch.store);
}

#[test]
fn what_is_not_complete_is_not_published_and_leaves_nothing() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    for (change, reason) in [
        (kernel::Row { image: "vmlinux".into(), ..kernel_row() }, "vmlinux is missing"),
        (kernel::Row { image: "../bzImage".into(), ..kernel_row() }, "../bzImage is not in its directory"),
        (kernel::Row { initrd: Some("modules".into()), ..kernel_row() }, "modules is not a regular file"),
        (kernel::Row { modules: Some("bzImage".into()), ..kernel_row() }, "bzImage is not a directory"),
    ] {
        let staging = store.stage_kernel(store.reserve_kernel("linux").unwrap()).unwrap();
        fs::write(staging.path().join("bzImage"), "kernel").unwrap();
        fs::create_dir(staging.path().join("modules")).unwrap();
        let error = staging.publish(&change).unwrap_err();
        assert!(error.to_string().ends_with(reason), "{error}");
        check_still(store);
    }
    drop(store.stage_kernel(store.reserve_kernel("linux").unwrap()).unwrap());
    check_still(store);
}

#[test]
fn damage_is_found_and_what_is_damaged_can_be_removed() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    for damage in ["bzImage", "modules", ""] {
        make_kernel(store, "linux").unwrap();
        let path = scratch.root().join("kernels/linux").join(damage);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
        assert_eq!(store.kernel("linux").unwrap_err().kind(), ErrorKind::Integrity, "{damage}");
        store.remove_kernel("linux").unwrap();
        check_still(store);
    }
}

#[test]
fn what_images_share_with_kernels_is_counted_once() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    const LARGE: usize = 3 << 20;
    let staging = store.stage_kernel(store.reserve_kernel("linux").unwrap()).unwrap();
    write_synced(&staging.path().join("bzImage"), LARGE);
    let kernel = staging.publish(&kernel::Row { modules: None, ..kernel_row() }).unwrap();
    for (name, digit) in [("one", 'a'), ("two", 'b')] {
        let staging = new(store.stage(&id(digit), &|| true).unwrap());
        fill(staging.path(), &id(digit));
        fs::remove_file(staging.path().join("vmlinux")).unwrap();
        fs::hard_link(&kernel.image, staging.path().join("vmlinux")).unwrap();
        let row = staging.publish(store.reserve(name).unwrap(), &row(&id(digit))).unwrap();
        assert!(row.allocated > LARGE as u64, "what is shared is counted in each");
    }
    make(store, "again", &id('a')).unwrap();
    let usage = store.usage().unwrap();
    assert_eq!((usage.kernels.count, usage.images.count, usage.leftovers.count), (1, 2, 0));
    assert!((LARGE as u64..2 * LARGE as u64).contains(&usage.kernels.bytes), "{usage:?}");
    assert!((1..LARGE as u64).contains(&usage.images.bytes), "{usage:?}");

    assert!(store.remove(&["two"]).unwrap() < LARGE as u64, "others have the kernel, too");
    assert!(store.remove_kernel("linux").unwrap() < LARGE as u64);
    assert!(store.remove(&["one", "again"]).unwrap() > LARGE as u64, "it went with the last");
    check_still(store);
}
