//! Kernel modules, in the order in which the list has them: whoever made it has sorted what needs what.

use std::path::Path;

use crate::modules::load_file;

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
    names
        .filter_map(|name| load_file(&directory.join(name)).err().map(|error| format!("module {name}: {error}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
