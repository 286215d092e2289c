//! The archive's headers and map, as bytes: tar (POSIX.1-2001, pax) with GNU's sparse files in format 1.0.
//!
//! Nothing here depends on who writes, when or where: owner and time are 0.

use std::fmt::Write as _;

use tar_core::builder::{HeaderBuilder, PaxBuilder};
use tar_core::{EntryType, HEADER_SIZE};

use super::survey::Survey;
use super::{MANIFEST, ROOTFS};
use crate::error::{Error, Result};

/// What the header of a sparse file is called for those that know no sparse files: as GNU tar has it.
const SPARSE_DIRECTORY: &str = "GNUSparseFile.0";

/// What its extended header is called.
const PAX_NAME: &str = "PaxHeaders.0/rootfs.ext4";

/// The largest size that fits into the field of a header: eleven octal digits.
const FIELD_MAX: u64 = 0o777_7777_7777;

/// What ends an archive: two blocks of zeros.
pub(super) const END: [u8; 2 * HEADER_SIZE] = [0; 2 * HEADER_SIZE];

/// The header of `manifest.json`.
pub(super) fn manifest_header(size: u64) -> Result<Vec<u8>> {
    header(MANIFEST, EntryType::Regular, size)
}

/// Everything before the data of `rootfs.ext4`: the extended header, the header, the map.
pub(super) fn rootfs_head(survey: &Survey) -> Result<Vec<u8>> {
    let map = map(survey);
    let data = survey.runs.iter().fold(0_u64, |sum, run| sum.saturating_add(run.end.saturating_sub(run.start)));
    let stored = data.saturating_add(map.len() as u64);
    let mut pax = PaxBuilder::new();
    pax.add("GNU.sparse.major", "1").add("GNU.sparse.minor", "0").add("GNU.sparse.name", ROOTFS);
    pax.add_u64("GNU.sparse.realsize", survey.size);
    if stored > FIELD_MAX {
        pax.size(stored);
    }
    let pax = pax.finish();
    let mut head = header(PAX_NAME, EntryType::XHeader, pax.len() as u64)?;
    head.extend(&pax);
    pad(&mut head);
    let size = if stored > FIELD_MAX { 0 } else { stored };
    head.extend(header(&format!("{SPARSE_DIRECTORY}/{ROOTFS}"), EntryType::Regular, size)?);
    head.extend(map);
    Ok(head)
}

/// The map: how many runs there are, and of each where it begins and how long it is; padded to a block. A run of no bytes at the
/// end says how long the file is.
fn map(survey: &Survey) -> Vec<u8> {
    let ends_in_hole = survey.runs.last().is_none_or(|run| run.end < survey.size);
    let mut text = String::new();
    // Writing into a text cannot fail.
    let _ = writeln!(text, "{}", survey.runs.len().saturating_add(usize::from(ends_in_hole)));
    for run in &survey.runs {
        let _ = writeln!(text, "{}\n{}", run.start, run.end.saturating_sub(run.start));
    }
    if ends_in_hole {
        let _ = writeln!(text, "{}\n0", survey.size);
    }
    let mut map = text.into_bytes();
    pad(&mut map);
    map
}

fn header(name: &str, kind: EntryType, size: u64) -> Result<Vec<u8>> {
    let build = || {
        let mut header = HeaderBuilder::new_ustar();
        header.path(name)?.mode(0o644)?.uid(0)?.gid(0)?.size(size)?.mtime(0)?;
        header.entry_type(kind);
        Ok(header.finish().as_bytes().to_vec())
    };
    build().map_err(|error: tar_core::HeaderError| Error::malformed(format!("the header of {name}"), error.to_string()))
}

/// Fills the last block with zeros.
pub(super) fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(HEADER_SIZE), 0);
}

#[cfg(test)]
mod tests {
    use super::super::survey::Run;
    use super::*;
    use banger_layers::entry::{Entries, Kind};
    use banger_layers::sink::Discard;
    use banger_layers::tar::TarReader;
    use banger_oci::Digest;

    #[test]
    fn data_that_no_header_has_a_number_for() {
        const PIECE: u64 = 1 << 20;
        for data in [PIECE, FIELD_MAX + 1 - 512, FIELD_MAX + 1, 9 << 30] {
            let size = data + (100 << 30);
            let survey =
                Survey { size, sha256: Digest::sha256(b""), runs: vec![Run { start: 4096, end: 4096 + data }] };
            let head = rootfs_head(&survey).unwrap();
            let (mut reader, mut entries) = (TarReader::new(), Entries::new());
            reader.feed(&head, &mut Discard, &mut entries).unwrap();
            let zeros = vec![0; usize::try_from(PIECE).unwrap()];
            let mut left = data.next_multiple_of(512);
            while left > 0 {
                let length = left.min(PIECE);
                reader.feed(&zeros[..usize::try_from(length).unwrap()], &mut Discard, &mut entries).unwrap();
                left -= length;
            }
            reader.feed(&END, &mut Discard, &mut entries).unwrap();
            assert_eq!(reader.end(), Some(reader.offset()), "{data}");
            reader.finish().unwrap();
            let found: Vec<_> = entries.iter().map(|entry| (entry.path, entry.kind)).collect();
            assert!(
                matches!(found[..], [(b"rootfs.ext4", Kind::File { size: found, .. })] if found == size),
                "{found:?}"
            );
        }
    }
}
