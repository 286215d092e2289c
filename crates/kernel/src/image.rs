//! What kind of kernel a file is.
//!
//! - **bzImage** (x86): `HdrS` at 0x202, the Linux/x86 boot protocol (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header");
//!   it says its version, and whether it is one for 64 bits
//! - **Image** (arm64): `ARM\x64` at 0x38 (Documentation/arch/arm64/booting.rst, 4. Call the kernel image); that of riscv64 has
//!   `RSC\x05` there (Documentation/arch/riscv/boot-image-header.rst)
//! - **vmlinux**: an ELF program (elf(5)) with the kernel's banner in it: without that it would be any program
//!
//! Kernels of the last two say their version in their banner alone, `Linux version 6.1.0 (`, which is sought.
//! An Image that is compressed, by gzip or as EFI zboot (the kernel's drivers/firmware/efi/libstub/zboot-header.S), is
//! known too, but no kernel that a machine could be started from: [`import`](crate::import()) unpacks it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use banger_kmod::version::is_version;

use crate::error::{Error, Result};
use crate::limits::{KERNEL_BYTES, SEARCH_BYTES, SEGMENTS};
use crate::payload::Payload;
use crate::{looks, open};

/// How a kernel's file is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Compressed, with a program that unpacks it, as x86 has it.
    BzImage,
    /// The ELF program that the linker made.
    Vmlinux,
    /// As it is in memory, as arm64 and riscv64 have it.
    Image,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::BzImage, Self::Vmlinux, Self::Image];

    /// What a file of the kind is called where it has a fixed name.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::BzImage => "bzImage",
            Self::Vmlinux => "vmlinux",
            Self::Image => "Image",
        }
    }

    /// Its name in documents: `bzimage`, `vmlinux`, `image`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BzImage => "bzimage",
            Self::Vmlinux => "vmlinux",
            Self::Image => "image",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a file says of the kernel in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// How the file is made.
    pub format: Format,
    /// What it runs on, as image indexes name it: `amd64`, `arm64`.
    pub architecture: &'static str,
    /// What `uname -r` says with it, where it says so.
    pub version: Option<String>,
}

impl Image {
    /// Looks at a file.
    ///
    /// # Errors
    /// It is no regular file, cannot be read, or is no kernel; the error says what it is instead.
    pub fn of_file(path: &Path) -> Result<Self> {
        match look_at(path)? {
            Seen::Kernel(image) => Ok(image),
            Seen::Wrapped(payload) => Err(Error::Wrapped { path: path.to_owned(), wrapping: payload.wrapping() }),
        }
    }
}

/// What a file turned out to be.
pub(crate) enum Seen {
    Kernel(Image),
    Wrapped(Payload),
}

/// Looks at a file that is, or has in it, a kernel.
pub(crate) fn look_at(path: &Path) -> Result<Seen> {
    let (file, length) = open::file(path)?;
    if length > KERNEL_BYTES {
        return Err(Error::limit(path, KERNEL_BYTES, "bytes"));
    }
    let head = open::head(&file, path)?;
    let not_a_kernel = || Error::NotAKernel { path: path.to_owned(), looks: looks::like(&head) };
    let (format, architecture) = match recognise(&head, length) {
        Recognised::BzImage { architecture, version } => {
            return Ok(Seen::Kernel(Image { format: Format::BzImage, architecture, version }));
        }
        Recognised::Image { architecture } => (Format::Image, architecture),
        Recognised::Elf { architecture } => (Format::Vmlinux, architecture),
        Recognised::Wrapped(payload) => return Ok(Seen::Wrapped(payload)),
        Recognised::Damaged(reason) => return Err(Error::damaged(path, reason)),
        Recognised::Other => return Err(not_a_kernel()),
    };
    let version = banner(At { file: &file, at: 0 }.take(SEARCH_BYTES)).map_err(Error::io("read", path))?;
    if format == Format::Vmlinux && version.is_none() {
        return Err(not_a_kernel());
    }
    Ok(Seen::Kernel(Image { format, architecture, version }))
}

/// What the first bytes of a file say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recognised {
    BzImage {
        architecture: &'static str,
        version: Option<String>,
    },
    Image {
        architecture: &'static str,
    },
    /// A program that may be a kernel.
    Elf {
        architecture: &'static str,
    },
    Wrapped(Payload),
    /// One of these, but not all of it.
    Damaged(&'static str),
    Other,
}

