//! Files of an image as programs read them: a JSON object for each.
//!
//! | field | |
//! |---|---|
//! | `path`, `path_b64` | from the root of the image; in base64 where it is not UTF-8 |
//! | `type` | `file`, `directory`, `symlink`, `char`, `block`, `fifo` or `socket` |
//! | `mode` | twelve bits as four octal digits |
//! | `uid`, `gid` | numbers |
//! | `size` | bytes of content, of a link's target, of a directory's blocks |
//! | `allocated` | bytes on the disk |
//! | `mtime_ns`, `ctime_ns`, `atime_ns`, `crtime_ns` | nanoseconds since 1970 |
//! | `inode`, `links` | the inode's number, and how many names it has |
//! | `link`, `link_b64` | the target of a symbolic link |
//! | `rdev` | `[major, minor]` of a device |
//! | `xattrs` | values in base64 by their names |
//! | `sha256` | of a file's content, where it is asked for |

use std::collections::BTreeMap;

use banger_ext4::spec::Timestamp;
use serde::Serialize;

use super::entry::{Entry, type_name};
use crate::text::Name;

/// One line of `banger ls --json`.
#[derive(Debug, Serialize)]
pub(super) struct Record<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
    r#type: &'static str,
    mode: String,
    uid: u32,
    gid: u32,
    size: u64,
    allocated: u64,
    // Nanoseconds of the year 2446 need more than 63 bits.
    mtime_ns: i128,
    ctime_ns: i128,
    atime_ns: i128,
    crtime_ns: i128,
    inode: u32,
    links: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_b64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rdev: Option<(u32, u32)>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    xattrs: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

impl<'a> Record<'a> {
    pub(super) fn new(entry: &'a Entry, sha256: Option<String>) -> Self {
        let stat = &entry.stat;
        let (path, path_b64) = text(&entry.path);
        let (link, link_b64) = entry.target.as_deref().map_or((None, None), text);
        Self {
            path,
            path_b64,
            r#type: type_name(stat.file_type),
            mode: format!("{:04o}", stat.mode),
            uid: stat.uid,
            gid: stat.gid,
            size: stat.size,
            allocated: stat.allocated,
            mtime_ns: nanoseconds(stat.mtime),
            ctime_ns: nanoseconds(stat.ctime),
            atime_ns: nanoseconds(stat.atime),
            crtime_ns: nanoseconds(stat.crtime),
            inode: stat.number,
            links: stat.links,
            link,
            link_b64,
            rdev: stat.device,
            // Keys of JSON are text: a name that is not UTF-8 is shown with escapes.
            xattrs: entry.xattrs.iter().map(|xattr| (Name(&xattr.name).to_string(), base64(&xattr.value))).collect(),
            sha256,
        }
    }
}

fn text(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(base64(bytes))),
    }
}

fn nanoseconds(time: Timestamp) -> i128 {
    i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanoseconds)
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, index| bits << 8 | usize::from(group.get(index).copied().unwrap_or(0)));
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 0x3F;
            let letter = if digit > group.len() { b'=' } else { ALPHABET.get(value).copied().unwrap_or(b'=') };
            text.push(char::from(letter));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, expected) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg=="),
            (b"fooba", "Zm9vYmE="),
            (b"foobar", "Zm9vYmFy"),
            (b"\xff\xfe\xfd", "//79"),
        ] {
            assert_eq!(base64(bytes), expected);
        }
    }

    #[test]
    fn all_times_of_ext4_can_be_told() {
        let last = Timestamp { seconds: Timestamp::MAX_SECONDS, nanoseconds: 999_999_999 };
        assert_eq!(serde_json::to_string(&nanoseconds(last)).unwrap(), "15032385535999999999");
        let first = Timestamp { seconds: -1, nanoseconds: 1 };
        assert_eq!(nanoseconds(first), -999_999_999);
    }

    #[test]
    fn names_that_are_no_text_are_base64() {
        assert_eq!(text(b"plain"), (Some("plain"), None));
        assert_eq!(text(b"\xff"), (None, Some("/w==".to_owned())));
    }
}
