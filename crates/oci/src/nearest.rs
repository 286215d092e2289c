//! What was perhaps meant by a word that is not known.

/// More edits than this make another word.
const EDITS: usize = 2;

/// Bytes of a word that is looked at: longer ones are near to nothing, and the distance costs their length.
const LONGEST: usize = 32;

/// The word of these that is nearly the same; the first of several that are equally near. Letters count as equal to
/// their capitals.
///
/// ```
/// use banger_oci::nearest::nearest;
///
/// assert_eq!(nearest("mirors", ["ca", "mirrors"]), Some("mirrors"));
/// assert_eq!(nearest("proxy", ["ca", "mirrors"]), None);
/// ```
pub fn nearest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_ascii_lowercase();
    words
        .into_iter()
        .map(|known| (edits(word.as_bytes(), known.as_bytes()), known))
        // Most words of two letters are one edit apart, so those must be the same; one of three may differ in one.
        .filter(|(edits, known)| *edits <= EDITS && *edits < known.len().saturating_sub(1))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, known)| known)
}

/// How many characters must be put in, taken out or changed to make one word of another (Levenshtein's distance).
fn edits(from: &[u8], to: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (number, a) in from.iter().enumerate() {
        // The distance of `from[..number]` to `to[..column]`, while the row is being replaced.
        let mut diagonal = number;
        let mut left = number.saturating_add(1);
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for (above, b) in row.iter().skip(1).zip(to) {
            let changed = diagonal.saturating_add(usize::from(a != b));
            left = changed.min(above.saturating_add(1)).min(left.saturating_add(1));
            next.push(left);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_between_words() {
        let cases = [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("oci", "oci", 0), ("kitten", "sitting", 3)];
        for (from, to, expected) in cases {
            assert_eq!(edits(from.as_bytes(), to.as_bytes()), expected, "{from} {to}");
        }
    }

    #[test]
    fn words_that_are_nearly_the_same() {
        let known = ["mirrors", "ca", "insecure", "jobs", "timeout"];
        for (word, expected) in [
            ("mirror", Some("mirrors")),
            ("Jobs", Some("jobs")),
            ("time-out", Some("timeout")),
            ("unsecure", Some("insecure")),
            ("cas", None),
            ("CA", Some("ca")),
            ("", None),
            ("retries", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
