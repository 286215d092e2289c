//! PAX extended headers (POSIX `pax`, "pax Extended Header"): what they say about the entry that follows.
//!
//! A header is a sequence of records, "length key=value\n", where the length counts the record's own bytes in
//! decimal. Only the length says where a value ends: values may hold anything, newlines too. The records are split
//! here and not by `tar-core`, which takes a record with a broken length for the end of the header and reports nothing.
//!
//! Of a key given twice the last counts; an empty value takes back what was there (of an extended attribute, it is
//! the value). Unknown keys mean nothing to a layer.

use std::borrow::Cow;

use tar_core::{
    PAX_GID, PAX_GNU_SPARSE_MAJOR, PAX_GNU_SPARSE_MAP, PAX_GNU_SPARSE_MINOR, PAX_GNU_SPARSE_NAME,
    PAX_GNU_SPARSE_NUMBYTES, PAX_GNU_SPARSE_OFFSET, PAX_GNU_SPARSE_REALSIZE, PAX_GNU_SPARSE_SIZE, PAX_LINKPATH,
    PAX_MTIME, PAX_PATH, PAX_SCHILY_XATTR, PAX_SIZE, PAX_UID,
};

use super::sparse::{Run, push_run};
use super::{Field, Problem, encoding, number};
use crate::attributes;
use crate::entry::Time;

/// Name and value of an extended attribute.
type Attribute<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// What a PAX header says. Everything that it does not say is `None`.
#[derive(Debug, Default)]
pub(super) struct Extension<'a> {
    pub(super) path: Option<&'a [u8]>,
    pub(super) link_target: Option<&'a [u8]>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<Time>,
    /// Full names and values, in the header's order; those that are [pending](crate::attributes) too.
    pub(super) xattrs: Vec<Attribute<'a>>,
    /// A label of SELinux, as `tar --selinux` writes it: without the NUL at its end.
    pub(super) selinux: Option<&'a [u8]>,
    pub(super) sparse: Sparse<'a>,
}

/// The keys of the PAX sparse formats 0.0, 0.1 and 1.0.
#[derive(Debug, Default)]
pub(super) struct Sparse<'a> {
    major: Option<u64>,
    minor: Option<u64>,
    /// Whether there is a map or a logical size; runs of a map are in the caller's list.
    present: bool,
    /// Format 0.0: an offset that waits for its length.
    offset: Option<u64>,
    /// Logical size of the file.
    pub(super) size: Option<u64>,
    /// The file's name; the header then has a made-up one.
    pub(super) name: Option<&'a [u8]>,
}

/// Where the map of a sparse file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MapPlace {
    /// Nowhere: the file is not sparse.
    None,
    /// Formats 0.0 and 0.1: in the header.
    Header,
    /// Format 1.0: at the start of the file's data.
    Data,
}

impl Sparse<'_> {
    /// Which of the formats it is.
    pub(super) fn map_place(&self) -> Result<MapPlace, Problem> {
        if self.offset.is_some() {
            return Err(Problem::BadSparseMap);
        }
        match (self.major, self.minor) {
            (None, None) | (Some(0), None | Some(0 | 1)) if self.present => Ok(MapPlace::Header),
            (None, None) => Ok(MapPlace::None),
            (Some(1), Some(0)) => Ok(MapPlace::Data),
            (major, minor) => Err(Problem::SparseVersion { major: major.unwrap_or(0), minor: minor.unwrap_or(0) }),
        }
    }
}

/// Key of a label of SELinux in Red Hat's way, which GNU tar and bsdtar have too.
const RHT_SELINUX: &str = "RHT.security.selinux";

/// Prefix of a key that holds an extended attribute in libarchive's way: its name with `%` escapes, its value in base64.
const LIBARCHIVE_XATTR: &[u8] = b"LIBARCHIVE.xattr.";

/// Reads a PAX header into `extension`. Runs of a sparse map in it go to `runs`, which is emptied first.
///
/// After an error the fields have what was said before it: a name for the message, perhaps.
pub(super) fn parse<'a>(data: &'a [u8], extension: &mut Extension<'a>, runs: &mut Vec<Run>) -> Result<(), Problem> {
    runs.clear();
    Records::new(data).try_for_each(|record| {
        let (key, value) = record?;
        apply(key, value, extension, runs)
    })
}

