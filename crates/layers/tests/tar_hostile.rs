//! Archives that break readers: each is an error that names the place, or the right result.

mod common;

use banger_layers::entry::{Entries, EntryError};
use banger_layers::limits;
use banger_layers::sink::{ContentSink, Discard};
use banger_layers::tar::{Field, Problem, TarError, TarReader};

use common::sink::{problem, read};
use common::tar::{Archive, Member, ZERO_BLOCK, field, global, pax_record};

/// An archive in which the member comes after one block of header.
fn second(member: Member) -> Vec<u8> {
    Archive::new().with(Member::directory("first")).with(member).finished()
}

fn refused(member: Member) -> (Option<String>, u64, Problem) {
    problem(&second(member))
}

#[test]
fn a_bad_checksum_is_an_error() {
    let (path, offset, problem) = refused(Member::file("file", "").wrong_checksum());
    assert!(matches!(problem, Problem::Checksum { .. }), "{problem:?}");
    assert_eq!((path, offset), (None, 512));
}

#[test]
fn what_is_no_archive_is_said_to_be_none() {
    for bytes in [&[b'x'; 2048][..], &[0xff; 512], b"#!/bin/sh\n".repeat(100).as_slice()] {
        assert_eq!(problem(bytes), (None, 0, Problem::NotTar));
    }
}

#[test]
fn bytes_that_end_within_anything_are_an_error() {
    let archive = Archive::new()
        .with(Member::file("first", "x"))
        .with(Member::file("file", "content").pax("mtime", "1"))
        .unfinished();
    // Nothing is missing but what fills a last block.
    let complete = |end: &usize| matches!(end, 0 | 513..=1024 | 2567..);
    for end in (0..archive.len()).filter(complete) {
        assert!(read(&archive[..end]).is_ok(), "{end}");
    }
    for end in (0..archive.len()).filter(|end| !complete(end)) {
        let (path, offset, problem) = problem(&archive[..end]);
        match (end, &problem) {
            // After the PAX header's data, where another header must come.
            (1547..=2048, Problem::NoEntry) => assert_eq!((path, offset), (None, 1024)),
            (_, Problem::Truncated { end: said }) => {
                assert_eq!(*said, end as u64);
                let expected = match end {
                    0..512 => (None, 0),
                    512 => (Some("first".into()), 0),
                    1024..2560 => (None, 1024),
                    _ => (Some("file".into()), 2048),
                };
                assert_eq!((path, offset), expected, "{end}");
            }
            _ => panic!("{end}: {problem:?}"),
        }
    }
}

#[test]
fn one_zero_block_in_the_middle_is_an_error() {
    let archive = Archive::new().with(Member::file("a", "")).raw(&ZERO_BLOCK).with(Member::file("b", "")).finished();
    assert_eq!(problem(&archive), (None, 512, Problem::LoneZeroBlock));
}

#[test]
fn an_extended_header_without_its_entry_is_an_error() {
    for flag in *b"xLK" {
        let archive = Archive::new().with(Member::new(flag, "x").data(pax_record(b"path", b"p")));
        assert_eq!(problem(&archive.clone().unfinished()), (None, 0, Problem::NoEntry));
        assert_eq!(problem(&archive.finished()), (None, 0, Problem::NoEntry));
    }
}

#[test]
fn a_pax_header_of_2_gib_is_an_error_at_its_header() {
    for flag in *b"xgLK" {
        let size = 2 << 30;
        let member = Member::new(flag, "x").claimed_size(size);
        assert_eq!(refused(member), (None, 512, Problem::ExtendedHeaderTooLarge { size }));
    }
}

#[test]
fn a_size_that_lies_is_an_error() {
    // Less than there is: the next header is sought in the data.
    let (path, offset, problem) = refused(Member::file("file", [b'x'; 2048]).claimed_size(512));
    assert!(matches!(problem, Problem::Checksum { .. } | Problem::BadNumber { .. }), "{problem:?}");
    assert_eq!((path, offset), (None, 1536));
    // More than there is.
    let (path, offset, problem) = refused(Member::file("file", "x").claimed_size(1 << 40));
    assert_eq!(problem, Problem::Truncated { end: 512 * 5 });
    assert_eq!((path.as_deref(), offset), (Some("file"), 512));
}

