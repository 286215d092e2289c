//! The index of a tar archive: which member lies where.
//!
//! The headers are walked once; members are then read in place. No member's name is ever used as a path of the host,
//! so a hostile name can at most not be found. Names are compared without `.` components and slashes at either end;
//! a member whose name has a `..` is left out. Links are followed inside the archive, lexically.
//!
//! A wrong reading of a hostile header gives wrong bytes, which no digest matches.

use super::input::read_up_to;
use super::layout::Files;
use crate::blob::{BlobReader, Blobs, read_limited};
use crate::descriptor::Descriptor;
use crate::digest::shorten;
use crate::error::{Error, Result};
use crate::limits::{ARCHIVE_HEADER_BYTES, ARCHIVE_LINK_HOPS, ARCHIVE_MEMBERS, ARCHIVE_NAME_BYTES};
use crate::verify::Mismatch;
use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use tar_core::EntryType;
use tar_core::parse::{Limits, ParseEvent, ParsedEntry, Parser};

/// Bytes of a header, and what members are padded to.
const BLOCK: usize = 512;
/// Bytes read at first where a header is expected: the header and the one after it, which tells the end.
const FIRST_READ: usize = 1024;
/// Bytes of all headers of one member, extensions and their padding included.
const HEADERS: usize = 2 * ARCHIVE_HEADER_BYTES as usize;

/// An archive whose members can be looked up.
#[derive(Debug)]
pub(crate) struct Archive {
    file: Arc<File>,
    name: String,
    members: HashMap<Box<[u8]>, Member>,
}

#[derive(Debug)]
struct Member {
    kind: Kind,
    /// Whether an earlier member had the same name.
    repeated: bool,
}

#[derive(Debug)]
enum Kind {
    File {
        offset: u64,
        size: u64,
    },
    /// A symbolic or hard link, its target as a name in the archive. `None` when that would lie outside of it.
    Link(Option<Box<[u8]>>),
    Other,
}

/// Where the content of a member lies in the archive's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

impl Archive {
    /// Walks the headers of an archive, whose bytes must not be compressed.
    pub(crate) fn index(file: Arc<File>, name: String) -> Result<Self> {
        let length = file.metadata().map_err(Error::io("look at", name.clone()))?.len();
        let mut walk = Walk { archive: Archive { file, name, members: HashMap::new() }, length, name_bytes: 0 };
        walk.run()?;
        Ok(walk.archive)
    }

    /// The archive's name, for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The archive's file.
    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Whether there is a member of that name, of whatever kind.
    pub(crate) fn has(&self, path: &str) -> bool {
        normal_name(path.as_bytes()).is_some_and(|name| self.members.contains_key(name.as_slice()))
    }

    /// Finds the content of a member, through links. `None` when there is no member of that name.
    ///
    /// # Errors
    /// The member is neither a file nor a link to one in the archive.
    pub(crate) fn find(&self, path: &str) -> Result<Option<Extent>> {
        let Some(mut name) = normal_name(path.as_bytes()) else { return Ok(None) };
        let malformed = |reason: &str| Err(Error::malformed(self.member_name(path), reason));
        for hop in 0..ARCHIVE_LINK_HOPS {
            match self.members.get(name.as_slice()).map(|member| &member.kind) {
                None if hop == 0 => return Ok(None),
                None => return malformed("it is a link to nothing"),
                Some(Kind::Other) => return malformed("it is neither a file nor a link"),
                Some(Kind::File { offset, size }) => return Ok(Some(Extent { offset: *offset, size: *size })),
                Some(Kind::Link(Some(target))) => name = target.to_vec(),
                Some(Kind::Link(None)) => return malformed("it is a link to something outside of the archive"),
            }
        }
        malformed("it is a link to too many other links")
    }

    /// Reads a whole member. `None` when there is no member of that name.
    ///
    /// # Errors
    /// As [`Archive::find`]; the member is over the limit, or there are two of that name: which one counts would
    /// differ between readers.
    pub(crate) fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(Extent { offset, size }) = self.find(path)? else { return Ok(None) };
        let what = self.member_name(path);
        if normal_name(path.as_bytes()).and_then(|name| self.members.get(name.as_slice())).is_some_and(|m| m.repeated) {
            return Err(Error::malformed(what, "it is in the archive more than once"));
        }
        if size > limit {
            return Err(Error::Limit { what, actual: size, limit, unit: "bytes" });
        }
        read_limited(BlobReader::range(self.file.clone(), offset, size), limit, &what)
    }

    /// How errors name a member.
    pub(crate) fn member_name(&self, path: &str) -> String {
        format!("{} in {}", shorten(path), self.name)
    }
}

