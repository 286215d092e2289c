//! The config disk among the guest's disks ([`banger_protocol::disk`]).

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use banger_protocol::disk::{self, SECTOR};
use banger_protocol::limits::SETTINGS_BYTES;
use banger_protocol::settings::Machine;

/// Disks that are looked at.
const DISKS: usize = 64;

/// The settings on the first disk that has any; `None` where none has.
///
/// # Errors
/// There is a config disk, and it cannot be read or understood: in words.
pub(super) fn read(sys_block: &Path, dev: &Path) -> Result<Option<Machine>, String> {
    let mut names: Vec<_> = match fs::read_dir(sys_block) {
        Ok(entries) => entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect(),
        Err(_) => return Ok(None),
    };
    // What is made of memory or of other disks holds no settings.
    names.retain(|name| {
        !["loop", "ram", "zram", "dm-", "md", "nbd", "sr", "fd"].iter().any(|kind| name.starts_with(kind))
    });
    names.sort();
    for name in names.iter().take(DISKS) {
        if let Some(machine) = read_disk(&dev.join(name)).map_err(|error| format!("/dev/{name}: {error}"))? {
            return Ok(Some(machine));
        }
    }
    Ok(None)
}

fn read_disk(path: &Path) -> Result<Option<Machine>, Box<dyn std::error::Error>> {
    let mut sector = [0; SECTOR];
    let Ok(mut file) = File::open(path) else { return Ok(None) };
    match file.read_exact(&mut sector) {
        Ok(()) => {}
        // A disk without a sector, or one that cannot be read, tells nothing: whether it is needed, others find out.
        Err(_) => return Ok(None),
    }
    let Some(size) = disk::recognise(&sector) else { return Ok(None) };
    let mut content = Vec::new();
    let limit = size.min(SETTINGS_BYTES as u64);
    (&mut file).take(limit).read_to_end(&mut content).map_err(|error: io::Error| format!("reading it: {error}"))?;
    Ok(Some(disk::decode(size, &content)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Disks(tempfile::TempDir);

    impl Disks {
        fn new(disks: &[(&str, &[u8])]) -> Self {
            let directory = tempfile::tempdir().unwrap();
            for (name, content) in disks {
                fs::create_dir_all(directory.path().join("block").join(name)).unwrap();
                fs::write(directory.path().join(name), content).unwrap();
            }
            Self(directory)
        }

        fn read(&self) -> Result<Option<Machine>, String> {
            read(&self.0.path().join("block"), self.0.path())
        }
    }

    fn config(hostname: &str) -> Vec<u8> {
        disk::encode(&Machine { hostname: Some(hostname.into()), ..Machine::default() })
    }

    #[test]
    fn the_first_disk_that_is_one_counts() {
        let disks = Disks::new(&[
            ("loop0", &config("loop")),
            ("vda", &[0; 4096]),
            ("vdb", b"short"),
            ("vdd", &config("second")),
            ("vdc", &config("first")),
        ]);
        assert_eq!(disks.read().unwrap().unwrap().hostname.as_deref(), Some("first"));
        assert_eq!(Disks::new(&[("vda", &[0; 4096])]).read(), Ok(None));
        assert_eq!(read(Path::new("/no/such"), Path::new("/dev")), Ok(None));
    }

    #[test]
    fn a_config_disk_that_cannot_be_understood_is_told() {
        let mut damaged = config("name");
        damaged[SECTOR] = b'!';
        let error = Disks::new(&[("vdb", &damaged)]).read().unwrap_err();
        assert!(error.starts_with("/dev/vdb: banger/machine.json"), "{error}");
        let cut = &config("name")[..SECTOR + 4];
        assert!(Disks::new(&[("vdb", cut)]).read().unwrap_err().contains("ends before"));
    }
}
