//! The config disk: a small read-only disk that tells a machine its settings.
//!
//! It holds a tar archive (POSIX ustar) from its first byte on, whose first member is the file `banger/machine.json` with
//! [`Machine`] as JSON. Anybody can make one:
//!
//! ```text
//! tar --format=ustar -cf config.img banger/machine.json
//! ```
//!
//! The guest looks at the first sector of each disk, in the order of their names, and takes the first that is one.

use crate::limits::SETTINGS_BYTES;
use crate::settings::{Machine, VERSION};

/// Name of the archive's first member.
pub const MEMBER: &str = "banger/machine.json";

/// Bytes of a sector of the disk, and of a block of the archive.
pub const SECTOR: usize = 512;

/// Fields of a ustar header: where they start and end.
mod field {
    use std::ops::Range;
    pub(super) const NAME: Range<usize> = 0..100;
    pub(super) const MODE: Range<usize> = 100..108;
    pub(super) const UID: Range<usize> = 108..116;
    pub(super) const GID: Range<usize> = 116..124;
    pub(super) const SIZE: Range<usize> = 124..136;
    pub(super) const MTIME: Range<usize> = 136..148;
    pub(super) const CHECKSUM: Range<usize> = 148..156;
    pub(super) const TYPE: Range<usize> = 156..157;
    pub(super) const MAGIC: Range<usize> = 257..265;
}

/// Why a disk does not tell a machine its settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// More than a machine's settings may take.
    #[error("{MEMBER} on the config disk has {0} bytes, more than {SETTINGS_BYTES}")]
    TooLarge(u64),
    /// The disk ends before the file does.
    #[error("the config disk ends before {MEMBER} does")]
    Short,
    /// It is not what [`Machine`] describes.
    #[error("{MEMBER} on the config disk: {0}")]
    Json(#[from] serde_json::Error),
    /// It is of another version than this knows.
    #[error("{MEMBER} on the config disk has version {0}, only {VERSION} is known")]
    Version(u32),
}

/// The bytes of a config disk, a multiple of [`SECTOR`].
pub fn encode(machine: &Machine) -> Vec<u8> {
    // There is nothing in it that JSON cannot hold.
    let json = serde_json::to_vec_pretty(machine).unwrap_or_default();
    let mut header = [0; SECTOR];
    put(&mut header, field::NAME, MEMBER.as_bytes());
    put(&mut header, field::MODE, b"0000444\0");
    put(&mut header, field::UID, b"0000000\0");
    put(&mut header, field::GID, b"0000000\0");
    put(&mut header, field::SIZE, format!("{:011o}\0", json.len()).as_bytes());
    put(&mut header, field::MTIME, b"00000000000\0");
    put(&mut header, field::TYPE, b"0");
    put(&mut header, field::MAGIC, b"ustar\x0000");
    let checksum = format!("{:06o}\0 ", checksum(&header));
    put(&mut header, field::CHECKSUM, checksum.as_bytes());
    let mut disk = header.to_vec();
    disk.extend_from_slice(&json);
    disk.resize(disk.len().next_multiple_of(SECTOR), 0);
    // Two blocks of zeros end an archive.
    disk.resize(disk.len().saturating_add(2 * SECTOR), 0);
    disk
}

/// Whether a disk that begins with this sector is a config disk; then how many bytes its file has, which begin in the next sector.
pub fn recognise(sector: &[u8; SECTOR]) -> Option<u64> {
    let name = sector.get(field::NAME)?.split(|&byte| byte == 0).next()?;
    let name = name.strip_prefix(b"./").unwrap_or(name);
    let known = name == MEMBER.as_bytes() && sector.get(field::MAGIC)?.starts_with(b"ustar");
    let sum = octal(sector.get(field::CHECKSUM)?)?;
    (known && sum == u64::from(checksum(sector))).then(|| octal(sector.get(field::SIZE)?)).flatten()
}

/// The settings, from the bytes of the file and what else follows it.
///
/// # Errors
/// They are not what [`Machine`] describes.
pub fn decode(size: u64, bytes: &[u8]) -> Result<Machine, DiskError> {
    let length = usize::try_from(size).ok().filter(|&size| size <= SETTINGS_BYTES).ok_or(DiskError::TooLarge(size))?;
    let machine: Machine = serde_json::from_slice(bytes.get(..length).ok_or(DiskError::Short)?)?;
    if machine.version == VERSION { Ok(machine) } else { Err(DiskError::Version(machine.version)) }
}

/// The sum of a header's bytes, its own field taken as spaces.
fn checksum(header: &[u8; SECTOR]) -> u32 {
    let bytes = (0..).zip(header);
    bytes.map(|(at, &byte)| if field::CHECKSUM.contains(&at) { u32::from(b' ') } else { byte.into() }).sum()
}

fn octal(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
}

fn put(header: &mut [u8; SECTOR], field: std::ops::Range<usize>, value: &[u8]) {
    if let Some(place) = header.get_mut(field).and_then(|field| field.get_mut(..value.len())) {
        place.copy_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(disk: &[u8]) -> Option<Result<Machine, DiskError>> {
        let (sector, rest) = disk.split_first_chunk()?;
        Some(decode(recognise(sector)?, rest))
    }

    fn machine() -> Machine {
        Machine { hostname: Some("box".into()), hold: true, ports: vec![80], ..Machine::default() }
    }

    #[test]
    fn what_is_written_is_read() {
        let disk = encode(&machine());
        assert_eq!(disk.len() % SECTOR, 0);
        assert_eq!(read(&disk).unwrap().unwrap(), machine());
    }

    #[test]
    fn what_tar_writes_is_read_and_tar_reads_what_is_written() {
        let directory = std::env::temp_dir().join(format!("banger-disk-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("banger")).unwrap();
        std::fs::write(directory.join(MEMBER), r#"{"version":1,"hostname":"box"}"#).unwrap();
        let tar = |arguments: &[&str]| {
            let output = std::process::Command::new("tar").arg("-C").arg(&directory).args(arguments).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            output.stdout
        };
        for name in [MEMBER, "./banger/machine.json"] {
            let disk = tar(&["--format=ustar", "-cf", "-", name]);
            assert_eq!(read(&disk).unwrap().unwrap().hostname.as_deref(), Some("box"));
        }
        std::fs::write(directory.join("disk"), encode(&machine())).unwrap();
        let json = tar(&["-xOf", directory.join("disk").to_str().unwrap(), MEMBER]);
        assert_eq!(serde_json::from_slice::<Machine>(&json).unwrap(), machine());
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn other_disks_are_none() {
        let mut disk = encode(&machine());
        assert!(read(&[0; 2 * SECTOR]).is_none());
        disk[0] ^= 1;
        assert!(read(&disk).is_none(), "neither the name nor the checksum fits");
        disk[148..156].copy_from_slice(b"        ");
        assert!(read(&disk).is_none());
    }

    #[test]
    fn settings_that_cannot_be_understood_are_errors() {
        let sector = |disk: &[u8]| *disk.first_chunk::<SECTOR>().unwrap();
        let disk = encode(&machine());
        let size = recognise(&sector(&disk)).unwrap();
        assert!(matches!(decode(size, &disk[SECTOR..SECTOR + 3]), Err(DiskError::Short)));
        assert!(matches!(decode(u64::MAX, b""), Err(DiskError::TooLarge(_))));
        assert!(matches!(decode(14, br#"{"version": 2}"#), Err(DiskError::Version(2))));
        assert!(matches!(decode(25, br#"{"version":1,"hostnme":1}"#), Err(DiskError::Json(_))));
    }
}
