//! Unpacks chosen files of a tar archive into a directory.
//!
//! A file's content comes before its name is known to be right, so it goes into a file with a number for a name, and from there to its
//! place. Only files and the directories above them are ever made, so no path leads anywhere else; which names there may
//! be is for the caller to say. Modes are normalised (0444, 0755).

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use banger_layers::ContentSink;
use banger_layers::decompress::DecompressError;
use banger_layers::entry::{Entries, Entry, Kind};
use banger_layers::tar::{TarError, TarReader};

use crate::error::{Error, Result};
use crate::limits::{ENTRIES, FILES, TOTAL_BYTES};
use crate::place::{make_directory, set_mode};
use crate::watch::{Watch, go_on};

/// What is to become of an entry.
pub(crate) enum Choice {
    /// It is put there, below the directory: a path without `..`, which the caller has checked.
    Take(String),
    /// It is left out.
    Ignore,
}

/// An archive that is unpacked.
pub(crate) struct Unpack<'a> {
    /// What errors call it.
    pub(crate) archive: &'a Path,
    /// Where files go. It has nothing in it that is called like them.
    pub(crate) into: &'a Path,
    /// Where contents are before that: a directory of its own on the same file system.
    pub(crate) scratch: &'a Path,
    pub(crate) watch: &'a dyn Watch,
}

/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;
/// Bytes after which the reader of the archive is asked whether it is at the end: a block (pax, "pax Interchange Format").
const BLOCK: usize = 512;

impl Unpack<'_> {
    /// Reads the archive to its end.
    pub(crate) fn run(
        &self,
        reader: &mut dyn Read,
        taken: &mut Taken,
        choose: &mut dyn FnMut(&Entry<'_>) -> Result<Choice>,
    ) -> Result<()> {
        let mut sink = Contents { unpack: self, current: None, files: 0, total: taken.total };
        let mut places = Places { unpack: self, taken, entries: 0 };
        let (mut tar, mut entries) = (TarReader::new(), Entries::new());
        let mut buffer = vec![0; CHUNK];
        loop {
            go_on(self.watch)?;
            let count = fill(reader, &mut buffer).map_err(|error| self.read_error(error))?;
            for block in buffer.get(..count).unwrap_or_default().chunks(BLOCK) {
                if tar.is_over() && block.iter().any(|&byte| byte != 0) {
                    return Err(Error::damaged(self.archive, "something follows the end of the archive"));
                }
                tar.feed(block, &mut sink, &mut entries).map_err(|error| self.tar_error(error))?;
                if !entries.is_empty() {
                    for entry in std::mem::take(&mut entries).iter() {
                        places.entry(&entry, choose)?;
                    }
                }
            }
            self.watch.advanced(count as u64);
            if count < buffer.len() {
                break;
            }
        }
        places.taken.total = sink.total;
        let is_over = tar.is_over();
        tar.finish().map_err(|error| self.tar_error(error))?;
        if is_over { Ok(()) } else { Err(Error::damaged(self.archive, "the archive in it has no end")) }
    }

    fn read_error(&self, error: io::Error) -> Error {
        let path = self.archive.to_owned();
        match error.downcast::<DecompressError>() {
            Ok(source) => Error::Decompress { path, source },
            // What the system says has a number; the rest is said by those who decompress.
            Err(error) if error.raw_os_error().is_none() => {
                Error::damaged(self.archive, format!("it cannot be decompressed: {error}"))
            }
            Err(source) => Error::Io { action: "read", path, source },
        }
    }

    fn tar_error(&self, error: TarError) -> Error {
        match error {
            TarError::Sink { path, source } => match source.downcast::<Error>() {
                Ok(error) => *error,
                Err(source) => Error::Tar { path: self.archive.to_owned(), source: TarError::Sink { path, source } },
            },
            source => Error::Tar { path: self.archive.to_owned(), source },
        }
    }

    fn content(&self, handle: u32) -> PathBuf {
        self.scratch.join(handle.to_string())
    }
}

