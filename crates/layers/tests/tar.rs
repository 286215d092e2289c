//! What archives may be, and what becomes of them: names, numbers, types, attributes.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod common;

use banger_layers::entry::{Kind, Time};
use banger_layers::sink::NO_CONTENT;

use common::sink::{Layer, read};
use common::tar::{Archive, Member, field, global, pax_record};

fn layer(members: impl IntoIterator<Item = Member>) -> Layer {
    let archive = members.into_iter().fold(Archive::new(), Archive::with);
    read(&archive.finished()).unwrap()
}

fn time(seconds: i64, nanoseconds: u32) -> Time {
    Time { seconds, nanoseconds }
}

#[test]
fn every_kind_of_entry() {
    let layer = layer([
        Member::directory("dir/").mode(0o1777).owner(1, 2).mtime(3),
        Member::file("file", "content").mode(0o4755).owner(1000, 100).mtime(1_700_000_000),
        Member::file("empty", ""),
        Member::symlink("symlink", "../target"),
        Member::hardlink("hardlink", "file"),
        Member::char_device("null", 1, 3),
        Member::block_device("disk", 4095, 1_048_575),
        Member::fifo("fifo"),
    ]);
    let kinds: Vec<_> = layer.entries.iter().map(|entry| (entry.path, entry.kind)).collect();
    assert_eq!(
        kinds,
        [
            (&b"dir/"[..], Kind::Directory),
            (b"file", Kind::File { content: 0, size: 7 }),
            (b"empty", Kind::File { content: 1, size: 0 }),
            (b"symlink", Kind::Symlink { target: b"../target" }),
            (b"hardlink", Kind::Hardlink { target: b"file" }),
            (b"null", Kind::CharDevice { major: 1, minor: 3 }),
            (b"disk", Kind::BlockDevice { major: 4095, minor: 1_048_575 }),
            (b"fifo", Kind::Fifo),
        ]
    );
    assert_eq!(layer.content("file").bytes, b"content");
    let dir = layer.entry("dir/");
    assert_eq!((dir.mode, dir.uid, dir.gid, dir.mtime), (0o1777, 1, 2, time(3, 0)));
    let file = layer.entry("file");
    assert_eq!((file.mode, file.uid, file.gid, file.mtime), (0o4755, 1000, 100, time(1_700_000_000, 0)));
}

#[test]
fn names_are_kept_byte_for_byte() {
    let long = "n".repeat(255);
    let deep = "deep/".repeat(5_000);
    let names: [&[u8]; 9] = [
        b"/layers/app",
        b"./x",
        b".",
        b"./",
        b"..",
        b"a/../b",
        b"latin-1 \xe4\xf6\xfc \xff",
        long.as_bytes(),
        deep.as_bytes(),
    ];
    let layer = layer(names.map(|name| Member::file(name, "")));
    assert_eq!(layer.paths(), names);
}

#[test]
fn a_posix_prefix_stands_before_the_name() {
    let layer = layer([Member::file("name", "").field(field::PREFIX, "usr/share")]);
    assert_eq!(layer.paths(), [b"usr/share/name"]);
}

#[test]
fn a_gnu_header_has_no_prefix_unless_old_go_wrote_it() {
    let times = "14524770400\x0014524770400";
    let layer = layer([
        Member::file("name", "").gnu().field(field::PREFIX, times),
        Member::file("name", "").gnu().field(field::PREFIX, "usr/share/doc/x"),
    ]);
    assert_eq!(layer.paths(), [&b"name"[..], b"usr/share/doc/x/name"]);
}

#[test]
fn gnu_long_names_and_links() {
    let name = "name/".repeat(60);
    let target = "target/".repeat(60);
    let layer =
        layer([Member::symlink("short", "short").gnu().gnu_name(&name).gnu_target(&target), Member::file("after", "")]);
    assert_eq!(layer.entry(&name).kind, Kind::Symlink { target: target.as_bytes() });
    // They are about one entry.
    assert_eq!(layer.paths(), [name.as_bytes(), b"after"]);
}

