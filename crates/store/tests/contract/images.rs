//! Images: made, shared by several names, registered, promoted, removed.

use crate::support::*;
use banger_store::image::{ROOTFS, Row, Stage};
use banger_store::{Error, ErrorKind, Store};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn what_is_published_is_read_back_as_it_was() {
    let scratch = Scratch::new();
    let published = make(&scratch.store, "debian", &id('a')).unwrap();
    let directory = scratch.root().join("images").join(id('a'));
    let mut expected = row(&id('a'));
    expected.name = "debian".to_owned();
    expected.rootfs = directory.join(ROOTFS);
    expected.allocated = published.allocated;
    let kernel = expected.kernel.as_mut().unwrap();
    kernel.image = directory.join("vmlinux");
    kernel.initrd = Some(directory.join("initrd.img"));
    kernel.modules = Some(directory.join("modules"));
    assert_eq!(published, expected);
    assert!(published.allocated >= published.size, "{}", published.allocated);
    // By another process, too.
    let other = Store::open(&scratch.root()).unwrap();
    assert_eq!(other.images().unwrap(), [expected.clone()]);
    assert_eq!(other.find("debian").unwrap(), expected);
    assert_eq!(other.find(&id('a')).unwrap(), expected);
    check_still(&scratch.store);

    let mode = |name: &str| directory.join(name).metadata().unwrap().permissions().mode() & 0o7777;
    let modes = ["", ROOTFS, "vmlinux", "modules", "modules/kernel", "modules/kernel/virtio.ko"].map(mode);
    assert_eq!(modes, [0o755, 0o444, 0o444, 0o755, 0o755, 0o444]);
    assert_eq!(scratch.root().metadata().unwrap().permissions().mode() & 0o7777, 0o700);
}

#[test]
fn what_is_not_known_of_an_image_stays_unknown() {
    let scratch = Scratch::new();
    let bare = Row { digest: None, platform: None, boot: None, kernel: None, content_id: None, ..row(&id('a')) };
    let staging = new(scratch.store.stage(&id('a'), &|| true).unwrap());
    fill(staging.path(), &id('a'));
    let published = staging.publish(scratch.store.reserve("bare").unwrap(), &bare).unwrap();
    let (name, rootfs, allocated) = (published.name.clone(), published.rootfs.clone(), published.allocated);
    assert_eq!(published, Row { name, rootfs, allocated, ..bare });
}

#[test]
fn a_second_name_shares_the_files_which_go_with_the_last() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    let first = make(store, "one", &id('a')).unwrap();
    let Stage::Ready(shared) = store.stage(&id('a'), &|| panic!("nobody makes it")).unwrap() else { panic!("new") };
    let other = Row { source: "other".to_owned(), digest: None, size: 1, ..row(&id('b')) };
    let second = store.add_name(store.reserve("two").unwrap(), &shared, &other).unwrap();
    drop(shared);
    // What belongs to the name is new, what belongs to the files is theirs.
    assert_eq!((second.source.as_str(), second.digest.as_deref()), ("other", None));
    assert_eq!((&second.id, second.size, &second.rootfs), (&first.id, first.size, &first.rootfs));
    assert_eq!(store.names_of(&id('a')).unwrap(), ["one", "two"]);
    assert_eq!(scratch.entries("images"), [id('a')]);

    assert_eq!(store.remove(&["one"]).unwrap(), 0, "the other name keeps the files");
    check_still(store);
    assert!(store.remove(&["two"]).unwrap() >= first.size);
    assert_eq!(store.images().unwrap(), []);
    assert!(store.image(&id('a')).unwrap().is_none());
    check_still(store);
}

#[test]
fn several_names_go_together_or_not_at_all() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    for name in ["one", "two"] {
        make(store, name, &id('a')).unwrap();
    }
    make(store, "other", &id('b')).unwrap();
    for names in [&["one", "two", "none"][..], &["one", "one"], &["none", "other"]] {
        assert_eq!(store.remove(names).unwrap_err().kind(), ErrorKind::NotFound, "{names:?}");
    }
    let held = store.image(&id('b')).unwrap().unwrap();
    assert_eq!(store.remove(&["one", "two", "other"]).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(names(store), ["one", "other", "two"]);
    drop(held);
    let freed = store.remove(&["one", "two", "other"]).unwrap();
    assert!(freed >= 2 * content(&id('a')).len() as u64, "{freed}");
    check_still(store);
}

