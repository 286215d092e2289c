//! Points in time as RFC 3339 writes them, which is how a config says when its image was made.

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z, negative before it.
    pub seconds: i64,
    /// Nanoseconds beyond the second, 0 to 999,999,999.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// Parses a `date-time` of RFC 3339, section 5.6: `2015-10-31T22:22:56.015925234Z`. Digits of the fraction
    /// beyond the ninth are dropped; a leap second is the last second of its minute once more.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let mut fields = Fields { rest: text.as_bytes() };
        let year = fields.number(4)?;
        fields.literal(b"-")?;
        let month = fields.number(2).filter(|month| (1..=12).contains(month))?;
        fields.literal(b"-")?;
        let day = fields.number(2).filter(|day| (1..=days_in_month(year, month)).contains(day))?;
        fields.literal(b"Tt ")?;
        let hour = fields.number(2).filter(|hour| *hour < 24)?;
        fields.literal(b":")?;
        let minute = fields.number(2).filter(|minute| *minute < 60)?;
        fields.literal(b":")?;
        let second = fields.number(2).filter(|second| *second <= 60)?.min(59);
        let nanoseconds = fields.fraction()?;
        let offset = fields.offset_minutes()?;
        if !fields.rest.is_empty() {
            return None;
        }
        let minutes = days_since_epoch(year, month, day)
            .checked_mul(24)?
            .checked_add(hour)?
            .checked_mul(60)?
            .checked_add(minute)?
            .checked_sub(offset)?;
        let seconds = minutes.checked_mul(60)?.checked_add(second)?;
        Some(Timestamp { seconds, nanoseconds })
    }
}

/// Takes fields off the front of the text.
struct Fields<'a> {
    rest: &'a [u8],
}

impl Fields<'_> {
    /// A number of exactly so many digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.rest.split_at_checked(digits)?;
        self.rest = rest;
        if !number.iter().all(u8::is_ascii_digit) {
            return None;
        }
        std::str::from_utf8(number).ok()?.parse().ok()
    }

    /// One of these characters, and which.
    fn literal(&mut self, any_of: &[u8]) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        any_of.contains(first).then_some(*first)
    }

    /// `.` and digits, or nothing: nanoseconds.
    fn fraction(&mut self) -> Option<u32> {
        let Some(digits) = self.rest.strip_prefix(b".") else { return Some(0) };
        let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = digits.split_at_checked(count).filter(|_| count > 0)?;
        self.rest = rest;
        let mut nanoseconds = 0u32;
        for place in 0..9 {
            let digit = digits.get(place).map_or(0, |b| u32::from(b.saturating_sub(b'0')));
            nanoseconds = nanoseconds.checked_mul(10)?.checked_add(digit)?;
        }
        Some(nanoseconds)
    }

    /// `Z`, or `+HH:MM` or `-HH:MM`: minutes that the local time is ahead.
    fn offset_minutes(&mut self) -> Option<i64> {
        let sign = self.literal(b"Zz+-")?;
        if matches!(sign, b'Z' | b'z') {
            return Some(0);
        }
        let hours = self.number(2).filter(|hours| *hours < 24)?;
        self.literal(b":")?;
        let minutes = self.number(2).filter(|minutes| *minutes < 60)?;
        let ahead = hours.checked_mul(60)?.checked_add(minutes)?;
        Some(if sign == b'-' { ahead.checked_neg()? } else { ahead })
    }
}

fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar, years 0 to 9999.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    /// Days from 0000-01-01 to 1970-01-01.
    const EPOCH: i64 = 719_528;
    // Whole years before this one: 365 days each, and a day for each leap year among them. Year 0 is one.
    let before = year.saturating_sub(1);
    let leap_days = match year {
        0 => 0,
        _ => before
            .div_euclid(4)
            .saturating_sub(before.div_euclid(100))
            .saturating_add(before.div_euclid(400))
            .saturating_add(1),
    };
    let months: i64 = (1..month).map(|month| days_in_month(year, month)).sum();
    year.saturating_mul(365)
        .saturating_add(leap_days)
        .saturating_add(months)
        .saturating_add(day)
        .saturating_sub(1)
        .saturating_sub(EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        // Seconds as `date -u -d TEXT +%s` prints them.
        let cases = [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("2015-10-31T22:22:56.015925234Z", 1_446_330_176, 15_925_234),
            ("2025-01-01T00:00:00Z", 1_735_689_600, 0),
            ("2024-02-29t23:59:59.5z", 1_709_251_199, 500_000_000),
            ("2024-03-01T01:00:00+01:00", 1_709_251_200, 0),
            ("2024-02-29T20:29:59-03:30", 1_709_251_199, 0),
            ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
            ("0000-01-01T00:00:00Z", -62_167_219_200, 0),
            ("0000-12-31T00:00:00Z", -62_135_683_200, 0),
            ("1901-12-13T20:45:52Z", -2_147_483_648, 0),
            ("9999-12-31T23:59:59.9999999999Z", 253_402_300_799, 999_999_999),
            ("2016-12-31T23:59:60Z", 1_483_228_799, 0),
            ("2000-03-01 00:00:00Z", 951_868_800, 0),
            ("1900-03-01T00:00:00Z", -2_203_891_200, 0),
        ];
        for (text, seconds, nanoseconds) in cases {
            assert_eq!(Timestamp::parse_rfc3339(text), Some(Timestamp { seconds, nanoseconds }), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_time() {
        for text in [
            "",
            "2025-01-01",
            "2025-01-01T00:00:00",
            "2025-13-01T00:00:00Z",
            "2025-00-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2025-01-01T24:00:00Z",
            "2025-01-01T00:60:00Z",
            "2025-01-01T00:00:61Z",
            "2025-01-01T00:00:00.Z",
            "2025-01-01T00:00:00Zx",
            "2025-01-01T00:00:00+0100",
            "+025-01-01T00:00:00Z",
            "2025-01-01T00:00:00+25:00",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text), None, "{text:?}");
        }
    }
}
