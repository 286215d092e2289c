//! What is encoded here is, byte by byte, what e2fsprogs and the kernel write.

use banger_ext4::read::{Reader, Source};
use banger_ext4::spec::extent::Node;
use banger_ext4::spec::htree::Root;
use banger_ext4::spec::journal::JournalSuperblock;
use banger_ext4::spec::{
    FileType, GroupDescriptor, INODE_BYTES, Inode, SUPERBLOCK_BYTES, Seed, Superblock, checksum, dirent, extent, group,
    htree, inode, xattr,
};

use super::{fixture, judge};

const BLOCK: usize = 4096;

/// An image and what is needed to find things in it.
struct Image {
    bytes: Vec<u8>,
    superblock: Superblock,
    seed: Seed,
}

impl Image {
    fn new(bytes: Vec<u8>) -> Self {
        let superblock = Superblock::decode(&bytes[1024..2048]).unwrap();
        let seed = superblock.seed();
        Self { bytes, superblock, seed }
    }

    fn block(&self, number: u64) -> &[u8] {
        &self.bytes[number as usize * BLOCK..][..BLOCK]
    }

    fn descriptor_bytes(&self, group: u32) -> &[u8] {
        &self.bytes[BLOCK + group as usize * 64..][..64]
    }

    fn descriptor(&self, group: u32) -> GroupDescriptor {
        GroupDescriptor::decode(Some(self.seed), group, self.descriptor_bytes(group)).unwrap()
    }

    fn groups(&self) -> std::ops::Range<u32> {
        0..self.superblock.group_count() as u32
    }

    fn inode_bytes(&self, number: u32) -> &[u8] {
        let per_group = self.superblock.inodes_per_group;
        let table = self.descriptor((number - 1) / per_group).inode_table as usize;
        &self.bytes[table * BLOCK + ((number - 1) % per_group) as usize * INODE_BYTES..][..INODE_BYTES]
    }

    /// All inodes in use, with their seeds.
    fn inodes(&self) -> impl Iterator<Item = (u32, Inode, Seed)> {
        let numbers = 1..=self.superblock.inodes_count;
        numbers.filter(|number| self.inode_bytes(*number).iter().any(|&byte| byte != 0)).filter_map(|number| {
            let inode = Inode::decode(Some(self.seed), number, self.inode_bytes(number)).unwrap();
            let seed = self.seed.inode(number, inode.generation);
            (inode.links > 0).then_some((number, inode, seed))
        })
    }
}

/// An image that mke2fs filled, and one that the kernel filled: with hashed directories and times in full.
fn images() -> Vec<(&'static str, Image)> {
    if !judge::present("structures", &["mke2fs", "mount", "loop"]) {
        return Vec::new();
    }
    let tree = tempfile::tempdir().unwrap();
    fixture::plant(tree.path(), fixture::PLENTY);
    let options = ["-b", "4096", "-g", "1024", "-L", "label"];
    let filled = fixture::image(Some(tree.path()), "64M", &options);
    let mounted = fixture::image(None, "64M", &options);
    let mount = judge::Mount::new(mounted.path());
    let amount = fixture::Amount { nanoseconds: true, sockets: true, ..fixture::PLENTY };
    fixture::plant(mount.path(), amount);
    drop(mount);
    [("mke2fs", filled), ("the kernel", mounted)]
        .map(|(what, file)| (what, Image::new(std::fs::read(file.path()).unwrap())))
        .into()
}

#[test]
fn e2fsprogs_and_the_kernel_encode_alike() {
    for (what, image) in images() {
        superblocks(what, &image);
        descriptors_and_bitmaps(what, &image);
        inodes(what, &image);
        extents(what, &image);
        directories(what, &image);
        attributes(what, &image);
        journal(what, &image);
    }
}

/// Where two structures differ.
fn differing(ours: &[u8], theirs: &[u8]) -> Vec<usize> {
    assert_eq!(ours.len(), theirs.len());
    (0..ours.len()).filter(|&at| ours[at] != theirs[at]).collect()
}

fn superblocks(what: &str, image: &Image) {
    let backups: Vec<u32> = image.groups().filter(|&group| group::has_backup(group)).collect();
    assert!(backups.len() > 3, "{what}");
    for group in backups {
        let at = if group == 0 { 1024 } else { group as usize * image.superblock.blocks_per_group as usize * BLOCK };
        let there = &image.bytes[at..][..SUPERBLOCK_BYTES];
        let superblock = Superblock::decode(there).unwrap();
        assert_eq!(u32::from(superblock.block_group), group, "{what}");
        assert_eq!(superblock.label(), b"label");
        let mut ours = [0; SUPERBLOCK_BYTES];
        superblock.encode(&mut ours);
        assert_eq!(differing(&ours, there), [], "{what}, group {group}");
    }
}

