//! What was named is not there: which of the things that a word can name it is not, and what is near by that name.

use std::ffi::OsStr;
use std::path::Path;

use banger_config::Directories;
use banger_oci::Source;
use banger_oci::source::Input;
use banger_operations::name::derive;
use banger_operations::source::Origin;
use banger_store::completion;
use banger_store::name::{check, nearest};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::text::Line;

/// Fails if it is the id of a machine.
pub(super) fn machine(text: &OsStr, directories: &Directories) -> Result<(), Failure> {
    let Some(id) = text.to_str().filter(|text| check(text).is_ok()) else { return Ok(()) };
    let directory = directories.machines()?.join(id);
    if !directory.join("serial.log").exists() {
        return Ok(());
    }
    let failure = Failure::new(Exit::Usage, format!("{id} is a machine, not an image"));
    Err(failure
        .hint("`banger run IMAGE` starts a new machine of an image; `banger image ls` lists images")
        .hint(format!("what this one has left is in {}", directory.display())))
}

/// Fails if it can only be a path, and nothing is there.
pub(super) fn path(text: &OsStr) -> Result<(), Failure> {
    let path = Path::new(text);
    let shown = text.to_string_lossy();
    let is_path =
        path.is_absolute() || shown.ends_with('/') || ["./", "../", "~"].iter().any(|start| shown.starts_with(start));
    if !is_path || path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let failure = Failure::new(Exit::NotFound, format!("there is no such file: {}", Line(&shown)));
    Err(match near(path) {
        Some(near) => failure.hint(format!("perhaps {near} is meant")),
        None => failure,
    })
}

/// A file beside it with nearly the same name.
fn near(path: &Path) -> Option<String> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(directory).ok()?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let name = nearest(path.file_name()?.to_str()?, names).into_iter().next()?;
    Some(directory.join(name).display().to_string())
}

/// Whether an image would be built from a file or a directory that is not there.
pub(super) fn is_absent(source: &Source) -> bool {
    let path = match source {
        Source::Oci { directory, .. } => directory,
        Source::OciArchive { file, .. } | Source::DockerArchive { file, .. } | Source::Tar { file } => match file {
            Input::Path(path) => path,
            Input::Stdin => return false,
        },
        _ => return false,
    };
    path.symlink_metadata().is_err()
}

/// What it means that an image could not be had: a short name may have been meant for one that is kept here, and names that are kept here and
/// nearly the same come first among the hints.
pub(super) fn image(failure: Failure, text: &OsStr, origin: &Origin, directories: &Directories) -> Failure {
    let (Origin::Registry(reference), Some(text)) = (origin, text.to_str()) else { return failure };
    let names = directories.root().map(|root| completion::names(&root).images).unwrap_or_default();
    // Of `app:2` the name here would be `app-2`.
    let derived = derive(origin).filter(|derived| derived != text && text.contains(':'));
    let wanted = [Some(text.to_owned()), derived];
    let mut near: Vec<String> =
        wanted.into_iter().flatten().flat_map(|wanted| nearest(&wanted, names.iter().cloned())).collect();
    near.dedup();
    let hint = (!near.is_empty()).then(|| format!("images that are kept here and named like it: {}", near.join(", ")));
    if check(text).is_err() {
        return hint.into_iter().fold(failure, Failure::hint);
    }
    let what = format!("there is no file and no image {text} here, and {reference} cannot be had");
    failure.within(what, hint)
}
