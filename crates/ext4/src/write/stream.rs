//! Writes blocks of metadata in large pieces.

use super::image::{BLOCK, Image};
use crate::Error;
use crate::layout::size::INODES_PER_BLOCK;
use crate::spec::{BLOCK_BYTES, INODE_BYTES};

/// Bytes that are gathered before they are written.
const BUFFER: usize = 1 << 20;

/// Gathers blocks that stand one after the other, and writes them together.
#[derive(Debug)]
pub(super) struct BlockStream<'a> {
    image: &'a Image,
    /// Whole blocks, which begin at block `start` of the image.
    buffer: Vec<u8>,
    start: u64,
}

impl<'a> BlockStream<'a> {
    pub(super) fn new(image: &'a Image) -> Self {
        Self { image, buffer: Vec::with_capacity(BUFFER), start: 0 }
    }

    /// The bytes of block `number`, zeros so far, which is best the one after the last. It is written at some later
    /// time.
    pub(super) fn block(&mut self, number: u64) -> Result<&mut [u8; BLOCK_BYTES], Error> {
        let next = self.start + self.buffer.len() as u64 / BLOCK;
        if number != next || self.buffer.len() >= BUFFER {
            self.flush()?;
            self.start = number;
        }
        self.buffer.resize(self.buffer.len() + BLOCK_BYTES, 0);
        self.last()
    }

    /// The bytes of the block that was asked for last.
    fn last(&mut self) -> Result<&mut [u8; BLOCK_BYTES], Error> {
        self.buffer.last_chunk_mut().ok_or(Error::Misuse("no block has been begun"))
    }

    /// Writes what has been gathered.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.image.write_blocks(self.start, [&self.buffer, &[]])?;
        self.buffer.clear();
        Ok(())
    }
}

/// Writes inodes in the order of their numbers.
#[derive(Debug)]
pub(super) struct InodeStream<'a> {
    blocks: BlockStream<'a>,
    /// First blocks of the inode tables.
    tables: &'a [u64],
    per_group: u64,
    /// The block that the last inode is in.
    current: u64,
}

impl<'a> InodeStream<'a> {
    pub(super) fn new(image: &'a Image, tables: &'a [u64], per_group: u64) -> Self {
        Self { blocks: BlockStream::new(image), tables, per_group, current: 0 }
    }

    /// The bytes of inode `number` (from 1), which is higher than that of the last.
    pub(super) fn inode(&mut self, number: u32) -> Result<&mut [u8; INODE_BYTES], Error> {
        const MISSING: Error = Error::Misuse("an inode is written that has no place");
        let index = u64::from(number) - 1;
        let (group, in_group) = (index / self.per_group, index % self.per_group);
        let table = usize::try_from(group).ok().and_then(|group| self.tables.get(group)).ok_or(MISSING)?;
        let block = table + in_group / INODES_PER_BLOCK;
        let bytes = if block == self.current { self.blocks.last()? } else { self.blocks.block(block)? };
        self.current = block;
        let (inodes, _) = bytes.as_chunks_mut::<INODE_BYTES>();
        usize::try_from(in_group % INODES_PER_BLOCK).ok().and_then(|at| inodes.get_mut(at)).ok_or(MISSING)
    }

    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.blocks.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    fn image() -> Image {
        Image::new(tempfile::tempfile().unwrap(), "/nonexistent")
    }

    #[test]
    fn blocks_reach_their_places() {
        let image = image();
        let mut stream = BlockStream::new(&image);
        for number in (3..600).chain([1, 700]) {
            stream.block(number).unwrap().fill((number % 251) as u8);
        }
        stream.flush().unwrap();
        let mut block = [0; BLOCK_BYTES];
        for number in (3..600).chain([1, 700]) {
            image.file().read_exact_at(&mut block, number * BLOCK).unwrap();
            assert_eq!(block, [(number % 251) as u8; BLOCK_BYTES], "block {number}");
        }
        image.file().read_exact_at(&mut block, 2 * BLOCK).unwrap();
        assert_eq!(block, [0; BLOCK_BYTES]);
    }

    #[test]
    fn inodes_reach_their_tables() {
        let image = image();
        let mut stream = InodeStream::new(&image, &[10, 5], 32);
        for number in [1, 2, 17, 32, 33, 64] {
            stream.inode(number).unwrap().fill(number as u8);
        }
        assert!(stream.inode(65).is_err());
        stream.flush().unwrap();
        for (number, at) in
            [(1, 10 * 4096), (2, 10 * 4096 + 256), (17, 11 * 4096), (33, 5 * 4096), (64, 7 * 4096 - 256)]
        {
            let mut inode = [0; INODE_BYTES];
            image.file().read_exact_at(&mut inode, at).unwrap();
            assert_eq!(inode, [number; INODE_BYTES], "inode {number}");
        }
    }
}
