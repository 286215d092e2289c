//! What the tests of this crate share: modules that say something of themselves.

use std::path::Path;

/// An ELF file of so many bits, with a table of names and this `.modinfo`; `big` for the most significant byte first.
pub(crate) fn elf(bits: usize, big: bool, info: &[u8]) -> Vec<u8> {
    let names = b"\0.shstrtab\0.modinfo\0";
    let word = bits / 8;
    let number = |value: usize, length: usize| {
        let mut bytes = value.to_le_bytes()[..length].to_vec();
        if big {
            bytes.reverse();
        }
        bytes
    };
    // The header of a file, and that of a section, with what stands before the fields that count.
    let (head, section) = if bits == 64 { (64, 64) } else { (52, 40) };
    let table = head + names.len() + info.len();
    let mut file = [b"\x7fELF", &[if bits == 64 { 2 } else { 1 }, if big { 2 } else { 1 }][..]].concat();
    file.resize(24 + 2 * word, 0);
    file.extend(number(table, word));
    file.resize(head - 6, 0);
    for value in [section, 2, 0] {
        file.extend(number(value, 2));
    }
    file.extend_from_slice(names);
    file.extend_from_slice(info);
    for (name, offset, size) in [(1, head, names.len()), (11, head + names.len(), info.len())] {
        let end = file.len() + section;
        file.extend(number(name, 4));
        // Type, flags and address are of no interest.
        file.extend(vec![0; 4 + 2 * word]);
        file.extend(number(offset, word));
        file.extend(number(size, word));
        file.resize(end, 0);
    }
    file
}

/// A module as those of most machines are.
pub(crate) fn module(info: &[u8]) -> Vec<u8> {
    elf(64, false, info)
}

/// Writes a module that needs these others.
pub(crate) fn write(path: &Path, depends: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, module(format!("depends={depends}\0vermagic=6.1.0 SMP\0").as_bytes())).unwrap();
}