/// Fills the buffer as far as there is something to be read.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled: usize = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match reader.read(room) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Names that are taken in a directory, by one archive or by several.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    files: HashSet<String>,
    directories: HashSet<String>,
    /// Bytes in the archives.
    total: u64,
}

/// Where the entries of one archive go.
struct Places<'a> {
    unpack: &'a Unpack<'a>,
    taken: &'a mut Taken,
    entries: usize,
}

impl Places<'_> {
    fn entry(&mut self, entry: &Entry<'_>, choose: &mut dyn FnMut(&Entry<'_>) -> Result<Choice>) -> Result<()> {
        self.entries = self.entries.saturating_add(1);
        if self.entries > ENTRIES {
            return Err(Error::limit(self.unpack.archive, ENTRIES as u64, "entries"));
        }
        let choice = choose(entry)?;
        let Kind::File { content, .. } = entry.kind else { return Ok(()) };
        let content = self.unpack.content(content);
        match choice {
            Choice::Take(name) => {
                self.note(entry, &name)?;
                let target = self.unpack.into.join(&name);
                if let Some(parent) = target.parent() {
                    make_directory(parent)?;
                }
                set_mode(&content, 0o444)?;
                std::fs::rename(&content, &target).map_err(Error::io("create", &target))
            }
            // A content that went nowhere has no file.
            Choice::Ignore => match std::fs::remove_file(&content) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &content)(error)),
                _ => Ok(()),
            },
        }
    }

    fn note(&mut self, entry: &Entry<'_>, name: &str) -> Result<()> {
        let twice = || Error::entry(self.unpack.archive, entry.path, "the name is there twice");
        if self.taken.directories.contains(name) {
            return Err(twice());
        }
        for (slash, _) in name.match_indices('/') {
            let above = name.get(..slash).unwrap_or_default();
            if self.taken.files.contains(above) {
                return Err(twice());
            }
            if !self.taken.directories.contains(above) {
                self.taken.directories.insert(above.to_owned());
            }
        }
        if self.taken.files.insert(name.to_owned()) { Ok(()) } else { Err(twice()) }
    }
}

/// Contents, each in a file of its own.
struct Contents<'a> {
    unpack: &'a Unpack<'a>,
    current: Option<(BufWriter<File>, u64)>,
    files: u32,
    total: u64,
}

impl Contents<'_> {
    fn path(&self) -> PathBuf {
        self.unpack.content(self.files)
    }

    fn more(&mut self, bytes: u64) -> Result<()> {
        self.total = self.total.saturating_add(bytes);
        if self.total > TOTAL_BYTES {
            return Err(Error::limit(self.unpack.archive, TOTAL_BYTES, "bytes in it"));
        }
        if let Some((_, length)) = &mut self.current {
            *length = length.saturating_add(bytes);
        }
        Ok(())
    }
}

impl ContentSink for Contents<'_> {
    type Error = Error;

    fn begin(&mut self) -> Result<()> {
        if self.files as usize >= FILES {
            return Err(Error::limit(self.unpack.archive, FILES as u64, "files in it"));
        }
        let path = self.path();
        let file = File::create_new(&path).map_err(Error::io("create", &path))?;
        self.current = Some((BufWriter::with_capacity(CHUNK, file), 0));
        Ok(())
    }

    fn write(&mut self, data: &[u8]) -> Result<()> {
        self.more(data.len() as u64)?;
        let path = self.path();
        match &mut self.current {
            Some((file, _)) => file.write_all(data).map_err(Error::io("write", &path)),
            None => Ok(()),
        }
    }

    fn skip(&mut self, length: u64) -> Result<()> {
        self.more(length)?;
        let path = self.path();
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        match &mut self.current {
            Some((file, _)) => file.seek(SeekFrom::Current(length)).map(|_| ()).map_err(Error::io("write", &path)),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<u32> {
        let path = self.path();
        if let Some((mut file, length)) = self.current.take() {
            // A hole at the end is in no write.
            let done = file.flush().and_then(|()| file.get_ref().set_len(length));
            done.map_err(Error::io("write", &path))?;
        }
        let handle = self.files;
        self.files = self.files.saturating_add(1);
        Ok(handle)
    }
}
