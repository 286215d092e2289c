//! The content of files and the targets of symbolic links.

use std::io::Write;

use super::inode::Loaded;
use super::{Error, Reader, Source};
use crate::spec::inode::flags;
use crate::spec::{FAST_SYMLINK_MAX, FileType};

/// Bytes that are read at once when a file is copied.
const COPY_BYTES: usize = 256 << 10;

impl<S: Source> Reader<S> {
    /// Reads from file `number` at `offset`, and returns the number of bytes that `buf` now begins with: as many as it
    /// has room for, or as there are to the end of the file. Holes read as zeros.
    ///
    /// # Errors
    /// [`Error`] if it is no regular file, if it or its extent tree is damaged, or if its content cannot be read.
    pub fn read_at(&self, number: u32, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        self.read_loaded(&self.load_file(number)?, offset, buf)
    }

    /// Writes the content of file `number` to `out`, and returns the number of bytes: its size. Holes are written as
    /// zeros.
    ///
    /// # Errors
    /// As for [`read_at`](Self::read_at), and [`Error::Write`] if `out` does not take the bytes.
    pub fn copy_to(&self, number: u32, out: &mut dyn Write) -> Result<u64, Error> {
        let loaded = self.load_file(number)?;
        let size = usize::try_from(loaded.inode.size).unwrap_or(usize::MAX);
        let mut buf = vec![0; size.min(COPY_BYTES)];
        let mut done = 0_u64;
        while done < loaded.inode.size {
            let len = self.read_loaded(&loaded, done, &mut buf)?;
            let bytes = buf.get(..len).unwrap_or(&[]);
            if bytes.is_empty() {
                break;
            }
            out.write_all(bytes).map_err(|source| Error::Write { inode: number, source })?;
            done = done.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        }
        Ok(done)
    }

    /// The target of symbolic link `number`.
    ///
    /// # Errors
    /// [`Error`] if it is no symbolic link, or if it or its extent tree is damaged.
    pub fn read_link(&self, number: u32) -> Result<Vec<u8>, Error> {
        let loaded = self.load(number)?;
        if loaded.file_type != FileType::Symlink {
            return Err(Error::Type { inode: number, want: "symbolic link" });
        }
        refuse_encrypted(&loaded)?;
        let size = usize::try_from(loaded.inode.size).unwrap_or(usize::MAX);
        if size == 0 || loaded.inode.size >= self.block_size() {
            return Err(loaded.error("its target is empty or longer than a block"));
        }
        if size <= FAST_SYMLINK_MAX && !loaded.has_flag(flags::EXTENTS | flags::INLINE_DATA) {
            return Ok(loaded.inode.block.get(..size).unwrap_or(&[]).to_vec());
        }
        let mut target = vec![0; size];
        self.read_loaded(&loaded, 0, &mut target)?;
        Ok(target)
    }

    fn load_file(&self, number: u32) -> Result<Loaded, Error> {
        let loaded = self.load(number)?;
        if loaded.file_type != FileType::Regular {
            return Err(Error::Type { inode: number, want: "regular file" });
        }
        refuse_encrypted(&loaded)?;
        Ok(loaded)
    }

    fn read_loaded(&self, loaded: &Loaded, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let rest = usize::try_from(loaded.inode.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let want = buf.len().min(rest);
        let mut todo = buf.get_mut(..want).unwrap_or_default();
        let mut at = offset;
        while !todo.is_empty() {
            let logical = at.checked_div(self.block_size()).unwrap_or(0);
            let skip = at.checked_rem(self.block_size()).unwrap_or(0);
            let Ok(logical) = u32::try_from(logical) else {
                return Err(loaded.error("it is longer than a file can be"));
            };
            let run = self.run_at(loaded, logical)?;
            let bytes = run.len.saturating_mul(self.block_size()).saturating_sub(skip);
            let len = todo.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
            let (part, after) = todo.split_at_mut_checked(len).unwrap_or_default();
            match run.start {
                Some(start) => self.blocks.read_bytes(part, start, skip)?,
                None => part.fill(0),
            }
            at = at.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
            todo = after;
        }
        Ok(want)
    }
}

fn refuse_encrypted(loaded: &Loaded) -> Result<(), Error> {
    if loaded.has_flag(flags::ENCRYPT) { Err(loaded.unsupported("encrypted content")) } else { Ok(()) }
}
