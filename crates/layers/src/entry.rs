//! The list of one layer's entries, compact enough to keep hundreds of thousands.
//!
//! What the reader of an archive finds goes in here in the archive's order, names and link targets as raw bytes.
//! Nothing is interpreted yet: whiteouts are entries like any other, and a path may still leave the root. That is
//! the business of the merge, which needs to see all of a layer before it applies any of it.
//!
//! An entry costs 48 bytes and its text. The content of files is elsewhere; an entry has the handle that the sink gave.

use std::fmt;

use crate::limits;
use crate::path::Shown;
use crate::xattr::{XattrId, XattrTable, Xattrs, XattrsFull};

/// A point in time, counted from 1970-01-01 00:00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    /// Whole seconds, rounded down: negative before 1970.
    pub seconds: i64,
    /// What is to be added, below 1,000,000,000.
    pub nanoseconds: u32,
}

/// What an entry is, with what only that kind has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// The handle that the sink of this layer's contents gave.
        content: u32,
        /// Logical size in bytes, holes included.
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// What the link says, as it stands in the archive.
        target: &'a [u8],
    },
    /// Another name of an inode that has one already.
    Hardlink {
        /// The other name: a path from the image's root.
        target: &'a [u8],
    },
    /// A character device.
    CharDevice {
        /// 12 bits.
        major: u32,
        /// 20 bits.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// 12 bits.
        major: u32,
        /// 20 bits.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// One entry of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name as in the archive.
    pub path: &'a [u8],
    /// What it is.
    pub kind: Kind<'a>,
    /// Permissions, setuid, setgid and sticky: the lower 12 bits count.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change of the content.
    pub mtime: Time,
    /// Extended attributes, from [`Entries::intern_xattrs`] of the same list.
    pub xattrs: XattrId,
}

/// Why the list did not take an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// [`limits::LAYER_ENTRIES`] is reached.
    #[error("{path}: the layer has more than {} entries", limits::LAYER_ENTRIES)]
    TooManyEntries {
        /// The first entry beyond the limit.
        path: Shown,
    },
    /// [`limits::LAYER_TEXT_BYTES`] is reached.
    #[error(
        "{path}: the names, link targets and extended attributes of the layer exceed {} bytes",
        limits::LAYER_TEXT_BYTES
    )]
    TooMuchText {
        /// The first entry beyond the limit.
        path: Shown,
    },
    /// The entry's name is longer than [`limits::PATH_BYTES`].
    #[error("{path}: the name has {length} bytes, more than {}", limits::PATH_BYTES)]
    PathTooLong {
        /// The entry.
        path: Shown,
        /// Bytes of its name.
        length: usize,
    },
    /// A hardlink's target is longer than [`limits::PATH_BYTES`].
    #[error("{path}: the target of the hardlink has {length} bytes, more than {}", limits::PATH_BYTES)]
    HardlinkTooLong {
        /// The entry.
        path: Shown,
        /// Bytes of the target.
        length: usize,
    },
    /// A symlink's target is longer than [`limits::SYMLINK_BYTES`].
    #[error("{path}: the target of the symlink has {length} bytes, more than {}", limits::SYMLINK_BYTES)]
    SymlinkTooLong {
        /// The entry.
        path: Shown,
        /// Bytes of the target.
        length: usize,
    },
    /// A symlink's target is empty, which no file system can hold.
    #[error("{path}: the target of the symlink is empty")]
    EmptySymlink {
        /// The entry.
        path: Shown,
    },
    /// A NUL stands in a name or in a target: no file system can hold it.
    #[error("{path}: a NUL byte in the name or in the target {target}")]
    Nul {
        /// The entry.
        path: Shown,
        /// Its target, empty when it is no link.
        target: Shown,
    },
}

/// A part of the text arena: where it starts and how long it is.
#[derive(Debug, Clone, Copy)]
struct Text {
    start: u32,
    length: u16,
}

/// [`Kind`] with its text in the arena.
#[derive(Debug, Clone, Copy)]
enum Stored {
    Directory,
    File { content: u32, size: u64 },
    Symlink(Text),
    Hardlink(Text),
    CharDevice { major: u32, minor: u32 },
    BlockDevice { major: u32, minor: u32 },
    Fifo,
    Socket,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    kind: Stored,
    seconds: i64,
    nanoseconds: u32,
    uid: u32,
    gid: u32,
    xattrs: XattrId,
    path_start: u32,
    path_length: u16,
    mode: u16,
}

