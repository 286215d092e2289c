//! Databases that a store is opened with: new ones, damaged ones, others'.

use crate::support::*;
use banger_store::{Error, Store};
use std::fs;
use std::path::Path;

/// A root with a database of one's choice.
fn root(database: &[u8]) -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("banger.db"), database).unwrap();
    scratch
}

fn sql(root: &Path, batch: &str) {
    rusqlite::Connection::open(root.join("banger.db")).unwrap().execute_batch(batch).unwrap();
}

#[test]
fn what_is_not_a_database_is_an_error_and_stays() {
    for garbage in [&b"x"[..], b"garbage", &[0; 4096], &[7; 100_000]] {
        let scratch = root(garbage);
        let error = Store::open(scratch.path()).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. } | Error::Foreign { .. }), "{} bytes: {error:?}", garbage.len());
        assert!(error.to_string().contains("banger.db is "), "{error}");
        assert_eq!(fs::read(scratch.path().join("banger.db")).unwrap(), garbage);
    }
    Store::open(root(b"").path()).unwrap();
}

#[test]
fn a_damaged_database_is_an_error_and_no_image_is_lost() {
    let scratch = Scratch::new();
    make(&scratch.store, "one", &id('a')).unwrap();
    let root = scratch.root();
    let Scratch { directory: _directory, store } = scratch;
    drop(store);
    let whole = fs::read(root.join("banger.db")).unwrap();
    for page in 0..whole.len() / 4096 {
        let mut damaged = whole.clone();
        damaged[page * 4096..][..4096].fill(0xa5);
        fs::write(root.join("banger.db"), &damaged).unwrap();
        // Either it is seen at once, or when what is damaged is read.
        let said = match Store::open(&root) {
            Ok(store) => store.check_database().map(|wrong| wrong.is_empty()),
            Err(error) => Err(error),
        };
        match said {
            Ok(is_well) => assert!(!is_well, "page {page}"),
            Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "page {page}: {error:?}"),
        }
        assert_eq!(entries(&root.join("images")), [id('a')], "page {page}");
    }
    fs::write(root.join("banger.db"), &whole).unwrap();
    check_still(&Store::open(&root).unwrap());
}

#[test]
fn a_newer_schema_and_other_databases_are_refused_and_left_alone() {
    for (batch, message) in [
        ("PRAGMA user_version = 99", "was made by a newer version of banger (schema 99, this one knows 2)"),
        ("PRAGMA application_id = 5", "is not a database of banger's"),
    ] {
        let scratch = Scratch::new();
        make(&scratch.store, "one", &id('a')).unwrap();
        let root = scratch.root();
        let Scratch { directory: _directory, store } = scratch;
        drop(store);
        sql(&root, batch);
        let before = fs::read(root.join("banger.db")).unwrap();
        let error = Store::open(&root).unwrap_err();
        assert!(error.to_string().ends_with(message), "{error}");
        assert_eq!(fs::read(root.join("banger.db")).unwrap(), before);
        assert_eq!(entries(&root.join("images")), [id('a')]);
    }
    let scratch = tempfile::tempdir().unwrap();
    sql(scratch.path(), "CREATE TABLE bookmarks (url)");
    assert!(matches!(Store::open(scratch.path()), Err(Error::Foreign { .. })));
}

/// A store of the first schema, as the version before requests were recorded left it.
#[test]
fn a_store_of_the_first_schema_keeps_its_images() {
    let scratch = Scratch::new();
    make(&scratch.store, "one", &id('a')).unwrap();
    let root = scratch.root();
    let Scratch { directory: _directory, store } = scratch;
    drop(store);
    sql(&root, "ALTER TABLE image_name DROP COLUMN request; PRAGMA user_version = 1");
    let store = Store::open(&root).unwrap();
    let row = store.find("one").unwrap();
    assert_eq!((row.id, row.request, row.created), (id('a'), None, CREATED.to_owned()));
    replace(&store, "one", &id('b')).unwrap();
    assert_eq!(store.find("one").unwrap().request.as_deref(), Some("{}"));
    check_still(&store);
}

#[test]
fn files_without_a_database_are_somebody_elses_or_all_that_is_left() {
    for (directory, name) in [("images", "holiday.jpg"), ("kernels", "linux"), ("images", &id('a'))] {
        for empty_database in [false, true] {
            let scratch = tempfile::tempdir().unwrap();
            let file = scratch.path().join(directory).join(name);
            fs::create_dir_all(&file).unwrap();
            if empty_database {
                fs::write(scratch.path().join("banger.db"), "").unwrap();
            }
            let error = Store::open(scratch.path()).unwrap_err();
            assert!(matches!(error, Error::Unknown { .. }), "{error:?}");
            assert!(file.exists());
            assert_eq!(scratch.path().join("banger.db").exists(), empty_database);
        }
    }
    let scratch = tempfile::tempdir().unwrap();
    fs::create_dir_all(scratch.path().join("images/lost+found")).unwrap();
    Store::open(scratch.path()).unwrap();
}

#[test]
fn a_database_that_has_lost_its_tables_does_not_cost_the_images() {
    let scratch = Scratch::new();
    make(&scratch.store, "one", &id('a')).unwrap();
    let root = scratch.root();
    let Scratch { directory: _directory, store } = scratch;
    drop(store);
    fs::remove_file(root.join("banger.db")).unwrap();
    // As good as new, but not empty: the journal's mode has been set.
    sql(&root, "PRAGMA journal_mode = WAL; CREATE TABLE t (a); DROP TABLE t;");
    assert!(fs::metadata(root.join("banger.db")).unwrap().len() > 0);
    assert!(matches!(Store::open(&root), Err(Error::Unknown { .. })));
    assert_eq!(entries(&root.join("images")), [id('a')]);
}

#[test]
fn places_that_cannot_be_used() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("file");
    fs::write(&file, "").unwrap();
    for root in [file.clone(), file.join("below")] {
        let error = Store::open(&root).unwrap_err();
        assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    }
}