#[test]
fn files_in_use_are_not_removed() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    make(store, "one", &id('a')).unwrap();
    let elsewhere = Store::open(&scratch.root()).unwrap();
    let held = [store.image(&id('a')).unwrap().unwrap(), elsewhere.image(&id('a')).unwrap().unwrap()];
    let error = store.remove(&["one"]).unwrap_err();
    assert_eq!(error.to_string(), "image \"one\" is in use");
    check_now(store);
    let [one, two] = held;
    // Whoever has a copy of the open directory keeps the files, too.
    let copy = one.directory().try_clone().unwrap();
    drop(two);
    assert_eq!(sort(&store.remove(&["one"]).unwrap_err()), "InUse");
    drop((one, copy));
    store.remove(&["one"]).unwrap();
    check_still(store);
}

#[test]
fn what_is_not_complete_is_not_published_and_leaves_nothing() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    let kernel =
        |change: fn(&mut banger_store::image::Kernel)| move |row: &mut Row| change(row.kernel.as_mut().unwrap());
    type Change = Box<dyn Fn(&mut Row)>;
    type Damage = fn(&std::path::Path);
    let cases: [(Damage, Change, &str); 9] = [
        (|path| fs::remove_file(path.join(ROOTFS)).unwrap(), Box::new(|_| ()), "rootfs.ext4 is missing"),
        (|path| fs::write(path.join(ROOTFS), "short").unwrap(), Box::new(|_| ()), "rootfs.ext4 has 5 bytes, not 12800"),
        (|_| (), Box::new(|row| row.size += 1), "rootfs.ext4 has 12800 bytes, not 12801"),
        (|path| fs::remove_file(path.join("vmlinux")).unwrap(), Box::new(|_| ()), "vmlinux is missing"),
        (|path| fs::remove_dir_all(path.join("modules")).unwrap(), Box::new(|_| ()), "modules is missing"),
        (
            |_| (),
            Box::new(kernel(|kernel| kernel.image = "/boot/vmlinuz".into())),
            "/boot/vmlinuz is not in its directory",
        ),
        (|_| (), Box::new(kernel(|kernel| kernel.initrd = Some("../x".into()))), "../x is not in its directory"),
        (
            |path| std::os::unix::fs::symlink("/etc/passwd", path.join("link")).unwrap(),
            Box::new(|_| ()),
            "link is neither a file nor a directory",
        ),
        (
            |path| {
                fs::remove_file(path.join(ROOTFS)).unwrap();
                std::os::unix::fs::symlink("vmlinux", path.join(ROOTFS)).unwrap();
            },
            Box::new(|_| ()),
            "rootfs.ext4 is not a regular file",
        ),
    ];
    for (damage, change, reason) in cases {
        let staging = new(store.stage(&id('a'), &|| true).unwrap());
        fill(staging.path(), &id('a'));
        damage(staging.path());
        let mut row = row(&id('a'));
        change(&mut row);
        let error = staging.publish(store.reserve("one").unwrap(), &row).unwrap_err();
        assert!(matches!(error, Error::Incomplete { .. }), "{error:?}");
        assert!(error.to_string().ends_with(reason), "{error}");
        assert_eq!(store.images().unwrap(), []);
        check_still(store);
    }
    for wrong in ["", "../x", &id('A'), &id('a')[1..]] {
        assert!(matches!(store.stage(wrong, &|| true), Err(Error::Id { .. })), "{wrong}");
    }
    let staging = store.stage_unnamed().unwrap();
    fill(staging.path(), &id('a'));
    let error = staging.publish(store.reserve("one").unwrap(), &row("../../etc")).unwrap_err();
    assert!(matches!(error, Error::Id { .. }), "{error:?}");
    check_still(store);
}

