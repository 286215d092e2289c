//! Sparse files: where a file has data, and a writer that leaves holes where zeros are.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// Bytes of the blocks that are data or holes: what file systems have them in.
pub const BLOCK: usize = 4096;

static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Whether all bytes are zeros.
pub fn is_zero(bytes: &[u8]) -> bool {
    // Comparing slices is one call of the C library's, which takes the widest registers that there are.
    bytes.chunks(BLOCK).all(|chunk| ZEROS.get(..chunk.len()) == Some(chunk))
}

/// What of `range` of a file may be other than zeros, in order: the rest are holes. Where the file system knows no holes, it is
/// all of it.
///
/// The position of the file changes: read from it by offsets. Somebody who writes to the file meanwhile is not waited for.
pub fn data(file: &File, range: Range<u64>) -> Extents<'_> {
    Extents { file, rest: range }
}

/// Goes through the data of a file: see [`data`].
#[derive(Debug)]
pub struct Extents<'f> {
    file: &'f File,
    /// What is still to be looked through.
    rest: Range<u64>,
}

impl Extents<'_> {
    fn find(&mut self) -> io::Result<Option<Range<u64>>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let start = match rustix::fs::seek(self.file, SeekFrom::Data(self.rest.start)) {
            // The file has become longer meanwhile, or there is a hole up to the end of the range.
            Ok(start) if start >= self.rest.end => return Ok(None),
            Ok(start) => start.max(self.rest.start),
            Err(Errno::NXIO) => return Ok(None),
            Err(error) if is_unknown(error) => return Ok(Some(self.rest.clone())),
            Err(error) => return Err(error.into()),
        };
        let end = match rustix::fs::seek(self.file, SeekFrom::Hole(start)) {
            Ok(end) => end.min(self.rest.end),
            // The file has become shorter: what reads it will say so.
            Err(Errno::NXIO) => self.rest.end,
            Err(error) if is_unknown(error) => self.rest.end,
            Err(error) => return Err(error.into()),
        };
        Ok(Some(start..end))
    }
}

impl Iterator for Extents<'_> {
    type Item = io::Result<Range<u64>>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.find();
        match &found {
            // Whatever the system says, the next search begins further on, so that there is an end.
            Ok(Some(extent)) if extent.end > self.rest.start => self.rest.start = extent.end,
            _ => self.rest.start = self.rest.end,
        }
        found.transpose()
    }
}

/// Whether the file system cannot tell data from holes.
fn is_unknown(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS)
}

/// Writes into an empty file and leaves holes where whole blocks would be zeros. It keeps nothing back: give it large pieces.
///
/// [`finish`](Self::finish) gives the file its length; without it, a hole at the end is missing.
#[derive(Debug)]
pub struct Writer<'f> {
    file: &'f File,
    /// Where the next byte goes.
    at: u64,
    /// Bytes that were written, not left out.
    written: u64,
}

impl<'f> Writer<'f> {
    /// Begins at the first byte of a file, which must be empty.
    pub fn new(file: &'f File) -> Self {
        Self { file, at: 0, written: 0 }
    }

    /// Leaves a hole of `len` bytes.
    ///
    /// # Errors
    /// The file would be longer than a file can be.
    pub fn skip(&mut self, len: u64) -> io::Result<()> {
        self.at = self.at.checked_add(len).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(())
    }

    /// Where the next byte goes.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Bytes that were written so far: the others are holes.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Gives the file its length, and returns that.
    ///
    /// # Errors
    /// The system's.
    pub fn finish(self) -> io::Result<u64> {
        self.file.set_len(self.at)?;
        Ok(self.at)
    }

    /// The length of what `bytes` begin with that is alike: zeros, or not. Cut where the file's blocks begin.
    fn run(&self, bytes: &[u8]) -> (usize, bool) {
        let block = BLOCK as u64;
        // Less than a block: it fits.
        let first = usize::try_from(block - self.at % block).unwrap_or(BLOCK).min(bytes.len());
        let (head, rest) = bytes.split_at(first);
        let zero = is_zero(head);
        let more = rest.chunks(BLOCK).take_while(|chunk| is_zero(chunk) == zero).map(<[u8]>::len);
        (first + more.sum::<usize>(), zero)
    }
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (len, zero) = self.run(bytes);
        if zero {
            self.skip(len as u64)?;
            return Ok(len);
        }
        let len = self.file.write_at(bytes.get(..len).unwrap_or(bytes), self.at)?;
        self.skip(len as u64)?;
        self.written = self.written.saturating_add(len as u64);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn zeros_are_found_at_every_length_and_place() {
        for len in [0, 1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5] {
            let mut bytes = vec![0; len];
            assert!(is_zero(&bytes), "{len}");
            for at in [0, 1, len / 2, len.saturating_sub(1)].into_iter().filter(|&at| at < len) {
                bytes[at] = 1;
                assert!(!is_zero(&bytes), "{len} at {at}");
                bytes[at] = 0;
            }
        }
    }

