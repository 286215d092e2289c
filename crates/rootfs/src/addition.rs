//! Files of the host as a layer: `--add`.
//!
//! A layer of its own, by the rules of any layer but one: a directory that the image has already, by whatever links, stays
//! as it is, for the host's idea of `/tmp` or `/lib` is not what was to be added ([`on_top_of`]).
//!
//! The tree below the source is walked in the order of its names. Kinds, modes, times, links, hard links and attributes
//! are kept; the owner is the one that was asked for, because ids of the host mean nothing in the image. The walk
//! also gives a digest of all that it saw, which is part of the content id.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use banger_layers::ContentSink;
use banger_layers::entry::{Entries, Entry, Kind, Time};
use banger_layers::tree::{Node, Tree};
use sha2::{Digest as _, Sha256};

use crate::content_id::hex;
use crate::entry_digest::account;
use crate::error::{Error, IoContext, LayerError};
use crate::options::Addition;

/// Bytes read from a file at a time.
const PIECE: usize = 256 << 10;

/// Attributes that mean something in an image: labels of the host's security modules and overlay's marks do not.
const KEPT_ATTRIBUTES: [&[u8]; 3] = [b"user.", b"security.capability", b"system.posix_acl_"];

/// Reads an addition: entries into a list, contents into `sink`. Returns the list and a digest of all that was read.
/// `advanced` gets the number of bytes of each piece of content.
pub(crate) fn read<S>(
    addition: &Addition,
    sink: &mut S,
    advanced: &dyn Fn(u64),
) -> Result<(Entries, String), LayerError>
where
    S: ContentSink<Error = banger_ext4::Error>,
{
    let metadata = addition.source.symlink_metadata().at("read", &addition.source).map_err(boxed)?;
    let target = target_path(addition).map_err(boxed)?;
    let mut walk = Walk {
        addition,
        sink,
        advanced,
        entries: Entries::new(),
        digest: Sha256::new(),
        names: HashMap::new(),
        piece: vec![0; PIECE],
    };
    walk.visit(&addition.source, &target, &metadata)?;
    Ok((walk.entries, format!("sha256:{}", hex(&walk.digest.finalize()))))
}

/// Bytes of content that will be read, where one look tells.
pub(crate) fn size(addition: &Addition) -> Option<u64> {
    let metadata = addition.source.symlink_metadata().ok()?;
    metadata.is_file().then_some(metadata.len())
}

/// Leaves out the directories that `tree` has already.
pub(crate) fn on_top_of(tree: &Tree, entries: &Entries) -> Result<Entries, banger_layers::Error> {
    let is_directory = |id| matches!(tree.inode(id).node, Node::Directory);
    let mut kept = Entries::new();
    for entry in entries.iter() {
        if entry.kind == Kind::Directory && tree.lookup(entry.path).is_ok_and(is_directory) {
            continue;
        }
        let attributes: Vec<_> = entries.xattrs(entry.xattrs).collect();
        let xattrs = kept.intern_xattrs(&attributes)?;
        kept.push(Entry { xattrs, ..entry })?;
    }
    Ok(kept)
}

/// The place in the image: a trailing `/` asks for the source's own name below it.
fn target_path(addition: &Addition) -> Result<Vec<u8>, Error> {
    let mut target = addition.target.clone();
    if !target.starts_with(b"/") {
        return Err(refused(&addition.source, "its place in the image must be an absolute path"));
    }
    if target.ends_with(b"/") && !addition.source.is_dir() {
        let name = addition.source.file_name().ok_or_else(|| refused(&addition.source, "it has no name"))?;
        target.extend_from_slice(name.as_bytes());
    }
    Ok(target)
}

struct Walk<'a, S> {
    addition: &'a Addition,
    sink: &'a mut S,
    advanced: &'a dyn Fn(u64),
    entries: Entries,
    digest: Sha256,
    /// The first name in the image of each inode with several names.
    names: HashMap<(u64, u64), Vec<u8>>,
    piece: Vec<u8>,
}

