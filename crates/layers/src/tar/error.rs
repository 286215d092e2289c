//! What can be wrong with an archive.

use crate::entry::EntryError;
use crate::limits;
use crate::path::Shown;

/// Why an archive cannot be read on. Offsets are bytes from the start of the decompressed archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// Something is wrong with an entry whose name is known.
    #[error("{path}, at byte {offset} of the archive: {problem}")]
    Entry {
        /// Its name in the archive.
        path: Shown,
        /// Where its header starts.
        offset: u64,
        /// What is wrong.
        problem: Problem,
    },
    /// Something is wrong at a place that belongs to no entry, or to one without a usable name.
    #[error("at byte {offset} of the archive: {problem}")]
    Archive {
        /// Where the block starts that is wrong.
        offset: u64,
        /// What is wrong.
        problem: Problem,
    },
    /// The list of entries did not take one.
    #[error("cannot take the entry at byte {offset} of the archive")]
    List {
        /// Where its header starts.
        offset: u64,
        /// Why not; names the entry.
        source: EntryError,
    },
    /// The sink of the contents failed.
    #[error("cannot store the content of {path}")]
    Sink {
        /// The entry whose content it was.
        path: Shown,
        /// The sink's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What is wrong with a part of an archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The very first block is no header.
    #[error("this is not a tar archive")]
    NotTar,
    /// A header's checksum does not fit its bytes.
    #[error("the checksum of the header is {computed}, not {stored}: the archive is damaged")]
    Checksum {
        /// What the header says.
        stored: i128,
        /// The sum of its bytes.
        computed: u32,
    },
    /// One zero block, and then more. Two mark the end; one marks nothing.
    #[error("a single block of zeros stands between two entries: the archive is damaged")]
    LoneZeroBlock,
    /// The bytes end within a header, a file, or its padding.
    #[error("the archive ends too early, at byte {end}")]
    Truncated {
        /// Bytes that there are.
        end: u64,
    },
    /// The archive ends after an extended header, without the entry that it is about.
    #[error("the archive ends after an extended header, without its entry")]
    NoEntry,
    /// A field of a header holds no number.
    #[error("the header has no number as {field}: \"{}\"", value.escape_ascii())]
    BadNumber {
        /// The field.
        field: Field,
        /// What stands there.
        value: Vec<u8>,
    },
    /// A field holds a number that the field cannot have.
    #[error("{field} is {value}, which is out of range")]
    OutOfRange {
        /// The field.
        field: Field,
        /// The number.
        value: i128,
    },
    /// A type of entry that has no meaning in a layer.
    #[error("entries of type \"{}\" cannot be read", flag.escape_ascii())]
    UnknownType {
        /// The type flag.
        flag: u8,
    },
    /// There is no name.
    #[error("the entry has no name")]
    EmptyPath,
    /// A NUL byte in a name or link target of a PAX header.
    #[error("a NUL byte in {field}")]
    Nul {
        /// Where it stands.
        field: Field,
    },
    /// A hardlink or symlink to nowhere.
    #[error("the link has no target")]
    EmptyTarget,
    /// The extended headers of an entry are larger than any need to be.
    #[error("an extended header of {size} bytes, more than {}", limits::EXTENDED_HEADER_BYTES)]
    ExtendedHeaderTooLarge {
        /// Its size.
        size: u64,
    },
    /// A PAX header is not made of records "length key=value".
    #[error("the PAX header is malformed at its byte {at}")]
    BadPaxRecord {
        /// Offset in the header's data.
        at: usize,
    },
    /// An extended attribute has no name, or one with a NUL byte or a wrong escape.
    #[error("an extended attribute has no valid name: \"{}\"", key.escape_ascii())]
    BadXattrName {
        /// The PAX key.
        key: Vec<u8>,
    },
    /// An extended attribute that should be base64 is not.
    #[error("the extended attribute {} is not base64", Shown::new(name))]
    BadXattrValue {
        /// The attribute's name.
        name: Vec<u8>,
    },
    /// The extended attributes of all entries together are too many or too large.
    #[error("{0}")]
    XattrsFull(crate::xattr::XattrsFull),
    /// A version of the PAX sparse formats that is not known.
    #[error("sparse files of format {major}.{minor} cannot be read")]
    SparseVersion {
        /// `GNU.sparse.major`.
        major: u64,
        /// `GNU.sparse.minor`.
        minor: u64,
    },
    /// The map of a sparse file cannot be read.
    #[error("the map of the sparse file is malformed")]
    BadSparseMap,
    /// A run starts before the one before it ends.
    #[error("in the map of the sparse file the run at {offset} starts before the end of the one before it, {end}")]
    SparseOverlap {
        /// Where the run starts.
        offset: u64,
        /// Where the one before it ends.
        end: u64,
    },
    /// A run goes beyond the file.
    #[error(
        "in the map of the sparse file a run of {length} bytes at {offset} leaves the file, which has {size} bytes"
    )]
    SparseBeyondEnd {
        /// Where the run starts.
        offset: u64,
        /// Its length.
        length: u64,
        /// The file's size.
        size: u64,
    },
    /// The runs are not as long together as the data that is there.
    #[error("the map of the sparse file is for {mapped} bytes of data, but there are {stored}")]
    SparseSize {
        /// Bytes of all runs.
        mapped: u64,
        /// Bytes in the archive.
        stored: u64,
    },
    /// The map has too many runs.
    #[error("the map of the sparse file has more than {} runs", limits::SPARSE_RUNS)]
    TooManyRuns,
}

/// A field of an entry, as messages name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Field {
    Checksum,
    Mode,
    Uid,
    Gid,
    Size,
    Mtime,
    DeviceMajor,
    DeviceMinor,
    Path,
    LinkTarget,
    SparseMap,
    SparseVersion,
    SparseSize,
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Checksum => "the checksum",
            Self::Mode => "the mode",
            Self::Uid => "the owner",
            Self::Gid => "the group",
            Self::Size => "the size",
            Self::Mtime => "the modification time",
            Self::DeviceMajor => "the major device number",
            Self::DeviceMinor => "the minor device number",
            Self::Path => "the name",
            Self::LinkTarget => "the link target",
            Self::SparseMap => "an offset or length of the sparse map",
            Self::SparseVersion => "the version of the sparse format",
            Self::SparseSize => "the size of the sparse file",
        })
    }
}
