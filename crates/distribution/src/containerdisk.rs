//! A managed image as KubeVirt takes it: a container image with a disk, and with what the disk is booted with.
//!
//! KubeVirt looks for exactly one file in `/disk`, and hands it to QEMU, which runs as user and group 107. The root file
//! system has no boot loader, so that kernel and initial RAM disk are in the image too, below `/boot`, where
//! `firmware.kernelBoot.container` of a virtual machine names them.
//!
//! The layer is compressed with gzip, which every container runtime takes.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use banger_disk::{Observer, Output, Raw, qcow2};
use banger_oci::{Descriptor, MediaType};
use flate2::{Compression, GzBuilder};
use tar_core::EntryType;
use tar_core::builder::EntryBuilder;

use crate::error::{Error, Result};
use crate::measure::Hashed;
use crate::package::{Facts, Layer, Package};

/// Where the kernel is in the image.
pub const KERNEL: &str = "/boot/vmlinuz";

/// Where the initial RAM disk is in the image.
pub const INITRD: &str = "/boot/initrd.img";

/// User and group of QEMU in KubeVirt.
const QEMU: u64 = 107;

/// Who may do what: QEMU reads, nobody else does anything.
const FILE_MODE: u32 = 0o440;

/// Those of the directories.
const DIRECTORY_MODE: u32 = 0o755;

/// What a tar archive ends with.
const END: [u8; 1024] = [0; 1024];

/// Bytes that are copied at once.
const PIECE: usize = 256 << 10;

/// In the header of gzip: that nobody says which system it was.
const UNKNOWN_SYSTEM: u8 = 255;

/// What the image boots with.
#[derive(Clone, Copy, Debug)]
pub struct Boot<'a> {
    /// The kernel.
    pub kernel: &'a Path,
    /// Its initial RAM disk.
    pub initrd: Option<&'a Path>,
}

/// Makes a container image of a root file system. The disk and the layer are written into files without a name in
/// `directory`, which end with the package.
///
/// # Errors
/// A file cannot be read or written, or it was cancelled.
pub fn make(
    facts: &Facts,
    rootfs: &Path,
    boot: Option<Boot<'_>>,
    directory: &Path,
    observer: &dyn Observer,
) -> Result<Package> {
    let raw = Raw::open(rootfs)?;
    let disk = temporary(directory)?;
    qcow2::write(&raw, disk.file(), rootfs, observer)?;
    let disk = into_file(disk, directory)?;

    let name = format!("disk/{}.qcow2", facts.name);
    let mut members = Vec::new();
    let mut files = vec![];
    if let Some(boot) = boot {
        files.push((KERNEL, boot.kernel));
        files.extend(boot.initrd.map(|initrd| (INITRD, initrd)));
    }
    for (name, path) in files {
        let file = File::open(path).map_err(Error::io("open", path))?;
        members.push(Member { name: name.trim_start_matches('/'), file, path });
    }
    members.push(Member { name: &name, file: disk, path: directory });
    let layer = layer(members, directory, observer)?;
    Package::new(None, facts, vec![layer])
}

/// A file of the layer.
struct Member<'a> {
    name: &'a str,
    file: File,
    /// As errors name it.
    path: &'a Path,
}

/// Writes the layer: each directory before what is in it.
fn layer(members: Vec<Member<'_>>, directory: &Path, observer: &dyn Observer) -> Result<Layer> {
    let output = into_file(temporary(directory)?, directory)?;
    let writing = || Error::io("write a layer into", directory);
    let mut total = 0_u64;
    for member in &members {
        total = total.saturating_add(Layer::length(&member.file, member.path)?);
    }
    let blob = Hashed::new(BufWriter::with_capacity(PIECE, &output));
    let gzip = GzBuilder::new().mtime(0).operating_system(UNKNOWN_SYSTEM).write(blob, Compression::default());
    let mut archive = Hashed::new(gzip);
    let (mut done, mut made) = (0, "");
    for member in &members {
        let parent = member.name.split('/').next().unwrap_or_default();
        if parent != made {
            let header = header(&format!("{parent}/"), EntryType::Directory, DIRECTORY_MODE, 0, 0)?;
            archive.write_all(&header).map_err(writing())?;
            made = parent;
        }
        let size = Layer::length(&member.file, member.path)?;
        archive.write_all(&header(member.name, EntryType::Regular, FILE_MODE, QEMU, size)?).map_err(writing())?;
        copy(member, size, &mut archive, (&mut done, total), directory, observer)?;
    }
    archive.write_all(&END).map_err(writing())?;
    let (gzip, diff_id, _) = archive.finish();
    let (mut buffered, digest, size) = gzip.finish().map_err(writing())?.finish();
    buffered.flush().map_err(writing())?;
    drop(buffered);
    let descriptor = Descriptor::new(MediaType::ImageLayerGzip, digest, size);
    Ok(Layer { descriptor, diff_id, what: "containerdisk", file: output })
}

/// Copies a file's content, padded to whole blocks.
fn copy(
    member: &Member<'_>,
    size: u64,
    archive: &mut impl Write,
    (done, total): (&mut u64, u64),
    directory: &Path,
    observer: &dyn Observer,
) -> Result<()> {
    let mut file = &member.file;
    file.seek(SeekFrom::Start(0)).map_err(Error::io("read", member.path))?;
    let mut buffer = vec![0; PIECE];
    let mut left = size;
    while left > 0 {
        if observer.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let most = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        let count = match file.read(buffer.get_mut(..most).unwrap_or_default()) {
            Ok(0) => {
                let source = io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter");
                return Err(Error::io("read", member.path)(source));
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::io("read", member.path)(error)),
        };
        let piece = buffer.get(..count).unwrap_or_default();
        archive.write_all(piece).map_err(Error::io("write a layer into", directory))?;
        left = left.saturating_sub(count as u64);
        *done = done.saturating_add(count as u64);
        observer.advanced(*done, total);
    }
    let padding = usize::try_from(size.next_multiple_of(512).saturating_sub(size)).unwrap_or_default();
    archive.write_all(END.get(..padding).unwrap_or_default()).map_err(Error::io("write a layer into", directory))
}

fn header(name: &str, kind: EntryType, mode: u32, owner: u64, size: u64) -> Result<Vec<u8>> {
    let mut entry = EntryBuilder::new_ustar();
    entry.path(name).entry_type(kind);
    let filled = entry.mode(mode).and_then(|entry| entry.uid(owner)).and_then(|entry| entry.gid(owner));
    let filled = filled.and_then(|entry| entry.mtime(0)).and_then(|entry| entry.size(size));
    filled.map_err(|error| Error::malformed(format!("{name} cannot be put into an archive: {error}")))?;
    Ok(entry.finish_bytes())
}

/// A file that nobody sees.
fn temporary(directory: &Path) -> Result<Output> {
    Ok(Output::create_in(directory, OsStr::new("containerdisk")).map_err(banger_disk::Error::from)?)
}

/// The same without what would give it a name.
fn into_file(output: Output, directory: &Path) -> Result<File> {
    output.file().try_clone().map_err(Error::io("create a file in", directory))
}
