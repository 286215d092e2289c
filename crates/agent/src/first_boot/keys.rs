//! SSH keys: who may log in as root, and by what the server is known.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use super::{FirstBootError, packages};
use crate::{file, users};

/// Bytes of an `authorized_keys` that is added to.
const AUTHORIZED_KEYS: u64 = 4 << 20;

/// Adds to root's `authorized_keys` the lines that it does not have.
///
/// # Errors
/// They cannot be read or written.
pub(super) fn authorize(root: &Path, keys: &[String]) -> io::Result<()> {
    let keys: Vec<&str> =
        keys.iter().map(|key| key.trim()).filter(|key| !key.is_empty() && !key.contains('\n')).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let home = users::look_up(root, None).map_or_else(|_| "/root".to_owned(), |user| user.home);
    let home = if home == "/" { "/root".to_owned() } else { home };
    let directory = root.join(home.trim_start_matches('/')).join(".ssh");
    let path = directory.join("authorized_keys");
    let mut content = match file::read_at_most(&path, AUTHORIZED_KEYS) {
        Ok(content) => String::from_utf8_lossy(&content).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let known: Vec<&str> = content.lines().map(str::trim).collect();
    let missing: Vec<&str> = keys.into_iter().filter(|key| !known.contains(key)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !content.is_empty() && !content.ends_with('\n') {
        content.push('\n');
    }
    for key in missing {
        content.push_str(key);
        content.push('\n');
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    // The server takes no keys that others could have written.
    fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
    file::replace(&path, content.as_bytes(), 0o600)
}

/// Has host keys made where there are none.
///
/// # Errors
/// `ssh-keygen` failed.
pub(super) fn make_host_keys(root: &Path) -> Result<(), FirstBootError> {
    if has_host_keys(&root.join("etc/ssh")) {
        return Ok(());
    }
    packages::program(root, "ssh-keygen", &["-A"])
}

fn has_host_keys(directory: &Path) -> bool {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(Result::ok).any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // An empty one is left over from a cut-off boot, and no key.
        name.starts_with("ssh_host_") && name.ends_with("_key") && entry.metadata().is_ok_and(|file| file.len() > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn keys_are_added_once_and_nobody_else_can_write_them() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("root/.ssh");
        let path = directory.join("authorized_keys");
        let keys = ["ssh-ed25519 AAAA one".to_owned(), "ssh-ed25519 BBBB two\n".to_owned(), " ".to_owned()];
        for _ in 0..2 {
            authorize(root.path(), &keys).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "ssh-ed25519 AAAA one\nssh-ed25519 BBBB two\n");
            assert_eq!((mode(&directory), mode(&path)), (0o700, 0o600));
        }
    }

    #[test]
    fn keys_that_are_there_stay_and_a_missing_newline_is_no_trap() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/passwd"), "root:x:0:0::/home/admin:/bin/sh\n").unwrap();
        fs::create_dir_all(root.path().join("home/admin/.ssh")).unwrap();
        let path = root.path().join("home/admin/.ssh/authorized_keys");
        fs::write(&path, "ssh-rsa OLD\nssh-ed25519 AAAA one").unwrap();
        authorize(root.path(), &["ssh-ed25519 AAAA one".into(), "ssh-ed25519 CCCC".into()]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "ssh-rsa OLD\nssh-ed25519 AAAA one\nssh-ed25519 CCCC\n");
    }

    #[test]
    fn an_empty_key_is_no_key() {
        let directory = tempfile::tempdir().unwrap();
        for (name, content, expected) in [
            ("sshd_config", "x", false),
            ("ssh_host_rsa_key.pub", "x", false),
            ("ssh_host_rsa_key", "", false),
            ("ssh_host_ed25519_key", "x", true),
        ] {
            fs::write(directory.path().join(name), content).unwrap();
            assert_eq!(has_host_keys(directory.path()), expected, "{name}");
        }
    }
}