/// Says what a file of `length` bytes with this beginning is.
pub(crate) fn recognise(head: &[u8], length: u64) -> Recognised {
    if bytes(head, bzimage::MAGIC.0) == Some(bzimage::MAGIC.1) && u16_at(head, bzimage::BOOT_FLAG) == Some(0xaa55) {
        return bzimage(head, length);
    }
    if let Some(architecture) = image_architecture(head) {
        return Recognised::Image { architecture };
    }
    if head.starts_with(b"\x7fELF") {
        return elf(head, length);
    }
    match Payload::recognise(head, length) {
        Some(Ok(payload)) => Recognised::Wrapped(payload),
        Some(Err(reason)) => Recognised::Damaged(reason),
        None => Recognised::Other,
    }
}

/// Fields of a bzImage, by the names in boot.rst.
mod bzimage {
    /// `header`
    pub(super) const MAGIC: (usize, &[u8; 4]) = (0x202, b"HdrS");
    /// `boot_flag`
    pub(super) const BOOT_FLAG: usize = 0x1fe;
    /// `setup_sects`: sectors of the part for real mode, without the first.
    pub(super) const SETUP_SECTORS: usize = 0x1f1;
    /// `syssize`: 16 bytes each of what follows it.
    pub(super) const SIZE: usize = 0x1f4;
    /// `version`: of the protocol.
    pub(super) const PROTOCOL: usize = 0x206;
    /// The protocol that `xloadflags` is in.
    pub(super) const PROTOCOL_2_12: u16 = 0x020c;
    /// `kernel_version`: where the version stands, less [`BASE`].
    pub(super) const VERSION: usize = 0x20e;
    pub(super) const BASE: usize = 0x200;
    /// Bytes within which the version ends.
    pub(super) const LENGTH: usize = 256;
    /// `xloadflags`
    pub(super) const FLAGS: usize = 0x236;
    /// `XLF_KERNEL_64`
    pub(super) const KERNEL_64: u16 = 1;
}

fn bzimage(head: &[u8], length: u64) -> Recognised {
    let setup = u64::from(head.get(bzimage::SETUP_SECTORS).copied().unwrap_or(0));
    let size = u64::from(u32_at(head, bzimage::SIZE).unwrap_or(0)).saturating_mul(16);
    // The last 16 bytes may not be full.
    let end = setup.saturating_add(1).saturating_mul(512).saturating_add(size).saturating_sub(16);
    if setup != 0 && size != 0 && length < end {
        return Recognised::Damaged("it is shorter than its header says");
    }
    let is_64 = u16_at(head, bzimage::PROTOCOL) >= Some(bzimage::PROTOCOL_2_12)
        && u16_at(head, bzimage::FLAGS).is_some_and(|flags| flags & bzimage::KERNEL_64 != 0);
    let text = match u16_at(head, bzimage::VERSION) {
        None | Some(0) => &[],
        Some(pointer) => head.get(bzimage::BASE.saturating_add(pointer.into())..).unwrap_or_default(),
    };
    let text = text.get(..bzimage::LENGTH).unwrap_or(text);
    // `6.1.0-49-cloud-amd64 (builder@host) #1 SMP …`
    let word = text.split(|&byte| byte == b' ' || byte == 0).next().unwrap_or_default();
    let version = std::str::from_utf8(word).ok().filter(|word| is_version(word)).map(str::to_owned);
    Recognised::BzImage { architecture: if is_64 { "amd64" } else { "386" }, version }
}

/// Where an Image says what it is for, and how.
const IMAGE_MAGIC: usize = 0x38;
const IMAGES: [(&[u8; 4], &str); 2] = [(b"ARM\x64", "arm64"), (b"RSC\x05", "riscv64")];

/// What an Image that begins like this is for.
pub(crate) fn image_architecture(head: &[u8]) -> Option<&'static str> {
    let magic = bytes::<4>(head, IMAGE_MAGIC)?;
    IMAGES.iter().find(|(known, _)| *known == magic).map(|(_, architecture)| *architecture)
}

/// Fields of an ELF file and of its program headers (elf(5)), for 32 and 64 bits.
struct Layout {
    program_headers: usize,
    size: usize,
    count: usize,
    /// Of a program header: offset and size of the segment.
    offset: usize,
    bytes: usize,
}

const BITS_32: Layout = Layout { program_headers: 28, size: 42, count: 44, offset: 4, bytes: 16 };
const BITS_64: Layout = Layout { program_headers: 32, size: 54, count: 56, offset: 8, bytes: 32 };

/// `e_type`: a program, at a fixed address or at any.
const PROGRAMS: [u16; 2] = [2, 3];
/// `p_type`
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;

/// Machines of ELF files (`e_machine`), with their class: what they are called in image indexes.
const MACHINES: [(u16, bool, &str); 9] = [
    (62, true, "amd64"),
    (183, true, "arm64"),
    (3, false, "386"),
    (40, false, "arm"),
    (243, true, "riscv64"),
    (22, true, "s390x"),
    (21, true, "ppc64le"),
    (258, true, "loong64"),
    (8, true, "mips64le"),
];

