//! Names: reserved, found, proposed, completed.

use crate::support::*;
use banger_store::{Error, ErrorKind, Store, completion};
use std::fs;

#[test]
fn a_name_is_one_persons_until_it_is_free_again() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    let other = Store::open(&scratch.root()).unwrap();
    let reservation = store.reserve("one").unwrap();
    for store in [store, &other] {
        let error = store.reserve("one").unwrap_err();
        assert_eq!(error.to_string(), "an image named \"one\" is being made by somebody else");
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    let _kernel = other.reserve_kernel("one").unwrap();
    drop(reservation);
    make(&other, "one", &id('a')).unwrap();
    let error = store.reserve("one").unwrap_err();
    assert_eq!(error.to_string(), "there is an image named \"one\" already");
    assert_eq!(scratch.entries("reserved"), ["kernel-one"]);
}

#[test]
fn what_is_no_name_is_refused() {
    let scratch = Scratch::new();
    for name in ["", "A", "../x", "a/b", "a.staging", "a\0", &id('a'), &"a".repeat(128)] {
        let error = scratch.store.reserve(name).unwrap_err();
        assert!(matches!(error, Error::Name { .. }), "{name:?} {error:?}");
        assert_eq!(scratch.store.reserve_kernel(name).unwrap_err().kind(), ErrorKind::Usage);
    }
    assert_eq!(scratch.entries("reserved"), Vec::<String>::new());
    drop(scratch.store.reserve(&"a".repeat(127)).unwrap());
    check_still(&scratch.store);
}

#[test]
fn what_is_meant() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    let near = format!("aaaab{}", &id('a')[5..]);
    for (name, id) in
        [("debian-bookworm", id('a')), ("debian-trixie", near.clone()), ("alpine", id('c')), ("cccc", id('d'))]
    {
        make(store, name, &id).unwrap();
    }
    make(store, "also", &id('c')).unwrap();
    for (text, names) in [
        ("alpine", &["alpine"][..]),
        ("cccc", &["cccc"]),
        ("ccccc", &["alpine", "also"]),
        (&id('c'), &["alpine", "also"]),
        ("dddd", &["cccc"]),
        ("aaaaa", &["debian-bookworm"]),
        ("aaaab", &["debian-trixie"]),
        (&near, &["debian-trixie"]),
    ] {
        let found: Vec<String> = store.lookup(text).unwrap().into_iter().map(|row| row.name).collect();
        assert_eq!(found, names, "{text}");
        assert_eq!(store.find(text).unwrap().name, names[0]);
    }
    for (text, message) in [
        (
            "aaaa",
            "\"aaaa\" is the beginning of several ids: aaaaaaaaaaaa (debian-bookworm), aaaabaaaaaaa (debian-trixie)",
        ),
        ("ccc", "there is no image \"ccc\""),
        ("eeee", "there is no image \"eeee\""),
        ("CCCCC", "there is no image \"CCCCC\""),
        ("", "there is no image \"\""),
        ("%", "there is no image \"%\""),
        ("x'; DROP TABLE image; --", "there is no image \"x'; DROP TABLE image; --\""),
    ] {
        assert_eq!(store.find(text).unwrap_err().to_string(), message, "{text}");
    }
    let Err(Error::NotFound { nearest, .. }) = store.find("debian") else { panic!("found") };
    assert_eq!(nearest, ["debian-bookworm", "debian-trixie"]);
    let Err(Error::NotFound { nearest, .. }) = store.remove(&["alpin"]) else { panic!("removed") };
    assert_eq!(nearest, ["alpine"]);
}

#[test]
fn completion_looks_and_touches_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let nothing = completion::Names::default();
    let root = scratch.path().join("a store?#%");
    assert_eq!(completion::names(&root), nothing);
    assert!(!root.exists());

    let store = Store::open(&root).unwrap();
    make(&store, "one", &id('a')).unwrap();
    make_kernel(&store, "linux").unwrap();
    let expected = completion::Names { images: vec!["one".to_owned()], kernels: vec!["linux".to_owned()] };
    assert_eq!(completion::names(&root), expected, "somebody has it open");
    drop(store);
    let before = entries(&root);
    assert_eq!(before, ["banger.db", "images", "kernels", "reserved"]);
    assert_eq!(completion::names(&root), expected, "nobody has");
    assert_eq!(entries(&root), before);

    for garbage in [&b""[..], b"garbage", &[7; 5000]] {
        fs::write(root.join("banger.db"), garbage).unwrap();
        assert_eq!(completion::names(&root), nothing);
        assert_eq!(fs::read(root.join("banger.db")).unwrap(), garbage);
    }
}
