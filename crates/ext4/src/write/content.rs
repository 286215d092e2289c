//! Takes the contents of files while they stream in.
//!
//! Contents are cut into blocks. A block of zeros is not stored: it becomes a hole in the file. The others get the next
//! number of the segment, whatever file they belong to, so that what is written is one unbroken stream: small files are
//! gathered in a staging buffer and leave it hundreds at a time; long runs of blocks in the caller's buffer are written
//! from there, together with what the staging buffer holds. Per file nothing is allocated and nothing asked of the system.

use super::image::{BLOCK, Image};
use super::segment::{Blocks, Contents, Extent, Segment};
use crate::Error;
use crate::spec::BLOCK_BYTES;
use crate::spec::extent::WRITTEN_MAX;

/// Bytes of the staging buffer: large enough for large writes, small enough to stay in a processor's cache.
const STAGING: usize = 512 << 10;
/// Runs of blocks of this many bytes are written from where they are; shorter ones cost less to copy.
const DIRECT: usize = 64 << 10;
/// The most bytes of a file: block numbers within it have 32 bits, and the last number is not used.
pub const MAX_FILE_SIZE: u64 = (u32::MAX as u64) * BLOCK;
/// The most blocks of a segment.
const MAX_SEGMENT: u64 = u32::MAX as u64;

/// Writes the contents of one segment.
///
/// Contents come one after the other, each as [`begin`](Self::begin), any number of [`write`](Self::write) and
/// [`skip`](Self::skip), [`finish`](Self::finish). They go to a segment file until [`place`](Self::place) tells where in
/// the image they belong, and then straight there. Which bytes come to stand where is the same whenever it is called.
#[derive(Debug)]
pub struct ContentWriter {
    contents: Contents,
    blocks: Blocks,
    /// What has not been written yet; a block that is not full yet stands at the end.
    staging: Vec<u8>,
    /// Bytes of the content so far; `None` between contents.
    /// Invariant: `position % BLOCK == staging.len() % BLOCK`.
    position: Option<u64>,
}

impl ContentWriter {
    pub(super) fn new(image: Image) -> Self {
        Self {
            contents: Contents::default(),
            blocks: Blocks::new(image),
            staging: Vec::with_capacity(STAGING),
            position: None,
        }
    }

    /// Begins a content.
    ///
    /// # Errors
    /// [`Error::Misuse`] if the one before is not finished.
    pub fn begin(&mut self) -> Result<(), Error> {
        if self.position.is_some() {
            return Err(Error::Misuse("a content is begun before the last is finished"));
        }
        self.position = Some(0);
        Ok(())
    }

    /// Appends bytes to the content.
    ///
    /// # Errors
    /// [`Error::FileTooLong`], [`Error::SegmentTooLong`], [`Error::Io`]; [`Error::Misuse`] if none is begun.
    pub fn write(&mut self, data: &[u8]) -> Result<(), Error> {
        self.check_room(data.len() as u64)?;
        let rest = self.fill_block(data)?;
        let (blocks, tail) = rest.as_chunks::<BLOCK_BYTES>();
        let mut done = 0;
        for run in blocks.chunk_by(|a, b| is_zero(a) == is_zero(b)) {
            if run.first().is_some_and(is_zero) {
                self.advance(run.as_flattened().len() as u64);
            } else {
                self.store(run.as_flattened())?;
            }
            done += run.len();
        }
        debug_assert_eq!(done, blocks.len(), "every block is stored or skipped");
        self.staging.extend_from_slice(tail);
        self.advance(tail.len() as u64);
        Ok(())
    }

