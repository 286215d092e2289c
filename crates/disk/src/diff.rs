//! What differs between the files of two images, path by path.
//!
//! Both are walked at once, in the same order, and what has the same path is compared; so nothing is held in memory but the
//! directories on the way, and of files with several names the first one. Where something stands in an image is of no
//! interest, nor is when it was read or made.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;

use banger_ext4::read::{Stat, WalkEntry};
use banger_ext4::spec::FileType;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::files::Files;
use crate::limits::READ_BYTES;
use crate::observer::Observer;

/// What is compared beside what always is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The times at which contents were changed.
    pub times: bool,
}

/// A path that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path, without a slash at the beginning; empty for the root directory.
    pub path: Vec<u8>,
    /// What has become of it.
    pub change: Change,
    /// Of what is in both: what differs, in the order of [`Aspect`].
    pub what: Vec<Aspect>,
    /// What it was.
    pub before: Option<Stat>,
    /// What it is.
    pub after: Option<Stat>,
}

/// What has become of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is only in the second image.
    Added,
    /// It is only in the first image.
    Removed,
    /// It is in both, and differs.
    Changed,
}

/// What can differ of something that is in both images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// What it is: a file, a directory, and so on. Then neither content nor target nor device are compared.
    Kind,
    /// Its permissions.
    Mode,
    /// Its owner or its group.
    Owner,
    /// The size of its content, and so the content.
    Size,
    /// Its content, of the same size.
    Content,
    /// What a symbolic link leads to.
    Target,
    /// Which device it stands for.
    Device,
    /// The number of its names, or the first of them.
    Links,
    /// Its extended attributes, ACLs and capabilities among them.
    Attributes,
    /// When its content was changed last.
    Time,
}

/// Tells what differs, in the order of the paths: each directory before what is in it, names by their bytes.
///
/// # Errors
/// An image cannot be read, or it was cancelled. The observer is told nothing else.
pub fn diff(
    before: &Files,
    after: &Files,
    options: Options,
    observer: &dyn Observer,
    found: &mut dyn FnMut(Difference),
) -> Result<()> {
    let mut comparison = Comparison {
        one: Side { files: before, firsts: BTreeMap::new() },
        other: Side { files: after, firsts: BTreeMap::new() },
        options,
        observer,
        compared: BTreeMap::new(),
        buffers: [vec![0; READ_BYTES], vec![0; READ_BYTES]],
    };
    let (mut ones, mut others) = (before.entries(), after.entries());
    let (mut one, mut other) = (ones.next().transpose()?, others.next().transpose()?);
    loop {
        if observer.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let order = match (&one, &other) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => compare(&one.path, &other.path),
        };
        let left = if order.is_le() { std::mem::replace(&mut one, ones.next().transpose()?) } else { None };
        let right = if order.is_ge() { std::mem::replace(&mut other, others.next().transpose()?) } else { None };
        if let Some(difference) = comparison.entry(left, right)? {
            found(difference);
        }
    }
}

/// The order of a walk: that of the first names that differ.
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    // No name has a NUL in it, so that it can stand for what separates names: it comes before all others.
    let names = |path: &[u8]| path.iter().map(|&byte| if byte == b'/' { 0 } else { byte }).collect::<Vec<_>>();
    names(one).cmp(&names(other))
}

struct Comparison<'a> {
    one: Side<'a>,
    other: Side<'a>,
    options: Options,
    observer: &'a dyn Observer,
    /// Of files with several names in both images: whether their contents are the same.
    compared: BTreeMap<(u32, u32), bool>,
    buffers: [Vec<u8>; 2],
}

/// One of the images.
struct Side<'a> {
    files: &'a Files,
    /// Of each file with several names: the first one.
    firsts: BTreeMap<u32, Vec<u8>>,
}

impl Side<'_> {
    /// Whether `path` is the first name of a file, or the first one.
    fn first(&mut self, entry: &WalkEntry) -> Option<Vec<u8>> {
        let stat = &entry.stat;
        if stat.file_type == FileType::Directory || stat.links < 2 {
            return None;
        }
        Some(self.firsts.entry(stat.number).or_insert_with(|| entry.path.clone()).clone())
    }
}

