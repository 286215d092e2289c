//! The members of an archive, one after the other, from bytes that may be anything.
//!
//! Understood: ustar, pax records for the next member, GNU's long names and big numbers. Refused with a word: sparse files, records for
//! all members that would change them, types that nobody defined.

use std::io::{self, Read};
use std::str::FromStr;

use super::header::{self, BLOCK, Header, HeaderError, Kind, Member, Time};

/// Bytes of the records, or of the long name, of one member.
const RECORDS: u64 = 64 << 10;

/// Bytes of a name, and of where a link leads (`PATH_MAX`).
const NAME: usize = 4096;

/// Members of an archive.
const MEMBERS: u64 = 4 << 20;

/// Why there is no next member.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    /// It does not come, or breaks off.
    #[error("the archive: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Header(#[from] HeaderError),
    #[error("{0}: {1}")]
    Member(String, &'static str),
    #[error("{0}")]
    Malformed(&'static str),
    #[error("the archive has more than {MEMBERS} members")]
    TooMany,
}

/// An archive that is being read.
#[derive(Debug)]
pub(super) struct Archive<R> {
    from: R,
    /// Bytes of the current member that have not been read.
    left: u64,
    /// Bytes between them and the next block.
    padding: u64,
    members: u64,
}

/// What is said of the next member before its header.
#[derive(Debug, Default)]
struct Said {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u32>,
    gid: Option<u32>,
    mtime: Option<Time>,
}

impl<R: Read> Archive<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, left: 0, padding: 0, members: 0 }
    }

    /// The next member. What was not read of the last one's content is skipped.
    pub(super) fn next(&mut self) -> Result<Option<Member>, ArchiveError> {
        let rest = self.left.saturating_add(self.padding);
        self.skip(rest)?;
        let mut said = Said::default();
        loop {
            let Some(block) = self.block()? else { return Ok(None) };
            self.members = self.members.saturating_add(1);
            if self.members > MEMBERS {
                return Err(ArchiveError::TooMany);
            }
            match header::decode(&block)? {
                Header::End => return self.end().map(|()| None),
                Header::Member(member) => {
                    let member = said.apply(member)?;
                    self.left = member.size;
                    self.padding = padding(member.size);
                    return Ok(Some(member));
                }
                Header::Pax(size) => said.records(&self.text(size)?)?,
                Header::GlobalPax(size) => {
                    let mut all = Said::default();
                    all.records(&self.text(size)?)?;
                    if !all.is_empty() {
                        return Err(ArchiveError::Malformed("records for all members that follow are not supported"));
                    }
                }
                Header::LongName(size) => said.name = Some(until_nul(self.text(size)?)),
                Header::LongLink(size) => said.link = Some(until_nul(self.text(size)?)),
            }
        }
    }

    /// A block; `None` where the archive just ends: HTTP tells that it is complete.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, ArchiveError> {
        let mut block = [0; BLOCK];
        let mut length = 0;
        while let Some(rest) = block.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match self.from.read(rest)? {
                0 if length == 0 => return Ok(None),
                0 => return Err(ArchiveError::Malformed("the archive ends within a header")),
                count => length = length.saturating_add(count),
            }
        }
        Ok(Some(block))
    }

    /// Records or a long name.
    fn text(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        if size > RECORDS {
            return Err(ArchiveError::Malformed("a member has more than 64 KiB of records, or a name as long"));
        }
        let mut text = Vec::new();
        (&mut self.from).take(size).read_to_end(&mut text)?;
        if u64::try_from(text.len()).unwrap_or(u64::MAX) < size {
            return Err(ArchiveError::Malformed("the archive ends within a header"));
        }
        self.skip(padding(size))?;
        Ok(text)
    }

    fn skip(&mut self, count: u64) -> Result<(), ArchiveError> {
        (self.left, self.padding) = (0, 0);
        if io::copy(&mut (&mut self.from).take(count), &mut io::sink())? < count {
            return Err(ArchiveError::Malformed("the archive ends within a member"));
        }
        Ok(())
    }

    /// Reads what comes after the end: zeros, of which some write ten thousand.
    fn end(&mut self) -> Result<(), ArchiveError> {
        let mut buffer = [0; 4096];
        loop {
            match self.from.read(&mut buffer)? {
                0 => return Ok(()),
                count if buffer.iter().take(count).all(|&byte| byte == 0) => {}
                _ => return Err(ArchiveError::Malformed("something follows the archive's end")),
            }
        }
    }
}

/// The content of the current member.
impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.from.read(buffer.get_mut(..most).unwrap_or_default())?;
        if count == 0 && most > 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the archive ends within a member"));
        }
        self.left = self.left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        Ok(count)
    }
}

impl Said {
    fn is_empty(&self) -> bool {
        let Self { name, link, size, uid, gid, mtime } = self;
        name.is_none() && link.is_none() && size.is_none() && uid.is_none() && gid.is_none() && mtime.is_none()
    }

    /// Takes records: `LENGTH KEY=VALUE\n`. Of two for one key the last counts.
    fn records(&mut self, mut text: &[u8]) -> Result<(), ArchiveError> {
        let wrong = ArchiveError::Malformed("a pax record that is none");
        while !text.is_empty() {
            let Some((key, value, rest)) = split_record(text) else { return Err(wrong) };
            let understood = match key {
                b"path" => set(&mut self.name, Some(value.to_vec())),
                b"linkpath" => set(&mut self.link, Some(value.to_vec())),
                b"size" => set(&mut self.size, number(value)),
                b"uid" => set(&mut self.uid, number(value)),
                b"gid" => set(&mut self.gid, number(value)),
                b"mtime" => set(&mut self.mtime, Time::parse(value)),
                key if key.starts_with(b"GNU.sparse.") => {
                    return Err(ArchiveError::Malformed("sparse files are not supported"));
                }
                // Other times, names of owners, comments, extended attributes: nothing that is needed here.
                _ => true,
            };
            if !understood {
                return Err(wrong);
            }
            text = rest;
        }
        Ok(())
    }

