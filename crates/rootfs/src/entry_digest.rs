//! A digest of entries and contents, for what no digest comes with: it is a part of the content id.

use banger_layers::entry::{Entry, Kind};
use sha2::{Digest as _, Sha256};

/// Counts an entry in, each text with its length before it.
pub(crate) fn account(digest: &mut Sha256, entry: &Entry<'_>, attributes: &[(&[u8], &[u8])]) {
    let (letter, numbers, text): (u8, [u64; 2], &[u8]) = match entry.kind {
        Kind::Directory => (b'd', [0, 0], b""),
        Kind::File { size, .. } => (b'f', [size, 0], b""),
        Kind::Symlink { target } => (b'l', [0, 0], target),
        Kind::Hardlink { target } => (b'h', [0, 0], target),
        Kind::CharDevice { major, minor } => (b'c', [major.into(), minor.into()], b""),
        Kind::BlockDevice { major, minor } => (b'b', [major.into(), minor.into()], b""),
        Kind::Fifo => (b'p', [0, 0], b""),
        Kind::Socket => (b's', [0, 0], b""),
    };
    let [first, second] = numbers;
    let seconds = entry.mtime.seconds.cast_unsigned();
    let fixed =
        [first, second, entry.mode.into(), entry.uid.into(), entry.gid.into(), seconds, entry.mtime.nanoseconds.into()];
    digest.update([letter]);
    for number in fixed {
        digest.update(number.to_le_bytes());
    }
    let texts = [entry.path, text].into_iter().chain(attributes.iter().flat_map(|(name, value)| [*name, *value]));
    for text in texts {
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text);
    }
}
