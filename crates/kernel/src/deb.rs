//! Debian packages (deb(5)): of one with a kernel, that kernel and its modules.
//!
//! A package is an ar archive: `debian-binary` with the format's version, `control.tar` with what the package says of itself
//! (deb-control(5)), `data.tar` with its files; both compressed in one of several ways, which their first bytes say. What is
//! taken is `boot/vmlinuz-VERSION` and the files in `lib/modules/VERSION` or `usr/lib/modules/VERSION`, where a kernel may stand too.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

use banger_kmod::version::is_version;
use banger_layers::ContentSink;
use banger_layers::decompress::{Decompressor, Limits};
use banger_layers::entry::{Entries, Entry, Kind};
use banger_layers::tar::TarReader;
use lzma_rust2::XzReader;

use crate::ar::{ArError, Archive};
use crate::control::Control;
use crate::error::{Error, Result};
use crate::limits::{CONTROL_BYTES, PACKAGE_MEMBERS, TOTAL_BYTES, XZ_MEMORY_KIB};
use crate::unpack::{Choice, Taken, Unpack};
use crate::watch::Watch;
use crate::{find, member, open};

/// The one version of the format that there is, with any minor number.
const FORMAT: &str = "2.";
/// The kernel, where it stands among its modules.
const KERNEL: &str = "vmlinuz";
/// Bytes by which a compression is known.
const MAGIC_BYTES: usize = 6;

/// Unpacks what a package has of a kernel into a directory, under the names that it has in the package; a kernel among its modules goes
/// into `boot`. `scratch` is another directory on the same file system, and `taken` what other packages have put there.
/// Whether there was a kernel is not looked at.
pub(crate) fn unpack(path: &Path, into: &Path, scratch: &Path, taken: &mut Taken, watch: &dyn Watch) -> Result<()> {
    read(path, |_, files| {
        let unpack = Unpack { archive: path, into, scratch, watch };
        unpack.run(files, taken, &mut |entry| choose(path, entry))
    })
}

/// What a package says of itself. Its files are not read.
pub(crate) fn control(path: &Path) -> Result<Control> {
    read(path, |control, _| Ok(control))
}

/// Reads a package: what it says of itself, and the archive of its files.
fn read<T>(path: &Path, then: impl FnOnce(Control, &mut dyn Read) -> Result<T>) -> Result<T> {
    let (file, _) = open::file(path)?;
    let of_ar = |error| ar_error(path, error);
    let mut ar = Archive::new(BufReader::with_capacity(256 << 10, file)).map_err(of_ar)?;
    let first = ar.next_member().map_err(of_ar)?;
    let mut version = String::new();
    let read = (&mut ar).take(64).read_to_string(&mut version);
    if first.is_none_or(|member| member.name != "debian-binary") || read.is_err() || !version.starts_with(FORMAT) {
        return Err(Error::damaged(path, "it is no Debian package of format 2"));
    }
    let mut control = None;
    for _ in 0..PACKAGE_MEMBERS {
        let Some(member) = ar.next_member().map_err(of_ar)? else { break };
        if is_part(&member.name, "control.tar") {
            control = Some(read_control(path, &mut *decompress(path, &mut ar)?)?);
        } else if is_part(&member.name, "data.tar") {
            let control = control.ok_or_else(|| Error::damaged(path, "its files come before its control archive"))?;
            return then(control, &mut *decompress(path, &mut ar)?);
        } else if !member.name.starts_with('_') {
            return Err(Error::damaged(path, format!("it has an unknown part {}", member.name)));
        }
    }
    Err(Error::damaged(path, "it has no archive of files"))
}

fn is_part(name: &str, part: &str) -> bool {
    name.strip_prefix(part).is_some_and(|suffix| suffix.is_empty() || suffix.starts_with('.'))
}

fn ar_error(path: &Path, error: ArError) -> Error {
    match error {
        ArError::Read { source, .. } => Error::io("read", path)(source),
        error => Error::damaged(path, error.to_string()),
    }
}

/// Reads a part decompressed, whatever its first bytes say.
fn decompress<'a>(path: &Path, part: &'a mut Archive<BufReader<File>>) -> Result<Box<dyn Read + 'a>> {
    let mut start = Vec::new();
    part.take(MAGIC_BYTES as u64).read_to_end(&mut start).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::damaged(path, error.to_string()),
        _ => Error::io("read", path)(error),
    })?;
    let is_xz = start.starts_with(b"\xfd7zXZ\0");
    let is_lzma = start.starts_with(b"\x5d\0\0");
    let whole = Cursor::new(start).chain(part);
    if is_xz {
        return Ok(Box::new(XzReader::new_mem_limit(BufReader::new(whole), true, XZ_MEMORY_KIB)));
    }
    if is_lzma {
        return Err(Error::damaged(path, "it is compressed with lzma, as packages have not been for long"));
    }
    let limits = Limits { output: TOTAL_BYTES, ..Limits::default() };
    let reader = Decompressor::with_limits(whole, limits);
    Ok(Box::new(reader.map_err(|source| Error::Decompress { path: path.to_owned(), source })?))
}