    /// Appends `len` bytes of zeros to the content: a hole, as far as it covers whole blocks.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn skip(&mut self, len: u64) -> Result<(), Error> {
        const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
        self.check_room(len)?;
        let partial = self.staging.len() as u64 % BLOCK;
        let to_boundary = if partial == 0 { 0 } else { BLOCK - partial }.min(len);
        self.fill_block(zeros(&ZEROS, to_boundary))?;
        let rest = len - to_boundary;
        let tail = rest % BLOCK;
        self.advance(rest);
        self.staging.extend_from_slice(zeros(&ZEROS, tail));
        Ok(())
    }

    /// Ends the content. The result is its number in this segment, counted from 0.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn finish(&mut self) -> Result<u32, Error> {
        let size = self.position()?;
        let partial = self.staging.len() % BLOCK_BYTES;
        if partial != 0 {
            self.staging.resize(self.staging.len() + BLOCK_BYTES - partial, 0);
            self.close_block(size / BLOCK)?;
        }
        self.position = None;
        self.contents
            .close(size)
            .ok_or(Error::TooMany { what: "contents or extents in a segment", limit: u32::MAX.into() })
    }

    /// Tells where the segment belongs: its first block is linear block `base` of the image (see
    /// [`layout::geometry`](crate::layout::geometry)). What has been written before is moved there.
    ///
    /// # Errors
    /// [`Error::Misuse`] if it was called before; [`Error::Io`].
    pub fn place(&mut self, base: u64) -> Result<(), Error> {
        self.blocks.place(base)
    }

    /// Whether [`place`](Self::place) has been called.
    #[must_use]
    pub const fn is_placed(&self) -> bool {
        self.blocks.base().is_some()
    }

    /// Ends the segment.
    ///
    /// # Errors
    /// [`Error::Misuse`] if a content is not finished; [`Error::Io`].
    pub fn done(mut self) -> Result<Segment, Error> {
        if self.position.is_some() {
            return Err(Error::Misuse("a segment is ended before its last content"));
        }
        self.flush(&[])?;
        self.blocks.release();
        self.blocks.write_back(1);
        Ok(Segment { contents: self.contents, blocks: self.blocks })
    }

    fn position(&self) -> Result<u64, Error> {
        self.position.ok_or(Error::Misuse("a content is written before it is begun"))
    }

    fn advance(&mut self, len: u64) {
        if let Some(position) = &mut self.position {
            *position += len;
        }
    }

    fn check_room(&self, len: u64) -> Result<(), Error> {
        let size = self.position()?.saturating_add(len);
        if size > MAX_FILE_SIZE {
            return Err(Error::FileTooLong { size, limit: MAX_FILE_SIZE });
        }
        Ok(())
    }

    /// Completes the block that is not full with the first bytes of `data`, if there is one. The result is the rest.
    fn fill_block<'a>(&mut self, data: &'a [u8]) -> Result<&'a [u8], Error> {
        let partial = self.staging.len() % BLOCK_BYTES;
        if partial == 0 {
            return Ok(data);
        }
        let (head, rest) = data.split_at(data.len().min(BLOCK_BYTES - partial));
        self.staging.extend_from_slice(head);
        self.advance(head.len() as u64);
        if partial + head.len() == BLOCK_BYTES {
            self.close_block(self.position()? / BLOCK - 1)?;
        }
        Ok(rest)
    }

    /// Decides about the block at the end of the staging buffer, block `logical` of the content, which is full now.
    fn close_block(&mut self, logical: u64) -> Result<(), Error> {
        let start = self.staging.len() - BLOCK_BYTES;
        if self.staging.get(start..).is_some_and(is_zero) {
            self.staging.truncate(start);
            return Ok(());
        }
        let number = self.blocks.count() + start as u64 / BLOCK;
        self.number(logical, number, 1)?;
        if self.staging.len() == STAGING {
            self.flush(&[])?;
        }
        Ok(())
    }

    /// Stores whole blocks at the end of the content, which is at a block boundary.
    fn store(&mut self, mut run: &[u8]) -> Result<(), Error> {
        let number = self.blocks.count() + self.staging.len() as u64 / BLOCK;
        self.number(self.position()? / BLOCK, number, run.len() as u64 / BLOCK)?;
        self.advance(run.len() as u64);
        if run.len() >= DIRECT {
            return self.flush(run);
        }
        let room = STAGING - self.staging.len();
        if run.len() >= room {
            let (head, rest) = run.split_at(room);
            self.staging.extend_from_slice(head);
            self.flush(&[])?;
            run = rest;
        }
        self.staging.extend_from_slice(run);
        Ok(())
    }

    /// Enters `len` blocks from block `logical` of the content, which are those from `number` on of the segment.
    fn number(&mut self, logical: u64, number: u64, len: u64) -> Result<(), Error> {
        let too_long = Error::SegmentTooLong { limit: MAX_SEGMENT };
        if number + len > MAX_SEGMENT {
            return Err(too_long);
        }
        let (Ok(logical), Ok(start), Ok(len)) = (u32::try_from(logical), u32::try_from(number), u32::try_from(len))
        else {
            return Err(too_long);
        };
        let extent = Extent { logical, start, len };
        self.contents.add(extent, WRITTEN_MAX);
        Ok(())
    }

    /// Writes what is staged, and `run` after it: whole blocks both.
    fn flush(&mut self, run: &[u8]) -> Result<(), Error> {
        self.blocks.append([&self.staging, run])?;
        self.staging.clear();
        Ok(())
    }
}

/// The first `len` bytes of a block of zeros.
fn zeros(block: &[u8; BLOCK_BYTES], len: u64) -> &[u8] {
    usize::try_from(len).ok().and_then(|len| block.get(..len)).unwrap_or(block)
}

