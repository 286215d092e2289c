//! A file or a tree becomes an archive.
//!
//! Names begin with the last part of the path, as those of `tar -C PARENT -cf - NAME`. What is mounted below is an empty directory,
//! so that /proc does not become files; sockets are left out, as tar has no way to say them. A file that changes while it is read
//! breaks the archive off, unless it is small enough to be read at once.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::header::{self, BLOCK, Kind, Member, Time};
use super::place::{Place, PlaceError, Spot};

/// Bytes of a file that is read at once, before its size is told: files of /proc say that they have none.
const SMALL: u64 = 1 << 20;

/// Blocks of zeros that end an archive.
const END: usize = 2;

/// What is to become an archive.
#[derive(Debug)]
pub(super) struct Source {
    place: Place,
    /// Its name below the place; empty for the place itself.
    name: Vec<u8>,
}

impl Source {
    /// What is at an absolute path: a symbolic link itself, unless a slash follows.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let bytes = path.as_os_str().as_bytes();
        let (parent, name) = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) if !bytes.ends_with(b"/.") => (parent, name.as_bytes()),
            // The root, `..` and `.`: there is no name that an archive could have.
            _ => return Ok(Self { place: Place::open(path)?, name: Vec::new() }),
        };
        let place = Place::open(parent)?;
        let spot = place.spot(name, false).map_err(io::Error::other)?.ok_or(io::ErrorKind::NotFound)?;
        let stat = statat(&spot.parent, &spot.name, AtFlags::SYMLINK_NOFOLLOW)?;
        if bytes.ends_with(b"/") {
            // Where it leads, under its own name: that is what the slash asks for.
            let target = path.canonicalize()?;
            if !target.is_dir() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                return Self::open(&target);
            }
        }
        match kind(&stat) {
            Some(_) => Ok(Self { place, name: name.to_vec() }),
            None => Err(io::Error::new(io::ErrorKind::InvalidInput, "a socket is nothing for an archive")),
        }
    }

    /// Writes the archive.
    pub(super) fn write(&self, to: &mut impl Write) -> Result<(), PlaceError> {
        let mut archive = Writing { to, device: None, links: BTreeMap::new() };
        // Names that are still to be written, the next one last.
        let mut pending = vec![self.name.clone()];
        while let Some(name) = pending.pop() {
            let failed = PlaceError::at(&name);
            let spot = match self.place.spot(&name, false) {
                // It is gone since its directory was read.
                Err(PlaceError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => continue,
                spot => spot?,
            };
            let directory = match spot {
                Some(spot) => archive.member(&spot, &name).map_err(failed)?,
                None => Some(archive.root(&self.place).map_err(failed)?),
            };
            if let Some(directory) = directory {
                let mut names = list(&directory).map_err(PlaceError::at(&name))?;
                names.sort_unstable_by(|one, other| other.cmp(one));
                let below = |last: Vec<u8>| if name.is_empty() { last } else { [&name, &b"/"[..], &last].concat() };
                pending.extend(names.into_iter().map(below));
            }
        }
        archive.to.write_all(&[0; END * BLOCK]).map_err(PlaceError::at(b""))
    }
}

/// An archive that is being written.
struct Writing<'a, W> {
    to: &'a mut W,
    /// The file system that it is of.
    device: Option<u64>,
    /// Files that have several names: the one that came first.
    links: BTreeMap<u64, Vec<u8>>,
}

impl<W: Write> Writing<'_, W> {
    /// The place itself. The descriptor to list it by.
    fn root(&mut self, place: &Place) -> io::Result<std::os::fd::OwnedFd> {
        let directory = place.itself()?;
        let stat = fstat(&directory)?;
        self.device = Some(stat.st_dev);
        self.to.write_all(&header::encode(&member(&stat, b"./".to_vec(), Kind::Directory)))?;
        Ok(directory)
    }

    /// One member. Where it is a directory whose members are to follow, the descriptor to list it by.
    fn member(&mut self, spot: &Spot, name: &[u8]) -> io::Result<Option<std::os::fd::OwnedFd>> {
        let stat = match statat(&spot.parent, &spot.name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            stat => stat?,
        };
        let Some(kind) = kind(&stat) else { return Ok(None) };
        let is_first = self.device.is_none();
        let device = *self.device.get_or_insert(stat.st_dev);
        let mut member = member(&stat, name.to_vec(), kind);
        match kind {
            Kind::Directory => {
                member.name.push(b'/');
                self.to.write_all(&header::encode(&member))?;
                if stat.st_dev != device && !is_first {
                    return Ok(None);
                }
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                return Ok(Some(openat(&spot.parent, &spot.name, flags, Mode::empty())?));
            }
            Kind::Symlink => {
                member.link = readlinkat(&spot.parent, &spot.name, Vec::new())?.into_bytes();
                self.to.write_all(&header::encode(&member))?;
            }
            Kind::File => {
                if stat.st_nlink > 1 && stat.st_dev == device {
                    if let Some(first) = self.links.get(&stat.st_ino) {
                        member = Member { kind: Kind::Hardlink, link: first.clone(), ..member };
                        self.to.write_all(&header::encode(&member))?;
                        return Ok(None);
                    }
                    self.links.insert(stat.st_ino, name.to_vec());
                }
                self.file(spot, member)?;
            }
            _ => self.to.write_all(&header::encode(&member))?,
        }
        Ok(None)
    }

    fn file(&mut self, spot: &Spot, mut member: Member) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let mut file = File::from(openat(&spot.parent, &spot.name, flags, Mode::empty())?);
        let size = file.metadata()?.len();
        let mut start = Vec::new();
        if size <= SMALL {
            (&mut file).take(SMALL).read_to_end(&mut start)?;
        }
        let read = u64::try_from(start.len()).unwrap_or(u64::MAX);
        member.size = if read < SMALL && size <= SMALL { read } else { size };
        if read > member.size {
            return Err(io::Error::other("it grows too fast to be read"));
        }
        self.to.write_all(&header::encode(&member))?;
        self.to.write_all(&start)?;
        let rest = member.size.saturating_sub(read);
        if io::copy(&mut file.take(rest), self.to)? < rest {
            return Err(io::Error::other("it became shorter while it was read"));
        }
        let block = u64::try_from(BLOCK).unwrap_or(1);
        io::copy(&mut io::repeat(0).take(member.size.wrapping_neg() % block), self.to).map(drop)
    }
}

/// What an archive calls it; `None` for a socket.
fn kind(stat: &Stat) -> Option<Kind> {
    let device = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Some(Kind::File),
        FileType::Directory => Some(Kind::Directory),
        FileType::Symlink => Some(Kind::Symlink),
        FileType::Fifo => Some(Kind::Fifo),
        FileType::CharacterDevice => Some(Kind::CharacterDevice(device.0, device.1)),
        FileType::BlockDevice => Some(Kind::BlockDevice(device.0, device.1)),
        _ => None,
    }
}

fn member(stat: &Stat, name: Vec<u8>, kind: Kind) -> Member {
    let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
    Member {
        name,
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: 0,
        mtime: Time { seconds: stat.st_mtime, nanoseconds },
        link: Vec::new(),
    }
}

/// The names in a directory.
fn list(directory: &std::os::fd::OwnedFd) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.as_bytes().to_vec());
        }
    }
    Ok(names)
}
