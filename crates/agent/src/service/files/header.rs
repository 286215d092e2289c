//! Headers of tar archives: a member as blocks, a block as a member (pax(1), "ustar Interchange Format" and "pax Header Block"). No
//! I/O.

use std::ops::Range;

/// Bytes of a block.
pub(super) const BLOCK: usize = 512;

/// Fields of a header: where they start and end.
mod field {
    use super::Range;
    pub(super) const NAME: Range<usize> = 0..100;
    pub(super) const MODE: Range<usize> = 100..108;
    pub(super) const UID: Range<usize> = 108..116;
    pub(super) const GID: Range<usize> = 116..124;
    pub(super) const SIZE: Range<usize> = 124..136;
    pub(super) const MTIME: Range<usize> = 136..148;
    pub(super) const CHECKSUM: Range<usize> = 148..156;
    pub(super) const TYPE: usize = 156;
    pub(super) const LINK: Range<usize> = 157..257;
    pub(super) const MAGIC: Range<usize> = 257..265;
    pub(super) const MAJOR: Range<usize> = 329..337;
    pub(super) const MINOR: Range<usize> = 337..345;
    pub(super) const PREFIX: Range<usize> = 345..500;
}

/// Magic and version of POSIX. GNU's has spaces, and another use of the field for prefixes.
const USTAR: &[u8; 8] = b"ustar\x0000";

/// Name of the members that extend others: nobody who knows them sees it.
const PAX_NAME: &[u8] = b"././@PaxHeader";

/// One member of an archive, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    /// Permissions, set-user-id and the like: the lower twelve bits.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Bytes of content: of a file alone.
    pub(super) size: u64,
    pub(super) mtime: Time,
    /// Where a link leads.
    pub(super) link: Vec<u8>,
}

/// A time: seconds since 1970, and what is to be added to them in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    /// Another name of a file that came before.
    Hardlink,
    Symlink,
    CharacterDevice(u32, u32),
    BlockDevice(u32, u32),
    Directory,
    Fifo,
}

/// What the header of a block is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// Nothing: the end of the archive.
    End,
    /// A member.
    Member(Member),
    /// So many bytes of records for the next member.
    Pax(u64),
    /// So many bytes of records for all that follow.
    GlobalPax(u64),
    /// GNU: the next member's name, of so many bytes.
    LongName(u64),
    /// GNU: where the next member leads, of so many bytes.
    LongLink(u64),
}

/// Why a block is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderError {
    #[error("a header whose checksum is wrong: this is no tar archive, or it is damaged")]
    Checksum,
    #[error("a header whose {0} is no number")]
    Number(&'static str),
    #[error("a member of type {:?}, which is not supported", char::from(*.0))]
    Type(u8),
}

