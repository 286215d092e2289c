//! A kernel and what belongs to it in one file: a tar archive compressed with zstd.
//!
//! In it are one of `vmlinux`, `bzImage` and `Image`, perhaps `initrd.img`, perhaps files below `modules/`, as
//! [`place`](crate::place) names them, and nothing else: no links, no devices, no other names, none twice. What is written
//! has them in the order of their names, without times and owners; the same kernel gives the same bytes, and these give the file its
//! name, `NAME-` and the first 16 digits of its SHA-256.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use banger_layers::decompress::{Decompressor, Format as Compression, Limits};
use banger_layers::entry::{Entry, Kind};
use tar_core::EntryType;
use tar_core::builder::EntryBuilder;

use crate::error::{Error, Result};
use crate::image::Format;
use crate::limits::TOTAL_BYTES;
use crate::member::{self, INITRD, MODULES, Member, members};
use crate::open;
use crate::output::Output;
use crate::place::make_directory;
use crate::triple::Triple;
use crate::unpack::{Choice, Taken, Unpack};
use crate::watch::{Watch, go_on};

/// How the name of an archive ends.
pub const SUFFIX: &str = ".tar.zst";

/// How hard zstd tries: beyond that it takes much longer for little.
const LEVEL: i32 = 9;
/// Binary logarithm of the window: 128 MiB, the most that `zstd` takes without being told to.
const WINDOW_LOG: u32 = 27;
/// Bytes of a block of tar.
const BLOCK: u64 = 512;
/// What an archive ends with.
const END: [u8; 1024] = [0; 1024];
/// Output by input beyond which an archive is a trap: modules compress to a sixth, a kernel hardly.
const EXPANSION: u64 = 1_000;
/// Bytes for which that is no matter.
const EXPANSION_FREE: u64 = 64 << 20;

/// An archive that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of the file: 64 hexadecimal digits.
    pub sha256: String,
    /// Bytes of the file.
    pub size: u64,
}

/// Writes the archive of a kernel into a directory. It appears when it is complete, and on the disk.
///
/// # Errors
/// `name` is none (see [`is_name`]); a file cannot be read or written; there is another file of the archive's name.
pub fn write(triple: &Triple, name: &str, directory: &Path, watch: &dyn Watch) -> Result<Written> {
    if !is_name(name) {
        return Err(Error::Name { name: name.to_owned() });
    }
    let entries: Vec<(Vec<u8>, Member)> =
        members(triple)?.into_iter().map(|member| Ok((header(&member)?, member))).collect::<Result<_>>()?;
    let total = entries.iter().fold(END.len() as u64, |total, (header, member)| {
        total.saturating_add(header.len() as u64).saturating_add(member.size.next_multiple_of(BLOCK))
    });
    let failed = Error::io("write an archive into", directory);
    let mut output = Output::create(directory)?;
    let written = (|| {
        let mut encoder = zstd::Encoder::new(&mut output, LEVEL)?;
        encoder.include_checksum(true)?;
        encoder.set_pledged_src_size(Some(total))?;
        encoder.long_distance_matching(true)?;
        encoder.window_log(WINDOW_LOG)?;
        for (header, member) in &entries {
            encoder.write_all(header)?;
            if let Err(error) = content(member, &mut encoder, watch)? {
                return Ok(Err(error));
            }
        }
        encoder.write_all(&END)?;
        encoder.finish()?;
        Ok(Ok(()))
    })();
    written.map_err(failed)??;
    let named = |digest: &str| format!("{name}-{}{SUFFIX}", digest.get(..16).unwrap_or(digest));
    let (path, sha256, size) = output.publish(named)?;
    Ok(Written { path, sha256, size })
}

/// Whether this can be the name of a kernel: `[a-z0-9][a-z0-9._-]{0,126}`.
pub fn is_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    (1..=127).contains(&name.len())
        && name.bytes().all(known)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
}

fn header(member: &Member) -> Result<Vec<u8>> {
    let mut entry = EntryBuilder::new_ustar();
    entry.path(&member.name).entry_type(EntryType::Regular);
    let filled = entry.mode(0o644).and_then(|entry| entry.uid(0)).and_then(|entry| entry.gid(0));
    let filled = filled.and_then(|entry| entry.mtime(0)).and_then(|entry| entry.size(member.size));
    // Sizes are limited to less than a header can hold.
    filled.map_err(|error| Error::damaged(&member.path, error.to_string()))?;
    Ok(entry.finish_bytes())
}

