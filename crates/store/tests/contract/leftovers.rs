//! What a kill leaves, made by hand, and what is not to be taken for it.

use crate::support::*;
use banger_store::{Store, What};
use std::fs;

#[test]
fn what_nobody_holds_goes_and_what_somebody_holds_stays() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    let root = scratch.root();
    make(store, "one", &id('a')).unwrap();
    make_kernel(store, "linux").unwrap();
    let held = new(store.stage(&id('b'), &|| true).unwrap());
    let unnamed = store.stage_unnamed().unwrap();
    let kernel = store.stage_kernel(store.reserve_kernel("next").unwrap()).unwrap();
    let reservation = store.reserve("two").unwrap();

    let abandoned = [
        format!("images/{}", id('c')),
        format!("images/{}.staging", id('d')),
        format!("images/{}.removed", id('a')),
        format!("images/{}.1.removed", id('a')),
        "images/_1-0.staging".to_owned(),
        "kernels/old".to_owned(),
        "kernels/old.staging".to_owned(),
        "kernels/old.removed".to_owned(),
    ];
    for path in &abandoned {
        fs::create_dir_all(root.join(path).join("modules")).unwrap();
        write_synced(&root.join(path).join("file"), 100_000);
    }
    let foreign = ["images/lost+found", "images/notes.staging", "kernels/.git", "kernels/Old"];
    for path in foreign {
        fs::create_dir(root.join(path)).unwrap();
    }
    fs::write(root.join("images").join(id('e')), "a file").unwrap();
    std::os::unix::fs::symlink("/", root.join("kernels/link")).unwrap();
    fs::write(root.join("reserved/image-abandoned"), "").unwrap();

    let mut listed = store.leftovers().unwrap();
    listed.sort_by(|a, b| a.path.cmp(&b.path));
    let mut paths: Vec<_> = abandoned.iter().map(|path| root.join(path)).collect();
    paths.sort();
    assert_eq!(listed.iter().map(|leftover| leftover.path.clone()).collect::<Vec<_>>(), paths);
    assert!(listed.iter().all(|leftover| leftover.bytes >= 100_000), "{listed:?}");
    assert_eq!(listed.iter().filter(|leftover| leftover.what == What::Kernel).count(), 3);
    assert!(paths.iter().all(|path| path.exists()), "listing removes nothing");
    assert_eq!(store.usage().unwrap().leftovers.count, 8);

    let other = Store::open(&root).unwrap();
    assert_eq!(other.leftovers().unwrap(), []);
    assert!(!paths.iter().any(|path| path.exists()));
    assert!(!root.join("reserved/image-abandoned").exists());
    for path in foreign {
        assert!(root.join(path).exists(), "{path}");
        fs::remove_dir(root.join(path)).unwrap();
    }
    fs::remove_file(root.join("images").join(id('e'))).unwrap();
    fs::remove_file(root.join("kernels/link")).unwrap();
    assert_eq!(sort(&other.reserve("two").unwrap_err()), "BeingMade");
    assert!(held.path().exists() && unnamed.path().exists() && kernel.path().exists());
    drop((held, unnamed, kernel, reservation));
    check_still(&other);
}

#[test]
fn what_is_in_the_place_of_an_image_and_has_no_row_makes_way() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    for name in ["one", "two"] {
        // After the store was opened: as when somebody was killed since.
        let place = scratch.root().join("images").join(id('a'));
        fs::create_dir(&place).unwrap();
        fs::write(place.join("half"), "").unwrap();
        if name == "one" {
            make(store, name, &id('a')).unwrap();
        } else {
            let staging = store.stage_unnamed().unwrap();
            fill(staging.path(), &id('a'));
            staging.publish(store.reserve(name).unwrap(), &row(&id('a'))).unwrap();
        }
        check_still(store);
        store.remove(&[name]).unwrap();
    }
    let place = scratch.root().join("kernels/linux");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("half"), "").unwrap();
    make_kernel(store, "linux").unwrap();
    check_still(store);
}

#[test]
fn what_is_swept_is_told() {
    let scratch = Scratch::new();
    let path = scratch.root().join("images").join(format!("{}.staging", id('a')));
    fs::create_dir(&path).unwrap();
    write_synced(&path.join("file"), 1 << 20);
    let swept = scratch.store.sweep().unwrap();
    assert_eq!(swept.iter().map(|leftover| &leftover.path).collect::<Vec<_>>(), [&path]);
    assert!(swept[0].bytes >= 1 << 20);
    assert_eq!(scratch.store.sweep().unwrap(), []);
    check_still(&scratch.store);
}
