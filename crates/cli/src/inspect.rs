//! `banger ls`, `banger cat`, `banger stat`: looking into an image without mounting it.

mod entry;
mod line;
mod record;

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use banger_ext4::read::{Error, LastLink, Reader};
use banger_ext4::spec::FileType;

use crate::args::{Cat, Ls, Stat};
use crate::exit::Exit;
use crate::failure::{Failure, exit_of_io};
use crate::text::Name;
use entry::Entry;
use record::Record;

/// Bytes of listing that are written at once.
const BUFFER: usize = 64 << 10;

/// Lists a directory, a tree or a single file.
pub(crate) fn ls(ls: &Ls) -> Result<(), Failure> {
    let image = Image::open(&ls.image)?;
    let path = ls.path.as_bytes();
    // A link on the command line stands for the directory that it leads to, and for itself if it leads to none.
    let inode = match image.lookup(path, LastLink::Follow) {
        Ok(inode) if image.is_directory(inode)? => inode,
        _ => image.lookup(path, LastLink::Keep)?,
    };
    let top = absolute(path);
    let stdout = std::io::stdout().lock();
    let colored = anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never;
    let mut out = BufWriter::with_capacity(BUFFER, stdout);
    let mut show = |entry: &Entry, name: &[u8]| -> Result<(), Failure> {
        if ls.json {
            write_json(&mut out, &image.record(entry, ls.sha256)?)
        } else {
            line::write(&mut out, entry, name, colored).map_err(Failure::stdout)
        }
    };
    if ls.recursive {
        for met in image.reader.walk(inode) {
            let met = met.map_err(|error| image.failure(&error))?;
            let entry = image.entry(below(&top, &met.path), met.stat)?;
            show(&entry, &entry.path)?;
        }
    } else if image.is_directory(inode)? {
        let mut names = image.reader.read_dir(inode).map_err(|error| image.failure(&error))?;
        names.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        for name in names {
            let stat = image.reader.stat(name.inode).map_err(|error| image.failure(&error))?;
            show(&image.entry(below(&top, &name.name), stat)?, &name.name)?;
        }
    } else {
        let stat = image.reader.stat(inode).map_err(|error| image.failure(&error))?;
        show(&image.entry(top, stat)?, path)?;
    }
    out.flush().map_err(Failure::stdout)
}

/// Writes a file's content to standard output.
pub(crate) fn cat(cat: &Cat) -> Result<(), Failure> {
    let image = Image::open(&cat.image)?;
    let inode = image.lookup(cat.path.as_bytes(), LastLink::Follow)?;
    let stat = image.reader.stat(inode).map_err(|error| image.failure(&error))?;
    if stat.file_type != FileType::Regular {
        let what = entry::a_type(stat.file_type);
        return Err(Failure::new(Exit::Other, format!("{} is {what}", Name(cat.path.as_bytes()))));
    }
    // Standard output as a file: what is written in large pieces need not be searched for the ends of lines.
    let stdout = std::io::stdout().as_fd().try_clone_to_owned().map_err(Failure::stdout)?;
    match image.reader.copy_to(inode, &mut File::from(stdout)) {
        Ok(_) => Ok(()),
        Err(Error::Write { source, .. }) => Err(Failure::stdout(source)),
        Err(error) => Err(image.failure(&error)),
    }
}

/// Shows everything about one file.
pub(crate) fn stat(stat: &Stat) -> Result<(), Failure> {
    let image = Image::open(&stat.image)?;
    let last = if stat.follow { LastLink::Follow } else { LastLink::Keep };
    let inode = image.lookup(stat.path.as_bytes(), last)?;
    let found = image.reader.stat(inode).map_err(|error| image.failure(&error))?;
    let entry = image.entry(absolute(stat.path.as_bytes()), found)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    if stat.json {
        write_json(&mut out, &image.record(&entry, stat.sha256)?)?;
    } else {
        line::write_all(&mut out, &entry).map_err(Failure::stdout)?;
    }
    out.flush().map_err(Failure::stdout)
}

