//! The files of a kernel under their fixed names: what its digest is of, what is put into a directory, what is in an archive.

use std::fs::File;
use std::path::{Path, PathBuf};

use banger_kmod::{Kind, Modules};

use crate::error::{Error, Result};
use crate::limits::{DEPTH, FILES, PATH_BYTES, TOTAL_BYTES};
use crate::open;
use crate::triple::Triple;

/// What the initial RAM disk is called beside a kernel.
pub(crate) const INITRD: &str = "initrd.img";
/// What the directory of modules is called beside a kernel.
pub(crate) const MODULES: &str = "modules";

/// One file of a kernel.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Its name where it is put: a path without a slash in front.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Bytes of it.
    pub(crate) size: u64,
}

impl Member {
    /// Opens it. Its size must be what it was.
    pub(crate) fn open(&self) -> Result<File> {
        let (file, size) = open::file(&self.path)?;
        if size != self.size {
            return Err(Error::Changed { path: self.path.clone() });
        }
        Ok(file)
    }
}

/// All files, in the order of the bytes of their names.
///
/// Links among the modules are taken for the files that they lead to, which must be among the modules too.
pub(crate) fn members(triple: &Triple) -> Result<Vec<Member>> {
    let mut members = vec![member(triple.format.file_name().to_owned(), triple.image.clone())?];
    if let Some(initrd) = &triple.initrd {
        members.push(member(INITRD.to_owned(), initrd.clone())?);
    }
    if let Some(directory) = &triple.modules {
        let top = directory.canonicalize().map_err(Error::io("find", directory))?;
        for found in Modules::open(directory)?.members() {
            let path = directory.join(&found.path);
            let refused = |reason: &str| Error::Member { path: path.clone(), reason: reason.to_owned() };
            if let Kind::Link { .. } = found.kind {
                let target = path.canonicalize().map_err(|_| refused("it is a link that leads nowhere"))?;
                if !target.starts_with(&top) {
                    return Err(refused("it is a link that leads out of the directory"));
                }
            }
            let name = found.path.to_str().and_then(name).ok_or_else(|| refused("its name is not a usual one"))?;
            members.push(member(name, path)?);
        }
    }
    members.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let total = members.iter().fold(0_u64, |total, member| total.saturating_add(member.size));
    if total > TOTAL_BYTES {
        return Err(Error::limit(&triple.image, TOTAL_BYTES, "bytes with all that belongs to it"));
    }
    if members.len() > FILES {
        return Err(Error::limit(&triple.image, FILES as u64, "files with all that belongs to it"));
    }
    Ok(members)
}

/// The name of a file among the modules, by its path there: none for one that could not be an archive's.
pub(crate) fn name(below: &str) -> Option<String> {
    let is_usual = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= 255;
    let fits = below.len() <= PATH_BYTES && below.split('/').count() <= DEPTH;
    let plain = !below.contains(|c: char| c.is_control());
    (fits && plain && below.split('/').all(is_usual)).then(|| format!("{MODULES}/{below}"))
}

fn member(name: String, path: PathBuf) -> Result<Member> {
    let (_, size) = open::file(&path)?;
    Ok(Member { name, path, size })
}

/// Puts together what a directory has under the fixed names.
pub(crate) fn placed(triple: &Triple, directory: &Path) -> Triple {
    Triple {
        image: directory.join(triple.format.file_name()),
        initrd: triple.initrd.as_ref().map(|_| directory.join(INITRD)),
        modules: triple.modules.as_ref().map(|_| directory.join(MODULES)),
        ..triple.clone()
    }
}
