//! The image file, and what is done to files here: writing, copying, making holes, starting write-back.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Advice, FallocateFlags, Mode, OFlags};
use rustix::io::Errno;

use super::content::ContentWriter;
use crate::Error;
use crate::layout::Run;
use crate::spec::BLOCK_SIZE;

/// Bytes of one block.
pub(super) const BLOCK: u64 = BLOCK_SIZE as u64;
/// Bytes read and written at once where the kernel cannot copy or punch for us.
const COPY_BUFFER: usize = 1 << 20;

/// The file that an image is written into, shared by all who write into it at the same time.
///
/// Clones are handles on the same file.
#[derive(Clone, Debug)]
pub struct Image {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    file: File,
    scratch: PathBuf,
    write_back: bool,
}

impl Image {
    /// An image in `file`, which is empty and open for reading and writing.
    ///
    /// `scratch` is the directory in which unlinked segment files are made where contents must wait for their place:
    /// best the one that `file` is in, as copies between files of one file system can be cheap or free.
    #[must_use]
    pub fn new(file: File, scratch: impl Into<PathBuf>) -> Self {
        Self { shared: Arc::new(Shared { file, scratch: scratch.into(), write_back: false }) }
    }

    /// Has the kernel begin to write contents to the disk while more stream in, so that the caller's final
    /// `fdatasync` has little left to do.
    ///
    /// To be called before the first [`content`](Self::content): handles that exist already are left as they are.
    #[must_use]
    pub fn with_write_back(self) -> Self {
        match Arc::try_unwrap(self.shared) {
            Ok(shared) => Self { shared: Arc::new(Shared { write_back: true, ..shared }) },
            Err(shared) => Self { shared },
        }
    }

    /// A writer for the contents of one segment (of one layer, say).
    #[must_use]
    pub fn content(&self) -> ContentWriter {
        ContentWriter::new(self.clone())
    }

    /// The image file. To sync it is the caller's business.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.shared.file
    }

    /// Writes whole blocks, the bytes of `parts` one after the other, from block `start`.
    pub(super) fn write_blocks(&self, start: u64, parts: [&[u8]; 2]) -> Result<(), Error> {
        write_pair(self.file(), "write the image", start * BLOCK, parts)
    }

    /// Copies blocks within the image.
    pub(super) fn copy_blocks(&self, from: u64, to: u64, len: u64) -> Result<(), Error> {
        copy(self.file(), from * BLOCK, self.file(), to * BLOCK, len * BLOCK)
    }

    /// Makes blocks a hole, or at least zeros.
    pub(super) fn punch(&self, run: Run) -> Result<(), Error> {
        let (offset, len) = (run.start * BLOCK, run.len * BLOCK);
        match punch(self.file(), offset, len) {
            Ok(true) => Ok(()),
            Ok(false) => zero(self.file(), offset, len).map_err(|e| Error::io("clear the image", offset, e)),
            Err(e) => Err(Error::io("punch a hole in the image", offset, e)),
        }
    }

    /// Sets the file's length in bytes.
    pub(super) fn set_len(&self, len: u64) -> Result<(), Error> {
        self.file().set_len(len).map_err(|e| Error::io("set the length of the image", len, e))
    }

    /// Begins to write blocks to the disk, if that was asked for.
    ///
    /// The system call for it, `sync_file_range`, has no safe binding here; `POSIX_FADV_DONTNEED` begins with the
    /// same thing, and then drops what is clean already, which of blocks just written is nothing.
    pub(super) fn begin_write_back(&self, run: Run) {
        if let (true, Some(len)) = (self.shared.write_back, NonZeroU64::new(run.len * BLOCK)) {
            // Advice: where it fails, the final sync has more to do.
            let _ = rustix::fs::fadvise(self.file(), run.start * BLOCK, Some(len), Advice::DontNeed);
        }
    }

    /// A file without a name, for contents that wait for their place.
    pub(super) fn segment_file(&self) -> Result<File, Error> {
        unlinked(&self.shared.scratch).map_err(|e| Error::io("make a segment file", 0, e))
    }
}

/// Makes a file without a name in `directory`.
fn unlinked(directory: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(file.into()),
        // File systems without O_TMPFILE, and kernels that take it for the opening of a directory.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => unlinked_by_name(directory),
        Err(e) => Err(e.into()),
    }
}

fn unlinked_by_name(directory: &Path) -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!(".segment-{}-{number}", std::process::id()));
        match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
}

/// Writes the bytes of `parts` one after the other from byte `offset`, in one system call where the system agrees.
pub(super) fn write_pair(
    file: &File,
    action: &'static str,
    mut offset: u64,
    [mut first, mut second]: [&[u8]; 2],
) -> Result<(), Error> {
    while !first.is_empty() || !second.is_empty() {
        let slices = [IoSlice::new(first), IoSlice::new(second)];
        let written = match rustix::io::pwritev(file, &slices, offset) {
            Ok(0) => return Err(Error::io(action, offset, io::ErrorKind::WriteZero)),
            Ok(written) => written,
            Err(Errno::INTR) => continue,
            Err(e) => return Err(Error::io(action, offset, e)),
        };
        offset += written as u64;
        let of_first = written.min(first.len());
        first = first.get(of_first..).unwrap_or_default();
        second = second.get(written - of_first..).unwrap_or_default();
    }
    Ok(())
}