/// Reads a PAX header for its form alone.
///
/// This is what becomes of a global one: `git archive` and a few others write them for comments. Nothing in it may
/// name or measure the entries of a layer, and container engines apply none of the rest either.
pub(super) fn check(data: &[u8]) -> Result<(), Problem> {
    Records::new(data).try_for_each(|record| record.map(drop))
}

fn apply<'a>(
    key: &'a [u8],
    value: &'a [u8],
    extension: &mut Extension<'a>,
    runs: &mut Vec<Run>,
) -> Result<(), Problem> {
    if let Some(name) = key.strip_prefix(PAX_SCHILY_XATTR.as_bytes()) {
        return attribute(key, name.into(), value.into(), extension);
    }
    if let Some(name) = key.strip_prefix(LIBARCHIVE_XATTR) {
        let name = encoding::percent_decode(name).ok_or_else(|| bad_name(key))?;
        let value = encoding::base64_decode(value).ok_or_else(|| Problem::BadXattrValue { name: name.to_vec() })?;
        return attribute(key, name, value.into(), extension);
    }
    if let Some((name, value)) = attributes::of_record(key, value) {
        extension.xattrs.push((name.into(), value.into()));
        return Ok(());
    }
    let Ok(key) = str::from_utf8(key) else {
        return Ok(());
    };
    let number = |field, max| (!value.is_empty()).then(|| number::decimal(value, field, max)).transpose();
    let owner = |field| Ok(number(field, u32::MAX.into())?.and_then(|id| u32::try_from(id).ok()));
    let size = |field| number(field, i64::MAX as u64);
    let sparse = &mut extension.sparse;
    match key {
        PAX_PATH => extension.path = name(value, Field::Path)?,
        PAX_LINKPATH => extension.link_target = name(value, Field::LinkTarget)?,
        PAX_SIZE => extension.size = size(Field::Size)?,
        PAX_UID => extension.uid = owner(Field::Uid)?,
        PAX_GID => extension.gid = owner(Field::Gid)?,
        PAX_MTIME => {
            extension.mtime = (!value.is_empty()).then(|| number::decimal_time(value)).transpose()?;
        }
        RHT_SELINUX => extension.selinux = (!value.is_empty()).then_some(value),
        PAX_GNU_SPARSE_NAME => sparse.name = name(value, Field::Path)?,
        PAX_GNU_SPARSE_SIZE | PAX_GNU_SPARSE_REALSIZE => {
            sparse.present = true;
            sparse.size = size(Field::SparseSize)?;
        }
        PAX_GNU_SPARSE_MAJOR => sparse.major = number(Field::SparseVersion, u64::MAX)?,
        PAX_GNU_SPARSE_MINOR => sparse.minor = number(Field::SparseVersion, u64::MAX)?,
        PAX_GNU_SPARSE_OFFSET => {
            if sparse.offset.is_some() || value.is_empty() {
                return Err(Problem::BadSparseMap);
            }
            sparse.present = true;
            sparse.offset = size(Field::SparseMap)?;
        }
        PAX_GNU_SPARSE_NUMBYTES => {
            let (Some(offset), Some(length)) = (sparse.offset.take(), size(Field::SparseMap)?) else {
                return Err(Problem::BadSparseMap);
            };
            push_run(runs, Run { offset, length })?;
        }
        PAX_GNU_SPARSE_MAP => {
            sparse.present = true;
            parse_map(value, runs)?;
        }
        _ => {}
    }
    Ok(())
}

/// Format 0.1: offsets and lengths in turn, with commas between them. Takes the place of any map before it.
fn parse_map(value: &[u8], runs: &mut Vec<Run>) -> Result<(), Problem> {
    runs.clear();
    if value.is_empty() {
        return Ok(());
    }
    let mut numbers = value.split(|&byte| byte == b',');
    while let Some(offset) = numbers.next() {
        let length = numbers.next().ok_or(Problem::BadSparseMap)?;
        let size = |text| number::decimal(text, Field::SparseMap, i64::MAX as u64);
        push_run(runs, Run { offset: size(offset)?, length: size(length)? })?;
    }
    Ok(())
}