/// The blocks that a member begins with.
pub(super) fn encode(member: &Member) -> Vec<u8> {
    let mut records = Vec::new();
    let mut block = [0; BLOCK];
    let put_text = |block: &mut [u8], place: Range<usize>, key: &str, text: &[u8], records: &mut Vec<u8>| {
        if text.len() > place.len() {
            record(records, key, text);
        }
        put(block, place.clone(), text.get(..place.len()).unwrap_or(text));
    };
    put_text(&mut block, field::NAME, "path", &member.name, &mut records);
    put_text(&mut block, field::LINK, "linkpath", &member.link, &mut records);
    let put_number = |block: &mut [u8], place: Range<usize>, key: &str, number: u64, records: &mut Vec<u8>| {
        let digits = place.len().saturating_sub(1);
        let text = format!("{number:0digits$o}");
        if text.len() > digits {
            record(records, key, number.to_string().as_bytes());
        } else {
            put(block, place, text.as_bytes());
        }
    };
    put_number(&mut block, field::UID, "uid", member.uid.into(), &mut records);
    put_number(&mut block, field::GID, "gid", member.gid.into(), &mut records);
    put_number(&mut block, field::SIZE, "size", member.size, &mut records);
    let Time { seconds, nanoseconds } = member.mtime;
    match u64::try_from(seconds) {
        Ok(seconds) if nanoseconds == 0 => put_number(&mut block, field::MTIME, "mtime", seconds, &mut records),
        _ => record(&mut records, "mtime", member.mtime.to_string().as_bytes()),
    }
    put(&mut block, field::MODE, format!("{:07o}", member.mode & 0o7777).as_bytes());
    let (kind, device) = match member.kind {
        Kind::File => (b'0', None),
        Kind::Hardlink => (b'1', None),
        Kind::Symlink => (b'2', None),
        Kind::CharacterDevice(major, minor) => (b'3', Some((major, minor))),
        Kind::BlockDevice(major, minor) => (b'4', Some((major, minor))),
        Kind::Directory => (b'5', None),
        Kind::Fifo => (b'6', None),
    };
    if let Some((major, minor)) = device {
        // Seven octal digits hold all that the kernel has: twelve and twenty bits.
        put(&mut block, field::MAJOR, format!("{major:07o}").as_bytes());
        put(&mut block, field::MINOR, format!("{minor:07o}").as_bytes());
    }
    finish(&mut block, kind);
    let mut blocks = Vec::new();
    if !records.is_empty() {
        let mut pax = [0; BLOCK];
        put(&mut pax, field::NAME, PAX_NAME);
        put(&mut pax, field::MODE, b"0000644");
        put(&mut pax, field::SIZE, format!("{:011o}", records.len()).as_bytes());
        finish(&mut pax, b'x');
        blocks.extend(pax);
        blocks.append(&mut records);
        blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
    }
    blocks.extend(block);
    blocks
}

/// What a block says.
pub(super) fn decode(block: &[u8; BLOCK]) -> Result<Header, HeaderError> {
    if block.iter().all(|&byte| byte == 0) {
        return Ok(Header::End);
    }
    if number(block, field::CHECKSUM, "checksum")? != checksum(block) {
        return Err(HeaderError::Checksum);
    }
    let size = number(block, field::SIZE, "size")?;
    let kind = block.get(field::TYPE).copied().unwrap_or_default();
    let device = || Ok((small(block, field::MAJOR, "device")?, small(block, field::MINOR, "device")?));
    let name = full_name(block);
    let kind = match kind {
        // Before POSIX a directory was a file whose name ends like this.
        0 if name.ends_with(b"/") => Kind::Directory,
        b'0' | 0 | b'7' => Kind::File,
        b'1' => Kind::Hardlink,
        b'2' => Kind::Symlink,
        b'3' => device().map(|(major, minor)| Kind::CharacterDevice(major, minor))?,
        b'4' => device().map(|(major, minor)| Kind::BlockDevice(major, minor))?,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        b'x' => return Ok(Header::Pax(size)),
        b'g' => return Ok(Header::GlobalPax(size)),
        b'L' => return Ok(Header::LongName(size)),
        b'K' => return Ok(Header::LongLink(size)),
        other => return Err(HeaderError::Type(other)),
    };
    Ok(Header::Member(Member {
        name,
        kind,
        mode: small(block, field::MODE, "mode")? & 0o7777,
        uid: small(block, field::UID, "owner")?,
        gid: small(block, field::GID, "group")?,
        size,
        mtime: Time { seconds: seconds(block)?, nanoseconds: 0 },
        link: text(block, field::LINK).to_vec(),
    }))
}

