//! A tree as a list of facts, from a directory of the host or from an image, to be compared.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use banger_ext4::read::{Reader, Source};
use banger_ext4::spec::FileType;

/// What is compared of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) file_type: FileType,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) size: u64,
    pub(crate) mtime: (i64, u32),
    pub(crate) links: u64,
    /// crc32c of a file's content, or of a link's target.
    pub(crate) content: u32,
    pub(crate) device: Option<(u32, u32)>,
    /// The first path of the same inode.
    pub(crate) first: Vec<u8>,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

pub(crate) type Listing = BTreeMap<Vec<u8>, Facts>;

/// Lists a directory of the host: all below it.
pub(crate) fn of_directory(root: &Path) -> Listing {
    let mut listing = Listing::new();
    let mut firsts = HashMap::new();
    let mut pending = vec![Vec::new()];
    while let Some(path) = pending.pop() {
        let full = root.join(std::ffi::OsStr::from_bytes(&path));
        let metadata = std::fs::symlink_metadata(&full).unwrap();
        if metadata.is_dir() {
            let mut names: Vec<Vec<u8>> = std::fs::read_dir(&full)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().as_bytes().to_vec())
                .map(|name| if path.is_empty() { name } else { [&path[..], b"/", &name].concat() })
                .collect();
            names.sort_unstable_by(|one, other| other.cmp(one));
            pending.extend(names);
        }
        let kind = metadata.file_type();
        let is_device = kind.is_char_device() || kind.is_block_device();
        let device = metadata.rdev();
        let content = if kind.is_file() {
            crc32c::crc32c(&std::fs::read(&full).unwrap())
        } else if kind.is_symlink() {
            crc32c::crc32c(std::fs::read_link(&full).unwrap().as_os_str().as_bytes())
        } else {
            0
        };
        let first = firsts.entry(metadata.ino()).or_insert_with(|| path.clone()).clone();
        listing.insert(
            path,
            Facts {
                file_type: FileType::from_mode((metadata.mode() & 0o170_000) as u16).unwrap(),
                mode: metadata.mode() & 0o7777,
                owner: (metadata.uid(), metadata.gid()),
                size: if metadata.is_dir() { 0 } else { metadata.size() },
                mtime: (metadata.mtime(), metadata.mtime_nsec() as u32),
                links: metadata.nlink(),
                content,
                device: is_device.then(|| (rustix::fs::major(device), rustix::fs::minor(device))),
                first,
                xattrs: xattrs_of(&full),
            },
        );
    }
    listing
}

fn xattrs_of(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut names = vec![0; 65536];
    let len = rustix::fs::llistxattr(path, &mut names).unwrap();
    let mut list: Vec<_> = names[..len]
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 65536];
            let len = rustix::fs::lgetxattr(path, CString::new(name).unwrap(), &mut value).unwrap();
            (name.to_vec(), value[..len].to_vec())
        })
        .collect();
    list.sort_unstable();
    list
}

/// Lists an image, `lost+found` left out.
pub(crate) fn of_image<S: Source>(reader: &Reader<S>) -> Listing {
    let mut listing = Listing::new();
    let mut firsts = HashMap::new();
    for entry in reader.walk(2) {
        let entry = entry.unwrap();
        let (path, stat) = (entry.path, entry.stat);
        if path == b"lost+found" {
            continue;
        }
        let content = match stat.file_type {
            FileType::Regular => {
                let mut sum = Sum(0);
                assert_eq!(reader.copy_to(stat.number, &mut sum).unwrap(), stat.size);
                sum.0
            }
            FileType::Symlink => crc32c::crc32c(&reader.read_link(stat.number).unwrap()),
            _ => 0,
        };
        let first = firsts.entry(stat.number).or_insert_with(|| path.clone()).clone();
        let xattrs = reader.xattrs(stat.number).unwrap().into_iter().map(|xattr| (xattr.name, xattr.value)).collect();
        let facts = Facts {
            file_type: stat.file_type,
            mode: stat.mode.into(),
            owner: (stat.uid, stat.gid),
            size: if stat.file_type == FileType::Directory { 0 } else { stat.size },
            mtime: (stat.mtime.seconds, stat.mtime.nanoseconds),
            links: stat.links.into(),
            content,
            device: stat.device,
            first,
            xattrs,
        };
        assert!(listing.insert(path, facts).is_none());
    }
    listing
}

struct Sum(u32);

impl std::io::Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = crc32c::crc32c_append(self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Compares two listings path by path.
pub(crate) fn assert_same(got: &Listing, want: &Listing, what: &str) {
    for (path, facts) in want {
        let shown = path.escape_ascii();
        assert_eq!(got.get(path), Some(facts), "{what}: {shown}");
    }
    let more: Vec<String> =
        got.keys().filter(|path| !want.contains_key(*path)).map(|path| path.escape_ascii().to_string()).collect();
    assert!(more.is_empty(), "{what}: too many: {more:?}");
}
