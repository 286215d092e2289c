//! Where contents go depends on their order alone, dead contents leave nothing behind, and sizes are kept.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use crate::common::{Bench, Mounted, content, e2fsck, node, noise, options, tree};
use banger_ext4::Error;
use banger_ext4::write::{Content, ContentWriter, Kind, NodeId, Options, Segment, Tree};

/// When a segment is placed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    First,
    /// Before so many contents.
    Before(usize),
    Last,
    /// When all segments are done.
    Later,
}

/// Bytes that stand for the content `seed`, with holes in some.
fn write(writer: &mut ContentWriter, seed: u64, pieces: usize) {
    let data = noise(seed, 10_000 + (seed as usize * 7919) % 300_000);
    writer.begin().unwrap();
    for piece in data.chunks(pieces) {
        writer.write(piece).unwrap();
    }
    if seed.is_multiple_of(3) {
        writer.skip(seed * 1000).unwrap();
        writer.write(b"after the hole").unwrap();
    }
    writer.finish().unwrap();
}

/// An image of three segments with 60 contents each; the tree has two thirds of them.
fn build(when: [When; 3], pieces: usize) -> Bench {
    const EACH: usize = 60;
    let bench = Bench::new();
    let mut segments: Vec<Segment> = Vec::new();
    let mut base = 0;
    let mut waiting = Vec::new();
    for (number, when) in when.into_iter().enumerate() {
        let mut writer = bench.image.content();
        // The base is known beforehand here, as the lengths are those of an earlier run.
        for index in 0..EACH {
            if when == When::First && index == 0 || when == When::Before(index) {
                writer.place(base).unwrap();
            }
            write(&mut writer, (number * EACH + index) as u64, pieces);
        }
        if when == When::Last {
            writer.place(base).unwrap();
        }
        let segment = writer.done().unwrap();
        if when == When::Later {
            waiting.push((number, base));
        }
        base += segment.blocks();
        segments.push(segment);
    }
    for (number, base) in waiting.into_iter().rev() {
        segments[number].place(base).unwrap();
    }
    bench.finish(two_thirds(), &segments, &options());
    bench
}

/// A tree of two thirds of the contents of three segments with 60 each.
fn two_thirds() -> Tree {
    let mut tree = tree();
    for segment in 0..3 {
        for index in (0..60).filter(|index| index % 3 != 1) {
            let name = format!("{segment}-{index}");
            tree.add(NodeId::ROOT, name.as_bytes(), node(Kind::File(Content { segment, index }))).unwrap();
        }
    }
    tree
}

fn same(one: &Path, other: &Path) -> bool {
    let (mut one, mut other) = (fs::File::open(one).unwrap(), fs::File::open(other).unwrap());
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let len = one.read(&mut a).unwrap();
        other.read_exact(&mut b[..len]).unwrap();
        if a[..len] != b[..len] {
            return false;
        }
        if len == 0 {
            return other.read(&mut b).unwrap() == 0;
        }
    }
}

