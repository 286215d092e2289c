//! From the bytes of a blob to the bytes of an archive.
//!
//! gzip, zstd or nothing at all: the first bytes say it, whatever the media type claims. All members of gzip and all
//! frames of zstd belong to the layer, skippable frames hold nothing, and zero padding may follow; anything else
//! after the end is an error, and so is an end within a member or frame. The source is read to its last byte.
//!
//! Output goes straight into the caller's buffer. How far a blob may expand is limited ([`Limits`]).

mod error;
mod gzip;
mod input;
mod window;
mod zstd;

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

pub use self::error::DecompressError;
use self::gzip::Gzip;
use self::input::Input;
pub use self::window::WindowBudget;
use self::zstd::Zstd;
use crate::limits;

/// How a blob is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Not at all.
    Plain,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// The first bytes of what is told apart from plain data to say so, with its name.
const UNSUPPORTED: [(&[u8], &str); 3] = [(b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2"), (b"\x04\x22\x4d\x18", "lz4")];

/// Bytes by which a format is known.
const MAGIC_BYTES: usize = 6;

impl Format {
    /// What the first bytes of a blob say.
    ///
    /// # Errors
    /// [`DecompressError::Unsupported`] for a compression that is known but cannot be read.
    pub fn of_bytes(start: &[u8]) -> Result<Self, DecompressError> {
        if start.starts_with(&gzip::MAGIC) {
            return Ok(Self::Gzip);
        }
        if zstd::is_frame(start) {
            return Ok(Self::Zstd);
        }
        match UNSUPPORTED.iter().find(|(magic, _)| start.starts_with(magic)) {
            Some((_, name)) => Err(DecompressError::Unsupported { name }),
            None => Ok(Self::Plain),
        }
    }

    /// What a layer's media type claims; none for one that claims nothing known.
    ///
    /// ```
    /// # use banger_layers::decompress::Format;
    /// let claimed = Format::of_media_type("application/vnd.oci.image.layer.v1.tar+gzip");
    /// assert_eq!(claimed, Some(Format::Gzip));
    /// ```
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        let (_, subtype) = media_type.rsplit_once('/')?;
        match subtype.rsplit_once(['+', '.'])?.1 {
            "gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            "tar" => Some(Self::Plain),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "uncompressed",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// How far one blob may expand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of output, at most.
    pub output: u64,
    /// Output by input, at most, for what exceeds [`free`](Self::free).
    pub expansion: u64,
    /// Bytes of output that are never out of proportion.
    pub free: u64,
    /// Bytes of the window of a zstd frame, at most.
    pub window: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            output: limits::LAYER_BYTES,
            expansion: limits::EXPANSION,
            free: limits::EXPANSION_FREE_BYTES,
            window: limits::ZSTD_WINDOW,
        }
    }
}

/// Reads a blob decompressed.
///
/// ```
/// # use banger_layers::decompress::{Decompressor, Format};
/// let blob = b"not compressed at all";
/// let mut layer = Decompressor::new(&blob[..])?;
/// assert_eq!(layer.format(), Format::Plain);
/// let mut buffer = [0; 256];
/// let count = layer.fill(&mut buffer)?;
/// assert_eq!(&buffer[..count], blob);
/// # Ok::<(), banger_layers::decompress::DecompressError>(())
/// ```
pub struct Decompressor<R> {
    input: Input<R>,
    codec: Codec,
    limits: Limits,
    produced: u64,
}

enum Codec {
    Plain,
    Gzip(Gzip),
    Zstd(Box<Zstd>),
}

impl<R: Read> Decompressor<R> {
    /// Reads the first bytes of `source` and takes it for what they say, with the default limits.
    ///
    /// # Errors
    /// [`DecompressError::Read`], [`DecompressError::Unsupported`].
    pub fn new(source: R) -> Result<Self, DecompressError> {
        Self::with_limits(source, Limits::default())
    }

    /// As [`new`](Self::new), with other limits.
    ///
    /// # Errors
    /// [`DecompressError::Read`], [`DecompressError::Unsupported`].
    pub fn with_limits(source: R, limits: Limits) -> Result<Self, DecompressError> {
        let mut input = Input::new(source);
        let codec = match Format::of_bytes(input.look_ahead(MAGIC_BYTES)?)? {
            Format::Plain => Codec::Plain,
            Format::Gzip => Codec::Gzip(Gzip::new()),
            Format::Zstd => {
                let zstd = Zstd::new(limits.window).map_err(|source| DecompressError::Read { offset: 0, source })?;
                Codec::Zstd(Box::new(zstd))
            }
        };
        Ok(Self { input, codec, limits, produced: 0 })
    }

    /// Leaves the CRCs of gzip members unchecked, which saves an eighth of the time: for callers that compare a digest
    /// of the output, as that of a layer's diff ID, which says more.
    #[must_use]
    pub fn without_crc(mut self) -> Self {
        if let Codec::Gzip(gzip) = &mut self.codec {
            gzip.without_crc();
        }
        self
    }

    /// Takes the memory for large windows of zstd from a budget that others share. [`fill`](Self::fill) then stops where
    /// a frame begins for whose window there is no room: see [`is_waiting`](Self::is_waiting).
    #[must_use]
    pub fn sharing(mut self, budget: Arc<WindowBudget>) -> Self {
        if let Codec::Zstd(zstd) = &mut self.codec {
            zstd.share(budget);
        }
        self
    }

    /// Whether the last call stopped for want of room in the budget of windows, not at the end.
    pub fn is_waiting(&self) -> bool {
        matches!(&self.codec, Codec::Zstd(zstd) if zstd.is_waiting())
    }

    /// Whether there is still no room, so that it is of no use to call again.
    pub fn is_blocked(&self) -> bool {
        matches!(&self.codec, Codec::Zstd(zstd) if zstd.is_blocked())
    }

    /// Fills `buffer` as far as the data goes. Less than its length means that the end is reached and everything
    /// was right, the source has been read to its end then; or that it [is waiting](Self::is_waiting).
    ///
    /// # Errors
    /// Any [`DecompressError`]. Bytes that were decompressed before it are lost; calling again is of no use.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, DecompressError> {
        let mut filled = 0;
        while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
            let count = self.step(room)?;
            if count == 0 {
                break;
            }
            filled += count;
        }
        Ok(filled)
    }

    fn step(&mut self, room: &mut [u8]) -> Result<usize, DecompressError> {
        let count = match &mut self.codec {
            Codec::Plain => self.input.read_through(room)?,
            Codec::Gzip(gzip) => gzip.read(&mut self.input, room)?,
            Codec::Zstd(zstd) => zstd.read(&mut self.input, room)?,
        };
        self.produced += count as u64;
        if self.produced > self.limits.output {
            return Err(DecompressError::TooLarge { limit: self.limits.output });
        }
        let proportionate = self.consumed().saturating_mul(self.limits.expansion);
        if self.produced > self.limits.free.max(proportionate) {
            return Err(DecompressError::Expansion {
                input: self.consumed(),
                output: self.produced,
                limit: self.limits.expansion,
            });
        }
        Ok(count)
    }

    /// What the bytes are. Where [`Format::of_media_type`] claims something else, the caller may want to warn.
    pub fn format(&self) -> Format {
        match self.codec {
            Codec::Plain => Format::Plain,
            Codec::Gzip(_) => Format::Gzip,
            Codec::Zstd(_) => Format::Zstd,
        }
    }

    /// Compressed bytes that have been decompressed.
    pub fn consumed(&self) -> u64 {
        self.input.offset()
    }

    /// Decompressed bytes handed out.
    pub fn produced(&self) -> u64 {
        self.produced
    }

    /// The source, to look at.
    pub fn source(&self) -> &R {
        self.input.source()
    }

    /// The source, for those that keep more in it than bytes. To read from it would lose what is read.
    pub fn source_mut(&mut self) -> &mut R {
        self.input.source_mut()
    }

    /// The source, wherever it stands: after an error, to read what is left of it and check its digest, which may
    /// name the true cause.
    pub fn into_source(self) -> R {
        self.input.into_source()
    }
}

impl<R: Read> Read for Decompressor<R> {
    /// Reads some bytes; an error has a [`DecompressError`] inside. Where it [is waiting](Decompressor::is_waiting), that is
    /// [`WouldBlock`](io::ErrorKind::WouldBlock).
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        match self.step(buffer).map_err(io::Error::other)? {
            0 if self.is_waiting() => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl<R> fmt::Debug for Decompressor<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor")
            .field("produced", &self.produced)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_claim_a_format() {
        let table = [
            ("application/vnd.oci.image.layer.v1.tar", Some(Format::Plain)),
            ("application/vnd.oci.image.layer.v1.tar+gzip", Some(Format::Gzip)),
            ("application/vnd.oci.image.layer.v1.tar+zstd", Some(Format::Zstd)),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Some(Format::Gzip)),
            ("application/vnd.docker.image.rootfs.diff.tar", Some(Format::Plain)),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", Some(Format::Gzip)),
            ("application/vnd.docker.image.rootfs.diff.tar.zstd", Some(Format::Zstd)),
            ("application/octet-stream", None),
            ("text/plain+xz", None),
            ("", None),
        ];
        for (media_type, format) in table {
            assert_eq!(Format::of_media_type(media_type), format, "{media_type}");
        }
    }
}
