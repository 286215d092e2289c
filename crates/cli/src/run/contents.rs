//! What an image says of itself in its own files: how it boots, whose shell a person gets, and whether it has another init.

use std::fs::File;

use banger_ext4::read::{LastLink, Reader};
use banger_ext4::spec::FileType;
use banger_protocol::boot::{Boot, BootMode, Init};
use banger_protocol::image::Runtime;
use banger_protocol::paths;
use banger_protocol::settings::Guest;

use crate::exit::Exit;
use crate::failure::Failure;

/// Bytes that are read of a file that says something.
const FILE_BYTES: u64 = 4 << 20;
/// Symbolic links that are followed one after the other, as Linux does.
const LINKS: usize = 40;
/// What each image with a shell has.
pub(super) const SHELL: &str = "/bin/sh";
/// Shells that let nobody in.
const NO_SHELLS: [&str; 2] = ["nologin", "false"];
/// Where an image has the inits that can be chosen by a word. The agent may stand at the first.
const SYSTEMD: [&str; 3] = ["/sbin/init", "/usr/lib/systemd/systemd", "/lib/systemd/systemd"];
const OPENRC: [&str; 2] = ["/sbin/init", "/sbin/openrc-init"];

/// An image's files.
pub(super) struct Contents(pub(super) Reader<File>);

impl Contents {
    /// Whether the image has an agent.
    pub(super) fn has_agent(&self) -> bool {
        self.0.lookup(paths::AGENT.as_bytes(), LastLink::Follow).is_ok()
    }

    /// The shell of the user, or of the one that the image's programs run as.
    pub(super) fn shell(&self, user: Option<&str>) -> String {
        let set = || self.guest()?.user;
        let own = || Some(Runtime::of_config(&self.read(paths::IMAGE)?).ok()?.user);
        let user = user.map(str::to_owned).or_else(set).or_else(own).unwrap_or_default();
        let passwd = self.read("/etc/passwd").and_then(|text| String::from_utf8(text).ok()).unwrap_or_default();
        let shell = shell_of(&passwd, &user);
        // One that is not there is of no use.
        let shell = shell.filter(|shell| self.0.lookup(shell.as_bytes(), LastLink::Follow).is_ok());
        shell.unwrap_or(SHELL).to_owned()
    }

    /// How the image is to boot with this init, if that is not how it boots anyway.
    pub(super) fn boot(&self, init: &Init) -> Result<Option<Boot>, Failure> {
        let own = self.guest().map(|guest| guest.boot);
        let mode = own.as_ref().map(|boot| boot.mode);
        let is_own = match init {
            Init::Auto => true,
            Init::None => mode == Some(BootMode::Workload),
            Init::Systemd => mode == Some(BootMode::Systemd),
            Init::Openrc => mode == Some(BootMode::Openrc),
            Init::Path(path) => own.is_some_and(|boot| boot.init.as_ref() == Some(path) && boot.args.is_empty()),
        };
        if is_own {
            return Ok(None);
        }
        let places: &[&str] = match init {
            Init::Auto => return Ok(None),
            Init::None => return Ok(Some(Boot::workload("--init none: the image's command runs".to_owned()))),
            Init::Systemd => &SYSTEMD,
            Init::Openrc => &OPENRC,
            Init::Path(path) => &[path],
        };
        for place in places {
            let Some(name) = self.program(place) else { continue };
            let mode = match &*name {
                b"systemd" => BootMode::Systemd,
                b"openrc-init" => BootMode::Openrc,
                _ if matches!(init, Init::Path(_)) => BootMode::Init,
                _ => continue,
            };
            let why = format!("--init {init}: there is {place}");
            let (init, args) = (Some((*place).to_owned()), Vec::new());
            return Ok(Some(Boot { mode, why, init, args, entrypoint: false }));
        }
        let what = format!("the image has no init {init}; looked for {}", places.join(", "));
        Err(Failure::new(Exit::Usage, what)
            .hint("an image is prepared for its init when it is built: build or pull it again with this --init")
            .hint(
                "--init auto takes the one that the image was built for, --init none runs its command without an init",
            ))
    }

    /// The name of the program that a path leads to, unless that is the agent.
    fn program(&self, path: &str) -> Option<Vec<u8>> {
        let reader = &self.0;
        let inode = reader.lookup(path.as_bytes(), LastLink::Follow).ok()?;
        let stat = reader.stat(inode).ok()?;
        let is_agent = reader.lookup(paths::AGENT.as_bytes(), LastLink::Follow).is_ok_and(|agent| agent == inode);
        if stat.file_type != FileType::Regular || stat.mode & 0o111 == 0 || stat.size == 0 || is_agent {
            return None;
        }
        let mut path = path.as_bytes().to_vec();
        for _ in 0..LINKS {
            let end = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash.saturating_add(1));
            let found = reader.lookup(&path, LastLink::Keep).ok()?;
            if reader.stat(found).ok()?.file_type != FileType::Symlink {
                return Some(path.split_off(end));
            }
            let target = reader.read_link(found).ok()?;
            // A link that is not absolute goes on from its own directory.
            path.truncate(if target.starts_with(b"/") { 0 } else { end });
            path.extend(target);
        }
        None
    }

    /// What was decided and set when the image was built.
    pub(super) fn guest(&self) -> Option<Guest> {
        serde_json::from_slice(&self.read(paths::GUEST)?).ok()
    }

    /// The content of a file that says something.
    pub(super) fn read(&self, path: &str) -> Option<Vec<u8>> {
        let inode = self.0.lookup(path.as_bytes(), LastLink::Follow).ok()?;
        if self.0.stat(inode).ok()?.size > FILE_BYTES {
            return None;
        }
        let mut content = Vec::new();
        self.0.copy_to(inode, &mut content).ok()?;
        Some(content)
    }
}

/// The shell that passwd(5) has for a user, as an image's config names it; root where it names none.
fn shell_of<'a>(passwd: &'a str, user: &str) -> Option<&'a str> {
    let user = user.split(':').next().filter(|user| !user.is_empty()).unwrap_or("0");
    let column = if user.parse::<u32>().is_ok() { 2 } else { 0 };
    let mut accounts = passwd.lines().map(|line| line.trim().split(':').collect::<Vec<_>>());
    let account = accounts.find(|fields| fields.get(column) == Some(&user))?;
    let is_shell = |shell: &&str| {
        let name = shell.rsplit('/').next().unwrap_or_default();
        shell.starts_with('/') && !NO_SHELLS.contains(&name)
    };
    account.get(6).copied().filter(is_shell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_is_that_of_the_user() {
        let passwd = "a:x:1:0::/:/bin/a\ntoor:x:0:0::/root:/bin/ash\nroot:x:0:0::/root:/bin/bash\n\
            app:x:1000:1000::/home/app:/bin/zsh\ndaemon:x:2:2::/:/usr/sbin/nologin\n";
        for (passwd, user, shell) in [
            ("root:x:0:0:root:/root:/bin/bash\n", "", Some("/bin/bash")),
            (passwd, "", Some("/bin/ash")),
            (passwd, "root", Some("/bin/bash")),
            (passwd, "1000:44", Some("/bin/zsh")),
            (passwd, "app:", Some("/bin/zsh")),
            (passwd, ":wheel", Some("/bin/ash")),
            (passwd, "daemon", None),
            (passwd, "4711", None),
            ("root:x:0:0:root:/root:\n", "", None),
            ("root:x:0:0:root:/root\n", "", None),
            ("", "", None),
        ] {
            assert_eq!(shell_of(passwd, user), shell, "{passwd} {user}");
        }
    }
}
