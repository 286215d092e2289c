//! The files of a directory of modules: never more than a limit, and decompressed where they are compressed.

use std::fs::File;
use std::io::{self, Cursor, ErrorKind, Read};
use std::path::Path;

use crate::error::{Error, Result};
use crate::limits::{LIST_BYTES, MODULE_BYTES, XZ_MEMORY_KIB};

/// The bytes of a module, decompressed.
pub(crate) fn module(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let bytes = read_limited(file, path, MODULE_BYTES)?;
    decompress(bytes, path)
}

/// A list that comes with modules, where it does.
pub(crate) fn list(path: &Path) -> Result<Option<Vec<u8>>> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        file => read_limited(file.map_err(Error::io("open", path))?, path, LIST_BYTES).map(Some),
    }
}

fn read_limited(file: File, path: &Path, limit: u64) -> Result<Vec<u8>> {
    take(file, limit).map_err(Error::io("read", path))?.ok_or_else(|| Error::limit(path, limit, "bytes"))
}

/// How it is compressed the first bytes say: a file may be named otherwise.
fn decompress(bytes: Vec<u8>, path: &Path) -> Result<Vec<u8>> {
    let content = match bytes.get(..6).unwrap_or(&bytes) {
        [0x1f, 0x8b, ..] => take(flate2::read::GzDecoder::new(&bytes[..]), MODULE_BYTES),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => zstd::Decoder::new(&bytes[..]).and_then(|decoder| take(decoder, MODULE_BYTES)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            take(lzma_rust2::XzReader::new_mem_limit(Cursor::new(&bytes), false, XZ_MEMORY_KIB), MODULE_BYTES)
        }
        _ => return Ok(bytes),
    };
    content
        .map_err(|error| Error::module(path, format!("it cannot be decompressed: {error}")))?
        .ok_or_else(|| Error::limit(path, MODULE_BYTES, "bytes"))
}

/// All that can be read, unless it is more than `limit` bytes.
fn take(reader: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn compressed_modules_are_understood_whatever_they_are_called() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.ko");
        let content = b"a module".repeat(99);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&content).unwrap();
        let zstd = zstd::encode_all(&content[..], 1).unwrap();
        for bytes in [content.clone(), gzip.finish().unwrap(), zstd] {
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(module(&path).unwrap(), content);
        }
        for magic in [&b"\x1f\x8b"[..], b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0"] {
            std::fs::write(&path, magic).unwrap();
            let error = module(&path).unwrap_err().to_string();
            assert!(error.contains("a.ko is no kernel module: it cannot be decompressed"), "{error}");
        }
    }

    #[test]
    fn what_is_longer_than_its_limit_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.ko");
        let file = File::create(&path).unwrap();
        assert_eq!(take(&b"four"[..], 4).unwrap().unwrap(), b"four");
        assert_eq!(take(&b"four"[..], 3).unwrap(), None);
        file.set_len(LIST_BYTES + 1).unwrap();
        assert!(list(&path).unwrap_err().to_string().ends_with("a.ko has more than 67108864 bytes"));
        assert!(list(&directory.path().join("none")).unwrap().is_none());
    }
}
