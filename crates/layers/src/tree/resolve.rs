//! Following paths and symlinks inside the tree.
//!
//! The image's root is the root of everything: an absolute target starts there, and `..` in the root stays there, as
//! for a process in a chroot. There is no way out, because there is nothing outside.

use super::{Body, DirentId, InodeId, Tree};
use crate::limits;
use crate::path;

/// A directory, with what it took to get there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) dir: InodeId,
    /// Directories between it and the root, itself counted.
    pub(crate) depth: u32,
    /// Symlinks followed so far.
    pub(crate) hops: u32,
    /// Whether the way stays right as long as nothing on it goes. It does not when it passed a missing name: that name
    /// may come.
    pub(crate) lasting: bool,
}

/// Where a component leads.
#[derive(Debug)]
pub(crate) enum Entered {
    /// To a directory.
    Directory(Place),
    /// To nothing.
    Missing {
        /// The last directory that exists.
        last: Place,
        /// What is missing below it.
        names: Vec<Vec<u8>>,
    },
}

/// Why a component does not lead on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// There is something else than a directory.
    NotDirectory(DirentId),
    /// This symlink is one too many.
    TooManyLinks(DirentId),
    /// The caller's budget of steps is spent.
    TooManySteps,
}

/// What becomes of a component that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Nothing can be found behind it.
    Final,
    /// It can be created. A `..` behind it in a symlink's target takes it back unseen: nothing is created for it.
    Creatable,
}

/// Why a path leads to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// A component, or what a symlink leads to, is not there.
    #[error("no such file or directory")]
    NotFound,
    /// Something that is no directory stands where one is needed.
    #[error("not a directory")]
    NotDirectory,
    /// More than [`limits::SYMLINK_HOPS`] symlinks.
    #[error("too many levels of symbolic links")]
    TooManyLinks,
}

/// How a way ended.
enum End {
    Directory(Place),
    Other(DirentId),
    Missing(Place),
}

/// A way through the tree that is being followed.
struct Way<'t> {
    tree: &'t Tree,
    at: Place,
    /// What is to be followed: the rest of the path and of every symlink's target on the way, the innermost last.
    rest: Vec<&'t [u8]>,
    /// Names below `at` that do not exist.
    missing: Vec<&'t [u8]>,
}

impl Tree {
    /// The inode that a path leads to, seen from the root, following symlinks, the last component's too.
    ///
    /// # Errors
    /// [`LookupError`], as the kernel would say it of the same path in a chroot.
    pub fn lookup(&self, path: &[u8]) -> Result<InodeId, LookupError> {
        // 40 hops of 4,095 bytes are an end of their own.
        let mut unlimited = u64::MAX;
        let mut way = Way { tree: self, at: self.top(), rest: vec![path], missing: Vec::new() };
        match way.follow(Missing::Final, &mut unlimited) {
            Ok(End::Directory(place)) => Ok(place.dir),
            Ok(End::Other(id)) => Ok(self.target(id)),
            Ok(End::Missing(_)) => Err(LookupError::NotFound),
            Err(Blocked::NotDirectory(_)) => Err(LookupError::NotDirectory),
            Err(Blocked::TooManyLinks(_) | Blocked::TooManySteps) => Err(LookupError::TooManyLinks),
        }
    }

    /// The root, where every way starts.
    pub(crate) fn top(&self) -> Place {
        Place { dir: self.root(), depth: 0, hops: 0, lasting: true }
    }

    /// One component further, through symlinks if need be. `name` is a real name, neither `.` nor `..`.
    pub(crate) fn enter(
        &self,
        from: Place,
        name: &[u8],
        missing: Missing,
        steps: &mut u64,
    ) -> Result<Entered, Blocked> {
        // Nearly always it is a directory.
        if let Some(id) = self.find(from.dir, name)
            && let Body::Directory { .. } = self.slot(self.target(id)).body
        {
            *steps = steps.checked_sub(1).ok_or(Blocked::TooManySteps)?;
            return Ok(Entered::Directory(Place { dir: self.target(id), depth: from.depth + 1, ..from }));
        }
        let mut way = Way { tree: self, at: from, rest: vec![name], missing: Vec::new() };
        match way.follow(missing, steps)? {
            End::Directory(place) => Ok(Entered::Directory(place)),
            End::Missing(last) => {
                let names = way.missing.into_iter().map(<[u8]>::to_vec).collect();
                Ok(Entered::Missing { last, names })
            }
            End::Other(id) => Err(Blocked::NotDirectory(id)),
        }
    }
}

impl<'t> Way<'t> {
    fn follow(&mut self, missing: Missing, steps: &mut u64) -> Result<End, Blocked> {
        while let Some(name) = self.next_component() {
            *steps = steps.checked_sub(1).ok_or(Blocked::TooManySteps)?;
            if name == b".." {
                if self.missing.pop().is_some() {
                    self.at.lasting = false;
                } else {
                    self.at.dir = self.tree.parent(self.at.dir);
                    self.at.depth = self.at.depth.saturating_sub(1);
                }
                continue;
            }
            if !self.missing.is_empty() {
                self.missing.push(name);
                continue;
            }
            let Some(id) = self.tree.find(self.at.dir, name) else {
                self.missing.push(name);
                if missing == Missing::Final {
                    return Ok(End::Missing(self.at));
                }
                continue;
            };
            let inode = self.tree.target(id);
            match self.tree.slot(inode).body {
                Body::Directory { .. } => {
                    self.at.dir = inode;
                    self.at.depth += 1;
                }
                Body::Symlink { start, length } => {
                    if self.at.hops >= limits::SYMLINK_HOPS {
                        return Err(Blocked::TooManyLinks(id));
                    }
                    self.at.hops += 1;
                    let target = self.tree.text_at(start, length.into());
                    if target.starts_with(b"/") {
                        self.at.dir = self.tree.root();
                        self.at.depth = 0;
                    }
                    self.rest.push(target);
                }
                _ => {
                    if self.next_component().is_some() {
                        return Err(Blocked::NotDirectory(id));
                    }
                    return Ok(End::Other(id));
                }
            }
        }
        Ok(if self.missing.is_empty() { End::Directory(self.at) } else { End::Missing(self.at) })
    }

    fn next_component(&mut self) -> Option<&'t [u8]> {
        while let Some(text) = self.rest.last_mut() {
            if let Some((name, behind)) = path::split_first(text) {
                *text = behind;
                return Some(name);
            }
            self.rest.pop();
        }
        None
    }
}
