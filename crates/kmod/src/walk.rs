//! What is in a directory of modules, and what of it is a module.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::limits::{DEPTH, MEMBERS};
use crate::modinfo::normal;

/// Links to the sources that the modules were made from: they lead out of the directory.
const TO_SOURCES: [&str; 2] = ["build", "source"];

/// Where modules are, the most important first (depmod.d(5), `search`): of several modules of one name the first is taken.
const SEARCH: [&str; 4] = ["updates", "extra", "weak-updates", "kernel"];

/// How files of modules end, compressed or not.
const SUFFIXES: [&str; 4] = [".ko", ".ko.gz", ".ko.xz", ".ko.zst"];

/// A file or a link.
#[derive(Clone, Debug)]
pub struct Member {
    /// Below the directory.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
}

/// What a member is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A file.
    File,
    /// A symbolic link.
    Link {
        /// Where it leads, as it says so.
        target: Vec<u8>,
    },
}

impl Member {
    pub(crate) fn path_bytes(&self) -> &[u8] {
        self.path.as_os_str().as_bytes()
    }

    /// Whether it is called as modules are.
    pub(crate) fn is_called_module(&self) -> bool {
        let path = self.path_bytes();
        SUFFIXES.iter().any(|suffix| path.ends_with(suffix.as_bytes()))
    }
}

/// The name of the module in a file of this path.
pub(crate) fn module_name(path: &[u8]) -> String {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let name = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix.as_bytes())).unwrap_or(name);
    normal(&String::from_utf8_lossy(name))
}

/// How important a module is by its place, among those of its name: less is more.
pub(crate) fn rank(path: &Path) -> usize {
    SEARCH.iter().position(|directory| path.starts_with(directory)).unwrap_or(SEARCH.len())
}

/// All files and links, in the order of their names.
pub(crate) fn members(directory: &Path) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    visit(directory, Path::new(""), 0, &mut members)?;
    members.sort_unstable_by(|a, b| a.path_bytes().cmp(b.path_bytes()));
    Ok(members)
}

/// The module of each name, below the directory. Here a link to a module is one too, and so is a link to a directory of [`SEARCH`]:
/// all that counts is what can be read. `None` where there is no such directory.
pub(crate) fn by_name(directory: &Path) -> Result<Option<BTreeMap<String, PathBuf>>> {
    let mut members = Vec::new();
    let mut is_there = false;
    for name in SEARCH {
        let below = directory.join(name);
        match std::fs::metadata(&below) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io("look at", &below)(error)),
            Ok(_) => visit(directory, Path::new(name), 1, &mut members)?,
        }
        is_there = true;
    }
    let mut modules: Vec<Member> = members.into_iter().filter(Member::is_called_module).collect();
    modules.sort_by_cached_key(|module| (rank(&module.path), module.path_bytes().to_vec()));
    let mut by_name = BTreeMap::new();
    for module in modules {
        by_name.entry(module_name(module.path_bytes())).or_insert(module.path);
    }
    Ok(is_there.then_some(by_name))
}

fn visit(top: &Path, below: &Path, depth: usize, members: &mut Vec<Member>) -> Result<()> {
    let directory = top.join(below);
    if depth > DEPTH {
        return Err(Error::limit(top, DEPTH as u64, "directories inside of one another"));
    }
    let entries = std::fs::read_dir(&directory).map_err(Error::io("list", &directory))?;
    for entry in entries {
        let entry = entry.map_err(Error::io("list", &directory))?;
        let path = below.join(entry.file_name());
        let kind = entry.file_type().map_err(Error::io("look at", &top.join(&path)))?;
        if kind.is_dir() {
            visit(top, &path, depth.saturating_add(1), members)?;
            continue;
        }
        let kind = if kind.is_symlink() {
            if TO_SOURCES.iter().any(|name| path == Path::new(name)) {
                continue;
            }
            let target = std::fs::read_link(entry.path()).map_err(Error::io("read the link", &entry.path()))?;
            Kind::Link { target: target.into_os_string().as_bytes().to_vec() }
        } else if kind.is_file() {
            Kind::File
        } else {
            return Err(Error::module(&entry.path(), "it is neither a file nor a link"));
        };
        if members.len() >= MEMBERS {
            return Err(Error::limit(top, MEMBERS as u64, "files"));
        }
        members.push(Member { path, kind });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn touch(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }

    #[test]
    fn links_are_members_unless_they_lead_to_the_sources() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path();
        touch(&top.join("kernel/a.ko"));
        symlink("/usr/src/linux", top.join("build")).unwrap();
        symlink("../kernel/a.ko", top.join("kernel/build")).unwrap();
        let members = members(top).unwrap();
        let paths: Vec<&[u8]> = members.iter().map(Member::path_bytes).collect();
        assert_eq!(paths, [&b"kernel/a.ko"[..], b"kernel/build"]);
        assert!(matches!(&members[1].kind, Kind::Link { target } if target == b"../kernel/a.ko"));
    }

    #[test]
    fn of_several_modules_of_a_name_the_most_important_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let (top, real) = (directory.path().join("top"), directory.path().join("real"));
        std::fs::create_dir(&top).unwrap();
        assert!(by_name(&top).unwrap().is_none());
        for path in ["b/x-y.ko.xz", "a/z.ko", "a/x_y.txt"] {
            touch(&real.join(path));
        }
        symlink(&real, top.join("kernel")).unwrap();
        touch(&top.join("misc/w.ko"));
        touch(&top.join("updates/deep/z.ko.gz"));
        std::fs::create_dir(top.join("weak-updates")).unwrap();
        symlink(real.join("b/x-y.ko.xz"), top.join("weak-updates/x_y.ko.xz")).unwrap();
        let expected = [("x_y", "weak-updates/x_y.ko.xz"), ("z", "updates/deep/z.ko.gz")];
        let expected = expected.map(|(name, path)| (name.to_owned(), PathBuf::from(path)));
        assert_eq!(by_name(&top).unwrap().unwrap(), BTreeMap::from(expected));
    }

    #[test]
    fn directories_end_somewhere() {
        let directory = tempfile::tempdir().unwrap();
        let deep = |levels: usize| directory.path().join("kernel").join("d/".repeat(levels));
        std::fs::create_dir_all(deep(DEPTH - 1)).unwrap();
        assert!(members(directory.path()).is_ok() && by_name(directory.path()).is_ok());
        std::fs::create_dir_all(deep(DEPTH)).unwrap();
        for error in [members(directory.path()).unwrap_err(), by_name(directory.path()).unwrap_err()] {
            assert!(error.to_string().ends_with("has more than 32 directories inside of one another"), "{error}");
        }
    }

    #[test]
    fn what_is_neither_a_file_nor_a_link_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kernel/a.ko");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path).unwrap();
        for error in [members(directory.path()).unwrap_err(), by_name(directory.path()).unwrap_err()] {
            assert!(error.to_string().ends_with("a.ko is no kernel module: it is neither a file nor a link"));
        }
    }
}
