//! The hashes of names in hashed directories.
//!
//! <https://docs.kernel.org/filesystems/ext4/dynamic.html#hash-tree-directories> names them; the kernel's
//! `fs/ext4/hash.c` defines them. Each exists twice, as some machines took the bytes of names for signed numbers and
//! others did not: the superblock's `s_flags` says which.

/// Which hash a directory uses, `hash_version` and `s_def_hash_version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum HashVersion {
    /// `DX_HASH_LEGACY`.
    Legacy = 0,
    /// `DX_HASH_HALF_MD4`: what everybody uses.
    HalfMd4 = 1,
    /// `DX_HASH_TEA`.
    Tea = 2,
}

/// The hash of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash {
    /// What the index knows. The lowest bit is never set.
    pub major: u32,
    /// What `readdir` tells names of equal major hash apart by.
    pub minor: u32,
}

/// Computes the hashes of names.
#[derive(Clone, Copy, Debug)]
pub struct Hasher {
    version: HashVersion,
    /// Whether bytes from 0x80 on count as negative.
    signed: bool,
    seed: [u32; 4],
}

/// What the hash begins with if the superblock has no seed: MD4's.
const DEFAULT_SEED: [u32; 4] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476];
/// The hash that `readdir` takes for the end of the directory; names never have it.
const END: u32 = 0xFFFF_FFFE;
/// Numbers on disk of the unsigned forms are higher by this than those of the signed ones.
const UNSIGNED_OFFSET: u8 = 3;

impl Hasher {
    /// A hasher from `s_hash_seed` as it stands on disk.
    #[must_use]
    pub fn new(version: HashVersion, signed: bool, seed: &[u8; 16]) -> Self {
        let (words, _) = seed.as_chunks::<4>();
        let mut words = words.iter().map(|word| u32::from_le_bytes(*word));
        let seed = std::array::from_fn(|_| words.next().unwrap_or(0));
        let seed = if seed == [0; 4] { DEFAULT_SEED } else { seed };
        Self { version, signed, seed }
    }

    /// A hasher for a directory whose root says `hash_version`; `None` for a version not known here.
    /// `unsigned` is the superblock's [`FLAG_UNSIGNED_HASH`](super::superblock::FLAG_UNSIGNED_HASH).
    #[must_use]
    pub fn for_directory(hash_version: u8, unsigned: bool, seed: &[u8; 16]) -> Option<Self> {
        let base = hash_version.checked_sub(UNSIGNED_OFFSET);
        let version = match base.unwrap_or(hash_version) {
            0 => HashVersion::Legacy,
            1 => HashVersion::HalfMd4,
            2 => HashVersion::Tea,
            _ => return None,
        };
        Some(Self::new(version, base.is_none() && !unsigned, seed))
    }

    /// The hash of a name.
    #[must_use]
    pub fn hash(&self, name: &[u8]) -> Hash {
        let (major, minor) = match self.version {
            HashVersion::Legacy => (self.legacy(name), 0),
            HashVersion::HalfMd4 => self.half_md4(name),
            HashVersion::Tea => self.tea(name),
        };
        let major = major & !1;
        Hash { major: if major == END { END.wrapping_sub(2) } else { major }, minor }
    }

    /// A byte of a name as a number.
    fn number(&self, byte: u8) -> u32 {
        if self.signed { i32::from(byte.cast_signed()).cast_unsigned() } else { byte.into() }
    }

    fn legacy(&self, name: &[u8]) -> u32 {
        let (mut hash, mut before) = (0x12A3_FE2D_u32, 0x37AB_E8F9_u32);
        for &byte in name {
            let next = before.wrapping_add(hash ^ self.number(byte).wrapping_mul(7_152_373));
            before = hash;
            hash = if next & 0x8000_0000 == 0 { next } else { next.wrapping_sub(0x7FFF_FFFF) };
        }
        hash << 1
    }

    fn half_md4(&self, name: &[u8]) -> (u32, u32) {
        let mut state = self.seed;
        let mut rest = name;
        while !rest.is_empty() {
            md4_round(&mut state, &self.words::<8>(rest));
            rest = rest.get(32..).unwrap_or(&[]);
        }
        let [_, major, minor, _] = state;
        (major, minor)
    }

    fn tea(&self, name: &[u8]) -> (u32, u32) {
        let mut state = self.seed;
        let mut rest = name;
        while !rest.is_empty() {
            tea_round(&mut state, &self.words::<4>(rest));
            rest = rest.get(16..).unwrap_or(&[]);
        }
        let [major, minor, _, _] = state;
        (major, minor)
    }

    /// The next `N` words of a name: four bytes a word, the first one highest, filled up with the length of the rest.
    fn words<const N: usize>(&self, rest: &[u8]) -> [u32; N] {
        let len = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        let half = len | (len << 8);
        let pad = half | (half << 16);
        let mut groups = rest.chunks(4);
        std::array::from_fn(|_| {
            let group = groups.next().unwrap_or(&[]);
            group.iter().fold(pad, |word, &byte| self.number(byte).wrapping_add(word << 8))
        })
    }
}