#[test]
fn gnu_long_name_together_with_pax_path_pax_wins() {
    for archive in [
        Archive::new().with(
            Member::symlink("h", "h").gnu_name("gnu").gnu_target("gnu").pax("path", "pax").pax("linkpath", "pax"),
        ),
        // The other way round: PAX header first.
        Archive::new()
            .with(Member::new(b'x', "x").data([pax_record(b"path", b"pax"), pax_record(b"linkpath", b"pax")].concat()))
            .with(Member::symlink("h", "h").gnu_name("gnu").gnu_target("gnu")),
    ] {
        let layer = read(&archive.finished()).unwrap();
        assert_eq!(layer.paths(), [b"pax"]);
        assert_eq!(layer.entry("pax").kind, Kind::Symlink { target: b"pax" });
    }
}

#[test]
fn the_last_of_several_extended_headers_counts() {
    let layer = read(
        &Archive::new()
            .with(Member::new(b'x', "x").data([pax_record(b"path", b"first"), pax_record(b"uid", b"7")].concat()))
            .with(Member::new(b'x', "x").data(pax_record(b"path", b"second")))
            .with(Member::file("h", "").gnu_name("gnu"))
            .finished(),
    )
    .unwrap();
    assert_eq!(layer.paths(), [b"second"]);
    assert_eq!(layer.entry("second").uid, 0);
}

#[test]
fn pax_sets_path_target_owner_and_time() {
    let layer = layer([Member::hardlink("h", "h")
        .pax("path", "path \u{fc}\n")
        .pax("linkpath", "target = \n")
        .pax("uid", "4294967295")
        .pax("gid", "3000000000")
        .pax("mtime", "-1.25")
        .pax("atime", "nonsense")
        .pax("comment", "\0\n=")
        .pax("VENDOR.thing", "x")]);
    let entry = layer.entry("path \u{fc}\n");
    assert_eq!(entry.kind, Kind::Hardlink { target: b"target = \n" });
    assert_eq!((entry.uid, entry.gid), (u32::MAX, 3_000_000_000));
    assert_eq!(entry.mtime, time(-2, 750_000_000));
}

#[test]
fn a_pax_header_is_about_one_entry() {
    let layer =
        layer([Member::file("first", "").pax("uid", "5").pax("SCHILY.xattr.user.a", "1"), Member::file("second", "")]);
    assert_eq!(layer.entry("second").uid, 0);
    assert_eq!(layer.xattrs("second"), []);
}

#[test]
fn an_empty_pax_value_leaves_the_header_alone() {
    let layer =
        layer([Member::file("name", "").owner(5, 6).pax("path", "").pax("uid", "9").pax("uid", "").pax("mtime", "")]);
    assert_eq!(layer.entry("name").uid, 5);
}

#[test]
fn duplicate_pax_keys_the_last_wins() {
    let layer = layer([Member::file("h", "")
        .pax("path", "a")
        .pax("path", "b")
        .pax("mtime", "1")
        .pax("mtime", "2.5")
        .pax("SCHILY.xattr.user.a", "1")
        .pax("SCHILY.xattr.user.a", "2")]);
    assert_eq!(layer.paths(), [b"b"]);
    assert_eq!(layer.entry("b").mtime, time(2, 500_000_000));
    assert_eq!(layer.xattrs("b"), [(&b"user.a"[..], &b"2"[..])]);
}

#[test]
fn pax_size_against_header_size_pax_wins() {
    for claimed in [0, 3, 100_000] {
        let layer =
            layer([Member::file("file", "content").claimed_size(claimed).pax("size", "7"), Member::file("after", "")]);
        assert_eq!(layer.content("file").bytes, b"content");
        assert_eq!(layer.paths(), [&b"file"[..], b"after"]);
    }
}

#[test]
fn newlines_and_nuls_in_pax_values_are_part_of_them() {
    // The value contains what looks like a record that would turn the entry into another.
    let value = b"\0\x01\n19 linkpath=/etc/x\n\xff";
    let layer = layer([Member::symlink("link", "right").pax("SCHILY.xattr.user.binary", value)]);
    assert_eq!(layer.xattrs("link"), [(&b"user.binary"[..], &value[..])]);
    assert_eq!(layer.entry("link").kind, Kind::Symlink { target: b"right" });
}

