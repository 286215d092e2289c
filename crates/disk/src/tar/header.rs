//! The headers of a member: that of `ustar`, and before it the extended one that has what does not fit there.
//!
//! Each value that fits stands in the first alone. Where one does not, there is the nearest that does, for who does not read
//! extended headers.

use banger_ext4::read::Xattr;
use banger_ext4::spec::inode::Timestamp;
use tar_core::EntryType;
use tar_core::builder::{HeaderBuilder, LINKNAME_MAX_LEN, NAME_MAX_LEN};

use super::BLOCK;

/// The largest number in a field of seven octal digits, and in one of eleven.
const OCTAL_7: u32 = 0o777_7777;
const OCTAL_11: u64 = 0o777_7777_7777;
/// The name of an extended header.
const EXTENDED_NAME: &str = "././@PaxHeader";
/// A directory that does not exist, in the name by which who cannot read files with holes will find what there is of one.
const SPARSE_DIRECTORY: &[u8] = b"GNUSparseFile.0/";
/// A second, in nanoseconds.
const SECOND: u32 = 1_000_000_000;

/// A member of an archive, as its headers have it.
pub(super) struct Member {
    /// Its path, without a slash at the beginning. A directory's ends in one.
    pub(super) path: Vec<u8>,
    pub(super) kind: EntryType,
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Timestamp,
    /// Bytes in the archive.
    pub(super) size: u64,
    /// Of a link.
    pub(super) target: Vec<u8>,
    pub(super) device: Option<(u32, u32)>,
    pub(super) attributes: Vec<Xattr>,
    /// Of a file with holes: bytes of the file.
    pub(super) whole: Option<u64>,
}

impl Member {
    /// Both headers, in whole blocks.
    ///
    /// # Errors
    /// What cannot be said of it in either.
    pub(super) fn encode(&self) -> Result<Vec<u8>, &'static str> {
        let extended = self.extended();
        let mut blocks = Vec::new();
        if !extended.is_empty() {
            let mut header = HeaderBuilder::new_ustar();
            let built = header
                .path(EXTENDED_NAME)
                .and_then(|header| header.mode(0o644))
                .and_then(|header| header.uid(0))
                .and_then(|header| header.gid(0))
                .and_then(|header| header.mtime(0))
                .and_then(|header| header.size(extended.len() as u64));
            built.map_err(|_| "its attributes are too large")?;
            header.entry_type(EntryType::XHeader);
            blocks.extend_from_slice(header.finish().as_bytes());
            blocks.extend_from_slice(&extended);
            blocks.resize(blocks.len().next_multiple_of(BLOCK as usize), 0);
        }
        let name = match self.whole {
            Some(_) => &[SPARSE_DIRECTORY, &self.path].concat(),
            None => &self.path,
        };
        let mut header = HeaderBuilder::new_ustar();
        let built = header
            .path(start(name, NAME_MAX_LEN))
            .and_then(|header| header.mode(self.mode.into()))
            .and_then(|header| header.uid(self.uid.min(OCTAL_7).into()))
            .and_then(|header| header.gid(self.gid.min(OCTAL_7).into()))
            .and_then(|header| header.size(self.size.min(OCTAL_11)))
            .and_then(|header| header.mtime(u64::try_from(self.mtime.seconds).unwrap_or(0).min(OCTAL_11)))
            .and_then(|header| header.link_name(start(&self.target, LINKNAME_MAX_LEN)));
        built.map_err(|_| "it does not fit into a header")?;
        let (major, minor) = self.device.unwrap_or_default();
        header.device(major, minor).map_err(|_| "its device number is too large")?;
        header.entry_type(self.kind);
        blocks.extend_from_slice(header.finish().as_bytes());
        Ok(blocks)
    }

    /// The records of the extended header; none where nothing needs one.
    fn extended(&self) -> Vec<u8> {
        let mut records = Vec::new();
        let path = (self.path.len() > NAME_MAX_LEN && self.whole.is_none()).then_some(&self.path);
        let target = (self.target.len() > LINKNAME_MAX_LEN).then_some(&self.target);
        let name = self.whole.map(|_| &self.path);
        if path.into_iter().chain(target).chain(name).any(|text| str::from_utf8(text).is_err()) {
            // Names are bytes. Who reads them as UTF-8 all the same need not be told so where they are.
            record(&mut records, b"hdrcharset", b"BINARY");
        }
        if let Some(path) = path {
            record(&mut records, b"path", path);
        }
        if let Some(target) = target {
            record(&mut records, b"linkpath", target);
        }
        for (key, id) in [(b"uid", self.uid), (b"gid", self.gid)] {
            if id > OCTAL_7 {
                record(&mut records, key, id.to_string().as_bytes());
            }
        }
        if self.size > OCTAL_11 {
            record(&mut records, b"size", self.size.to_string().as_bytes());
        }
        let seconds = u64::try_from(self.mtime.seconds);
        if self.mtime.nanoseconds > 0 || !seconds.is_ok_and(|seconds| seconds <= OCTAL_11) {
            record(&mut records, b"mtime", decimal(self.mtime).as_bytes());
        }
        for Xattr { name, value } in &self.attributes {
            record(&mut records, &[b"SCHILY.xattr.", &name[..]].concat(), value);
        }
        if let (Some(size), Some(name)) = (self.whole, name) {
            record(&mut records, b"GNU.sparse.major", b"1");
            record(&mut records, b"GNU.sparse.minor", b"0");
            record(&mut records, b"GNU.sparse.name", name);
            record(&mut records, b"GNU.sparse.realsize", size.to_string().as_bytes());
        }
        records
    }
}

