//! Decompression of layers.
//!
//! - The output does not depend on how the input arrives, nor on how much of the output is asked for at a time.
//! - It never exceeds what is allowed, whatever the input claims.

use std::io::Read;

use banger_layers::decompress::{Decompressor, Limits};

use crate::check_messages;

/// Bytes of output that are enough to see what a blob does.
const ENOUGH: u64 = 1 << 20;

/// Output by input, at most, for the second rule. Small, so that small inputs get there.
const EXPANSION: u64 = 20;

/// Decompresses the bytes in several ways.
pub fn check(data: &[u8]) {
    let limits = Limits { output: ENOUGH, expansion: u64::MAX, free: ENOUGH, ..Limits::default() };
    let whole = output(data, limits, 64 << 10);
    let dribbled = output(Dribble { data, next: 0 }, limits, 1 + data.len() % 512);
    // How far a blob was read when it turned out to be bad may differ.
    assert_eq!(whole.as_ref().ok(), dribbled.as_ref().ok());

    let limits = Limits { output: ENOUGH, expansion: EXPANSION, free: 4096, ..Limits::default() };
    if let Ok(content) = output(data, limits, 1000) {
        let most = (data.len() as u64 * EXPANSION).max(4096);
        assert!(content.len() as u64 <= most, "{} bytes of {}", content.len(), data.len());
    }
}

fn output(source: impl Read, limits: Limits, piece: usize) -> Result<Vec<u8>, ()> {
    let refused = |error| check_messages(&error);
    let mut decompressor = Decompressor::with_limits(source, limits).map_err(refused)?;
    let (mut content, mut buffer) = (Vec::new(), vec![0; piece]);
    loop {
        let count = decompressor.fill(&mut buffer).map_err(refused)?;
        content.extend_from_slice(&buffer[..count]);
        assert!(content.len() as u64 <= limits.output);
        if count < piece {
            assert_eq!(decompressor.produced(), content.len() as u64);
            return Ok(content);
        }
    }
}

/// Gives few bytes at a time, as many as the next byte says.
struct Dribble<'a> {
    data: &'a [u8],
    next: usize,
}

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let rest = &self.data[self.next..];
        let count = rest.first().map_or(0, |&byte| 1 + usize::from(byte % 16)).min(rest.len()).min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.next += count;
        Ok(count)
    }
}