/// Writes the content of a file. The outer error is the writer's, the inner one that of the file.
fn content(member: &Member, writer: &mut impl Write, watch: &dyn Watch) -> std::io::Result<Result<()>> {
    let mut file = match member.open() {
        Ok(file) => file,
        Err(error) => return Ok(Err(error)),
    };
    let mut buffer = vec![0; 256 << 10];
    let mut left = member.size;
    while left > 0 {
        let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let room = buffer.get_mut(..most).unwrap_or_default();
        let count = match file.read(room) {
            Ok(0) => return Ok(Err(Error::Changed { path: member.path.clone() })),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Ok(Err(Error::io("read", &member.path)(error))),
        };
        if let Err(cancelled) = go_on(watch) {
            return Ok(Err(cancelled));
        }
        writer.write_all(room.get(..count).unwrap_or_default())?;
        left = left.saturating_sub(count as u64);
        watch.advanced(count as u64);
    }
    let padding = member.size.next_multiple_of(BLOCK).saturating_sub(member.size);
    writer.write_all(END.get(..usize::try_from(padding).unwrap_or(0)).unwrap_or_default())?;
    Ok(Ok(()))
}

/// Unpacks an archive into a directory that is there and has nothing of it. What the files are is not looked at, only what they are called.
/// After an error what was unpacked is of no use.
///
/// # Errors
/// It cannot be read, or has something in it that it should not have, or no kernel.
pub fn unpack(archive: &Path, into: &Path, watch: &dyn Watch) -> Result<()> {
    let (file, _) = open::file(archive)?;
    let limits = Limits { output: TOTAL_BYTES, expansion: EXPANSION, free: EXPANSION_FREE, ..Limits::default() };
    let mut reader = Decompressor::with_limits(file, limits)
        .map_err(|source| Error::Decompress { path: archive.to_owned(), source })?;
    if reader.format() != Compression::Zstd {
        return Err(Error::damaged(archive, "it is not compressed with zstd"));
    }
    let scratch = into.join(".contents");
    make_directory(&scratch)?;
    let mut kernel = None;
    let done =
        Unpack { archive, into, scratch: &scratch, watch }.run(&mut reader, &mut Taken::default(), &mut |entry| {
            let refused = |reason: &str| Error::entry(archive, entry.path, reason);
            let name = place_of(entry).map_err(refused)?;
            if let Some(name) =
                name.as_ref().filter(|name| Format::ALL.iter().any(|format| format.file_name() == *name))
                && let Some(other) = kernel.replace(name.clone())
            {
                return Err(refused(if other == *name {
                    "the name is there twice"
                } else {
                    "there is another kernel"
                }));
            }
            Ok(name.map_or(Choice::Ignore, Choice::Take))
        });
    let removed = std::fs::remove_dir_all(&scratch);
    done?;
    removed.map_err(Error::io("remove", &scratch))?;
    match kernel {
        Some(_) => Ok(()),
        None => Err(Error::NoKernelInArchive { path: archive.to_owned() }),
    }
}

/// Where a file of an archive goes; none for a directory. An error is why it is refused.
fn place_of(entry: &Entry<'_>) -> std::result::Result<Option<String>, &'static str> {
    let is_directory = match entry.kind {
        Kind::File { .. } => false,
        Kind::Directory => true,
        Kind::Symlink { .. } => return Err("it is a symbolic link"),
        Kind::Hardlink { .. } => return Err("it is a hard link"),
        _ => return Err("it is a special file"),
    };
    let path = std::str::from_utf8(entry.path).map_err(|_| "its name is no text")?;
    // `tar -C DIRECTORY -c .` names all like this.
    let path = path.strip_prefix("./").unwrap_or(path);
    let path = if is_directory { path.strip_suffix('/').unwrap_or(path) } else { path };
    let unknown = "a kernel's archive has no such name";
    if is_directory {
        return match path {
            "" | "." | MODULES => Ok(None),
            path => {
                let below = path.strip_prefix("modules/").ok_or(unknown)?;
                member::name(below).map(|_| None).ok_or("its name is not a usual one")
            }
        };
    }
    if path == INITRD || Format::ALL.iter().any(|format| format.file_name() == path) {
        return Ok(Some(path.to_owned()));
    }
    let below = path.strip_prefix("modules/").ok_or(unknown)?;
    member::name(below).map(Some).ok_or("its name is not a usual one")
}
