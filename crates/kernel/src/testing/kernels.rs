//! Small kernels and what belongs to them: files that are what they should be, as far as anybody looks before they are started.

/// A bzImage for 64 bits of that version: the header of the Linux/x86 boot protocol, version 2.15, and the text that it leads to.
pub(crate) fn bzimage(version: &str) -> Vec<u8> {
    let mut image = vec![0; 0x800];
    image[0x1fe..0x200].copy_from_slice(&0xaa55_u16.to_le_bytes());
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
    image[0x20e..0x210].copy_from_slice(&0x200_u16.to_le_bytes());
    image[0x236] = 1;
    let text = format!("{version} (me@here) #1 SMP");
    image[0x400..0x400 + text.len()].copy_from_slice(text.as_bytes());
    image
}

/// An Image for arm64 of that version.
pub(crate) fn image(version: &str) -> Vec<u8> {
    let mut image = vec![0; 0x400];
    image[0x38..0x3c].copy_from_slice(b"ARM\x64");
    image.extend_from_slice(format!("Linux version {version} (me@here) (gcc) #1 SMP\n\0").as_bytes());
    image
}

/// An initial RAM disk: a cpio archive (newc) with nothing but its end.
pub(crate) fn cpio() -> Vec<u8> {
    let mut archive = b"070701".to_vec();
    for number in [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0] {
        archive.extend_from_slice(format!("{number:08x}").as_bytes());
    }
    archive.extend_from_slice(b"TRAILER!!!\0\0\0\0");
    archive
}

/// A module of a kernel of that version, which needs these others: an ELF file with the section `.modinfo`.
pub(crate) fn module(version: &str, depends: &str) -> Vec<u8> {
    let names = b"\0.shstrtab\0.modinfo\0";
    let info = format!("license=GPL\0depends={depends}\0vermagic={version} SMP mod_unload \0");
    let table = 64 + names.len() + info.len();
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    // A relocatable file for amd64.
    file.extend([1, 0, 62, 0, 1, 0, 0, 0]);
    file.resize(40, 0);
    file.extend((table as u64).to_le_bytes());
    file.resize(52, 0);
    // Sizes of headers, the sections, and which of them has the names.
    file.extend([64, 0, 0, 0, 0, 0, 64, 0, 3, 0, 1, 0]);
    file.extend_from_slice(names);
    file.extend_from_slice(info.as_bytes());
    file.resize(table + 64, 0);
    for (name, kind, offset, size) in [(1_u32, 3_u32, 64, names.len()), (11, 1, 64 + names.len(), info.len())] {
        let end = file.len() + 64;
        file.extend(name.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.resize(file.len() + 16, 0);
        file.extend((offset as u64).to_le_bytes());
        file.extend((size as u64).to_le_bytes());
        file.resize(end, 0);
    }
    file
}