#[test]
fn xattrs_in_both_forms() {
    let capability = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let layer = layer([
        Member::file("schily", "").pax("SCHILY.xattr.security.capability", capability),
        Member::file("libarchive", "")
            .pax("LIBARCHIVE.xattr.security.capability", "AQAAAgAgAAAAAAAAAAAAAAAAAAA")
            .pax("LIBARCHIVE.xattr.user.a%3db%0a", "Zm9v"),
        Member::file("both", "").pax("SCHILY.xattr.user.a", "foo").pax("LIBARCHIVE.xattr.user.a", "Zm9v"),
        Member::directory("empty").pax("SCHILY.xattr.user.empty", ""),
    ]);
    assert_eq!(layer.xattrs("schily"), [(&b"security.capability"[..], &capability[..])]);
    assert_eq!(layer.xattrs("libarchive"), [(&b"security.capability"[..], &capability[..]), (b"user.a=b\n", b"foo")]);
    assert_eq!(layer.xattrs("both"), [(&b"user.a"[..], &b"foo"[..])]);
    assert_eq!(layer.xattrs("empty"), [(&b"user.empty"[..], &b""[..])]);
}

#[test]
fn xattrs_of_the_overlay_file_system_are_dropped() {
    let layer = layer([Member::directory("dir")
        .pax("SCHILY.xattr.trusted.overlay.opaque", "y")
        .pax("SCHILY.xattr.user.overlay.origin", "x")
        .pax("LIBARCHIVE.xattr.trusted.overlay.redirect", "eA")
        .pax("SCHILY.xattr.trusted.other", "z")]);
    assert_eq!(layer.xattrs("dir"), [(&b"trusted.other"[..], &b"z"[..])]);
}

/// As `tar --selinux` has it: without the NUL that ends a label in a file system.
#[test]
fn labels_of_selinux_are_attributes() {
    let label = "system_u:object_r:var_t:s0";
    let layer = layer([
        Member::file("rht", "").pax("RHT.security.selinux", label),
        Member::file("nul", "").pax("RHT.security.selinux", format!("{label}\0")),
        Member::file("both", "").pax("SCHILY.xattr.security.selinux", "itself").pax("RHT.security.selinux", label),
        Member::file("none", "").pax("RHT.security.selinux", ""),
    ]);
    let value = format!("{label}\0").into_bytes();
    assert_eq!(layer.xattrs("rht"), [(&b"security.selinux"[..], &value[..])]);
    assert_eq!(layer.xattrs("nul"), [(&b"security.selinux"[..], &value[..])]);
    assert_eq!(layer.xattrs("both"), [(&b"security.selinux"[..], &b"itself"[..])]);
    assert!(layer.xattrs("none").is_empty());
}

#[test]
fn xattrs_of_64_kib_and_200_of_them_are_read() {
    let big = vec![0xa5; 64 << 10];
    let many = (0..200).fold(Member::file("many", ""), |member, number| {
        member.pax(&format!("SCHILY.xattr.user.{number:03}"), number.to_string())
    });
    let layer = layer([Member::file("big", "").pax("SCHILY.xattr.user.big", &big), many]);
    assert_eq!(layer.xattrs("big"), [(&b"user.big"[..], &big[..])]);
    assert_eq!(layer.xattrs("many").len(), 200);
}

#[test]
fn base_256_numbers() {
    let layer = layer([Member::file("file", "content")
        .base256(field::SIZE, 7)
        .base256(field::UID, i128::from(u32::MAX))
        .base256(field::GID, 3)
        .base256(field::MODE, 0o644)
        .base256(field::MTIME, -86_400)]);
    let entry = layer.entry("file");
    assert_eq!((entry.uid, entry.gid, entry.mode), (u32::MAX, 3, 0o644));
    assert_eq!(entry.mtime, time(-86_400, 0));
    assert_eq!(layer.content("file").bytes, b"content");
}

#[test]
fn times_far_away_are_kept_as_far_as_they_can_be_counted() {
    let layer = layer([
        Member::file("1901", "").mtime(-2_147_483_649),
        Member::file("2446", "").mtime(15_032_385_536),
        Member::file("beyond", "").base256(field::MTIME, 1 << 80),
        Member::file("before", "").base256(field::MTIME, -(1 << 80)),
        Member::file("pax", "").pax("mtime", "253402300799.999999999"),
    ]);
    let times: Vec<_> = layer.entries.iter().map(|entry| entry.mtime).collect();
    assert_eq!(
        times,
        [
            time(-2_147_483_649, 0),
            time(15_032_385_536, 0),
            time(i64::MAX, 0),
            time(i64::MIN, 0),
            time(253_402_300_799, 999_999_999),
        ]
    );
}

