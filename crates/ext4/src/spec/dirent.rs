//! Linear directory blocks: names and the inodes that they mean.
//!
//! <https://docs.kernel.org/filesystems/ext4/dynamic.html#linear-classic-directories>. A block is filled with records
//! from its first to its last byte; the last record reaches up to the checksum, which looks like an unused record of
//! 12 bytes. The leaves of hashed directories are such blocks too.

use super::bytes::{get8, get16, get32, put, put8, put16, put32};
use super::{FileType, NAME_MAX, Seed, SpecError, checksum, verify};

const NAME: &str = "directory block";

/// Bytes of the checksum record at the end of a block.
pub const TAIL_BYTES: usize = 12;
/// `det_reserved_ft`: the file type of the checksum record.
const TAIL_CODE: u8 = 0xDE;
/// Bytes of a record before the name.
const HEADER_BYTES: usize = 8;
/// Records begin at multiples of this.
const ALIGNMENT: usize = 4;
/// From this block size on, `rec_len` has two more bits in its low end.
const WIDE_BLOCK_BYTES: usize = 65536;

/// Bytes that the record of a name of `name_len` bytes needs at least.
#[must_use]
pub const fn record_bytes(name_len: usize) -> usize {
    name_len.saturating_add(HEADER_BYTES).next_multiple_of(ALIGNMENT)
}

/// A name in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirEntry<'a> {
    /// `inode`: the inode's number, never 0.
    pub inode: u32,
    /// `file_type`, where the entry says one.
    pub file_type: Option<FileType>,
    /// `name`: 1 to 255 bytes; not checked for `/` and NUL.
    pub name: &'a [u8],
}

/// Fills a block with entries, in the order in which they come.
#[derive(Debug)]
pub struct BlockBuilder<'a> {
    block: &'a mut [u8],
    /// Where the last record begins.
    last: usize,
    /// Where the next one would.
    end: usize,
}

impl<'a> BlockBuilder<'a> {
    /// Begins a block, all of `block`.
    pub fn new(block: &'a mut [u8]) -> Self {
        block.fill(0);
        Self { block, last: 0, end: 0 }
    }

    /// Adds an entry and says whether there was room for it. `.` and `..` are entries like others, and come first.
    ///
    /// `name` has 1 to 255 bytes.
    #[must_use]
    pub fn push(&mut self, inode: u32, file_type: FileType, name: &[u8]) -> bool {
        debug_assert!((1..=NAME_MAX).contains(&name.len()), "a name of {} bytes", name.len());
        let Some(next) = self.end.checked_add(record_bytes(name.len())) else {
            return false;
        };
        if next > self.limit() {
            return false;
        }
        self.last = self.end;
        self.end = next;
        let Some(record) = self.block.get_mut(self.last..next) else {
            return false;
        };
        put32(record, 0, inode);
        put16(record, 4, record_len(record.len()));
        put8(record, 6, u8::try_from(name.len()).unwrap_or(u8::MAX));
        put8(record, 7, file_type.entry_code());
        put(record, HEADER_BYTES, name);
        true
    }

    /// Where the checksum record begins.
    fn limit(&self) -> usize {
        self.block.len().saturating_sub(TAIL_BYTES)
    }

    /// Stretches the last record to the end and writes the checksum. A block without entries holds one unused record.
    /// `seed` is the directory's.
    pub fn finish(self, seed: Seed) {
        let limit = self.limit();
        put16(self.block, self.last.saturating_add(4), record_len(limit.saturating_sub(self.last)));
        put16(self.block, limit.saturating_add(4), record_len(TAIL_BYTES));
        put8(self.block, limit.saturating_add(7), TAIL_CODE);
        let sum = checksum::directory_block(seed, self.block.get(..limit).unwrap_or(&[]));
        put32(self.block, limit.saturating_add(8), sum);
    }
}

/// `rec_len` of a record of `bytes` bytes, in blocks below 64 KiB.
pub(super) fn record_len(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

/// Whether the block ends in a checksum record.
#[must_use]
pub fn has_tail(block: &[u8]) -> bool {
    let tail = block.len().checked_sub(TAIL_BYTES).and_then(|at| block.get(at..));
    tail.is_some_and(|tail| {
        get32(tail, 0) == 0
            && usize::from(get16(tail, 4)) == TAIL_BYTES
            && get8(tail, 6) == 0
            && get8(tail, 7) == TAIL_CODE
    })
}

/// Checks the checksum at the end of a linear block. `seed` is the directory's.
///
/// # Errors
/// [`SpecError`] if the checksum is wrong or there is none.
pub fn verify_tail(seed: Seed, block: &[u8]) -> Result<(), SpecError> {
    let limit = block.len().saturating_sub(TAIL_BYTES);
    if !has_tail(block) {
        let code = get8(block, limit.saturating_add(7));
        return Err(SpecError::value(NAME, "det_reserved_ft", code, "no checksum at the end"));
    }
    let computed = checksum::directory_block(seed, block.get(..limit).unwrap_or(&[]));
    verify(NAME, get32(block, limit.saturating_add(8)), computed)
}

/// The entries in use of a linear block, in the order in which they stand; `.` and `..` are among them.
/// After an error there is nothing more.
///
/// The inner blocks of a hashed directory read as blocks without entries, and its root as one with `.` and `..`.
#[must_use]
pub fn entries(block: &[u8]) -> Entries<'_> {
    Entries { block, at: 0 }
}

