//! Paths, with symbolic links that lead everywhere but out of the image.

use banger_ext4::read::LastLink::{Follow, Keep};
use banger_ext4::read::{Error, LastLink, Reader};
use banger_ext4::spec::FileType;

use super::{fixture, judge};

pub(crate) const KEEP: LastLink = Keep;

#[test]
fn paths_lead_where_they_should() {
    if !judge::present("paths_lead_where_they_should", &["mke2fs", "root"]) {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    fixture::plant(tree.path(), fixture::LITTLE);
    let image = fixture::image(Some(tree.path()), "16M", &["-b", "1024"]);
    let reader = Reader::open(image.reopen().unwrap()).unwrap();
    let inode = |path: &str| reader.lookup(path.as_bytes(), Keep).unwrap();

    let same: [(&str, LastLink, &str); 14] = [
        ("", Keep, "/"),
        ("/", Keep, "."),
        ("..", Keep, "/"),
        ("/../..", Keep, "/"),
        ("hard/one", Keep, "three"),
        ("//hard//./one", Keep, "/hard/../hard/two"),
        ("links/absolute", Follow, "content/1 bytes"),
        ("links/relative", Follow, "content"),
        ("links/relative/", Keep, "content"),
        ("links/relative/1 bytes", Keep, "content/1 bytes"),
        ("links/chain", Follow, "content/1 bytes"),
        ("links/above/hard/one", Keep, "three"),
        ("links/above", Follow, "/"),
        ("deep/d/d/d/../..", Keep, "deep/d"),
    ];
    for (path, last, want) in same {
        assert_eq!(reader.lookup(path.as_bytes(), last).unwrap(), inode(want), "{path}");
    }
    assert_eq!(inode("/"), 2);
    let link = reader.stat(inode("links/absolute")).unwrap();
    assert_eq!(link.file_type, FileType::Symlink);
    assert_eq!(reader.read_link(link.number).unwrap(), b"/content/1 bytes");

    let none: [(&str, LastLink); 5] =
        [("nothing", Keep), ("hard/three", Keep), ("links/of 1 bytes", Follow), ("hard/one\0", Keep), ("\u{e9}", Keep)];
    for (path, last) in none {
        let error = reader.lookup(path.as_bytes(), last).unwrap_err();
        assert!(matches!(&error, Error::NotFound { path: named } if named == path.as_bytes()), "{path}: {error}");
    }
    for path in ["hard/one/", "hard/one/.", "hard/one/..", "three/one", "links/absolute/"] {
        let error = reader.lookup(path.as_bytes(), Keep).unwrap_err();
        assert!(matches!(error, Error::NotADirectory { .. }), "{path}: {error}");
    }
    let error = reader.lookup(b"links/circle", Follow).unwrap_err();
    assert!(matches!(error, Error::TooManyLinks { .. }), "{error}");
    let error = reader.lookup(&[b'x'; 256], Follow).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[test]
fn what_is_asked_of_the_wrong_type_is_an_error() {
    if !judge::present("what_is_asked_of_the_wrong_type_is_an_error", &["mke2fs"]) {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join("file"), "content").unwrap();
    let image = fixture::image(Some(tree.path()), "8M", &[]);
    let reader = Reader::open(image.reopen().unwrap()).unwrap();
    let file = reader.lookup(b"file", Keep).unwrap();
    assert!(matches!(reader.read_dir(file), Err(Error::Type { want: "directory", .. })));
    assert!(matches!(reader.find(file, b"x"), Err(Error::Type { want: "directory", .. })));
    assert!(matches!(reader.read_link(file), Err(Error::Type { want: "symbolic link", .. })));
    assert!(matches!(reader.read_at(2, 0, &mut [0]), Err(Error::Type { want: "regular file", .. })));
    for number in [0, reader.superblock().inodes_count + 1, u32::MAX] {
        assert!(matches!(reader.stat(number), Err(Error::NoInode { .. })), "{number}");
    }
    let free = reader.superblock().inodes_count;
    assert!(matches!(reader.stat(free), Err(Error::Inode { .. })));
    let walked: Vec<_> = reader.walk(file).map(|entry| entry.unwrap().path).collect();
    assert_eq!(walked, [b""]);
}
