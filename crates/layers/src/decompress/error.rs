//! What can be wrong with compressed bytes.

use std::io;

use super::Format;

/// Why a blob does not decompress. Offsets are bytes from the start of the compressed blob.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecompressError {
    /// The source of the compressed bytes failed.
    #[error("cannot read the compressed data at byte {offset}")]
    Read {
        /// Bytes read before.
        offset: u64,
        /// The source's error.
        source: io::Error,
    },
    /// The bytes are of a compression that OCI layers do not have.
    #[error("the data is compressed with {name}, which layers cannot be; gzip, zstd and plain tar can be read")]
    Unsupported {
        /// Its name.
        name: &'static str,
    },
    /// The data is not what its format says.
    #[error("the {format} data is damaged near byte {offset}: {reason}")]
    Corrupt {
        /// The format that it started as.
        format: Format,
        /// Where the decoder stopped.
        offset: u64,
        /// The decoder's reason.
        reason: String,
    },
    /// The data ends within a gzip member or a zstd frame.
    #[error("the {format} data ends too early, after {offset} bytes")]
    Truncated {
        /// The format that it started as.
        format: Format,
        /// Where it ends.
        offset: u64,
    },
    /// Something follows the last gzip member or zstd frame that is neither another one nor zero padding.
    #[error("foreign bytes after the end of the {format} data, at byte {offset}")]
    TrailingGarbage {
        /// The format before it.
        format: Format,
        /// Where the first foreign byte stands.
        offset: u64,
    },
    /// A zstd frame wants more memory than is given to any.
    #[error("the zstd frame at byte {offset} needs a window of {window} bytes, more than the {limit} allowed")]
    WindowTooLarge {
        /// Where the frame starts.
        offset: u64,
        /// What it asks for, in bytes.
        window: u64,
        /// What is allowed, in bytes.
        limit: u64,
    },
    /// The output is out of proportion to the input.
    #[error("the layer expands from {input} to more than {output} bytes, over {limit} times its size")]
    Expansion {
        /// Compressed bytes so far.
        input: u64,
        /// Decompressed bytes so far.
        output: u64,
        /// How many times is allowed.
        limit: u64,
    },
    /// The output is larger than any layer may be.
    #[error("the layer expands to more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
}
