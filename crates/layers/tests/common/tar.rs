//! Builds archives, right ones and wrong ones: every byte of every header can be set.
//!
//! ```ignore
//! let archive = Archive::new()
//!     .with(Member::directory("etc/").mode(0o755))
//!     .with(Member::file("etc/issue", "Debian").pax("mtime", "1700000000.5"))
//!     .finished();
//! ```

/// Bytes of a block.
pub(crate) const BLOCK: usize = 512;

/// The archive ends with two of these.
pub(crate) const ZERO_BLOCK: [u8; BLOCK] = [0; BLOCK];

/// Where the fields of a header are: offset and length.
pub(crate) mod field {
    pub(crate) const NAME: (usize, usize) = (0, 100);
    pub(crate) const MODE: (usize, usize) = (100, 8);
    pub(crate) const UID: (usize, usize) = (108, 8);
    pub(crate) const GID: (usize, usize) = (116, 8);
    pub(crate) const SIZE: (usize, usize) = (124, 12);
    pub(crate) const MTIME: (usize, usize) = (136, 12);
    pub(crate) const CHECKSUM: (usize, usize) = (148, 8);
    pub(crate) const TYPE: (usize, usize) = (156, 1);
    pub(crate) const LINK: (usize, usize) = (157, 100);
    pub(crate) const MAGIC: (usize, usize) = (257, 8);
    pub(crate) const MAJOR: (usize, usize) = (329, 8);
    pub(crate) const MINOR: (usize, usize) = (337, 8);
    pub(crate) const PREFIX: (usize, usize) = (345, 155);
    /// Old GNU: the first of four descriptors, 24 bytes each.
    pub(crate) const GNU_SPARSE: (usize, usize) = (386, 96);
    pub(crate) const GNU_EXTENDED: (usize, usize) = (482, 1);
    pub(crate) const GNU_REAL_SIZE: (usize, usize) = (483, 12);
}

/// An archive that is being built.
#[derive(Debug, Clone, Default)]
pub(crate) struct Archive(Vec<u8>);

impl Archive {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with(mut self, member: Member) -> Self {
        self.0.extend(member.bytes());
        self
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// With the two blocks at the end.
    pub(crate) fn finished(self) -> Vec<u8> {
        self.raw(&ZERO_BLOCK).raw(&ZERO_BLOCK).unfinished()
    }

    /// Without them.
    pub(crate) fn unfinished(self) -> Vec<u8> {
        self.0
    }
}

/// One entry, with the extended headers before it and the data behind it.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    extended: Vec<u8>,
    pax: Vec<u8>,
    header: [u8; BLOCK],
    /// Blocks between header and data.
    extensions: Vec<u8>,
    data: Vec<u8>,
    right_checksum: bool,
}

impl Member {
    /// An entry of a type, owned by root, mode 0644, time 0. A name beyond 100 bytes goes to a PAX header.
    pub(crate) fn new(flag: u8, name: impl AsRef<[u8]>) -> Self {
        let mut member = Self {
            extended: Vec::new(),
            pax: Vec::new(),
            header: [0; BLOCK],
            extensions: Vec::new(),
            data: Vec::new(),
            right_checksum: true,
        }
        .field(field::TYPE, [flag])
        .field(field::MAGIC, b"ustar\x0000")
        .mode(0o644)
        .owner(0, 0)
        .octal(field::SIZE, 0)
        .octal(field::MTIME, 0);
        let name = name.as_ref();
        if name.len() > field::NAME.1 {
            member = member.pax("path", name);
        }
        member.field(field::NAME, &name[..name.len().min(field::NAME.1)])
    }

    pub(crate) fn file(name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Self {
        Self::new(b'0', name).data(data)
    }

    pub(crate) fn directory(name: impl AsRef<[u8]>) -> Self {
        Self::new(b'5', name).mode(0o755)
    }

    pub(crate) fn symlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self::new(b'2', name).mode(0o777).target(target)
    }

