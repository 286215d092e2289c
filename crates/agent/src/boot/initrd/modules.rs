//! Kernel modules, in the order in which the list has them: whoever made it has sorted what needs what.

use std::fs::File;
use std::path::Path;

use rustix::io::Errno;
use rustix::system::finit_module;

/// The kernel decompresses the file itself (finit_module(2)).
const MODULE_INIT_COMPRESSED_FILE: i32 = 4;

/// Bytes of the list.
const ORDER: u64 = 1 << 20;

/// Loads all modules of a list; what did not work, in words. A module that cannot be loaded may be one that this machine does not need: whether
/// the root file system can be reached is what counts in the end.
pub(super) fn load_all(order: &Path) -> Vec<String> {
    let list = match crate::file::read_at_most(order, ORDER) {
        Ok(list) => String::from_utf8_lossy(&list).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => return vec![format!("{}: {error}", order.display())],
    };
    let directory = order.parent().unwrap_or(Path::new("/"));
    let names = list.lines().map(str::trim).filter(|name| !name.is_empty());
    names.filter_map(|name| load(&directory.join(name)).err().map(|error| format!("module {name}: {error}"))).collect()
}

fn load(path: &Path) -> std::io::Result<()> {
    let file = File::open(path)?;
    match finit_module(&file, c"", flags(path)) {
        // EEXIST: it is there, or built in.
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn flags(path: &Path) -> i32 {
    let compressed = ["xz", "zst", "gz"].iter().any(|end| path.extension() == Some(end.as_ref()));
    if compressed { MODULE_INIT_COMPRESSED_FILE } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_is_seen_from_the_name() {
        for (name, expected) in [("a.ko", 0), ("a.ko.xz", 4), ("a.ko.zst", 4), ("b/a.ko.gz", 4), ("xz", 0)] {
            assert_eq!(flags(Path::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn each_module_that_is_missing_is_told_and_no_list_is_no_module() {
        let directory = tempfile::tempdir().unwrap();
        let order = directory.path().join("order");
        assert_eq!(load_all(&order), Vec::<String>::new());
        std::fs::write(&order, "one.ko\n\n two.ko.xz\n").unwrap();
        let problems = load_all(&order);
        assert_eq!(problems.len(), 2);
        assert!(problems[1].starts_with("module two.ko.xz: No such file"), "{problems:?}");
    }
}
