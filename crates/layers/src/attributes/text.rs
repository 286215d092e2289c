//! ACLs as archivers write them: text, as in acl(5).
//!
//! An entry is `TAG:QUALIFIER:PERMISSIONS`, in the long form (`user:lisa:rwx`) or the short one (`u:lisa:rwx`). Entries
//! end at a newline or a comma, comments start with `#`. star and bsdtar put the number of a named user or group into a
//! fourth field; Solaris leaves out the empty qualifier of `mask` and `other`; libarchive may put `default:` before an
//! entry. Names have odd bytes as `\` and three octal digits.

/// What an entry of an ACL is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tag {
    /// The file's owner.
    Owner,
    /// A user.
    User,
    /// The file's group.
    OwningGroup,
    /// A group.
    Group,
    /// The most that users, the owning group and groups can have.
    Mask,
    /// All others.
    Other,
}

/// One entry, its user or group still as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Whether it is marked as one of the default ACL.
    pub(super) default: bool,
    pub(super) tag: Tag,
    /// The name of the user or group; empty for other tags.
    pub(super) name: Vec<u8>,
    /// The number behind the permissions, if there is one.
    pub(super) number: Option<u32>,
    /// Three bits: read, write, execute.
    pub(super) permissions: u16,
}

/// Splits a text into its entries.
///
/// # Errors
/// The part that is no entry.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Entry>, &[u8]> {
    let ends = |byte: u8| matches!(byte, b'\n' | b',');
    let mut entries = Vec::new();
    let mut rest = text.trim_ascii_start();
    while !rest.is_empty() {
        let comment = rest.starts_with(b"#");
        // A comment that stands alone goes on to the end of the line, whatever it has in it.
        let end = rest.iter().position(|&byte| if comment { byte == b'\n' } else { ends(byte) }).unwrap_or(rest.len());
        let (part, behind) = rest.split_at(end);
        rest = behind.get(1..).unwrap_or_default().trim_ascii_start();
        // GNU tar says what is left of an entry by the mask: "user:lisa:rwx   #effective:r--".
        let entry = part.split(|&byte| byte == b'#').next().unwrap_or_default().trim_ascii();
        if !entry.is_empty() {
            entries.push(entry_of(entry).ok_or(entry)?);
        }
    }
    Ok(entries)
}

fn entry_of(text: &[u8]) -> Option<Entry> {
    let mut fields: Vec<&[u8]> = text.split(|&byte| byte == b':').map(<[u8]>::trim_ascii).collect();
    let default = matches!(fields.first(), Some(&(b"default" | b"d")));
    if default {
        fields.remove(0);
    }
    let (&tag, fields) = fields.split_first()?;
    let (qualifier, rest) = match (tag, fields) {
        (b"mask" | b"m" | b"other" | b"o", [permissions]) => (&b""[..], vec![*permissions]),
        (_, [qualifier, rest @ ..]) => (*qualifier, rest.to_vec()),
        _ => return None,
    };
    let (permissions, number) = match rest[..] {
        [permissions] => (permissions, None),
        [permissions, number] => (permissions, self::number(number)),
        _ => return None,
    };
    let tag = match (tag, qualifier.is_empty()) {
        (b"user" | b"u", true) => Tag::Owner,
        (b"user" | b"u", false) => Tag::User,
        (b"group" | b"g", true) => Tag::OwningGroup,
        (b"group" | b"g", false) => Tag::Group,
        (b"mask" | b"m", true) => Tag::Mask,
        (b"other" | b"o", true) => Tag::Other,
        _ => return None,
    };
    Some(Entry { default, tag, name: unquote(qualifier)?, number, permissions: permissions_of(permissions)? })
}

fn permissions_of(text: &[u8]) -> Option<u16> {
    if !(1..=3).contains(&text.len()) {
        return None;
    }
    text.iter().try_fold(0, |permissions, byte| {
        Some(
            permissions
                | match byte {
                    b'r' | b'R' => 4,
                    b'w' | b'W' => 2,
                    b'x' | b'X' => 1,
                    b'-' => 0,
                    _ => return None,
                },
        )
    })
}

