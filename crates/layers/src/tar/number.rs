//! The three ways in which archives write numbers: octal text, base-256, and PAX decimals.

use super::{Field, Problem};
use crate::entry::Time;

/// Set in the first byte of a field that is base-256: the other bits of the field are a signed big-endian number.
const BASE_256: u8 = 0x80;

/// Digits of nanoseconds.
const FRACTION_DIGITS: usize = 9;

/// A numeric field of a header: octal digits between spaces and NULs, or base-256. An empty field is 0.
pub(super) fn header(bytes: &[u8], field: Field) -> Result<i128, Problem> {
    let bad = || Problem::BadNumber { field, value: bytes.to_vec() };
    if let Some((&first, rest)) = bytes.split_first()
        && first & BASE_256 != 0
    {
        // What is left of the first byte has seven bits, the highest of which is the sign.
        let signed = i128::from((first << 1) as i8 >> 1);
        // No field is longer than 12 bytes.
        return Ok(rest.iter().fold(signed, |value, &byte| value << 8 | i128::from(byte)));
    }
    let padding = |byte: &u8| matches!(byte, b' ' | 0);
    let start = bytes.iter().position(|byte| !padding(byte)).unwrap_or(bytes.len());
    let text = bytes.get(start..).unwrap_or_default();
    let digits = text.iter().take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let (digits, rest) = text.split_at(digits);
    // Behind the terminating NUL anything may stand, behind a space only more padding.
    if !(rest.first() == Some(&0) || rest.iter().all(padding)) {
        return Err(bad());
    }
    Ok(digits.iter().fold(0, |value, &digit| value << 3 | i128::from(digit - b'0')))
}

/// As [`header`], for what is at most `max` and not negative.
pub(super) fn header_within(bytes: &[u8], field: Field, max: u64) -> Result<u64, Problem> {
    let value = header(bytes, field)?;
    u64::try_from(value).ok().filter(|&value| value <= max).ok_or(Problem::OutOfRange { field, value })
}

/// A PAX decimal without fraction, at most `max`.
pub(super) fn decimal(text: &[u8], field: Field, max: u64) -> Result<u64, Problem> {
    let (negative, digits) = sign(text);
    let value = digits_value(digits).ok_or_else(|| Problem::BadNumber { field, value: text.to_vec() })?;
    let value = if negative { -value } else { value };
    u64::try_from(value).ok().filter(|&value| value <= max).ok_or(Problem::OutOfRange { field, value })
}

/// A time of a header. What 64 bits cannot hold becomes the nearest that they can, as every file system clamps
/// it further.
pub(super) fn header_time(bytes: &[u8]) -> Result<Time, Problem> {
    Ok(Time { seconds: saturate(header(bytes, Field::Mtime)?), nanoseconds: 0 })
}

/// A PAX time: seconds with a sign and a fraction, of which nine digits count.
pub(super) fn decimal_time(text: &[u8]) -> Result<Time, Problem> {
    let bad = || Problem::BadNumber { field: Field::Mtime, value: text.to_vec() };
    let (negative, digits) = sign(text);
    let point = digits.iter().position(|&byte| byte == b'.');
    let (whole, fraction) = match point {
        Some(point) => digits.split_at(point),
        None => (digits, &[][..]),
    };
    let seconds = digits_value(whole).ok_or_else(bad)?;
    let mut nanoseconds = 0_u32;
    let mut scale = 10_u32.pow(FRACTION_DIGITS as u32);
    for &digit in fraction.iter().skip(1) {
        if !digit.is_ascii_digit() {
            return Err(bad());
        }
        scale /= 10;
        nanoseconds += u32::from(digit - b'0') * scale;
    }
    let (seconds, nanoseconds) = match (negative, nanoseconds) {
        (false, _) => (seconds, nanoseconds),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanoseconds),
    };
    Ok(Time { seconds: saturate(seconds), nanoseconds })
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix(b"+").unwrap_or(text)),
    }
}

/// The value of one or more digits and nothing else; numbers beyond any field saturate.
fn digits_value(digits: &[u8]) -> Option<i128> {
    const BEYOND: i128 = 1 << 100;
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0, |value: i128, &digit| {
        digit.is_ascii_digit().then(|| BEYOND.min(value * 10 + i128::from(digit - b'0')))
    })
}

