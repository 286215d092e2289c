//! From the errors of the libraries to problems.

use std::io;
use std::path::Path;

use banger_api::{Kind, Problem};

use crate::hints::MAKE_ROOM;

/// What sort of failure the system's error is.
pub fn kind_of_io(error: &io::Error) -> Kind {
    match error.kind() {
        io::ErrorKind::NotFound => Kind::NotFound,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::NoSpace,
        _ => Kind::Other,
    }
}

/// What sort of failure it is that an image could not be found or read.
pub fn kind_of_image(error: &banger_oci::Error) -> Kind {
    use banger_oci::ErrorKind;
    match error.kind() {
        ErrorKind::Usage => Kind::Usage,
        ErrorKind::NotFound => Kind::NotFound,
        ErrorKind::Malformed => Kind::Integrity,
        ErrorKind::Unauthorized => Kind::Unauthorized,
        ErrorKind::Network => Kind::Network,
        ErrorKind::Cancelled => Kind::Cancelled,
        _ => error.io_error().map_or(Kind::Other, kind_of_io),
    }
}

/// What sort of failure it is that an image could not be built.
pub fn kind_of_build(kind: banger_rootfs::ErrorKind) -> Kind {
    use banger_rootfs::ErrorKind;
    match kind {
        ErrorKind::Usage => Kind::Usage,
        ErrorKind::NotFound => Kind::NotFound,
        ErrorKind::Unauthorized => Kind::Unauthorized,
        ErrorKind::Network => Kind::Network,
        ErrorKind::Integrity => Kind::Integrity,
        ErrorKind::NoSpace => Kind::NoSpace,
        ErrorKind::Cancelled => Kind::Cancelled,
        ErrorKind::Other => Kind::Other,
    }
}

/// A file of this machine could not be used.
pub fn of_file(action: &str, path: &Path, error: &io::Error) -> Problem {
    Problem::new(kind_of_io(error), format!("cannot {action} {}", path.display())).because(error)
}

/// There are no settings, or no place for something.
pub fn of_config(error: &banger_config::Error) -> Problem {
    use banger_config::ErrorKind;
    let kind = match error.kind() {
        ErrorKind::Usage => Kind::Usage,
        ErrorKind::NotFound => Kind::NotFound,
        ErrorKind::Other => Kind::Other,
    };
    let problem = Problem::of(kind, error);
    match error.hint() {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// Something is wrong with the store, or not in it.
pub fn of_store(error: &banger_store::Error) -> Problem {
    use banger_store::{Error, ErrorKind, What};
    let kind = match error.kind() {
        ErrorKind::Usage => Kind::Usage,
        ErrorKind::NotFound => Kind::NotFound,
        ErrorKind::Conflict => Kind::Conflict,
        ErrorKind::Integrity => Kind::Integrity,
        ErrorKind::NoSpace => Kind::NoSpace,
        ErrorKind::Cancelled => Kind::Cancelled,
        _ => Kind::Other,
    };
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
        _ if kind == Kind::NoSpace => MAKE_ROOM.to_owned(),
        _ => return Problem::of(kind, error),
    };
    Problem::of(kind, error).hint(hint)
}

/// A kernel is not what it should be.
pub fn of_kernel(error: &banger_kernel::Error) -> Problem {
    use banger_kernel::ErrorKind;
    let kind = match error.kind() {
        ErrorKind::Usage => Kind::Usage,
        ErrorKind::NotFound => Kind::NotFound,
        ErrorKind::Conflict => Kind::Conflict,
        ErrorKind::Integrity => Kind::Integrity,
        ErrorKind::NoSpace => Kind::NoSpace,
        ErrorKind::Cancelled => Kind::Cancelled,
        _ => Kind::Other,
    };
    error.hint().into_iter().fold(Problem::of(kind, error), Problem::hint)
}

/// Something is wrong with a catalog, a download or a bundle.
pub fn of_catalog(error: &banger_catalog::error::Error) -> Problem {
    use banger_catalog::error::Kind as Sort;
    let kind = match error.kind() {
        Sort::Usage => Kind::Usage,
        Sort::NotFound => Kind::NotFound,
        Sort::Conflict => Kind::Conflict,
        Sort::Unauthorized => Kind::Unauthorized,
        Sort::Network => Kind::Network,
        Sort::Integrity => Kind::Integrity,
        Sort::NoSpace => Kind::NoSpace,
        Sort::Cancelled => Kind::Cancelled,
        Sort::Other => Kind::Other,
    };
    Problem::of(kind, error)
}

/// A disk image could not be read or written.
pub fn of_disk(error: &banger_disk::Error) -> Problem {
    use banger_disk::Kind as Sort;
    let kind = match error.kind() {
        Sort::Usage => Kind::Usage,
        Sort::NotFound => Kind::NotFound,
        Sort::Conflict => Kind::Conflict,
        Sort::Integrity => Kind::Integrity,
        Sort::NoSpace => Kind::NoSpace,
        Sort::Cancelled => Kind::Cancelled,
        _ => Kind::Other,
    };
    Problem::of(kind, error)
}

/// An image could not be put into a registry, or is none that is understood.
pub fn of_distribution(error: &banger_distribution::Error) -> Problem {
    use banger_distribution::Kind as Sort;
    let kind = match error.kind() {
        Sort::Usage => Kind::Usage,
        Sort::NotFound => Kind::NotFound,
        Sort::Conflict => Kind::Conflict,
        Sort::Unauthorized => Kind::Unauthorized,
        Sort::Network => Kind::Network,
        Sort::Integrity => Kind::Integrity,
        Sort::NoSpace => Kind::NoSpace,
        Sort::Cancelled => Kind::Cancelled,
        _ => Kind::Other,
    };
    Problem::of(kind, error)
}