#[test]
fn an_image_whose_id_is_known_at_the_end() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    let [one, two] = ["one", "two"].map(|name| {
        let staging = store.stage_unnamed().unwrap();
        fill(staging.path(), &id('a'));
        (staging, store.reserve(name).unwrap())
    });
    let first = one.0.publish(one.1, &row(&id('a'))).unwrap();
    let inode = |row: &Row| row.rootfs.metadata().unwrap().ino();
    let before = inode(&first);
    // The same came of the second: it goes, and the first one gets the name.
    let second = two.0.publish(two.1, &row(&id('a'))).unwrap();
    assert_eq!((inode(&second), second.id, second.name.as_str()), (before, first.id, "two"));
    assert_eq!(names(store), ["one", "two"]);
    check_still(store);
}

#[test]
fn who_waits_takes_what_comes_or_takes_over() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    for publishes in [true, false] {
        let staging = new(store.stage(&id('a'), &|| panic!("nobody makes it")).unwrap());
        let looks = AtomicU32::new(0);
        let waits = || {
            let go_on = || {
                looks.fetch_add(1, Ordering::Relaxed);
                true
            };
            match store.stage(&id('a'), &go_on).unwrap() {
                Stage::New(staging) => {
                    assert_eq!(entries(staging.path()), Vec::<String>::new(), "it begins with nothing");
                    "new"
                }
                Stage::Ready(_) => "ready",
            }
        };
        std::thread::scope(|scope| {
            let waiter = scope.spawn(waits);
            while looks.load(Ordering::Relaxed) < 3 {
                std::thread::yield_now();
            }
            fill(staging.path(), &id('a'));
            if publishes {
                staging.publish(store.reserve("one").unwrap(), &row(&id('a'))).unwrap();
            } else {
                drop(staging);
            }
            assert_eq!(waiter.join().unwrap(), if publishes { "ready" } else { "new" });
        });
        if publishes {
            store.remove(&["one"]).unwrap();
        }
        check_still(store);
    }
}

#[test]
fn who_waits_can_be_cancelled() {
    let scratch = Scratch::new();
    let _made = scratch.store.stage(&id('a'), &|| true).unwrap();
    let looks = AtomicU32::new(0);
    let error = scratch.store.stage(&id('a'), &|| looks.fetch_add(1, Ordering::Relaxed) < 2).unwrap_err();
    assert_eq!((error.kind(), looks.into_inner()), (ErrorKind::Cancelled, 3));
}

#[test]
fn images_whose_files_are_elsewhere() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    let place = scratch.directory.path().join("elsewhere");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("rootfs.img"), content(&id('e'))).unwrap();
    let wanted = elsewhere(&id('e'), &place);
    let registered = store.register(store.reserve("mine").unwrap(), &wanted).unwrap();
    assert_eq!(registered, Row { name: "mine".to_owned(), ..wanted.clone() });
    assert_eq!(store.find("mine").unwrap(), registered);
    assert!(store.image(&id('e')).unwrap().is_none(), "its files are not kept here");
    store.register(store.reserve("too").unwrap(), &wanted).unwrap();
    assert_eq!(store.names_of(&id('e')).unwrap(), ["mine", "too"]);

    make(store, "managed", &id('a')).unwrap();
    let error = store.register(store.reserve("other").unwrap(), &elsewhere(&id('a'), &place)).unwrap_err();
    assert_eq!(sort(&error), "ManagedId");
    let path = std::os::unix::ffi::OsStringExt::from_vec(b"/a\xff".to_vec());
    let unreadable = Row { rootfs: std::ffi::OsString::into(path), ..elsewhere(&id('c'), &place) };
    assert_eq!(sort(&store.register(store.reserve("other").unwrap(), &unreadable).unwrap_err()), "Path");

    for name in ["mine", "too"] {
        assert_eq!(store.remove(&[name]).unwrap(), 0);
    }
    assert_eq!(fs::read(place.join("rootfs.img")).unwrap(), content(&id('e')), "they are somebody else's");
    check_still(store);
}

