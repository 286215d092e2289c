//! A name that moves to another image, and the image that had it.

use crate::support::*;
use banger_store::{Error, Store};

/// Names and the first digit of their ids.
fn shown(store: &Store) -> Vec<String> {
    store.images().unwrap().into_iter().map(|row| format!("{:.4}={:.1}", row.name, row.id)).collect()
}

#[test]
fn a_name_moves_and_the_old_image_stays_under_its_id() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    make(store, "one", &id('a')).unwrap();
    let reservation = store.reserve_replacing("one").unwrap();
    assert_eq!(reservation.replaced(), Some(id('a').as_str()));
    assert_eq!(store.find("one").unwrap().id, id('a'), "until the new image is recorded");
    drop(reservation);
    replace(store, "one", &id('b')).unwrap();
    assert_eq!(shown(store), ["aaaa=a", "one=b"]);
    let old = store.find("aaaa").unwrap();
    assert!(old.is_nameless() && !store.find("one").unwrap().is_nameless());
    assert_eq!((old.source, old.created), (row("").source, CREATED.to_owned()));
    check_still(store);
    let bytes = store.remove(&[&id('a')]).unwrap();
    assert!(bytes >= content(&id('a')).len() as u64, "{bytes}");
    assert_eq!(shown(store), ["one=b"]);
    check_still(store);
}

#[test]
fn an_image_with_another_name_needs_none_by_its_id() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    make(store, "one", &id('a')).unwrap();
    make(store, "two", &id('a')).unwrap();
    replace(store, "one", &id('b')).unwrap();
    assert_eq!(shown(store), ["one=b", "two=a"]);
    replace(store, "two", &id('c')).unwrap();
    assert_eq!(shown(store), ["aaaa=a", "one=b", "two=c"]);
    // It gets a name again: by the same things made again, by moving a name back, by its id.
    make(store, "three", &id('a')).unwrap();
    assert_eq!(shown(store), ["one=b", "thre=a", "two=c"]);
    replace(store, "one", &id('c')).unwrap();
    replace(store, "one", &id('b')).unwrap();
    assert_eq!(shown(store), ["one=b", "thre=a", "two=c"]);
    replace(store, "two", &id('b')).unwrap();
    let nearest = store.find("cccd").unwrap_err();
    assert!(matches!(nearest, Error::NotFound { nearest, .. } if nearest.is_empty()));
    store.rename(&id('c'), store.reserve("back").unwrap()).unwrap();
    assert_eq!(shown(store), ["back=c", "one=b", "thre=a", "two=b"]);
    check_still(store);
}

#[test]
fn the_same_image_again_stays_what_it_is() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    make(store, "one", &id('a')).unwrap();
    let reservation = store.reserve_replacing("one").unwrap();
    let shared = store.image(&id('a')).unwrap().unwrap();
    let again = banger_store::image::Row {
        source: "elsewhere".to_owned(),
        created: "2026-02-03T00:00:00Z".to_owned(),
        ..row(&id('a'))
    };
    let recorded = store.add_name(reservation, &shared, &again).unwrap();
    assert_eq!((recorded.source.as_str(), recorded.created.as_str()), ("elsewhere", CREATED));
    assert_eq!(shown(store), ["one=a"]);
    check_still(store);
}

#[test]
fn a_name_of_a_registered_image_moves_and_leaves_nothing() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    store.register(store.reserve("mine").unwrap(), &elsewhere(&id('e'), &scratch.root())).unwrap();
    replace(store, "mine", &id('a')).unwrap();
    assert_eq!(shown(store), ["mine=a"]);
    check_still(store);
}

#[test]
fn what_uses_the_old_image_keeps_it() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    make(store, "one", &id('a')).unwrap();
    let machine = store.image(&id('a')).unwrap().unwrap();
    replace(store, "one", &id('b')).unwrap();
    replace(store, "one", &id('c')).unwrap();
    let ids = |found: Vec<banger_store::image::Unneeded>| -> Vec<String> {
        assert!(found.iter().all(|one| one.bytes >= content(&one.row.id).len() as u64), "{found:?}");
        found.into_iter().map(|one| one.row.id).collect()
    };
    assert_eq!(ids(store.unneeded().unwrap()), [id('b')]);
    assert_eq!(ids(store.remove_unneeded().unwrap()), [id('b')]);
    check_still(store);
    drop(machine);
    assert_eq!(ids(store.remove_unneeded().unwrap()), [id('a')]);
    assert_eq!(shown(store), ["one=c"]);
    check_still(store);
}

#[test]
fn a_name_is_moved_by_one_at_a_time() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    make(store, "one", &id('a')).unwrap();
    let _first = store.reserve_replacing("one").unwrap();
    assert!(matches!(store.reserve_replacing("one"), Err(Error::BeingMade { .. })));
    assert!(matches!(store.reserve("one"), Err(Error::NameTaken { .. })));
}