/// What one entry costs beside its text; a change of this number must be a decision.
const _: () = assert!(size_of::<Record>() == 48);

/// The entries of one layer, in the archive's order.
///
/// ```
/// # use banger_layers::entry::{Entries, Entry, EntryError, Kind, Time};
/// # use banger_layers::xattr::XattrId;
/// let mut entries = Entries::new();
/// entries.push(Entry {
///     path: b"./etc/",
///     kind: Kind::Directory,
///     mode: 0o755,
///     uid: 0,
///     gid: 0,
///     mtime: Time { seconds: 1_700_000_000, nanoseconds: 5 },
///     xattrs: XattrId::EMPTY,
/// })?;
/// assert_eq!(entries.iter().next().map(|entry| entry.path), Some(&b"./etc/"[..]));
/// # Ok::<(), EntryError>(())
/// ```
#[derive(Default)]
pub struct Entries {
    records: Vec<Record>,
    text: Vec<u8>,
    xattrs: XattrTable,
}

impl Entries {
    /// A list without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an entry.
    ///
    /// # Errors
    /// An [`EntryError`] when a limit is exceeded, or when a name cannot stand in any file system.
    pub fn push(&mut self, entry: Entry<'_>) -> Result<(), EntryError> {
        check(&entry)?;
        if self.records.len() >= limits::LAYER_ENTRIES {
            return Err(EntryError::TooManyEntries { path: Shown::new(entry.path) });
        }
        let kind = match entry.kind {
            Kind::Directory => Stored::Directory,
            Kind::File { content, size } => Stored::File { content, size },
            Kind::Symlink { target } => Stored::Symlink(self.store(target, &entry)?),
            Kind::Hardlink { target } => Stored::Hardlink(self.store(target, &entry)?),
            Kind::CharDevice { major, minor } => Stored::CharDevice { major, minor },
            Kind::BlockDevice { major, minor } => Stored::BlockDevice { major, minor },
            Kind::Fifo => Stored::Fifo,
            Kind::Socket => Stored::Socket,
        };
        let path = self.store(entry.path, &entry)?;
        self.records.push(Record {
            kind,
            seconds: entry.mtime.seconds,
            nanoseconds: entry.mtime.nanoseconds,
            uid: entry.uid,
            gid: entry.gid,
            xattrs: entry.xattrs,
            path_start: path.start,
            path_length: path.length,
            mode: entry.mode & 0o7777,
        });
        Ok(())
    }

    /// Stores a set of extended attributes (full names, raw values) for the entries of this list.
    ///
    /// # Errors
    /// [`XattrsFull`] when the sets of this layer are too many or too large together.
    pub fn intern_xattrs(&mut self, attributes: &[(&[u8], &[u8])]) -> Result<XattrId, XattrsFull> {
        self.xattrs.intern(attributes)
    }

    /// The attributes of a set of this list.
    pub fn xattrs(&self, id: XattrId) -> Xattrs<'_> {
        self.xattrs.get(id)
    }

    pub(crate) fn xattr_table(&self) -> &XattrTable {
        &self.xattrs
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The entries, in the archive's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Entry<'_>> + Clone {
        self.records.iter().map(|record| self.entry(record))
    }

    fn entry(&self, record: &Record) -> Entry<'_> {
        let kind = match record.kind {
            Stored::Directory => Kind::Directory,
            Stored::File { content, size } => Kind::File { content, size },
            Stored::Symlink(text) => Kind::Symlink { target: self.text(text) },
            Stored::Hardlink(text) => Kind::Hardlink { target: self.text(text) },
            Stored::CharDevice { major, minor } => Kind::CharDevice { major, minor },
            Stored::BlockDevice { major, minor } => Kind::BlockDevice { major, minor },
            Stored::Fifo => Kind::Fifo,
            Stored::Socket => Kind::Socket,
        };
        Entry {
            path: self.text(Text { start: record.path_start, length: record.path_length }),
            kind,
            mode: record.mode,
            uid: record.uid,
            gid: record.gid,
            mtime: Time { seconds: record.seconds, nanoseconds: record.nanoseconds },
            xattrs: record.xattrs,
        }
    }

    fn store(&mut self, bytes: &[u8], entry: &Entry<'_>) -> Result<Text, EntryError> {
        let full = || EntryError::TooMuchText { path: Shown::new(entry.path) };
        if self.text.len() + bytes.len() + self.xattrs.byte_len() > limits::LAYER_TEXT_BYTES {
            return Err(full());
        }
        let start = u32::try_from(self.text.len()).map_err(|_| full())?;
        let length = u16::try_from(bytes.len()).map_err(|_| full())?;
        self.text.extend_from_slice(bytes);
        Ok(Text { start, length })
    }

    fn text(&self, Text { start, length }: Text) -> &[u8] {
        let start = start as usize;
        self.text.get(start..start + usize::from(length)).unwrap_or_default()
    }
}

