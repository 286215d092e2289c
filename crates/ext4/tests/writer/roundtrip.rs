//! What only our own reader can show of what is written: that the hash tree leads to every name, and that what is far
//! behind a hole is where it should be. (Whole trees are compared in `random.rs`.)

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use crate::common::{Bench, directory, empty, node, options, tree};
use banger_ext4::read::{LastLink, Reader};
use banger_ext4::spec::{BLOCK_BYTES, htree, inode};
use banger_ext4::write::{Content, Kind, NodeId};

#[test]
fn every_name_of_a_large_directory_is_found() {
    // Long names need many blocks: with more than 507 leaves there are nodes between them and the root.
    for (count, len, levels) in [(2_usize, 10, None), (300, 10, Some(0)), (3_000, 200, Some(0)), (12_000, 250, Some(1))]
    {
        let bench = Bench::new();
        let mut tree = tree();
        let parent = directory(&mut tree, NodeId::ROOT, "many");
        let name = |number: usize| format!("{number:0<len$}");
        for number in 0..count {
            // The numbers are filled up with zeros: one with a zero at its end would be another's name.
            empty(&mut tree, parent, &name(number * 10 + 1));
        }
        bench.finish(tree, &[], &options());
        let reader = Reader::open(File::open(&bench.path).unwrap()).unwrap();
        let many = reader.find(2, b"many").unwrap().unwrap();
        assert_eq!(levels_of(&bench, &reader, many), levels, "{count}");
        let listed = reader.read_dir(many).unwrap();
        let names: BTreeSet<&[u8]> = listed.iter().map(|entry| &entry.name[..]).collect();
        assert_eq!((listed.len(), names.len()), (count, count));
        for number in 0..count {
            let name = name(number * 10 + 1);
            assert!(names.contains(name.as_bytes()));
            assert!(reader.find(many, name.as_bytes()).unwrap().is_some(), "{name} of {count}");
        }
        assert_eq!(reader.find(many, b"absent").unwrap(), None);
    }
}

/// Levels between the root of a directory's hash tree and its leaves; `None` if it has no tree.
fn levels_of(bench: &Bench, reader: &Reader<File>, number: u32) -> Option<u8> {
    let is_hashed = reader.stat(number).unwrap().flags & inode::flags::INDEX != 0;
    let mut root = [0; BLOCK_BYTES];
    let first = reader.extents(number).unwrap()[0].start;
    bench.image.file().read_exact_at(&mut root, first * BLOCK_BYTES as u64).unwrap();
    is_hashed.then(|| htree::decode_root(None, &root).unwrap().levels)
}

#[test]
fn the_end_of_a_huge_hole_is_read() {
    const HOLE: u64 = 3 << 40;
    let bench = Bench::new();
    let mut writer = bench.image.content();
    writer.place(0).unwrap();
    writer.begin().unwrap();
    writer.write(b"begin").unwrap();
    writer.skip(HOLE).unwrap();
    writer.write(b"end").unwrap();
    let index = writer.finish().unwrap();
    let mut tree = tree();
    let kind = Kind::File(Content { segment: 0, index });
    tree.add(NodeId::ROOT, b"huge", node(kind)).unwrap();
    bench.finish(tree, &[writer.done().unwrap()], &options());

    let reader = Reader::open(File::open(&bench.path).unwrap()).unwrap();
    let huge = reader.lookup(b"huge", LastLink::Keep).unwrap();
    assert_eq!(reader.stat(huge).unwrap().size, HOLE + 8);
    let mut buf = [0xAA; 12];
    assert_eq!(reader.read_at(huge, HOLE, &mut buf).unwrap(), 8);
    assert_eq!(&buf[..8], b"\0\0\0\0\0end");
    assert_eq!(reader.read_at(huge, 0, &mut buf).unwrap(), 12);
    assert_eq!(&buf, b"begin\0\0\0\0\0\0\0");
    assert_eq!(reader.read_at(huge, HOLE + 8, &mut buf).unwrap(), 0);
    assert_eq!(reader.extents(huge).unwrap().len(), 2);
}
