//! Paths: from names to an inode, through symbolic links, never out of the image.

use super::{Error, Reader, Source};
use crate::spec::{FileType, NAME_MAX, inode_number};

/// Symbolic links that one path may lead through, as in Linux (`MAXSYMLINKS`).
const LINKS_MAX: u32 = 40;

/// What to do if the last name of a path is a symbolic link. (Links before the last name are always followed.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastLink {
    /// Take what it leads to.
    Follow,
    /// Take the link itself. (A path that ends in a slash follows all the same.)
    Keep,
}

impl<S: Source> Reader<S> {
    /// The inode at `path`, which begins at the root of the image whether it has a leading slash or not.
    ///
    /// Absolute targets of symbolic links begin at the root of the image too, and `..` stops there.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotADirectory`], [`Error::TooManyLinks`]; any other [`Error`] if something on the
    /// way is damaged.
    pub fn lookup(&self, path: &[u8], last: LastLink) -> Result<u32, Error> {
        let whole = || path.to_vec();
        let mut todo = Vec::new();
        push_names(&mut todo, path);
        let mut current = inode_number::ROOT;
        let mut links = 0_u32;
        while let Some(name) = todo.pop() {
            if self.stat(current)?.file_type != FileType::Directory {
                return Err(Error::NotADirectory { path: whole() });
            }
            if name == b"." || (name == b".." && current == inode_number::ROOT) {
                continue;
            }
            let found = if name.len() > NAME_MAX { None } else { self.find(current, &name)? };
            let Some(inode) = found else {
                return Err(Error::NotFound { path: whole() });
            };
            let follow = !todo.is_empty() || last == LastLink::Follow;
            if !follow || self.stat(inode)?.file_type != FileType::Symlink {
                current = inode;
                continue;
            }
            links = links.saturating_add(1);
            if links > LINKS_MAX {
                return Err(Error::TooManyLinks { path: whole() });
            }
            let target = self.read_link(inode)?;
            if target.starts_with(b"/") {
                current = inode_number::ROOT;
            }
            push_names(&mut todo, &target);
        }
        Ok(current)
    }
}

/// Puts the names of a path on the stack of those to do, the first one on top. A slash at the end counts as a name of
/// `.`, which demands a directory.
fn push_names(todo: &mut Vec<Vec<u8>>, path: &[u8]) {
    if path.ends_with(b"/") {
        todo.push(b".".to_vec());
    }
    let names = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty());
    todo.extend(names.rev().map(<[u8]>::to_vec));
}