#[test]
fn segments_can_be_written_by_threads_of_their_own() {
    let one_thread = build([When::Later; 3], usize::MAX);
    let bench = Bench::new();
    let write_one = &|number: u64| {
        let mut writer = bench.image.content();
        (0..60).for_each(|index| write(&mut writer, number * 60 + index, usize::MAX));
        writer.done().unwrap()
    };
    let mut segments: Vec<Segment> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|number| scope.spawn(move || write_one(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut base = 0;
    for segment in &mut segments {
        segment.place(base).unwrap();
        base += segment.blocks();
    }
    bench.finish(two_thirds(), &segments, &options());
    assert!(same(&one_thread.path, &bench.path));
}

#[test]
fn the_same_bytes_whenever_a_segment_is_placed() {
    let first = build([When::First; 3], usize::MAX);
    for (when, pieces) in [
        ([When::Later; 3], usize::MAX),
        ([When::Last; 3], 4096),
        ([When::First, When::Before(1), When::Before(59)], 1 << 16),
        ([When::First, When::Before(30), When::Later], 100_000),
        ([When::Later, When::First, When::Last], 777),
    ] {
        let other = build(when, pieces);
        assert!(same(&first.path, &other.path), "{when:?} in pieces of {pieces}");
    }
}

/// Whether `needle` stands anywhere in a file, its holes left out.
fn contains(path: &Path, needle: &[u8]) -> bool {
    let mut file = fs::File::open(path).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    let first = needle[0];
    bytes.iter().enumerate().any(|(at, &byte)| byte == first && bytes[at..].starts_with(needle))
}

#[test]
fn dead_contents_are_nowhere_in_the_file() {
    let secret = b"this was deleted by an upper layer";
    for (case, place_first) in [(0, true), (1, false)] {
        let bench = Bench::new();
        let mut writer = bench.image.content();
        if place_first {
            writer.place(0).unwrap();
        }
        let kept = content(&mut writer, &noise(1, 50_000));
        let dead = content(&mut writer, secret);
        let long = [&noise(2, 5_000_000)[..], secret].concat();
        let dead_too = content(&mut writer, &long);
        let last = content(&mut writer, &noise(3, 50_000));
        let dead_at_the_end = content(&mut writer, &long);
        let mut segment = writer.done().unwrap();
        if !place_first {
            segment.place(0).unwrap();
        }
        assert!(contains(&bench.path, secret), "the search finds what is there");
        let mut tree = tree();
        for index in [kept, last] {
            let file = node(Kind::File(Content { segment: 0, index }));
            tree.add(NodeId::ROOT, index.to_string().as_bytes(), file).unwrap();
        }
        assert_eq!((dead, dead_too, dead_at_the_end), (1, 2, 4));
        let summary = bench.finish(tree, &[segment], &Options { size: Some(64 << 20), ..options() });
        assert!(!contains(&bench.path, secret), "case {case}");
        assert_eq!(summary.content_blocks, 26);
        // Holes, not zeros.
        let allocated = std::os::unix::fs::MetadataExt::blocks(&fs::metadata(&bench.path).unwrap()) * 512;
        assert!(allocated < 3 << 20, "{allocated}");
    }
}

/// A tree of the contents of one segment that `keep` says.
fn tree_of(segment: &Segment, keep: impl Fn(u32) -> bool) -> Tree {
    let mut tree = tree();
    for index in (0..segment.contents() as u32).filter(|&index| keep(index)) {
        let file = node(Kind::File(Content { segment: 0, index }));
        tree.add(NodeId::ROOT, index.to_string().as_bytes(), file).unwrap();
    }
    tree
}

#[test]
fn contents_beyond_the_end_are_moved_into_the_image() {
    let secret = b"dead and beyond the end of the image";
    let bench = Bench::new();
    let mut writer = bench.image.content();
    writer.place(0).unwrap();
    // 300 MiB of which a tenth lives, for an image of 128 MiB: most of what lives stands beyond its end.
    let size = 1 << 20;
    for seed in 0..300 {
        let mut data = noise(seed, size);
        if seed % 10 != 3 {
            data[5000..5000 + secret.len()].copy_from_slice(secret);
        }
        content(&mut writer, &data);
    }
    let segment = writer.done().unwrap();
    let tree = tree_of(&segment, |index| index % 10 == 3);
    let summary = bench.finish(tree, &[segment], &Options { size: Some(128 << 20), ..options() });
    assert_eq!(summary.content_blocks, 30 * 256);
    assert!(summary.moved_blocks > 10 * 256, "{summary:?}");
    assert!(!contains(&bench.path, secret));
    let Some(mounted) = Mounted::new(&bench.path, "ro") else { return };
    for seed in (3..300).step_by(10) {
        assert!(fs::read(mounted.path().join(seed.to_string())).unwrap() == noise(seed, size), "{seed}");
    }
}

#[test]
fn free_space_in_crumbs_is_used() {
    // Every other block of the image is dead, and single blocks are all that is free but for the end.
    let bench = Bench::new();
    let mut writer = bench.image.content();
    writer.place(0).unwrap();
    for seed in 0..30_000 {
        content(&mut writer, &noise(seed, 4096));
    }
    let segment = writer.done().unwrap();
    let needed = match bench.image.finish(tree_of(&segment, |i| i % 2 == 0), &[], &options()) {
        Err(Error::Misuse(_)) => {
            let tree = tree_of(&segment, |i| i % 2 == 0);
            match bench.image.finish(
                tree,
                std::slice::from_ref(&segment),
                &Options { size: Some(64 << 20), ..options() },
            ) {
                Err(Error::TooSmall { needed, .. }) => needed,
                other => panic!("{other:?}"),
            }
        }
        other => panic!("{other:?}"),
    };
    let tree = tree_of(&segment, |index| index % 2 == 0);
    let summary = bench.finish(tree, &[segment], &Options { size: Some(needed), ..options() });
    assert_eq!(summary.size, needed);
    let Some(mounted) = Mounted::new(&bench.path, "ro") else { return };
    for seed in (0..30_000).step_by(222) {
        assert!(fs::read(mounted.path().join(seed.to_string())).unwrap() == noise(seed, 4096), "{seed}");
    }
}

/// Contents of so many bytes in files of 1 MiB, and a tree that has them all.
fn filled(bench: &Bench, bytes: u64) -> Segment {
    let mut writer = bench.image.content();
    writer.place(0).unwrap();
    for seed in 0..bytes >> 20 {
        content(&mut writer, &noise(seed, 1 << 20));
    }
    writer.done().unwrap()
}

#[test]
fn a_size_too_small_is_refused_with_one_that_does() {
    for (content, entries) in [(0_u64, 200_000), (60 << 20, 0), (150 << 20, 3000), (700 << 20, 0)] {
        let bench = Bench::new();
        let segment = filled(&bench, content);
        let make = || {
            let mut tree = tree_of(&segment, |_| true);
            for index in 0..entries {
                crate::common::empty(&mut tree, NodeId::ROOT, &format!("entry-{index}"));
            }
            tree
        };
        let with = |size| Options { size: Some(size), ..options() };
        let given = (content + 4096).max(4096);
        let error = bench.image.finish(make(), std::slice::from_ref(&segment), &with(given)).unwrap_err();
        let Error::TooSmall { size, needed } = error else { panic!("{error}") };
        assert_eq!(size, given);
        assert!(needed >= 64 << 20 && needed >= content, "{needed}");
        // What is said to be needed does, and 2 MiB less does not.
        if needed > 64 << 20 {
            let error =
                bench.image.finish(make(), std::slice::from_ref(&segment), &with(needed - (2 << 20))).unwrap_err();
            assert!(matches!(error, Error::TooSmall { needed: again, .. } if again == needed), "{error}");
        }
        let summary = bench.finish(make(), std::slice::from_ref(&segment), &with(needed));
        assert_eq!(summary.size, needed);
        assert!(content == 0 || needed < content * 3 / 2 + (64 << 20), "{needed} for {content}");
        // A guest's first write succeeds.
        let Some(mounted) = Mounted::new(&bench.path, "rw") else { return };
        fs::write(mounted.path().join("first"), noise(1, 500_000)).unwrap();
        fs::File::open(mounted.path().join("first")).unwrap().sync_all().unwrap();
        for index in 0..100 {
            fs::create_dir(mounted.path().join(format!("dir{index}"))).unwrap();
        }
        drop(mounted);
        e2fsck(&bench.path);
    }
}

#[test]
fn sizes_are_exact_and_limited() {
    // Around the edges of groups, and not whole blocks.
    let group = 128_u64 << 20;
    for size in [
        64 << 20,
        (64 << 20) + 1,
        group - 1,
        group,
        group + 4096,
        group + (1 << 20),
        group + (3 << 20),
        9 * group + 4095,
    ] {
        let bench = Bench::new();
        let segment = filled(&bench, 20 << 20);
        let summary = bench.finish(tree_of(&segment, |_| true), &[segment], &Options { size: Some(size), ..options() });
        assert_eq!(summary.size, size);
        assert!(summary.blocks * 4096 <= size);
        if let Some(mounted) = Mounted::new(&bench.path, "ro") {
            assert!(fs::read(mounted.path().join("7")).unwrap() == noise(7, 1 << 20));
        }
    }
    let bench = Bench::new();
    for (size, small) in [(0, true), (1 << 20, true), ((64 << 20) - 1, true), ((2 << 40) + 1, false), (u64::MAX, false)]
    {
        let error = bench.image.finish(tree(), &[], &Options { size: Some(size), ..options() }).unwrap_err();
        match error {
            Error::TooSmall { needed, .. } => assert!(small && needed == 64 << 20),
            Error::TooLarge { limit, .. } => assert!(!small && limit == 2 << 40),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn the_size_that_is_chosen_leaves_room() {
    let bench = Bench::new();
    let summary = bench.finish(tree(), &[], &options());
    assert_eq!(summary.size, 1 << 30);
    let bench = Bench::new();
    let segment = filled(&bench, 1000 << 20);
    let summary = bench.finish(tree_of(&segment, |_| true), &[segment], &options());
    assert_eq!(summary.size, 1252 << 20);
    assert!(summary.free_blocks > 45_000 && summary.free_inodes > 50_000, "{summary:?}");
}

#[test]
fn contents_can_be_read_back_when_they_are_in_their_place() {
    let bench = Bench::new();
    let mut writer = bench.image.content();
    for seed in 0..7 {
        write(&mut writer, seed, 5000);
    }
    let mut segment = writer.done().unwrap();
    assert!(matches!(segment.read(0, 1), Err(Error::Misuse(_))), "it is in a segment file yet");
    // Across the head of a group.
    segment.place(32_700).unwrap();
    for seed in 0..7 {
        let mut expected = noise(seed, 10_000 + (seed as usize * 7919) % 300_000);
        if seed.is_multiple_of(3) {
            expected.resize(expected.len() + seed as usize * 1000, 0);
            expected.extend_from_slice(b"after the hole");
        }
        assert_eq!(segment.read(seed as u32, usize::MAX).unwrap(), expected, "{seed}");
        assert_eq!(segment.read(seed as u32, 5001).unwrap(), expected[..5001], "{seed}");
    }
    assert!(matches!(segment.read(7, 1), Err(Error::Misuse(_))));
}
