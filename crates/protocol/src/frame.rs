//! Frames of a connection that has been upgraded: a byte for the type, four for the length (big-endian), the payload.
//!
//! The guest sends [`Stdout`](Frame::Stdout), [`Stderr`](Frame::Stderr) and at the end one [`Exit`](Frame::Exit), after which it
//! sends nothing. The host sends [`Stdin`](Frame::Stdin) (an empty one is its end), [`Resize`](Frame::Resize) and [`Signal`](Frame::Signal), and
//! when it has the exit, [`Received`](Frame::Received): a guest that ends the machine after this loses nothing.

use crate::exec::{Exit, Size};
use crate::limits::FRAME_BYTES;

/// Bytes before the payload.
pub const HEAD: usize = 5;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// 0: standard input; its end where it is empty.
    Stdin(&'a [u8]),
    /// 1: standard output, or what a terminal shows.
    Stdout(&'a [u8]),
    /// 2: standard error.
    Stderr(&'a [u8]),
    /// 3: how it ended: a byte (0: exit status, 1: signal) and four for the number, big-endian.
    Exit(Exit),
    /// 4: the terminal's new size: rows and columns, two bytes each, big-endian.
    Resize(Size),
    /// 5: the number of a signal for the command, one byte.
    Signal(u8),
    /// 6: the exit has been received, and all before it.
    Received,
}

/// Bytes that are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A type that does not exist.
    #[error("a frame of the unknown type {0}")]
    Type(u8),
    /// A payload that is too long or too short for the type.
    #[error("a frame of type {kind} with {length} bytes")]
    Length {
        /// The type.
        kind: u8,
        /// Bytes of the payload.
        length: u32,
    },
}

impl<'a> Frame<'a> {
    /// Appends the frame's bytes. Data of more than [`FRAME_BYTES`] becomes several frames.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Stdin([]) => head(out, 0, 0),
            Self::Stdin(data) => encode_data(out, 0, data),
            Self::Stdout(data) => encode_data(out, 1, data),
            Self::Stderr(data) => encode_data(out, 2, data),
            Self::Exit(exit) => {
                let (sort, number) = match exit {
                    Exit::Code(code) => (0, *code),
                    Exit::Signal(signal) => (1, *signal),
                };
                head(out, 3, 5);
                out.push(sort);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::Resize(size) => {
                head(out, 4, 4);
                out.extend_from_slice(&size.rows.to_be_bytes());
                out.extend_from_slice(&size.columns.to_be_bytes());
            }
            Self::Signal(signal) => {
                head(out, 5, 1);
                out.push(*signal);
            }
            Self::Received => head(out, 6, 0),
        }
    }

    /// The first frame of `bytes` and how many bytes it has; `None` while some of it is missing.
    ///
    /// # Errors
    /// It is none, and nothing after it can be understood.
    pub fn decode(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let Some(([kind, length @ ..], rest)) = bytes.split_first_chunk::<HEAD>() else { return Ok(None) };
        let (kind, length) = (*kind, u32::from_be_bytes(*length));
        let wrong = FrameError::Length { kind, length };
        let count = usize::try_from(length).map_err(|_| wrong)?;
        match (kind, count) {
            (0..=2, ..=FRAME_BYTES) | (3, 5) | (4, 4) | (5, 1) | (6, 0) => {}
            (0..=6, _) => return Err(wrong),
            _ => return Err(FrameError::Type(kind)),
        }
        let Some(payload) = rest.get(..count) else { return Ok(None) };
        let frame = match (kind, payload) {
            (0, data) => Self::Stdin(data),
            (1, data) => Self::Stdout(data),
            (2, data) => Self::Stderr(data),
            (3, [0, number @ ..]) => Self::Exit(Exit::Code(number_of(number))),
            (3, [1, number @ ..]) => Self::Exit(Exit::Signal(number_of(number))),
            (4, &[a, b, c, d]) => {
                Self::Resize(Size { rows: u16::from_be_bytes([a, b]), columns: u16::from_be_bytes([c, d]) })
            }
            (5, &[signal]) => Self::Signal(signal),
            (6, []) => Self::Received,
            _ => return Err(FrameError::Type(kind)),
        };
        Ok(Some((frame, HEAD.saturating_add(count))))
    }
}

fn number_of(bytes: &[u8]) -> i32 {
    bytes.first_chunk().map_or(0, |bytes| i32::from_be_bytes(*bytes))
}

fn head(out: &mut Vec<u8>, kind: u8, length: u32) {
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
}

fn encode_data(out: &mut Vec<u8>, kind: u8, data: &[u8]) {
    for piece in data.chunks(FRAME_BYTES) {
        head(out, kind, u32::try_from(piece.len()).unwrap_or(u32::MAX));
        out.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(frame: &Frame<'_>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        for cut in 0..bytes.len() {
            assert_eq!(Frame::decode(&bytes[..cut]), Ok(None));
        }
        let length = bytes.len();
        bytes.push(9);
        assert_eq!(Frame::decode(&bytes), Ok(Some((frame.clone(), length))));
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let size = Size { rows: 24, columns: 80 };
        for frame in [
            Frame::Stdin(b""),
            Frame::Stdin(b"in"),
            Frame::Stdout(b"out\0"),
            Frame::Stderr(b"err"),
            Frame::Exit(Exit::Code(-1)),
            Frame::Exit(Exit::Signal(9)),
            Frame::Resize(size),
            Frame::Signal(2),
            Frame::Received,
        ] {
            round_trip(&frame);
        }
    }

    #[test]
    fn much_data_is_many_frames() {
        let data = vec![7; FRAME_BYTES + 1];
        let mut bytes = Vec::new();
        Frame::Stdout(&data).encode(&mut bytes);
        let (first, length) = Frame::decode(&bytes).unwrap().unwrap();
        assert_eq!(first, Frame::Stdout(&data[1..]));
        assert_eq!(Frame::decode(&bytes[length..]).unwrap().unwrap().0, Frame::Stdout(&[7]));
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        assert_eq!(Frame::decode(&[7, 0, 0, 0, 0]), Err(FrameError::Type(7)));
        assert_eq!(Frame::decode(&[0, 0, 1, 0, 1]), Err(FrameError::Length { kind: 0, length: 0x1_0001 }));
        assert_eq!(Frame::decode(&[4, 0, 0, 0, 3]), Err(FrameError::Length { kind: 4, length: 3 }));
        assert_eq!(Frame::decode(&[3, 0, 0, 0, 5, 2, 0, 0, 0, 0]), Err(FrameError::Type(3)));
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_a_frame_a_wait_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(Some((_, length))) = Frame::decode(&bytes) {
                prop_assert!(length <= bytes.len());
            }
        }
    }
}
