//! A kernel, its initial RAM disk and its modules: whether they are what they should be, and belong together.
//!
//! Whoever is given a kernel checks it here first: an image that is pulled, one that is registered, a machine that is started. What
//! the files are is known by a digest, of a list with a line for each file: its name (`bzImage`, `vmlinux` or `Image`;
//! `initrd.img`; `modules/...`), its size, the SHA-256 of its content, in the order of the names' bytes. So it does
//! not depend on where the files are, on their times, modes or owners.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use banger_kmod::Modules;
use banger_kmod::version::{compare, is_version};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::image::{Format, Image};
use crate::limits::NAMES;
use crate::member::{Member, members};
use crate::watch::{Watch, go_on};
use crate::{find, initrd, open};

/// A kernel and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Triple {
    /// The kernel: an absolute path.
    pub image: PathBuf,
    /// Its initial RAM disk: an absolute path.
    pub initrd: Option<PathBuf>,
    /// Its modules, as in `/lib/modules/VERSION`: an absolute path.
    pub modules: Option<PathBuf>,
    /// How the kernel's file is made.
    pub format: Format,
    /// What it runs on, as image indexes name it: `amd64`, `arm64`.
    pub architecture: &'static str,
    /// What `uname -r` says with it: by its own word, or by that of its modules.
    pub version: Option<String>,
}

/// Checks that these are a kernel, its initial RAM disk and its modules, for this architecture where one is wanted.
///
/// Links to files and to the directory are followed.
///
/// # Errors
/// One of them cannot be read, is something else, or is of another kernel.
pub fn check(
    image: &Path,
    initrd: Option<&Path>,
    modules: Option<&Path>,
    architecture: Option<&str>,
) -> Result<Triple> {
    let absolute = |path: &Path| std::path::absolute(path).map_err(Error::io("find", path));
    let Image { format, architecture: found, version } = Image::of_file(image)?;
    if let Some(wanted) = architecture.filter(|wanted| *wanted != found) {
        return Err(Error::Architecture { path: image.to_owned(), found, wanted: wanted.to_owned() });
    }
    let mut triple =
        Triple { image: absolute(image)?, initrd: None, modules: None, format, architecture: found, version };
    if let Some(path) = initrd {
        initrd::check(path)?;
        triple.initrd = Some(absolute(path)?);
    }
    if let Some(directory) = modules {
        let found = modules_version(directory)?;
        match triple.version {
            Some(wanted) if wanted != found => {
                return Err(Error::ModulesVersion { directory: directory.to_owned(), found, wanted });
            }
            _ => triple.version = Some(found),
        }
        triple.modules = Some(absolute(directory)?);
    }
    Ok(triple)
}

/// The kernel that a directory of modules is for.
///
/// Not every module is asked, but one below each directory in it: those that came later (`updates`, `extra`) may be
/// another kernel's.
fn modules_version(directory: &Path) -> Result<String> {
    let entries = std::fs::read_dir(directory).map_err(Error::io("list", directory))?;
    let mut below = Vec::new();
    for entry in entries.take(NAMES) {
        let entry = entry.map_err(Error::io("list", directory))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below.push(entry.path());
        }
    }
    let name = |path: &PathBuf| Some(path.file_name()?.to_str()?.to_owned());
    let mut versions: Vec<String> = below.iter().filter(|path| path.join("kernel").is_dir()).filter_map(name).collect();
    versions.retain(|name| is_version(name));
    if !versions.is_empty() {
        versions.sort_by(|a, b| compare(a, b));
        return Err(Error::ModulesAbove { directory: directory.to_owned(), versions });
    }
    let version = Modules::open(directory)?.version().to_owned();
    below.sort_unstable();
    for directory in below {
        match Modules::open(&directory) {
            Ok(modules) if modules.version() != version => {
                return Err(Error::ModulesVersion { found: modules.version().to_owned(), wanted: version, directory });
            }
            Ok(_) | Err(banger_kmod::Error::NoModules { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(version)
}

impl Triple {
    /// The kernel in a directory: one in which it was put, or one of those that [`find`] knows.
    ///
    /// # Errors
    /// There is none, or several, or what is there is not what it should be.
    pub fn in_directory(directory: &Path, architecture: Option<&str>) -> Result<Self> {
        let found = find::kernel(directory)?;
        check(&found.image, found.initrd.as_deref(), found.modules.as_deref(), architecture)
    }

    /// Bytes of all files.
    ///
    /// # Errors
    /// They cannot be looked at.
    pub fn size(&self) -> Result<u64> {
        Ok(members(self)?.iter().fold(0, |total, member| total.saturating_add(member.size)))
    }

    /// Digest of all files: 64 hexadecimal digits. All are read.
    ///
    /// # Errors
    /// A file cannot be read, or is none.
    pub fn digest(&self, watch: &dyn Watch) -> Result<String> {
        let members = members(self)?;
        let mut list = Sha256::new();
        for (member, digest) in members.iter().zip(digests(&members, watch)?) {
            list.update(format!("{} {} {digest}\n", member.name, member.size));
        }
        Ok(hex(&list.finalize()))
    }

    /// Checks that the files are still those of this digest.
    ///
    /// # Errors
    /// They are others, or cannot be read.
    pub fn verify(&self, expected: &str, watch: &dyn Watch) -> Result<()> {
        let found = self.digest(watch)?;
        if found == expected {
            return Ok(());
        }
        Err(Error::Digest { path: self.image.clone(), expected: expected.to_owned(), found })
    }
}

/// Threads that compute digests: they wait for the disk as often as not.
const THREADS: usize = 2;

/// The digest of each file, in their order, whoever computes them.
fn digests(members: &[Member], watch: &dyn Watch) -> Result<Vec<String>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(members.len()));
    let work = || {
        let mut buffer = vec![0; 256 << 10];
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(member) = members.get(number) else { return };
            let result = digest(member, &mut buffer, watch);
            if result.is_err() {
                // Nobody needs the others.
                next.store(members.len(), Ordering::Relaxed);
            }
            results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((number, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..THREADS {
            scope.spawn(work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_unstable_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

fn digest(member: &Member, buffer: &mut [u8], watch: &dyn Watch) -> Result<String> {
    let mut file = member.open()?;
    let mut digest = Sha256::new();
    let mut total: u64 = 0;
    loop {
        go_on(watch)?;
        let count = match file.read(buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::io("read", &member.path)(error)),
        };
        total = total.saturating_add(count as u64);
        if total > member.size {
            break;
        }
        digest.update(buffer.get(..count).unwrap_or_default());
        watch.advanced(count as u64);
    }
    if total != member.size {
        return Err(Error::Changed { path: member.path.clone() });
    }
    Ok(hex(&digest.finalize()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file and its digest, read from its start.
pub(crate) fn sha256(path: &Path, watch: &dyn Watch) -> Result<String> {
    let (_, size) = open::file(path)?;
    let member = Member { name: String::new(), path: path.to_owned(), size };
    digest(&member, &mut vec![0; 256 << 10], watch)
}

#[cfg(test)]
mod tests;
