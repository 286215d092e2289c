//! The image's package manager, by os-release(5).

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use banger_protocol::paths;

use super::FirstBootError;
use crate::launch::PATH;

/// Bytes of an os-release.
const OS_RELEASE: u64 = 64 << 10;

/// The longest that a program may take: a mirror may be slow, but a boot must not wait for ever.
const LONGEST: Duration = Duration::from_secs(900);
/// Bytes of a program's output that its last words are looked for in.
const TAIL: u64 = 4096;

/// A package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manager {
    Apt,
    Apk,
    Dnf,
    Pacman,
    Zypper,
}

impl Manager {
    /// That of a distribution, by one word of `ID` or `ID_LIKE`.
    fn of(id: &str) -> Option<Self> {
        match id {
            "debian" | "ubuntu" => Some(Self::Apt),
            "alpine" => Some(Self::Apk),
            "fedora" | "rhel" | "centos" => Some(Self::Dnf),
            "arch" => Some(Self::Pacman),
            "suse" | "opensuse" | "sles" => Some(Self::Zypper),
            _ => None,
        }
    }

    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Apt => "apt-get",
            Self::Apk => "apk",
            Self::Dnf => "dnf",
            Self::Pacman => "pacman",
            Self::Zypper => "zypper",
        }
    }

    /// What it is called with to install an SSH server, one call after the other.
    fn calls(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Apt => &[&["-q", "update"], &["-q", "-y", "--no-install-recommends", "install", "openssh-server"]],
            Self::Apk => &[&["add", "--no-cache", "openssh"]],
            Self::Dnf => &[&["-y", "install", "openssh-server"]],
            Self::Pacman => &[&["-Sy", "--noconfirm", "openssh"]],
            Self::Zypper => &[&["--non-interactive", "install", "openssh"]],
        }
    }
}

/// The package manager of the image below `root`.
pub(super) fn manager(root: &Path) -> Result<Manager, FirstBootError> {
    let read = |path| crate::file::read_at_most(&root.join(path), OS_RELEASE).ok();
    let content = read("etc/os-release").or_else(|| read("usr/lib/os-release")).unwrap_or_default();
    let content = String::from_utf8_lossy(&content);
    let (id, like) = (value(&content, "ID"), value(&content, "ID_LIKE"));
    let known = std::iter::once(&*id).chain(like.split_ascii_whitespace()).find_map(Manager::of);
    known.ok_or_else(|| {
        FirstBootError::Distribution(if id.is_empty() { "an image without /etc/os-release".to_owned() } else { id })
    })
}

/// The value of a variable, without its quotes; the last counts, as in a shell.
fn value(os_release: &str, name: &str) -> String {
    let mut values = os_release.lines().filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
    let value = values.next_back().unwrap_or_default();
    let quoted = ['"', '\''].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote));
    quoted.unwrap_or(value).to_owned()
}

/// Has an SSH server installed.
pub(super) fn install(root: &Path, manager: Manager) -> Result<(), FirstBootError> {
    manager.calls().iter().try_for_each(|call| program(root, manager.program(), call))
}

/// Runs a program of the guest; what it says goes to `first-boot.log` beside the record.
pub(super) fn program(root: &Path, name: &str, arguments: &[&str]) -> Result<(), FirstBootError> {
    let text = format!("{name} {}", arguments.join(" "));
    let failed = |reason: String| FirstBootError::Program { program: text.clone(), reason };
    let mut log = open_log(root).map_err(|error| failed(format!("{}/first-boot.log: {error}", paths::STATE)))?;
    match run(name, arguments, &log) {
        Ok(None) => Ok(()),
        Ok(Some(status)) => {
            Err(failed(last_words(&mut log).map_or(status.clone(), |words| format!("{status}: {words}"))))
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

fn open_log(root: &Path) -> io::Result<File> {
    let directory = root.join(paths::STATE.trim_start_matches('/'));
    fs::create_dir_all(&directory)?;
    File::options().read(true).write(true).create(true).truncate(true).open(directory.join("first-boot.log"))
}

/// `None` when it ended well, else how it ended.
fn run(name: &str, arguments: &[&str], log: &File) -> io::Result<Option<String>> {
    let mut command = Command::new(name);
    command.args(arguments).stdout(log.try_clone()?).stderr(log.try_clone()?);
    command.env("PATH", PATH).env("HOME", "/root").env("LC_ALL", "C.UTF-8").env("DEBIAN_FRONTEND", "noninteractive");
    if name != "systemctl" {
        // Scripts of packages start their services. That would wait for this program, which is to be done before the service starts.
        command.env("SYSTEMD_OFFLINE", "1");
    }
    Ok(match crate::program::run(&mut command, b"", LONGEST)? {
        Some(status) => (!status.success()).then(|| status.to_string()),
        None => Some(format!("it did not end within {} seconds", LONGEST.as_secs())),
    })
}

/// The last line that says something.
fn last_words(log: &mut File) -> Option<String> {
    let length = log.metadata().ok()?.len();
    log.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
    let mut tail = Vec::new();
    log.take(TAIL).read_to_end(&mut tail).ok()?;
    let text = String::from_utf8_lossy(&tail).into_owned();
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_have_their_package_managers() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        for (os_release, expected) in [
            ("ID=debian\n", Some(Manager::Apt)),
            ("NAME=x\nID=\"ubuntu\"\nID_LIKE=debian", Some(Manager::Apt)),
            ("ID=linuxmint\nID_LIKE='ubuntu debian'\n", Some(Manager::Apt)),
            ("ID=alpine\nVERSION_ID=3.20", Some(Manager::Apk)),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"", Some(Manager::Dnf)),
            ("ID=manjaro\nID_LIKE=arch\n", Some(Manager::Pacman)),
            ("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", Some(Manager::Zypper)),
            ("ID=debian\nID=alpine\n", Some(Manager::Apk)),
            ("ID=nixos\n", None),
            ("VERSION_ID=debian\n", None),
            ("", None),
        ] {
            fs::write(root.path().join("etc/os-release"), os_release).unwrap();
            assert_eq!(manager(root.path()).ok(), expected, "{os_release}");
        }
    }

    #[test]
    fn the_other_place_of_os_release_is_known() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("usr/lib")).unwrap();
        fs::write(root.path().join("usr/lib/os-release"), "ID=arch\n").unwrap();
        assert_eq!(manager(root.path()).unwrap(), Manager::Pacman);
    }

    #[test]
    fn a_program_that_fails_is_quoted() {
        let root = tempfile::tempdir().unwrap();
        program(root.path(), "sh", &["-c", "echo fine"]).unwrap();
        let error =
            program(root.path(), "sh", &["-c", "echo first; echo 'E: no mirror' >&2; echo; exit 100"]).unwrap_err();
        assert!(error.to_string().ends_with("exit status: 100: E: no mirror"), "{error}");
        let error = program(root.path(), "no-such-program", &[]).unwrap_err();
        assert!(error.to_string().contains("No such file"), "{error}");
    }
}
