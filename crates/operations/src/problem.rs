//! From the errors of the libraries to problems.

use std::io;
use std::path::Path;

use banger_api::{ErrorKind, Problem};

use crate::hints::MAKE_ROOM;

/// A file of this machine could not be used.
pub fn of_file(action: &str, path: &Path, error: &io::Error) -> Problem {
    Problem::new(error.into(), format!("cannot {action} {}", path.display())).because(error)
}

/// There are no settings, or no place for something.
pub fn of_config(error: &banger_config::Error) -> Problem {
    let problem = Problem::of(error.kind(), error);
    match error.hint() {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// Something is wrong with the store, or not in it.
pub fn of_store(error: &banger_store::Error) -> Problem {
    use banger_store::{Error, What};
    let kind = error.kind();
    let hint = match error {
        Error::NameTaken { what: What::Image, name } => {
            format!("choose another with --name, or remove it: banger image rm {name}")
        }
        Error::NameTaken { what: What::Kernel, name } => {
            format!("choose another with --name, or remove it: banger kernel rm {name}")
        }
        Error::NotFound { nearest, .. } if let Some(nearest) = nearest.first() => {
            format!("perhaps {nearest} is meant")
        }
        Error::NotFound { what: What::Image, .. } => "`banger image ls` shows which there are".to_owned(),
        Error::NotFound { what: What::Kernel, .. } => {
            "`banger kernel ls` shows which there are, `banger kernel ls --available` which can be had".to_owned()
        }
        Error::InUse { .. } => "end what uses it: a machine, a push or an export".to_owned(),
        Error::Damaged { what: What::Image, name, .. } => {
            format!("remove it, and pull it again: banger image rm {name}")
        }
        Error::Damaged { what: What::Kernel, name, .. } => {
            format!("remove it, and get it again: banger kernel rm {name}")
        }
        Error::NewerSchema { .. } => "use the newer banger, or another directory with --root".to_owned(),
        Error::Foreign { .. } | Error::Unknown { .. } => "name another directory with --root".to_owned(),
        _ if kind == ErrorKind::NoSpace => MAKE_ROOM.to_owned(),
        _ => return Problem::of(kind, error),
    };
    Problem::of(kind, error).hint(hint)
}

/// A kernel is not what it should be.
pub fn of_kernel(error: &banger_kernel::Error) -> Problem {
    error.hint().into_iter().fold(Problem::of(error.kind(), error), Problem::hint)
}

/// Something is wrong with a catalog, a download or a bundle.
pub fn of_catalog(error: &banger_catalog::Error) -> Problem {
    Problem::of(error.kind(), error)
}

/// A disk image could not be read or written.
pub fn of_disk(error: &banger_disk::Error) -> Problem {
    let problem = Problem::of(error.kind(), error);
    match error {
        banger_disk::Error::Holes { .. } => problem.hint("--sparse leaves the holes out of the archive"),
        _ => problem,
    }
}

/// An image could not be put into a registry, or is none that is understood.
pub fn of_distribution(error: &banger_distribution::Error) -> Problem {
    let problem = Problem::of(error.kind(), error);
    match error {
        banger_distribution::Error::Altered => problem.hint(KEEP_TYPE),
        _ => problem,
    }
}

/// How to copy an artifact so that it stays one.
pub(crate) const KEEP_TYPE: &str =
    "copy it as an OCI layout, such as `skopeo copy docker://REF oci-archive:FILE`, and pull that";
