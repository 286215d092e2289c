//! Takes a bundle apart.
//!
//! One thread decompresses, another reads the archive, computes the digest and writes: neither waits for the other unless it must.
//! Memory does not depend on the bundle. `manifest.json` comes first, so that it is known of each further byte whether it
//! has a place.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use banger_layers::ContentSink;
use banger_layers::decompress::{DecompressError, Decompressor, Limits};
use banger_layers::entry::{Entries, Entry, Kind};
use banger_layers::tar::{TarError, TarReader};
use banger_oci::Mismatch;

use super::image::Image;
use super::{MANIFEST, Manifest, ROOTFS};
use crate::error::{Error, Result};
use crate::limits::{ARCHIVE_BYTES, MANIFEST_BYTES};
use crate::watch::Watch;

/// Bytes that are decompressed at once, and how often.
const PIECE: usize = 1 << 20;
const PIECES: usize = 4;

/// What was in a bundle.
#[derive(Debug)]
pub struct Extracted {
    /// What it says of itself.
    pub manifest: Manifest,
    /// The root file system, which is what the manifest says.
    pub rootfs: PathBuf,
}

/// Reads a bundle, and makes `rootfs.ext4` in a directory that has no file of that name.
///
/// Nothing is synced: whoever makes the file appear somewhere does that.
///
/// # Errors
/// It is no bundle, or not what it says, or something cannot be read or written. Nothing is left in the directory then.
pub fn read(input: impl Read + Send, directory: &Path, watch: &dyn Watch) -> Result<Extracted> {
    let (send, receive) = sync_channel(PIECES);
    let (give_back, returned) = channel();
    std::thread::scope(|scope| {
        let source = scope.spawn(move || decompress(input, &send, &returned));
        let read = read_archive(&receive, &give_back, directory, watch);
        // The other thread stops when nobody wants its pieces.
        drop((receive, give_back));
        match source.join() {
            Ok(()) => read,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

type Piece = std::result::Result<Vec<u8>, DecompressError>;

/// Decompresses, as long as somebody takes what comes of it. The last piece is shorter than the others, or an error.
fn decompress(input: impl Read, send: &SyncSender<Piece>, returned: &Receiver<Vec<u8>>) {
    let limits = Limits { output: ARCHIVE_BYTES, ..Limits::default() };
    let mut source = match Decompressor::with_limits(input, limits) {
        Ok(source) => source,
        Err(error) => return drop(send.send(Err(error))),
    };
    loop {
        let mut piece = returned.try_recv().unwrap_or_default();
        piece.resize(PIECE, 0);
        let filled = source.fill(&mut piece).map(|count| {
            piece.truncate(count);
            piece
        });
        let last = filled.as_ref().map_or(true, |piece| piece.len() < PIECE);
        if send.send(filled).is_err() || last {
            return;
        }
    }
}

fn read_archive(
    receive: &Receiver<Piece>,
    give_back: &Sender<Vec<u8>>,
    directory: &Path,
    watch: &dyn Watch,
) -> Result<Extracted> {
    let mut sink = Sink { directory, watch, member: Member::None, manifest: None, image: None };
    let (mut reader, mut entries) = (TarReader::new(), Entries::new());
    // A piece that is not full is the last, so that the sender is never gone before.
    while let Ok(piece) = receive.recv() {
        let piece = piece.map_err(Error::Decompress)?;
        if !watch.go_on() {
            return Err(Error::Cancelled);
        }
        let fed = reader.feed(&piece, &mut sink, &mut entries);
        check_entries(&entries)?;
        fed.map_err(|error| error_of(error, entries.len()))?;
        check_end(&reader, &piece)?;
        let last = piece.len() < PIECE;
        if last {
            break;
        }
        // If nobody takes it, it is not needed any more.
        let _ = give_back.send(piece);
    }
    reader.finish().map_err(|error| error_of(error, entries.len()))?;
    let Sink { manifest, image, .. } = sink;
    let manifest = manifest.ok_or(Error::Incomplete { what: MANIFEST })?;
    let image = image.ok_or(Error::Incomplete { what: ROOTFS })?;
    Ok(Extracted { manifest, rootfs: image.keep() })
}

/// The errors of the sink are this crate's. `number` is that of the member whose content it was.
fn error_of(error: TarError, number: usize) -> Error {
    match error {
        TarError::Sink { path, source } => {
            // That something does not belong there says more than what is wrong with its content.
            if let Err(error) = check_member(number, path.as_bytes(), FILE) {
                return error;
            }
            match source.downcast() {
                Ok(error) => *error,
                Err(source) => Error::Archive(TarError::Sink { path, source }),
            }
        }
        error => Error::Archive(error),
    }
}

/// There are two members, in this order, and nothing else.
fn check_entries(entries: &Entries) -> Result<()> {
    entries.iter().enumerate().try_for_each(|(number, entry)| check_member(number, entry.path, kind_of(&entry)))
}

fn check_member(number: usize, path: &[u8], what: &'static str) -> Result<()> {
    let expected = [MANIFEST, ROOTFS].get(number).filter(|_| what == FILE);
    if expected.is_some_and(|name| path == name.as_bytes()) {
        return Ok(());
    }
    if number == 0 && path == ROOTFS.as_bytes() && what == FILE {
        return Err(Error::Incomplete { what: "manifest.json before its rootfs.ext4" });
    }
    Err(Error::Foreign { what, path: path.to_vec() })
}

const FILE: &str = "a file";

fn kind_of(entry: &Entry<'_>) -> &'static str {
    match entry.kind {
        Kind::Directory => "a directory",
        Kind::File { .. } => FILE,
        Kind::Symlink { .. } => "a symbolic link",
        Kind::Hardlink { .. } => "a hard link",
        Kind::CharDevice { .. } | Kind::BlockDevice { .. } => "a device",
        Kind::Fifo => "a pipe",
        Kind::Socket => "a socket",
    }
}

/// Nothing but zeros follow the end of the archive. `piece` is what was read last.
fn check_end(reader: &TarReader, piece: &[u8]) -> Result<()> {
    let Some(end) = reader.end() else { return Ok(()) };
    let start = reader.offset().saturating_sub(piece.len() as u64);
    let behind = usize::try_from(end.saturating_sub(start)).unwrap_or(0);
    let rest = piece.get(behind..).unwrap_or_default();
    match rest.iter().position(|&byte| byte != 0) {
        Some(place) => Err(Error::Trailing { offset: start.max(end).saturating_add(place as u64) }),
        None => Ok(()),
    }
}

/// Takes the contents of the two members.
struct Sink<'a> {
    directory: &'a Path,
    watch: &'a dyn Watch,
    member: Member,
    manifest: Option<Manifest>,
    /// Complete and right, once its member is.
    image: Option<Box<Image>>,
}

enum Member {
    None,
    Manifest(Vec<u8>),
    Rootfs {
        image: Box<Image>,
        size: u64,
    },
    /// More than there should be: told by its name.
    Other,
}

impl Sink<'_> {
    /// So many more bytes are about to come.
    fn check_room(&self, more: u64) -> Result<()> {
        match &self.member {
            Member::Manifest(bytes) if (bytes.len() as u64).saturating_add(more) > MANIFEST_BYTES => {
                Err(Error::Limit { what: format!("the bundle's {MANIFEST}"), limit: MANIFEST_BYTES, unit: "bytes" })
            }
            Member::Rootfs { image, size } if image.length().saturating_add(more) > *size => {
                Err(mismatch(Mismatch::Longer { expected: *size }))
            }
            _ => Ok(()),
        }
    }
}

fn mismatch(source: Mismatch) -> Error {
    Error::Integrity { what: format!("the bundle's {ROOTFS}"), source }
}

impl ContentSink for Sink<'_> {
    type Error = Error;

    fn begin(&mut self) -> Result<()> {
        self.member = match (&self.manifest, &self.image) {
            (None, _) => Member::Manifest(Vec::new()),
            (Some(manifest), None) => {
                let image = Box::new(Image::create(&self.directory.join(ROOTFS))?);
                Member::Rootfs { image, size: manifest.rootfs.size }
            }
            (Some(_), Some(_)) => Member::Other,
        };
        Ok(())
    }

    fn write(&mut self, data: &[u8]) -> Result<()> {
        self.check_room(data.len() as u64)?;
        match &mut self.member {
            Member::Manifest(bytes) => bytes.extend_from_slice(data),
            Member::Rootfs { image, size } => {
                image.append(data)?;
                self.watch.advanced(image.length(), *size);
            }
            Member::None | Member::Other => {}
        }
        Ok(())
    }

    fn skip(&mut self, length: u64) -> Result<()> {
        self.check_room(length)?;
        match &mut self.member {
            Member::Manifest(bytes) => {
                bytes.resize(bytes.len().saturating_add(usize::try_from(length).unwrap_or(0)), 0)
            }
            Member::Rootfs { image, size } => {
                image.append_hole(length, self.watch)?;
                self.watch.advanced(image.length(), *size);
            }
            Member::None | Member::Other => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<u32> {
        match std::mem::replace(&mut self.member, Member::None) {
            Member::Manifest(bytes) => self.manifest = Some(Manifest::parse(&bytes)?),
            Member::Rootfs { mut image, size } => {
                let (actual, length) = image.finish()?;
                if length != size {
                    return Err(mismatch(Mismatch::Size { expected: size, actual: length }));
                }
                let expected = self.manifest.as_ref().map_or(Ok(actual), |manifest| manifest.rootfs.digest())?;
                if actual != expected {
                    return Err(mismatch(Mismatch::Digest { expected: Box::new(expected), actual: Box::new(actual) }));
                }
                self.image = Some(image);
            }
            Member::None | Member::Other => {}
        }
        Ok(0)
    }
}
