//! Whole disks as qcow2, judged by qemu-img.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use banger_disk::{Raw, Silent, qcow2};
use proptest::prelude::*;

use crate::judge;
use crate::mounted::Mounted;
use crate::watcher::Watcher;

const CLUSTER: u64 = 64 << 10;

/// Writes a raw file: pieces of data in a file with holes.
fn raw(path: &Path, len: u64, pieces: &[(u64, Vec<u8>)]) {
    let file = File::create(path).unwrap();
    file.set_len(len).unwrap();
    for (at, bytes) in pieces {
        file.write_all_at(bytes, *at).unwrap();
    }
    assert_eq!(file.metadata().unwrap().len(), len);
}

/// Makes an image of the raw file, and has it judged. `data` clusters are in it, in `tables` parts of 512 MiB.
fn check(raw: &Path, data: u64, tables: u64) {
    check_form(raw, data, tables);
    // Pads the raw file with zeros, as we do.
    let compare = ["compare", "-f", "raw", "-F", "qcow2"].map(OsStr::new);
    judge::run("qemu-img", &[&compare[..], &[raw.as_ref(), raw.with_extension("qcow2").as_ref()]].concat());
}

/// As [`check`], without a look at the content.
fn check_form(raw: &Path, data: u64, tables: u64) {
    let image = raw.with_extension("qcow2");
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&image).unwrap();
    let watcher = Watcher::default();
    let length = qcow2::write(&Raw::open(raw).unwrap(), &file, &image, &watcher).unwrap();
    watcher.check();
    assert_eq!(file.metadata().unwrap().len(), length);

    let said = judge::run("qemu-img", &[OsStr::new("check"), image.as_ref()]);
    assert!(said.contains("No errors were found"), "{said}");
    let info = judge::run("qemu-img", &[OsStr::new("info"), "--output=json".as_ref(), image.as_ref()]);
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    let size = raw.metadata().unwrap().len();
    assert_eq!(info["format"], "qcow2");
    assert_eq!(info["virtual-size"], size.next_multiple_of(512));
    assert_eq!(info["cluster-size"], CLUSTER);
    assert_eq!(info["format-specific"]["data"]["compat"], "1.1");
    assert_eq!(info["dirty-flag"], false);
    // Nothing but what is needed: header, L1 table, L2 tables, data, refcounts.
    let l1 = (size.div_ceil(512 << 20).max(1) * 8).div_ceil(CLUSTER);
    let used = 1 + l1 + tables + data;
    let refcounts = used.div_ceil(CLUSTER / 2).max(1);
    assert!(length >= (used + refcounts + 1) * CLUSTER, "{length}");
    assert!(length <= (used + refcounts + 2) * CLUSTER, "{length}");
}

