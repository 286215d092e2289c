//! The bytes of names and paths.
//!
//! Names are bytes, not text: they are kept as they come and shown with escapes where they cannot be printed.
//! A path of an archive is taken from the image's root whether it starts with a slash or not.

use std::fmt;

/// A name or path for a message: printable text as it is, everything else as an escape (`\n`, `\xff`, `\u{202e}`).
///
/// ```
/// # use banger_layers::path::Shown;
/// assert_eq!(Shown::new(b"usr/bin/\xff\n").to_string(), r"usr/bin/\xff\n");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Shown(Box<[u8]>);

/// Bytes of a name that a message shows. Longer ones are cut in the middle.
const SHOWN_BYTES: usize = 512;

impl Shown {
    /// Takes a copy of `bytes` for a message.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes as they came.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("''");
        }
        if self.0.len() <= SHOWN_BYTES {
            return escaped(&self.0, f);
        }
        let (head, rest) = self.0.split_at(SHOWN_BYTES / 2);
        let (left_out, tail) = rest.split_at(rest.len() - SHOWN_BYTES / 2);
        escaped(head, f)?;
        write!(f, "...({} bytes)...", left_out.len())?;
        escaped(tail, f)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Writes `bytes` so that nothing in them can move a cursor, hide a letter or be taken for something else.
fn escaped(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\'' | '"' => write!(f, "{letter}")?,
                _ => write!(f, "{}", letter.escape_debug())?,
            }
        }
        for byte in chunk.invalid() {
            write!(f, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

/// The components of a path as written: no empty ones, no `.`; `..` is left to the caller.
pub fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|part| !matches!(*part, b"" | b"."))
}

/// The first component of a path as written, and what follows it; `None` when there is none.
pub(crate) fn split_first(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = path;
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
        let (part, behind) = rest.split_at_checked(end)?;
        rest = behind.get(1..).unwrap_or_default();
        if !matches!(part, b"" | b".") {
            return Some((part, rest));
        }
    }
    None
}

/// A path of an archive climbs above the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeavesRoot;

/// Cleans a path of an archive: fills `parts` with its components, `..` taking back the one before it.
///
/// This is done on the written name alone, before any symlink is looked at, as the other tools of the field do.
///
/// # Errors
/// [`LeavesRoot`] when a `..` has nothing to take back.
///
/// ```
/// # use banger_layers::path::{LeavesRoot, normalise};
/// let mut parts = Vec::new();
/// normalise(b"./usr//lib/../bin/", &mut parts).unwrap();
/// assert_eq!(parts, [b"usr", b"bin"]);
/// assert_eq!(normalise(b"usr/../..", &mut parts), Err(LeavesRoot));
/// ```
pub fn normalise<'a>(path: &'a [u8], parts: &mut Vec<&'a [u8]>) -> Result<(), LeavesRoot> {
    parts.clear();
    for part in components(path) {
        if part == b".." {
            parts.pop().ok_or(LeavesRoot)?;
        } else {
            parts.push(part);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_printed_is_escaped() {
        let table: [(&[u8], &str); 7] = [
            (b"etc/passwd", "etc/passwd"),
            (b"", "''"),
            (b"it's \"quoted\"", "it's \"quoted\""),
            (b"a\nb\x1b[0m\x00", "a\\nb\\u{1b}[0m\\0"),
            (b"back\\slash", "back\\\\slash"),
            ("gr\u{fc}n \u{202e}".as_bytes(), "gr\u{fc}n \\u{202e}"),
            (b"\xff\xfe", "\\xff\\xfe"),
        ];
        for (bytes, shown) in table {
            assert_eq!(Shown::new(bytes).to_string(), shown);
        }
    }

    #[test]
    fn long_names_are_cut_in_the_middle() {
        let shown = Shown::new(&[b'x'; 10_000]).to_string();
        assert!(shown.contains("...(9488 bytes)..."), "{shown}");
        assert!(shown.len() < 600);
    }

    #[test]
    fn components_come_off_one_by_one() {
        for path in [&b""[..], b"/", b"a", b"//a/./b/", b"a//..//b", b"./."] {
            let mut rest = path;
            let split = std::iter::from_fn(|| {
                let (part, behind) = split_first(rest)?;
                rest = behind;
                Some(part)
            });
            assert!(split.eq(components(path)), "{}", Shown::new(path));
        }
    }

    #[test]
    fn paths_are_cleaned_as_written() {
        type Case = (&'static [u8], Option<&'static [&'static [u8]]>);
        let table: [Case; 12] = [
            (b"", Some(&[])),
            (b".", Some(&[])),
            (b"./", Some(&[])),
            (b"///", Some(&[])),
            (b"a", Some(&[b"a"])),
            (b"/a/./b//c/", Some(&[b"a", b"b", b"c"])),
            (b"a/..", Some(&[])),
            (b"a/../b", Some(&[b"b"])),
            (b"..", None),
            (b"/..", None),
            (b"a/../../b", None),
            (b"...", Some(&[b"..."])),
        ];
        for (path, expected) in table {
            let mut parts = vec![&b"left over"[..]];
            let result = normalise(path, &mut parts);
            assert_eq!(result.ok().map(|()| parts.as_slice()), expected, "{}", Shown::new(path));
        }
    }
}