#[test]
fn negative_and_huge_numbers_are_errors_that_name_the_field() {
    let out_of_range = |field, value| Problem::OutOfRange { field, value };
    let file = || Member::file("file", "");
    let table = [
        (file().base256(field::UID, -1), out_of_range(Field::Uid, -1)),
        (file().base256(field::UID, 1 << 32), out_of_range(Field::Uid, 1 << 32)),
        (file().base256(field::GID, -2), out_of_range(Field::Gid, -2)),
        (file().base256(field::GID, 1 << 61), out_of_range(Field::Gid, 1 << 61)),
        (file().base256(field::SIZE, -1), out_of_range(Field::Size, -1)),
        (file().base256(field::SIZE, 1 << 63), out_of_range(Field::Size, 1 << 63)),
        (file().base256(field::SIZE, 1 << 93), out_of_range(Field::Size, 1 << 93)),
        (file().pax("size", "-1"), out_of_range(Field::Size, -1)),
        (file().pax("size", "9223372036854775808"), out_of_range(Field::Size, 1 << 63)),
        (file().pax("uid", "-1"), out_of_range(Field::Uid, -1)),
        (file().pax("gid", "4294967296"), out_of_range(Field::Gid, 1 << 32)),
        (Member::char_device("file", 4096, 0), out_of_range(Field::DeviceMajor, 4096)),
        (Member::block_device("file", 0, 1 << 20), out_of_range(Field::DeviceMinor, 1 << 20)),
    ];
    for (member, expected) in table {
        let start = if expected_in_pax(&member) { 1536 } else { 512 };
        assert_eq!(refused(member), (Some("file".into()), start, expected));
    }
}

/// Whether a PAX header of two blocks stands before the member's own.
fn expected_in_pax(member: &Member) -> bool {
    member.bytes().len() > 512
}

#[test]
fn fields_that_are_no_numbers_are_errors_that_name_the_field() {
    let table = [
        (Member::file("file", "").field(field::MODE, "rwxr-xr"), Field::Mode),
        (Member::file("file", "").field(field::UID, "root"), Field::Uid),
        (Member::file("file", "").field(field::GID, "00089"), Field::Gid),
        (Member::file("file", "").field(field::SIZE, "12 34"), Field::Size),
        (Member::file("file", "").field(field::MTIME, "-1"), Field::Mtime),
        (Member::file("file", "").pax("mtime", "now"), Field::Mtime),
        (Member::file("file", "").pax("mtime", "1e9"), Field::Mtime),
        (Member::file("file", "").pax("uid", "0x10"), Field::Uid),
        (Member::char_device("file", 0, 0).field(field::MAJOR, "x"), Field::DeviceMajor),
    ];
    for (member, expected) in table {
        let (path, _, problem) = refused(member);
        assert_eq!(path.as_deref(), Some("file"));
        assert!(matches!(&problem, Problem::BadNumber { field, .. } if *field == expected), "{problem:?}");
    }
}

#[test]
fn malformed_pax_records_are_errors() {
    for (records, at) in [
        (&b"13 path=a\nb"[..], 0),
        (b"path=x\n", 0),
        (b"\0\0\0\0", 0),
        (b"8 uid=7\n999999999 path=x\n", 8),
        (b"8 uid=7\n5 =x\n", 8),
        (b"8 uid=7\n7 path\n", 8),
    ] {
        let (path, offset, problem) = refused(Member::file("file", "").raw_pax(records));
        assert_eq!(problem, Problem::BadPaxRecord { at });
        assert_eq!((path.as_deref(), offset), (Some("file"), 1536));
    }
    let (_, offset, problem) = refused(Member::new(b'g', "g").data("nonsense"));
    assert_eq!((offset, problem), (1024, Problem::BadPaxRecord { at: 0 }));
}

#[test]
fn a_nul_in_a_pax_name_is_an_error() {
    for (key, field) in [("path", Field::Path), ("linkpath", Field::LinkTarget), ("GNU.sparse.name", Field::Path)] {
        let (path, _, problem) = refused(Member::symlink("link", "x").pax(key, "etc/passwd\0.txt"));
        assert_eq!(problem, Problem::Nul { field });
        assert_eq!(path.as_deref(), Some("link"));
    }
}

#[test]
fn an_entry_without_a_name_is_an_error() {
    let (_, offset, problem) = refused(Member::file("", ""));
    assert_eq!((offset, problem), (512, Problem::EmptyPath));
}

#[test]
fn a_link_without_a_target_is_an_error() {
    for member in [Member::symlink("link", ""), Member::hardlink("link", "")] {
        assert_eq!(refused(member), (Some("link".into()), 512, Problem::EmptyTarget));
    }
}

