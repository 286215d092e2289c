//! Layers and trees as text, so that a test shows what goes in and what must come out.
//!
//! An entry is one line: a letter for its type, its path, and what it needs beyond that.
//!
//! ```text
//! d tmp mode=1777 uid=5 gid=6 time=12.5 xattr:user.a=1    (time: seconds, nanoseconds forward)
//! f etc/motd =hello          (content)
//! l lib -> usr/lib           (symlink)
//! h b -> a                   (hardlink)
//! c dev/null 1,3    b dev/sda 8,0    p run/pipe
//! ```
//!
//! `\xNN` stands for any byte. The root is shown as `/`.
//!
//! Times default to the number of the layer, counted from 1: the time of what comes out
//! shows which layer it is from. Each layer becomes a real archive, which the real reader reads.

use std::collections::HashMap;
use std::fmt::{self, Display, Write as _};

use banger_layers::entry::Time;
use banger_layers::merge::{self, MergeError};
use banger_layers::tree::{Node, Tree};

use super::sink::{self, Content};
use super::tar::{Archive, Member};

/// What an entry or an inode is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Dir,
    File(Vec<u8>),
    Symlink(Vec<u8>),
    Hardlink(Vec<u8>),
    Char(u32, u32),
    Block(u32, u32),
    Fifo,
    Socket,
}

/// An entry of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) path: Vec<u8>,
    pub(crate) what: What,
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) time: (i64, u32),
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A name in the merged tree, with its inode. The root is the one with an empty path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) item: Item,
    /// Names of the inode, and the first of them.
    pub(crate) links: u32,
    pub(crate) first: Vec<u8>,
    /// A directory that no entry describes.
    pub(crate) implied: bool,
}

/// Reads the entries of the layer with this number, counted from 1.
pub(crate) fn parse(number: usize, text: &str) -> Vec<Item> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| parse_line(number, line)).collect()
}

fn parse_line(number: usize, line: &str) -> Item {
    let mut words = line.split_ascii_whitespace();
    let letter = words.next().unwrap();
    let path = unescape(words.next().unwrap());
    let mut item = Item {
        path,
        what: What::Dir,
        mode: default_mode(letter),
        uid: 0,
        gid: 0,
        time: (number as i64, 0),
        xattrs: Vec::new(),
    };
    let mut operand = String::new();
    while let Some(word) = words.next() {
        match word.split_once('=') {
            Some(("mode", mode)) => item.mode = u16::from_str_radix(mode, 8).unwrap(),
            Some(("uid", uid)) => item.uid = uid.parse().unwrap(),
            Some(("gid", gid)) => item.gid = gid.parse().unwrap(),
            Some(("time", time)) => {
                let (seconds, nanoseconds) = time.split_once('.').unwrap_or((time, "0"));
                item.time = (seconds.parse().unwrap(), format!("{nanoseconds:0<9}").parse().unwrap());
            }
            Some((name, value)) if name.starts_with("xattr:") => {
                item.xattrs.push((unescape(&name[6..]), unescape(value)));
            }
            Some(("", content)) => operand = content.to_owned(),
            _ if word == "->" => operand = words.next().unwrap_or("").to_owned(),
            _ => operand = word.to_owned(),
        }
    }
    let numbers = || operand.split_once(',').map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap())).unwrap();
    item.what = match letter {
        "d" => What::Dir,
        "f" => What::File(unescape(&operand)),
        "l" => What::Symlink(unescape(&operand)),
        "h" => What::Hardlink(unescape(&operand)),
        "c" => What::Char(numbers().0, numbers().1),
        "b" => What::Block(numbers().0, numbers().1),
        "p" => What::Fifo,
        _ => panic!("no such type: {line}"),
    };
    item
}

fn default_mode(letter: &str) -> u16 {
    match letter {
        "d" => 0o755,
        "l" => 0o777,
        _ => 0o644,
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut pieces = text.split("\\x");
    let mut bytes = pieces.next().unwrap_or("").as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        bytes.extend(&piece.as_bytes()[2..]);
    }
    bytes
}

impl Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Item { path, what, mode, uid, gid, time, xattrs } = &self.item;
        let (letter, operand) = match what {
            What::Dir => ("d", String::new()),
            What::File(content) if content.is_empty() => ("f", String::new()),
            What::File(content) => ("f", format!(" ={}", content.escape_ascii())),
            What::Symlink(target) => ("l", format!(" -> {}", target.escape_ascii())),
            What::Hardlink(target) => ("h", format!(" -> {}", target.escape_ascii())),
            What::Char(major, minor) => ("c", format!(" {major},{minor}")),
            What::Block(major, minor) => ("b", format!(" {major},{minor}")),
            What::Fifo => ("p", String::new()),
            What::Socket => ("s", String::new()),
        };
        let path = if path.is_empty() { "/".to_owned() } else { path.escape_ascii().to_string() };
        write!(f, "{letter} {path}{operand}")?;
        if *mode != default_mode(letter) {
            write!(f, " mode={mode:o}")?;
        }
        if *uid != 0 {
            write!(f, " uid={uid}")?;
        }
        if *gid != 0 {
            write!(f, " gid={gid}")?;
        }
        write!(f, " @{}", time.0)?;
        if time.1 != 0 {
            f.write_str(format!(".{:09}", time.1).trim_end_matches('0'))?;
        }
        for (name, value) in xattrs {
            write!(f, " xattr:{}={}", name.escape_ascii(), value.escape_ascii())?;
        }
        if self.implied {
            f.write_str(" implied")?;
        }
        if self.links > 1 {
            write!(f, " {} names, first {}", self.links, self.first.escape_ascii())?;
        }
        Ok(())
    }
}

