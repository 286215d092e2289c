//! The sha256 of a finished image.
//!
//! An image is mostly holes. They are found with `SEEK_DATA` and hashed from a buffer of zeros, without reading them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::SeekFrom;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::content_id::hex;

/// Bytes hashed at a time.
const PIECE: usize = 1 << 20;

/// The digest of all bytes of a file, as `sha256:` and 64 hexadecimal digits.
///
/// # Errors
/// The file cannot be read.
pub fn of_file(file: &File) -> io::Result<String> {
    let size = file.metadata()?.len();
    let mut hash = Sha256::new();
    let mut buffer = vec![0; PIECE];
    let zeros = vec![0; PIECE];
    let mut position = 0;
    while position < size {
        let data = next_data(file, position)?.unwrap_or(size).min(size);
        pieces(data - position, |_, length| {
            hash.update(zeros.get(..length).unwrap_or_default());
            Ok(())
        })?;
        let hole = if data < size { rustix::fs::seek(file, SeekFrom::Hole(data))?.min(size) } else { size };
        pieces(hole - data, |offset, length| {
            let piece = buffer.get_mut(..length).unwrap_or_default();
            file.read_exact_at(piece, data + offset)?;
            hash.update(piece);
            Ok(())
        })?;
        position = hole;
    }
    Ok(format!("sha256:{}", hex(&hash.finalize())))
}

/// Where the next data begins at or after `position`; `None` when only a hole follows.
fn next_data(file: &File, position: u64) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, SeekFrom::Data(position)) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Calls `each` with offset and length of the pieces of `length` bytes.
fn pieces(length: u64, mut each: impl FnMut(u64, usize) -> io::Result<()>) -> io::Result<()> {
    let mut offset = 0;
    while offset < length {
        let piece = usize::try_from(length - offset).map_or(PIECE, |rest| rest.min(PIECE));
        each(offset, piece)?;
        offset += piece as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(file: &File) -> String {
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        format!("sha256:{}", hex(&Sha256::digest(bytes)))
    }

    #[test]
    fn holes_count_as_zeros_wherever_they_are() {
        for data in [&[][..], &[0], &[5 << 20], &[0, 3 << 20, (7 << 20) - 1]] {
            let file = tempfile::tempfile().unwrap();
            file.set_len(7 << 20).unwrap();
            for &offset in data {
                file.write_all_at(b"x", offset).unwrap();
            }
            assert_eq!(of_file(&file).unwrap(), plain(&file), "{data:?}");
        }
    }

    #[test]
    fn an_empty_file_has_a_digest() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(of_file(&file).unwrap(), plain(&file));
    }
}