fn descriptors_and_bitmaps(what: &str, image: &Image) {
    for group in image.groups() {
        let descriptor = image.descriptor(group);
        let mut ours = [0; 64];
        descriptor.encode(image.seed, group, &mut ours);
        assert_eq!(ours, image.descriptor_bytes(group), "{what}, group {group}");
        if descriptor.flags & group::BLOCK_UNINIT == 0 {
            let used = &image.block(descriptor.block_bitmap)[..image.superblock.clusters_per_group as usize / 8];
            assert_eq!(checksum::bitmap(image.seed, used), descriptor.block_bitmap_checksum, "{what}, group {group}");
        }
        if descriptor.flags & group::INODE_UNINIT == 0 {
            let used = &image.block(descriptor.inode_bitmap)[..image.superblock.inodes_per_group as usize / 8];
            assert_eq!(checksum::bitmap(image.seed, used), descriptor.inode_bitmap_checksum, "{what}, group {group}");
        }
    }
}

fn inodes(what: &str, image: &Image) {
    let mut count = 0;
    for (number, inode, seed) in image.inodes() {
        let there = image.inode_bytes(number);
        let mut ours = [0; INODE_BYTES];
        inode.encode(seed, inode::body_xattrs(there), &mut ours);
        // i_version, which the kernel counts up at 0x24 and 0x98, is not kept here: what is left is compared.
        let mut theirs = there.to_vec();
        for field in [0x24..0x28, 0x98..0x9C] {
            theirs[field].fill(0);
        }
        let sum = checksum::inode(seed, &theirs);
        theirs[0x7C..0x7E].copy_from_slice(&sum.to_le_bytes()[..2]);
        theirs[0x82..0x84].copy_from_slice(&sum.to_le_bytes()[2..]);
        assert_eq!(ours[..], theirs[..], "{what}, inode {number}");
        count += 1;
    }
    assert!(count > 1500, "{what}: {count}");
}

fn extents(what: &str, image: &Image) {
    let mut blocks = 0;
    for (number, inode, seed) in image.inodes() {
        if inode.flags & inode::flags::EXTENTS == 0 {
            continue;
        }
        let encode = |node: &Node, out: &mut [u8]| match node {
            Node::Leaf(extents) => extent::encode_leaf(extents, out),
            Node::Index { depth, children } => extent::encode_index(*depth, children, out),
        };
        let root = extent::decode(None, &inode.block).unwrap();
        let mut ours = [0; inode::I_BLOCK_BYTES];
        encode(&root, &mut ours);
        assert_same_node(&ours, &inode.block, what, number);
        let Node::Index { children, .. } = root else { continue };
        for child in children {
            let there = image.block(child.child);
            let node = extent::decode(Some(seed), there).unwrap();
            let mut ours = [0; BLOCK];
            encode(&node, &mut ours);
            assert_same_node(&ours, there, what, number);
            // What stands behind the entries counts too, so the tail is compared on the bytes that are there.
            let mut sealed = there.to_vec();
            sealed[BLOCK - 4..].fill(0);
            extent::seal(seed, &mut sealed);
            assert_eq!(differing(&sealed, there), [], "{what}, inode {number}");
            blocks += 1;
        }
    }
    assert!(blocks > 0, "{what}");
}

/// Compares header and entries: behind them stands what a node had before.
fn assert_same_node(ours: &[u8], theirs: &[u8], what: &str, number: u32) {
    let used = 12 + 12 * usize::from(u16::from_le_bytes([theirs[2], theirs[3]]));
    assert_eq!(ours[..used], theirs[..used], "{what}, inode {number}");
}