impl<S> Walk<'_, S>
where
    S: ContentSink<Error = banger_ext4::Error>,
{
    fn visit(&mut self, path: &Path, target: &[u8], metadata: &Metadata) -> Result<(), LayerError> {
        if path.file_name().is_some_and(|name| name.as_bytes().starts_with(b".wh.")) {
            return Err(boxed(refused(path, "a name that starts with .wh. would delete files of the image")));
        }
        let identity = (metadata.dev(), metadata.ino());
        if metadata.nlink() > 1 && !metadata.is_dir() {
            if let Some(first) = self.names.get(&identity).cloned() {
                return self.push(target, Kind::Hardlink { target: &first }, path, metadata);
            }
            self.names.insert(identity, target.to_vec());
        }
        let kind = metadata.file_type();
        if kind.is_dir() {
            self.push(target, Kind::Directory, path, metadata)?;
            self.visit_directory(path, target)
        } else if kind.is_file() {
            let (content, size) = self.copy(path)?;
            self.push(target, Kind::File { content, size }, path, metadata)
        } else if kind.is_symlink() {
            let link = std::fs::read_link(path).at("read the link", path).map_err(boxed)?;
            self.push(target, Kind::Symlink { target: link.as_os_str().as_bytes() }, path, metadata)
        } else if kind.is_fifo() {
            self.push(target, Kind::Fifo, path, metadata)
        } else if kind.is_socket() {
            self.push(target, Kind::Socket, path, metadata)
        } else {
            let (major, minor) = (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()));
            let device = if kind.is_char_device() {
                Kind::CharDevice { major, minor }
            } else {
                Kind::BlockDevice { major, minor }
            };
            self.push(target, device, path, metadata)
        }
    }

    fn visit_directory(&mut self, path: &Path, target: &[u8]) -> Result<(), LayerError> {
        let entries = std::fs::read_dir(path).at("list", path).map_err(boxed)?;
        let mut names: Vec<PathBuf> = Vec::new();
        for entry in entries {
            names.push(entry.at("list", path).map_err(boxed)?.file_name().into());
        }
        names.sort();
        for name in names {
            let below = path.join(&name);
            let metadata = below.symlink_metadata().at("read", &below).map_err(boxed)?;
            let mut target = target.to_vec();
            if !target.ends_with(b"/") {
                target.push(b'/');
            }
            target.extend_from_slice(name.as_os_str().as_bytes());
            self.visit(&below, &target, &metadata)?;
        }
        Ok(())
    }

    fn copy(&mut self, path: &Path) -> Result<(u32, u64), LayerError> {
        let mut file = File::open(path).at("open", path).map_err(boxed)?;
        let mut content = Sha256::new();
        let mut size = 0;
        self.sink.begin()?;
        loop {
            let count = file.read(&mut self.piece).at("read", path).map_err(boxed)?;
            let Some(bytes @ [_, ..]) = self.piece.get(..count) else { break };
            content.update(bytes);
            self.sink.write(bytes)?;
            size += count as u64;
            (self.advanced)(count as u64);
        }
        self.digest.update(content.finalize());
        Ok((self.sink.finish()?, size))
    }

    fn push(&mut self, target: &[u8], kind: Kind<'_>, path: &Path, metadata: &Metadata) -> Result<(), LayerError> {
        let attributes = attributes(path).map_err(boxed)?;
        let borrowed: Vec<(&[u8], &[u8])> = attributes.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let xattrs = self.entries.intern_xattrs(&borrowed).map_err(banger_layers::Error::from)?;
        let nanoseconds = u32::try_from(metadata.mtime_nsec()).unwrap_or(0);
        let entry = Entry {
            path: target,
            kind,
            // A mode has 12 bits; the upper ones of st_mode are the kind.
            mode: (metadata.mode() & 0o7777) as u16,
            uid: self.addition.uid,
            gid: self.addition.gid,
            mtime: Time { seconds: metadata.mtime(), nanoseconds },
            xattrs,
        };
        account(&mut self.digest, &entry, &borrowed);
        Ok(self.entries.push(entry).map_err(banger_layers::Error::from)?)
    }
}

/// Name and value of an extended attribute.
type Attribute = (Vec<u8>, Vec<u8>);

/// The attributes of a file that go into the image. A file system without attributes has none.
fn attributes(path: &Path) -> Result<Vec<Attribute>, Error> {
    let mut names = Vec::with_capacity(64 << 10);
    match rustix::fs::llistxattr(path, rustix::buffer::spare_capacity(&mut names)) {
        Ok(_) => {}
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("list the attributes of", path, error.into())),
    }
    let kept = |name: &&[u8]| KEPT_ATTRIBUTES.iter().any(|prefix| name.starts_with(prefix));
    names
        .split(|&byte| byte == 0)
        .filter(kept)
        .map(|name| {
            let mut value = Vec::with_capacity(64 << 10);
            let c_name = CString::new(name).map_err(|error| Error::io("name an attribute of", path, error.into()))?;
            rustix::fs::lgetxattr(path, &c_name, rustix::buffer::spare_capacity(&mut value))
                .map_err(|error| Error::io("read an attribute of", path, error.into()))?;
            Ok((name.to_vec(), value))
        })
        .collect()
}

fn refused(path: &Path, reason: &str) -> Error {
    Error::Addition { path: path.to_owned(), reason: reason.to_owned() }
}

