//! The binary indexes that modprobe looks into: tries from names to values (kmod's libkmod/libkmod-index.h).
//!
//! ```text
//! file:  magic, version, offset of the root
//! node:  [prefix NUL] [first last offset-of-child...] [count (priority value NUL)...]
//! ```
//!
//! Numbers have 32 bits, the most significant byte first. The upper four bits of an offset say which of the three parts the node has. A
//! child is reached by one byte, which is not repeated in its prefix. Nodes stand behind their children.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::limits::KEY_BYTES;

const MAGIC: u32 = 0xB007_F457;
/// 2.1
const VERSION: u32 = 0x0002_0001;

const PREFIX: u32 = 0x8000_0000;
const VALUES: u32 = 0x4000_0000;
const CHILDREN: u32 = 0x2000_0000;
/// What of an offset is the offset.
const OFFSET: u32 = 0x0FFF_FFFF;

/// Keys with their values, each with its priority: the smallest comes first.
#[derive(Debug, Default)]
pub(crate) struct Index {
    keys: BTreeMap<Vec<u8>, Vec<(u32, Vec<u8>)>>,
}

/// A key and its values.
type Pair<'a> = (&'a [u8], &'a [(u32, Vec<u8>)]);

impl Index {
    /// Adds a value of a key. Keys that cannot be looked up are left out: they would have to be ASCII.
    pub(crate) fn insert(&mut self, key: &str, value: &[u8], priority: u32) {
        if key.is_ascii() && !key.contains('\0') && key.len() <= KEY_BYTES && !value.contains(&0) {
            let values = self.keys.entry(key.as_bytes().to_vec()).or_default();
            if !values.iter().any(|(_, known)| known == value) {
                values.push((priority, value.to_vec()));
            }
        }
    }

    /// The file. `name` is what errors call it.
    pub(crate) fn encode(mut self, name: &str) -> Result<Vec<u8>> {
        self.keys.values_mut().for_each(|values| values.sort());
        let pairs: Vec<Pair<'_>> = self.keys.iter().map(|(key, values)| (&key[..], &values[..])).collect();
        let mut file = Vec::new();
        for number in [MAGIC, VERSION, 0] {
            file.extend_from_slice(&number.to_be_bytes());
        }
        let full = || Error::limit(Path::new(name), OFFSET.into(), "bytes");
        let root = node(&mut file, &pairs, 0).ok_or_else(full)?;
        if let Some(place) = file.get_mut(8..12) {
            place.copy_from_slice(&root.to_be_bytes());
        }
        Ok(file)
    }
}

/// Appends the node of all keys of a sorted list, which are equal up to `depth`; its offset with the bits of its parts. `None` if the
/// file becomes too long for that.
fn node(file: &mut Vec<u8>, pairs: &[Pair<'_>], depth: usize) -> Option<u32> {
    let tail = |(key, _): &Pair<'_>| key.get(depth..).unwrap_or_default().to_vec();
    let (first, last) = (pairs.first().map(tail).unwrap_or_default(), pairs.last().map(tail).unwrap_or_default());
    let common = first.iter().zip(&last).take_while(|(a, b)| a == b).count();
    let prefix = first.get(..common).unwrap_or_default();
    let end = depth.checked_add(common)?;

    // In a sorted list the key that ends here is the first.
    let (values, rest) = match pairs.split_first() {
        Some(((key, values), rest)) if key.len() == end => (*values, rest),
        _ => (&[][..], pairs),
    };
    let byte = |(key, _): &Pair<'_>| key.get(end).copied();
    let mut children = Vec::new();
    for group in rest.chunk_by(|a, b| byte(a) == byte(b)) {
        children.push((group.first().and_then(byte)?, node(file, group, end.checked_add(1)?)?));
    }

    let mut offset = u32::try_from(file.len()).ok().filter(|offset| *offset <= OFFSET)?;
    if !prefix.is_empty() {
        offset |= PREFIX;
        file.extend_from_slice(prefix);
        file.push(0);
    }
    if let (Some((first, _)), Some((last, _))) = (children.first(), children.last()) {
        offset |= CHILDREN;
        file.extend_from_slice(&[*first, *last]);
        let mut next = children.iter().peekable();
        for byte in *first..=*last {
            let child = next.next_if(|(key, _)| *key == byte).map_or(0, |(_, offset)| *offset);
            file.extend_from_slice(&child.to_be_bytes());
        }
    }
    if !values.is_empty() {
        offset |= VALUES;
        file.extend_from_slice(&u32::try_from(values.len()).ok()?.to_be_bytes());
        for (priority, value) in values {
            file.extend_from_slice(&priority.to_be_bytes());
            file.extend_from_slice(value);
            file.push(0);
        }
    }
    Some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(file: &[u8], at: usize) -> u32 {
        u32::from_be_bytes(*file[at..].first_chunk().unwrap())
    }

    /// Looks a key up as libkmod does.
    fn look_up(file: &[u8], key: &[u8]) -> Vec<String> {
        let (mut offset, mut key) = (number(file, 8), key);
        loop {
            let mut at = (offset & OFFSET) as usize;
            let text = |at: &mut usize| {
                let end = *at + file[*at..].iter().position(|&byte| byte == 0).unwrap();
                let text = &file[*at..end];
                *at = end + 1;
                text
            };
            if offset & PREFIX != 0 {
                let Some(rest) = key.strip_prefix(text(&mut at)) else { return Vec::new() };
                key = rest;
            }
            let mut child = 0;
            if offset & CHILDREN != 0 {
                let (first, last) = (file[at], file[at + 1]);
                if let Some(&byte) = key.first()
                    && (first..=last).contains(&byte)
                {
                    child = number(file, at + 2 + 4 * usize::from(byte - first));
                }
                at += 2 + 4 * usize::from(last - first + 1);
            }
            if let [_, rest @ ..] = key {
                (offset, key) = (child, rest);
                if child == 0 {
                    return Vec::new();
                }
                continue;
            }
            if offset & VALUES == 0 {
                return Vec::new();
            }
            let count = number(file, at);
            at += 4;
            let mut values = Vec::new();
            for _ in 0..count {
                at += 4;
                values.push(String::from_utf8(text(&mut at).to_vec()).unwrap());
            }
            return values;
        }
    }

    #[test]
    fn what_goes_in_is_found_and_nothing_else() {
        let mut index = Index::default();
        let keys = ["ext4", "ext2", "ext", "fs_ext4", "f", "virtio:d00000013v*", "e"];
        for key in keys {
            index.insert(key, format!("value of {key}").as_bytes(), 0);
        }
        index.insert("ext", b"second", 9);
        index.insert("ext", b"first", 0);
        index.insert("ext", b"first", 5);
        index.insert("nön-ascii", b"x", 0);
        let file = index.encode("test").unwrap();
        for key in keys {
            assert!(look_up(&file, key.as_bytes()).contains(&format!("value of {key}")), "{key}");
        }
        assert_eq!(look_up(&file, b"ext"), ["first", "value of ext", "second"]);
        for key in ["", "ex", "ext3", "ext44", "g", "virtio"] {
            assert_eq!(look_up(&file, key.as_bytes()), [""; 0], "{key}");
        }
    }

    #[test]
    fn an_empty_index_has_an_empty_root() {
        let file = Index::default().encode("test").unwrap();
        assert_eq!(number(&file, 0), MAGIC);
        assert_eq!((number(&file, 8), file.len()), (12, 12));
    }
}