    fn apply(self, member: Member) -> Result<Member, ArchiveError> {
        let member = Member {
            name: self.name.unwrap_or(member.name),
            link: self.link.unwrap_or(member.link),
            size: self.size.unwrap_or(member.size),
            uid: self.uid.unwrap_or(member.uid),
            gid: self.gid.unwrap_or(member.gid),
            mtime: self.mtime.unwrap_or(member.mtime),
            ..member
        };
        let refuse = |why| {
            let name = String::from_utf8_lossy(member.name.get(..NAME).unwrap_or(&member.name)).into_owned();
            Err(ArchiveError::Member(name, why))
        };
        match &member {
            Member { name, link, .. } if name.len() > NAME || link.len() > NAME => {
                refuse("a name of more than 4096 bytes")
            }
            Member { name, link, .. } if name.contains(&0) || link.contains(&0) => refuse("a name with a zero byte"),
            Member { kind, size, .. } if *kind != Kind::File && *size > 0 => refuse("content where there can be none"),
            _ => Ok(member),
        }
    }
}

/// Sets what could be understood; whether it could.
fn set<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let understood = value.is_some();
    *place = value;
    understood
}

fn number<T: FromStr>(text: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok()
}

/// The first record: key, value, and what follows.
fn split_record(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = text.iter().position(|&byte| byte == b' ')?;
    let digits = std::str::from_utf8(text.get(..space)?).ok()?;
    let length: usize = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    let (record, rest) = text.split_at_checked(length)?;
    let record = record.get(space.checked_add(1)?..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    Some((record.get(..equals)?, record.get(equals.checked_add(1)?..)?, rest))
}

fn until_nul(mut text: Vec<u8>) -> Vec<u8> {
    text.truncate(text.iter().position(|&byte| byte == 0).unwrap_or(text.len()));
    text
}

/// Bytes between content of this size and the next block.
fn padding(size: u64) -> u64 {
    let block = u64::try_from(BLOCK).unwrap_or(1);
    size.wrapping_neg() % block
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Result<Vec<(Member, Vec<u8>)>, ArchiveError> {
        let mut archive = Archive::new(bytes);
        let mut members = Vec::new();
        while let Some(member) = archive.next()? {
            let mut content = Vec::new();
            archive.by_ref().take(member.size).read_to_end(&mut content)?;
            members.push((member, content));
        }
        Ok(members)
    }

    fn member(name: &[u8], size: u64) -> Member {
        let mtime = Time { seconds: 5, nanoseconds: 7 };
        Member { name: name.into(), kind: Kind::File, mode: 0o644, uid: 1 << 22, gid: 3, size, mtime, link: Vec::new() }
    }

    fn archive(members: &[(Member, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (member, content) in members {
            bytes.extend(header::encode(member));
            bytes.extend(content);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes.resize(bytes.len() + 20 * BLOCK, 0);
        bytes
    }

    #[test]
    fn what_is_encoded_is_read() {
        let members = [
            (member(b"short", 3), b"abc".to_vec()),
            (member(&[b'n'; 4000], 0), Vec::new()),
            (member(b"whole", 1024), vec![9; 1024]),
        ];
        assert_eq!(read(&archive(&members)).unwrap(), members);
        let unread = archive(&members);
        let mut archive = Archive::new(&unread[..]);
        while archive.next().unwrap().is_some() {}
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        let whole = archive(&[(member(b"name", 600), vec![1; 600])]);
        assert!(read(&whole[..whole.len() - 20 * BLOCK]).is_ok(), "an archive without an end is one");
        assert!(read(&whole[..whole.len() - 20 * BLOCK - 1]).is_err(), "half a member");
        let mut followed = whole.clone();
        *followed.last_mut().unwrap() = 1;
        assert!(matches!(read(&followed), Err(ArchiveError::Malformed(_))));
        for records in
            ["4 a=\n", "6 a=b", "-6 a=b\n", "99 a=b\n", "11 size=-1\n", "8 uid=x\n", "22 GNU.sparse.major=1\n"]
        {
            let mut said = Said::default();
            assert!(said.records(records.as_bytes()).is_err(), "{records:?}");
        }
        for unlike in [
            Member { kind: Kind::Symlink, ..member(b"a", 1) },
            member(b"a\0b", 0),
            Member { link: vec![b'a'; 4097], ..member(b"a", 0) },
        ] {
            assert!(matches!(Said::default().apply(unlike), Err(ArchiveError::Member(..))));
        }
    }

    #[test]
    fn the_last_of_two_records_counts() {
        let mut said = Said::default();
        said.records(b"8 path=a\n9 path=bc\n").unwrap_err();
        said.records(b"9 path=a\n11 path=bc\n").unwrap();
        assert_eq!(said.name.as_deref(), Some(&b"bc"[..]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
            let _ = read(&bytes);
        }

        #[test]
        fn any_records_are_read_or_refused(text in "([0-9]{1,3} [a-z]{0,8}=[0-9.a-z\n-]{0,20}\n){0,4}") {
            let _ = Said::default().records(text.as_bytes());
        }

        #[test]
        fn a_damaged_archive_is_read_or_refused(at in 0_usize..4096, with: u8) {
            let mut bytes = archive(&[(member(&[b'n'; 150], 5), b"12345".to_vec()), (member(b"b", 0), Vec::new())]);
            let at = at % bytes.len();
            bytes[at] = with;
            let _ = read(&bytes);
        }
    }
}