fn boxed(error: Error) -> LayerError {
    LayerError::Addition(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_layers::xattr::XattrId;

    /// Keeps contents as they come.
    #[derive(Default)]
    struct Kept(Vec<Vec<u8>>);

    impl ContentSink for Kept {
        type Error = banger_ext4::Error;

        fn begin(&mut self) -> Result<(), Self::Error> {
            self.0.push(Vec::new());
            Ok(())
        }

        fn write(&mut self, data: &[u8]) -> Result<(), Self::Error> {
            self.0.last_mut().unwrap().extend_from_slice(data);
            Ok(())
        }

        fn skip(&mut self, length: u64) -> Result<(), Self::Error> {
            let last = self.0.last_mut().unwrap();
            last.resize(last.len() + length as usize, 0);
            Ok(())
        }

        fn finish(&mut self) -> Result<u32, Self::Error> {
            Ok(self.0.len() as u32 - 1)
        }
    }

    fn added(source: &Path, target: &str) -> Result<(Entries, Vec<Vec<u8>>, String), LayerError> {
        let addition =
            Addition { source: source.to_owned(), target: target.as_bytes().to_vec(), uid: 7, gid: u32::MAX };
        let mut contents = Kept::default();
        let read_bytes = std::cell::Cell::new(0);
        let (entries, digest) = read(&addition, &mut contents, &|bytes| read_bytes.set(read_bytes.get() + bytes))?;
        assert_eq!(read_bytes.get(), contents.0.iter().map(|content| content.len() as u64).sum::<u64>());
        assert!(size(&addition).is_none_or(|size| size == read_bytes.get()));
        Ok((entries, contents.0, digest))
    }

    fn paths(entries: &Entries) -> Vec<String> {
        entries.iter().map(|entry| String::from_utf8(entry.path.to_vec()).unwrap()).collect()
    }

    #[test]
    fn a_tree_comes_in_the_order_of_its_names_with_the_owner_asked_for() {
        let host = tempfile::tempdir().unwrap();
        std::fs::create_dir(host.path().join("b")).unwrap();
        std::fs::write(host.path().join("b/file"), b"content").unwrap();
        std::fs::write(host.path().join("a"), b"").unwrap();
        std::fs::hard_link(host.path().join("b/file"), host.path().join("c")).unwrap();
        std::os::unix::fs::symlink("/b/file", host.path().join("d")).unwrap();
        let (entries, contents, _) = added(host.path(), "/srv/data").unwrap();
        assert_eq!(
            paths(&entries),
            ["/srv/data", "/srv/data/a", "/srv/data/b", "/srv/data/b/file", "/srv/data/c", "/srv/data/d"]
        );
        let kinds: Vec<Kind<'_>> = entries.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds[3], Kind::File { content: 1, size: 7 });
        assert_eq!(kinds[4], Kind::Hardlink { target: b"/srv/data/b/file" });
        assert_eq!(kinds[5], Kind::Symlink { target: b"/b/file" });
        assert_eq!(contents, [&b""[..], b"content"]);
        assert!(entries.iter().all(|entry| (entry.uid, entry.gid) == (7, u32::MAX)));
    }

    #[test]
    fn a_file_takes_the_target_as_its_name_or_goes_below_it() {
        let host = tempfile::tempdir().unwrap();
        let file = host.path().join("motd");
        std::fs::write(&file, b"hello").unwrap();
        assert_eq!(paths(&added(&file, "/etc/issue").unwrap().0), ["/etc/issue"]);
        assert_eq!(paths(&added(&file, "/etc/").unwrap().0), ["/etc/motd"]);
    }

    #[test]
    fn directories_that_are_there_stay_as_they_are() {
        let host = tempfile::tempdir().unwrap();
        for name in ["lib", "new"] {
            std::fs::create_dir(host.path().join(name)).unwrap();
            std::fs::write(host.path().join(name).join("file"), b"").unwrap();
        }
        let mut image = Entries::new();
        let mtime = Time::default();
        let described = |path, kind| Entry { path, kind, mode: 0o755, uid: 0, gid: 0, mtime, xattrs: XattrId::EMPTY };
        image.push(described(b"usr/lib", Kind::Directory)).unwrap();
        image.push(described(b"lib", Kind::Symlink { target: b"usr/lib" })).unwrap();
        let mut tree = Tree::new(mtime);
        banger_layers::merge::apply(&mut tree, 0, &image).unwrap();
        let kept = on_top_of(&tree, &added(host.path(), "/").unwrap().0).unwrap();
        assert_eq!(paths(&kept), ["/lib/file", "/new", "/new/file"]);
    }

    #[test]
    fn the_digest_follows_content_and_metadata() {
        let host = tempfile::tempdir().unwrap();
        let file = host.path().join("a");
        std::fs::write(&file, b"one").unwrap();
        let digest = || added(host.path(), "/srv").unwrap().2;
        let before = digest();
        assert_eq!(digest(), before);
        let times = std::fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
        File::options().write(true).open(&file).unwrap().set_times(times).unwrap();
        let older = digest();
        assert_ne!(older, before);
        std::fs::write(&file, b"two").unwrap();
        File::options().write(true).open(&file).unwrap().set_times(times).unwrap();
        assert_ne!(digest(), older);
    }

    #[test]
    fn names_that_would_delete_are_refused() {
        let host = tempfile::tempdir().unwrap();
        std::fs::write(host.path().join(".wh.passwd"), b"").unwrap();
        let error = added(host.path(), "/etc").unwrap_err().to_string();
        assert!(error.contains(".wh.passwd"), "{error}");
        assert!(added(host.path(), "etc").unwrap_err().to_string().contains("absolute"));
    }
}
