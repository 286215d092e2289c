//! What is done before a guest is used for the first time: its SSH server, and who may log in.
//!
//! - root's `authorized_keys` get the keys of the settings, at each boot, where they are missing;
//! - with `--sshd` a server is installed by the image's own package manager, if the image has none: once in the life of a disk, and tried
//!   again at the next boot for as long as it fails;
//! - a server that has no host keys gets some: made here, never part of an image.

mod keys;
mod packages;
mod record;
mod service;

use std::path::{Path, PathBuf};

use banger_protocol::health::{FirstBoot, FirstBootState};

use self::record::Record;
use crate::settings::Settings;

/// Where the server is, by the habit of all distributions.
const SSHD: [&str; 3] = ["usr/sbin/sshd", "usr/bin/sshd", "sbin/sshd"];

/// Why the first boot did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FirstBootError {
    /// root's `authorized_keys` could not be written.
    #[error("authorized_keys of root: {0}")]
    AuthorizedKeys(std::io::Error),
    /// No package manager is known for this distribution.
    #[error("no package manager is known for {0}")]
    Distribution(String),
    /// A program did not do what it was to.
    #[error("{program}: {reason}")]
    Program {
        /// Which.
        program: String,
        /// Its last words, or how it ended.
        reason: String,
    },
    /// The package manager was content, and yet there is no server.
    #[error("{0} ended well, and yet there is no sshd")]
    NoServer(String),
    /// What was done cannot be remembered.
    #[error("{path}: {error}", path = path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// What `/healthz` tells; `None` where there is nothing to be done.
pub(crate) fn told(root: &Path, settings: &Settings) -> Option<FirstBoot> {
    match Record::read(root) {
        Some(record) => Some(record.told()),
        None if settings.sshd => Some(FirstBoot { state: FirstBootState::Pending, attempts: 0, error: None }),
        None => None,
    }
}

/// Does what is to be done at this boot.
///
/// # Errors
/// Something did not work: it is remembered, told by `/healthz`, and tried again at the next boot.
pub fn run(root: &Path, settings: &Settings) -> Result<(), FirstBootError> {
    let before = Record::read(root).unwrap_or_default();
    let first = before.state != FirstBootState::Done;
    if !settings.sshd || !first {
        // Nothing is to be remembered: what is missing is put right at each boot.
        keys::authorize(root, &settings.ssh_keys).map_err(FirstBootError::AuthorizedKeys)?;
        if find_sshd(root).is_some() {
            keys::make_host_keys(root)?;
            if settings.sshd {
                service::start_without_init(root, settings.boot.mode)?;
            }
        }
        return Ok(());
    }
    let mut record = before.begin();
    record.write(root)?;
    let result = set_up_server(root, settings);
    record.end(result.as_ref().err());
    record.write(root)?;
    result
}

fn set_up_server(root: &Path, settings: &Settings) -> Result<(), FirstBootError> {
    keys::authorize(root, &settings.ssh_keys).map_err(FirstBootError::AuthorizedKeys)?;
    if find_sshd(root).is_none() {
        let manager = packages::manager(root)?;
        packages::install(root, manager)?;
        if find_sshd(root).is_none() {
            return Err(FirstBootError::NoServer(manager.program().to_owned()));
        }
    }
    keys::make_host_keys(root)?;
    service::enable(root, settings.boot.mode)
}

fn find_sshd(root: &Path) -> Option<PathBuf> {
    SSHD.iter().map(|path| root.join(path)).find(|path| path.is_file())
}