fn saturate(seconds: i128) -> i64 {
    i64::try_from(seconds).unwrap_or(if seconds < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_headers() {
        let table: [(&[u8], Option<i128>); 23] = [
            (b"0000644\0", Some(0o644)),
            (b"0000644 ", Some(0o644)),
            (b"    644 ", Some(0o644)),
            (b" \0  644\0", Some(0o644)),
            (b"644\0abcd", Some(0o644)),
            (b"77777777777\0", Some(0o77_777_777_777)),
            (b"777777777777", Some(0o777_777_777_777)),
            (b"", Some(0)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"        ", Some(0)),
            (b"\x80\0\0\0\0\0\0\x2a", Some(42)),
            (b"\x80\0\0\0\xff\xff\xff\xff", Some(0xffff_ffff)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            (b"\xff\xff\xff\xff\xff\xff\xff\0", Some(-256)),
            (b"\xc0\0\0\0\0\0\0\0", Some(-(1 << 62))),
            (b"\xbf\xff\xff\xff\xff\xff\xff\xff", Some((1 << 62) - 1)),
            (b"\x80\0\0\0\x01\0\0\0\0\0\0\0", Some(1 << 56)),
            (b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", Some((1 << 94) - 1)),
            (b"0000648\0", None),
            (b"-000644\0", None),
            (b"12 34\0\0\0", None),
            (b"0x12\0\0\0\0", None),
            (b"abcdefgh", None),
        ];
        for (bytes, expected) in table {
            assert_eq!(header(bytes, Field::Uid).ok(), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn negative_and_huge_numbers_are_out_of_range() {
        let max = u64::from(u32::MAX);
        let within = |bytes: &[u8]| header_within(bytes, Field::Uid, max);
        assert_eq!(within(b"\x80\0\0\0\xff\xff\xff\xff"), Ok(max));
        let out = |value| Err(Problem::OutOfRange { field: Field::Uid, value });
        assert_eq!(within(b"\x80\0\0\x01\0\0\0\0"), out(1 << 32));
        assert_eq!(within(b"\xff\xff\xff\xff\xff\xff\xff\xff"), out(-1));
        assert_eq!(decimal(b"4294967295", Field::Uid, max), Ok(max));
        assert_eq!(decimal(b"4294967296", Field::Uid, max), out(1 << 32));
        assert_eq!(decimal(b"-1", Field::Uid, max), out(-1));
        assert_eq!(decimal(&[b'9'; 400], Field::Uid, max), out(1 << 100));
        for text in [&b""[..], b"-", b"1.5", b"1e3", b" 1", b"1\0", b"0x1"] {
            assert!(matches!(decimal(text, Field::Uid, max), Err(Problem::BadNumber { .. })), "{text:?}");
        }
    }

    #[test]
    fn times_of_pax_headers() {
        type Case = (&'static [u8], Option<(i64, u32)>);
        let table: [Case; 21] = [
            (b"0", Some((0, 0))),
            (b"1700000000", Some((1_700_000_000, 0))),
            (b"1700000000.", Some((1_700_000_000, 0))),
            (b"1700000000.5", Some((1_700_000_000, 500_000_000))),
            (b"1.000000001", Some((1, 1))),
            (b"1.0000000019", Some((1, 1))),
            (b"1.999999999999999", Some((1, 999_999_999))),
            (b"+7", Some((7, 0))),
            (b"-1", Some((-1, 0))),
            (b"-0.5", Some((-1, 500_000_000))),
            (b"-1.25", Some((-2, 750_000_000))),
            (b"-0.0000000001", Some((0, 0))),
            (b"-0.000000001", Some((-1, 999_999_999))),
            (b"99999999999999999999", Some((i64::MAX, 0))),
            (b"-99999999999999999999", Some((i64::MIN, 0))),
            (b"9223372036854775807", Some((i64::MAX, 0))),
            (b"", None),
            (b".5", None),
            (b"1.5x", None),
            (b"1.2.3", None),
            (b"--1", None),
        ];
        for (text, expected) in table {
            let time = decimal_time(text).ok();
            assert_eq!(time.map(|time| (time.seconds, time.nanoseconds)), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn times_of_headers_may_be_negative() {
        let seconds = |bytes: &[u8]| header_time(bytes).map(|time| time.seconds);
        assert_eq!(seconds(b"14524770400\0"), Ok(0o14_524_770_400));
        assert_eq!(seconds(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), Ok(-1));
        assert_eq!(seconds(b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), Ok(i64::MAX));
        assert_eq!(seconds(b"\xc0\0\0\0\0\0\0\0\0\0\0\0"), Ok(i64::MIN));
    }
}
