//! The grammar of names and ids.
//!
//! A name is a file's name and a word on a command line: `[a-z0-9][a-z0-9._-]{0,126}`. What could be taken for an id, or for
//! a directory that is being made or removed, is not a name.

use std::fmt;

use crate::limits::{ID_CHARACTERS, ID_PREFIX_CHARACTERS, NAME_CHARACTERS, NEAREST_LIKENESS, NEAREST_NAMES};

/// Ends the name of a directory that is being filled.
pub(crate) const STAGING: &str = ".staging";
/// Ends the name of a directory that is being removed.
pub(crate) const REMOVED: &str = ".removed";

/// Why something is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// There is nothing.
    Empty,
    /// It has more than [`NAME_CHARACTERS`].
    Long,
    /// The first character is neither a letter nor a digit.
    First(char),
    /// A character is not allowed.
    Character(char),
    /// It looks like an id.
    Id,
    /// Its end is used for directories that are being made or removed.
    Ending(&'static str),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "it is empty"),
            Self::Long => write!(f, "it has more than {NAME_CHARACTERS} characters"),
            Self::First(character) => {
                write!(f, "it begins with {character:?}, not with a lower-case letter or a digit")
            }
            Self::Character(character) => {
                write!(f, "it has {character:?}, where only lower-case letters, digits, '.', '_' and '-' may stand")
            }
            Self::Id => write!(f, "{ID_CHARACTERS} hexadecimal digits are an id"),
            Self::Ending(ending) => write!(f, "it ends in {ending:?}"),
        }
    }
}

impl std::error::Error for NameError {}

/// Whether an image or a kernel may have this name.
///
/// # Errors
/// It may not.
pub fn check(name: &str) -> Result<(), NameError> {
    let plain = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    let first = name.chars().next().ok_or(NameError::Empty)?;
    if !plain(first) {
        return Err(NameError::First(first));
    }
    if let Some(other) = name.chars().find(|character| !plain(*character) && !matches!(character, '.' | '_' | '-')) {
        return Err(NameError::Character(other));
    }
    if name.len() > NAME_CHARACTERS {
        return Err(NameError::Long);
    }
    if is_id(name) {
        return Err(NameError::Id);
    }
    match [STAGING, REMOVED].into_iter().find(|ending| name.ends_with(ending)) {
        Some(ending) => Err(NameError::Ending(ending)),
        None => Ok(()),
    }
}

/// Whether this is an id: 64 hexadecimal digits, in lower case.
pub fn is_id(text: &str) -> bool {
    text.len() == ID_CHARACTERS && is_hexadecimal(text)
}

/// Whether this may stand for the id that begins like it.
pub(crate) fn is_id_prefix(text: &str) -> bool {
    (ID_PREFIX_CHARACTERS..=ID_CHARACTERS).contains(&text.len()) && is_hexadecimal(text)
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The names that are most like another, the nearest first.
pub fn nearest(wanted: &str, names: impl IntoIterator<Item = String>) -> Vec<String> {
    // What somebody typed may be of any length; the time that this takes grows with it.
    let wanted: String = wanted.chars().take(NAME_CHARACTERS).collect();
    let mut near: Vec<(f64, String)> = names
        .into_iter()
        .map(|name| {
            // Who says `debian` may mean `debian-bookworm`.
            let begins = !wanted.is_empty() && name.starts_with(&wanted);
            (if begins { 1.0 } else { strsim::normalized_damerau_levenshtein(&wanted, &name) }, name)
        })
        .filter(|(likeness, _)| *likeness >= NEAREST_LIKENESS)
        .collect();
    near.sort_by(|(one, a), (other, b)| other.total_cmp(one).then_with(|| a.cmp(b)));
    near.into_iter().take(NEAREST_NAMES).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_name() {
        let longest = "a".repeat(NAME_CHARACTERS);
        for name in
            ["a", "0", "debian-bookworm", "a.b_c-d", "linux-6.1.0-32-amd64", "a..b", "staging", "x.removed.1", &longest]
        {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        let id = "0123456789abcdef".repeat(4);
        let long = "a".repeat(NAME_CHARACTERS + 1);
        for (name, reason) in [
            ("", NameError::Empty),
            (&long, NameError::Long),
            (".", NameError::First('.')),
            ("..", NameError::First('.')),
            ("-a", NameError::First('-')),
            ("_a", NameError::First('_')),
            ("/etc", NameError::First('/')),
            ("Debian", NameError::First('D')),
            ("ä", NameError::First('ä')),
            ("a/b", NameError::Character('/')),
            ("a\0", NameError::Character('\0')),
            ("a\n", NameError::Character('\n')),
            ("aB", NameError::Character('B')),
            ("a:b", NameError::Character(':')),
            ("a b", NameError::Character(' ')),
            ("a²", NameError::Character('²')),
            (&id, NameError::Id),
            ("a.staging", NameError::Ending(STAGING)),
            ("a.removed", NameError::Ending(REMOVED)),
        ] {
            assert_eq!(check(name), Err(reason), "{name:?}");
        }
    }

    #[test]
    fn what_is_an_id_or_its_beginning() {
        let id = "0123456789abcdef".repeat(4);
        for (text, id, prefix) in [
            (id.as_str(), true, true),
            (&id[1..], false, true),
            ("abcd", false, true),
            ("abc", false, false),
            ("abcg", false, false),
            ("ABCD", false, false),
            (&id.to_uppercase(), false, false),
            (&format!("{id}0"), false, false),
            ("", false, false),
        ] {
            assert_eq!((is_id(text), is_id_prefix(text)), (id, prefix), "{text}");
        }
    }

    #[test]
    fn the_nearest_names_are_proposed() {
        let names = ["alpine", "debian-bookworm", "debian-trixie", "fedora"];
        for (wanted, proposed) in [
            ("debian-bokworm", &["debian-bookworm"][..]),
            ("debian", &["debian-bookworm", "debian-trixie"]),
            ("apline", &["alpine"]),
            ("windows", &[]),
            ("", &[]),
        ] {
            assert_eq!(nearest(wanted, names.map(str::to_owned)), proposed, "{wanted}");
        }
        assert_eq!(nearest(&"x".repeat(1 << 20), names.map(str::to_owned)), Vec::<String>::new());
    }
}
