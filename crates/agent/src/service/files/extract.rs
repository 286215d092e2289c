//! An archive becomes files below a directory.
//!
//! Members replace what has their name, but never a directory, which only gets new members. Devices are refused: they are no files that
//! anybody sends by intention. Directories get their permissions and times at the end, when nothing is put into them any more.

use std::io::{self, Read, Write};

use banger_protocol::failure::FailureKind;
use rustix::fs::{AtFlags, FileType, Mode, chmodat, linkat, mknodat, symlinkat};
use rustix::io::Errno;

use super::header::{Kind, Member};
use super::member::{Archive, ArchiveError};
use super::place::{self, Place, PlaceError, Spot, lossy};
use crate::service::http::Trouble;
use crate::service::http::body::said;

/// Bytes that are written at once.
const PIECE: usize = 64 << 10;

/// Directories that an archive may have: each is remembered until the end.
const DIRECTORIES: usize = 1 << 20;

/// Why a member does not become a file.
#[derive(Debug, thiserror::Error)]
enum ExtractError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error("{0:?} is a device, which is not put anywhere")]
    Device(String),
    #[error("the archive has more than {DIRECTORIES} directories")]
    TooMany,
}

/// Extracts an archive, to its last byte.
pub(super) fn extract(from: &mut impl Read, place: &Place) -> Result<(), Trouble> {
    let mut archive = Archive::new(from);
    let mut directories = Vec::new();
    extract_members(&mut archive, place, &mut directories)?;
    for member in directories.iter().rev() {
        finish_directory(place, member).map_err(ExtractError::from)?;
    }
    Ok(())
}

fn extract_members<R: Read>(
    archive: &mut Archive<R>,
    place: &Place,
    directories: &mut Vec<Member>,
) -> Result<(), ExtractError> {
    while let Some(member) = archive.next()? {
        // The directory itself is the host's choice, and stays as it is.
        let Some(spot) = place.spot(&member.name, true)? else { continue };
        if member.kind == Kind::Directory {
            spot.directory().map_err(PlaceError::at(&member.name))?;
            if directories.len() >= DIRECTORIES {
                return Err(ExtractError::TooMany);
            }
            directories.push(member);
        } else {
            put(archive, place, &spot, &member)?;
        }
    }
    Ok(())
}

/// What stops the making of one thing: on the way to its own error, which has its name.
enum Stop {
    Kernel(Errno),
    Other(ExtractError),
}

impl From<Errno> for Stop {
    fn from(error: Errno) -> Self {
        Self::Kernel(error)
    }
}

fn put<R: Read>(archive: &mut Archive<R>, place: &Place, spot: &Spot, member: &Member) -> Result<(), ExtractError> {
    let made = spot.replace(|parent, name| match member.kind {
        Kind::File => {
            let mut file = place::create(parent, name)?;
            copy(archive, &mut file, member)?;
            Ok(place::set_metadata(&file, member)?)
        }
        Kind::Symlink => {
            symlinkat(member.link.as_slice(), parent, name)?;
            Ok(place::set_metadata_at(parent, name, member)?)
        }
        Kind::Hardlink => {
            let of = place.spot(&member.link, false).map_err(|error| Stop::Other(error.into()))?;
            let of = of.ok_or(Stop::Kernel(Errno::PERM))?;
            Ok(linkat(&of.parent, &of.name, parent, name, AtFlags::empty())?)
        }
        Kind::Fifo => {
            mknodat(parent, name, FileType::Fifo, Mode::RUSR, 0)?;
            place::set_metadata_at(parent, name, member)?;
            // Nobody else knows the name: it is what was made just now.
            Ok(chmodat(parent, name, Mode::from_raw_mode(member.mode), AtFlags::empty())?)
        }
        Kind::CharacterDevice(..) | Kind::BlockDevice(..) => {
            Err(Stop::Other(ExtractError::Device(lossy(&member.name))))
        }
        Kind::Directory => Ok(()),
    });
    made.map_err(|stop| match stop {
        Stop::Kernel(error) => PlaceError::at(&member.name)(error).into(),
        Stop::Other(error) => error,
    })
}

fn copy<R: Read>(archive: &mut Archive<R>, to: &mut impl Write, member: &Member) -> Result<(), Stop> {
    let mut left = member.size;
    let mut buffer = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
    while left > 0 {
        let count = archive.read(&mut buffer).map_err(|error| Stop::Other(ArchiveError::Io(error).into()))?;
        let failed = |error: io::Error| Stop::Other(PlaceError::at(&member.name)(error).into());
        to.write_all(buffer.get(..count).unwrap_or_default()).map_err(failed)?;
        left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
    }
    Ok(())
}

/// Nobody puts anything into it any more.
fn finish_directory(place: &Place, member: &Member) -> Result<(), PlaceError> {
    let Some(spot) = place.spot(&member.name, false)? else { return Ok(()) };
    let set = spot.directory().and_then(|directory| place::set_metadata(&directory, member));
    set.map_err(PlaceError::at(&member.name))
}

impl From<ExtractError> for Trouble {
    fn from(error: ExtractError) -> Self {
        let kind = match error {
            ExtractError::Archive(ArchiveError::Io(error)) => return said(error),
            ExtractError::Archive(ArchiveError::TooMany) | ExtractError::TooMany => FailureKind::Limit,
            ExtractError::Archive(_) => FailureKind::Request,
            ExtractError::Device(_) => FailureKind::NotPermitted,
            ExtractError::Place(PlaceError::Outside(_) | PlaceError::NotDirectory { .. }) => FailureKind::NotPermitted,
            ExtractError::Place(PlaceError::Io { ref error, .. }) => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                    FailureKind::Limit
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => FailureKind::NotPermitted,
                io::ErrorKind::NotFound => FailureKind::NotFound,
                io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => FailureKind::Request,
                _ => FailureKind::Internal,
            },
        };
        Self::new(kind, error.to_string())
    }
}