#[test]
fn disks_of_all_sizes_are_what_they_were() {
    if !judge::present("disks_of_all_sizes_are_what_they_were", &["qemu-img"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk, with a comma");
    let full = |len: u64| vec![7; len as usize];
    let fragments = (0..2000).map(|piece| (piece * 3 * CLUSTER + 5, vec![1])).collect::<Vec<_>>();
    type Case<'a> = (&'a str, u64, &'a [(u64, Vec<u8>)], u64, u64);
    let table: [Case<'_>; 12] = [
        ("empty", 0, &[], 0, 0),
        ("less than a sector", 1, &[(0, full(1))], 1, 1),
        ("a sector", 512, &[(0, full(512))], 1, 1),
        ("a hole", 10 << 20, &[], 0, 0),
        ("zeros that are data", 10 << 20, &[(0, vec![0; 10 << 20])], 0, 0),
        ("a cluster", CLUSTER, &[(0, full(CLUSTER))], 1, 1),
        ("a cluster and a byte", CLUSTER + 1, &[(0, full(CLUSTER + 1))], 2, 1),
        ("only its last byte", (5 << 20) + 300, &[((5 << 20) + 299, full(1))], 1, 1),
        ("around the end of a table", 2 << 30, &[((512 << 20) - 100, full(200)), ((2 << 30) - 1, full(1))], 3, 3),
        ("many reads", 9 << 20, &[(0, full(9 << 20))], 144, 1),
        ("fragments", 6000 * CLUSTER, &fragments, 2000, 1),
        ("a terabyte", 1 << 40, &[(0, full(1)), ((1 << 40) - 1, full(1)), (300 << 30, full(100_000))], 4, 3),
    ];
    for (what, len, pieces, data, tables) in table {
        raw(&path, len, pieces);
        println!("{what}");
        check(&path, data, tables);
    }
}

#[test]
fn what_is_read_back_is_the_same_file() {
    if !judge::present("what_is_read_back_is_the_same_file", &["qemu-img", "mke2fs"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("file"), vec![3; 3_000_000]).unwrap();
    let image = crate::fixture::image(Some(&tree), "48M", &[]);
    let (out, back) = (directory.path().join("out"), directory.path().join("back"));
    let file = File::create_new(&out).unwrap();
    qcow2::write(&Raw::open(image.path()).unwrap(), &file, &out, &Silent).unwrap();
    let convert = ["convert", "-f", "qcow2", "-O", "raw"].map(OsStr::new);
    judge::run("qemu-img", &[&convert[..], &[out.as_ref(), back.as_ref()]].concat());
    assert!(std::fs::read(&back).unwrap() == std::fs::read(image.path()).unwrap());
    // A copy without holes gives the same.
    let full = directory.path().join("full");
    std::fs::write(&full, std::fs::read(image.path()).unwrap()).unwrap();
    assert!(full.metadata().unwrap().blocks() > image.path().metadata().unwrap().blocks());
    let again = directory.path().join("again");
    qcow2::write(&Raw::open(&full).unwrap(), &File::create_new(&again).unwrap(), &again, &Silent).unwrap();
    assert!(std::fs::read(&again).unwrap() == std::fs::read(&out).unwrap());
}

#[test]
fn qemu_writes_into_it() {
    if !judge::present("qemu_writes_into_it", &["qemu-img", "qemu-io"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (path, out) = (directory.path().join("disk"), directory.path().join("out"));
    raw(&path, 3 << 30, &[(1 << 20, vec![5; 1 << 20])]);
    qcow2::write(&Raw::open(&path).unwrap(), &File::create_new(&out).unwrap(), &out, &Silent).unwrap();
    // Over data, beside it, and where there is no table yet: all need refcounts that are right.
    let commands =
        ["write -P 1 1M 100", "write -P 2 4M 64k", "write -P 3 2G 1M", "discard 1M 512k", "read -P 5 1600k 4k"];
    let arguments = commands.iter().flat_map(|command| ["-c", command]).map(OsStr::new);
    let said = judge::run("qemu-io", &arguments.chain([out.as_ref()]).collect::<Vec<_>>());
    assert!(!said.contains("failed"), "{said}");
    let said = judge::run("qemu-img", &[OsStr::new("check"), out.as_ref()]);
    assert!(said.contains("No errors were found"), "{said}");
}

/// Whoever has more than a block of refcounts needs a second one, which must count itself.
#[test]
fn refcounts_count_themselves() {
    if !judge::present("refcounts_count_themselves", &["qemu-img", "mount", "root"]) {
        return;
    }
    // In memory: a file in so many pieces takes disks minutes to remove.
    let memory = Mounted::new(&["-t", "tmpfs", "-o", "size=400m", "tmpfs"]);
    let path = memory.at("disk");
    // One byte of each cluster; with header, tables and its own two clusters, the first of these fills a block of refcounts.
    let per_block = CLUSTER / 2;
    for clusters in [per_block - 8, per_block - 7] {
        let pieces: Vec<_> = (0..clusters).map(|cluster| (cluster * CLUSTER, vec![1])).collect();
        raw(&path, clusters * CLUSTER, &pieces);
        check_form(&path, clusters, clusters.div_ceil(8192));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_disk_is_what_it_was(
        len in prop_oneof![0_u64..300_000, 0_u64..5_000_000, Just(600_u64 << 20)],
        pieces in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), 1_usize..200_000), 0..20),
    ) {
        if !judge::present("any_disk_is_what_it_was", &["qemu-img"]) {
            return Ok(());
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        let pieces: Vec<_> = pieces
            .into_iter()
            .filter(|_| len > 0)
            .map(|(at, zeros, size)| {
                let at = at.index(len as usize) as u64;
                (at, vec![u8::from(!zeros); size.min((len - at) as usize)])
            })
            .collect();
        raw(&path, len, &pieces);
        // What is in it is counted by reading all of it.
        let content = std::fs::read(&path).unwrap();
        let is_data: Vec<bool> = content.chunks(CLUSTER as usize).map(|cluster| cluster.iter().any(|&byte| byte != 0)).collect();
        let tables = is_data.chunks(8192).filter(|part| part.contains(&true)).count();
        check(&path, is_data.iter().filter(|&&data| data).count() as u64, tables as u64);
    }
}
