//! The machine's id (machine-id(5)), where an image without systemd has room for one: an empty /etc/machine-id.
//!
//! The guest layer empties the file, so that machines of one image do not share it. systemd fills it by itself; other inits do not.

use std::fs;
use std::io;
use std::path::Path;

use crate::file;

const MACHINE_ID: &str = "etc/machine-id";
/// D-Bus has an id of its own, which must be the same.
const DBUS: &str = "var/lib/dbus/machine-id";
/// Makes a random UUID at each reading.
const UUID: &str = "proc/sys/kernel/random/uuid";

/// Bytes of these files, with room for what makes no sense.
const BYTES: u64 = 4096;
/// Digits of an id.
const DIGITS: usize = 32;

/// Fills /etc/machine-id below `root` with an id, if it is an empty file.
///
/// # Errors
/// It cannot be read or written.
pub(crate) fn fill(root: &Path) -> io::Result<()> {
    let path = root.join(MACHINE_ID);
    match fs::symlink_metadata(&path) {
        // A link is the image's own way.
        Ok(metadata) if !metadata.is_file() => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    if !file::read_at_most(&path, BYTES)?.trim_ascii().is_empty() {
        return Ok(());
    }
    let of_dbus = file::read_at_most(&root.join(DBUS), BYTES).ok().and_then(|content| parse(&content));
    let id = match of_dbus {
        Some(id) => id,
        None => parse(&fs::read(root.join(UUID))?).ok_or(io::ErrorKind::InvalidData)?,
    };
    file::replace(&path, format!("{id}\n").as_bytes(), 0o444)
}

/// An id in lower case and without the dashes of a UUID.
fn parse(text: &[u8]) -> Option<String> {
    let digits: String = String::from_utf8_lossy(text).trim().chars().filter(|&c| c != '-').collect();
    let valid =
        digits.len() == DIGITS && digits.chars().all(|c| c.is_ascii_hexdigit()) && digits.chars().any(|c| c != '0');
    valid.then(|| digits.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for directory in ["etc", "var/lib/dbus", "proc/sys/kernel/random"] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        fs::write(root.path().join(UUID), "0ABC1234-0000-4000-8000-00000000000f\n").unwrap();
        root
    }

    const RANDOM: &str = "0abc123400004000800000000000000f\n";
    const OTHER: &str = "00112233445566778899aabbccddeeff\n";

    #[test]
    fn an_empty_id_is_filled_and_another_stays() {
        for (content, dbus, expected) in [
            (None, None, None),
            (Some(""), None, Some(RANDOM)),
            (Some("\n"), None, Some(RANDOM)),
            (Some(""), Some("nonsense\n"), Some(RANDOM)),
            (Some(""), Some("00000000000000000000000000000000\n"), Some(RANDOM)),
            (Some(""), Some(OTHER), Some(OTHER)),
            (Some(OTHER), None, Some(OTHER)),
        ] {
            let root = root();
            let path = root.path().join(MACHINE_ID);
            if let Some(content) = content {
                fs::write(&path, content).unwrap();
            }
            if let Some(dbus) = dbus {
                fs::write(root.path().join(DBUS), dbus).unwrap();
            }
            fill(root.path()).unwrap();
            assert_eq!(fs::read_to_string(&path).ok().as_deref(), expected, "{content:?} {dbus:?}");
        }
    }

    #[test]
    fn a_link_is_left_to_the_image() {
        let root = root();
        std::os::unix::fs::symlink("/var/lib/dbus/machine-id", root.path().join(MACHINE_ID)).unwrap();
        fill(root.path()).unwrap();
        assert!(root.path().join(MACHINE_ID).is_symlink());
    }
}
