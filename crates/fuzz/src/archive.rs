//! A layer's archive: its entries, and their merge into a tree.
//!
//! - Entries, contents and errors do not depend on how the archive is cut into pieces.
//! - What goes to the sink for a file is as long as the entry says.
//! - In the merged tree every name is found by its path, and every inode has as many names as it says.

use std::collections::HashMap;

use banger_layers::entry::{Entries, Kind, Time};
use banger_layers::sink::NO_CONTENT;
use banger_layers::tar::TarReader;
use banger_layers::tree::{Node, Tree};
use banger_layers::{ContentSink, merge};

use crate::check_messages;

/// Reads the bytes as an archive, whole and in pieces, and applies what comes of it twice.
pub fn check(data: &[u8]) {
    let whole = read(data, data.len().max(1));
    let pieces = read(data, 1 + data.len() % 700);
    assert_eq!(whole.outcome, pieces.outcome);
    assert_eq!(whole.shown(), pieces.shown());
    assert_eq!(whole.contents, pieces.contents);
    for entry in whole.entries.iter() {
        let Kind::File { content, size } = entry.kind else { continue };
        if content != NO_CONTENT {
            let found = whole.contents[content as usize].iter().map(Piece::length).sum::<u64>();
            assert_eq!(found, size, "{}", entry.path.escape_ascii());
        }
    }
    if whole.outcome.is_ok() {
        let mut tree = Tree::new(Time::default());
        for layer in 0..2 {
            if let Err(error) = merge::apply(&mut tree, layer, &whole.entries) {
                check_messages(&error);
                return;
            }
            check_tree(&tree);
        }
    }
}

fn check_tree(tree: &Tree) {
    let mut links = HashMap::new();
    let mut names = 0;
    for dirent in tree.walk() {
        names += 1;
        *links.entry(dirent.inode).or_insert(0) += 1;
        // A symlink leads elsewhere, and perhaps to nothing.
        if !matches!(tree.inode(dirent.inode).node, Node::Symlink { .. }) {
            let path = tree.path_of(dirent);
            assert_eq!(tree.lookup(&path), Ok(dirent.inode), "{}", path.escape_ascii());
        }
    }
    assert_eq!(names, tree.names());
    for (inode, count) in links {
        assert_eq!(tree.inode(inode).links, count);
    }
}

/// What was read of an archive.
struct Layer {
    entries: Entries,
    contents: Vec<Vec<Piece>>,
    /// The error, in words, and the place where it was found.
    outcome: Result<(), String>,
}

impl Layer {
    fn shown(&self) -> Vec<String> {
        let entry = |entry: banger_layers::entry::Entry<'_>| {
            format!("{entry:?} {:?}", self.entries.xattrs(entry.xattrs).collect::<Vec<_>>())
        };
        self.entries.iter().map(entry).collect()
    }
}

fn read(data: &[u8], piece: usize) -> Layer {
    let (mut reader, mut entries, mut sink) = (TarReader::new(), Entries::new(), Kept::default());
    let fed = data.chunks(piece).try_for_each(|piece| reader.feed(piece, &mut sink, &mut entries));
    let outcome = fed.and_then(|()| reader.finish()).map_err(|error| {
        check_messages(&error);
        error.to_string()
    });
    Layer { entries, contents: sink.contents, outcome }
}

/// A piece of a file, as long as can be.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Data(Vec<u8>),
    Hole(u64),
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Self::Data(data) => data.len() as u64,
            Self::Hole(length) => *length,
        }
    }
}

/// Keeps all contents.
#[derive(Default)]
struct Kept {
    contents: Vec<Vec<Piece>>,
}

impl Kept {
    fn current(&mut self) -> &mut Vec<Piece> {
        self.contents.last_mut().expect("a file has begun")
    }
}

impl ContentSink for Kept {
    type Error = std::convert::Infallible;

    fn begin(&mut self) -> Result<(), Self::Error> {
        self.contents.push(Vec::new());
        Ok(())
    }

    fn write(&mut self, data: &[u8]) -> Result<(), Self::Error> {
        assert!(!data.is_empty());
        match self.current().last_mut() {
            Some(Piece::Data(known)) => known.extend_from_slice(data),
            _ => self.current().push(Piece::Data(data.to_vec())),
        }
        Ok(())
    }

    fn skip(&mut self, length: u64) -> Result<(), Self::Error> {
        assert_ne!(length, 0);
        match self.current().last_mut() {
            Some(Piece::Hole(known)) => *known += length,
            _ => self.current().push(Piece::Hole(length)),
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::try_from(self.contents.len() - 1).expect("few files"))
    }
}