impl Comparison<'_> {
    fn entry(&mut self, left: Option<WalkEntry>, right: Option<WalkEntry>) -> Result<Option<Difference>> {
        let left_first = left.as_ref().and_then(|entry| self.one.first(entry));
        let right_first = right.as_ref().and_then(|entry| self.other.first(entry));
        let (path, change, what, before, after) = match (left, right) {
            (None, None) => return Ok(None),
            (Some(left), None) => (left.path, Change::Removed, Vec::new(), Some(left.stat), None),
            (None, Some(right)) => (right.path, Change::Added, Vec::new(), None, Some(right.stat)),
            (Some(left), Some(right)) => {
                let mut what = self.aspects(&left.stat, &right.stat)?;
                if left_first != right_first || (left_first.is_some() && left.stat.links != right.stat.links) {
                    what.push(Aspect::Links);
                }
                if what.is_empty() {
                    return Ok(None);
                }
                what.sort_unstable();
                (left.path, Change::Changed, what, Some(left.stat), Some(right.stat))
            }
        };
        Ok(Some(Difference { path, change, what, before, after }))
    }

    /// What differs, names aside.
    fn aspects(&mut self, one: &Stat, other: &Stat) -> Result<Vec<Aspect>> {
        let mut what = Vec::new();
        let mut check = |differs: bool, aspect| {
            if differs {
                what.push(aspect);
            }
        };
        check(one.mode != other.mode, Aspect::Mode);
        check((one.uid, one.gid) != (other.uid, other.gid), Aspect::Owner);
        check(self.options.times && one.mtime != other.mtime, Aspect::Time);
        let attributes = self.of_both(one, other, |files, stat| files.reader().xattrs(stat.number))?;
        check(attributes.0 != attributes.1, Aspect::Attributes);
        if one.file_type != other.file_type {
            check(true, Aspect::Kind);
            return Ok(what);
        }
        check(one.device != other.device, Aspect::Device);
        match one.file_type {
            FileType::Regular if one.size != other.size => check(true, Aspect::Size),
            FileType::Regular => check(!self.is_same(one, other)?, Aspect::Content),
            FileType::Symlink => {
                let targets = self.of_both(one, other, |files, stat| files.reader().read_link(stat.number))?;
                check(targets.0 != targets.1, Aspect::Target);
            }
            _ => {}
        }
        Ok(what)
    }

    fn of_both<T>(
        &self,
        one: &Stat,
        other: &Stat,
        read: impl Fn(&Files, &Stat) -> std::result::Result<T, banger_ext4::read::Error>,
    ) -> Result<(T, T)> {
        let of = |files: &Files, stat| read(files, stat).map_err(|source| files.error(source));
        Ok((of(self.one.files, one)?, of(self.other.files, other)?))
    }

    /// Whether two files of the same size have the same content.
    fn is_same(&mut self, one: &Stat, other: &Stat) -> Result<bool> {
        let pair = (one.links > 1 && other.links > 1).then_some((one.number, other.number));
        if let Some(&known) = pair.and_then(|pair| self.compared.get(&pair)) {
            return Ok(known);
        }
        let mut parts = self.one.files.data(one)?;
        parts.append(&mut self.other.files.data(other)?);
        parts.sort_unstable_by_key(|part| part.start);
        let mut same = true;
        let mut at = 0;
        for part in parts {
            same = same && self.is_same_part(one, other, part.start.max(at)..part.end)?;
            at = at.max(part.end);
        }
        if let Some(pair) = pair {
            self.compared.insert(pair, same);
        }
        Ok(same)
    }

    fn is_same_part(&mut self, one: &Stat, other: &Stat, part: Range<u64>) -> Result<bool> {
        let mut at = part.start;
        while at < part.end {
            if self.observer.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let want = usize::try_from(part.end - at).unwrap_or(usize::MAX).min(READ_BYTES);
            let [left, right] = &mut self.buffers;
            let (left, right) = (left.get_mut(..want).unwrap_or_default(), right.get_mut(..want).unwrap_or_default());
            for (side, stat, buffer) in [(&self.one, one, &mut *left), (&self.other, other, &mut *right)] {
                let read = side.files.reader().read_at(stat.number, at, buffer);
                read.map_err(|source| side.files.error(source))?;
            }
            if left != right {
                return Ok(false);
            }
            at += want as u64;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_in_the_order_of_a_walk() {
        let paths: [&[u8]; 9] = [b"", b"a", b"a/\x01", b"a/b", b"a/b/c", b"a b", b"a.b", b"a.b/c", b"b"];
        for (at, one) in paths.iter().enumerate() {
            for (other_at, other) in paths.iter().enumerate() {
                assert_eq!(compare(one, other), at.cmp(&other_at), "{} {}", one.escape_ascii(), other.escape_ascii());
            }
        }
    }
}