#[test]
fn an_unmanaged_image_becomes_a_managed_one_and_keeps_its_name() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    let place = scratch.directory.path();
    let register =
        |name: &str, digit| store.register(store.reserve(name).unwrap(), &elsewhere(&id(digit), place)).unwrap();
    let stage = || {
        let staging = new(store.stage(&id('a'), &|| true).unwrap());
        fill(staging.path(), &id('a'));
        staging
    };
    let old = register("mine", 'e');
    register("too", 'e');
    let promoted = stage().promote(&old, &row(&id('a'))).unwrap();
    assert_eq!((promoted.name.as_str(), promoted.managed, &promoted.id), ("mine", true, &id('a')));
    assert_eq!(store.names_of(&id('e')).unwrap(), ["too"], "another name stays what it was");
    check_still(store);

    // By now it is there already.
    let too = store.find("too").unwrap();
    let shared = store.image(&id('a')).unwrap().unwrap();
    store.promote(&shared, &too, &row(&id('a'))).unwrap();
    drop(shared);
    assert_eq!(store.names_of(&id('a')).unwrap(), ["mine", "too"]);
    assert!(matches!(store.lookup(&id('e')), Err(Error::NotFound { .. })));

    store.remove(&["mine", "too"]).unwrap();
    let gone = register("mine", 'e');
    store.remove(&["mine"]).unwrap();
    for (again, sort_of_error) in [(None, "NotFound"), (Some('f'), "NotFound")] {
        let again = again.map(|digit| register("mine", digit));
        assert_eq!(sort(&stage().promote(&gone, &row(&id('a'))).unwrap_err()), sort_of_error);
        assert_eq!(store.images().unwrap(), again.into_iter().collect::<Vec<_>>());
        check_still(store);
    }
    store.remove(&["mine"]).unwrap();
    make(store, "mine", &id('b')).unwrap();
    assert_eq!(sort(&stage().promote(&gone, &row(&id('a'))).unwrap_err()), "Managed");
    assert_eq!(store.find("mine").unwrap().id, id('b'));
    check_still(store);
}

#[test]
fn a_name_is_changed() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    let before = make(store, "one", &id('a')).unwrap();
    make(store, "other", &id('b')).unwrap();
    assert_eq!(sort(&store.reserve("other").unwrap_err()), "NameTaken");
    let after = store.rename("one", store.reserve("two").unwrap()).unwrap();
    assert_eq!(after, Row { name: "two".to_owned(), ..before });
    assert_eq!(names(store), ["other", "two"]);
    let error = store.rename("one", store.reserve("three").unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(names(store), ["other", "two"]);
    check_still(store);
}

#[test]
fn damage_is_found_and_what_is_damaged_can_be_removed() {
    type Damage = fn(&std::path::Path);
    let cases: [(Damage, &str); 5] = [
        (|path| fs::write(path.join(ROOTFS), "short").unwrap(), "has 5 bytes, not 12800"),
        (|path| fs::remove_file(path.join(ROOTFS)).unwrap(), "rootfs.ext4 is missing"),
        (|path| fs::remove_file(path.join("initrd.img")).unwrap(), "initrd.img is missing"),
        (|path| fs::remove_dir_all(path.join("modules")).unwrap(), "modules is missing"),
        (|path| fs::remove_dir_all(path).unwrap(), "is missing"),
    ];
    for (damage, reason) in cases {
        let scratch = Scratch::new();
        let store = &scratch.store;
        make(store, "one", &id('a')).unwrap();
        let directory = scratch.root().join("images").join(id('a'));
        // Whoever may do all may write to what is read-only, too.
        fs::set_permissions(directory.join(ROOTFS), fs::Permissions::from_mode(0o644)).unwrap();
        damage(&directory);
        let error = store.image(&id('a')).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity);
        assert!(error.to_string().ends_with(reason), "{error}");
        store.remove(&["one"]).unwrap();
        make(store, "one", &id('a')).unwrap();
        check_still(store);
    }
}

#[test]
fn what_is_gone_altogether_is_made_again() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    let first = make(store, "one", &id('a')).unwrap();
    fs::remove_dir_all(first.rootfs.parent().unwrap()).unwrap();
    make(store, "two", &id('a')).unwrap();
    assert_eq!(names(store), ["one", "two"]);
    check_still(store);
}

#[test]
fn a_store_can_be_moved() {
    let scratch = Scratch::new();
    make(&scratch.store, "one", &id('a')).unwrap();
    make_kernel(&scratch.store, "linux").unwrap();
    let Scratch { directory, store } = scratch;
    drop(store);
    let root = directory.path().join("moved");
    fs::rename(directory.path().join("store"), &root).unwrap();
    let store = Store::open(&root).unwrap();
    assert!(store.find("one").unwrap().rootfs.starts_with(&root));
    check_still(&store);
}