/// The walk over an archive's headers.
struct Walk {
    archive: Archive,
    /// Bytes of the archive.
    length: u64,
    /// Bytes of the names and link targets kept so far.
    name_bytes: usize,
}

impl Walk {
    fn run(&mut self) -> Result<()> {
        let mut parser = Parser::new(Limits { max_metadata_size: ARCHIVE_HEADER_BYTES, ..Limits::default() });
        // Times before 1970, as reproducible builds write them, are errors to the parser; here no time matters.
        parser.set_ignore_pax_errors(true);
        parser.set_allow_empty_path(true);
        let mut buffer = Vec::new();
        let mut offset = 0u64;
        let mut wanted = FIRST_READ;
        loop {
            buffer.resize(wanted, 0);
            let filled = read_up_to(&self.archive.file, &mut buffer, offset)
                .map_err(Error::io("read", self.archive.name.clone()))?;
            let headers = buffer.get(..filled).unwrap_or_default();
            let event = parser.parse(headers).map_err(|source| Error::Archive {
                what: self.archive.name.clone(),
                offset,
                source,
            })?;
            let consumed = match event {
                ParseEvent::End { .. } => return Ok(()),
                ParseEvent::NeedData { min_bytes } => {
                    if filled < wanted {
                        return self.end_without_mark(headers, offset);
                    }
                    // The parser may ask for no more than it has been given, when it looks for the end of a line.
                    // Twice as much each time, so that long headers cost no more than a few reads of them.
                    if min_bytes > HEADERS || wanted == HEADERS {
                        let reason = format!("the headers at byte {offset} are too long");
                        return Err(Error::malformed(self.archive.name.clone(), reason));
                    }
                    wanted = min_bytes.max(wanted.saturating_mul(2)).min(HEADERS);
                    continue;
                }
                ParseEvent::GlobalExtensions { consumed, .. } => consumed as u64,
                ParseEvent::SparseEntry { entry, .. } => {
                    return Err(Error::unsupported(
                        self.archive.member_name(&entry.path_lossy()),
                        "it is stored as a sparse file; pack the archive again without --sparse",
                    ));
                }
                ParseEvent::Entry { consumed, entry } => {
                    let content = offset.checked_add(consumed as u64);
                    let size = content_size(&entry);
                    let end = content.and_then(|content| content.checked_add(size));
                    let (Some(content), Some(_)) = (content, end.filter(|end| *end <= self.length)) else {
                        let reason = "the archive ends in the middle of it";
                        return Err(Error::malformed(self.archive.member_name(&entry.path_lossy()), reason));
                    };
                    self.add(&entry, content, size)?;
                    (consumed as u64).saturating_add(size.checked_next_multiple_of(BLOCK as u64).unwrap_or(size))
                }
            };
            offset = offset.saturating_add(consumed);
            wanted = FIRST_READ;
        }
    }

    /// An archive may end without the two blocks of zeros, but not within a header.
    fn end_without_mark(&self, rest: &[u8], offset: u64) -> Result<()> {
        if rest.iter().all(|b| *b == 0) {
            return Ok(());
        }
        let reason = format!("the archive ends in the middle of a header, at byte {offset}");
        Err(Error::malformed(self.archive.name.clone(), reason))
    }

    fn add(&mut self, entry: &ParsedEntry<'_>, offset: u64, size: u64) -> Result<()> {
        let Some(name) = normal_name(&entry.path).filter(|name| !name.is_empty()) else { return Ok(()) };
        let target = entry.link_target.as_deref().unwrap_or_default();
        let kind = match entry.entry_type {
            EntryType::Regular | EntryType::Continuous => Kind::File { offset, size },
            EntryType::Link => Kind::Link(normal_name(target).map(Vec::into_boxed_slice)),
            EntryType::Symlink => Kind::Link(symlink_target(&name, target).map(Vec::into_boxed_slice)),
            _ => Kind::Other,
        };
        let kept = match &kind {
            Kind::Link(Some(target)) => target.len(),
            _ => 0,
        };
        self.name_bytes = self.name_bytes.saturating_add(name.len()).saturating_add(kept);
        let too_large = |actual: usize, limit: usize, unit| Error::Limit {
            what: self.archive.name.clone(),
            actual: actual as u64,
            limit: limit as u64,
            unit,
        };
        if self.name_bytes > ARCHIVE_NAME_BYTES {
            return Err(too_large(self.name_bytes, ARCHIVE_NAME_BYTES, "bytes of names"));
        }
        let count = self.archive.members.len().saturating_add(1);
        if count > ARCHIVE_MEMBERS {
            return Err(too_large(count, ARCHIVE_MEMBERS, "members"));
        }
        // As in any tar archive the last of a name counts. A directory may well be listed twice.
        let is_other = matches!(kind, Kind::Other);
        let member = Member { kind, repeated: false };
        if let Some(earlier) = self.archive.members.insert(name.clone().into_boxed_slice(), member)
            && !(is_other && matches!(earlier.kind, Kind::Other))
            && let Some(member) = self.archive.members.get_mut(name.as_slice())
        {
            member.repeated = true;
        }
        Ok(())
    }
}