/// The archive of a layer.
pub(crate) fn archive(items: &[Item]) -> Vec<u8> {
    items.iter().fold(Archive::new(), |archive, item| archive.with(member(item))).finished()
}

fn member(item: &Item) -> Member {
    let path = &item.path;
    let mut member = match &item.what {
        What::Dir => Member::directory(path),
        What::File(content) => Member::file(path, content),
        What::Symlink(target) => Member::symlink(path, target),
        What::Hardlink(target) => Member::hardlink(path, target),
        What::Char(major, minor) => Member::char_device(path, (*major).into(), (*minor).into()),
        What::Block(major, minor) => Member::block_device(path, (*major).into(), (*minor).into()),
        What::Fifo => Member::fifo(path),
        What::Socket => panic!("no archive holds a socket"),
    };
    member = member.mode(item.mode.into()).owner(item.uid.into(), item.gid.into()).mtime(item.time.0);
    if item.time.1 != 0 {
        // The nanoseconds count forward from the second, the fraction away from zero.
        let time = i128::from(item.time.0) * 1_000_000_000 + i128::from(item.time.1);
        let sign = if time < 0 { "-" } else { "" };
        let (seconds, part) = (time.unsigned_abs() / 1_000_000_000, time.unsigned_abs() % 1_000_000_000);
        member = member.pax("mtime", format!("{sign}{seconds}.{part:09}"));
    }
    for (name, value) in &item.xattrs {
        member = member.pax(&format!("SCHILY.xattr.{}", std::str::from_utf8(name).unwrap()), value);
    }
    member
}

/// Merges layers as the product does, from archives.
pub(crate) fn merge(layers: &[Vec<Item>]) -> Result<Vec<Record>, MergeError> {
    let mut tree = Tree::new(Time { seconds: 0, nanoseconds: 0 });
    let mut contents = Vec::new();
    for (number, items) in layers.iter().enumerate() {
        let layer = sink::read(&archive(items)).unwrap();
        merge::apply(&mut tree, number as u32, &layer.entries)?;
        contents.push(layer.contents);
    }
    Ok(records(&tree, &contents))
}

/// Everything of a tree, in the order of its walk, the root first.
fn records(tree: &Tree, contents: &[Vec<Content>]) -> Vec<Record> {
    let mut paths = HashMap::from([(tree.root(), Vec::new())]);
    let root = (Vec::new(), tree.root());
    let mut records = Vec::new();
    let mut live: Vec<(u32, u32)> = tree.contents().collect();
    let names = tree.walk().map(|dirent| {
        let parent: &Vec<u8> = &paths[&dirent.parent];
        let path = if parent.is_empty() { dirent.name.to_vec() } else { [parent, dirent.name].join(&b'/') };
        paths.entry(dirent.inode).or_insert_with(|| path.clone());
        (path, dirent.inode)
    });
    for (path, id) in std::iter::once(root).chain(names) {
        let inode = tree.inode(id);
        let what = match inode.node {
            Node::Directory => What::Dir,
            Node::File { layer, content, size } => {
                live.retain(|&one| one != (layer, content));
                let bytes = &contents[layer as usize][content as usize].bytes;
                assert_eq!(bytes.len() as u64, size);
                What::File(bytes.clone())
            }
            Node::Symlink { target } => What::Symlink(target.to_vec()),
            Node::CharDevice { major, minor } => What::Char(major, minor),
            Node::BlockDevice { major, minor } => What::Block(major, minor),
            Node::Fifo => What::Fifo,
            Node::Socket => What::Socket,
        };
        let item = Item {
            path,
            what,
            mode: inode.mode,
            uid: inode.uid,
            gid: inode.gid,
            time: (inode.mtime.seconds, inode.mtime.nanoseconds),
            xattrs: tree.xattrs(inode.xattrs).map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
        };
        records.push((id, Record { item, links: inode.links, first: Vec::new(), implied: inode.implied }));
    }
    assert!(live.is_empty(), "contents of files that no name leads to: {live:?}");
    assert_eq!(tree.names(), records.len() - 1);
    records
        .into_iter()
        .map(|(id, record)| {
            let first = if record.links > 1 { paths[&id].clone() } else { Vec::new() };
            Record { first, ..record }
        })
        .collect()
}

/// The records as lines; a root that no entry describes is left out.
pub(crate) fn listing(records: &[Record]) -> String {
    let mut lines = String::new();
    for record in records.iter().filter(|record| !(record.item.path.is_empty() && record.implied)) {
        writeln!(lines, "{record}").unwrap();
    }
    lines
}
