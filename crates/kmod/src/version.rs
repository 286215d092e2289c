//! Versions of kernels, as `uname -r` says them, and the directories that are named after them.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

/// Whether this can be a kernel's version: it becomes the name of a directory.
pub fn is_version(version: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-~".contains(&byte);
    version.starts_with(|c: char| c.is_ascii_digit()) && version.len() < 128 && version.bytes().all(known)
}

/// Orders versions as people do: 6.10 is newer than 6.9.
pub fn compare(a: &str, b: &str) -> Ordering {
    parts(a).cmp(parts(b))
}

/// The one directory of modules below a directory that holds those of several kernels, or `lib/modules` below a root.
pub(crate) fn directory_below(directory: &Path) -> Option<PathBuf> {
    let found = [directory.to_owned(), directory.join("lib/modules"), directory.join("usr/lib/modules")];
    found.iter().find_map(|directory| newest_below(directory))
}

/// The directory of the newest kernel that has modules and can be read.
pub(crate) fn newest_below(directory: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(directory).ok()?.flatten();
    let names = entries.map(|entry| entry.file_name()).filter_map(|name| name.into_string().ok());
    let has_modules = |name: &String| std::fs::read_dir(directory.join(name).join("kernel")).is_ok();
    let newest = names.filter(|name| is_version(name)).filter(has_modules).max_by(|a, b| compare(a, b))?;
    Some(directory.join(newest))
}

/// Numbers and what is between them.
fn parts(version: &str) -> impl Iterator<Item = (u64, &str)> {
    let is_digit = |c: char| c.is_ascii_digit();
    let mut rest = version;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let digits = rest.find(|c| !is_digit(c)).unwrap_or(rest.len());
        let (number, behind) = rest.split_at(digits);
        let text = behind.find(is_digit).unwrap_or(behind.len());
        let (text, behind) = behind.split_at(text);
        rest = behind;
        Some((number.parse().unwrap_or(u64::MAX), text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        for ordered in [
            &["5.10.0-9", "6.1.0-9-amd64", "6.1.0-28-amd64", "6.1.0-28-cloud-amd64", "6.9.1", "6.10.0", "10.0"][..],
            &["6.1", "6.1.0-rc1", "6.1.0-rc2", "6.1.1", "6.9.9", "6.10.0"],
            &["9", "10"],
        ] {
            for pair in ordered.windows(2) {
                assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
                assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
                assert_eq!(compare(pair[0], pair[0]), Ordering::Equal, "{pair:?}");
            }
        }
    }

    #[test]
    fn versions_are_names_of_directories() {
        for version in ["6.1.0-28-cloud-amd64", "6.12.9-200.fc41.x86_64", "5.10.0", "6.8.0-rc1+", "6.6.30~x_1"] {
            assert!(is_version(version), "{version}");
        }
        for version in ["", "..", "6/1", ".6", "six", "6.1 SMP", "6\n"] {
            assert!(!is_version(version), "{version}");
        }
    }
}
