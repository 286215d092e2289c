//! The limits of ext4, and trees that come near them, in linear time.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use crate::common::{Bench, Mounted, debugfs, directory, empty, node, noise, options, tree};
use banger_ext4::write::{Content, Kind, NodeId};

/// No test here may take longer in the writer: far above what it takes, far below what anything quadratic would.
const LINEAR: Duration = Duration::from_secs(20);

#[test]
fn seventy_thousand_files_in_one_directory() {
    let bench = Bench::new();
    let start = Instant::now();
    let mut tree = tree();
    let many = directory(&mut tree, NodeId::ROOT, "many");
    for index in 0..70_000 {
        empty(&mut tree, many, &format!("file-number-{index}"));
    }
    let summary = bench.image.finish(tree, &[], &options()).unwrap();
    assert!(start.elapsed() < LINEAR, "{:?}", start.elapsed());
    crate::common::e2fsck(&bench.path);
    assert!(summary.free_inodes > 8000, "{summary:?}");
    let Some(mounted) = Mounted::new(&bench.path, "rw") else { return };
    let many = mounted.path().join("many");
    for index in (0..70_000).step_by(7) {
        assert!(fs::symlink_metadata(many.join(format!("file-number-{index}"))).is_ok(), "{index}");
    }
    assert_eq!(fs::read_dir(&many).unwrap().count(), 70_000);
    // The kernel finds leaves that are full, and splits them.
    for index in 0..2000 {
        fs::write(many.join(format!("another-{index}")), b"").unwrap();
    }
    assert_eq!(fs::read_dir(&many).unwrap().count(), 72_000);
    drop(mounted);
    crate::common::e2fsck(&bench.path);
}

#[test]
fn a_hash_tree_of_two_levels() {
    // Long names: 15 in a leaf, so that the root alone cannot index them.
    let bench = Bench::new();
    let mut tree = tree();
    let many = directory(&mut tree, NodeId::ROOT, "many");
    let name = |index: u32| format!("{index:0>250}");
    for index in 0..20_000 {
        empty(&mut tree, many, &name(index));
    }
    bench.finish(tree, &[], &options());
    if let Some(said) = debugfs(&bench.path, "htree_dump /many") {
        assert!(said.contains("Indirect levels: 1"), "{}", said.lines().take(20).collect::<String>());
    }
    let Some(mounted) = Mounted::new(&bench.path, "rw") else { return };
    let many = mounted.path().join("many");
    for index in 0..20_000 {
        assert!(fs::symlink_metadata(many.join(name(index))).is_ok(), "{index}");
    }
    for index in 20_000..20_500 {
        fs::write(many.join(name(index)), b"").unwrap();
    }
    drop(mounted);
    crate::common::e2fsck(&bench.path);
}