/// What becomes of one of the package's files.
fn choose(archive: &Path, entry: &Entry<'_>) -> Result<Choice> {
    let Ok(path) = std::str::from_utf8(entry.path) else { return Ok(Choice::Ignore) };
    let path = path.trim_start_matches("./").trim_start_matches('/');
    if let Some(name) = path.strip_prefix("boot/")
        && find::version_in_name(name).is_some()
    {
        return match entry.kind {
            Kind::File { .. } => Ok(Choice::Take(path.to_owned())),
            _ => Err(Error::entry(archive, entry.path, "a kernel was expected, which is a file")),
        };
    }
    let Some((version, below)) = ["lib/modules/", "usr/lib/modules/"]
        .iter()
        .find_map(|prefix| path.strip_prefix(prefix)?.split_once('/'))
        .filter(|(version, below)| is_version(version) && !below.is_empty())
    else {
        return Ok(Choice::Ignore);
    };
    match entry.kind {
        Kind::Directory => Ok(Choice::Ignore),
        Kind::File { .. } if below == KERNEL => Ok(Choice::Take(format!("boot/vmlinuz-{version}"))),
        // To the sources, which are in another package.
        Kind::Symlink { .. } if matches!(below, "build" | "source") => Ok(Choice::Ignore),
        Kind::File { .. } if member::name(below).is_some() => {
            Ok(Choice::Take(format!("lib/modules/{version}/{below}")))
        }
        Kind::File { .. } => Err(Error::entry(archive, entry.path, "its name is not a usual one")),
        _ => Err(Error::entry(archive, entry.path, "among the modules there are only files")),
    }
}

/// Reads the file `control` of a control archive.
fn read_control(path: &Path, reader: &mut dyn Read) -> Result<Control> {
    let mut archive = Vec::new();
    let read = reader.take(CONTROL_BYTES.saturating_add(1)).read_to_end(&mut archive);
    read.map_err(|error| Error::damaged(path, format!("its control archive cannot be decompressed: {error}")))?;
    if archive.len() as u64 > CONTROL_BYTES {
        return Err(Error::limit(path, CONTROL_BYTES, "bytes of control files"));
    }
    let (mut tar, mut entries, mut sink) = (TarReader::new(), Entries::new(), Texts::default());
    let fed = tar.feed(&archive, &mut sink, &mut entries).and_then(|()| tar.finish());
    fed.map_err(|source| Error::Tar { path: path.to_owned(), source })?;
    let is_control = |entry: &Entry<'_>| matches!(entry.path, b"control" | b"./control");
    let content = entries.iter().filter(is_control).find_map(|entry| match entry.kind {
        Kind::File { content, .. } => sink.texts.get(usize::try_from(content).ok()?),
        _ => None,
    });
    let content = content.ok_or_else(|| Error::damaged(path, "it does not say which package it is"))?;
    Control::parse(&String::from_utf8_lossy(content))
        .ok_or_else(|| Error::damaged(path, "it does not say which package it is"))
}

/// Contents of control files, in memory: their archive is there too.
#[derive(Default)]
struct Texts {
    texts: Vec<Vec<u8>>,
    total: u64,
}

impl Texts {
    fn more(&mut self, bytes: u64) -> io::Result<()> {
        self.total = self.total.saturating_add(bytes);
        // A hole costs nothing in the archive.
        if self.total > CONTROL_BYTES { Err(io::Error::other("the control files are too large")) } else { Ok(()) }
    }
}

impl ContentSink for Texts {
    type Error = io::Error;

    fn begin(&mut self) -> io::Result<()> {
        self.texts.push(Vec::new());
        Ok(())
    }

    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.more(data.len() as u64)?;
        if let Some(text) = self.texts.last_mut() {
            text.extend_from_slice(data);
        }
        Ok(())
    }

    fn skip(&mut self, length: u64) -> io::Result<()> {
        self.more(length)?;
        if let Some(text) = self.texts.last_mut() {
            let length = text.len().saturating_add(usize::try_from(length).unwrap_or(0));
            text.resize(length, 0);
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<u32> {
        u32::try_from(self.texts.len().saturating_sub(1)).map_err(io::Error::other)
    }
}
