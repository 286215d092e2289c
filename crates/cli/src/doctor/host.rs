//! What is seen of this machine. Nothing is judged here, and nothing changed, but that there is a store afterwards, as there is
//! after any command.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use banger_api::{Event, Observer, Service};
use banger_config::Directories;
use banger_oci::Reference;
use banger_registry::credentials::{Credentials, Environment, Search};
use banger_vm::vsock::Wanted;
use banger_vm::{Accelerator, Kernel, qemu};
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, ioctl_ficlone, open, statvfs};

use crate::args::{Doctor, ServiceOptions};
use crate::failure::Failure;
use crate::service;

/// Where a distribution says what it is (os-release(5)).
const OS_RELEASE: &str = "/etc/os-release";
const KVM: &str = "/dev/kvm";
/// Bytes that two files are to share: a block of any file system.
const BLOCK: usize = 64 << 10;
/// An image that everybody may have: whose credentials are looked for.
const ANY_IMAGE: &str = "docker.io/library/debian";

/// What was seen.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) version: &'static str,
    /// As image indexes name it.
    pub(super) architecture: String,
    pub(super) family: Family,
    /// Which file of settings there is, or what is wrong with it.
    pub(super) settings: Result<String, String>,
    pub(super) directories: Vec<Directory>,
    /// Bytes that are free where images are kept.
    pub(super) free: Option<u64>,
    /// Whether files share content there.
    pub(super) reflinks: Option<bool>,
    pub(super) qemu: Result<String, String>,
    pub(super) kvm: Kvm,
    pub(super) channel: Channel,
    /// Names of the kernels that are kept here for this machine's architecture.
    pub(super) kernels: Result<Vec<String>, String>,
    /// The kernel of this machine that a guest could be started with.
    pub(super) boot_kernel: Result<String, String>,
    /// How much catalogs offer, and what is wrong with some of them.
    pub(super) catalogs: Result<(usize, Vec<String>), String>,
    pub(super) credentials: Result<String, String>,
    pub(super) socket: String,
    pub(super) daemon: Daemon,
}

/// Whose packages there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Debian,
    Fedora,
    Alpine,
    Other,
}

/// A directory that is written to.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) name: &'static str,
    pub(super) purpose: &'static str,
    pub(super) path: String,
    pub(super) is_needed: bool,
    /// Why it cannot be written to.
    pub(super) trouble: Option<String>,
    /// What names another one.
    pub(super) option: &'static str,
}

/// How it stands with /dev/kvm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kvm {
    /// A guest runs.
    Works,
    /// It opens, and there is nothing to try it with.
    NotTried,
    Missing,
    Denied(String),
    /// It opens, and no guest runs.
    Broken,
}

/// How an agent would be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    Vhost,
    VhostUser,
    Serial,
}

/// Who is at the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Daemon {
    /// A daemon of this version.
    Answers(String),
    Silent,
    Trouble(String),
}

