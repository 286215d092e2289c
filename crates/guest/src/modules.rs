//! A kernel's modules as a layer: the directory as it is, and what depmod(8) makes of it where that is missing.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use banger_kmod::{Error, Kind, Member, Modules};
use banger_layers::ContentSink;

use crate::contents::{Contents, ContentsError};

/// Where they go in an image.
const TARGET: &str = "/lib/modules";

/// Why modules did not get into a layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError<E: std::error::Error + 'static> {
    /// They cannot be read.
    #[error(transparent)]
    Modules(#[from] Error),
    /// They were not taken.
    #[error(transparent)]
    Contents(ContentsError<E>),
}

/// Writes all of it into a layer.
///
/// # Errors
/// A file cannot be read, is no module, or is not taken.
pub fn write<S>(contents: &mut Contents<'_, S>, modules: &Modules) -> Result<(), WriteError<S::Error>>
where
    S: ContentSink<Error: std::error::Error>,
{
    let made = if modules.has_current_indexes()? { Vec::new() } else { modules.make_indexes()? };
    for member in modules.members() {
        if made.is_empty() || !member.is_index() {
            write_member(contents, modules, member)?;
        }
    }
    for (name, bytes) in made {
        contents.file(&target(modules, Path::new(name)), 0o644, &bytes).map_err(WriteError::Contents)?;
    }
    Ok(())
}

fn write_member<S>(
    contents: &mut Contents<'_, S>,
    modules: &Modules,
    member: &Member,
) -> Result<(), WriteError<S::Error>>
where
    S: ContentSink<Error: std::error::Error>,
{
    let target = target(modules, &member.path);
    let path = modules.directory().join(&member.path);
    let failed = |action, source| WriteError::Modules(Error::Io { action, path: path.clone(), source });
    let written = match &member.kind {
        Kind::File => {
            let file = File::open(&path).map_err(|error| failed("open", error))?;
            contents.copy(&target, 0o644, file).map(|_| ())
        }
        Kind::Link { target: link } => contents.symlink(&target, link),
    };
    written.map_err(|error| match error {
        ContentsError::Read(error) => failed("read", error),
        error => WriteError::Contents(error),
    })
}

fn target(modules: &Modules, path: &Path) -> Vec<u8> {
    [format!("{TARGET}/{}/", modules.version()).as_bytes(), path.as_os_str().as_bytes()].concat()
}