/// A name with its escapes resolved.
fn unquote(name: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let (digits, tail) = tail.split_first_chunk::<3>()?;
        let value = digits.iter().try_fold(0, |value: u32, &digit| Some(value * 8 + char::from(digit).to_digit(8)?))?;
        out.push(u8::try_from(value).ok()?);
        rest = tail;
    }
    Some(out)
}

/// A number of a user or group: decimal digits alone. The largest of 32 bits means "none" and is no number.
pub(super) fn number(text: &[u8]) -> Option<u32> {
    let digits = text.iter().all(u8::is_ascii_digit).then(|| str::from_utf8(text).ok())??;
    digits.parse().ok().filter(|&number| number != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &[u8]) -> Result<Vec<String>, String> {
        let entries = parse(text).map_err(|part| part.escape_ascii().to_string())?;
        let show = |entry: Entry| {
            let default = if entry.default { "default " } else { "" };
            let number = entry.number.map(|number| format!(" {number}")).unwrap_or_default();
            let name = entry.name.escape_ascii();
            format!("{default}{:?} {name:}{number} {}", entry.tag, entry.permissions)
        };
        Ok(entries.into_iter().map(show).collect())
    }

    #[test]
    fn all_forms_are_read() {
        let full = ["Owner  7", "User lisa 6", "OwningGroup  5", "Group staff 4", "Mask  7", "Other  0"];
        let table: [(&[u8], &[&str]); 14] = [
            // GNU tar, bsdtar, the short form, Solaris.
            (b"user::rwx\nuser:lisa:rw-\ngroup::r-x\ngroup:staff:r--\nmask::rwx\nother::---\n", &full),
            (b"user::rwx,user:lisa:rw-,group::r-x,group:staff:r--,mask::rwx,other::---", &full),
            (b"u::rwx,u:lisa:rw,g::rx,g:staff:r,m::xwr,o::-", &full),
            (b"user::rwx,user:lisa:rw-,group::r-x,group:staff:r--,mask:rwx,other:---", &full),
            (b"user:lisa:rwx:502", &["User lisa 502 7"]),
            (b"group:50:r--:50", &["Group 50 50 4"]),
            (b"  user :: rwx \t#effective:r--\n\n# owner: a,b\n,,user : lisa: RWX", &["Owner  7", "User lisa 7"]),
            (b"user:lisa:rwx\t#effective:r--,mask::r--", &["User lisa 7", "Mask  4"]),
            (b"default:user::rwx,d:u:lisa:r", &["default Owner  7", "default User lisa 4"]),
            (b"user:EXAMPLE\\134lisa\\072\\054:rwx", &["User EXAMPLE\\\\lisa:, 7"]),
            (b"user:lisa:rwx:", &["User lisa 7"]),
            (b"user:lisa:rwx:4294967295", &["User lisa 7"]),
            (b"# nothing, here", &[]),
            (b"", &[]),
        ];
        for (text, expected) in table {
            assert_eq!(shown(text).unwrap(), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn what_is_no_entry_is_named() {
        let table = [
            "user",
            "user:",
            "user:lisa",
            "owner::rwx",
            "user::rwxr",
            "user::",
            "user::rwz",
            "user::7",
            "mask:lisa:rwx",
            "user:lisa:rwx:1:2",
            "user:li\\0:rwx",
            "user:li\\777:rwx",
            "everyone@:rwxpDdaARWcCos:fd:allow",
        ];
        for text in table {
            let whole = format!("user::rwx,{text}\nother::r--");
            assert_eq!(shown(whole.as_bytes()), Err(text.escape_default().to_string()), "{text}");
        }
    }

    #[test]
    fn numbers_are_digits_alone() {
        let table = [("0", Some(0)), ("4294967294", Some(u32::MAX - 1)), ("4294967295", None), ("+1", None)];
        for (text, expected) in table.into_iter().chain([("", None), ("1a", None), ("-1", None)]) {
            assert_eq!(number(text.as_bytes()), expected, "{text}");
        }
    }
}