/// Bytes of content behind a header. Links, directories and devices have none, whatever their size field says: that
/// is how the programs read them that write these archives.
fn content_size(entry: &ParsedEntry<'_>) -> u64 {
    match entry.entry_type {
        EntryType::Link
        | EntryType::Symlink
        | EntryType::Char
        | EntryType::Block
        | EntryType::Directory
        | EntryType::Fifo => 0,
        _ => entry.size,
    }
}

/// A name without empty and `.` components. `None` when there is a `..` in it.
fn normal_name(name: &[u8]) -> Option<Vec<u8>> {
    join(name.split(|b| *b == b'/'), Vec::new(), false)
}

/// Where a symbolic link points to, seen from the archive's root. `None` when that is outside.
fn symlink_target(link: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    if target.starts_with(b"/") {
        return None;
    }
    let mut directory: Vec<&[u8]> = link.split(|b| *b == b'/').collect();
    directory.pop();
    join(target.split(|b| *b == b'/'), directory, true)
}

/// Puts components behind those that are there already, taking one away for each `..` where that is allowed.
fn join<'a>(components: impl Iterator<Item = &'a [u8]>, mut joined: Vec<&'a [u8]>, climbing: bool) -> Option<Vec<u8>> {
    for component in components {
        match component {
            b"" | b"." => {}
            b".." if climbing => drop(joined.pop()?),
            b".." => return None,
            component => joined.push(component),
        }
    }
    Some(joined.join(&b'/'))
}

impl Blobs for Archive {
    fn open(&self, descriptor: &Descriptor) -> Result<BlobReader> {
        let Extent { offset, size } = self
            .find(&descriptor.digest.blob_path())?
            .ok_or_else(|| Error::Missing { what: format!("blob {}", descriptor.digest), place: self.place() })?;
        if size != descriptor.size {
            return Err(Error::Integrity {
                what: format!("blob {} in {}", descriptor.digest, self.place()),
                source: Mismatch::Size { expected: descriptor.size, actual: size },
            });
        }
        Ok(BlobReader::range(self.file.clone(), offset, size))
    }

    fn place(&self) -> String {
        self.name.clone()
    }
}

impl Files for Archive {
    fn file(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        self.read(name, limit)
    }

    fn absence(&self) -> Result<()> {
        let reason = if self.has("manifest.json") {
            "it is no archive of an image layout, but has a manifest.json: name it as docker-archive:FILE"
        } else if self.has("etc") || self.has("usr") {
            "it is no archive of an image layout, but looks like a root file system: name it as tar:FILE"
        } else {
            return Ok(());
        };
        Err(Error::unsupported(self.name.clone(), reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_in_normal_form() {
        let cases: [(&[u8], Option<&[u8]>); 7] = [
            (b"./blobs/sha256/x", Some(b"blobs/sha256/x")),
            (b"/index.json", Some(b"index.json")),
            (b"blobs//x/", Some(b"blobs/x")),
            (b"./", Some(b"")),
            (b"../x", None),
            (b"a/../x", None),
            (b"..x/...", Some(b"..x/...")),
        ];
        for (name, expected) in cases {
            assert_eq!(normal_name(name).as_deref(), expected, "{:?}", String::from_utf8_lossy(name));
        }
    }

    #[test]
    fn links_stay_inside_the_archive() {
        let cases = [
            ("a/layer.tar", "../b/layer.tar", Some("b/layer.tar")),
            ("layer.tar", "./x", Some("x")),
            ("a/b/c", "../../x", Some("x")),
            ("a/b", "../../etc/passwd", None),
            ("a", "..", None),
            ("a", "../x", None),
            ("a/b", "/etc/passwd", None),
        ];
        for (link, target, expected) in cases {
            let found = symlink_target(link.as_bytes(), target.as_bytes());
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{link} -> {target}");
        }
    }
}