/// Looks at this machine.
pub(super) fn look(doctor: &Doctor, options: &ServiceOptions) -> Host {
    let directories = Directories::of_process(options.root.as_deref());
    let place = |place: fn(&Directories) -> Result<PathBuf, banger_config::Error>| match &directories {
        Ok(directories) => place(directories).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let (root, cache, socket) = (place(Directories::root), place(Directories::layers), place(Directories::socket));
    let service = service::in_process(options).map_err(|failure| failure.message().to_owned());
    let program = qemu::program();
    let above = root.as_ref().ok().and_then(|root| existing(root));
    Host {
        version: env!("CARGO_PKG_VERSION"),
        architecture: banger_oci::Platform::host().architecture().to_owned(),
        family: family(&std::fs::read_to_string(OS_RELEASE).unwrap_or_default()),
        settings: settings(doctor.config.as_deref(), directories.as_ref().ok().and_then(Directories::config)),
        directories: vec![
            directory("images", "images, kernels and machines are kept there", &root, "--root DIR"),
            directory("cache", "what is downloaded is kept there", &cache, "--cache DIR"),
        ],
        free: above.as_deref().and_then(free),
        reflinks: above.as_deref().and_then(|path| reflinks(path).ok()),
        kvm: kvm(program.as_deref().ok()),
        qemu: program.map(|path| path.display().to_string()).map_err(|error| error.to_string()),
        channel: channel(),
        kernels: service.as_deref().map_err(Clone::clone).and_then(kernels),
        boot_kernel: Kernel::of_host(None)
            .map(|kernel| kernel.image.display().to_string())
            .map_err(|error| error.to_string()),
        catalogs: service.as_deref().map_err(Clone::clone).and_then(catalogs),
        credentials: credentials(),
        daemon: match &socket {
            Ok(socket) => daemon(socket),
            Err(error) => Daemon::Trouble(error.clone()),
        },
        socket: socket.map_or_else(|_| "its socket".to_owned(), |socket| socket.display().to_string()),
    }
}

/// Whose packages there are, by os-release(5).
fn family(os_release: &str) -> Family {
    let value = |key: &str| os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let words = [value("ID"), value("ID_LIKE")].into_iter().flatten();
    for word in words.flat_map(|value| value.trim_matches(['"', '\'']).split_ascii_whitespace()) {
        match word {
            "debian" | "ubuntu" => return Family::Debian,
            "fedora" | "rhel" | "centos" => return Family::Fedora,
            "alpine" => return Family::Alpine,
            _ => {}
        }
    }
    Family::Other
}

fn settings(named: Option<&Path>, usual: Option<PathBuf>) -> Result<String, String> {
    let settings = banger_config::Settings::load(named, usual.as_deref()).map_err(|error| error.to_string())?;
    let path = named.map(Path::to_owned).or(usual);
    let counts = format!("{} registries, {} catalogs", settings.registries.hosts.len(), settings.catalogs.len());
    Ok(match path {
        Some(path) if path.exists() => format!("{}: {counts}", path.display()),
        Some(path) => format!("none: {} is not there, and need not be", path.display()),
        None => "none: there is no home directory".to_owned(),
    })
}

fn directory(
    name: &'static str,
    purpose: &'static str,
    path: &Result<PathBuf, String>,
    option: &'static str,
) -> Directory {
    let (path, trouble) = match path {
        Ok(path) => (path.display().to_string(), writable(path).err().map(|error| error.to_string())),
        Err(error) => ("nowhere".to_owned(), Some(error.clone())),
    };
    Directory { name, purpose, path, is_needed: true, trouble, option }
}

/// The directory, or the one above it that it would be made in.
fn existing(path: &Path) -> Option<PathBuf> {
    path.ancestors().find(|path| path.exists()).map(Path::to_owned)
}

/// Whether there is such a directory that can be written to, or one can be made.
fn writable(path: &Path) -> io::Result<()> {
    let above = existing(path).ok_or(io::ErrorKind::NotFound)?;
    if !above.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(accessat(CWD, &above, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?)
}

fn free(directory: &Path) -> Option<u64> {
    let found = statvfs(directory).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

/// Whether two files can share their content. Neither ever has a name.
fn reflinks(directory: &Path) -> io::Result<bool> {
    use std::os::unix::fs::FileExt;
    let file = || open(directory, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
    let one = File::from(file()?);
    one.write_all_at(&[1; BLOCK], 0)?;
    Ok(ioctl_ficlone(file()?, &one).is_ok())
}

pub(super) fn kvm(qemu: Option<&Path>) -> Kvm {
    match (File::options().read(true).write(true).open(KVM), qemu) {
        (Err(error), _) if error.kind() == io::ErrorKind::NotFound => Kvm::Missing,
        (Err(error), _) => Kvm::Denied(error.to_string()),
        (Ok(_), None) => Kvm::NotTried,
        (Ok(_), Some(qemu)) if Accelerator::best(qemu) == Accelerator::Kvm => Kvm::Works,
        (Ok(_), Some(_)) => Kvm::Broken,
    }
}

fn channel() -> Channel {
    match banger_vm::Channel::find(Wanted::Best) {
        Ok(banger_vm::Channel::Vhost) => Channel::Vhost,
        Ok(banger_vm::Channel::VhostUser(_)) => Channel::VhostUser,
        Ok(banger_vm::Channel::Serial) | Err(_) => Channel::Serial,
    }
}

fn kernels(service: &dyn Service) -> Result<Vec<String>, String> {
    let kernels = service.kernel_list().map_err(|problem| said(problem.into()))?;
    let host = banger_oci::Platform::host();
    let of_host = kernels.into_iter().filter(|kernel| kernel.architecture == host.architecture());
    Ok(of_host.map(|kernel| kernel.name).collect())
}

fn catalogs(service: &dyn Service) -> Result<(usize, Vec<String>), String> {
    let warnings = Arc::new(Warnings::default());
    let observer: Arc<dyn Observer> = Arc::<Warnings>::clone(&warnings);
    let offers = service.catalog_list(&observer).map_err(|problem| said(problem.into()))?;
    Ok((offers.len(), warnings.0.lock().unwrap_or_else(PoisonError::into_inner).clone()))
}

fn said(failure: Failure) -> String {
    failure.message().to_owned()
}

/// Hears warnings only.
#[derive(Debug, Default)]
struct Warnings(Mutex<Vec<String>>);

impl Observer for Warnings {
    fn event(&self, event: Event) {
        if let Event::Warning { message } = event {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        }
    }
}

/// All files are read when something is looked for, and a helper is asked where one is named.
fn credentials() -> Result<String, String> {
    let image = Reference::parse(ANY_IMAGE).map_err(|error| error.to_string())?;
    match Search::new(None, &Environment::of_process()).find(&image) {
        Ok(Some(_)) => Ok(format!("there are some for {}", image.domain())),
        Ok(None) => Ok(format!("none for {}", image.domain())),
        Err(error) => Err(error.to_string()),
    }
}

fn daemon(socket: &Path) -> Daemon {
    match service::running(socket) {
        Ok(Some(service)) => match service.system_info() {
            Ok(info) => Daemon::Answers(info.version),
            Err(problem) => Daemon::Trouble(problem.message),
        },
        Ok(None) => Daemon::Silent,
        Err(failure) => Daemon::Trouble(failure.message().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_are_known_by_their_relatives() {
        for (text, expected) in [
            ("NAME=x\nID=debian\n", Family::Debian),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Family::Debian),
            ("ID='rocky'\nID_LIKE=\"rhel centos fedora\"\n", Family::Fedora),
            ("ID=alpine\n", Family::Alpine),
            ("ID=nixos\n", Family::Other),
            ("VERSION_ID=debian\n", Family::Other),
            ("", Family::Other),
        ] {
            assert_eq!(family(text), expected, "{text}");
        }
    }

    #[test]
    fn a_directory_need_not_be_there_yet() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(writable(directory.path()).is_ok());
        assert!(writable(&directory.path().join("a/b/c")).is_ok());
        assert!(!directory.path().join("a").exists(), "nothing is made");
        assert_eq!(writable(&file).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert_eq!(writable(&file.join("x")).unwrap_err().kind(), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn trying_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        reflinks(directory.path()).unwrap();
        assert!(free(directory.path()).is_some_and(|free| free > 0));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
