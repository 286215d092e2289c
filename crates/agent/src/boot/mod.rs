//! Process 1: from the kernel's first instruction in user space to the machine's last.
//!
//! - [`initrd`]: in banger's initial RAM disk, mounts the root file system and goes there
//! - [`init`]: mounts what is needed, then hands over to the image's init, or stays and supervises the service (`supervise`)
//! - `power`: the end of the machine

mod copy;
mod init;
pub mod initrd;
mod mounts;
mod power;
mod supervise;

use std::path::Path;
use std::process::ExitCode;

use banger_protocol::shutdown::Action;

pub use init::run as init;
pub(crate) use power::ask_init;

use crate::file;
use crate::settings::{Settings, is_hostname};

/// Where programs look for the host's name that do not ask the kernel.
const HOSTNAME_FILE: &str = "/etc/hostname";

/// Bytes of an /etc/hostname.
const HOSTNAME: u64 = 4096;

/// How the service of a guest without an init tells process 1 that the machine is to end: by its exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is switched off.
    Poweroff = 100,
    /// It starts again.
    Reboot = 101,
}

impl From<Action> for Ending {
    fn from(action: Action) -> Self {
        match action {
            Action::Poweroff => Self::Poweroff,
            Action::Reboot => Self::Reboot,
        }
    }
}

impl Ending {
    pub(crate) fn exit_code(self) -> ExitCode {
        ExitCode::from(self as u8)
    }

    /// What an exit status says; `None` where it says nothing about the machine.
    fn of_status(status: i32) -> Option<Self> {
        [Self::Poweroff, Self::Reboot].into_iter().find(|&ending| ending as i32 == status)
    }
}

/// Sets the host name: the one that is wanted; where the image has no init that would, the one of its /etc/hostname, or the one that all have.
///
/// # Errors
/// The kernel refused it: in words.
pub(crate) fn set_hostname(settings: &Settings) -> Result<(), String> {
    let name = match &settings.hostname {
        Some(name) => name.clone(),
        None if settings.runs_workload() => images_hostname(Path::new(HOSTNAME_FILE)),
        None => return Ok(()),
    };
    rustix::system::sethostname(name.as_bytes()).map_err(|error| format!("host name {name}: {error}"))
}

/// Has /etc/hostname say the name that the machine has, as container runtimes do. An init reads that file, so where there is one it is the
/// image's.
fn write_hostname() -> std::io::Result<()> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let path = Path::new(HOSTNAME_FILE);
    if mounts::is_read_only("/") || images_hostname(path) == name {
        return Ok(());
    }
    std::fs::create_dir_all("/etc")?;
    std::fs::write(path, format!("{name}\n"))
}

/// The first line of hostname(5) that is no comment, if it is a host name.
fn images_hostname(path: &Path) -> String {
    let content = file::read_at_most(path, HOSTNAME).unwrap_or_default();
    let content = String::from_utf8_lossy(&content);
    let name = content.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    name.filter(|name| is_hostname(name)).unwrap_or("localhost").to_owned()
}

/// Says on the console why there can be no machine, and switches it off.
fn fail(role: &str, reason: &str) -> ! {
    crate::console::say(&format!("{role}: FAILED: {reason}"));
    power::off(Ending::Poweroff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_an_init_may_have_a_host_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (content, expected) in [
            ("box\n", "box"),
            ("# ours\n\n box.example \n", "box.example"),
            ("", "localhost"),
            ("two words\n", "localhost"),
        ] {
            std::fs::write(file.path(), content).unwrap();
            assert_eq!(images_hostname(file.path()), expected, "{content:?}");
        }
        assert_eq!(images_hostname(Path::new("/no/such")), "localhost");
    }
}