/// Whether all bytes are zero. Mostly the first few decide.
fn is_zero(block: impl AsRef<[u8]>) -> bool {
    let (chunks, rest) = block.as_ref().as_chunks::<64>();
    chunks.iter().all(|chunk| {
        let (words, _) = chunk.as_chunks::<8>();
        words.iter().fold(0, |any, word| any | u64::from_ne_bytes(*word)) == 0
    }) && rest.iter().all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    fn writer() -> (Image, ContentWriter) {
        let image = Image::new(tempfile::tempfile().unwrap(), std::env::temp_dir());
        let mut writer = image.content();
        writer.place(0).unwrap();
        (image, writer)
    }

    /// Bytes that differ, none of them zero.
    fn bytes(seed: usize, len: usize) -> Vec<u8> {
        (0..len).map(|i| ((i * 31 + i / 4096 + seed) % 255) as u8 + 1).collect()
    }

    /// A content as the image has it: the first head takes 257 blocks.
    fn read(image: &Image, segment: &Segment, index: u32) -> Vec<u8> {
        let (size, extents) = segment.contents.get(index).unwrap();
        let mut content = vec![0; size.next_multiple_of(BLOCK) as usize];
        for extent in extents {
            let start = extent.logical as usize * BLOCK_BYTES;
            let place = &mut content[start..start + extent.len as usize * BLOCK_BYTES];
            image.file().read_exact_at(place, (257 + u64::from(extent.start)) * BLOCK).unwrap();
        }
        assert!(content[size as usize..].iter().all(|&byte| byte == 0), "the end is padded with zeros");
        content.truncate(size as usize);
        content
    }

    #[test]
    fn contents_of_all_lengths_in_pieces_of_all_lengths_come_back() {
        let lengths =
            [0, 1, 4095, 4096, 4097, 8192, 60_000, 65_536, 70_000, STAGING - 1, STAGING, STAGING + 1, 3 * STAGING + 5];
        for piece in [1, 512, 4095, 4096, 5000, 65_536, 131_072, usize::MAX] {
            let (image, mut writer) = writer();
            let lengths = if piece == 1 { &lengths[..9] } else { &lengths[..] };
            for (seed, &len) in lengths.iter().enumerate() {
                writer.begin().unwrap();
                for part in bytes(seed, len).chunks(piece) {
                    writer.write(part).unwrap();
                }
                assert_eq!(writer.finish().unwrap() as usize, seed);
            }
            let segment = writer.done().unwrap();
            let blocks: usize = lengths.iter().map(|len| len.div_ceil(BLOCK_BYTES)).sum();
            assert_eq!(segment.blocks(), blocks as u64);
            for (seed, &len) in lengths.iter().enumerate() {
                let (_, extents) = segment.contents.get(seed as u32).unwrap();
                assert!(extents.len() <= 1, "consecutive blocks are one extent: {extents:?}");
                assert!(read(&image, &segment, seed as u32) == bytes(seed, len), "{len} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn blocks_of_zeros_are_holes_wherever_they_come_from() {
        // Blocks of the file that hold something, and whether the others are written as zeros or skipped.
        for (present, skip, piece) in [
            (vec![1, 2, 5], false, 700),
            (vec![1, 2, 5], true, 700),
            (vec![0, 40], true, 5000),
            (vec![0, 40], false, 1 << 20),
            (vec![], false, 4096),
        ] {
            let (image, mut writer) = writer();
            let mut expected = Vec::new();
            writer.begin().unwrap();
            for block in 0..50 {
                // One byte is enough, the first or the last.
                let mut data = vec![0; BLOCK_BYTES];
                if present.contains(&block) {
                    data[if block % 2 == 0 { 0 } else { BLOCK_BYTES - 1 }] = 1;
                }
                if skip && !present.contains(&block) {
                    writer.skip(1000).unwrap();
                    writer.skip(3096).unwrap();
                } else {
                    data.chunks(piece).for_each(|part| writer.write(part).unwrap());
                }
                expected.extend(data);
            }
            // An end that is no whole block, of zeros too.
            writer.write(&[0; 100]).unwrap();
            expected.extend([0; 100]);
            let index = writer.finish().unwrap();
            let segment = writer.done().unwrap();
            assert_eq!(segment.blocks(), present.len() as u64);
            assert!(read(&image, &segment, index) == expected);
        }
    }

    #[test]
    fn a_hole_may_begin_and_end_within_a_block() {
        let (image, mut writer) = writer();
        let mut expected = Vec::new();
        writer.begin().unwrap();
        for (data, hole) in [(10, 5), (100, 4096), (4096, 20_000), (1, 8191), (3, 0), (0, 4095)] {
            let data = bytes(data, data);
            writer.write(&data).unwrap();
            writer.skip(hole).unwrap();
            expected.extend(data);
            expected.resize(expected.len() + hole as usize, 0);
        }
        writer.finish().unwrap();
        let segment = writer.done().unwrap();
        assert!(read(&image, &segment, 0) == expected);
    }

    #[test]
    fn small_contents_are_few_writes() {
        // Offsets show it: after 10,000 contents all but the last buffer is written, and nothing was per file.
        let (_, mut writer) = writer();
        for seed in 0..10_000 {
            writer.begin().unwrap();
            writer.write(&bytes(seed, 100)).unwrap();
            writer.finish().unwrap();
            assert_eq!(writer.blocks.count() % (STAGING / BLOCK_BYTES) as u64, 0, "only full buffers are written");
        }
    }

    #[test]
    fn longest_files_and_segments_are_limited() {
        let (_, mut writer) = writer();
        writer.begin().unwrap();
        writer.skip(MAX_FILE_SIZE).unwrap();
        assert!(matches!(writer.skip(u64::MAX), Err(Error::FileTooLong { .. })));
        assert!(matches!(writer.write(&[1]), Err(Error::FileTooLong { .. })));
        writer.finish().unwrap();
        writer.begin().unwrap();
        assert!(matches!(writer.number(0, MAX_SEGMENT, 1), Err(Error::SegmentTooLong { .. })));
    }
}
