//! Extended attributes of an inode, as the system call would show them.

use super::{Error, Reader, Source};
use crate::spec::inode::flags;
use crate::spec::xattr::{self, XattrEntry, index};
use crate::spec::{SpecError, acl};

/// The name of the attribute that holds the rest of content in the inode: no attribute to those who look.
const INLINE_DATA_NAME: &[u8] = b"data";

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Xattr {
    /// The full name, such as `security.capability`.
    pub name: Vec<u8>,
    /// The value. ACLs have the form of system calls.
    pub value: Vec<u8>,
}

impl<S: Source> Reader<S> {
    /// The extended attributes of inode `number`, sorted by name.
    ///
    /// # Errors
    /// [`Error`] if the inode or its xattr block is damaged, or if it has an attribute that cannot be read.
    pub fn xattrs(&self, number: u32) -> Result<Vec<Xattr>, Error> {
        let loaded = self.load(number)?;
        let damaged = |block, source| match source {
            SpecError::Value { field: xattr::VALUE_INODE, .. } => {
                loaded.unsupported("an extended attribute in an inode of its own")
            }
            source => Error::Block { block, inode: Some(number), source },
        };
        let body = xattr::decode_body(&loaded.xattrs).map_err(|source| damaged(loaded.block, source))?;
        let place = loaded.inode.file_acl;
        let block = if place == 0 { None } else { Some(self.blocks.get(place, Some(number))?) };
        let in_block = match &block {
            Some(bytes) => xattr::decode_block(self.seed, place, bytes).map_err(|source| damaged(place, source))?,
            None => Vec::new(),
        };
        let inline = loaded.has_flag(flags::INLINE_DATA);
        let hidden = |entry: &XattrEntry<'_>| inline && entry.index == index::SYSTEM && entry.name == INLINE_DATA_NAME;
        let mut list = Vec::new();
        for entry in body.iter().chain(&in_block).filter(|entry| !hidden(entry)) {
            let Some(name) = xattr::full_name(entry.index, entry.name) else {
                return Err(loaded.unsupported("an extended attribute with an unknown prefix"));
            };
            let value = if matches!(entry.index, index::ACL_ACCESS | index::ACL_DEFAULT) {
                acl::from_disk(entry.value).map_err(|_| loaded.error("it has an ACL that is none"))?
            } else {
                entry.value.to_vec()
            };
            list.push(Xattr { name, value });
        }
        list.sort_unstable();
        Ok(list)
    }
}
