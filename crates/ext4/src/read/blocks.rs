//! Blocks of an image, from a source of bytes, with a small cache.
//!
//! Metadata is read block by block through the cache; the content of files passes it by.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use super::Error;
use crate::spec::Superblock;

/// Bytes of blocks that are kept. A walk goes by names, but inode tables by the order in which files were made: with
/// 1 MiB a walk over 130,000 files takes three times as long, with 8 MiB no less time.
const CACHE_BYTES: usize = 4 << 20;

/// Bytes that can be read at any place: a file, a device, or memory.
pub trait Source {
    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if there are not as many; whatever the system says otherwise.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;

    /// Number of bytes.
    ///
    /// # Errors
    /// Whatever the system says.
    fn size(&self) -> io::Result<u64>;
}

impl Source for File {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        let metadata = self.metadata()?;
        if metadata.is_file() {
            return Ok(metadata.len());
        }
        // The length of a block device is where its end is.
        let mut file = self;
        file.seek(SeekFrom::End(0))
    }
}

impl Source for Vec<u8> {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = self.get(start..).and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.len()).unwrap_or(u64::MAX))
    }
}

/// The blocks of a file system.
#[derive(Debug)]
pub(super) struct Blocks<S> {
    source: S,
    /// Bytes of a block.
    size: u32,
    /// The first block that exists, and the one after the last.
    first: u64,
    end: u64,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    blocks: BTreeMap<u64, Arc<[u8]>>,
    /// The order in which blocks came, to drop the oldest.
    order: VecDeque<u64>,
}

impl<S: Source> Blocks<S> {
    pub(super) fn new(source: S, superblock: &Superblock) -> Self {
        Self {
            source,
            size: superblock.block_size(),
            first: superblock.first_data_block.into(),
            end: superblock.blocks_count,
            cache: Mutex::default(),
        }
    }

    /// Refuses blocks that do not exist. Block 0 does not, for what refers to others. `inode` is the inode that does.
    pub(super) fn check(&self, start: u64, len: u64, inode: Option<u32>) -> Result<(), Error> {
        let end = start.saturating_add(len);
        if start > self.first && end <= self.end {
            return Ok(());
        }
        let block = if start > self.first { end.saturating_sub(1) } else { start };
        Err(Error::NoBlock { block, count: self.end, inode })
    }

    /// The block `number`, on behalf of `inode`.
    pub(super) fn get(&self, number: u64, inode: Option<u32>) -> Result<Arc<[u8]>, Error> {
        self.check(number, 1, inode)?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = cache.blocks.get(&number) {
            return Ok(Arc::clone(block));
        }
        let bytes = usize::try_from(self.size).unwrap_or(usize::MAX);
        let mut block = vec![0; bytes];
        self.read_bytes(&mut block, number, 0)?;
        let block: Arc<[u8]> = block.into();
        let is_full = cache.order.len() >= CACHE_BYTES.checked_div(bytes).unwrap_or(0);
        if let Some(oldest) = cache.order.pop_front_if(|_| is_full) {
            cache.blocks.remove(&oldest);
        }
        cache.order.push_back(number);
        cache.blocks.insert(number, Arc::clone(&block));
        Ok(block)
    }

    /// Fills `buf` with what stands `skip` bytes after the begin of block `number`. The blocks must exist.
    pub(super) fn read_bytes(&self, buf: &mut [u8], number: u64, skip: u64) -> Result<(), Error> {
        let offset = number.saturating_mul(self.size.into()).saturating_add(skip);
        self.source.read_exact_at(buf, offset).map_err(|source| Error::Io { offset, source })
    }
}