/// See [`entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    block: &'a [u8],
    at: usize,
}

impl<'a> Entries<'a> {
    fn record(&mut self) -> Result<Option<DirEntry<'a>>, SpecError> {
        let rest = self.block.get(self.at..).unwrap_or(&[]);
        // What stands there until the record's length is known to be right is as good as nothing.
        let at = std::mem::replace(&mut self.at, usize::MAX);
        let field = get16(rest, 4);
        let len = if self.block.len() < WIDE_BLOCK_BYTES {
            usize::from(field)
        } else if field == 0 || field == u16::MAX {
            self.block.len()
        } else {
            usize::from(field & !3) | (usize::from(field & 3) << 16)
        };
        let name_len = usize::from(get8(rest, 6));
        let Some(record) = rest.get(..len) else {
            return Err(SpecError::value(NAME, "rec_len", field, "beyond the end of the block"));
        };
        if !len.is_multiple_of(ALIGNMENT) || len < record_bytes(1) {
            return Err(SpecError::value(NAME, "rec_len", field, "not a length that a record has"));
        }
        let inode = get32(record, 0);
        self.at = at.saturating_add(len);
        if inode == 0 {
            return Ok(None);
        }
        let name = record.get(HEADER_BYTES..).and_then(|room| room.get(..name_len));
        match name {
            Some(name @ [_, ..]) => {
                Ok(Some(DirEntry { inode, file_type: FileType::from_entry_code(get8(record, 7)), name }))
            }
            _ => {
                self.at = usize::MAX;
                Err(SpecError::value(NAME, "name_len", get8(record, 6), "no name that fits in the record"))
            }
        }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<DirEntry<'a>, SpecError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.block.len() {
            if let Some(item) = self.record().transpose() {
                return Some(item);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Listed = Vec<(u32, Option<FileType>, Vec<u8>)>;

    fn list(block: &[u8]) -> Result<Listed, SpecError> {
        entries(block).map(|entry| entry.map(|e| (e.inode, e.file_type, e.name.to_vec()))).collect()
    }

    #[test]
    fn a_full_block_survives_encoding() {
        let seed = Seed::from_raw(3);
        let mut block = vec![0xAA; 1024];
        let mut builder = BlockBuilder::new(&mut block);
        let mut want = Listed::new();
        for number in 1.. {
            let name = format!("name-{}", "x".repeat(number as usize)).into_bytes();
            if !builder.push(number, FileType::Symlink, &name) {
                break;
            }
            want.push((number, Some(FileType::Symlink), name));
        }
        builder.finish(seed);
        assert!(want.len() > 20);
        assert_eq!(list(&block).unwrap(), want);
        verify_tail(seed, &block).unwrap();
        assert!(verify_tail(Seed::from_raw(4), &block).is_err());
        block[8] ^= 1;
        assert!(matches!(verify_tail(seed, &block), Err(SpecError::Checksum { .. })));
    }

    #[test]
    fn the_last_byte_before_the_tail_can_be_used() {
        let mut block = vec![0; 1024];
        let mut builder = BlockBuilder::new(&mut block);
        for number in 1..=4 {
            let len = if number == 4 { 1012 - 3 * 256 - 8 } else { 248 };
            assert!(builder.push(number, FileType::Regular, &vec![b'n'; len]));
        }
        assert!(!builder.push(9, FileType::Regular, b"a"));
        builder.finish(Seed::from_raw(0));
        assert_eq!(list(&block).unwrap().len(), 4);
    }

    #[test]
    fn an_empty_block_has_no_entries() {
        let mut block = vec![0xAA; 4096];
        BlockBuilder::new(&mut block).finish(Seed::from_raw(0));
        assert_eq!(list(&block).unwrap(), []);
        assert_eq!(&block[..8], [0, 0, 0, 0, 0xF4, 0x0F, 0, 0]);
        assert!(has_tail(&block));
        assert!(!has_tail(&[0; 4096]));
        assert!(!has_tail(&[]));
    }

    #[test]
    fn broken_records_end_the_list() {
        let cases: [(&str, [u8; 12]); 5] = [
            ("length 0", [1, 0, 0, 0, 0, 0, 1, 1, b'a', 0, 0, 0]),
            ("length 8", [1, 0, 0, 0, 8, 0, 1, 1, b'a', 0, 0, 0]),
            ("length 13", [1, 0, 0, 0, 13, 0, 1, 1, b'a', 0, 0, 0]),
            ("no name", [1, 0, 0, 0, 12, 0, 0, 1, b'a', 0, 0, 0]),
            ("name too long", [1, 0, 0, 0, 12, 0, 5, 1, b'a', 0, 0, 0]),
        ];
        for (what, block) in cases {
            let mut all = entries(&block);
            assert!(all.next().is_some_and(|entry| entry.is_err()), "{what}");
            assert!(all.next().is_none(), "{what}");
        }
    }

    #[test]
    fn a_block_of_64_kib_has_one_record() {
        let mut block = vec![0; 65536];
        block[0] = 7;
        block[6] = 1;
        block[8] = b'a';
        for field in [[0, 0], [0xFF, 0xFF]] {
            block[4..6].copy_from_slice(&field);
            assert_eq!(list(&block).unwrap(), [(7, None, b"a".to_vec())]);
        }
    }
}
