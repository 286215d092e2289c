//! How names, sizes and times are written for people.

use std::fmt::{self, Display, Write};

use banger_oci::timestamp::Timestamp;

/// Bytes of foreign origin on one line: what cannot be shown, and the backslash, is written as an escape.
///
/// The same on a terminal and in a pipe, so that a name can neither move the cursor nor pass for a second line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name<'a>(pub(crate) &'a [u8]);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            printable(f, chunk.valid(), &['\'', '"'])?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// A message that may quote foreign text, which has perhaps been escaped already: made to fit on one line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a>(pub(crate) &'a str);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        printable(f, self.0, &['\'', '"', '\\'])
    }
}

/// Writes text with escapes for what cannot be shown. `escape_debug` knows what that is, but escapes `kept` too.
fn printable(f: &mut fmt::Formatter<'_>, text: &str, kept: &[char]) -> fmt::Result {
    for piece in text.split_inclusive(kept) {
        let shown = piece.trim_end_matches(kept);
        write!(f, "{}", shown.escape_debug())?;
        f.write_str(piece.get(shown.len()..).unwrap_or_default())?;
    }
    Ok(())
}

/// A number of bytes with a binary unit: `17 B`, `1.5 MiB`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes(pub(crate) u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = *self;
        let (shift, unit) = match bytes {
            0x100_0000_0000.. => (40, "TiB"),
            0x4000_0000.. => (30, "GiB"),
            0x10_0000.. => (20, "MiB"),
            0x400.. => (10, "KiB"),
            _ => return write!(f, "{bytes} B"),
        };
        // Rounded down, so that 1023.99 KiB is not 1024.0 KiB.
        let tenths = (u128::from(bytes) * 10) >> shift;
        write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

/// A count with its thousands set apart: `73,469`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count(pub(crate) u64);

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_char(',')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

/// Seconds since 1970 as date and time of day in UTC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Utc(pub(crate) i64);

impl Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: i64 = 86_400;
        let (days, second) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }
}

/// A point in time as RFC 3339 has it, for people: date, hour and minute in UTC. What is none is shown as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment<'a>(pub(crate) &'a str);

impl Display for Moment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECONDS: usize = ":00".len();
        match Timestamp::parse_rfc3339(self.0) {
            Some(time) => {
                let text = Utc(time.seconds).to_string();
                f.write_str(text.get(..text.len().saturating_sub(SECONDS)).unwrap_or(&text))
            }
            None => Line(self.0).fmt(f),
        }
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    // The arithmetic is Howard Hinnant's. Counted from 1 March of the year 0, leap days fall on the end of a year and the months follow a fixed pattern.
    const DAYS_TO_1970: i64 = 719_468;
    const DAYS_IN_400_YEARS: i64 = 146_097;
    let days = days + DAYS_TO_1970;
    let day_of_era = days.rem_euclid(DAYS_IN_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = days.div_euclid(DAYS_IN_400_YEARS) * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// `1 layer`, `2,000 layers`: a number and the noun that it wants.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", Count(count), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_on_their_line() {
        for (name, shown) in [
            (&b"plain name"[..], "plain name"),
            (b"it's \"quoted\"", "it's \"quoted\""),
            (b"line\nbreak\ttab", "line\\nbreak\\ttab"),
            (b"esc\x1b[31m", "esc\\u{1b}[31m"),
            (b"back\\slash", "back\\\\slash"),
            ("grün".as_bytes(), "grün"),
            ("\u{202e}gnp.exe".as_bytes(), "\\u{202e}gnp.exe"),
            (b"latin-\xfc1", "latin-\\xfc1"),
        ] {
            assert_eq!(Name(name).to_string(), shown);
        }
    }

    #[test]
    fn messages_stay_on_their_line_and_keep_their_escapes() {
        assert_eq!(Line("no \"a\\x1b\" in\r\n\u{1b}[2J").to_string(), "no \"a\\x1b\" in\\r\\n\\u{1b}[2J");
    }

    #[test]
    fn sizes_have_binary_units() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            ((1 << 20) - 1, "1023.9 KiB"),
            (3 << 19, "1.5 MiB"),
            (1 << 30, "1.0 GiB"),
            (5 << 39, "2.5 TiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), shown);
        }
    }

    #[test]
    fn counts_are_grouped() {
        for (count, shown) in [(0, "0"), (999, "999"), (1000, "1,000"), (73_469, "73,469"), (1_234_567, "1,234,567")] {
            assert_eq!(Count(count).to_string(), shown);
        }
    }

    #[test]
    fn times_are_utc() {
        // From `date -u -d @SECONDS`.
        for (seconds, shown) in [
            (0, "1970-01-01 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_795_228_847, "2026-11-21 02:40:47"),
            (-2_147_483_648, "1901-12-13 20:45:52"),
            (15_032_385_535, "2446-05-10 22:38:55"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(Utc(seconds).to_string(), shown);
        }
    }

    #[test]
    fn moments_have_no_seconds() {
        for (text, shown) in [
            ("2026-11-21T10:00:59Z", "2026-11-21 10:00"),
            ("2026-11-21T10:00:00.123456789+02:00", "2026-11-21 08:00"),
            ("yesterday\n", "yesterday\\n"),
            ("", ""),
        ] {
            assert_eq!(Moment(text).to_string(), shown);
        }
    }

    #[test]
    fn nouns_follow_their_number() {
        assert_eq!(counted(1, "entry", "entries"), "1 entry");
        assert_eq!(counted(0, "entry", "entries"), "0 entries");
        assert_eq!(counted(2000, "entry", "entries"), "2,000 entries");
    }
}