fn elf(head: &[u8], length: u64) -> Recognised {
    let (Some(class), Some(1)) = (head.get(4), head.get(5)) else { return Recognised::Other };
    let is_64 = *class == 2;
    let layout = if is_64 { BITS_64 } else { BITS_32 };
    let word = |at: usize| if is_64 { u64_at(head, at) } else { u32_at(head, at).map(u64::from) };
    let machine = u16_at(head, 18);
    let known = MACHINES.iter().find(|(number, bits, _)| machine == Some(*number) && *bits == is_64);
    let (Some((_, _, architecture)), Some(kind)) = (known, u16_at(head, 16)) else { return Recognised::Other };
    let (Some(table), Some(size), Some(count)) =
        (word(layout.program_headers), u16_at(head, layout.size), u16_at(head, layout.count))
    else {
        return Recognised::Other;
    };
    if !PROGRAMS.contains(&kind) || count > SEGMENTS {
        return Recognised::Other;
    }
    let (mut loads, mut ends) = (false, true);
    for number in 0..u64::from(count) {
        let header = usize::try_from(table.saturating_add(number.saturating_mul(size.into()))).unwrap_or(usize::MAX);
        let field = |at: usize| word(header.saturating_add(at));
        let (Some(kind), Some(offset), Some(bytes)) = (u32_at(head, header), field(layout.offset), field(layout.bytes))
        else {
            return Recognised::Other;
        };
        match kind {
            // A program of some system, which loads it.
            PT_INTERP => return Recognised::Other,
            PT_LOAD => {
                loads = true;
                ends &= offset.checked_add(bytes).is_some_and(|end| end <= length);
            }
            _ => {}
        }
    }
    match (loads, ends) {
        (false, _) => Recognised::Other,
        (true, false) => Recognised::Damaged("it is shorter than its program headers say"),
        (true, true) => Recognised::Elf { architecture },
    }
}

/// What the kernel says first of all when it starts (init/version.c).
const BANNER: &[u8] = b"Linux version ";
/// Bytes of a banner that are looked at: itself and the longest version.
const BANNER_BYTES: usize = 160;

/// Finds the version in a kernel's banner.
fn banner(mut reader: impl Read) -> io::Result<Option<String>> {
    let mut buffer = vec![0; 1 << 20];
    let mut kept = 0;
    loop {
        let room = buffer.get_mut(kept..).unwrap_or_default();
        let read = match reader.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let end = kept.saturating_add(read);
        let text = buffer.get(..end).unwrap_or_default();
        if let Some(version) = find_banner(text) {
            return Ok(Some(version));
        }
        if read == 0 {
            return Ok(None);
        }
        let start = end.saturating_sub(BANNER_BYTES);
        buffer.copy_within(start..end, 0);
        kept = end.saturating_sub(start);
    }
}

fn find_banner(text: &[u8]) -> Option<String> {
    let mut rest = text;
    // The first letter is rare enough among the bytes of a program to be quick.
    while let Some(at) = rest.iter().position(|byte| Some(byte) == BANNER.first()) {
        rest = rest.get(at..)?;
        if let Some(version) = rest.strip_prefix(BANNER) {
            let version = version.get(..BANNER_BYTES).unwrap_or(version);
            let mut words = version.split(|&byte| byte == b' ');
            if let (Some(word), Some([b'(', ..])) = (words.next(), words.next())
                && let Some(word) = std::str::from_utf8(word).ok().filter(|word| is_version(word))
            {
                return Some(word.to_owned());
            }
        }
        rest = rest.get(1..)?;
    }
    None
}

/// Reads a file from a place on, whatever its own position is.
struct At<'a> {
    file: &'a File,
    at: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = open::read_up_to(self.file, buffer, self.at)?;
        self.at = self.at.saturating_add(count as u64);
        Ok(count)
    }
}

fn bytes<const N: usize>(head: &[u8], at: usize) -> Option<&[u8; N]> {
    head.get(at..at.checked_add(N)?)?.try_into().ok()
}

pub(crate) fn u16_at(head: &[u8], at: usize) -> Option<u16> {
    bytes(head, at).copied().map(u16::from_le_bytes)
}

pub(crate) fn u32_at(head: &[u8], at: usize) -> Option<u32> {
    bytes(head, at).copied().map(u32::from_le_bytes)
}

fn u64_at(head: &[u8], at: usize) -> Option<u64> {
    bytes(head, at).copied().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests;
