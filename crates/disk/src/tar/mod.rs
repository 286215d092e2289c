//! An archive of the files in an image: what `docker export` gives, but with everything that a file has.
//!
//! The format is `pax` (POSIX.1-2001, "pax Interchange Format"), with attributes as `SCHILY.xattr.NAME`. Holes are zeros, or where
//! the caller wants it, files with holes are in GNU's form 1.0 ("GNU tar", "Storing Sparse Files"): many readers take that for
//! another file. Members come in the order of their names' bytes, directories before what is
//! in them; of the names of one file, the first has the content and the others link to it. The root directory comes first,
//! as `./`. There are no names of owners. So the same files give the same bytes, wherever they stand in the image.
//!
//! Memory holds the first names of files with several, and the map of one file.

mod header;
mod sparse;

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;

use banger_ext4::read::{self, Stat, WalkEntry};
use banger_ext4::spec::FileType;
use tar_core::EntryType;

use crate::error::{Error, Result};
use crate::files::Files;
use crate::limits::{HOLE_BYTES, READ_BYTES};
use crate::observer::{Observer, Progress};
use header::Member;

/// Bytes of a header, and what everything is padded to.
const BLOCK: u64 = 512;

static PADDING: [u8; 2 * BLOCK as usize] = [0; 2 * BLOCK as usize];

/// What becomes of the holes of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holes {
    /// They are zeros, as every reader takes them.
    #[default]
    Zeros,
    /// Large ones are left out, in GNU's form 1.0.
    LeftOut,
}

/// Writes the files of an image to `out`, as an archive.
///
/// Sockets are told to the observer and left out, as archives have none.
///
/// # Errors
/// The image cannot be read, `out` does not take what it is given, or it was cancelled. What `out` has got by then is no archive.
pub fn write(files: &Files, out: &mut dyn Write, holes: Holes, observer: &dyn Observer) -> Result<()> {
    let progress = Progress::begin(observer, files.used())?;
    let mut archive = Archive {
        files,
        out,
        holes,
        observer,
        progress,
        buffer: vec![0; READ_BYTES],
        stored: 0,
        zeros: 0,
        links: BTreeMap::default(),
    };
    for entry in files.entries() {
        archive.entry(&entry?)?;
        archive.progress.add(0)?;
    }
    // Two blocks of zeros end an archive.
    archive.put(&PADDING)?;
    archive.out.flush().map_err(|source| archive.not_taken(source))?;
    archive.progress.end();
    Ok(())
}

struct Archive<'a> {
    files: &'a Files,
    out: &'a mut dyn Write,
    holes: Holes,
    observer: &'a dyn Observer,
    progress: Progress<'a>,
    buffer: Vec<u8>,
    /// Bytes of all files so far that are stored in the image.
    stored: u64,
    /// Bytes of all holes that were written as zeros.
    zeros: u64,
    /// Of each file that has names yet to come: its first name, and how many.
    links: BTreeMap<u32, (Vec<u8>, u16)>,
}