fn directories(what: &str, image: &Image) {
    let mut hashed = 0;
    let reader = Reader::open(image.bytes.clone()).unwrap();
    for (number, inode, seed) in image.inodes() {
        if inode.file_type() != Some(FileType::Directory) {
            continue;
        }
        let blocks = reader.extents(number).unwrap().into_iter().flat_map(|e| e.start..e.start + u64::from(e.len));
        let is_hashed = inode.flags & inode::flags::INDEX != 0;
        for (logical, block) in blocks.enumerate() {
            let there = image.block(block);
            if is_hashed && logical == 0 {
                let root: Root = htree::decode_root(Some(seed), there).unwrap();
                let parent = reader.find(number, b"..").unwrap().unwrap();
                let mut ours = [0; BLOCK];
                htree::encode_root(number, parent, &root, seed, &mut ours);
                // Behind the entries in use stands what the block had before, and the checksum covers some of it: that
                // it is computed alike, decoding has shown.
                let used = 0x20 + root.entries.len() * 8;
                assert_eq!(ours[..used], there[..used], "{what}, inode {number}");
                check_leaves(&reader, image, number, &root);
                hashed += 1;
            } else {
                dirent::verify_tail(seed, there).unwrap();
            }
        }
    }
    // mke2fs makes no hashed directories.
    assert!(hashed > 0 || what == "mke2fs", "{what}");
}

/// Every name stands in the leaf that its hash leads to.
fn check_leaves<S: Source>(reader: &Reader<S>, image: &Image, number: u32, root: &Root) {
    let hasher =
        htree::Hasher::for_directory(root.hash_version, image.superblock.flags & 2 != 0, &image.superblock.hash_seed);
    let hasher = hasher.unwrap();
    let extents = reader.extents(number).unwrap();
    for (at, entry) in root.entries.iter().enumerate() {
        let extent = extents.iter().rfind(|extent| extent.logical <= entry.block).unwrap();
        let block = image.block(extent.start + u64::from(entry.block - extent.logical));
        let end = root.entries.get(at + 1).map_or(u32::MAX, |next| next.hash | htree::CONTINUED);
        for name in dirent::entries(block) {
            let hash = hasher.hash(name.unwrap().name).major;
            assert!((entry.hash & !htree::CONTINUED..=end).contains(&hash));
        }
    }
}

fn attributes(what: &str, image: &Image) {
    let (mut bodies, mut blocks) = (0, 0);
    for (number, inode, _) in image.inodes() {
        let there = inode::body_xattrs(image.inode_bytes(number));
        let entries = xattr::decode_body(there).unwrap();
        if !entries.is_empty() {
            let mut ours = vec![0; there.len()];
            assert!(xattr::encode_body(&entries, &mut ours));
            assert_eq!(xattr::decode_body(&ours).unwrap(), entries, "{what}, inode {number}");
            // The order of entries is free here, and e2fsprogs gives empty values a place.
            if matches!(entries[..], [entry] if !entry.value.is_empty()) {
                assert_eq!(ours, there, "{what}, inode {number}");
            }
            bodies += 1;
        }
        if inode.file_acl != 0 {
            let there = image.block(inode.file_acl);
            let entries = xattr::decode_block(Some(image.seed), inode.file_acl, there).unwrap();
            let mut sorted = entries.clone();
            xattr::sort(&mut sorted);
            assert_eq!(sorted, entries, "{what}, inode {number}");
            let mut ours = vec![0; BLOCK];
            // The kernel lets inodes share equal blocks.
            let references = u32::from_le_bytes(there[4..8].try_into().unwrap());
            assert!(xattr::encode_block(&entries, references, &mut ours));
            // e2fsprogs leaves out h_hash, which only serves to find equal blocks.
            if there[0xC..0x10] == [0; 4] {
                assert_eq!(what, "mke2fs");
                ours[0xC..0x10].fill(0);
            }
            xattr::seal_block(image.seed, inode.file_acl, &mut ours);
            assert_eq!(differing(&ours, there), [], "{what}, inode {number}");
            blocks += 1;
        }
    }
    assert!(bodies > 3 && blocks > 0, "{what}: {bodies}, {blocks}");
}

fn journal(what: &str, image: &Image) {
    let (_, inode, _) = image.inodes().find(|(number, ..)| *number == image.superblock.journal_inode).unwrap();
    let Node::Leaf(extents) = extent::decode(None, &inode.block).unwrap() else { panic!("{what}") };
    let there = &image.block(extents[0].start)[..SUPERBLOCK_BYTES];
    let superblock = JournalSuperblock::decode(there).unwrap();
    let mut ours = [0; SUPERBLOCK_BYTES];
    superblock.encode(&mut ours);
    assert_eq!(differing(&ours, there), [], "{what}");
    if what == "mke2fs" {
        let blocks = (inode.size / BLOCK as u64) as u32;
        assert_eq!(superblock, JournalSuperblock::empty(BLOCK as u32, blocks, superblock.uuid));
    }
}