#[test]
fn of_the_mode_twelve_bits_count() {
    let layer = layer([Member::file("file", "").mode(0o107_755)]);
    assert_eq!(layer.entry("file").mode, 0o7755);
}

#[test]
fn global_headers_are_read_and_set_nothing() {
    let layer = layer([
        global(&[
            ("comment", "1f2e3d"),
            ("path", "evil"),
            ("linkpath", "evil"),
            ("size", "0"),
            ("uid", "7"),
            ("mtime", "7"),
            ("GNU.sparse.map", "0,1"),
            ("SCHILY.xattr.user.a", "1"),
        ]),
        Member::file("file", "content"),
        Member::file("other", "").pax("uid", "1"),
    ]);
    assert_eq!(layer.paths(), [&b"file"[..], b"other"]);
    assert_eq!(layer.content("file").bytes, b"content");
    assert_eq!(layer.entry("file").uid, 0);
    assert_eq!(layer.entry("file").mtime, time(0, 0));
    assert_eq!(layer.xattrs("file"), []);
}

#[test]
fn a_global_header_between_a_pax_header_and_its_entry_changes_nothing() {
    let layer = layer([
        Member::new(b'x', "x").data(pax_record(b"path", b"pax")),
        global(&[("path", "evil")]),
        Member::file("h", ""),
    ]);
    assert_eq!(layer.paths(), [b"pax"]);
}

#[test]
fn headers_of_unix_v7() {
    let layer = layer([
        Member::new(0, "file").v7().data("content"),
        Member::new(0, "dir/").v7(),
        Member::symlink("link", "file").v7(),
    ]);
    assert_eq!(layer.content("file").bytes, b"content");
    assert_eq!(layer.entry("dir/").kind, Kind::Directory);
    assert_eq!(layer.entry("link").kind, Kind::Symlink { target: b"file" });
}

/// As GNU tar, bsdtar and Python have it: BSD's old tar knew no other way to say it.
#[test]
fn a_file_whose_name_ends_in_a_slash_is_a_directory() {
    let long = format!("{}/", "long/".repeat(60));
    let layer = layer([
        Member::file("ustar/", "").mode(0o750).owner(1, 2),
        Member::new(b'7', "contiguous/"),
        Member::new(0, "v7/").v7(),
        Member::file("with data/", "ignored"),
        Member::file("short", "").pax("path", "pax/"),
        Member::file(&long, "").gnu(),
        Member::symlink("link/", "target"),
        Member::file("file", "content"),
    ]);
    let directories = layer.entries.iter().filter(|entry| entry.kind == Kind::Directory);
    let expected = ["ustar/", "contiguous/", "v7/", "with data/", "pax/", &long];
    assert_eq!(directories.map(|entry| entry.path).collect::<Vec<_>>(), expected.map(str::as_bytes));
    assert_eq!((layer.entry("ustar/").mode, layer.entry("ustar/").uid), (0o750, 1));
    assert_eq!(layer.content("file").bytes, b"content");
}

#[test]
fn a_contiguous_file_is_a_file() {
    let layer = layer([Member::new(b'7', "file").data("content")]);
    assert_eq!(layer.content("file").bytes, b"content");
}

#[test]
fn a_volume_label_is_no_entry_and_a_dump_directory_is_a_directory() {
    let layer = layer([
        Member::new(b'V', "label").gnu().pax("path", "label"),
        Member::new(b'D', "dir/").gnu().data("Yfile\0\0"),
        Member::file("file", ""),
    ]);
    assert_eq!(layer.paths(), [&b"dir/"[..], b"file"]);
    assert_eq!(layer.entry("dir/").kind, Kind::Directory);
}

#[test]
fn the_extended_header_of_solaris_is_one_of_pax() {
    let layer = layer([Member::new(b'X', "x").data(pax_record(b"path", b"pax")), Member::file("h", "")]);
    assert_eq!(layer.paths(), [b"pax"]);
}

