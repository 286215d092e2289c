//! Files of an image as people read them: one on a line, as `ls -l` shows them, or one in full.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use banger_ext4::read::Stat;
use banger_ext4::spec::{FileType, Timestamp};

use super::entry::{Entry, a_type};
use crate::text::{Bytes, Name, Utc};

/// Writes a line: mode, links, owner, group, size or device number, time, name.
pub(super) fn write(out: &mut dyn Write, entry: &Entry, name: &[u8], colored: bool) -> io::Result<()> {
    let Stat { links, uid, gid, size, mtime, .. } = entry.stat;
    let mark = if entry.xattrs.is_empty() { ' ' } else { '+' };
    let size = match entry.stat.device {
        Some((major, minor)) => format!("{major}, {minor}"),
        None => size.to_string(),
    };
    let style = if colored { style(&entry.stat) } else { Style::new() };
    write!(out, "{}{mark} {links:>3} {uid:>5} {gid:>5} {size:>10} ", mode(&entry.stat))?;
    write!(out, "{} {style}{}{style:#}", Utc(mtime.seconds), Name(name))?;
    if let Some(target) = &entry.target {
        write!(out, " -> {}", Name(target))?;
    }
    writeln!(out)
}

/// Writes everything about one file.
pub(super) fn write_all(out: &mut dyn Write, entry: &Entry) -> io::Result<()> {
    let stat = &entry.stat;
    let mut field = |name: &str, value: &str| writeln!(out, "{name:>9}: {value}");
    field("path", &Name(&entry.path).to_string())?;
    field("type", a_type(stat.file_type).trim_start_matches("a "))?;
    if let Some(target) = &entry.target {
        field("target", &Name(target).to_string())?;
    }
    if let Some((major, minor)) = stat.device {
        field("device", &format!("{major}, {minor}"))?;
    }
    field("mode", &format!("{:04o} ({})", stat.mode, mode(stat)))?;
    field("owner", &format!("{}:{}", stat.uid, stat.gid))?;
    field("size", &size(stat.size))?;
    field("allocated", &size(stat.allocated))?;
    field("inode", &stat.number.to_string())?;
    field("links", &stat.links.to_string())?;
    for (name, time) in
        [("modified", stat.mtime), ("changed", stat.ctime), ("accessed", stat.atime), ("created", stat.crtime)]
    {
        field(name, &exact(time))?;
    }
    for xattr in &entry.xattrs {
        field("xattr", &format!("{} = \"{}\"", Name(&xattr.name), xattr.value.escape_ascii()))?;
    }
    Ok(())
}

fn size(bytes: u64) -> String {
    if bytes < 1024 { bytes.to_string() } else { format!("{bytes} ({})", Bytes(bytes)) }
}

fn exact(time: Timestamp) -> String {
    format!("{}.{:09} UTC", Utc(time.seconds), time.nanoseconds)
}

/// The ten letters of `ls -l`.
fn mode(stat: &Stat) -> String {
    let kind = match stat.file_type {
        FileType::Regular => '-',
        FileType::Directory => 'd',
        FileType::Symlink => 'l',
        FileType::CharDevice => 'c',
        FileType::BlockDevice => 'b',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
    };
    // For each class: its three bits, the bit that its execute letter also tells, and that letter.
    let classes = [(stat.mode >> 6, 0o4000, 's'), (stat.mode >> 3, 0o2000, 's'), (stat.mode, 0o1000, 't')];
    let letters = classes.into_iter().flat_map(|(bits, special, letter)| {
        let execute = match (bits & 1 != 0, stat.mode & special != 0) {
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        };
        [if bits & 4 != 0 { 'r' } else { '-' }, if bits & 2 != 0 { 'w' } else { '-' }, execute]
    });
    std::iter::once(kind).chain(letters).collect()
}

/// Colours for what is no ordinary file.
fn style(stat: &Stat) -> Style {
    match stat.file_type {
        FileType::Directory => AnsiColor::Blue.on_default().bold(),
        FileType::Symlink => AnsiColor::Cyan.on_default().bold(),
        FileType::CharDevice | FileType::BlockDevice | FileType::Fifo | FileType::Socket => {
            AnsiColor::Yellow.on_default()
        }
        FileType::Regular if stat.mode & 0o111 != 0 => AnsiColor::Green.on_default().bold(),
        FileType::Regular => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(file_type: FileType, mode: u16) -> Stat {
        let time = Timestamp::default();
        Stat {
            number: 12,
            file_type,
            mode,
            uid: 0,
            gid: 0,
            size: 0,
            atime: time,
            ctime: time,
            mtime: time,
            crtime: time,
            links: 1,
            allocated: 0,
            device: None,
            flags: 0,
            generation: 0,
        }
    }

    #[test]
    fn modes_are_those_of_ls() {
        for (file_type, bits, letters) in [
            (FileType::Regular, 0o644, "-rw-r--r--"),
            (FileType::Regular, 0o4755, "-rwsr-xr-x"),
            (FileType::Regular, 0o2745, "-rwxr-Sr-x"),
            (FileType::Regular, 0o6644, "-rwSr-Sr--"),
            (FileType::Directory, 0o1777, "drwxrwxrwt"),
            (FileType::Directory, 0o1000, "d--------T"),
            (FileType::Symlink, 0o777, "lrwxrwxrwx"),
            (FileType::CharDevice, 0o666, "crw-rw-rw-"),
            (FileType::BlockDevice, 0o660, "brw-rw----"),
            (FileType::Fifo, 0, "p---------"),
            (FileType::Socket, 0o755, "srwxr-xr-x"),
        ] {
            assert_eq!(mode(&stat(file_type, bits)), letters);
        }
    }
}