impl Archive<'_> {
    fn entry(&mut self, entry: &WalkEntry) -> Result<()> {
        let WalkEntry { path, stat } = entry;
        if stat.file_type == FileType::Socket {
            self.observer.lost(path, "it is a socket, which archives do not have");
            return Ok(());
        }
        let mut member = Member {
            path: path.clone(),
            kind: kind(stat.file_type),
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            mtime: stat.mtime,
            size: 0,
            target: Vec::new(),
            device: stat.device,
            attributes: Vec::new(),
            whole: None,
        };
        if stat.file_type == FileType::Directory {
            member.path = [if path.is_empty() { b"." } else { &path[..] }, b"/"].concat();
        } else if stat.links > 1 {
            if let Some((first, left)) = self.links.get_mut(&stat.number) {
                member.kind = EntryType::Link;
                member.target.clone_from(first);
                member.device = None;
                *left = left.saturating_sub(1);
                if *left == 0 {
                    self.links.remove(&stat.number);
                }
                return self.header(path, &member);
            }
            self.links.insert(stat.number, (path.clone(), stat.links - 1));
        }
        member.attributes = self.files.reader().xattrs(stat.number).map_err(|source| self.files.error(source))?;
        member.attributes.retain(|attribute| {
            let fits = !attribute.name.iter().any(|byte| matches!(byte, b'=' | 0));
            if !fits {
                self.observer.lost(path, "it has an attribute whose name has a \"=\" or NUL in it");
            }
            fits
        });
        match stat.file_type {
            FileType::Regular => return self.file(path, stat, member),
            FileType::Symlink => {
                member.target =
                    self.files.reader().read_link(stat.number).map_err(|source| self.files.error(source))?;
                if member.target.contains(&0) {
                    return Err(self.unrepresentable(path, "the target of the link has a NUL"));
                }
            }
            _ => {}
        }
        self.header(path, &member)
    }

    /// A file with its content: all of it, or where that is wanted and much less, only what is not in holes.
    fn file(&mut self, path: &[u8], stat: &Stat, mut member: Member) -> Result<()> {
        let data = self.files.data(stat)?;
        self.stored = self.stored.saturating_add(data.iter().map(|run| run.end - run.start).sum());
        if self.stored > self.files.len() {
            // Files of such an image could be any number of times as large as the image.
            let problem = "its blocks, or those of a file before it, belong to others too";
            return Err(self.files.error(read::Error::Inode { inode: stat.number, problem }));
        }
        let data = sparse::runs(data, stat.size);
        let map = if self.holes == Holes::LeftOut { sparse::map(&data, stat.size) } else { None };
        if let Some(map) = map {
            member.size = data.iter().map(|run| run.end - run.start).fold(map.len() as u64, u64::saturating_add);
            member.whole = Some(stat.size);
            self.header(path, &member)?;
            self.put(&map)?;
            for run in data {
                self.content(stat, run)?;
            }
        } else {
            let stored: u64 = data.iter().map(|run| run.end - run.start).sum();
            self.zeros = self.zeros.saturating_add(stat.size - stored);
            if self.zeros > HOLE_BYTES {
                return Err(Error::Holes {
                    path: self.files.path().to_owned(),
                    file: path.to_vec(),
                    limit: HOLE_BYTES,
                });
            }
            member.size = stat.size;
            self.header(path, &member)?;
            let mut at = 0;
            for run in data {
                self.hole(run.start - at)?;
                at = run.end;
                self.content(stat, run)?;
            }
            self.hole(stat.size - at)?;
        }
        self.pad(member.size)
    }

    /// Writes the zeros of a hole, which no progress counts.
    fn hole(&mut self, length: u64) -> Result<()> {
        static ZEROS: [u8; READ_BYTES] = [0; READ_BYTES];
        let mut left = length;
        while left > 0 {
            let piece = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
            self.put(ZEROS.get(..piece).unwrap_or_default())?;
            left -= piece as u64;
            self.progress.add(0)?;
        }
        Ok(())
    }

    fn header(&mut self, path: &[u8], member: &Member) -> Result<()> {
        let header = member.encode().map_err(|problem| self.unrepresentable(path, problem))?;
        self.put(&header)
    }

    /// Writes a part of a file.
    fn content(&mut self, stat: &Stat, part: Range<u64>) -> Result<()> {
        let mut at = part.start;
        while at < part.end {
            let want = usize::try_from(part.end - at).unwrap_or(usize::MAX).min(self.buffer.len());
            let piece = self.buffer.get_mut(..want).unwrap_or_default();
            // There are as many: the part ends where the file does, at the latest.
            self.files.reader().read_at(stat.number, at, piece).map_err(|source| self.files.error(source))?;
            let written = self.out.write_all(piece);
            written.map_err(|source| self.not_taken(source))?;
            at += want as u64;
            self.progress.add(want as u64)?;
        }
        Ok(())
    }

    /// Fills the last block of `size` bytes.
    fn pad(&mut self, size: u64) -> Result<()> {
        let padding = (size.next_multiple_of(BLOCK) - size) as usize;
        self.put(PADDING.get(..padding).unwrap_or_default())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|source| self.not_taken(source))
    }

    fn not_taken(&self, source: std::io::Error) -> Error {
        Error::Archive { path: self.files.path().to_owned(), source }
    }

    fn unrepresentable(&self, file: &[u8], problem: &'static str) -> Error {
        Error::Unrepresentable { path: self.files.path().to_owned(), file: file.to_vec(), problem }
    }
}

/// The type flag of a file. Sockets have none, and do not get here.
fn kind(file_type: FileType) -> EntryType {
    match file_type {
        FileType::Directory => EntryType::Directory,
        FileType::Symlink => EntryType::Symlink,
        FileType::CharDevice => EntryType::Char,
        FileType::BlockDevice => EntryType::Block,
        FileType::Fifo => EntryType::Fifo,
        FileType::Regular | FileType::Socket => EntryType::Regular,
    }
}