/// The name, with its prefix where the header has one.
fn full_name(block: &[u8; BLOCK]) -> Vec<u8> {
    let name = text(block, field::NAME);
    let prefix = text(block, field::PREFIX);
    if prefix.is_empty() || block.get(field::MAGIC) != Some(USTAR) {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

/// A field up to its first NUL.
fn text(block: &[u8; BLOCK], place: Range<usize>) -> &[u8] {
    block.get(place).and_then(|field| field.split(|&byte| byte == 0).next()).unwrap_or_default()
}

fn small(block: &[u8; BLOCK], place: Range<usize>, what: &'static str) -> Result<u32, HeaderError> {
    u32::try_from(number(block, place, what)?).map_err(|_| HeaderError::Number(what))
}

/// A number: octal digits; or GNU's big-endian bytes, whose first bit is set. A negative one is none.
fn number(block: &[u8; BLOCK], place: Range<usize>, what: &'static str) -> Result<u64, HeaderError> {
    let wrong = HeaderError::Number(what);
    let field = block.get(place).unwrap_or_default();
    if let Some((first @ 0x80.., rest)) = field.split_first() {
        let digits = std::iter::once(first & 0x7f).chain(rest.iter().copied());
        return digits
            .into_iter()
            .try_fold(0_u64, |number, digit| number.checked_mul(256)?.checked_add(digit.into()))
            .ok_or(wrong);
    }
    let digits = std::str::from_utf8(field).map_err(|_| wrong)?.trim_matches(['\0', ' ']);
    if digits.is_empty() {
        return Ok(0);
    }
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    u64::from_str_radix(digits, 8).ok().filter(|_| plain).ok_or(wrong)
}

/// The time, which alone may be negative: in GNU's form, whose bytes are then a two's complement.
fn seconds(block: &[u8; BLOCK]) -> Result<i64, HeaderError> {
    let wrong = HeaderError::Number("time");
    match block.get(field::MTIME).unwrap_or_default() {
        [0xff, 0xff, 0xff, 0xff, last @ ..] => {
            let seconds = i64::from_be_bytes(last.try_into().map_err(|_| wrong)?);
            if seconds < 0 { Ok(seconds) } else { Err(wrong) }
        }
        _ => i64::try_from(number(block, field::MTIME, "time")?).map_err(|_| wrong),
    }
}

/// The sum of a header's bytes, its own field taken as spaces.
fn checksum(block: &[u8; BLOCK]) -> u64 {
    let bytes = (0..).zip(block);
    bytes.map(|(at, &byte)| u64::from(if field::CHECKSUM.contains(&at) { b' ' } else { byte })).sum()
}

fn finish(block: &mut [u8; BLOCK], kind: u8) {
    if let Some(place) = block.get_mut(field::TYPE) {
        *place = kind;
    }
    put(block, field::MAGIC, USTAR);
    let sum = format!("{:06o}\0 ", checksum(block));
    put(block, field::CHECKSUM, sum.as_bytes());
}

fn put(block: &mut [u8], place: Range<usize>, value: &[u8]) {
    if let Some(place) = block.get_mut(place).and_then(|field| field.get_mut(..value.len())) {
        place.copy_from_slice(value);
    }
}

/// Appends `LENGTH KEY=VALUE\n`, whose length counts its own digits.
fn record(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    // A space, an equals sign, a newline.
    let rest = key.len().saturating_add(value.len()).saturating_add(3);
    let mut length = rest;
    while length != rest.saturating_add(length.to_string().len()) {
        length = rest.saturating_add(length.to_string().len());
    }
    records.extend_from_slice(format!("{length} {key}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}

impl std::fmt::Display for Time {
    /// As pax(1) has it: a decimal number, which may have a fraction.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nanoseconds =
            i128::from(self.seconds).saturating_mul(1_000_000_000).saturating_add(self.nanoseconds.into());
        let sign = if nanoseconds < 0 { "-" } else { "" };
        let amount = nanoseconds.unsigned_abs();
        write!(f, "{sign}{}.{:09}", amount / 1_000_000_000, amount % 1_000_000_000)
    }
}

impl Time {
    /// What [`Display`](std::fmt::Display) writes, and other fractions; digits beyond nanoseconds are dropped.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let nanoseconds: i64 = format!("{:0<9}", fraction.get(..9).unwrap_or(fraction)).parse().ok()?;
        let whole: i64 = whole.parse().ok()?;
        let (seconds, nanoseconds) = match (negative, nanoseconds) {
            (false, _) => (whole, nanoseconds),
            (true, 0) => (whole.checked_neg()?, 0),
            (true, _) => (whole.checked_neg()?.checked_sub(1)?, 1_000_000_000_i64.checked_sub(nanoseconds)?),
        };
        Some(Self { seconds, nanoseconds: u32::try_from(nanoseconds).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn member() -> Member {
        Member {
            name: b"a/b".to_vec(),
            kind: Kind::File,
            mode: 0o4755,
            uid: 1000,
            gid: 100,
            size: 77,
            mtime: Time { seconds: 1_700_000_000, nanoseconds: 0 },
            link: Vec::new(),
        }
    }

    #[test]
    fn plain_members_are_one_block_and_come_back() {
        for kind in [
            Kind::File,
            Kind::Hardlink,
            Kind::Symlink,
            Kind::CharacterDevice(4095, 1_048_575),
            Kind::BlockDevice(8, 1),
            Kind::Directory,
            Kind::Fifo,
        ] {
            let member = Member { kind, link: b"to".to_vec(), ..member() };
            let blocks = encode(&member);
            assert_eq!(decode(blocks[..].try_into().unwrap()), Ok(Header::Member(member)));
        }
    }

    #[test]
    fn what_does_not_fit_is_a_record() {
        for (member, expected) in [
            (Member { name: vec![b'n'; 101], ..member() }, format!("111 path={}\n", "n".repeat(101))),
            (Member { link: vec![b'l'; 200], ..member() }, format!("214 linkpath={}\n", "l".repeat(200))),
            (Member { size: 1 << 33, ..member() }, "19 size=8589934592\n".into()),
            (Member { uid: 1 << 21, ..member() }, "15 uid=2097152\n".into()),
            (Member { gid: u32::MAX - 1, ..member() }, "18 gid=4294967294\n".into()),
            (Member { mtime: Time { seconds: 1, nanoseconds: 20 }, ..member() }, "21 mtime=1.000000020\n".into()),
            (Member { mtime: Time { seconds: -1, nanoseconds: 0 }, ..member() }, "22 mtime=-1.000000000\n".into()),
        ] {
            let blocks = encode(&member);
            assert_eq!(blocks.len(), 3 * BLOCK);
            let length = expected.len() as u64;
            assert_eq!(decode(blocks[..BLOCK].try_into().unwrap()), Ok(Header::Pax(length)));
            assert_eq!(String::from_utf8_lossy(&blocks[BLOCK..BLOCK + expected.len()]), expected);
        }
    }

    #[test]
    fn a_record_counts_its_own_digits() {
        for (length, total) in [(3, 9), (4, 11), (92, 99), (93, 101), (990, 999), (991, 1001)] {
            let mut records = Vec::new();
            record(&mut records, "k", &vec![b'v'; length - 1]);
            assert!(records.starts_with(format!("{} k=", records.len()).as_bytes()), "{length} {total}");
        }
    }

    #[test]
    fn blocks_that_are_no_header_are_refused() {
        let mut block: [u8; BLOCK] = encode(&member())[..].try_into().unwrap();
        block[0] ^= 1;
        assert_eq!(decode(&block), Err(HeaderError::Checksum));
        let mut block: [u8; BLOCK] = encode(&member())[..].try_into().unwrap();
        block[field::SIZE].fill(0xff);
        finish(&mut block, b'0');
        assert_eq!(decode(&block), Err(HeaderError::Number("size")), "a negative size");
        finish(&mut block, b'S');
        block[field::SIZE].fill(0);
        finish(&mut block, b'S');
        assert_eq!(decode(&block), Err(HeaderError::Type(b'S')));
        assert_eq!(decode(&[0; BLOCK]), Ok(Header::End));
    }

    proptest! {
        #[test]
        fn any_block_is_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), BLOCK), kind: u8, valid: bool) {
            let mut block: [u8; BLOCK] = bytes.try_into().unwrap();
            if valid {
                finish(&mut block, kind);
            }
            let decoded = decode(&block);
            prop_assert!(!valid || decoded != Err(HeaderError::Checksum));
        }

        #[test]
        fn times_come_back(seconds in -1_000_000_000_000_i64..1_000_000_000_000, nanoseconds in 0_u32..1_000_000_000) {
            let time = Time { seconds, nanoseconds };
            prop_assert_eq!(Time::parse(time.to_string().as_bytes()), Some(time));
        }

        #[test]
        fn any_time_is_parsed_or_refused(text in "[-+.0-9 ]{0,30}") {
            Time::parse(text.as_bytes());
        }
    }
}
