//! What the tests of this crate share: trees of a few names, and contents that are kept.

use banger_layers::ContentSink;
use banger_layers::entry::{Entries, Entry, Kind, Time};
use banger_layers::merge;
use banger_layers::tree::Tree;
use banger_layers::xattr::XattrId;

/// A tree of names with what they are: `x` a program, `-` another file, `/` a directory, anything else a link's target.
pub(crate) fn tree(names: &[(&str, &str)]) -> Tree {
    let mut entries = Entries::new();
    for (path, what) in names {
        let file = Kind::File { content: 0, size: 1 };
        let (kind, mode) = match *what {
            "x" => (file, 0o755),
            "-" => (file, 0o644),
            "/" => (Kind::Directory, 0o700),
            target => (Kind::Symlink { target: target.as_bytes() }, 0o777),
        };
        let mtime = Time::default();
        let entry = Entry { path: path.as_bytes(), kind, mode, uid: 0, gid: 0, mtime, xattrs: XattrId::EMPTY };
        entries.push(entry).unwrap();
    }
    let mut tree = Tree::new(Time::default());
    merge::apply(&mut tree, 0, &entries).unwrap();
    tree
}

/// Keeps contents as they come.
#[derive(Debug, Default)]
pub(crate) struct Kept(pub(crate) Vec<Vec<u8>>);

impl ContentSink for Kept {
    type Error = std::convert::Infallible;

    fn begin(&mut self) -> Result<(), Self::Error> {
        self.0.push(Vec::new());
        Ok(())
    }

    fn write(&mut self, data: &[u8]) -> Result<(), Self::Error> {
        self.0.last_mut().unwrap().extend_from_slice(data);
        Ok(())
    }

    fn skip(&mut self, length: u64) -> Result<(), Self::Error> {
        let last = self.0.last_mut().unwrap();
        last.resize(last.len() + length as usize, 0);
        Ok(())
    }

    fn finish(&mut self) -> Result<u32, Self::Error> {
        Ok(self.0.len() as u32 - 1)
    }
}
