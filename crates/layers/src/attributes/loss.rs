//! What of the files' attributes an image cannot have.

use std::collections::BTreeMap;
use std::fmt;

use crate::path::Shown;

/// A kind of attribute that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LossKind {
    /// `SCHILY.acl.ace`: an ACL of NFSv4, which ext4 does not have.
    Nfs4Acl,
    /// `SCHILY.fflags`: what `chattr` or `chflags` set.
    FileFlags,
    /// `MSWINDOWS.*`: security descriptors and attributes of Windows.
    Windows,
    /// An extended attribute in a namespace that Linux does not have, or that a file system keeps to itself.
    Namespace,
    /// An ACL that cannot be read. The owning group of its file gets no rights: how many it had is not known.
    UnreadableAcl,
    /// A default ACL that cannot be read.
    UnreadableDefault,
    /// An entry of an ACL for a user or group that the image does not have.
    UnknownName,
    /// An ACL of a symbolic link.
    AclOfLink,
    /// A default ACL of something that is not a directory.
    DefaultAclOfFile,
}

impl LossKind {
    fn what(self) -> &'static str {
        match self {
            Self::Nfs4Acl => "NFSv4 ACLs",
            Self::FileFlags => "file flags",
            Self::Windows => "attributes of Windows",
            Self::Namespace => "extended attributes that an image cannot have",
            Self::UnreadableAcl => "ACLs that cannot be read, with the rights of the owning group",
            Self::UnreadableDefault => "default ACLs that cannot be read",
            Self::UnknownName => "ACL entries for users or groups that the image does not have",
            Self::AclOfLink => "ACLs, which symbolic links cannot have",
            Self::DefaultAclOfFile => "default ACLs, which only directories can have",
        }
    }
}

/// What is left out of one kind, and of how many files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What it is.
    pub kind: LossKind,
    /// How many files have lost such a thing.
    pub files: u64,
    /// The path of the first of them.
    pub path: Shown,
    /// What that one has lost.
    pub detail: Shown,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, files, path, detail } = self;
        let what = kind.what();
        match files {
            1 => write!(f, "left out of \"{path}\": {what} ({detail})"),
            _ => write!(f, "left out of {files} files, the first is \"{path}\": {what} ({detail})"),
        }
    }
}

/// Counts losses.
#[derive(Debug, Default)]
pub(super) struct Losses(BTreeMap<LossKind, Loss>);

impl Losses {
    /// Counts one file; `path` gives its path, for the first of each kind.
    pub(super) fn add(&mut self, kind: LossKind, detail: &[u8], path: impl FnOnce() -> Vec<u8>) {
        let first = || Loss { kind, files: 0, path: Shown::new(&path()), detail: Shown::new(detail) };
        self.0.entry(kind).or_insert_with(first).files += 1;
    }

    pub(super) fn into_vec(self) -> Vec<Loss> {
        self.0.into_values().collect()
    }
}