/// Copies `len` bytes, in the kernel where it can.
pub(super) fn copy(source: &File, from: u64, target: &File, to: u64, len: u64) -> Result<(), Error> {
    let mut done = 0;
    while done < len {
        let (mut input, mut output) = (from + done, to + done);
        let step = usize::try_from(len - done).unwrap_or(usize::MAX);
        match rustix::fs::copy_file_range(source, Some(&mut input), target, Some(&mut output), step) {
            Ok(0) => break,
            Ok(copied) => done += copied as u64,
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::PERM) => {
                break;
            }
            Err(e) => return Err(Error::io("copy contents to their place", to + done, e)),
        }
    }
    copy_by_hand(source, from + done, target, to + done, len - done)
        .map_err(|e| Error::io("copy contents to their place", to + done, e))
}

fn copy_by_hand(source: &File, from: u64, target: &File, to: u64, len: u64) -> io::Result<()> {
    if len == 0 {
        return Ok(());
    }
    let mut buffer = vec![0; COPY_BUFFER];
    let mut done = 0;
    while done < len {
        let step = usize::try_from(len - done).map_or(COPY_BUFFER, |left| left.min(COPY_BUFFER));
        let Some(part) = buffer.get_mut(..step) else {
            break;
        };
        source.read_exact_at(part, from + done)?;
        target.write_all_at(part, to + done)?;
        done += step as u64;
    }
    Ok(())
}

/// Makes bytes a hole; `false` if the file system knows no holes.
pub(super) fn punch(file: &File, offset: u64, len: u64) -> io::Result<bool> {
    if len == 0 {
        return Ok(true);
    }
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    loop {
        match rustix::fs::fallocate(file, flags, offset, len) {
            Ok(()) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(false),
            Err(e) => return Err(e.into()),
        }
    }
}

/// Asks for space for bytes that will be written: an advice, which not every file system takes.
///
/// The file grows with it, as the host's ext4 makes no holes beyond a file's end, and what is not used must go again.
pub(super) fn reserve(file: &File, offset: u64, len: u64) {
    if len > 0 {
        let _ = rustix::fs::fallocate(file, FallocateFlags::empty(), offset, len);
    }
}

/// Writes zeros, where holes cannot be made.
fn zero(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let zeros = vec![0; COPY_BUFFER];
    let mut done = 0;
    while done < len {
        let step = usize::try_from(len - done).map_or(COPY_BUFFER, |left| left.min(COPY_BUFFER));
        file.write_all_at(zeros.get(..step).unwrap_or_default(), offset + done)?;
        done += step as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_written_one_after_the_other() {
        let file = tempfile::tempfile().unwrap();
        write_pair(&file, "test", 3, [b"abc", b"defg"]).unwrap();
        write_pair(&file, "test", 0, [b"", b"xy"]).unwrap();
        let mut bytes = [0; 10];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"xy\0abcdefg");
    }

    #[test]
    fn copies_by_hand_are_the_same() {
        let (source, target) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let bytes: Vec<u8> = (0..3 * COPY_BUFFER + 77).map(|i| (i % 251) as u8).collect();
        source.write_all_at(&bytes, 0).unwrap();
        copy_by_hand(&source, 5, &target, 9, bytes.len() as u64 - 5).unwrap();
        copy(&source, 0, &target, bytes.len() as u64 * 2, bytes.len() as u64).unwrap();
        let mut back = vec![0; bytes.len()];
        target.read_exact_at(&mut back[5..], 9).unwrap();
        assert_eq!(back[5..], bytes[5..]);
        target.read_exact_at(&mut back, bytes.len() as u64 * 2).unwrap();
        assert_eq!(back, bytes);
        assert!(copy(&source, bytes.len() as u64, &target, 0, 1).is_err());
    }

    #[test]
    fn zeros_reach_exactly_as_far_as_told() {
        let file = tempfile::tempfile().unwrap();
        let len = 2 * COPY_BUFFER + 10;
        file.write_all_at(&vec![1; len], 0).unwrap();
        zero(&file, 4, len as u64 - 8).unwrap();
        let mut bytes = vec![9; len];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes[..4].iter().chain(&bytes[len - 4..]).all(|&b| b == 1));
        assert!(bytes[4..len - 4].iter().all(|&b| b == 0));
    }

    #[test]
    fn segment_files_have_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let one = unlinked(directory.path()).unwrap();
        let two = unlinked_by_name(directory.path()).unwrap();
        one.write_all_at(b"1", 0).unwrap();
        two.write_all_at(b"2", 0).unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