#[test]
fn a_link_with_a_size_has_data_only_where_no_header_follows() {
    for member in [
        Member::hardlink("link", "file"),
        Member::symlink("link", "file"),
        Member::directory("link"),
        Member::fifo("link"),
        Member::char_device("link", 1, 3),
    ] {
        let size = 700;
        let without = [member.clone().claimed_size(size), Member::file("after", "")];
        assert_eq!(layer(without).paths(), [&b"link"[..], b"after"]);
        let with = [member.clone().data([b'x'; 700]), Member::file("after", "")];
        assert_eq!(layer(with).paths(), [&b"link"[..], b"after"]);
        assert_eq!(layer([member.clone().claimed_size(size)]).paths(), [b"link"]);
        let unfinished = Archive::new().with(member.claimed_size(size)).unfinished();
        assert_eq!(read(&unfinished).unwrap().paths(), [b"link"]);
    }
}

#[test]
fn whiteouts_are_entries_whose_content_goes_nowhere() {
    let layer = layer([
        Member::file("dir/.wh.file", "content"),
        Member::file(".wh..wh..opq", ""),
        Member::hardlink(".wh.link", ".wh..wh.plnk/1.2"),
        Member::symlink(".wh.symlink", "x"),
        Member::char_device(".wh.device", 0, 0),
        Member::file("file", "after"),
    ]);
    assert_eq!(layer.entries.len(), 6);
    let nowhere = Kind::File { content: NO_CONTENT, size: 7 };
    assert_eq!(layer.entry("dir/.wh.file").kind, nowhere);
    assert_eq!(layer.contents.len(), 1);
    assert_eq!(layer.content("file").bytes, b"after");
}

#[test]
fn symlink_targets_of_4095_bytes() {
    let target = [b't'; 4095];
    let layer = layer([
        Member::symlink("pax", target),
        Member::symlink("gnu", "t").gnu_target(target),
        Member::symlink("full", [b't'; 100]),
    ]);
    assert_eq!(layer.entry("pax").kind, Kind::Symlink { target: &target });
    assert_eq!(layer.entry("gnu").kind, Kind::Symlink { target: &target });
    assert_eq!(layer.entry("full").kind, Kind::Symlink { target: &target[..100] });
}

#[test]
fn an_empty_archive_is_a_layer_without_entries() {
    assert_eq!(read(&[]).unwrap().entries.len(), 0);
    assert_eq!(layer([]).entries.len(), 0);
}

#[test]
fn what_follows_the_end_is_ignored() {
    let padded = Archive::new().with(Member::file("a", "")).raw(&[0; 10_240 + 1024]);
    assert_eq!(read(&padded.clone().unfinished()).unwrap().paths(), [b"a"]);
    let more = padded.raw(b"anything").with(Member::file("b", ""));
    assert_eq!(read(&more.unfinished()).unwrap().paths(), [b"a"]);
}

#[test]
fn end_blocks_may_be_missing_at_the_end_of_an_entry() {
    let archive = Archive::new().with(Member::file("a", "content"));
    assert_eq!(read(&archive.clone().unfinished()).unwrap().paths(), [b"a"]);
    assert_eq!(read(&archive.raw(&[0; 512]).unfinished()).unwrap().paths(), [b"a"]);
}

/// What `umoci insert` writes, and whatever else of zeros may be there in place of an end.
#[test]
fn what_fills_the_last_block_may_be_missing() {
    let archive = Archive::new().with(Member::file("a", "content")).unfinished();
    for end in (519..=1024).chain([1024 + 512 + 100, 1024 + 1024 + 100]) {
        let mut bytes = archive.clone();
        bytes.resize(end, 0);
        let layer = read(&bytes).unwrap();
        assert_eq!(layer.content("a").bytes, b"content", "{end}");
    }
    // An entry that should have no data, and has some.
    let link = Archive::new().with(Member::symlink("link", "a").data([b'x'; 700])).unfinished();
    assert_eq!(read(&link[..512 + 700]).unwrap().paths(), [b"link"]);
    // What could be a header is not missing, and neither is what an extended header is about.
    for rest in [&b"a"[..], &[0, 0, 1]] {
        assert!(read(&[&archive, rest].concat()).is_err());
    }
    let pax = Archive::new().with(Member::new(b'x', "x").data(pax_record(b"path", b"p"))).unfinished();
    assert!(read(&pax[..512 + 20]).is_err());
}