fn name(value: &[u8], field: Field) -> Result<Option<&[u8]>, Problem> {
    if value.contains(&0) {
        return Err(Problem::Nul { field });
    }
    Ok((!value.is_empty()).then_some(value))
}

/// Attributes of the overlay file system, which say how a layer was stored by some engine, not what is in it.
const OVERLAY: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

fn attribute<'a>(
    key: &[u8],
    name: Cow<'a, [u8]>,
    value: Cow<'a, [u8]>,
    extension: &mut Extension<'a>,
) -> Result<(), Problem> {
    if name.is_empty() || name.contains(&0) {
        return Err(bad_name(key));
    }
    if OVERLAY.iter().any(|prefix| name.starts_with(prefix)) {
        return Ok(());
    }
    extension.xattrs.push(match attributes::of_xattr(&name) {
        Some(pending) => (pending.into(), Cow::Borrowed(b"")),
        None => (name, value),
    });
    Ok(())
}

fn bad_name(key: &[u8]) -> Problem {
    Problem::BadXattrName { key: key.to_vec() }
}

/// The records of a PAX header.
struct Records<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self { rest: data, at: 0 }
    }

    /// Splits one record off the front: its length, key and value.
    fn split(&self) -> Option<(usize, &'a [u8], &'a [u8])> {
        /// No header has a record of more digits.
        const LENGTH_DIGITS: usize = 10;

        let digits = self.rest.iter().take(LENGTH_DIGITS).take_while(|byte| byte.is_ascii_digit());
        let (length, count) =
            digits.fold((0_usize, 0), |(length, count), &digit| (length * 10 + usize::from(digit - b'0'), count + 1));
        let record = self.rest.get(count..length)?;
        let record = record.strip_prefix(b" ")?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|&byte| byte == b'=').filter(|&at| at > 0)?;
        let (key, value) = record.split_at(equals);
        Some((length, key, value.get(1..)?))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some((length, key, value)) = self.split() else {
            self.rest = &[];
            return Some(Err(Problem::BadPaxRecord { at: self.at }));
        };
        self.rest = self.rest.get(length..).unwrap_or_default();
        self.at += length;
        Some(Ok((key, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(data: &[u8]) -> Vec<(&[u8], &[u8])> {
        Records::new(data).map(Result::unwrap).collect()
    }

    #[test]
    fn only_the_length_says_where_a_value_ends() {
        let data = b"22 SCHILY.xattr.a=1\n9\n17 comment=a=b=c\n5 a=\n";
        assert_eq!(split(data), [(&b"SCHILY.xattr.a"[..], &b"1\n9"[..]), (b"comment", b"a=b=c"), (b"a", b""),]);
        // A value that looks like a record of its own, which must not become one.
        let smuggled = b"35 comment=x\n20 linkpath=/etc/foo\n\n";
        assert_eq!(split(smuggled), [(&b"comment"[..], &b"x\n20 linkpath=/etc/foo\n"[..])]);
    }

    #[test]
    fn broken_records_are_errors_that_say_where() {
        let table: [(&[u8], usize); 14] = [
            (b"x", 0),
            (b"\0\0\0\0", 0),
            (b"12 path=a/b/c", 0),
            (b"99 path=a\n", 0),
            (b"3 a\n", 0),
            (b"7 path\n", 0),
            (b"0 \n", 0),
            (b"4 =\n", 0),
            (b"-8 a=bc\n", 0),
            (b" 8 a=bc\n", 0),
            (b"99999999999999999999 a=b\n", 0),
            (b"6 a=b\n\n", 6),
            (b"6 a=b\n7 a=b\n", 6),
            (b"6 a=b\n8\ta=bc\n", 6),
        ];
        for (data, at) in table {
            let problem = check(data).unwrap_err();
            assert_eq!(problem, Problem::BadPaxRecord { at }, "{}", data.escape_ascii());
        }
    }

    #[test]
    fn the_last_of_a_key_counts_and_an_empty_value_takes_back() {
        let data = b"10 path=a\n10 path=b\n8 uid=7\n8 uid=8\n8 gid=7\n7 gid=\n";
        let mut extension = Extension::default();
        parse(data, &mut extension, &mut Vec::new()).unwrap();
        assert_eq!(extension.path, Some(&b"b"[..]));
        assert_eq!(extension.uid, Some(8));
        assert_eq!(extension.gid, None);
    }
}
