//! Ranges: what a server says of the part that it sends (RFC 9110, section 14.4).

/// Where a part begins and ends (the last byte), and of how many bytes it is a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) total: Option<u64>,
}

impl Part {
    /// Parses `bytes FIRST-LAST/TOTAL`, where the total may be `*`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (unit, rest) = text.trim().split_once(' ')?;
        let (range, total) = rest.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let total = if total == "*" { None } else { Some(number(total)?) };
        let part = Self { first: number(first)?, last: number(last)?, total };
        (unit.eq_ignore_ascii_case("bytes") && part.first <= part.last).then_some(part)
    }

    /// Whether it is the part of so many bytes that begins there and goes to their end.
    pub(crate) fn continues(&self, offset: u64, size: u64) -> bool {
        self.first == offset && self.last.checked_add(1) == Some(size) && self.total.is_none_or(|total| total == size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_strictly() {
        let part = |first, last, total| Some(Part { first, last, total });
        for (text, expected) in [
            ("bytes 5-9/10", part(5, 9, Some(10))),
            ("Bytes 5-9/*", part(5, 9, None)),
            ("bytes 9-5/10", None),
            ("bytes */10", None),
            ("bytes 5-/10", None),
            ("bytes +5-9/10", None),
            ("bytes 5-9", None),
            ("items 5-9/10", None),
            ("5-9/10", None),
            ("bytes 5-99999999999999999999/10", None),
            ("", None),
        ] {
            assert_eq!(Part::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn only_the_right_part_continues() {
        let continues = |text: &str| Part::parse(text).expect("a part").continues(5, 10);
        assert!(continues("bytes 5-9/10") && continues("bytes 5-9/*"));
        for other in ["bytes 4-9/10", "bytes 5-10/*", "bytes 5-9/11", "bytes 5-7/10"] {
            assert!(!continues(other), "{other}");
        }
    }
}
