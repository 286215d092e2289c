//! What the sizes of a machine look like.

use crate::values::size;

/// The least memory that a kernel with its initial RAM disk starts in.
const LEAST_MEMORY: u64 = 64 << 20;

/// `--disk-size [+]SIZE`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Growth {
    /// So many bytes in all.
    To(u64),
    /// So many bytes more than the image has.
    By(u64),
}

impl Growth {
    /// Bytes of a disk for an image of so many; none where that is too many.
    pub(crate) fn of(self, image: u64) -> Option<u64> {
        match self {
            Self::To(size) => Some(size),
            Self::By(more) => image.checked_add(more),
        }
    }
}

/// A size, or with `+` a difference.
pub(crate) fn growth(text: &str) -> Result<Growth, String> {
    match text.strip_prefix('+') {
        Some(more) => size(more).map(Growth::By),
        None => size(text).map(Growth::To),
    }
}

/// A size in which a machine can start.
pub(crate) fn memory(text: &str) -> Result<u64, String> {
    match size(text)? {
        bytes if bytes < LEAST_MEMORY => Err("a machine needs 64M at least".to_owned()),
        bytes => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_grow_to_a_size_or_by_one() {
        assert_eq!(growth("4G"), Ok(Growth::To(4 << 30)));
        assert_eq!(growth("+4G"), Ok(Growth::By(4 << 30)));
        assert!(growth("++4G").is_err() && growth("-4G").is_err() && growth("+").is_err());
        assert_eq!(Growth::By(1).of(2), Some(3));
        assert_eq!(Growth::To(1).of(2), Some(1));
        assert_eq!(Growth::By(u64::MAX).of(2), None);
    }

    #[test]
    fn memory_has_a_lower_limit() {
        assert_eq!(memory("64M"), Ok(64 << 20));
        assert!(memory("512").is_err(), "bytes, where megabytes were meant");
    }
}
