//! What a module says of itself: the section `.modinfo` of an ELF file (elf(5)), a list of `KEY=VALUE`, each with a NUL behind it
//! (`MODULE_INFO` in the kernel's include/linux/module.h).
//!
//! Any bytes end in a list or in nothing.

use std::path::Path;

use crate::error::{Error, Result};

const MAGIC: &[u8] = b"\x7fELF";
const SECTION: &[u8] = b".modinfo";

/// Where an ELF file of 32 or 64 bits has what.
struct Layout {
    /// Of the file header: offset of the section headers, their size, their number, the section with their names.
    sections: usize,
    section_bytes: usize,
    section_count: usize,
    names: usize,
    /// Of a section header: offset and size of the section.
    offset: usize,
    size: usize,
    /// Bytes of an offset.
    word: usize,
}

const BITS_32: Layout =
    Layout { sections: 32, section_bytes: 46, section_count: 48, names: 50, offset: 16, size: 20, word: 4 };
const BITS_64: Layout =
    Layout { sections: 40, section_bytes: 58, section_count: 60, names: 62, offset: 24, size: 32, word: 8 };

/// What a module says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Info {
    /// Each key with its value, in their order.
    pub(crate) fields: Vec<(String, String)>,
}

impl Info {
    /// Of the module with these bytes. `path` is what errors call it.
    pub(crate) fn of(module: &[u8], path: &Path) -> Result<Self> {
        let section = section(module).ok_or_else(|| Error::module(path, "it has no section .modinfo"))?;
        Ok(Self::parse(section))
    }

    /// Reads a list of fields.
    pub(crate) fn parse(section: &[u8]) -> Self {
        let fields = section.split(|&byte| byte == 0).filter_map(|field| {
            let (key, value) = std::str::from_utf8(field).ok()?.split_once('=')?;
            // A newline would end a line of what is made of it.
            (!value.contains('\n')).then(|| (key.to_owned(), value.to_owned()))
        });
        Self { fields: fields.collect() }
    }

    /// All values of a key.
    pub(crate) fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The kernel that it is for.
    pub(crate) fn version(&self) -> Option<&str> {
        self.all("vermagic").next()?.split(' ').next()
    }

    /// Names of the modules that must be loaded before it. `None` where it does not say so; every module does.
    pub(crate) fn depends(&self) -> Option<Vec<String>> {
        let mut lists = self.all("depends").peekable();
        lists.peek()?;
        Some(lists.flat_map(|names| names.split(',')).filter(|name| !name.is_empty()).map(normal).collect())
    }
}

/// A module's name as it is compared: `-` and `_` are the same in it.
pub(crate) fn normal(name: &str) -> String {
    name.replace('-', "_")
}

/// The section `.modinfo` of an ELF file; `None` where there is none, or it is no such file.
fn section(elf: &[u8]) -> Option<&[u8]> {
    let layout = match (elf.get(..4)?, elf.get(4)?) {
        (MAGIC, 1) => BITS_32,
        (MAGIC, 2) => BITS_64,
        _ => return None,
    };
    let big = *elf.get(5)? == 2;
    let number = |at: usize, length: usize| {
        let bytes = elf.get(at..at.checked_add(length)?)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        let value = if big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) };
        usize::try_from(value).ok()
    };
    let (sections, size) = (number(layout.sections, layout.word)?, number(layout.section_bytes, 2)?);
    let header = |index: usize| sections.checked_add(index.checked_mul(size)?);
    let bytes_of = |header: usize| {
        let start = number(header.checked_add(layout.offset)?, layout.word)?;
        elf.get(start..start.checked_add(number(header.checked_add(layout.size)?, layout.word)?)?)
    };
    let names = bytes_of(header(number(layout.names, 2)?)?)?;
    (0..number(layout.section_count, 2)?).filter_map(header).find_map(|header| {
        let name = names.get(number(header, 4)?..)?;
        let name = name.split(|&byte| byte == 0).next()?;
        (name == SECTION).then(|| bytes_of(header)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{elf, module};

    #[test]
    fn fields_are_read_in_their_order() {
        let info =
            Info::parse(b"license=GPL\0alias=pci:v*\0alias=a=b\0depends=\0junk\0vermagic=6.1.0 SMP mod_unload \0");
        assert_eq!(info.all("alias").collect::<Vec<_>>(), ["pci:v*", "a=b"]);
        assert_eq!(info.version(), Some("6.1.0"));
        assert_eq!(info.all("junk").next(), None);
    }

    #[test]
    fn dependencies_are_read() {
        for (info, expected) in [
            (&b"license=GPL\0depends=virtio-ring,virtio\0name=virtio_blk\0"[..], Some(&["virtio_ring", "virtio"][..])),
            (b"depends=\0", Some(&[])),
            (b"name=x\0", None),
        ] {
            let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
            assert_eq!(Info::parse(info).depends(), expected);
        }
    }

    #[test]
    fn modules_of_each_machine_are_read() {
        for (bits, big) in [(32, false), (32, true), (64, false), (64, true)] {
            assert_eq!(section(&elf(bits, big, b"depends=\0")), Some(&b"depends=\0"[..]), "{bits} {big}");
        }
    }

    #[test]
    fn what_is_no_module_is_none() {
        let mut elf = vec![0; 64];
        assert_eq!(section(&elf), None);
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        assert_eq!(section(&elf), None);
        // Section headers beyond the end, and numbers that overflow.
        for byte in 6..64 {
            let mut elf = elf.clone();
            elf[byte] = 0xff;
            assert_eq!(section(&elf), None);
        }
        elf[6..].fill(0xff);
        assert_eq!(section(&elf), None);
        assert_eq!(section(b"\x7fELF"), None);
        assert_eq!(section(b"#!/bin/sh"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_end(
            class in 1..=2u8,
            order in 1..=2u8,
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            info in prop::collection::vec(any::<u8>(), 0..60),
            at in 0..200usize,
            byte: u8,
        ) {
            let _ = section(&[MAGIC, &[class, order], &bytes].concat());
            let _ = Info::parse(&info).depends();
            let mut module = module(&info);
            if let Some(place) = module.get_mut(at) {
                *place = byte;
            }
            let _ = section(&module);
        }
    }
}