#[test]
fn names_of_equal_hash_are_found_on_both_sides_of_a_leaf_s_edge() {
    // Enough names that hundreds of pairs share a hash of 31 bits, so that with many leaves some stand at an edge.
    use banger_ext4::spec::htree::{HashVersion, Hasher};
    let hasher = Hasher::new(HashVersion::HalfMd4, true, &options().hash_seed);
    let mut names: Vec<(u32, String)> = (0..4_000_000_u32)
        .map(|index| {
            let name = format!("{index:x}");
            (hasher.hash(name.as_bytes()).major, name)
        })
        .collect();
    names.sort_unstable();
    // Only names with a twin: any edge between leaves is then likely to cut a pair.
    let twins: BTreeSet<&(u32, String)> =
        names.windows(2).filter(|pair| pair[0].0 == pair[1].0).flat_map(|pair| [&pair[0], &pair[1]]).collect();
    assert!(twins.len() > 4000, "{}", twins.len());
    let bench = Bench::new();
    let mut tree = tree();
    let many = directory(&mut tree, NodeId::ROOT, "many");
    for (_, name) in &twins {
        empty(&mut tree, many, name);
    }
    bench.finish(tree, &[], &options());
    if let Some(said) = debugfs(&bench.path, "htree_dump /many") {
        let odd = said.lines().filter(|line| line.starts_with("Entry #") && continues(line)).count();
        assert!(odd > 2, "no leaf continues the hash of the one before:\n{said}");
    }
    let Some(mounted) = Mounted::new(&bench.path, "ro") else { return };
    for (_, name) in &twins {
        assert!(fs::symlink_metadata(mounted.path().join("many").join(name)).is_ok(), "{name}");
    }
    let listed: BTreeSet<_> =
        fs::read_dir(mounted.path().join("many")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(listed.len(), twins.len());
}

/// Whether a line such as `Entry #1: Hash 0x1b6e7a9d, block 2` has an odd hash.
fn continues(line: &str) -> bool {
    let hash = line.split("Hash 0x").nth(1).and_then(|rest| rest.split([',', ' ', '(']).next());
    hash.and_then(|hash| u32::from_str_radix(hash, 16).ok()).is_some_and(|hash| hash & 1 == 1)
}

#[test]
fn directories_count_their_subdirectories_up_to_65_000_links() {
    for (subdirectories, links) in [(64_998, 65_000), (64_999, 1), (65_100, 1)] {
        let bench = Bench::new();
        let start = Instant::now();
        let mut tree = tree();
        let many = directory(&mut tree, NodeId::ROOT, "many");
        for index in 0..subdirectories {
            directory(&mut tree, many, &format!("{index}"));
        }
        bench.image.finish(tree, &[], &options()).unwrap();
        assert!(start.elapsed() < LINEAR, "{:?}", start.elapsed());
        crate::common::e2fsck(&bench.path);
        let Some(mounted) = Mounted::new(&bench.path, "ro") else { return };
        let metadata = fs::metadata(mounted.path().join("many")).unwrap();
        assert_eq!(metadata.nlink(), links);
        assert_eq!(fs::read_dir(mounted.path().join("many")).unwrap().count(), subdirectories);
    }
}

#[test]
fn an_inode_has_65_000_names() {
    let bench = Bench::new();
    let mut writer = bench.image.content();
    writer.place(0).unwrap();
    let index = crate::common::content(&mut writer, &noise(1, 9000));
    let mut tree = tree();
    let many = directory(&mut tree, NodeId::ROOT, "many");
    let file = tree.add(many, b"0", node(Kind::File(Content { segment: 0, index }))).unwrap();
    for index in 1..65_000 {
        tree.link(many, index.to_string().as_bytes(), file).unwrap();
    }
    assert!(matches!(tree.link(many, b"65000", file), Err(banger_ext4::Error::TooManyLinks { limit: 65_000, .. })));
    bench.finish(tree, &[writer.done().unwrap()], &options());
    let Some(mounted) = Mounted::new(&bench.path, "ro") else { return };
    let metadata = fs::metadata(mounted.path().join("many/64999")).unwrap();
    assert_eq!((metadata.nlink(), metadata.len()), (65_000, 9000));
    assert!(fs::read(mounted.path().join("many/777")).unwrap() == noise(1, 9000));
}

#[test]
fn directories_in_directories_32_768_deep() {
    let bench = Bench::new();
    let mut tree = tree();
    let mut at = NodeId::ROOT;
    for _ in 0..32_768 {
        at = directory(&mut tree, at, "d");
    }
    empty(&mut tree, at, "at the end");
    bench.finish(tree, &[], &options());
    let reader = banger_ext4::read::Reader::open(fs::File::open(&bench.path).unwrap()).unwrap();
    let mut at = 2;
    for _ in 0..32_768 {
        at = reader.find(at, b"d").unwrap().unwrap();
    }
    assert!(reader.find(at, b"at the end").unwrap().is_some());
}

#[test]
fn half_a_million_entries() {
    let bench = Bench::new();
    let mut writer = bench.image.content();
    writer.place(0).unwrap();
    let start = Instant::now();
    let mut tree = tree();
    for outer in 0..500_u32 {
        let sub = directory(&mut tree, NodeId::ROOT, &format!("directory-{outer}"));
        for inner in 0..1000_u32 {
            // One in ten has content: two gigabytes of nearly empty blocks would test the disk of this machine.
            let content = if inner % 10 == 7 {
                let index = crate::common::content(&mut writer, &(outer * 1000 + inner).to_le_bytes());
                Content { segment: 0, index }
            } else {
                Content::EMPTY
            };
            let name = format!("some-file-{inner}");
            tree.add(sub, name.as_bytes(), node(Kind::File(content))).unwrap();
        }
    }
    let summary = bench.image.finish(tree, &[writer.done().unwrap()], &options()).unwrap();
    assert!(start.elapsed() < LINEAR, "{:?}", start.elapsed());
    crate::common::e2fsck(&bench.path);
    assert!(summary.inodes > 550_000, "{summary:?}");
    let Some(mounted) = Mounted::new(&bench.path, "ro") else { return };
    for number in (0..500_000_u32).step_by(997) {
        let path = format!("directory-{}/some-file-{}", number / 1000, number % 1000);
        let read = fs::read(mounted.path().join(path)).unwrap();
        assert_eq!(read, if number % 10 == 7 { number.to_le_bytes().to_vec() } else { Vec::new() });
    }
}
