//! How libarchive makes text of the names and values of extended attributes.

use std::borrow::Cow;

/// Replaces each `%` and two hexadecimal digits by the byte that they mean; none when a `%` has no such digits.
pub(super) fn percent_decode(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !text.contains(&b'%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                bytes.push(hexadecimal(*high)? << 4 | hexadecimal(*low)?);
                tail
            }
            (b'%', _) => return None,
            (byte, tail) => {
                bytes.push(*byte);
                tail
            }
        };
    }
    Some(Cow::Owned(bytes))
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Decodes base64 (RFC 4648) with or without `=` at the end, which libarchive leaves out.
pub(super) fn base64_decode(text: &[u8]) -> Option<Vec<u8>> {
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    let text = text.get(..text.len() - padding)?;
    if padding > 2 || text.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.chunks(4) {
        let mut bits = 0_u32;
        for &letter in group {
            bits = bits << 6 | u32::from(base64_value(letter)?);
        }
        // Four letters are three bytes, three are two, two are one: the rest are zero bits.
        let [_, decoded @ ..] = (bits << (6 * (4 - group.len()))).to_be_bytes();
        bytes.extend(decoded.iter().take(group.len() - 1));
    }
    Some(bytes)
}

fn base64_value(letter: u8) -> Option<u8> {
    match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_with_and_without_padding() {
        let table: [(&[u8], Option<&[u8]>); 14] = [
            (b"", Some(b"")),
            (b"Zg", Some(b"f")),
            (b"Zg==", Some(b"f")),
            (b"Zm8", Some(b"fo")),
            (b"Zm8=", Some(b"fo")),
            (b"Zm9v", Some(b"foo")),
            (b"Zm9vYg", Some(b"foob")),
            (b"Zm9vYmE", Some(b"fooba")),
            (b"AQAAAgAgAAAAAAAAAAAAAAAAAAA", Some(b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0")),
            (b"+/+/", Some(b"\xfb\xff\xbf")),
            (b"Z", None),
            (b"Zm9vY", None),
            (b"Zm 9", None),
            (b"Zg===", None),
        ];
        for (text, bytes) in table {
            assert_eq!(base64_decode(text).as_deref(), bytes, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn percent_escapes() {
        let table: [(&[u8], Option<&[u8]>); 7] = [
            (b"user.plain", Some(b"user.plain")),
            (b"user.a%3Db", Some(b"user.a=b")),
            (b"%25%0a%fF", Some(b"%\n\xff")),
            (b"user.%", None),
            (b"user.%1", None),
            (b"user.%zz", None),
            (b"", Some(b"")),
        ];
        for (text, bytes) in table {
            assert_eq!(percent_decode(text).as_deref(), bytes, "{}", text.escape_ascii());
        }
    }
}
