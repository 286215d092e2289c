//! The header of an entry proper, with the extended headers before it: what is it, and what follows?

use tar_core::{EntryType, Header};

use super::{State, TarReader, padding};
use crate::entry::{Entries, Entry, Kind, Time};
use crate::path::Shown;
use crate::sink::ContentSink;
use crate::tar::pax::Extension;
use crate::tar::{Problem, TarError, header, pax};
use crate::xattr::XattrId;

/// The attribute that is a file's label of SELinux.
const SELINUX: &[u8] = b"security.selinux";

/// The entry that is being read.
#[derive(Default)]
pub(super) struct Current {
    pub(super) path: Vec<u8>,
    /// Where its header is.
    pub(super) offset: u64,
    mode: u16,
    uid: u32,
    gid: u32,
    mtime: Time,
    xattrs: XattrId,
}

impl Current {
    pub(super) fn error(&self, problem: Problem) -> TarError {
        TarError::Entry { path: Shown::new(&self.path), offset: self.offset, problem }
    }

    pub(super) fn push(&self, kind: Kind<'_>, entries: &mut Entries) -> Result<(), TarError> {
        let entry = Entry {
            path: &self.path,
            kind,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime: self.mtime,
            xattrs: self.xattrs,
        };
        entries.push(entry).map_err(|source| TarError::List { offset: self.offset, source })
    }
}

impl TarReader {
    /// Reads the header of an entry proper.
    pub(super) fn entry<S: ContentSink>(
        &mut self,
        header: &Header,
        offset: u64,
        sink: &mut S,
        entries: &mut Entries,
    ) -> Result<(), TarError> {
        let mut extended = std::mem::take(&mut self.extended);
        let mut extension = Extension::default();
        let parsed = pax::parse(&extended.pax, &mut extension, &mut self.runs);
        self.current.offset = offset;
        self.name(header, &extended.long_name, &extension);
        parsed
            .and_then(|()| self.describe(header, &extension, entries))
            .map_err(|problem| self.current.error(problem))?;
        self.start(header, &extension, &extended.long_link, sink, entries)?;
        extended.clear();
        self.extended = extended;
        Ok(())
    }

    fn name(&mut self, header: &Header, long_name: &[u8], extension: &Extension<'_>) {
        let sparse_name = extension.sparse.name.filter(|_| header.entry_type().is_file());
        let long_name = (!long_name.is_empty()).then_some(long_name);
        match sparse_name.or(extension.path).or(long_name) {
            Some(name) => {
                self.current.path.clear();
                self.current.path.extend(name);
            }
            None => header::path(header, &mut self.current.path),
        }
    }

    /// Fills in what all kinds of entries have.
    fn describe(&mut self, header: &Header, extension: &Extension<'_>, entries: &mut Entries) -> Result<(), Problem> {
        let current = &mut self.current;
        if current.path.is_empty() {
            return Err(Problem::EmptyPath);
        }
        current.mode = header::mode(header)?;
        current.uid = extension.uid.map_or_else(|| header::uid(header), Ok)?;
        current.gid = extension.gid.map_or_else(|| header::gid(header), Ok)?;
        current.mtime = extension.mtime.map_or_else(|| header::mtime(header), Ok)?;
        current.xattrs = XattrId::EMPTY;
        // As the kernel and SELinux's tools have it: with a NUL. An attribute of this name is the label itself.
        let label = extension.selinux.map(|label| [label.strip_suffix(b"\0").unwrap_or(label), b"\0"].concat());
        if label.is_some() || !extension.xattrs.is_empty() {
            let label = label.iter().map(|label| (SELINUX, label.as_slice()));
            let attributes: Vec<(&[u8], &[u8])> =
                label.chain(extension.xattrs.iter().map(|(name, value)| (&**name, &**value))).collect();
            current.xattrs = entries.intern_xattrs(&attributes).map_err(Problem::XattrsFull)?;
        }
        Ok(())
    }

    /// Goes from the header to what follows it: data, a map, or the next header.
    fn start<S: ContentSink>(
        &mut self,
        header: &Header,
        extension: &Extension<'_>,
        long_link: &[u8],
        sink: &mut S,
        entries: &mut Entries,
    ) -> Result<(), TarError> {
        let size = extension.size.map_or_else(|| header::size(header), Ok);
        let size = size.map_err(|problem| self.current.error(problem))?;
        let target = extension.link_target.unwrap_or(match long_link {
            [] => header.link_name_bytes(),
            long_link => long_link,
        });
        let kind = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                // V7 had no other type flag: there, a slash made the directory. BSD's tar went on with it.
                if self.current.path.ends_with(b"/") {
                    self.current.push(Kind::Directory, entries)?;
                    self.skip(size, padding(size));
                    return Ok(());
                }
                return self.start_file(header, extension, size, sink, entries);
            }
            EntryType::GnuSparse => return self.start_file(header, extension, size, sink, entries),
            EntryType::Other(b'D') => {
                self.current.push(Kind::Directory, entries)?;
                self.skip(size, padding(size));
                return Ok(());
            }
            EntryType::Directory => Kind::Directory,
            EntryType::Link | EntryType::Symlink if target.is_empty() => {
                return Err(self.current.error(Problem::EmptyTarget));
            }
            EntryType::Link => Kind::Hardlink { target },
            EntryType::Symlink => Kind::Symlink { target },
            kind @ (EntryType::Char | EntryType::Block) => {
                let (major, minor) = header::device(header).map_err(|problem| self.current.error(problem))?;
                if kind == EntryType::Char {
                    Kind::CharDevice { major, minor }
                } else {
                    Kind::BlockDevice { major, minor }
                }
            }
            EntryType::Fifo => Kind::Fifo,
            other => {
                return Err(self.current.error(Problem::UnknownType { flag: other.to_byte() }));
            }
        };
        self.current.push(kind, entries)?;
        self.state = match size {
            0 => State::Header,
            size => State::HeaderOrData(size),
        };
        Ok(())
    }
}
