//! Tar archives with exactly the entries that a test wants.

/// Bytes of a header, and what archives are padded to.
const BLOCK: usize = 512;

/// Modification time of every entry.
const TIME: u64 = 1_700_000_000;

/// A tar archive that is being put together.
#[derive(Clone, Default)]
pub(crate) struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn directory(self, path: &str, mode: u32) -> Self {
        self.entry(path, b'5', mode, "", &[])
    }

    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(path, b'0', 0o644, "", content.as_ref())
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(path, b'2', 0o777, target, &[])
    }

    pub(crate) fn hardlink(self, path: &str, target: &str) -> Self {
        self.entry(path, b'1', 0o644, target, &[])
    }

    /// `path` of a lower layer goes.
    pub(crate) fn whiteout(self, path: &str) -> Self {
        let (directory, name) = path.rsplit_once('/').map_or(("", path), |(directory, name)| (directory, name));
        let separator = if directory.is_empty() { "" } else { "/" };
        self.entry(&format!("{directory}{separator}.wh.{name}"), b'0', 0, "", &[])
    }

    /// An entry of root's, of any type.
    pub(crate) fn entry(mut self, path: &str, kind: u8, mode: u32, target: &str, content: &[u8]) -> Self {
        let mut header = [0u8; BLOCK];
        let mut field = |offset: usize, text: &str, room: usize| {
            assert!(text.len() <= room, "{text:?} has no room in a header");
            header[offset..offset + text.len()].copy_from_slice(text.as_bytes());
        };
        field(0, path, 100);
        field(100, &format!("{mode:07o}"), 7);
        field(108, "0000000", 7);
        field(116, "0000000", 7);
        field(124, &format!("{:011o}", content.len()), 11);
        field(136, &format!("{TIME:011o}"), 11);
        field(148, "        ", 8);
        field(157, target, 100);
        field(257, "ustar\x0000", 8);
        header[156] = kind;
        let checksum: u32 = header.iter().copied().map(u32::from).sum();
        header[148..156].copy_from_slice(format!("{checksum:06o}\0 ").as_bytes());
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        self
    }

    /// The archive with its end.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 2 * BLOCK, 0);
        self.bytes
    }
}