    pub(crate) fn hardlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self::new(b'1', name).target(target)
    }

    pub(crate) fn char_device(name: impl AsRef<[u8]>, major: u64, minor: u64) -> Self {
        Self::new(b'3', name).device(major, minor)
    }

    pub(crate) fn block_device(name: impl AsRef<[u8]>, major: u64, minor: u64) -> Self {
        Self::new(b'4', name).device(major, minor)
    }

    pub(crate) fn fifo(name: impl AsRef<[u8]>) -> Self {
        Self::new(b'6', name)
    }

    pub(crate) fn mode(self, mode: u64) -> Self {
        self.octal(field::MODE, mode)
    }

    /// Octal where it fits, base-256 beyond.
    pub(crate) fn owner(self, uid: u64, gid: u64) -> Self {
        self.number(field::UID, uid.into()).number(field::GID, gid.into())
    }

    pub(crate) fn mtime(self, seconds: i64) -> Self {
        self.number(field::MTIME, seconds.into())
    }

    fn device(self, major: u64, minor: u64) -> Self {
        self.octal(field::MAJOR, major).octal(field::MINOR, minor)
    }

    /// A link's target. Beyond 100 bytes it goes to a PAX header.
    pub(crate) fn target(self, target: impl AsRef<[u8]>) -> Self {
        let target = target.as_ref();
        if target.len() > field::LINK.1 {
            return self.pax("linkpath", target);
        }
        self.field(field::LINK, target)
    }

    /// The data, and its size in the header.
    pub(crate) fn data(mut self, data: impl AsRef<[u8]>) -> Self {
        self.data = data.as_ref().to_vec();
        let size = self.data.len() as i128;
        self.number(field::SIZE, size)
    }

    /// A header that says this size, whatever the data.
    pub(crate) fn claimed_size(self, size: u64) -> Self {
        self.number(field::SIZE, size.into())
    }

    /// A record of the PAX header before the entry.
    pub(crate) fn pax(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax.extend(pax_record(key.as_bytes(), value.as_ref()));
        self
    }

    /// Any bytes in the PAX header before the entry.
    pub(crate) fn raw_pax(mut self, bytes: &[u8]) -> Self {
        self.pax.extend(bytes);
        self
    }

    /// A GNU long name before the entry.
    pub(crate) fn gnu_name(self, name: impl AsRef<[u8]>) -> Self {
        self.gnu_extended(b'L', name.as_ref())
    }

    /// A GNU long link before the entry.
    pub(crate) fn gnu_target(self, target: impl AsRef<[u8]>) -> Self {
        self.gnu_extended(b'K', target.as_ref())
    }

    fn gnu_extended(mut self, flag: u8, text: &[u8]) -> Self {
        let text = [text, b"\0"].concat();
        self.extended.extend(Self::new(flag, "././@LongLink").gnu().data(text).bytes());
        self
    }

    /// GNU's magic in place of POSIX's.
    pub(crate) fn gnu(self) -> Self {
        self.field(field::MAGIC, b"ustar  \0")
    }

    /// No magic.
    pub(crate) fn v7(self) -> Self {
        self.field(field::MAGIC, [])
    }

    /// A descriptor of a sparse map in the header's own place for four of them.
    pub(crate) fn gnu_run(self, index: usize, offset: u64, length: u64) -> Self {
        let start = field::GNU_SPARSE.0 + index * 24;
        self.number((start, 12), offset.into()).number((start + 12, 12), length.into())
    }

    /// An extension block with up to 21 descriptors; the header, or the block before it, must announce it.
    pub(crate) fn gnu_extension(mut self, runs: &[(u64, u64)], another_follows: bool) -> Self {
        let mut block = [0; BLOCK];
        for (index, &(offset, length)) in runs.iter().enumerate() {
            put(&mut block, (index * 24, 12), offset.into());
            put(&mut block, (index * 24 + 12, 12), length.into());
        }
        block[504] = another_follows.into();
        self.extensions.extend(block);
        self
    }

    /// The bytes of a field, zeros behind them.
    pub(crate) fn field(mut self, (start, length): (usize, usize), bytes: impl AsRef<[u8]>) -> Self {
        let field = &mut self.header[start..start + length];
        field.fill(0);
        field[..bytes.as_ref().len()].copy_from_slice(bytes.as_ref());
        self
    }

    pub(crate) fn octal(self, field: (usize, usize), value: u64) -> Self {
        let width = field.1 - 1;
        let digits = format!("{value:0width$o}");
        assert_eq!(digits.len(), width, "{value} does not fit");
        self.field(field, digits)
    }

    pub(crate) fn base256(mut self, field: (usize, usize), value: i128) -> Self {
        put_base256(&mut self.header, field, value);
        self
    }

    fn number(mut self, field: (usize, usize), value: i128) -> Self {
        put(&mut self.header, field, value);
        self
    }

    pub(crate) fn wrong_checksum(mut self) -> Self {
        self.right_checksum = false;
        self
    }

    /// Its blocks.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.extended.clone();
        if !self.pax.is_empty() {
            bytes.extend(Self::new(b'x', "PaxHeaders/entry").data(&self.pax).bytes());
        }
        let mut header = self.header;
        let (start, length) = field::CHECKSUM;
        header[start..start + length].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        let sum = if self.right_checksum { sum } else { sum + 1 };
        header[start..start + length].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.extend(header);
        bytes.extend(&self.extensions);
        bytes.extend(&self.data);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }
}

/// A global PAX header with these records.
pub(crate) fn global(records: &[(&str, &str)]) -> Member {
    let records: Vec<u8> =
        records.iter().flat_map(|(key, value)| pax_record(key.as_bytes(), value.as_bytes())).collect();
    Member::new(b'g', "pax_global_header").data(records)
}

/// "length key=value\n", the length counting itself.
pub(crate) fn pax_record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = [b" ", key, b"=", value, b"\n"].concat();
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    [length.to_string().as_bytes(), &rest].concat()
}

fn put(header: &mut [u8; BLOCK], (start, length): (usize, usize), value: i128) {
    let width = length - 1;
    let digits = format!("{value:0width$o}");
    if value < 0 || digits.len() > width {
        put_base256(header, (start, length), value);
    } else {
        header[start..start + width].copy_from_slice(digits.as_bytes());
        header[start + width] = 0;
    }
}

fn put_base256(header: &mut [u8; BLOCK], (start, length): (usize, usize), value: i128) {
    let bytes = value.to_be_bytes();
    header[start..start + length].copy_from_slice(&bytes[bytes.len() - length..]);
    header[start] |= 0x80;
}