#[test]
fn a_symlink_target_of_4096_bytes_is_an_error() {
    let error = read(&second(Member::symlink("link", [b't'; 4096]))).unwrap_err();
    let TarError::List { offset, source } = error else {
        panic!("{error:?}");
    };
    // Behind a PAX header of a header and nine blocks.
    assert_eq!(offset, 512 * 11);
    assert!(matches!(source, EntryError::SymlinkTooLong { length: 4096, .. }), "{source:?}");
}

#[test]
fn a_path_beyond_the_limit_is_an_error() {
    let path = "d/".repeat(limits::PATH_BYTES);
    let error = read(&second(Member::file(&path, ""))).unwrap_err();
    assert!(matches!(error, TarError::List { source: EntryError::PathTooLong { .. }, .. }), "{error:?}");
}

#[test]
fn xattrs_without_a_valid_name_are_errors() {
    for (key, value) in [
        ("SCHILY.xattr.", "x"),
        ("SCHILY.xattr.user.a\0b", "x"),
        ("LIBARCHIVE.xattr.", "eA"),
        ("LIBARCHIVE.xattr.user.%4", "eA"),
        ("LIBARCHIVE.xattr.user.%00", "eA"),
    ] {
        let (path, _, problem) = refused(Member::file("file", "").pax(key, value));
        assert_eq!(path.as_deref(), Some("file"));
        assert_eq!(problem, Problem::BadXattrName { key: key.as_bytes().to_vec() });
    }
}

#[test]
fn an_xattr_that_is_not_base64_is_an_error() {
    let (_, _, problem) = refused(Member::file("file", "").pax("LIBARCHIVE.xattr.user.a", "a b"));
    assert_eq!(problem, Problem::BadXattrValue { name: b"user.a".to_vec() });
}

#[test]
fn unknown_types_are_errors_that_name_the_entry() {
    for flag in *b"MNAIEUs89~\xff " {
        let refused = refused(Member::new(flag, "entry").data("data"));
        assert_eq!(refused, (Some("entry".into()), 512, Problem::UnknownType { flag }));
    }
}

#[test]
fn messages_name_the_entry_and_escape_it() {
    let error = read(&second(Member::new(b'M', b"evil\x1b[2J\n\xff"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"evil\u{1b}[2J\n\xff, at byte 512 of the archive: entries of type "M" cannot be read"#
    );
}

#[test]
fn an_error_of_the_sink_comes_out_with_the_name_of_the_file() {
    #[derive(Debug, thiserror::Error)]
    #[error("the disk is full")]
    struct Full;

    struct FullSink;

    impl ContentSink for FullSink {
        type Error = Full;

        fn begin(&mut self) -> Result<(), Full> {
            Ok(())
        }

        fn write(&mut self, _data: &[u8]) -> Result<(), Full> {
            Err(Full)
        }

        fn skip(&mut self, _length: u64) -> Result<(), Full> {
            Ok(())
        }

        fn finish(&mut self) -> Result<u32, Full> {
            Ok(0)
        }
    }

    let archive = second(Member::file("file", "content"));
    let error = TarReader::new().feed(&archive, &mut FullSink, &mut Entries::new()).unwrap_err();
    let TarError::Sink { path, source } = error else {
        panic!("{error:?}");
    };
    assert_eq!(path.as_bytes(), b"file");
    assert!(source.is::<Full>());
}

#[test]
fn ten_million_entries_are_an_error() {
    let many = Archive::new().with(Member::directory("d")).unfinished().repeat(10_000);
    let mut reader = TarReader::new();
    let mut entries = Entries::new();
    let result = (0..1_000).try_for_each(|_| reader.feed(&many, &mut Discard, &mut entries));
    let error = result.unwrap_err();
    assert!(matches!(error, TarError::List { source: EntryError::TooManyEntries { .. }, .. }), "{error:?}");
    assert_eq!(entries.len(), limits::LAYER_ENTRIES);
}

#[test]
fn a_hundred_thousand_extended_headers_without_an_entry_take_no_memory() {
    let headers = Archive::new()
        .with(Member::new(b'x', "x").data(pax_record(b"path", &[b'p'; 1000])))
        .with(Member::new(b'L', "x").data([b'n'; 1000]))
        .with(global(&[("comment", "c")]))
        .unfinished()
        .repeat(30_000);
    let archive = Archive::new().raw(&headers).with(Member::file("h", "")).finished();
    assert_eq!(read(&archive).unwrap().paths(), [&[b'p'; 1000][..]]);
}