fn start(bytes: &[u8], len: usize) -> &[u8] {
    bytes.get(..len).unwrap_or(bytes)
}

/// A record: "LENGTH KEY=VALUE\n", where the length is that of the whole record, with its own digits.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() > length {
        length += 1;
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// A time in seconds, as a decimal number. Nanoseconds of an inode count forwards, before 1970 too.
fn decimal(time: Timestamp) -> String {
    let seconds = time.seconds;
    // A damaged inode may say more than there are in a second.
    let nanoseconds = time.nanoseconds.min(SECOND - 1);
    let (sign, whole, fraction) = match (seconds < 0, nanoseconds) {
        (false, _) => ("", seconds.unsigned_abs(), nanoseconds),
        (true, 0) => ("-", seconds.unsigned_abs(), 0),
        (true, _) => ("-", seconds.unsigned_abs() - 1, SECOND - nanoseconds),
    };
    if fraction == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction:09}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_record_counts_itself() {
        let table: [(usize, &str); 8] = [
            (0, "5 k=\n"),
            (4, "9 k="),
            (5, "11 k="),
            (6, "12 k="),
            (92, "98 k="),
            (93, "99 k="),
            (94, "101 k="),
            (95, "102 k="),
        ];
        for (len, begin) in table {
            let mut records = Vec::new();
            record(&mut records, b"k", &vec![b'v'; len]);
            assert!(records.starts_with(begin.as_bytes()), "{}", records.escape_ascii());
            assert_eq!(records.len().to_string(), begin.split(' ').next().unwrap());
        }
    }

    /// A file as headers have it most often.
    fn member() -> Member {
        Member {
            path: b"file".to_vec(),
            kind: EntryType::Regular,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: Timestamp { seconds: 1_700_000_000, nanoseconds: 0 },
            size: 5,
            target: Vec::new(),
            device: None,
            attributes: Vec::new(),
            whole: None,
        }
    }

    #[test]
    fn only_what_does_not_fit_is_in_the_extended_header() {
        let n = |len| "n".repeat(len);
        let table: [(Member, String); 11] = [
            (member(), String::new()),
            (Member { path: vec![b'n'; 100], ..member() }, String::new()),
            (Member { path: vec![0xff; 100], ..member() }, String::new()),
            (Member { path: vec![b'n'; 101], ..member() }, format!("111 path={}\n", n(101))),
            (Member { target: vec![b'n'; 101], ..member() }, format!("115 linkpath={}\n", n(101))),
            (Member { uid: OCTAL_7, gid: OCTAL_7, size: OCTAL_11, ..member() }, String::new()),
            (Member { uid: OCTAL_7 + 1, ..member() }, "15 uid=2097152\n".into()),
            (Member { gid: u32::MAX, ..member() }, "18 gid=4294967295\n".into()),
            (Member { size: OCTAL_11 + 1, ..member() }, "19 size=8589934592\n".into()),
            (Member { mtime: Timestamp { seconds: -1, nanoseconds: 0 }, ..member() }, "12 mtime=-1\n".into()),
            (
                Member { whole: Some(1 << 40), ..member() },
                "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n24 GNU.sparse.name=file\n\
                 37 GNU.sparse.realsize=1099511627776\n"
                    .into(),
            ),
        ];
        for (member, expected) in table {
            assert_eq!(String::from_utf8(member.extended()).unwrap(), expected);
            let blocks = member.encode().unwrap().len() / BLOCK as usize;
            assert_eq!(blocks, if expected.is_empty() { 1 } else { 3 });
        }
        let binary = Member { path: vec![0xff; 101], ..member() };
        assert!(binary.extended().starts_with(b"21 hdrcharset=BINARY\n111 path=\xff"));
    }

    #[test]
    fn what_fits_into_no_header_is_an_error() {
        let device = |major, minor| Member { device: Some((major, minor)), kind: EntryType::Char, ..member() };
        assert!(device(OCTAL_7, OCTAL_7).encode().is_ok());
        assert!(device(OCTAL_7 + 1, 0).encode().is_err());
    }

    /// A file that is larger than the archive's own header can say, from which GNU tar needs the size to find the next one.
    #[test]
    fn gnu_tar_finds_what_is_behind_a_large_file() {
        use std::os::unix::fs::FileExt;
        let archive = tempfile::NamedTempFile::new().unwrap();
        let large = Member { size: 9 << 30, uid: 3_000_000_000, ..member() };
        let headers = large.encode().unwrap();
        archive.as_file().write_all_at(&headers, 0).unwrap();
        let next = Member { path: b"next".to_vec(), size: 0, ..member() }.encode().unwrap();
        let at = headers.len() as u64 + (9 << 30);
        archive.as_file().write_all_at(&next, at).unwrap();
        archive.as_file().set_len(at + 3 * BLOCK).unwrap();
        let mut command = std::process::Command::new("tar");
        let said = command.args(["--numeric-owner", "--utc", "-tvf"]).arg(archive.path()).output().unwrap();
        assert_eq!(
            String::from_utf8(said.stdout).unwrap(),
            "-rw-r--r-- 3000000000/0 9663676416 2023-11-14 22:13 file\n\
             -rw-r--r-- 0/0                   0 2023-11-14 22:13 next\n"
        );
    }

    #[test]
    fn times_are_decimal_numbers() {
        let table = [
            ((0, 0), "0"),
            ((1_700_000_000, 123_456_789), "1700000000.123456789"),
            ((1, 5), "1.000000005"),
            ((-1, 0), "-1"),
            ((-1, 500_000_000), "-0.500000000"),
            ((-2, 999_999_999), "-1.000000001"),
            ((15_032_385_535, 0), "15032385535"),
            ((0, u32::MAX), "0.999999999"),
            ((i64::MIN, u32::MAX), "-9223372036854775807.000000001"),
        ];
        for ((seconds, nanoseconds), expected) in table {
            assert_eq!(decimal(Timestamp { seconds, nanoseconds }), expected);
        }
    }
}