    #[test]
    fn data_is_found_and_holes_are_not() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10 << 20).unwrap();
        file.write_all_at(&[1; 4096], 1 << 20).unwrap();
        file.write_all_at(&[1; 100_000], 5 << 20).unwrap();
        file.write_all_at(&[1], (10 << 20) - 1).unwrap();
        let all: Vec<_> = data(&file, 0..10 << 20).map(Result::unwrap).collect();
        let covers = |at: u64| all.iter().any(|extent| extent.contains(&at));
        for (at, is_data) in
            [(0, false), (1 << 20, true), (2 << 20, false), ((5 << 20) + 99_999, true), ((10 << 20) - 1, true)]
        {
            assert_eq!(covers(at), is_data, "{at} of {all:?}");
        }
        assert!(all.is_sorted_by_key(|extent| extent.start));
        let cut: Vec<_> = data(&file, (5 << 20) + 10..(5 << 20) + 20).map(Result::unwrap).collect();
        assert_eq!(cut, vec![(5 << 20) + 10..(5 << 20) + 20; 1]);
        // A range beyond the end of the file, as when somebody has made it shorter.
        assert_eq!(data(&file, 10 << 20..20 << 20).count(), 0);
        assert_eq!(data(&file, 5..5).count(), 0);
    }

    #[test]
    fn where_holes_are_not_known_all_is_data() {
        // A file of the kernel's that cannot be searched for holes.
        let file = File::open("/proc/self/mountinfo").unwrap();
        let all: Vec<_> = data(&file, 0..100).map(Result::unwrap).collect();
        assert_eq!(all, vec![0..100; 1]);
    }

    #[test]
    fn blocks_of_zeros_become_holes() {
        let file = tempfile::tempfile().unwrap();
        let mut writer = Writer::new(&file);
        let mut content = vec![0; 4 << 20];
        content[2 << 20] = 1;
        writer.write_all(&content).unwrap();
        writer.skip(1 << 30).unwrap();
        assert_eq!(writer.written(), BLOCK as u64);
        assert_eq!(writer.finish().unwrap(), (4 << 20) + (1 << 30));
        let metadata = file.metadata().unwrap();
        assert_eq!(metadata.len(), (4 << 20) + (1 << 30));
        assert!(metadata.blocks() * 512 <= 64 << 10, "{} blocks", metadata.blocks());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read(pieces in prop::collection::vec((any::<bool>(), any::<u8>(), 0_usize..20_000), 0..12)) {
            let file = tempfile::tempfile().unwrap();
            let mut writer = Writer::new(&file);
            let mut expected = Vec::new();
            for (skip, byte, len) in pieces {
                if skip {
                    writer.skip(len as u64).unwrap();
                    expected.resize(expected.len() + len, 0);
                } else {
                    // A quarter of the pieces is zeros.
                    let piece = vec![if byte < 64 { 0 } else { byte }; len];
                    writer.write_all(&piece).unwrap();
                    expected.extend(piece);
                }
            }
            prop_assert_eq!(writer.position(), expected.len() as u64);
            writer.finish().unwrap();
            let mut found = vec![0xff; expected.len()];
            file.read_exact_at(&mut found, 0).unwrap();
            prop_assert!(found == expected);
            prop_assert_eq!(file.metadata().unwrap().len(), expected.len() as u64);
            // All that is not zero is in what is said to be data.
            let extents: Vec<_> = data(&file, 0..expected.len() as u64).map(Result::unwrap).collect();
            let mut holes = expected.clone();
            for extent in extents {
                holes[extent.start as usize..extent.end as usize].fill(0);
            }
            prop_assert!(is_zero(&holes));
        }
    }
}