/// MD4 with half of its input: three rounds of eight steps.
fn md4_round(state: &mut [u32; 4], words: &[u32; 8]) {
    type Mix = fn(u32, u32, u32) -> u32;
    // Mixing function, constant, order of the words, and rotations of each four steps.
    const ROUNDS: [(Mix, u32, [usize; 8], [u32; 4]); 3] = [
        (|x, y, z| z ^ (x & (y ^ z)), 0, [0, 1, 2, 3, 4, 5, 6, 7], [3, 7, 11, 19]),
        (|x, y, z| (x & y).wrapping_add((x ^ y) & z), 0x5A82_7999, [1, 3, 5, 7, 0, 2, 4, 6], [3, 5, 9, 13]),
        (|x, y, z| x ^ y ^ z, 0x6ED9_EBA1, [3, 7, 2, 6, 1, 5, 0, 4], [3, 9, 11, 15]),
    ];
    let [mut a, mut b, mut c, mut d] = *state;
    for (mix, constant, order, rotations) in ROUNDS {
        for (word, rotation) in order.into_iter().zip(rotations.into_iter().cycle()) {
            let input = words.get(word).copied().unwrap_or(0);
            let sum = a.wrapping_add(mix(b, c, d)).wrapping_add(input).wrapping_add(constant);
            (a, b, c, d) = (d, sum.rotate_left(rotation), b, c);
        }
    }
    for (word, add) in state.iter_mut().zip([a, b, c, d]) {
        *word = word.wrapping_add(add);
    }
}

/// The Tiny Encryption Algorithm, 16 rounds, with the words as its key.
fn tea_round(state: &mut [u32; 4], key: &[u32; 4]) {
    const DELTA: u32 = 0x9E37_79B9;
    let [a, b, c, d] = *key;
    let [first, second, _, _] = *state;
    let (mut left, mut right, mut sum) = (first, second, 0_u32);
    let half = |value: u32, sum: u32, low: u32, high: u32| {
        (value << 4).wrapping_add(low) ^ value.wrapping_add(sum) ^ (value >> 5).wrapping_add(high)
    };
    for _ in 0..16 {
        sum = sum.wrapping_add(DELTA);
        left = left.wrapping_add(half(right, sum, a, b));
        right = right.wrapping_add(half(left, sum, c, d));
    }
    let [first, second, _, _] = state;
    *first = first.wrapping_add(left);
    *second = second.wrapping_add(right);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: [u8; 16] =
        [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF];

    /// What `dx_hash` of debugfs says.
    #[test]
    fn hashes_are_those_of_e2fsprogs() {
        let long = [b'x'; 255];
        let words = &b"name with 33 bytes: 0123456789012"[..];
        let accent = "café".as_bytes();
        type Case<'a> = (HashVersion, [u8; 16], &'a [u8], u32, u32);
        let cases: [Case<'_>; 18] = [
            (HashVersion::Legacy, [0; 16], b"a", 0xE74B_53E2, 0),
            (HashVersion::Legacy, [0; 16], b"lost+found", 0x5E2A_BA24, 0),
            (HashVersion::Legacy, [0; 16], words, 0x45DB_60BE, 0),
            (HashVersion::Legacy, [0; 16], accent, 0x96CA_5A2C, 0),
            (HashVersion::Legacy, [0; 16], &long, 0x3055_7DA6, 0),
            (HashVersion::HalfMd4, [0; 16], b"a", 0xD5FA_7D7A, 0xACB4_8187),
            (HashVersion::HalfMd4, [0; 16], b"lost+found", 0x591D_E422, 0x6FFC_56E0),
            (HashVersion::HalfMd4, [0; 16], words, 0x1C33_9790, 0x3086_FA8C),
            (HashVersion::HalfMd4, [0; 16], accent, 0xFB9C_5E5C, 0x0573_E8B8),
            (HashVersion::HalfMd4, [0; 16], &long, 0x2AA7_169E, 0x655F_9D9C),
            (HashVersion::HalfMd4, SEED, b"a", 0x35DC_0CC4, 0x3F1D_ACEF),
            (HashVersion::HalfMd4, SEED, words, 0xC6D5_5A4E, 0x0C64_A8B3),
            (HashVersion::HalfMd4, SEED, &long, 0x0AC1_1F15 << 4 | 6, 0x5E25_6F42),
            (HashVersion::Tea, [0; 16], b"a", 0x6D0E_A4C0, 0x0C18_922D << 4 | 0xF),
            (HashVersion::Tea, [0; 16], b"lost+found", 0x2DBF_9E80, 0xBFEB_EE4F),
            (HashVersion::Tea, [0; 16], words, 0x4A35_745C, 0x71B2_D2A8),
            (HashVersion::Tea, [0; 16], accent, 0x1058_42EA, 0xFB91_65CA),
            (HashVersion::Tea, [0; 16], &long, 0x6C4C_00EE, 0x0EAF_DB6B),
        ];
        for (version, seed, name, major, minor) in cases {
            let hash = Hasher::new(version, true, &seed).hash(name);
            let what = format!("{version:?} of {}", String::from_utf8_lossy(name));
            assert_eq!(format!("{:x} {:x}", hash.major, hash.minor), format!("{major:x} {minor:x}"), "{what}");
        }
    }
}
