//! Property tests: decoding takes any bytes, and gives back what was encoded.

use banger_ext4::read::{Reader, Source};
use banger_ext4::spec::extent::{Extent, Node};
use banger_ext4::spec::xattr::XattrEntry;
use banger_ext4::spec::{
    GroupDescriptor, Inode, Seed, Superblock, Timestamp, acl, dirent, extent, htree, inode, journal, xattr,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Bytes that begin as a structure might, so that more than the magic number is looked at.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let begin = prop_oneof![
        Just(vec![]),
        Just(vec![0x0A, 0xF3]),
        Just(vec![0x0A, 0xF3, 3, 0, 4, 0, 0, 0]),
        Just(vec![0x0A, 0xF3, 3, 0, 4, 0, 1, 0]),
        Just(vec![0, 0, 2, 0xEA, 1, 0, 0, 0, 1, 0, 0, 0]),
        Just(vec![1, 0, 0, 0]),
        Just(vec![2, 0, 0, 0]),
        Just(vec![0xC0, 0x3B, 0x39, 0x98, 0, 0, 0, 4]),
    ];
    // Small numbers are more likely to be taken for lengths that fit.
    let byte = prop_oneof![4 => 0..20_u8, 1 => any::<u8>()];
    (begin, vec(byte, 0..1200)).prop_map(|(begin, rest)| [begin, rest].concat())
}

proptest! {
    #[test]
    fn decoding_takes_any_bytes(bytes in bytes(), seed in any::<bool>()) {
        let seed = seed.then(|| Seed::from_raw(1));
        let _ = Superblock::decode(&bytes);
        let _ = GroupDescriptor::decode(seed, 1, &bytes);
        let _ = Inode::decode(seed, 12, &bytes);
        let _ = inode::body_xattrs(&bytes);
        let _ = extent::decode(seed, &bytes);
        let _ = htree::decode_root(seed, &bytes);
        let _ = htree::decode_node(seed, &bytes);
        let _ = htree::is_node(&bytes);
        let _ = journal::JournalSuperblock::decode(&bytes);
        let _ = xattr::decode_body(&bytes);
        let _ = xattr::decode_block(seed, 5, &bytes);
        let _ = xattr::split_name(&bytes);
        let _ = acl::to_disk(&bytes);
        let _ = acl::from_disk(&bytes);
        let _ = dirent::verify_tail(Seed::from_raw(1), &bytes);
        let entries = dirent::entries(&bytes).count();
        prop_assert!(entries <= bytes.len() / 12 + 1);
    }

    #[test]
    fn a_superblock_of_any_bytes_opens_or_does_not(mut image in vec(any::<u8>(), 4096), log in 0..7_u8) {
        image[1024 + 0x38..][..2].copy_from_slice(&[0x53, 0xEF]);
        image[1024 + 0x18..][..4].copy_from_slice(&[log, 0, 0, 0]);
        // No checksum, no feature that is not known.
        image[1024 + 0x60..][..8].copy_from_slice(&[0x42, 0, 0, 0, 0, 0, 0, 0]);
        let _ = Superblock::decode(&image[1024..]).map(|s| (s.group_count(), s.block_size(), s.seed()));
        let _ = Reader::open(Endless(image)).map(|reader| {
            for number in 0..50 {
                let _ = reader.stat(number);
            }
            reader.walk(2).take(50).count()
        });
    }

    #[test]
    fn inodes_survive(
        numbers in any::<(u16, u32, u32, u64, u16, u32)>(),
        block in any::<[[u8; 20]; 3]>(),
        seconds in Timestamp::MIN_SECONDS..=Timestamp::MAX_SECONDS,
        nanoseconds in 0..1_000_000_000_u32,
    ) {
        let (mode, uid, gid, size, links, generation) = numbers;
        let time = Timestamp { seconds, nanoseconds };
        let mut inode = Inode { mode, uid, gid, size, links, generation, mtime: time, crtime: time, ..Inode::default() };
        inode.block.copy_from_slice(block.as_flattened());
        let seed = Seed::filesystem(&[3; 16]);
        let mut bytes = [0; 256];
        inode.encode(seed.inode(99, generation), &[], &mut bytes);
        prop_assert_eq!(Inode::decode(Some(seed), 99, &bytes), Ok(inode));
    }

    #[test]
    fn extents_survive(gaps in vec((0..5000_u32, 1..=32767_u32, 0..1_u64 << 48, any::<bool>()), 0..84)) {
        let mut logical = 0;
        let extents: Vec<Extent> = gaps.into_iter().map(|(gap, len, start, unwritten)| {
            let extent = Extent { logical: logical + gap, len, start, unwritten };
            logical += gap + len;
            extent
        }).collect();
        let mut block = [0xAA; 1024];
        extent::encode_leaf(&extents, &mut block);
        extent::seal(Seed::from_raw(1), &mut block);
        prop_assert_eq!(extent::decode(Some(Seed::from_raw(1)), &block), Ok(Node::Leaf(extents)));
    }

    #[test]
    fn xattrs_survive(pairs in vec((vec(any::<u8>(), 1..60), vec(any::<u8>(), 0..100)), 0..8)) {
        let mut entries: Vec<XattrEntry<'_>> =
            pairs.iter().map(|(name, value)| XattrEntry { index: 1, name, value }).collect();
        xattr::sort(&mut entries);
        let mut block = [0xAA; 1024];
        let fits = xattr::block_bytes(&entries) <= 1024;
        prop_assert_eq!(xattr::encode_block(&entries, 1, &mut block), fits);
        if fits && !entries.is_empty() {
            prop_assert_eq!(xattr::decode_block(None, 0, &block), Ok(entries.clone()));
        }
        let mut body = [0xAA; 96];
        let fits = xattr::body_bytes(&entries) <= 96;
        prop_assert_eq!(xattr::encode_body(&entries, &mut body), fits);
        if fits {
            prop_assert_eq!(xattr::decode_body(&body), Ok(entries));
        }
    }
}

/// An image that repeats for ever.
struct Endless(Vec<u8>);

impl Source for Endless {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<()> {
        for (at, byte) in (offset..).zip(buf) {
            *byte = self.0[(at % self.0.len() as u64) as usize];
        }
        Ok(())
    }

    fn size(&self) -> std::io::Result<u64> {
        Ok(u64::MAX)
    }
}
