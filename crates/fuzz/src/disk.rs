//! ext4 images under `ls`, `cat` and `stat`.
//!
//! - Everything that can be asked of an image is answered, or refused with an error, after work that its size bounds.

use banger_ext4::read::{LastLink, Reader};
use banger_ext4::spec::FileType;

use crate::check_messages;

/// Bytes of one file's content that are looked at: a sparse file may claim to be much larger than its image.
const CONTENT_BYTES: u64 = 1 << 20;

/// Inodes that are looked at by their number, whether a name leads to them or not.
const NUMBERS: u32 = 64;

/// Reads all that there is.
pub fn check(data: &[u8]) {
    let reader = match Reader::open(data.to_vec()) {
        Ok(reader) => reader,
        Err(error) => return check_messages(&error),
    };
    let mut buffer = vec![0; 16 << 10];
    for entry in reader.walk(2) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                check_messages(&error);
                continue;
            }
        };
        let (number, size) = (entry.stat.number, entry.stat.size);
        let _ = reader.xattrs(number);
        let _ = reader.lookup(&entry.path, LastLink::Follow);
        match entry.stat.file_type {
            FileType::Regular => {
                let _ = reader.extents(number);
                let _ = reader.read_at(number, size.saturating_sub(10), &mut buffer);
                let mut offset = 0;
                while offset < size.min(CONTENT_BYTES) {
                    let Ok(count @ 1..) = reader.read_at(number, offset, &mut buffer) else { break };
                    assert!(count as u64 <= size - offset, "more than there is");
                    offset += count as u64;
                }
            }
            FileType::Symlink => drop(reader.read_link(number)),
            FileType::Directory => {
                let _ = reader.find(number, b"absent");
                let _ = reader.read_dir(number);
            }
            _ => {}
        }
    }
    for number in 0..=reader.superblock().inodes_count.min(NUMBERS) {
        let _ = reader.stat(number);
    }
}
