//! Which of a kernel's modules have to be loaded for some that are wanted, and in which order.
//!
//! A module is loaded when all that its `depends` names has been. What the kernel has built in (modules.builtin) is not needed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::modinfo::{Info, normal};
use crate::{file, walk};

/// A module with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loadable {
    /// What it is called, with `_` for each `-`.
    pub name: String,
    /// Its file, decompressed.
    pub content: Vec<u8>,
}

/// Modules of a kernel that are to be loaded one after the other. It grows behind.
#[derive(Debug)]
pub struct LoadOrder {
    directory: PathBuf,
    /// All modules that there are.
    files: BTreeMap<String, PathBuf>,
    /// What is built in, where that is known.
    builtin: Option<BTreeSet<String>>,
    seen: BTreeSet<String>,
    modules: Vec<Loadable>,
}

/// A module some of whose needs have not been looked at yet.
struct Open {
    module: Loadable,
    needs: std::vec::IntoIter<String>,
}

impl LoadOrder {
    /// None of the modules in `directory` (`/lib/modules/VERSION`) yet. It may have none at all, if the directory `kernel` is there.
    ///
    /// # Errors
    /// It is another directory, or cannot be read.
    pub fn new(directory: &Path) -> Result<Self> {
        let files = walk::by_name(directory)?.ok_or_else(|| Error::no_modules(directory))?;
        let builtin = file::list(&directory.join("modules.builtin"))?.map(|list| {
            let lines = list.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
            lines.map(walk::module_name).collect()
        });
        let (seen, modules) = (BTreeSet::new(), Vec::new());
        Ok(Self { directory: directory.to_owned(), files, builtin, seen, modules })
    }

    /// Adds a module behind those that it needs. One that is not there is none that can be loaded: it may be built in.
    ///
    /// # Errors
    /// It, or one that it needs, cannot be read or is no module; or one that it needs is not there.
    pub fn want(&mut self, name: &str) -> Result<()> {
        let mut open: Vec<Open> = self.open(normal(name))?.into_iter().collect();
        while let Some(last) = open.last_mut() {
            if let Some(needed) = last.needs.next() {
                open.extend(self.open(needed)?);
            } else if let Some(done) = open.pop() {
                self.modules.push(done.module);
            }
        }
        Ok(())
    }

    /// Adds a module that the kernel must have, or have built in.
    ///
    /// # Errors
    /// As [`want`](Self::want), or it is known to be neither.
    pub fn require(&mut self, name: &str) -> Result<()> {
        if self.lacks(&normal(name)) {
            return Err(Error::Missing { directory: self.directory.clone(), name: name.to_owned() });
        }
        self.want(name)
    }

    /// All of them, the first to be loaded first.
    pub fn into_modules(self) -> Vec<Loadable> {
        self.modules
    }

    /// Reads a module. `None` of one that was read before, which is loaded earlier, and of one that is not there.
    fn open(&mut self, name: String) -> Result<Option<Open>> {
        let Some(path) = self.files.get(&name) else { return Ok(None) };
        if !self.seen.insert(name.clone()) {
            return Ok(None);
        }
        let path = self.directory.join(path);
        let content = file::module(&path)?;
        let needs = Info::of(&content, &path)?.depends();
        let needs = needs.ok_or_else(|| Error::module(&path, "it does not say what it depends on"))?;
        // What is built in is hardly named (modpost leaves it out), but would be there.
        if let Some(needed) = needs.iter().find(|needed| self.lacks(needed)) {
            return Err(Error::needs(&path, format!("{needed}, which is not there")));
        }
        Ok(Some(Open { module: Loadable { name, content }, needs: needs.into_iter() }))
    }

