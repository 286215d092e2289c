//! A directory of modules with all that is in it, and what depmod(8) makes of it.
//!
//! That is made here where it is missing, or is about other modules than are there: a package that was only unpacked has none of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::depmod::{self, Module};
use crate::error::{Error, Result};
use crate::file;
use crate::modinfo::Info;
use crate::version::{is_version, newest_below};
use crate::walk::{self, Kind, Member};

/// Where the host keeps those of its own kernels.
const HOST: &str = "/lib/modules";

/// What depmod makes. Of these modprobe needs the ones that end in `.bin`.
const MADE: [&str; 10] = [
    "modules.alias",
    "modules.alias.bin",
    "modules.builtin.alias.bin",
    "modules.builtin.bin",
    "modules.dep",
    "modules.dep.bin",
    "modules.devname",
    "modules.softdep",
    "modules.symbols",
    "modules.symbols.bin",
];
/// Those that must be there for nothing to be made.
const NEEDED: [&str; 3] = ["modules.dep", "modules.dep.bin", "modules.alias.bin"];

/// The modules of one kernel, in a directory of the host.
#[derive(Debug)]
pub struct Modules {
    directory: PathBuf,
    version: String,
    members: Vec<Member>,
}

impl Modules {
    /// Looks at a directory of modules. Which kernel they are for the modules say themselves (`vermagic`).
    ///
    /// # Errors
    /// It is no such directory, or cannot be read.
    pub fn open(directory: &Path) -> Result<Self> {
        let members = walk::members(directory)?;
        let Some(first) = modules(&members).next() else { return Err(Error::no_modules(directory)) };
        let path = directory.join(&first.path);
        let info = Info::of(&file::module(&path)?, &path)?;
        let version = info.version().filter(|version| is_version(version)).map(str::to_owned);
        let version = version.ok_or(Error::NoVersion { module: path })?;
        Ok(Self { directory: directory.to_owned(), version, members })
    }

    /// The directory of the host's own modules: of the version asked for, else of the newest kernel that has some.
    ///
    /// # Errors
    /// There is none.
    pub fn directory_of_host(version: Option<&str>) -> Result<PathBuf> {
        let host = Path::new(HOST);
        match version {
            Some(version) if is_version(version) && host.join(version).is_dir() => Ok(host.join(version)),
            Some(version) => Err(Error::NoHostVersion { version: version.to_owned() }),
            None => newest_below(host).ok_or(Error::NoHost),
        }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What `uname -r` says with this kernel.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// All files and links, in the order of their names, with the indexes that are there.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Whether what depmod makes is there, and about the modules that are there.
    ///
    /// # Errors
    /// The list of them cannot be read.
    pub fn has_current_indexes(&self) -> Result<bool> {
        if !NEEDED.iter().all(|name| self.members.iter().any(|member| member.path == Path::new(name))) {
            return Ok(false);
        }
        let text = self.list("modules.dep")?;
        let lines = text.split(|&byte| byte == b'\n').filter_map(|line| line.split(|&byte| byte == b':').next());
        let listed: BTreeSet<&[u8]> = lines.filter(|path| !path.is_empty()).collect();
        let there: BTreeSet<&[u8]> = modules(&self.members).map(Member::path_bytes).collect();
        // Of several modules of one name depmod lists the one that is taken.
        let names = |paths: &BTreeSet<&[u8]>| paths.iter().map(|path| walk::module_name(path)).collect::<BTreeSet<_>>();
        Ok(listed.is_subset(&there) && names(&listed) == names(&there))
    }

    /// What depmod would make: names of files with their contents.
    ///
    /// # Errors
    /// A module cannot be read, is none, or needs one that needs it.
    pub fn make_indexes(&self) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let mut found = Vec::new();
        for member in modules(&self.members) {
            let path = self.directory.join(&member.path);
            found.push(Module::new(member.path_bytes(), Info::of(&file::module(&path)?, &path)?));
        }
        let (order, builtin) = (self.list("modules.order")?, self.list("modules.builtin")?);
        depmod::indexes(found, &order, &builtin, &self.list("modules.builtin.modinfo")?)
    }

    /// A list that comes with the modules; nothing where it does not.
    fn list(&self, name: &str) -> Result<Vec<u8>> {
        file::list(&self.directory.join(name)).map(Option::unwrap_or_default)
    }
}

impl Member {
    /// Whether it is one of the files that depmod makes.
    pub fn is_index(&self) -> bool {
        self.path.to_str().is_some_and(|name| MADE.contains(&name))
    }
}

/// The modules among the members. Links are none: who takes the directory elsewhere may not take what they lead to.
fn modules(members: &[Member]) -> impl Iterator<Item = &Member> {
    members.iter().filter(|member| matches!(member.kind, Kind::File) && member.is_called_module())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::write;

    #[test]
    fn indexes_are_current_while_they_are_about_the_modules_that_are_there() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path();
        write(&top.join("kernel/a.ko"), "b");
        write(&top.join("kernel/b.ko"), "");
        std::os::unix::fs::symlink("a.ko", top.join("kernel/linked.ko")).unwrap();
        let modules = Modules::open(top).unwrap();
        assert_eq!(modules.version(), "6.1.0");
        assert!(!modules.has_current_indexes().unwrap());
        for (name, bytes) in modules.make_indexes().unwrap() {
            std::fs::write(top.join(name), bytes).unwrap();
        }
        assert_eq!(std::fs::read(top.join("modules.dep")).unwrap(), b"kernel/a.ko: kernel/b.ko\nkernel/b.ko:\n");
        let modules = Modules::open(top).unwrap();
        assert!(modules.has_current_indexes().unwrap());
        let others = modules.members().iter().filter(|member| !member.is_index());
        assert_eq!(
            others.map(Member::path_bytes).collect::<Vec<_>>(),
            [&b"kernel/a.ko"[..], b"kernel/b.ko", b"kernel/linked.ko"]
        );
        write(&top.join("updates/a.ko"), "");
        assert!(Modules::open(top).unwrap().has_current_indexes().unwrap(), "a module of a name that is listed");
        write(&top.join("kernel/c.ko"), "");
        assert!(!Modules::open(top).unwrap().has_current_indexes().unwrap());
        std::fs::remove_file(top.join("kernel/c.ko")).unwrap();
        std::fs::remove_file(top.join("kernel/a.ko")).unwrap();
        assert!(!Modules::open(top).unwrap().has_current_indexes().unwrap());
    }

    #[test]
    fn a_directory_of_something_else_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("lib/modules/6.1.0");
        let error = || Modules::open(directory.path()).unwrap_err();
        assert!(matches!(error(), Error::NoModules { below: None, .. }));
        std::fs::create_dir_all(below.join("kernel")).unwrap();
        assert!(matches!(error(), Error::NoModules { below: Some(found), .. } if found == below));
        std::fs::write(directory.path().join("a.ko"), crate::testing::module(b"vermagic=../.. SMP\0")).unwrap();
        assert!(matches!(error(), Error::NoVersion { .. }));
        std::fs::write(directory.path().join("a.ko"), "").unwrap();
        assert!(matches!(error(), Error::Module { .. }));
    }
}