/// An image that is being looked into.
struct Image<'a> {
    path: &'a Path,
    reader: Reader<File>,
}

impl<'a> Image<'a> {
    fn open(path: &'a Path) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| Failure::file("open", path, &error))?;
        let reader = Reader::open(file).map_err(|error| failure(path, &error))?;
        Ok(Self { path, reader })
    }

    fn lookup(&self, path: &[u8], last: LastLink) -> Result<u32, Failure> {
        self.reader.lookup(path, last).map_err(|error| self.failure(&error))
    }

    fn is_directory(&self, inode: u32) -> Result<bool, Failure> {
        let stat = self.reader.stat(inode).map_err(|error| self.failure(&error))?;
        Ok(stat.file_type == FileType::Directory)
    }

    fn entry(&self, path: Vec<u8>, stat: banger_ext4::read::Stat) -> Result<Entry, Failure> {
        Entry::read(&self.reader, path, stat).map_err(|error| self.failure(&error))
    }

    fn record<'e>(&self, entry: &'e Entry, with_sha256: bool) -> Result<Record<'e>, Failure> {
        let sha256 = if with_sha256 && entry.stat.file_type == FileType::Regular {
            Some(entry::sha256(&self.reader, entry.stat.number).map_err(|error| self.failure(&error))?)
        } else {
            None
        };
        Ok(Record::new(entry, sha256))
    }

    fn failure(&self, error: &Error) -> Failure {
        failure(self.path, error)
    }
}

/// What cannot be found is the path's fault, anything else the image's.
fn failure(image: &Path, error: &Error) -> Failure {
    if let Error::Io { offset, source } = error
        && source.kind() == ErrorKind::UnexpectedEof
    {
        let what = format!("{} is no ext4 image, or it is cut short: nothing is at byte {offset}", image.display());
        return Failure::new(Exit::Integrity, what);
    }
    let exit = exit(error);
    let what = if exit == Exit::NotFound { "cannot find this path in" } else { "cannot read" };
    Failure::new(exit, format!("{what} {}", image.display())).because(error)
}

fn exit(error: &Error) -> Exit {
    match error {
        Error::At { source, .. } => exit(source),
        Error::NotFound { .. } | Error::NotADirectory { .. } | Error::TooManyLinks { .. } => Exit::NotFound,
        Error::Io { source, .. } if source.kind() == ErrorKind::UnexpectedEof => Exit::Integrity,
        Error::Io { source, .. } | Error::Write { source, .. } => exit_of_io(source),
        Error::Unsupported { .. } | Error::Type { .. } => Exit::Other,
        _ => Exit::Integrity,
    }
}

/// A path as it was asked for, from the root of the image and without slashes that say nothing.
fn absolute(path: &[u8]) -> Vec<u8> {
    let names = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".");
    let mut absolute = Vec::with_capacity(path.len() + 1);
    for name in names {
        absolute.push(b'/');
        absolute.extend_from_slice(name);
    }
    if absolute.is_empty() {
        absolute.push(b'/');
    }
    absolute
}

/// The path of `name` below `directory`; the directory's own if it is empty.
fn below(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = directory.to_vec();
    if !name.is_empty() {
        if !path.ends_with(b"/") {
            path.push(b'/');
        }
        path.extend_from_slice(name);
    }
    path
}

fn write_json(out: &mut dyn Write, record: &Record<'_>) -> Result<(), Failure> {
    serde_json::to_writer(&mut *out, record).map_err(|error| Failure::stdout(error.into()))?;
    out.write_all(b"\n").map_err(Failure::stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_at_the_root() {
        for (path, expected) in
            [("", "/"), ("/", "/"), ("etc", "/etc"), ("//etc/./x/", "/etc/x"), ("a/../b", "/a/../b")]
        {
            assert_eq!(absolute(path.as_bytes()), expected.as_bytes(), "{path}");
        }
        assert_eq!(below(b"/", b"etc"), b"/etc");
        assert_eq!(below(b"/etc", b"x/y"), b"/etc/x/y");
        assert_eq!(below(b"/etc", b""), b"/etc");
    }
}
