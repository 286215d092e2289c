//! Files of an image or a kernel, kept from being removed.

use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};

use crate::area::Area;
use crate::error::{Error, Result, What};
use crate::files::look;
use crate::lock::{self, Attempt, Held, Mode, pause};
use crate::store::Store;

/// How often a directory is looked for that a row says is there. It may be removed and made anew between two looks.
const LOOKS: u32 = 3;

/// The files of an image or a kernel. They stay where they are, and as they are, as long as this lives.
#[derive(Debug)]
#[must_use = "the files may be removed when this is dropped"]
pub struct Shared {
    held: Held,
    key: String,
}

impl Shared {
    /// The directory that they are in.
    pub fn path(&self) -> &Path {
        self.held.path()
    }

    /// That directory, open: whoever has a copy of it keeps the files from being removed, too.
    pub fn directory(&self) -> &File {
        self.held.file()
    }

    /// The image's id, or the kernel's name.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl Store {
    /// Locks the directory of something that has a row. None if it has none.
    pub(crate) fn share(&self, area: &Area, key: &str) -> Result<Option<Shared>> {
        let mut missing = 0_u32;
        loop {
            if !self.database().is_recorded(area.what(), key)? {
                return Ok(None);
            }
            match lock::directory(&area.place(key), Mode::Shared)? {
                // From now on nobody can remove it, but somebody may have before.
                Attempt::Held(held) => {
                    let shared = Shared { held, key: key.to_owned() };
                    return Ok(self.database().is_recorded(area.what(), key)?.then_some(shared));
                }
                // Whoever holds it alone has just published it, or removes it.
                Attempt::Busy => pause(),
                Attempt::Missing => {
                    missing = missing.saturating_add(1);
                    if missing >= LOOKS {
                        let reason = format!("{} is missing", area.place(key).display());
                        return Err(Error::Damaged { what: area.what(), name: key.to_owned(), reason });
                    }
                }
            }
        }
    }
}

/// What a file is to be that a row tells of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// A file of this length.
    Length(u64),
    /// A file.
    File,
    /// A directory.
    Directory,
}

/// What is wrong with the files that a row tells of; nothing where all is well.
pub(crate) fn fault(files: &[(PathBuf, Expected)]) -> Result<Option<String>> {
    for (path, expected) in files {
        let found = look(path)?;
        let right = match expected {
            Expected::Length(length) => found.as_ref().is_some_and(|found| found.is_file() && found.len() == *length),
            Expected::File => found.as_ref().is_some_and(Metadata::is_file),
            Expected::Directory => found.as_ref().is_some_and(Metadata::is_dir),
        };
        if !right {
            let path = path.display();
            return Ok(Some(match (found, expected) {
                (None, _) => format!("{path} is missing"),
                (Some(found), Expected::Length(length)) if found.is_file() => {
                    format!("{path} has {} bytes, not {length}", found.len())
                }
                (_, Expected::Directory) => format!("{path} is not a directory"),
                _ => format!("{path} is not a regular file"),
            }));
        }
    }
    Ok(None)
}

/// The path of a file that was staged, relative to its directory.
///
/// # Errors
/// It leads elsewhere.
pub(crate) fn inside(what: What, staging: &Path, path: &Path) -> Result<PathBuf> {
    let relative = path.strip_prefix(staging).unwrap_or(path);
    let plain = relative.components().all(|component| matches!(component, std::path::Component::Normal(_)));
    if !plain || relative.as_os_str().is_empty() {
        let reason = format!("{} is not in its directory", path.display());
        return Err(Error::Incomplete { what, reason });
    }
    Ok(relative.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_wrong_is_said() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        fs::write(at("file"), "12345").unwrap();
        fs::create_dir(at("directory")).unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        for (name, expected, wrong) in [
            ("file", Expected::Length(5), None),
            ("file", Expected::File, None),
            ("directory", Expected::Directory, None),
            ("file", Expected::Length(4), Some("has 5 bytes, not 4")),
            ("none", Expected::Length(5), Some("is missing")),
            ("none", Expected::Directory, Some("is missing")),
            ("link", Expected::Length(5), Some("is not a regular file")),
            ("link", Expected::File, Some("is not a regular file")),
            ("directory", Expected::File, Some("is not a regular file")),
            ("file", Expected::Directory, Some("is not a directory")),
        ] {
            let found = fault(&[(at("file"), Expected::File), (at(name), expected)]).unwrap();
            let told = found.as_deref().map(|found| found.strip_prefix(&format!("{} ", at(name).display())).unwrap());
            assert_eq!(told, wrong, "{name} {expected:?}");
        }
    }

    #[test]
    fn paths_that_lead_out_of_the_directory_are_refused() {
        let staging = Path::new("/root/images/x.staging");
        for (path, expected) in [
            ("vmlinux", Some("vmlinux")),
            ("modules/6.1", Some("modules/6.1")),
            ("/root/images/x.staging/vmlinux", Some("vmlinux")),
            ("/root/images/x/vmlinux", None),
            ("../vmlinux", None),
            ("/boot/vmlinuz", None),
            ("", None),
        ] {
            let found = inside(What::Image, staging, Path::new(path));
            assert_eq!(found.ok().as_deref(), expected.map(Path::new), "{path}");
        }
    }
}
