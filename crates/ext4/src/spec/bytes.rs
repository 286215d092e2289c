//! Numbers in bytes, without panics.
//!
//! Reading past the end gives zeros: that is how ext4 itself treats the fields that a shorter form of a structure
//! (32-byte descriptors, 128-byte inodes) lacks. Where a length matters, `decode` checks it before it reads.
//! Writing past the end does nothing, which only a mistake in an encoder could cause.

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
}

pub(crate) fn get8(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

pub(crate) fn get16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

pub(crate) fn get32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

pub(crate) fn get_array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    array(bytes, at)
}

/// A number whose low and high halves stand apart.
pub(crate) fn get_split(bytes: &[u8], low: usize, high: usize) -> u64 {
    join(get32(bytes, low), get32(bytes, high))
}

/// Low and high half as one number.
pub(crate) fn join(low: u32, high: u32) -> u64 {
    (u64::from(high) << 32) | u64::from(low)
}

/// The low 32 bits.
pub(crate) fn low32(value: u64) -> u32 {
    (value & 0xFFFF_FFFF) as u32
}

/// The high 32 bits.
pub(crate) fn high32(value: u64) -> u32 {
    (value >> 32) as u32
}

/// The low 16 bits.
pub(crate) fn low16(value: u32) -> u16 {
    (value & 0xFFFF) as u16
}

/// The high 16 bits.
pub(crate) fn high16(value: u32) -> u16 {
    (value >> 16) as u16
}

pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    let place = bytes.get_mut(at..).and_then(|rest| rest.get_mut(..value.len()));
    debug_assert!(place.is_some(), "encoder writes {} bytes at {at}, past the end", value.len());
    if let Some(place) = place {
        place.copy_from_slice(value);
    }
}

pub(crate) fn put8(bytes: &mut [u8], at: usize, value: u8) {
    put(bytes, at, &[value]);
}

pub(crate) fn put16(bytes: &mut [u8], at: usize, value: u16) {
    put(bytes, at, &value.to_le_bytes());
}

pub(crate) fn put32(bytes: &mut [u8], at: usize, value: u32) {
    put(bytes, at, &value.to_le_bytes());
}

pub(crate) fn put_split(bytes: &mut [u8], low: usize, high: usize, value: u64) {
    put32(bytes, low, low32(value));
    put32(bytes, high, high32(value));
}

pub(crate) fn get32_be(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array(bytes, at))
}

pub(crate) fn put32_be(bytes: &mut [u8], at: usize, value: u32) {
    put(bytes, at, &value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_past_the_end_are_zero() {
        let bytes = [1, 2, 3];
        assert_eq!(get8(&bytes, 3), 0);
        assert_eq!(get16(&bytes, 1), 0x0302);
        assert_eq!(get16(&bytes, 2), 0);
        assert_eq!(get32(&bytes, usize::MAX), 0);
    }

    #[test]
    fn halves_join() {
        let mut bytes = [0; 12];
        put_split(&mut bytes, 8, 0, 0x1122_3344_5566_7788);
        assert_eq!(bytes, [0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0, 0x88, 0x77, 0x66, 0x55]);
        assert_eq!(get_split(&bytes, 8, 0), 0x1122_3344_5566_7788);
        assert_eq!((low16(0x1234_5678), high16(0x1234_5678)), (0x5678, 0x1234));
    }
}