    /// Whether it is known that the kernel does not have it.
    fn lacks(&self, name: &str) -> bool {
        !self.files.contains_key(name) && self.builtin.as_ref().is_some_and(|builtin| !builtin.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{module, write};

    /// A directory with these modules, each with what it needs.
    fn kernel(modules: &[(&str, &str)], builtin: Option<&str>) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("kernel")).unwrap();
        for (path, depends) in modules {
            write(&directory.path().join(path), depends);
        }
        if let Some(builtin) = builtin {
            std::fs::write(directory.path().join("modules.builtin"), builtin).unwrap();
        }
        directory
    }

    fn names(directory: &Path, wanted: &[&str]) -> Result<Vec<String>> {
        let mut order = LoadOrder::new(directory)?;
        for name in wanted {
            order.want(name)?;
        }
        Ok(order.into_modules().into_iter().map(|module| module.name).collect())
    }

    #[test]
    fn each_is_once_behind_what_it_needs() {
        let modules =
            [("kernel/a.ko", "b,c-d"), ("kernel/b.ko", "c_d,e"), ("kernel/c-d.ko", ""), ("kernel/z.ko", "a,c-d")];
        let kernel = kernel(&modules, Some("kernel/fs/e.ko\n"));
        for (wanted, expected) in [
            (&["c-d"][..], &["c_d"][..]),
            (&["a", "a"], &["c_d", "b", "a"]),
            (&["c_d", "z", "none"], &["c_d", "b", "a", "z"]),
        ] {
            assert_eq!(names(kernel.path(), wanted).unwrap(), expected);
        }
        let mut order = LoadOrder::new(kernel.path()).unwrap();
        order.want("c-d").unwrap();
        assert_eq!(order.into_modules()[0].content, module(b"depends=\0vermagic=6.1.0 SMP\0"));
    }

    #[test]
    fn circles_and_long_ways_end() {
        let path = |number: usize| format!("kernel/m{number}.ko");
        let modules: Vec<_> = (0..3000).map(|number| (path(number), format!("m{}", (number + 1) % 3000))).collect();
        let modules: Vec<(&str, &str)> = modules.iter().map(|(path, needs)| (&path[..], &needs[..])).collect();
        let names = names(kernel(&modules, None).path(), &["m0"]).unwrap();
        assert_eq!((names.len(), &names[0][..], &names[2999][..]), (3000, "m2999", "m0"));
    }

    #[test]
    fn what_is_known_to_be_missing_is_an_error() {
        let message = |error: Error| error.to_string();
        let unknown = kernel(&[("kernel/a.ko", "gone")], None);
        assert_eq!(names(unknown.path(), &["a"]).unwrap(), ["a"]);
        LoadOrder::new(unknown.path()).unwrap().require("gone").unwrap();
        let known = kernel(&[("kernel/a.ko", "gone")], Some("kernel/virtio-blk.ko\n"));
        let error = message(names(known.path(), &["a"]).unwrap_err());
        assert!(error.ends_with("kernel/a.ko cannot be loaded: it needs gone, which is not there"), "{error}");
        let mut order = LoadOrder::new(known.path()).unwrap();
        order.require("virtio_blk").unwrap();
        let error = message(order.require("gone").unwrap_err());
        assert!(error.ends_with("has no module gone, nor is it built into the kernel"), "{error}");
        assert!(order.into_modules().is_empty());
    }

    #[test]
    fn what_is_no_module_is_an_error() {
        let kernel = kernel(&[], None);
        let path = kernel.path().join("kernel/a.ko");
        for (bytes, reason) in [
            (b"no module".to_vec(), "it has no section .modinfo"),
            (module(b"name=a\0"), "it does not say what it depends on"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = names(kernel.path(), &["a"]).unwrap_err().to_string();
            assert!(error.ends_with(&format!("kernel/a.ko is no kernel module: {reason}")), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("gone", &path).unwrap();
        assert!(names(kernel.path(), &["a"]).unwrap_err().to_string().starts_with("cannot open"));
        let other = tempfile::tempdir().unwrap();
        assert!(names(other.path(), &[]).unwrap_err().to_string().starts_with("there are no kernel modules in"));
    }
}