/// What can be said of an entry's names without knowing where they lead.
fn check(entry: &Entry<'_>) -> Result<(), EntryError> {
    let path = || Shown::new(entry.path);
    let length = entry.path.len();
    if length > limits::PATH_BYTES {
        return Err(EntryError::PathTooLong { path: path(), length });
    }
    let target = match entry.kind {
        Kind::Symlink { target } => {
            if target.is_empty() {
                return Err(EntryError::EmptySymlink { path: path() });
            }
            if target.len() > limits::SYMLINK_BYTES {
                return Err(EntryError::SymlinkTooLong { path: path(), length: target.len() });
            }
            target
        }
        Kind::Hardlink { target } => {
            if target.len() > limits::PATH_BYTES {
                return Err(EntryError::HardlinkTooLong { path: path(), length: target.len() });
            }
            target
        }
        _ => &[],
    };
    if entry.path.contains(&0) || target.contains(&0) {
        return Err(EntryError::Nul { path: path(), target: Shown::new(target) });
    }
    Ok(())
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").field("entries", &self.records.len()).field("text", &self.text.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(path: &'a [u8], kind: Kind<'a>) -> Entry<'a> {
        let mtime = Time { seconds: -5, nanoseconds: 999_999_999 };
        Entry { path, kind, mode: 0o4755, uid: u32::MAX, gid: 7, mtime, xattrs: XattrId::EMPTY }
    }

    #[test]
    fn entries_come_back_as_they_went_in() {
        let kinds = [
            Kind::Directory,
            Kind::File { content: u32::MAX, size: u64::MAX },
            Kind::Symlink { target: b"../\xff" },
            Kind::Hardlink { target: b"./a/b" },
            Kind::CharDevice { major: 4_095, minor: 1_048_575 },
            Kind::BlockDevice { major: 8, minor: 1 },
            Kind::Fifo,
            Kind::Socket,
        ];
        let mut entries = Entries::new();
        let xattrs = entries.intern_xattrs(&[(b"user.x", b"1")]).unwrap();
        let pushed = kinds.map(|kind| Entry { xattrs, ..entry(b"/some/./\xffname", kind) });
        for one in pushed {
            entries.push(one).unwrap();
        }
        assert!(entries.iter().eq(pushed));
        assert_eq!(entries.len(), 8);
        assert_eq!(entries.xattrs(xattrs).collect::<Vec<_>>(), [(&b"user.x"[..], &b"1"[..])]);
    }

    #[test]
    fn names_that_no_file_system_holds_are_refused() {
        let long = vec![b'a'; limits::PATH_BYTES + 1];
        let link = vec![b'a'; limits::SYMLINK_BYTES + 1];
        let table: [(Entry<'_>, &str); 6] = [
            (entry(&long, Kind::Fifo), "the name has 65536 bytes, more than 65535"),
            (entry(b"h", Kind::Hardlink { target: &long }), "h: the target of the hardlink has 65536 bytes"),
            (entry(b"l", Kind::Symlink { target: &link }), "l: the target of the symlink has 4096 bytes"),
            (entry(b"l", Kind::Symlink { target: b"" }), "l: the target of the symlink is empty"),
            (entry(b"a\0b", Kind::Fifo), "a\\0b: a NUL byte"),
            (entry(b"l", Kind::Symlink { target: b"x\0" }), "l: a NUL byte in the name or in the target x\\0"),
        ];
        for (bad, message) in table {
            let mut entries = Entries::new();
            let error = entries.push(bad).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
            assert!(entries.is_empty());
        }
        let mut entries = Entries::new();
        entries.push(entry(&long[1..], Kind::Symlink { target: &link[1..] })).unwrap();
    }
}
